/* SPDX-License-Identifier: Apache-2.0
 *
 * CloudEvents, byte for byte. (tests/integration/webhooks_field.py lets the official SDK read them.)
 */
#include <errno.h>
#include <string.h>

#include "connectors/common/cloudevent.h"
#include "routing/json.h"
#include "tests/unit/tap.h"

#define TIME_MS 1614265330123u

static struct cloudevent an_event(void)
{
	return (struct cloudevent){.id = slice_str("msg_a.1"),
		.source = slice_str("linkspan/plant"),
		.type = slice_str("io.linkspan.message"),
		.subject = slice_str("line/7"),
		.time_ms = TIME_MS};
}

static struct message_view a_view(const char *content_type, const char *payload)
{
	return (struct message_view){
		.topic = slice_str("t"), .content_type = slice_str(content_type), .payload = slice_str(payload)};
}

static void assert_data(const struct message_view *view, const char *expected)
{
	struct buffer out;
	buffer_init(&out, 4096);
	struct cloudevent event = {.id = slice_str("1"), .source = slice_str("s"), .type = slice_str("t")};
	CU_ASSERT_EQUAL(cloudevent_append(&event, view, &out), 0);
	CU_ASSERT_PTR_NULL(json_check(buffer_slice(&out), NULL));
	static const char before[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"";
	CU_ASSERT_FATAL(out.len >= strlen(before) && memcmp(out.data, before, strlen(before)) == 0);
	struct slice rest = slice_of(out.data + strlen(before), out.len - strlen(before) - 1);
	CU_ASSERT_TRUE(slice_equal(rest, slice_str(expected)));
	if (!slice_equal(rest, slice_str(expected)))
		printf("# %.*s\n", (int)rest.len, (const char *)rest.data);
	buffer_free(&out);
}

static void test_structured(void)
{
	struct buffer out;
	buffer_init(&out, 4096);
	struct cloudevent event = an_event();
	struct message_view view = a_view("application/json", "{\"n\": 12345678901234567890.10}");
	CU_ASSERT_EQUAL(cloudevent_append(&event, &view, &out), 0);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&out),
		slice_str("{\"specversion\":\"1.0\",\"id\":\"msg_a.1\",\"source\":\"linkspan/plant\","
			  "\"type\":\"io.linkspan.message\",\"subject\":\"line/7\","
			  "\"time\":\"2021-02-25T15:02:10.123Z\",\"datacontenttype\":\"application/json\","
			  "\"data\":{\"n\": 12345678901234567890.10}}")));
	buffer_free(&out);
}

static void test_data(void)
{
	struct message_view view = a_view("application/json; charset=utf-8", " 1e400 ");
	assert_data(&view, ",\"datacontenttype\":\"application/json; charset=utf-8\",\"data\": 1e400 ");
	view = a_view("application/vnd.x+JSON", "[]");
	assert_data(&view, ",\"datacontenttype\":\"application/vnd.x+JSON\",\"data\":[]");
	view = a_view("application/json", "{");
	assert_data(&view, ",\"datacontenttype\":\"application/json\",\"data_base64\":\"ew==\"");
	view = a_view("text/plain", "a\"\\\n\r\t\x01\xc3\xa4");
	assert_data(&view, ",\"datacontenttype\":\"text/plain\",\"data\":\"a\\\"\\\\\\n\\r\\t\\u0001\xc3\xa4\"");
	view = a_view("text/plain", "\xff\xfe\xfd\xfc");
	assert_data(&view, ",\"datacontenttype\":\"text/plain\",\"data_base64\":\"//79/A==\"");
	view = a_view("application/octet-stream", "abc");
	assert_data(&view, ",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"YWJj\"");
	view = a_view("application/cbor", "ab");
	assert_data(&view, ",\"datacontenttype\":\"application/cbor\",\"data_base64\":\"YWI=\"");
	view = a_view(NULL, "abc");
	assert_data(&view, ",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"YWJj\"");
	view.utf8_payload = true;
	assert_data(&view, ",\"datacontenttype\":\"text/plain; charset=utf-8\",\"data\":\"abc\"");
	view = a_view("text/plain", "");
	assert_data(&view, ",\"datacontenttype\":\"text/plain\",\"data\":\"\"");
	view = a_view(NULL, NULL);
	assert_data(&view, "");
	view = a_view("application/json", NULL);
	assert_data(&view, ",\"datacontenttype\":\"application/json\"");
}

