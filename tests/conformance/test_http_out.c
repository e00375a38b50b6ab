/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the HTTP connector as a sender: a real HTTP server (libmicrohttpd, on threads of its own) behind a proxy
 * that can cut and stall. What it has answered with 200 has arrived.
 */
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/http/http.h"
#include "connectors/http/settings.h"
#include "message/buffer.h"
#include "tests/conformance/peer.h"
#include "tests/conformance/proxy.h"

#define MAX_PAYLOAD 2000000
#define TOKEN       "right"

static struct MHD_Daemon *daemon_;
static struct proxy *proxy;
static char url[64];
static struct http_settings settings;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct arrivals arrived; /* guarded by mutex */

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the server --------------------------------------------------------------------------------------------------- */

static void keep(const struct buffer *body)
{
	struct message_view view = {
		.topic = slice_str("t"), .payload = body->len ? buffer_slice(body) : slice_of("", 0)};
	pthread_mutex_lock(&mutex);
	struct message **items = realloc(arrived.items, (arrived.n + 1) * sizeof *items);
	struct message *msg = message_new(&view);
	if (!items || !msg)
		bail("memory");
	arrived.items = items;
	arrived.items[arrived.n++] = msg;
	pthread_mutex_unlock(&mutex);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
	static char text[] = "thanks";
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *data, size_t *len, void **seen)
{
	struct buffer *body = *seen;
	(void)arg, (void)version;
	if (!body) {
		*seen = body = calloc(1, sizeof *body);
		if (!body)
			return MHD_NO;
		buffer_init(body, 2 * MAX_PAYLOAD);
		return MHD_YES;
	}
	if (*len > 0) {
		if (buffer_append(body, slice_of(data, *len)) < 0)
			return MHD_NO;
		*len = 0;
		return MHD_YES;
	}
	const char *shown = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	if (!shown || strcmp(shown, "Bearer " TOKEN) != 0)
		return answer(connection, MHD_HTTP_UNAUTHORIZED);
	if (strcmp(method, "POST") != 0 || strcmp(path, "/hooks/in") != 0)
		return answer(connection, MHD_HTTP_NOT_FOUND);
	keep(body);
	return answer(connection, MHD_HTTP_OK);
}

static void on_completed(
	void *arg, struct MHD_Connection *connection, void **seen, enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	if (*seen)
		buffer_free(*seen);
	free(*seen);
}

/* --- the peer ------------------------------------------------------------------------------------------------------- */

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void http_begin(void)
{
	daemon_ = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	if (!daemon_)
		bail("MHD_start_daemon");
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
	proxy = proxy_new(info->port);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/hooks", proxy_port(proxy));
	settings = (struct http_settings){
		.url = url,
		.out =
			{
				.timeout_ms = 30000,
				.connect_timeout_ms = 10000,
				.concurrency = 8,
				.auth = {.token = text(TOKEN)},
				.batch = {.max = 1},
				.breaker = {.failures = 3, .min_ms = 10, .max_ms = 100},
			},
		.events = {.type = text("t")},
	};
}

static void http_end(void)
{
	MHD_stop_daemon(daemon_);
	proxy_free(proxy);
	for (size_t i = 0; i < arrived.n; i++)
		message_unref(arrived.items[i]);
	free(arrived.items);
	arrived = (struct arrivals){NULL, 0};
}

static const void *http_settings(void)
{
	return &settings;
}

static const void *http_wrong_credentials(void)
{
	settings.out.auth.token = text("wrong");
	return &settings;
}

static void http_lose(void)
{
	proxy_cut(proxy);
}

static void http_find(void)
{
	proxy_pass(proxy);
}

static void http_slow(void)
{
	proxy_stall(proxy);
}

static const struct arrivals *http_arrived(void)
{
	static struct arrivals seen;
	static struct message **copy;
	pthread_mutex_lock(&mutex);
	copy = realloc(copy, (arrived.n + 1) * sizeof *copy);
	if (!copy)
		bail("memory");
	if (arrived.n > 0)
		memcpy(copy, arrived.items, arrived.n * sizeof *copy);
	seen = (struct arrivals){copy, arrived.n};
	pthread_mutex_unlock(&mutex);
	return &seen;
}

int main(void)
{
	static const struct peer peer = {
		.name = "conformance http out",
		.connector = &http_connector,
		.begin = http_begin,
		.end = http_end,
		.settings = http_settings,
		.wrong_credentials = http_wrong_credentials,
		.lose = http_lose,
		.find = http_find,
		.slow = http_slow,
		.target = "/in",
		.max_payload = MAX_PAYLOAD,
		.qos = 1,
		.arrived = http_arrived,
		.sessionless = true,
	};
	return conformance_main(&peer);
}
