/* SPDX-License-Identifier: Apache-2.0
 *
 * From messages to requests, without a network: what is the same at each attempt, and what must never go out.
 */
#include <errno.h>
#include <stdio.h>

#include "connectors/http/out_request.h"
#include "routing/arena.h"
#include "tests/unit/tap.h"

static const uint8_t uuid[16] = {0};

static struct {
	struct loop *loop;
	struct http_client *client;
	struct http_call *call;
	struct http_settings settings;
	struct arena arena;
	struct buffer body;
	const char *reason;
} rig;

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void on_done(struct http_call *call, void *arg)
{
	(void)call, (void)arg;
}

static void begin(const char *url)
{
	rig.loop = loop_new_simulated(1000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig.loop);
	struct http_client_options options = {.loop = rig.loop,
		.calls = 1,
		.connections = 1,
		.timeout_ms = 1000,
		.connect_timeout_ms = 1000,
		.on_done = on_done};
	rig.client = http_client_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig.client);
	rig.call = http_client_take(rig.client);
	CU_ASSERT_PTR_NULL(http_client_take(rig.client));
	rig.settings =
		(struct http_settings){.url = text(url), .out = {.batch = {.max = 1}}, .events = {.type = text("t")}};
	buffer_init(&rig.body, 4096);
}

static void end(void)
{
	http_client_give_back(rig.call);
	http_client_free(rig.client);
	buffer_free(&rig.body);
	arena_free(&rig.arena);
	loop_free(rig.loop);
}

static int make_load(const struct http_load *load, const char *authorization)
{
	struct http_maker maker = {.name = "hook", .settings = &rig.settings, .arena = &rig.arena};
	struct http_attempt attempt = {.wall_ms = 5000, .clock_ms = 5000, .authorization = authorization};
	return http_request_make(&maker, load, &attempt, &rig.body, rig.call, &rig.reason);
}

/* One message. The call borrows its payload no longer than this. */
static int make(const struct message_view *view, const char *authorization)
{
	struct message *msg = message_new(view);
	struct http_member member = {.seq = 7, .msg = msg};
	struct http_load load = {.destination_uuid = uuid, .members = &member, .n = 1};
	int err = make_load(&load, authorization);
	message_unref(msg);
	return err;
}

static struct message_view a_message(void)
{
	return (struct message_view){
		.topic = slice_str(""), .order_key = slice_str("k"), .payload = slice_str("p"), .origin_ms = 1000};
}

static const char *line(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < rig.call->n_lines; i++) {
		const char *found = (const char *)rig.call->lines.data + rig.call->offsets[i];
		if (strncmp(found, name, len) == 0 && (found[len] == ':' || found[len] == ';'))
			return found + len;
	}
	return "(none)";
}

static void check_url(const char *url, const char *path, const char *expected)
{
	begin(url);
	struct message_view view = a_message();
	view.topic = slice_str(path);
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_STRING_EQUAL((const char *)rig.call->url.data, expected);
	CU_ASSERT_FALSE(rig.call->guarded);
	end();
}

static void test_urls(void)
{
	check_url("https://h", "", "https://h");
	check_url("https://h/base", "/a/b?x=1", "https://h/base/a/b?x=1");
	check_url("https://h/base/", "/a", "https://h/base/a");
	check_url("https://h/base/", "", "https://h/base/");
	check_url("https://h/base", "?x=1", "https://h/base?x=1");
	check_url("https://h/base?key=1", "", "https://h/base?key=1");
}

static void test_headers(void)
{
	static const struct message_field headers[] = {
		{{(const uint8_t *)"x-a", 3}, {(const uint8_t *)"1", 1}},
		{{(const uint8_t *)"x-empty", 7}, {(const uint8_t *)"", 0}},
		{{(const uint8_t *)"content-length", 14}, {(const uint8_t *)"999", 3}},
		{{(const uint8_t *)"Transfer-Encoding", 17}, {(const uint8_t *)"chunked", 7}},
	};
	begin("https://h");
	struct message_view view = a_message();
	view.headers = headers;
	view.n_headers = 4;
	CU_ASSERT_EQUAL(make(&view, "Bearer x"), 0);
	CU_ASSERT_STRING_EQUAL(line("x-a"), ": 1");
	CU_ASSERT_STRING_EQUAL(line("x-empty"), ";");
	CU_ASSERT_STRING_EQUAL(line("content-length"), "(none)");
	CU_ASSERT_STRING_EQUAL(line("Transfer-Encoding"), "(none)");
	CU_ASSERT_STRING_EQUAL(line("content-type"), ": application/octet-stream");
	CU_ASSERT_STRING_EQUAL(line("authorization"), ": Bearer x");
	CU_ASSERT_STRING_EQUAL(line("webhook-id"), ": msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.7");
	CU_ASSERT_STRING_EQUAL(line("idempotency-key"), ": \"msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.7\"");
	CU_ASSERT_STRING_EQUAL(line("Expect"), "(none)");
	CU_ASSERT_STRING_EQUAL(line("linkspan-waited-ms"), "(none)");
	CU_ASSERT_STRING_EQUAL(line("webhook-signature"), "(none)");
	CU_ASSERT_STRING_EQUAL(rig.call->method, "POST");
	view.waits = true;
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_STRING_EQUAL(line("linkspan-waited-ms"), ": 4000");
	CU_ASSERT_STRING_EQUAL(line("authorization"), "(none)");
	static const uint8_t long_body[1001];
	view.payload = slice_of(long_body, sizeof long_body);
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_STRING_EQUAL(line("Expect"), ":");
	end();
}

