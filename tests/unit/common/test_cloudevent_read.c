/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as other programs write them, in each protocol's form.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/common/cloudevent_read.h"
#include "tests/unit/tap.h"

static struct arena arena;
static const char *wrong;

static void assert_header(const struct message_view *view, const char *name, const char *value)
{
	struct slice got = message_header(view, name);
	CU_ASSERT_EQUAL(got.data != NULL, value != NULL);
	CU_ASSERT_TRUE(slice_equal(got, slice_str(value)));
	if (!slice_equal(got, slice_str(value)))
		printf("# %s: %.*s\n", name, (int)got.len, got.data ? (const char *)got.data : "");
}

static void test_mqtt(void)
{
	const struct message_field headers[] = {
		{slice_str("specversion"), slice_str("1.0")},
		{slice_str("type"), slice_str("com.example.reading")},
		{slice_str("id"), slice_str("1234")},
		{slice_str("source"), slice_str("/plant/7%20a")},
		{slice_str("plant"), slice_str("north")},
		{slice_str("datacontenttype"), slice_str("application/json")},
		{slice_str("linkspan-hops"), slice_str("1")},
	};
	struct message_view view = {.payload = slice_str("{}"), .headers = headers, .n_headers = 7};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_mqtt, false, &arena, &view, &wrong), CLOUDEVENT_READ);
	assert_header(&view, "ce-id", "1234");
	assert_header(&view, "ce-source", "/plant/7%20a"); /* as it stands: only HTTP encodes */
	assert_header(&view, "ce-type", "com.example.reading");
	assert_header(&view, "ce-plant", "north");
	assert_header(&view, "ce-datacontenttype", NULL);
	assert_header(&view, "id", NULL);
	assert_header(&view, "linkspan-hops", "1");
	CU_ASSERT_TRUE(slice_equal(view.content_type, slice_str("application/json")));
	CU_ASSERT_EQUAL(view.n_headers, 6);

	struct message_view other = {.headers = headers + 1, .n_headers = 6};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_mqtt, false, &arena, &other, &wrong), CLOUDEVENT_NONE);
	CU_ASSERT_PTR_EQUAL(other.headers, headers + 1);
}

static void test_kafka_and_http(void)
{
	struct message_field headers[] = {
		{slice_str("ce_specversion"), slice_str("1.0")},
		{slice_str("ce_type"), slice_str("t")},
		{slice_str("ce_id"), slice_str("1%20")},
		{slice_str("ce_source"), slice_str("/s")},
		{slice_str("id"), slice_str("mine")},
		{slice_str("ce_Odd"), slice_str("x")},
	};
	struct message_view view = {.headers = headers, .n_headers = 6, .content_type = slice_str("text/plain")};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_kafka, false, &arena, &view, &wrong), CLOUDEVENT_READ);
	assert_header(&view, "ce-id", "1%20");
	assert_header(&view, "id", "mine");
	assert_header(&view, "ce_Odd", "x");
	CU_ASSERT_PTR_NULL(view.payload.data); /* a tombstone stays one */
	CU_ASSERT_TRUE(slice_equal(view.content_type, slice_str("text/plain")));

	struct message_field of_http[] = {
		{slice_str("ce-specversion"), slice_str("1.0")},
		{slice_str("ce-type"), slice_str("t")},
		{slice_str("ce-id"), slice_str("%E2%82%AC")},
		{slice_str("ce-source"), slice_str("/s")},
	};
	view = (struct message_view){.headers = of_http, .n_headers = 4};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_http, false, &arena, &view, &wrong), CLOUDEVENT_READ);
	assert_header(&view, "ce-id", "\xe2\x82\xac");
	of_http[2].value = slice_str("%ff");
	view = (struct message_view){.headers = of_http, .n_headers = 4};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_http, false, &arena, &view, &wrong), CLOUDEVENT_BROKEN);
	of_http[2].value = slice_str("1");
	of_http[0].value = slice_str("0.3");
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_http, false, &arena, &view, &wrong), CLOUDEVENT_BROKEN);
	assert_header(&view, "ce-specversion", "0.3"); /* untouched */
}

static enum cloudevent_found read_json(const char *json, struct message_view *ret_view)
{
	*ret_view = (struct message_view){.payload = slice_str(json),
		.content_type = slice_str("Application/CloudEvents+json; charset=UTF-8"),
		.utf8_payload = true};
	return cloudevent_read(&cloudevent_mqtt, false, &arena, ret_view, &wrong);
}

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\""

static void assert_data(const char *members, const char *content_type, const char *payload)
{
	char json[512];
	struct message_view view;
	snprintf(json, sizeof json, HEAD "%s}", members);
	CU_ASSERT_EQUAL(read_json(json, &view), CLOUDEVENT_READ);
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str(payload)));
	CU_ASSERT_PTR_NOT_NULL(view.payload.data); /* null would be a tombstone */
	CU_ASSERT_TRUE(slice_equal(view.content_type, slice_str(content_type)));
	CU_ASSERT_FALSE(view.utf8_payload);
}

