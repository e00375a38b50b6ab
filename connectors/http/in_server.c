/* SPDX-License-Identifier: Apache-2.0
 *
 * Daemons, connections and their clocks. A connection is ended from outside by shutting its socket down: libmicrohttpd
 * reads the end of the stream and does the rest.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "connectors/http/in_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/listen.h"
#include "connectors/http/in_head.h"
#include "runtime/log.h"
#include "runtime/mhd_loop.h"

#define TICK_MS         1000u
#define PRIORITIES      "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define MAX_PENDING     1024 /* connections that the kernel keeps for us */
#define READ_STEP_BYTES 2048u
#define POLL_AT_ONCE    64

struct in_daemon {
	struct in_daemon *next;
	struct in_server *server;
	struct mhd_loop *watch;
	bool resumed; /* something of it waits for MHD_run */
};

struct in_peer {
	struct in_peer *prev, *next;
	struct in_peer *next_resumed;
	struct in_daemon *daemon;
	struct MHD_Connection *connection;
	void *request; /* NULL: none */
	int fd;
	enum in_phase phase;
	bool fresh; /* no request has come yet */
	uint64_t deadline_ms; /* loop_now_ms; 0: none */
	struct in_tls *tls; /* what its handshake used */
	bool names_known;
	struct in_tls_names names;
};

struct in_server {
	struct in_server_options options;
	struct in_daemon *daemons;
	struct in_peer *peers;
	struct in_peer
		*resumed; /* to be resumed in the next turn: libmicrohttpd may run before, and must not see them */
	struct in_tls *tls;
	struct loop_timer *ticker;
	struct loop_job run_job;
	bool closing;
	struct in_server_counters counters;
};

static uint64_t now_ms(const struct in_server *server)
{
	return loop_now_ms(server->options.loop);
}

/* --- connections ----------------------------------------------------------------------------------------------------- */

static uint64_t allowance_ms(const struct in_peer *peer, enum in_phase phase)
{
	const struct in_limits *limits = peer->daemon->server->options.limits;
	switch (phase) {
	case IN_WAITING:
		return peer->fresh ? limits->head_timeout_ms : limits->idle_timeout_ms;
	case IN_HEAD:
		return limits->head_timeout_ms;
	case IN_BODY:
	case IN_ANSWERING:
		return limits->request_timeout_ms;
	case IN_HELD:
		break;
	}
	return 0;
}

void in_server_phase(struct in_peer *peer, enum in_phase phase)
{
	uint64_t ms = allowance_ms(peer, phase);
	peer->phase = phase;
	if (phase != IN_WAITING)
		peer->fresh = false;
	peer->deadline_ms = ms ? now_ms(peer->daemon->server) + ms : 0;
}

struct in_peer *in_server_peer(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static gnutls_session_t session_of(const struct in_peer *peer)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info ? (gnutls_session_t)info->tls_session : NULL;
}

static void peer_begin(struct in_daemon *daemon, struct MHD_Connection *connection, void **context)
{
	struct in_server *server = daemon->server;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct in_peer *peer = calloc(1, sizeof *peer);
	*context = peer;
	if (!peer) { /* whoever asks for it gives up */
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	peer->daemon = daemon;
	peer->connection = connection;
	peer->fd = info ? info->connect_fd : -1;
	peer->fresh = true;
	peer->next = server->peers;
	if (peer->next)
		peer->next->prev = peer;
	server->peers = peer;
	server->counters.connections++;
	if (server->tls && session_of(peer))
		in_tls_ask(server->tls, session_of(peer));
	in_server_phase(peer, IN_WAITING);
}

static void peer_end(struct in_peer *peer)
{
	struct in_server *server = peer->daemon->server;
	if (peer->prev)
		peer->prev->next = peer->next;
	else
		server->peers = peer->next;
	if (peer->next)
		peer->next->prev = peer->prev;
	in_tls_names_free(&peer->names);
	in_tls_unref(peer->tls);
	free(peer);
	if (server->closing && !server->peers)
		server->options.drained(server->options.arg);
}

static void on_connection(
	void *arg, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		peer_begin(arg, connection, context);
	else if (*context)
		peer_end(*context);
}

void in_server_break_off(struct in_peer *peer, const char *status_line)
{
	if (!peer->daemon->server->tls && status_line) {
		char text[256];
		int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			status_line);
		ssize_t sent = send(peer->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)sent; /* it may have gone already */
	}
	shutdown(peer->fd, SHUT_RDWR);
	peer->deadline_ms = 0;
}

/* What is known of many connections by one system call. */
struct look {
	struct pollfd fds[POLL_AT_ONCE];
	struct in_peer *peers[POLL_AT_ONCE];
	nfds_t n;
	void (*half_closed)(struct in_peer *peer);
};

static void look_now(struct look *look)
{
	int found = look->n ? poll(look->fds, look->n, 0) : 0;
	for (nfds_t i = 0; i < look->n && found > 0; i++)
		if (look->fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR))
			look->half_closed(look->peers[i]);
	look->n = 0;
}