static void check_refused(struct message_view view, const char *word)
{
	CU_ASSERT_EQUAL(make(&view, NULL), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.reason, word));
	if (!strstr(rig.reason, word))
		printf("# %s\n", rig.reason);
}

static struct message_view with_param(const char *name, const char *value)
{
	static struct message_field param;
	param = (struct message_field){slice_str(name), slice_str(value)};
	struct message_view view = a_message();
	view.params = &param;
	view.n_params = 1;
	return view;
}

/* What came into the queue by hand has passed no mapping. */
static void test_refusals(void)
{
	static const struct message_field broken = {{(const uint8_t *)"x", 1}, {(const uint8_t *)"1\r\ny: 2", 7}};
	begin("https://h");
	struct message_view view = a_message();
	view.topic = slice_str("plant/1");
	check_refused(view, "begins with /");
	view.topic = slice_str("/a/../b");
	check_refused(view, "..");
	view = a_message();
	view.headers = &broken;
	view.n_headers = 1;
	check_refused(view, "control characters");
	view = a_message();
	view.content_type = slice_str("text/plain\nx: y");
	check_refused(view, "content-type");
	check_refused(with_param("method", "post"), "method");
	check_refused(with_param("method", "TRACE"), "method");
	check_refused(with_param("url", "gopher://x"), "http://");
	check_refused(with_param("url", ""), "http://");
	check_refused(with_param("url", "https://u:p@h/"), "user name");
	end();
}

static void test_elsewhere(void)
{
	begin("https://h/base");
	struct message_view view = with_param("url", "https://other/x");
	CU_ASSERT_TRUE(http_request_is_elsewhere(&view));
	CU_ASSERT_EQUAL(make(&view, "Bearer x"), 0);
	CU_ASSERT_STRING_EQUAL((const char *)rig.call->url.data, "https://other/x");
	CU_ASSERT_STRING_EQUAL(line("authorization"), "(none)");
	CU_ASSERT_TRUE(rig.call->guarded);
	view = with_param("url", "HTTPS://H:443/x");
	CU_ASSERT_EQUAL(make(&view, "Bearer x"), 0);
	CU_ASSERT_STRING_EQUAL(line("authorization"), ": Bearer x");
	CU_ASSERT_TRUE(rig.call->guarded); /* of the same host, but the message's word */
	rig.settings.out.allow_private = true;
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_FALSE(rig.call->guarded);
	end();
}

static void test_methods(void)
{
	begin("https://h");
	struct message_view view = with_param("method", "GET");
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_TRUE(rig.call->no_body);
	CU_ASSERT_STRING_EQUAL(line("content-type"), "(none)");
	view = with_param("method", "DELETE");
	CU_ASSERT_EQUAL(make(&view, NULL), 0);
	CU_ASSERT_FALSE(rig.call->no_body);
	CU_ASSERT_STRING_EQUAL(rig.call->method, "DELETE");
	end();
}

