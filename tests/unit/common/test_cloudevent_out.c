/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as events by the keys of a connection and of a mapping, and events that pass through.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/common/cloudevent_out.h"
#include "connectors/common/cloudevent_read.h"
#include "tests/unit/tap.h"

static const uint8_t uuid[16];
#define ID "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.5"

static char type[] = "com.example.t", source[] = "/plant";

static struct cloudevents_settings settings = {.mode = CLOUDEVENTS_BINARY, .type = type, .source = source};
static struct cloudevent_writer writer;
static struct message_view out;
static const char *wrong;

static int make(const struct cloudevent_binding *binding, const struct message_view *view)
{
	cloudevent_writer_free(&writer);
	cloudevent_writer_init(&writer, &settings, binding, "lake");
	return cloudevent_writer_make(&writer, uuid, 5, view, &out, &wrong);
}

static void assert_header(const char *name, const char *value)
{
	struct slice got = message_header(&out, name);
	CU_ASSERT_EQUAL(got.data != NULL, value != NULL);
	CU_ASSERT_TRUE(slice_equal(got, slice_str(value)));
	if (!slice_equal(got, slice_str(value)))
		printf("# %s: %.*s\n", name, (int)got.len, got.data ? (const char *)got.data : "");
}

#define FIELD(name, value)                                                                                             \
	{                                                                                                              \
		{(const uint8_t *)(name), sizeof(name) - 1},                                                           \
		{                                                                                                      \
			(const uint8_t *)(value), sizeof(value) - 1                                                    \
		}                                                                                                      \
	}

static const struct message_field event_headers[] = {
	FIELD("ce-specversion", "1.0"),
	FIELD("ce-id", "theirs"),
	FIELD("ce-source", "/their source"),
	FIELD("ce-type", "their.type"),
	FIELD("ce-plant", "north"),
	FIELD("x-trace", "1"),
};

static void test_no_event_yet(void)
{
	const struct message_field headers[] = {{slice_str("ce-id"), slice_str("alone")},
		{slice_str("ce_type"), slice_str("not ours")}, {slice_str("ce-plant"), slice_str("north")},
		{slice_str("x-trace"), slice_str("1")}};
	struct message_view view = {.payload = slice_str("{}"),
		.content_type = slice_str("application/json"),
		.headers = headers,
		.n_headers = 4,
		.origin_ms = 1614265330123u};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &view), 0);
	assert_header("ce_id", ID);
	assert_header("ce_source", "/plant");
	assert_header("ce_type", "com.example.t");
	assert_header("ce_time", "2021-02-25T15:02:10.123Z");
	assert_header("ce_plant", "north");
	assert_header("x-trace", "1");
	assert_header("ce-id", NULL);
	CU_ASSERT_EQUAL(out.n_headers, 7); /* ce_type once */
	CU_ASSERT_PTR_EQUAL(out.payload.data, view.payload.data);
	CU_ASSERT_TRUE(slice_equal(out.content_type, slice_str("application/json")));
	CU_ASSERT_TRUE(out.n_headers <= view.n_headers + CLOUDEVENT_MORE_FIELDS);
	settings.source = NULL;
	CU_ASSERT_EQUAL(make(&cloudevent_mqtt, &view), 0);
	assert_header("source", "linkspan:lake");
	settings.source = source;
}

static void test_event_stays_itself(void)
{
	struct message_view view = {
		.payload = slice_str("{}"), .headers = event_headers, .n_headers = 6, .origin_ms = 1614265330123u};
	CU_ASSERT_EQUAL(make(&cloudevent_mqtt, &view), 0);
	assert_header("id", "theirs");
	assert_header("source", "/their%20source"); /* no URI reference has a blank */
	assert_header("type", "their.type");
	assert_header("plant", "north");
	assert_header("x-trace", "1");
	assert_header("time", NULL); /* that of the event, which says none */
	CU_ASSERT_EQUAL(out.n_headers, 6);
	/* What one binding has written, another one reads: the same event. */
	struct arena arena = {0};
	struct message_view again = out;
	CU_ASSERT_EQUAL(cloudevent_read_binary(&cloudevent_mqtt, &arena, &again, &wrong), CLOUDEVENT_READ);
	CU_ASSERT_TRUE(slice_equal(message_header(&again, "ce-id"), slice_str("theirs")));
	CU_ASSERT_TRUE(slice_equal(message_header(&again, "ce-plant"), slice_str("north")));
	CU_ASSERT_TRUE(slice_equal(message_header(&again, "x-trace"), slice_str("1")));
	arena_free(&arena);
}