static void look_at(struct look *look, struct in_peer *peer)
{
	look->peers[look->n] = peer;
	look->fds[look->n++] = (struct pollfd){.fd = peer->fd, .events = POLLRDHUP};
	if (look->n == POLL_AT_ONCE)
		look_now(look);
}

/* Has the client closed its half, with nothing more to read? */
static bool is_half_closed(const struct in_peer *peer)
{
	char byte;
	return recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool has_begun(const struct in_peer *peer)
{
	return peer->phase == IN_HEAD || peer->phase == IN_BODY;
}

static void end_half_closed(struct in_peer *peer)
{
	if (is_half_closed(peer))
		in_server_break_off(peer, has_begun(peer) ? "400 Bad Request" : NULL);
}

/* Those from which nothing more can come. libmicrohttpd was told so by an edge while it did something else, and waits for
 * one more. */
static void end_all_half_closed(struct in_server *server)
{
	struct look look = {.half_closed = end_half_closed};
	for (struct in_peer *peer = server->peers; peer; peer = peer->next)
		if (peer->deadline_ms && peer->phase != IN_ANSWERING)
			look_at(&look, peer);
	look_now(&look);
}

static void on_tick(void *arg)
{
	struct in_server *server = arg;
	uint64_t now = now_ms(server);
	end_all_half_closed(server);
	for (struct in_peer *peer = server->peers; peer; peer = peer->next) {
		if (!peer->deadline_ms || peer->deadline_ms > now)
			continue;
		server->counters.timed_out += has_begun(peer) || peer->fresh || peer->phase == IN_ANSWERING;
		in_server_break_off(peer, has_begun(peer) ? "408 Request Timeout" : NULL);
	}
	server->options.tick(server->options.arg);
	loop_timer_start(server->ticker, TICK_MS);
}

size_t in_server_client_names(struct in_peer *peer, const char *const **ret_names)
{
	if (!peer->names_known) {
		peer->names_known = true;
		if (peer->tls && session_of(peer))
			in_tls_client_names(peer->tls, session_of(peer), &peer->names);
	}
	*ret_names = (const char *const *)peer->names.names;
	return peer->names.n;
}

/* --- suspending ------------------------------------------------------------------------------------------------------ */

void in_server_suspend(struct in_peer *peer)
{
	in_server_phase(peer, IN_HELD);
	MHD_suspend_connection(peer->connection);
}

void in_server_resume(struct in_peer *peer)
{
	struct in_server *server = peer->daemon->server;
	peer->next_resumed = server->resumed;
	server->resumed = peer;
	in_server_phase(peer, IN_ANSWERING);
	loop_post(server->options.loop, &server->run_job);
}

static void answer_half_closed(struct in_peer *peer)
{
	struct in_server *server = peer->daemon->server;
	char text[1024];
	size_t len = peer->request && is_half_closed(peer)
			     ? server->options.write_answer(server->options.arg, peer->request, text, sizeof text)
			     : 0;
	if (len && send(peer->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(peer->fd, SHUT_RDWR); /* no second answer */
}

static void resume_all(struct in_server *server)
{
	struct look look = {.half_closed = answer_half_closed};
	for (struct in_peer *peer = server->resumed; peer && !server->tls; peer = peer->next_resumed)
		look_at(&look, peer);
	look_now(&look);
	while (server->resumed) {
		struct in_peer *peer = server->resumed;
		server->resumed = peer->next_resumed;
		peer->next_resumed = NULL;
		peer->daemon->resumed = true;
		MHD_resume_connection(peer->connection);
	}
}

static void on_run(void *arg)
{
	struct in_server *server = arg;
	resume_all(server);
	for (struct in_daemon *daemon = server->daemons; daemon; daemon = daemon->next)
		if (daemon->resumed) {
			daemon->resumed = false;
			mhd_loop_run(daemon->watch);
		}
}

/* --- the daemons ------------------------------------------------------------------------------------------------------ */

static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
	struct in_daemon *daemon = arg;
	struct in_peer *peer = in_server_peer(connection);
	if (!peer)
		return NULL;
	in_server_phase(peer, IN_HEAD);
	peer->request = daemon->server->options.begin(daemon->server->options.arg, connection, target);
	return peer->request;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *body, size_t *body_len, void **request)
{
	struct in_daemon *daemon = arg;
	if (!*request)
		return MHD_NO;
	return daemon->server->options.handle(
		daemon->server->options.arg, connection, url, method, version, body, body_len, request);
}

static void on_completed(
	void *arg, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode code)
{
	struct in_daemon *daemon = arg;
	struct in_peer *peer = in_server_peer(connection);
	(void)code;
	if (*request)
		daemon->server->options.end(daemon->server->options.arg, *request);
	*request = NULL;
	if (!peer)
		return;
	peer->request = NULL;
	in_server_phase(peer, IN_WAITING);
	if (daemon->server->closing)
		in_server_break_off(peer, NULL);
}

static int on_certificate(gnutls_session_t session, const gnutls_datum_t *authorities, int n_authorities,
	const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **pcert, unsigned int *n_pcert,
	gnutls_privkey_t *key)
{
	(void)authorities, (void)n_authorities, (void)algorithms, (void)n_algorithms;
	struct MHD_Connection *connection = gnutls_session_get_ptr(session);
	struct in_peer *peer = connection ? in_server_peer(connection) : NULL;
	if (!peer || !peer->daemon->server->tls)
		return -1;
	if (!peer->tls)
		peer->tls = in_tls_ref(peer->daemon->server->tls);
	return in_tls_retrieve(peer->tls, pcert, n_pcert, key);
}

static struct MHD_Daemon *start_mhd(struct in_daemon *daemon, int fd)
{
	struct in_server *server = daemon->server;
	const struct in_limits *limits = server->options.limits;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_certificate},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	static const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (server->tls ? MHD_USE_TLS : 0u);
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, daemon, MHD_OPTION_LISTEN_SOCKET, fd, IN_HEAD_STRICT,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned)limits->max_per_address, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)limits->max_head,
		MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)READ_STEP_BYTES, MHD_OPTION_URI_LOG_CALLBACK, on_target,
		daemon, MHD_OPTION_NOTIFY_COMPLETED, on_completed, daemon, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		daemon, MHD_OPTION_ARRAY, server->tls ? tls : none, MHD_OPTION_END);
}

