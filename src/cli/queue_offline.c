/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a stopped daemon: finds the data folder, opens its journal with a loop of its own, lets the queue service
 * answer one client, and closes it cleanly. Takes the folder's lock like a daemon, so that neither disturbs the other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/queue_client.h"
#include "config/config.h"
#include "delivery/courier.h"
#include "journal/journal.h"
#include "runtime/control.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/queue_service.h"

#define MOST_SPAN (1u << 20) /* the largest lookahead of a courier */

/* --- the folder ------------------------------------------------------------------------------------------------------------ */

static int from_config(const char *name, struct queue_folder *folder)
{
	struct config *config;
	int r = config_load(name, stderr, &config, NULL);
	if (r < 0)
		return -EINVAL;
	folder->path = strdup(config->data_dir);
	folder->segment_bytes = config->journal.segment_bytes;
	folder->max_bytes = config->journal.max_bytes;
	folder->linger_ms = config->journal.linger_ms;
	folder->min_free = config->journal.min_free_bytes;
	folder->strict = config->journal.strict;
	folder->maybe_sent_span = 0;
	for (size_t i = 0; i < config->n_connections; i++) {
		const struct connection_config *connection = &config->connections[i];
		struct courier_options options = {.outbox = &connection->outbox,
			.connector = connection->connector,
			.settings = connection->settings};
		uint64_t span = courier_span(&options);
		if (connection->connector->can_sink && span > folder->maybe_sent_span)
			folder->maybe_sent_span = span;
	}
	config_free(config);
	return folder->path ? 0 : -ENOMEM;
}

/* Segments go on being as large as they are. */
static uint64_t size_of_segments(int journal)
{
	uint64_t size = 0;
	int copy = dup(journal);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		struct stat st;
		size_t len = strlen(entry->d_name);
		if (len > 4 && strcmp(entry->d_name + len - 4, ".log") == 0 &&
			fstatat(journal, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_size > size)
			size = (uint64_t)st.st_size;
	}
	if (dir)
		closedir(dir);
	return size >= 1024 * 1024 && size % 4096 == 0 ? size : 0;
}

static int look_at(struct queue_folder *folder, bool by_config)
{
	int root = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int journal = root < 0 ? -1 : openat(root, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = journal < 0 ? -errno : 0;
	if (r < 0)
		fprintf(stderr, "linkspan queue: %s: %s\n", folder->path,
			r == -ENOENT   ? "there is no journal of linkspan's in it"
			: r == -EACCES ? "permission denied: run this as the user that linkspan runs as"
				       : strerror(-r));
	else if (!by_config)
		folder->segment_bytes = size_of_segments(journal);
	if (journal >= 0)
		close(journal);
	if (root >= 0)
		close(root);
	return r;
}

int queue_folder_find(const char *name, struct queue_folder *ret_folder)
{
	struct queue_folder folder = {.maybe_sent_span = MOST_SPAN};
	struct stat st;
	int r = 0;
	if (stat(name, &st) < 0) {
		fprintf(stderr, "linkspan queue: %s: %s; name a data folder, or the configuration that names it\n",
			name, strerror(errno));
		return -EINVAL;
	}
	bool by_config = !S_ISDIR(st.st_mode);
	if (by_config)
		r = from_config(name, &folder);
	else if (!(folder.path = strdup(name)))
		r = -ENOMEM;
	if (r == 0)
		r = look_at(&folder, by_config);
	if (r < 0)
		queue_folder_free(&folder);
	else
		*ret_folder = folder;
	return r < 0 ? -EINVAL : 0;
}

void queue_folder_free(struct queue_folder *folder)
{
	free(folder->path);
	*folder = (struct queue_folder){0};
}

/* --- serving ---------------------------------------------------------------------------------------------------------------- */

struct server {
	struct loop *loop;
	struct journal *journal;
	struct queue_service *service;
	bool client_gone;
	int failed;
};

static void check_end(struct server *server)
{
	if (server->failed || (server->client_gone && queue_service_is_idle(server->service)))
		loop_stop(server->loop);
}

static void on_gone(void *arg)
{
	struct server *server = arg;
	server->client_gone = true;
	check_end(server);
}

static void on_durable(void *ctx, uint64_t lsn)
{
	struct server *server = ctx;
	queue_service_durable(server->service, lsn);
}

static void on_failed(void *ctx, int error)
{
	struct server *server = ctx;
	server->failed = error;
	check_end(server);
}

static void on_idle(void *ctx)
{
	check_end(ctx);
}

static int complain(const char *path, const char *what)
{
	fprintf(stderr, "linkspan queue: %s: %s\n", path, what);
	return 1;
}

static int serve(struct server *server, const struct queue_folder *folder, int fd)
{
	struct queue_service_options options = {
		.journal = server->journal,
		.loop = server->loop,
		.on_idle = on_idle,
		.ctx = server,
		.maybe_sent_span = folder->maybe_sent_span,
	};
	server->service = queue_service_new(&options);
	struct control *control = server->service ? control_new(server->loop, server->service) : NULL;
	int r = control ? control_attach(control, fd, on_gone, server) : -ENOMEM;
	if (r == 0)
		loop_run(server->loop);
	control_free(control);
	queue_service_free(server->service);
	return r < 0 ? r : server->failed;
}

static int open_and_serve(struct disk *disk, const struct queue_folder *folder, int fd)
{
	struct server server = {.loop = loop_new()};
	struct journal_options options = {
		.disk = disk,
		.loop = server.loop,
		.segment_bytes = folder->segment_bytes,
		.max_bytes = folder->max_bytes,
		.linger_ms = (uint32_t)folder->linger_ms,
		.strict = folder->strict,
		.min_free = folder->min_free,
		.on_durable = on_durable,
		.on_failed = on_failed,
		.ctx = &server,
	};
	int r = server.loop ? journal_open(&options, &server.journal) : -ENOMEM;
	if (r == 0) {
		r = serve(&server, folder, fd);
		int closed = journal_close(server.journal);
		r = r < 0 ? r : closed;
	}
	loop_free(server.loop);
	return r < 0 ? complain(folder->path, strerror(-r)) : 0;
}

int queue_offline_serve(const struct queue_folder *folder, int fd)
{
	struct stat st;
	failpoint_init();
	log_set_level(LOG_LEVEL_ERROR);
	if (stat(folder->path, &st) < 0)
		return complain(folder->path, strerror(errno));
	if (st.st_uid != geteuid()) /* files of another owner would stop the daemon */
		return complain(folder->path, "linkspan is stopped: run this as the user that owns the folder");
	struct disk *disk = disk_posix_new(folder->path);
	if (!disk)
		return complain(folder->path, strerror(errno));
	int r = disk->ops->lock(disk, "lock");
	int status = 1;
	if (r == -EWOULDBLOCK)
		complain(folder->path, "another process holds the folder, but does not answer at its socket `control`: "
				       "a linkspan that is "
				       "starting, stopping or of an older version, or another `linkspan queue`. Try "
				       "again, or stop it");
	else if (r < 0)
		complain(folder->path, strerror(-r));
	else
		status = open_and_serve(disk, folder, fd);
	disk_posix_free(disk);
	return status;
}
