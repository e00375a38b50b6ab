/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd without threads (runtime/mhd_loop.h), one daemon for each address.
 *
 * A trap of 0.9.75: a response that is queued at the first call of the handler closes the connection, so that answers wait
 * for the second one.
 */
#include <errno.h>
#include <math.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "admin/admin.h"
#include "admin/answers.h"
#include "runtime/log.h"
#include "runtime/mhd_loop.h"

#define MAX_CONNECTIONS   32u /* of one address */
#define CONNECTION_BYTES  (16u * 1024) /* of memory: bounds what a request's head may be */
#define CONNECTION_S      5u /* without anything moving */
#define METRICS_MS        100u /* so old an answer may be */
#define DISK_MS           10000u /* between two looks at the free space */
#define N_FORMATS         2
#define MAX_PENDING_PEERS 16

struct disk_probe {
	uv_fs_t request;
	struct admin *admin; /* NULL: it is gone */
};

struct listener {
	struct listener *next;
	struct admin *admin;
	struct mhd_loop *watch;
};

struct admin {
	struct answers answers;
	const struct config *config;
	struct listener *listeners;
	struct loop_timer *disk_timer;
	struct disk_probe *probe; /* under way; NULL: none */
	struct { /* /metrics as it was last written */
		struct MHD_Response *response;
		unsigned status;
		uint64_t made_ms;
	} written[N_FORMATS];
};

/* --- answers ----------------------------------------------------------------------------------------------------- */

/* Takes the answer. NULL: out of memory. */
static struct MHD_Response *response_of(struct answer *answer)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_COPY);
	buffer_free(&answer->body);
	if (!response)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return response;
}