static void test_json_types(void)
{
	static const char *const yes[] = {
		"application/json", "Application/JSON;charset=utf-8", "text/json", "application/ld+json ; x=y"};
	static const char *const no[] = {
		"", "application/jsonp", "text/plain; x=/json", "json", "application/json-seq"};
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		CU_ASSERT_TRUE(cloudevent_is_json(slice_str(yes[i])));
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		CU_ASSERT_FALSE(cloudevent_is_json(slice_str(no[i])));
	CU_ASSERT_FALSE(cloudevent_is_json((struct slice){NULL, 0}));
}

static void test_limit(void)
{
	struct buffer out;
	buffer_init(&out, 40);
	struct cloudevent event = an_event();
	struct message_view view = a_view("text/plain", "x");
	CU_ASSERT_EQUAL(buffer_append(&out, slice_str("[")), 0);
	CU_ASSERT_EQUAL(cloudevent_append(&event, &view, &out), -ENOBUFS);
	CU_ASSERT_EQUAL(out.len, 1);
	buffer_free(&out);
}

static void assert_field(const struct message_field *fields, size_t n, const char *name, const char *value)
{
	struct message_view view = {.headers = fields, .n_headers = n};
	CU_ASSERT_TRUE(slice_equal(message_header(&view, name), slice_str(value)));
}

static void test_binary(void)
{
	struct arena arena = {0};
	struct message_field *fields;
	struct cloudevent event = an_event();
	size_t n = 0;
	event.source = slice_str("urn:plant 7/\xc3\xa4");
	event.subject = slice_str("Euro \xe2\x82\xac \xf0\x9f\x98\x80 100% \"q\"");
	CU_ASSERT_EQUAL(cloudevent_fields(&event, &cloudevent_http, &arena, &fields, &n), 0);
	CU_ASSERT_EQUAL(n, 6);
	assert_field(fields, n, "ce-specversion", "1.0");
	assert_field(fields, n, "ce-id", "msg_a.1");
	assert_field(fields, n, "ce-type", "io.linkspan.message");
	assert_field(fields, n, "ce-time", "2021-02-25T15:02:10.123Z");
	/* A URI reference first, and its percent signs are encoded as any. */
	assert_field(fields, n, "ce-source", "urn:plant%25207/%25C3%25A4");
	/* The example of the HTTP binding, §3.1.3.2, with more. */
	assert_field(fields, n, "ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80%20100%25%20%22q%22");
	event.subject = (struct slice){NULL, 0};
	event.time_ms = 0;
	CU_ASSERT_EQUAL(cloudevent_fields(&event, &cloudevent_http, &arena, &fields, &n), 0);
	CU_ASSERT_EQUAL(n, 4);
	arena_free(&arena);
}

/* Kafka and MQTT take UTF-8 as it is. */
static void test_prefixes(void)
{
	struct arena arena = {0};
	struct message_field *fields;
	const struct message_field headers[] = {
		{slice_str("ce-plant"), slice_str("Nord \xc3\xa4")},
		{slice_str("ce-plant"), slice_str("again")},
		{slice_str("ce-id"), slice_str("another")},
		{slice_str("ce-binary"), slice_str("\xff")},
		{slice_str("ce-Upper"), slice_str("x")},
		{slice_str("ce-data"), slice_str("x")},
		{slice_str("other"), slice_str("x")},
	};
	struct cloudevent event = an_event();
	size_t n = 0;
	event.headers = headers;
	event.n_headers = sizeof headers / sizeof headers[0];
	event.subject = slice_str("a \xc3\xa4 %");
	CU_ASSERT_EQUAL(cloudevent_fields(&event, &cloudevent_kafka, &arena, &fields, &n), 0);
	CU_ASSERT_EQUAL(n, 7);
	assert_field(fields, n, "ce_specversion", "1.0");
	assert_field(fields, n, "ce_id", "msg_a.1");
	assert_field(fields, n, "ce_subject", "a \xc3\xa4 %");
	assert_field(fields, n, "ce_plant", "Nord \xc3\xa4");
	CU_ASSERT_EQUAL(cloudevent_fields(&event, &cloudevent_mqtt, &arena, &fields, &n), 0);
	CU_ASSERT_EQUAL(n, 7);
	assert_field(fields, n, "specversion", "1.0");
	assert_field(fields, n, "plant", "Nord \xc3\xa4");
	CU_ASSERT_EQUAL(cloudevent_fields(&event, &cloudevent_http, &arena, &fields, &n), 0);
	assert_field(fields, n, "ce-plant", "Nord%20%C3%A4");

	struct buffer out;
	struct message_view view = a_view("application/json", "1");
	buffer_init(&out, 4096);
	CU_ASSERT_EQUAL(cloudevent_append(&event, &view, &out), 0);
	static const char end[] = "\"plant\":\"Nord \xc3\xa4\",\"datacontenttype\":\"application/json\",\"data\":1}";
	CU_ASSERT_TRUE(out.len > strlen(end) && memcmp(out.data + out.len - strlen(end), end, strlen(end)) == 0);
	buffer_free(&out);
	arena_free(&arena);
}

