/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that are read again while requests are under way. Nothing goes out here; what does is tested with real
 * servers (tests/conformance, tests/integration).
 */
#include <string.h>

#include "connectors/http/out_client.h"
#include "tests/unit/tap.h"

static struct loop *loop;
static struct http_client *client;

static void on_done(struct http_call *call, void *arg)
{
	(void)call, (void)arg;
}

static void begin(void)
{
	loop = loop_new_simulated(1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	struct http_client_options options = {.loop = loop,
		.calls = 2,
		.connections = 2,
		.timeout_ms = 1000,
		.connect_timeout_ms = 1000,
		.on_done = on_done};
	client = http_client_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
}

static void end(void)
{
	http_client_free(client);
	loop_free(loop);
}

static int read_files(const char *text)
{
	struct http_client_tls tls = {.ca = slice_str(text), .cert = slice_str(text), .key = slice_str(text)};
	return http_client_set_tls(client, &tls);
}

static void start(struct http_call *call)
{
	call->method = "GET";
	call->no_body = true;
	buffer_clear(&call->url);
	CU_ASSERT_EQUAL(buffer_append(&call->url, slice_of("https://127.0.0.1:9/", 21)), 0);
	CU_ASSERT_EQUAL(http_client_begin(call), 0);
}

static void on_abort(struct http_call *call, void *arg)
{
	(void)call;
	++*(unsigned *)arg;
}

/* libcurl reads what a handle holds as late as in the handshake. */
static void test_under_way(void)
{
	unsigned aborted = 0;
	begin();
	CU_ASSERT_EQUAL(read_files("one"), 0);
	struct http_call *busy = http_client_take(client), *idle = http_client_take(client);
	CU_ASSERT_FALSE(busy->tls_due);
	start(busy);
	CU_ASSERT_EQUAL(read_files("another one"), 0);
	CU_ASSERT_TRUE(busy->tls_due);
	CU_ASSERT_FALSE(idle->tls_due);
	CU_ASSERT_EQUAL(read_files("the last one"), 0);
	http_client_abort(client, on_abort, &aborted);
	CU_ASSERT_EQUAL(aborted, 1);
	start(busy);
	CU_ASSERT_FALSE(busy->tls_due);
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"certificates wait for the next request", test_under_way},
		{NULL, NULL},
	};
	return tap_main("http out client", tests);
}