static enum MHD_Result reply_with(struct MHD_Connection *connection, struct answer answer)
{
	struct MHD_Response *response = response_of(&answer);
	if (!response)
		return MHD_NO;
	enum MHD_Result r = MHD_queue_response(connection, answer.status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result reply_metrics(struct admin *admin, struct MHD_Connection *connection)
{
	enum exposition_format format =
		exposition_negotiate(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	uint64_t now_ms = loop_now_ms(admin->answers.loop);
	if (!admin->written[format].response || now_ms - admin->written[format].made_ms >= METRICS_MS) {
		struct answer answer = answers_metrics(&admin->answers, format);
		struct MHD_Response *response = response_of(&answer);
		if (!response)
			return MHD_NO;
		MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
		if (admin->written[format].response)
			MHD_destroy_response(admin->written[format].response);
		admin->written[format].response = response;
		admin->written[format].status = answer.status;
		admin->written[format].made_ms = now_ms;
	}
	return MHD_queue_response(connection, admin->written[format].status, admin->written[format].response);
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection)
{
	static char text[] = "only GET and HEAD\n";
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	enum MHD_Result r = MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
	MHD_destroy_response(response);
	return r;
}

static bool asks_strictly(struct MHD_Connection *connection)
{
	const char *value;
	size_t len;
	return MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "strict", 6, &value, &len) == MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *body, size_t *body_len, void **seen)
{
	struct admin *admin = arg;
	(void)version;
	(void)body;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse_method(connection);
	if (!*seen) {
		*seen = admin;
		return MHD_YES;
	}
	if (*body_len)
		return MHD_NO; /* a body that nobody asked for, and that need not end */
	switch (answers_find(url)) {
	case ANSWERS_METRICS:
		return reply_metrics(admin, connection);
	case ANSWERS_HEALTH:
		return reply_with(connection, answers_health(&admin->answers));
	case ANSWERS_READY:
		return reply_with(connection, answers_ready(&admin->answers, asks_strictly(connection)));
	case ANSWERS_UNKNOWN:
		break;
	}
	return reply_with(connection, answers_unknown());
}

/* --- listening --------------------------------------------------------------------------------------------------- */

static int start_daemon(struct listener *listener, int fd)
{
	struct MHD_Daemon *daemon =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, listener->admin, MHD_OPTION_LISTEN_SOCKET,
			fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (!daemon)
		return -ENOMEM;
	int r = mhd_loop_new(listener->admin->answers.loop, daemon, MAX_CONNECTIONS, &listener->watch);
	if (r < 0)
		MHD_stop_daemon(daemon);
	return r;
}

static int listen_on(struct admin *admin, const char *text)
{
	struct listen_address address;
	if (listen_parse(text, &address) != NULL)
		return -EINVAL;
	struct listener *listener = calloc(1, sizeof *listener);
	if (!listener)
		return -ENOMEM;
	listener->admin = admin;
	int fd = mhd_loop_listen(&address, MAX_PENDING_PEERS);
	int r = fd < 0 ? fd : start_daemon(listener, fd);
	if (r < 0) {
		free(listener);
		return r;
	}
	listener->next = admin->listeners;
	admin->listeners = listener;
	mhd_loop_log_address("admin_listening", NULL, fd);
	return 0;
}

static void log_failure(const char *address, int error)
{
	const char *what = mhd_loop_explain(error);
	log_error("admin_listen_failed", "address=%s error=\"%s\" what=\"%s in admin.listen\"", address,
		strerror(-error), what ? what : "correct what stands");
}

/* --- free space of the disk -------------------------------------------------------------------------------------- */

static void on_statfs(uv_fs_t *request)
{
	struct disk_probe *probe = request->data;
	const uv_statfs_t *found = request->ptr;
	struct admin *admin = probe->admin;
	if (admin) {
		bool known = request->result == 0 && found;
		admin->answers.disk_free = known ? (double)found->f_bavail * (double)found->f_bsize : NAN;
		admin->answers.disk_size = known ? (double)found->f_blocks * (double)found->f_bsize : NAN;
		admin->probe = NULL;
	}
	uv_fs_req_cleanup(request);
	free(probe);
}

/* By a worker of libuv: a file system on a network may not answer. */
static void on_disk_timer(void *arg)
{
	struct admin *admin = arg;
	answers_note_wear(&admin->answers);
	loop_timer_start(admin->disk_timer, DISK_MS);
	struct disk_probe *probe = admin->probe ? NULL : calloc(1, sizeof *probe);
	if (!probe)
		return;
	probe->admin = admin;
	probe->request.data = probe;
	if (uv_fs_statfs(loop_uv(admin->answers.loop), &probe->request, admin->config->data_dir, on_statfs) == 0)
		admin->probe = probe;
	else
		free(probe);
}

/* --- life ---------------------------------------------------------------------------------------------------------- */

static double seconds_since_epoch(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int admin_open(struct loop *loop, const struct config *config, const struct disk *disk, struct admin **ret_admin)
{
	*ret_admin = NULL;
	if (config->admin.listen.n == 0)
		return 0;
	struct admin *admin = calloc(1, sizeof *admin);
	if (!admin)
		return -ENOMEM;
	admin->config = config;
	admin->answers = (struct answers){
		.loop = loop,
		.disk = disk,
		.started_s = seconds_since_epoch(),
		.disk_free = NAN,
		.disk_size = NAN,
	};
	admin->disk_timer = loop_timer_new(loop, on_disk_timer, admin);
	int r = admin->disk_timer ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < config->admin.listen.n; i++) {
		r = listen_on(admin, config->admin.listen.items[i].value);
		if (r < 0)
			log_failure(config->admin.listen.items[i].value, r);
	}
	if (r < 0) {
		admin_close(admin);
		return r;
	}
	on_disk_timer(admin);
	*ret_admin = admin;
	return 0;
}

void admin_show(struct admin *admin, const struct bridge *bridge)
{
	if (admin)
		admin->answers.bridge = bridge;
}

void admin_close(struct admin *admin)
{
	if (!admin)
		return;
	for (struct listener *listener = admin->listeners, *next; listener; listener = next) {
		next = listener->next;
		mhd_loop_free(listener->watch);
		free(listener);
	}
	for (int i = 0; i < N_FORMATS; i++)
		if (admin->written[i].response)
			MHD_destroy_response(admin->written[i].response);
	loop_timer_free(admin->disk_timer);
	if (admin->probe) {
		admin->probe->admin = NULL;
		uv_cancel((uv_req_t *)&admin->probe->request);
	}
	free(admin);
}