static void test_mapping_comes_first(void)
{
	struct message_field params[] = {
		{slice_str("event_type"), slice_str("mine")}, {slice_str("event_subject"), slice_str("s")}};
	struct message_view view = {
		.payload = slice_str("{}"), .headers = event_headers, .n_headers = 6, .params = params, .n_params = 2};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &view), 0);
	assert_header("ce_type", "mine");
	assert_header("ce_subject", "s");
	assert_header("ce_id", "theirs");
	params[0] = (struct message_field){slice_str("event_source"), slice_str("/mine")};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &view), 0);
	assert_header("ce_source", "/mine");
	assert_header("ce_type", "their.type");
	assert_header("ce_id", ID); /* theirs is theirs under their source alone */
	params[0].value = slice_str("a\nb");
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &view), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(wrong);
}

static void test_structured(void)
{
	settings.mode = CLOUDEVENTS_STRUCTURED;
	struct message_view view = {.payload = slice_str("{\"n\":1.0}"),
		.content_type = slice_str("application/json"),
		.headers = event_headers,
		.n_headers = 6};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &view), 0);
	CU_ASSERT_TRUE(slice_equal(out.payload,
		slice_str("{\"specversion\":\"1.0\",\"id\":\"theirs\",\"source\":\"/"
			  "their%20source\",\"type\":\"their.type\","
			  "\"plant\":\"north\",\"datacontenttype\":\"application/json\",\"data\":{\"n\":1.0}}")));
	CU_ASSERT_TRUE(slice_equal(out.content_type, slice_str(CLOUDEVENT_CONTENT_TYPE)));
	assert_header("x-trace", "1");
	CU_ASSERT_EQUAL(out.n_headers, 1);
	settings.mode = CLOUDEVENTS_BINARY;
}

/* What only forgets something stays so, but an event without data is an event. */
static void test_forgetting(void)
{
	settings.mode = CLOUDEVENTS_STRUCTURED;
	struct message_view tombstone = {.topic = slice_str("t")};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &tombstone), 0);
	CU_ASSERT_PTR_NULL(out.payload.data);
	struct message_view cleared = {.payload = slice_str(""), .retain = true};
	CU_ASSERT_EQUAL(make(&cloudevent_mqtt, &cleared), 0);
	CU_ASSERT_EQUAL(out.payload.len, 0);
	struct message_view event = {.headers = event_headers, .n_headers = 4};
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &event), 0);
	CU_ASSERT_TRUE(slice_equal(out.payload,
		slice_str("{\"specversion\":\"1.0\",\"id\":\"theirs\",\"source\":\"/their%20source\",\"type\":\"their."
			  "type\"}")));
	settings.mode = CLOUDEVENTS_BINARY;
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &tombstone), 0);
	CU_ASSERT_PTR_NULL(out.payload.data);
	assert_header("ce_id", ID);
	settings.mode = CLOUDEVENTS_OFF;
	CU_ASSERT_EQUAL(make(&cloudevent_kafka, &event), 0);
	CU_ASSERT_PTR_EQUAL(out.headers, event.headers);
	settings.mode = CLOUDEVENTS_BINARY;
}

static void test_checks(void)
{
	static const char *const refused[] = {"ce-id", "ce-type", "ce-datacontenttype", "ce_source"};
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_PTR_NOT_NULL(cloudevents_check_header(&settings, &cloudevent_kafka, slice_str(refused[i])));
	CU_ASSERT_PTR_NULL(cloudevents_check_header(&settings, &cloudevent_kafka, slice_str("ce-plant")));
	CU_ASSERT_PTR_NULL(cloudevents_check_header(&settings, &cloudevent_kafka, slice_str("id")));
	CU_ASSERT_PTR_NOT_NULL(cloudevents_check_header(&settings, &cloudevent_mqtt, slice_str("id")));
	CU_ASSERT_PTR_NULL(cloudevents_check_param(&settings, "event_type"));
	settings.mode = CLOUDEVENTS_OFF;
	CU_ASSERT_PTR_NOT_NULL(cloudevents_check_param(&settings, "event_type"));
	CU_ASSERT_PTR_NULL(cloudevents_check_param(&settings, "partition"));
	CU_ASSERT_PTR_NULL(cloudevents_check_header(&settings, &cloudevent_mqtt, slice_str("ce-id")));
	settings.mode = CLOUDEVENTS_STRUCTURED;
	CU_ASSERT_PTR_NULL(cloudevents_check_header(&settings, &cloudevent_mqtt, slice_str("id")));
	settings.mode = CLOUDEVENTS_BINARY;
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a message that is no event", test_no_event_yet},
		{"an event stays itself", test_event_stays_itself},
		{"what the mapping gives comes first", test_mapping_comes_first},
		{"structured", test_structured},
		{"tombstones and cleared values", test_forgetting},
		{"names and keys that are refused", test_checks},
		{NULL, NULL},
	};
	int status = tap_main("common cloudevent_out", tests);
	cloudevent_writer_free(&writer);
	return status;
}