static int listen_on(struct in_server *server, const char *text)
{
	struct listen_address address;
	if (listen_parse(text, &address) != NULL)
		return -EINVAL;
	struct in_daemon *daemon = calloc(1, sizeof *daemon);
	if (!daemon)
		return -ENOMEM;
	daemon->server = server;
	int fd = mhd_loop_listen(&address, MAX_PENDING);
	struct MHD_Daemon *mhd = fd < 0 ? NULL : start_mhd(daemon, fd);
	int r = fd < 0 ? fd : mhd ? 0 : -ENOMEM;
	if (r == 0)
		r = mhd_loop_new(
			server->options.loop, mhd, (unsigned)server->options.limits->max_connections, &daemon->watch);
	if (r < 0) {
		if (mhd)
			MHD_stop_daemon(mhd);
		free(daemon);
		return r;
	}
	daemon->next = server->daemons;
	server->daemons = daemon;
	mhd_loop_log_address("http_listening", server->options.name, fd);
	return 0;
}

static void stop_daemons(struct in_server *server)
{
	for (struct in_daemon *daemon = server->daemons, *next; daemon; daemon = next) {
		next = daemon->next;
		mhd_loop_free(daemon->watch);
		free(daemon);
	}
	server->daemons = NULL;
}

int in_server_listen(struct in_server *server)
{
	for (size_t i = 0; i < server->options.listen->n; i++) {
		const char *text = server->options.listen->items[i].value;
		int r = listen_on(server, text);
		if (r == 0)
			continue;
		const char *what = mhd_loop_explain(r);
		log_error("http_listen_failed", "connection=%s address=%s error=\"%s\" what=\"%s\"",
			server->options.name, text, strerror(-r), what ? what : "correct listen");
		stop_daemons(server);
		return r;
	}
	loop_timer_start(server->ticker, TICK_MS);
	return 0;
}

void in_server_close_intake(struct in_server *server)
{
	if (server->closing)
		return;
	server->closing = true;
	for (struct in_daemon *daemon = server->daemons; daemon; daemon = daemon->next) {
		MHD_socket fd = MHD_quiesce_daemon(mhd_loop_daemon(daemon->watch));
		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
	for (struct in_peer *peer = server->peers; peer; peer = peer->next)
		if (peer->phase == IN_WAITING)
			in_server_break_off(peer, NULL);
}

unsigned in_server_connections(const struct in_server *server)
{
	unsigned n = 0;
	for (const struct in_peer *peer = server->peers; peer; peer = peer->next)
		n++;
	return n;
}

void in_server_set_tls(struct in_server *server, struct in_tls *tls)
{
	in_tls_unref(server->tls);
	server->tls = in_tls_ref(tls);
}

struct in_server_counters in_server_counters(const struct in_server *server)
{
	return server->counters;
}

struct in_server *in_server_new(const struct in_server_options *options)
{
	struct in_server *server = calloc(1, sizeof *server);
	if (!server)
		return NULL;
	server->options = *options;
	server->tls = options->tls ? in_tls_ref(options->tls) : NULL;
	loop_job_init(&server->run_job, on_run, server);
	server->ticker = loop_timer_new(options->loop, on_tick, server);
	if (server->ticker)
		return server;
	in_server_free(server);
	return NULL;
}

void in_server_free(struct in_server *server)
{
	if (!server)
		return;
	on_run(server);
	stop_daemons(server);
	loop_cancel(server->options.loop, &server->run_job);
	loop_timer_free(server->ticker);
	in_tls_unref(server->tls);
	free(server);
}