static void assert_decoded(const char *text, const char *expected)
{
	struct arena arena = {0};
	struct slice decoded;
	int err = cloudevent_percent_decode(slice_str(text), &arena, &decoded);
	CU_ASSERT_EQUAL(err, expected ? 0 : -EINVAL);
	CU_ASSERT_TRUE(!expected || slice_equal(decoded, slice_str(expected)));
	arena_free(&arena);
}

/* HTTP binding §3.1.3.2: quoted strings, then one round of decoding. */
static void test_percent_decoding(void)
{
	assert_decoded("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_decoded("%2525", "%25");
	assert_decoded("plain", "plain");
	assert_decoded("", "");
	assert_decoded("100%", "100%");
	assert_decoded("%4", "%4");
	assert_decoded("%zz%41", "%zzA");
	assert_decoded("\"a\\\"b%20c\"", "a\"b c");
	assert_decoded("\"", "\"");
	assert_decoded("\"\"", "");
	assert_decoded("%ff", NULL);
	assert_decoded("\xff", NULL);
}

static void test_of_headers(void)
{
	struct message_field headers[] = {
		{slice_str("ce-specversion"), slice_str("1.0")},
		{slice_str("ce-id"), slice_str("7")},
		{slice_str("ce-source"), slice_str("/s")},
		{slice_str("ce-type"), slice_str("t")},
		{slice_str("ce-time"), slice_str("2021-02-25T15:02:10Z")},
	};
	struct message_view view = {.headers = headers, .n_headers = 5};
	struct cloudevent event;
	CU_ASSERT_TRUE(cloudevent_of_headers(&view, &event));
	CU_ASSERT_TRUE(slice_equal(event.id, slice_str("7")));
	CU_ASSERT_TRUE(slice_equal(event.time, slice_str("2021-02-25T15:02:10Z")));
	headers[0].value = slice_str("0.3");
	CU_ASSERT_FALSE(cloudevent_of_headers(&view, &event));
	headers[0].value = slice_str("1.0");
	headers[3].value = slice_str("a\n");
	CU_ASSERT_FALSE(cloudevent_of_headers(&view, &event));
	headers[3].value = slice_str("");
	CU_ASSERT_FALSE(cloudevent_of_headers(&view, &event));
	view.n_headers = 3;
	CU_ASSERT_FALSE(cloudevent_of_headers(&view, &event));
}

static void test_check(void)
{
	struct cloudevent event = an_event();
	CU_ASSERT_PTR_NULL(cloudevent_check(&event));
	event.subject = (struct slice){NULL, 0};
	CU_ASSERT_PTR_NULL(cloudevent_check(&event));
	event.subject = slice_str("a\nb");
	CU_ASSERT_PTR_NOT_NULL(cloudevent_check(&event));
	event.subject = slice_str("\xff");
	CU_ASSERT_PTR_NOT_NULL(cloudevent_check(&event));
	event = an_event();
	event.type = slice_str("");
	CU_ASSERT_PTR_NOT_NULL(cloudevent_check(&event));
	event = an_event();
	event.source = slice_str("");
	CU_ASSERT_PTR_NOT_NULL(cloudevent_check(&event));
	event = an_event();
	event.id = slice_str("");
	CU_ASSERT_PTR_NOT_NULL(cloudevent_check(&event));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"structured", test_structured},
		{"data", test_data},
		{"content types that are JSON", test_json_types},
		{"a full buffer", test_limit},
		{"binary", test_binary},
		{"prefixes, and attributes of other names", test_prefixes},
		{"percent-decoding", test_percent_decoding},
		{"headers that are an event", test_of_headers},
		{"events that are none", test_check},
		{NULL, NULL},
	};
	return tap_main("common cloudevent", tests);
}
