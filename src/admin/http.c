/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd without threads: its epoll descriptor is polled by the loop, and a timer stands for what it wants to do
 * without an event. One daemon for each address.
 *
 * Traps of 0.9.75: a response that is queued at the first call of the handler closes the connection, so that answers wait
 * for the second one; MHD_run does a part of the work, and MHD_get_timeout says 0 as long as there is more; a daemon that
 * has all the connections it may have does not watch its socket, and begins again only when it is next run.
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
#include "config/listen.h"
#include "runtime/log.h"

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
	struct MHD_Daemon *daemon;
	struct loop_timer *timer;
	uv_poll_t poll;
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

/* --- libmicrohttpd in the loop ------------------------------------------------------------------------------------- */

static unsigned connections(const struct listener *listener)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info ? info->num_connections : 0;
}

static void run(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG ms;
	bool was_full = connections(listener) >= MAX_CONNECTIONS;
	MHD_run(listener->daemon);
	if (was_full && connections(listener) < MAX_CONNECTIONS)
		MHD_run(listener->daemon);
	if (MHD_get_timeout(listener->daemon, &ms) == MHD_YES)
		loop_timer_start(listener->timer, ms);
	else
		loop_timer_stop(listener->timer);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

static void on_timer(void *arg)
{
	run(arg);
}

static int watch(struct listener *listener)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r = info ? uv_poll_init(loop_uv(listener->admin->answers.loop), &listener->poll, info->epoll_fd) : -EINVAL;
	if (r < 0)
		return r;
	listener->poll.data = listener;
	return uv_poll_start(&listener->poll, UV_READABLE, on_poll);
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void listener_free(struct listener *listener)
{
	uv_poll_stop(&listener->poll);
	MHD_stop_daemon(listener->daemon);
	loop_timer_free(listener->timer);
	uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
}

/* --- listening --------------------------------------------------------------------------------------------------- */

static int open_socket(const struct listen_address *address)
{
	int on = 1;
	int fd = socket(address->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (address->at.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&address->at, address->len) == 0 && listen(fd, MAX_PENDING_PEERS) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

static int start_daemon(struct listener *listener, int fd)
{
	listener->daemon =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, listener->admin, MHD_OPTION_LISTEN_SOCKET,
			fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (!listener->daemon)
		return -ENOMEM;
	int r = watch(listener);
	if (r < 0)
		MHD_stop_daemon(listener->daemon);
	return r;
}

static void log_listening(int fd)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	char host[64] = "", port[16] = "";
	if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
		getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	bool v6 = at.ss_family == AF_INET6;
	log_info("admin_listening", "address=%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
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
	listener->timer = loop_timer_new(admin->answers.loop, on_timer, listener);
	int fd = listener->timer ? open_socket(&address) : -ENOMEM;
	int r = fd < 0 ? fd : start_daemon(listener, fd);
	if (r < 0) {
		loop_timer_free(listener->timer);
		free(listener);
		return r;
	}
	listener->next = admin->listeners;
	admin->listeners = listener;
	log_listening(fd);
	return 0;
}

static void log_failure(const char *address, int error)
{
	const char *what = error == -EADDRINUSE
				   ? "another program listens there, perhaps another linkspan: end it, or give this "
				     "one another port in admin.listen"
			   : error == -EADDRNOTAVAIL ? "this machine has no such address: correct admin.listen"
			   : error == -EACCES ? "ports below 1024 need a privilege: take a higher one in admin.listen"
					      : "correct admin.listen, or leave the section admin out";
	log_error("admin_listen_failed", "address=%s error=\"%s\" what=\"%s\"", address, strerror(-error), what);
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
		listener_free(listener);
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
