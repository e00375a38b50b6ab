/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP sender in what the suite does not know: batches, answers that are given back, messages without order. A real HTTP
 * server that keeps what it gets, answers the first requests with 503 and then says thanks.
 */
#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/http/http.h"
#include "connectors/http/settings.h"
#include "message/buffer.h"
#include "tests/conformance/fake_host.h"
#include "tests/unit/tap.h"

#define MAX_REQUESTS 64u

struct request {
	char id[128];
	char body[512];
};

static struct MHD_Daemon *server;
static struct http_settings settings;
static char url[64];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct request requests[MAX_REQUESTS]; /* these are guarded by mutex */
static size_t n_requests;
static unsigned n_refuse;

/* --- the server --------------------------------------------------------------------------------------------------- */

static unsigned keep(struct MHD_Connection *connection, const struct buffer *body)
{
	const char *id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "webhook-id");
	pthread_mutex_lock(&mutex);
	if (n_requests < MAX_REQUESTS) {
		struct request *request = &requests[n_requests++];
		snprintf(request->id, sizeof request->id, "%s", id ? id : "");
		snprintf(request->body, sizeof request->body, "%.*s", (int)body->len, (const char *)body->data);
	}
	bool refused = n_refuse > 0;
	n_refuse -= refused;
	pthread_mutex_unlock(&mutex);
	return refused ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
	const char *version, const char *data, size_t *len, void **seen)
{
	static char text[] = "thanks";
	struct buffer *body = *seen;
	(void)arg, (void)path, (void)method, (void)version;
	if (!body) {
		*seen = body = calloc(1, sizeof *body);
		if (!body)
			return MHD_NO;
		buffer_init(body, 10000);
		return MHD_YES;
	}
	if (*len > 0) {
		if (buffer_append(body, slice_of(data, *len)) < 0)
			return MHD_NO;
		*len = 0;
		return MHD_YES;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r = MHD_queue_response(connection, keep(connection, body), response);
	MHD_destroy_response(response);
	return r;
}

static void on_completed(
	void *arg, struct MHD_Connection *connection, void **seen, enum MHD_RequestTerminationCode code)
{
	(void)arg, (void)connection, (void)code;
	if (*seen)
		buffer_free(*seen);
	free(*seen);
}

/* --- the cases ---------------------------------------------------------------------------------------------------- */

static struct fake_host *begin(unsigned refuse, int64_t batch)
{
	n_requests = 0;
	n_refuse = refuse;
	server = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", info->port);
	settings = (struct http_settings){
		.url = url,
		.out =
			{
				.timeout_ms = 30000,
				.connect_timeout_ms = 10000,
				.concurrency = 4,
				.batch = {.max = batch, .max_bytes = 1 << 20},
				.breaker = {.failures = 100, .min_ms = 10, .max_ms = 100},
			},
	};
	struct fake_host *fake = fake_host_new(&http_connector, &settings, true, NULL, 0);
	fake->resend_retries = true;
	return fake;
}

static void end(struct fake_host *fake)
{
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	fake_host_free(fake);
	MHD_stop_daemon(server);
}

static void deliver(struct fake_host *fake, unsigned first, unsigned last, const char *topic)
{
	static const struct message_field wanted = {{(const uint8_t *)MESSAGE_REPLY, sizeof MESSAGE_REPLY - 1},
		{(const uint8_t *)"broker", sizeof "broker" - 1}};
	for (unsigned n = first; n <= last; n++) {
		char text[16];
		snprintf(text, sizeof text, "%u", n);
		struct message_view view = {.topic = slice_str(topic),
			.order_key = slice_str("k"),
			.payload = slice_str(text),
			.params = &wanted,
			.n_params = 1};
		fake_host_deliver(fake, &view);
	}
}

/* The same bytes under the same id until they are taken. */
static void test_batches(void)
{
	struct fake_host *fake = begin(2, 10);
	deliver(fake, 1, 25, "/all");
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL_FATAL(n_requests, 5);
	CU_ASSERT_EQUAL(fake->n_batches, 5);
	for (unsigned i = 1; i < 3; i++) {
		CU_ASSERT_STRING_EQUAL(requests[i].id, requests[0].id);
		CU_ASSERT_STRING_EQUAL(requests[i].body, requests[0].body);
	}
	CU_ASSERT_STRING_EQUAL(requests[2].body, "[1,2,3,4,5,6,7,8,9,10]");
	CU_ASSERT_STRING_EQUAL(requests[4].body, "[21,22,23,24,25]");
	CU_ASSERT_STRING_NOT_EQUAL(requests[3].id, requests[2].id);
	for (uint64_t seq = 1; seq <= 25; seq++) {
		CU_ASSERT_EQUAL(fake_host_delivery(fake, seq)->outcome, OUTCOME_DELIVERED);
		CU_ASSERT_EQUAL(fake_host_delivery(fake, seq)->retries, seq <= 10 ? 2 : 0);
		CU_ASSERT_PTR_NULL(fake_host_delivery(fake, seq)->reply);
	}
	end(fake);
}

/* One request has one path. */
static void test_batches_by_path(void)
{
	struct fake_host *fake = begin(0, 10);
	deliver(fake, 1, 3, "/a");
	deliver(fake, 4, 5, "/b");
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL_FATAL(n_requests, 2);
	CU_ASSERT_STRING_EQUAL(requests[0].body, "[1,2,3]");
	CU_ASSERT_STRING_EQUAL(requests[1].body, "[4,5]");
	end(fake);
}

static void test_replies(void)
{
	struct fake_host *fake = begin(1, 1);
	deliver(fake, 1, 3, "/ask");
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_requests, 4);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		const struct message *reply = fake_host_delivery(fake, seq)->reply;
		CU_ASSERT_PTR_NOT_NULL_FATAL(reply);
		CU_ASSERT(slice_equal(message_view(reply)->payload, slice_str("thanks")));
		CU_ASSERT(slice_equal(message_header(message_view(reply), "http-status"), slice_str("200")));
	}
	end(fake);
}

/* Four of one key at a time. */
static void test_unordered(void)
{
	struct fake_host *fake = begin(0, 1);
	settings.out.order = HTTP_ORDER_NONE;
	deliver(fake, 1, 40, "/any");
	fake_host_start(fake);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(n_requests, 40);
	CU_ASSERT(fake->most_in_flight == 4);
	end(fake);
}

static const struct tap_test tests[] = {
	{"batches", test_batches},
	{"batches by path", test_batches_by_path},
	{"replies", test_replies},
	{"unordered", test_unordered},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("conformance http batches", tests);
}