static void test_batch(void)
{
	begin("https://h");
	rig.settings.out.batch.max = 3;
	struct message_view view = a_message();
	struct message *one = message_new(&view);
	view.payload = slice_str("{\"a\": 2}");
	struct message *two = message_new(&view);
	struct http_member members[] = {{.seq = 4, .msg = one}, {.seq = 5, .msg = two}};
	struct http_load load = {
		.destination_uuid = uuid, .members = members, .n = 2, .batch_first = 4, .batch_last = 5};
	CU_ASSERT_EQUAL(make_load(&load, NULL), 0);
	CU_ASSERT_TRUE(slice_equal(rig.call->body, slice_str("[\"p\",{\"a\": 2}]")));
	CU_ASSERT_STRING_EQUAL(line("webhook-id"), ": msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.4-5");
	CU_ASSERT_STRING_EQUAL(line("content-type"), ": application/json");
	rig.settings.out.batch.format = HTTP_BATCH_NDJSON;
	CU_ASSERT_EQUAL(make_load(&load, NULL), 0);
	CU_ASSERT_TRUE(slice_equal(rig.call->body, slice_str("\"p\"\n{\"a\": 2}\n")));
	CU_ASSERT_STRING_EQUAL(line("content-type"), ": application/x-ndjson");
	message_unref(one);
	message_unref(two);
	end();
}

static void test_same_batch(void)
{
	static const struct message_field headers[] = {{{(const uint8_t *)"x", 1}, {(const uint8_t *)"1", 1}}};
	struct message_view a = a_message(), b = a_message();
	b.payload = slice_str("other");
	b.order_key = slice_str("other");
	CU_ASSERT_TRUE(http_same_batch(&rig.settings, &a, &b));
	b.topic = slice_str("/x");
	CU_ASSERT_FALSE(http_same_batch(&rig.settings, &a, &b));
	b = a_message();
	b.content_type = slice_str("text/plain");
	CU_ASSERT_FALSE(http_same_batch(&rig.settings, &a, &b));
	b = a_message();
	b.headers = headers;
	b.n_headers = 1;
	CU_ASSERT_FALSE(http_same_batch(&rig.settings, &a, &b));
	b = with_param("url", "https://x");
	CU_ASSERT_FALSE(http_same_batch(&rig.settings, &a, &b));
	b = with_param("method", "PUT");
	CU_ASSERT_FALSE(http_same_batch(&rig.settings, &a, &b));
}

static int redirect(const char *url, long status)
{
	struct http_maker maker = {.name = "hook", .settings = &rig.settings, .arena = &rig.arena};
	return http_request_redirect(&maker, url, status, rig.call, &rig.reason);
}

static void test_redirects(void)
{
	begin("https://h/base");
	struct message_view view = a_message();
	CU_ASSERT_EQUAL(make(&view, "Bearer x"), 0);
	CU_ASSERT_EQUAL(redirect("https://h/other", 307), 0);
	CU_ASSERT_STRING_EQUAL((const char *)rig.call->url.data, "https://h/other");
	CU_ASSERT_STRING_EQUAL(line("authorization"), ": Bearer x");
	CU_ASSERT_STRING_EQUAL(rig.call->method, "POST");
	CU_ASSERT_FALSE(rig.call->guarded);
	CU_ASSERT_EQUAL(redirect("http://h/other", 307), -EINVAL);
	CU_ASSERT_EQUAL(redirect("file:///etc/passwd", 307), -EINVAL);
	CU_ASSERT_EQUAL(redirect("https://elsewhere/", 308), 0);
	CU_ASSERT_STRING_EQUAL(line("authorization"), "(none)");
	CU_ASSERT_TRUE(rig.call->guarded);
	CU_ASSERT_EQUAL(redirect("https://elsewhere/again", 303), 0);
	CU_ASSERT_STRING_EQUAL(rig.call->method, "GET");
	CU_ASSERT_TRUE(rig.call->no_body);
	CU_ASSERT_TRUE(rig.call->guarded);
	CU_ASSERT_STRING_EQUAL(line("content-type"), "(none)");
	end();
}

static void test_same_origin(void)
{
	CU_ASSERT_TRUE(http_same_origin("https://h/a", "https://H:443/b?c"));
	CU_ASSERT_TRUE(http_same_origin("http://h:80", "HTTP://h"));
	CU_ASSERT_FALSE(http_same_origin("https://h/", "http://h/"));
	CU_ASSERT_FALSE(http_same_origin("https://h/", "https://h:444/"));
	CU_ASSERT_FALSE(http_same_origin("https://h/", "https://h.example/"));
	CU_ASSERT_FALSE(http_same_origin("https://h/", "nonsense://"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"url and path become one", test_urls},
		{"headers", test_headers},
		{"what can never be sent", test_refusals},
		{"a URL of the message: guarded, and without credentials on another host", test_elsewhere},
		{"methods", test_methods},
		{"a batch", test_batch},
		{"what may share a batch", test_same_batch},
		{"redirects", test_redirects},
		{"origins", test_same_origin},
		{NULL, NULL},
	};
	return tap_main("http request", tests);
}