static void test_structured(void)
{
	struct message_view view;
	CU_ASSERT_EQUAL(
		read_json(" {\"data\": {\"n\": 12345678901234567890.10}, \"id\":\"a\\\"\\u00e4\", \"source\":\"/s\","
			  "\"specversion\":\"1.0\",\"type\":\"t\",\"plant\":\"north\",\"seqno\":7,\"live\":true,"
			  "\"subject\":null,\"camelCase\":\"x\"}",
			&view),
		CLOUDEVENT_READ);
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str("{\"n\": 12345678901234567890.10}")));
	CU_ASSERT_TRUE(slice_equal(view.content_type, slice_str("application/json")));
	assert_header(&view, "ce-id", "a\"\xc3\xa4");
	assert_header(&view, "ce-plant", "north");
	assert_header(&view, "ce-seqno", "7");
	assert_header(&view, "ce-live", "true");
	assert_header(&view, "ce-subject", NULL);
	assert_header(&view, "ce-camelCase", "x"); /* no legal attribute, and yet not lost */
	assert_data(",\"data\":\"text\"", "application/json", "\"text\"");
	assert_data(",\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"", "text/plain", "a\nb");
	assert_data(",\"datacontenttype\":\"text/json\",\"data\":\"a\\nb\"", "text/json", "\"a\\nb\"");
	assert_data(",\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"YWI=\"",
		"application/octet-stream", "ab");
	assert_data("", "", "");
	assert_data(",\"data\":null", "", "");
	assert_data(",\"id\":\"2\",\"data\":1", "application/json", "1"); /* the last of equal keys */
}

static void test_base64(void)
{
	struct message_view view;
	CU_ASSERT_EQUAL(read_json(HEAD ",\"data_base64\":\"AAEC/w==\"}", &view), CLOUDEVENT_READ);
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_of("\x00\x01\x02\xff", 4)));
	CU_ASSERT_PTR_NULL(view.content_type.data);
}

static void test_broken(void)
{
	static const char *const broken[] = {"", "[]", "1", "{", HEAD, HEAD ",\"data_base64\":\"?\"}",
		HEAD ",\"data_base64\":1}", "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
		"{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}",
		"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}",
		"{\"specversion\":\"1.0\",\"id\":\"1\\ud800\",\"source\":\"/s\",\"type\":\"t\"}"};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		struct message_view view;
		wrong = NULL;
		CU_ASSERT_EQUAL(read_json(broken[i], &view), CLOUDEVENT_BROKEN);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		CU_ASSERT_EQUAL(view.n_headers, 0);
		CU_ASSERT_TRUE(slice_equal(view.payload, slice_str(broken[i])));
	}
	struct message_view view = {
		.payload = slice_str("x"), .content_type = slice_str("application/cloudevents+avro")};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_kafka, false, &arena, &view, &wrong), CLOUDEVENT_BROKEN);
	view.content_type = slice_str("application/cloudevents-batch+json");
	view.payload = slice_str("[]");
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_kafka, false, &arena, &view, &wrong), CLOUDEVENT_BROKEN);
}

static void test_implied(void)
{
	struct message_view view = {.payload = slice_str(HEAD ",\"data\":5}")};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_mqtt, true, &arena, &view, &wrong), CLOUDEVENT_READ);
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str("5")));
	view = (struct message_view){.payload = slice_str("{\"specversion\":\"2\"}")};
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_mqtt, true, &arena, &view, &wrong), CLOUDEVENT_NONE);
	view.payload = slice_str("21.5");
	CU_ASSERT_EQUAL(cloudevent_read(&cloudevent_mqtt, true, &arena, &view, &wrong), CLOUDEVENT_NONE);
}

static void test_strip(void)
{
	const struct message_field headers[] = {{slice_str("ce-id"), slice_str("1")}, {slice_str("x"), slice_str("y")},
		{slice_str("ce-a"), slice_str("b")}};
	struct message_view view = {.headers = headers, .n_headers = 3};
	CU_ASSERT_EQUAL(cloudevent_strip(&arena, &view), 0);
	CU_ASSERT_EQUAL(view.n_headers, 1);
	assert_header(&view, "x", "y");
}

/* What cannot be read goes on as it came. */
static void test_reader(void)
{
	struct cloudevent_reader reader = {.binding = &cloudevent_mqtt, .connection = "plant"};
	struct message_view view = {.payload = slice_str(HEAD "}"), .content_type = slice_str(CLOUDEVENT_CONTENT_TYPE)};
	cloudevent_reader_read(&reader, false, &view);
	CU_ASSERT_EQUAL(view.n_headers, 0); /* it is off */
	reader.on = true;
	cloudevent_reader_read(&reader, false, &view);
	assert_header(&view, "ce-id", "1");
	view = (struct message_view){.payload = slice_str("{"), .content_type = slice_str(CLOUDEVENT_CONTENT_TYPE)};
	cloudevent_reader_read(&reader, false, &view);
	cloudevent_reader_read(&reader, false, &view);
	CU_ASSERT_EQUAL(reader.broken, 2);
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str("{")));
	cloudevent_reader_free(&reader);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"MQTT 5, binary", test_mqtt},
		{"Kafka and HTTP, binary", test_kafka_and_http},
		{"structured", test_structured},
		{"data in base64", test_base64},
		{"events that are none", test_broken},
		{"MQTT 3.1.1, where nothing says so", test_implied},
		{"without the attributes", test_strip},
		{"a source's reader", test_reader},
		{NULL, NULL},
	};
	int status = tap_main("common cloudevent_read", tests);
	arena_free(&arena);
	return status;
}
