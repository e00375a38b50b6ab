/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of a message and headers of a record, there and back: by example, and for anything random that MQTT can say or that
 * Kafka can hold.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/headers.h"
#include "routing/arena.h"
#include "routing/header_text.h"
#include "tests/unit/tap.h"

#define ROUNDS  20000
#define MOST    12
#define TIME_MS UINT64_C(1764112345678)

static struct arena arena;

static bool is(struct slice got, const char *expected)
{
	bool same = expected ? got.data && slice_equal(got, slice_str(expected)) : !got.data;
	if (!same)
		printf("# %.*s is not %s\n", (int)got.len, got.data ? (const char *)got.data : "(absent)",
			expected ? expected : "(absent)");
	return same;
}

/* --- a record, and what is read of it ---------------------------------------------------------------------------------- */

struct reading {
	rd_kafka_headers_t *record;
	struct message_field fields[MOST + 10];
	size_t n_record;
	struct message_view view;
};

static size_t list(const rd_kafka_headers_t *record, struct message_field *fields)
{
	const char *name;
	const void *value;
	size_t size, n = 0;
	while (record && n < MOST + 10 &&
		rd_kafka_header_get_all(record, n, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR)
		fields[n++] = (struct message_field){slice_str(name), slice_of(value, value ? size : 0)};
	return n;
}

/* As the router and the sink write it, and as the source reads it. */
static void there_and_back(int mode, const struct message_view *view, uint64_t timestamp_ms, struct reading *ret)
{
	struct message_field fitted[MOST + 10];
	struct message_view sent = *view;
	for (size_t i = 0; i < view->n_headers; i++)
		CU_ASSERT_EQUAL_FATAL(kafka_headers_fit(mode, &view->headers[i], &arena, &fitted[i]), 0);
	sent.headers = fitted;
	ret->record = kafka_headers_make(mode, &sent, timestamp_ms, TIME_MS);
	ret->n_record = list(ret->record, ret->fields);
	ret->view = (struct message_view){.origin_ms = timestamp_ms, .headers = ret->fields};
	ret->view.n_headers = kafka_headers_read(mode, ret->fields, ret->n_record, timestamp_ms, &ret->view);
}

static void reading_end(struct reading *reading)
{
	if (reading->record)
		rd_kafka_headers_destroy(reading->record);
	arena_reset(&arena);
}

static struct slice record_header(const struct reading *reading, const char *name)
{
	const void *value;
	size_t size;
	if (!reading->record ||
		rd_kafka_header_get_last(reading->record, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return (struct slice){NULL, 0};
	return slice_of(value, size);
}

/* --- examples --------------------------------------------------------------------------------------------------------------- */

static struct message_view full_view(void)
{
	return (struct message_view){
		.content_type = slice_str("text/plain"),
		.response_topic = slice_str("answers/7"),
		.correlation = slice_of("\0\xFF", 2),
		.origin_ms = TIME_MS,
		.expires_ms = TIME_MS + 60000,
		.utf8_payload = true,
		.retain = true,
		.qos = 2,
	};
}

static void test_all_fields(void)
{
	struct message_view view = full_view();
	struct reading got;
	there_and_back(KAFKA_MQTT_HEADERS_ALL, &view, TIME_MS, &got);
	CU_ASSERT(is(record_header(&got, "content-type"), "text/plain"));
	CU_ASSERT(is(record_header(&got, "mqtt-response-topic"), "answers/7"));
	CU_ASSERT(slice_equal(record_header(&got, "mqtt-correlation-data"), slice_of("\0\xFF", 2)));
	CU_ASSERT(is(record_header(&got, "mqtt-payload-format"), "1"));
	CU_ASSERT(is(record_header(&got, "mqtt-message-expiry-interval"), "60"));
	CU_ASSERT(is(record_header(&got, "mqtt-retain"), "1") && is(record_header(&got, "mqtt-qos"), "2"));
	CU_ASSERT(is(got.view.content_type, "text/plain") && is(got.view.response_topic, "answers/7"));
	CU_ASSERT(slice_equal(got.view.correlation, slice_of("\0\xFF", 2)));
	CU_ASSERT(got.view.utf8_payload && got.view.retain && got.view.expires_ms == TIME_MS + 60000);
	CU_ASSERT(got.view.n_headers == 0 && got.view.qos == 0); /* the mapping says with which QoS is sent */
	reading_end(&got);
}

static void test_modes(void)
{
	struct message_view view = full_view();
	struct reading got;
	there_and_back(KAFKA_MQTT_HEADERS_NONE, &view, TIME_MS, &got);
	CU_ASSERT(got.n_record == 1 && is(record_header(&got, "content-type"), "text/plain"));
	reading_end(&got);
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS, &got);
	CU_ASSERT(got.n_record == 6 && is(record_header(&got, "mqtt-qos"), NULL));
	reading_end(&got);
	struct message_view plain = {.origin_ms = TIME_MS, .qos = 1};
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &plain, TIME_MS, &got);
	CU_ASSERT_PTR_NULL(got.record);
	reading_end(&got);
}

/* The record's time may be another one than that of origin. */
static void test_expiry(void)
{
	struct message_view view = {.origin_ms = TIME_MS, .expires_ms = TIME_MS + 59001};
	struct reading got;
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS, &got);
	CU_ASSERT(is(record_header(&got, "mqtt-message-expiry-interval"), "60"));
	reading_end(&got);
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS - 1000, &got);
	CU_ASSERT(is(record_header(&got, "mqtt-message-expiry-interval"), "61"));
	CU_ASSERT_EQUAL(got.view.expires_ms, TIME_MS + 60000);
	reading_end(&got);
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS + 60000, &got); /* a device's clock is ahead */
	CU_ASSERT(is(record_header(&got, "mqtt-message-expiry-interval"), "0"));
	CU_ASSERT_EQUAL(got.view.expires_ms, TIME_MS + 60000);
	reading_end(&got);
}

static void test_collisions(void)
{
	const struct message_field headers[] = {
		{slice_str("content-type"), slice_str("mine")},
		{slice_str("a"), slice_str("1")},
		{slice_str("mqtt-retain"), slice_str("1")},
		{slice_str("mqtt-retain"), slice_str("no flag")}, /* whatever its value is */
		{slice_str("a"), slice_str("")},
		{slice_str("mqtt-user-mqtt-retain"), slice_str("1")},
		{slice_str("mqtt-user-x"), slice_str("1")},
	};
	struct message_view view = {.content_type = slice_str("true"), .headers = headers, .n_headers = 7};
	struct reading got;
	there_and_back(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS, &got);
	CU_ASSERT(is(record_header(&got, "content-type"), "true"));
	CU_ASSERT(is(record_header(&got, "mqtt-user-content-type"), "mine"));
	CU_ASSERT(is(record_header(&got, "mqtt-user-mqtt-user-mqtt-retain"), "1"));
	CU_ASSERT(is(record_header(&got, "mqtt-user-x"), "1") && is(record_header(&got, "mqtt-retain"), NULL));
	CU_ASSERT(is(got.view.content_type, "true") && !got.view.retain);
	CU_ASSERT_EQUAL_FATAL(got.view.n_headers, 7);
	for (size_t i = 0; i < 7; i++)
		CU_ASSERT(slice_equal(got.view.headers[i].name, headers[i].name) &&
			  slice_equal(got.view.headers[i].value, headers[i].value));
	reading_end(&got);
}

/* What a mapping sets goes in as it is, and stands for the field. */
static void test_set_by_mapping(void)
{
	const struct message_field header = {slice_str("Content-Type"), slice_str("mine")};
	struct message_view view = {.content_type = slice_str("other"), .headers = &header, .n_headers = 1};
	rd_kafka_headers_t *record = kafka_headers_make(KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS, TIME_MS);
	CU_ASSERT_EQUAL(rd_kafka_header_cnt(record), 1);
	rd_kafka_headers_destroy(record);
}

static void test_foreign_headers(void)
{
	struct message_field headers[] = {
		{slice_str("content-type"), slice_of("\xFF", 1)}, /* no text: a header like any other */
		{slice_str("Content-Type"), slice_str("first")},
		{slice_str("content-type"), slice_str("second")},
		{slice_str("mqtt-response-topic"), slice_str("a/#")},
		{slice_str("mqtt-message-expiry-interval"), slice_str("4294967296")},
		{slice_str("mqtt-message-expiry-interval"), slice_str("007")},
		{slice_str("mqtt-qos"), slice_str("1")}, /* of no meaning here */
		{slice_str("null"), {NULL, 0}},
	};
	struct message_view view = {.headers = headers};
	view.n_headers = kafka_headers_read(KAFKA_MQTT_HEADERS_PROPERTIES, headers, 8, TIME_MS, &view);
	CU_ASSERT(is(view.content_type, "first") && !view.response_topic.data && view.expires_ms == 0);
	CU_ASSERT_EQUAL_FATAL(view.n_headers, 7);
	CU_ASSERT(is(headers[1].value, "second") && is(headers[6].name, "null") && is(headers[6].value, NULL));
}

/* --- as text --------------------------------------------------------------------------------------------------------------- */

static void assert_text(struct slice value, const char *name, const char *text)
{
	struct message_field field = {slice_str("h"), value}, as_text, back;
	CU_ASSERT_EQUAL_FATAL(header_text_encode(&field, &arena, &as_text), 0);
	CU_ASSERT(is(as_text.name, name) && is(as_text.value, text));
	CU_ASSERT_EQUAL_FATAL(header_text_decode(&as_text, &arena, &back), 0);
	CU_ASSERT(slice_equal(back.name, field.name) && slice_equal(back.value, value) &&
		  !back.value.data == !value.data);
	arena_reset(&arena);
}

static void assert_not_decoded(const char *name, const char *value)
{
	struct message_field field = {slice_str(name), slice_str(value)}, back;
	CU_ASSERT_EQUAL_FATAL(header_text_decode(&field, &arena, &back), 0);
	CU_ASSERT(is(back.name, name) && is(back.value, value));
	arena_reset(&arena);
}

static void test_text(void)
{
	assert_text(slice_str("K\xC3\xA4se"), "h", "K\xC3\xA4se");
	assert_text(slice_str(""), "h", "");
	assert_text((struct slice){NULL, 0}, "kafka-null-h", "");
	assert_text(slice_of("\xFF", 1), "kafka-base64-h", "/w==");
	assert_text(slice_of("\0\0", 2), "kafka-base64-h", "AAA=");
	assert_text(slice_of("\xFB\xEF\xBE", 3), "kafka-base64-h", "++++");
	assert_not_decoded("kafka-base64-h", "aGk="); /* text, which is never encoded */
	assert_not_decoded("kafka-base64-h", "/x=="); /* stray bits */
	assert_not_decoded("kafka-base64-h", "/w=");
	assert_not_decoded("kafka-base64-h", "/===");
	assert_not_decoded("kafka-base64-h", "/w==/w==");
	assert_not_decoded("kafka-base64-h", "");
	assert_not_decoded("kafka-null-h", "x");
	struct message_field bad = {slice_of("\xFF", 1), slice_str("x")}, out;
	CU_ASSERT(header_text_encode(&bad, &arena, &out) != 0);
}

/* --- anything ---------------------------------------------------------------------------------------------------------------- */

static unsigned state = 3;

static unsigned pick(unsigned n)
{
	state = state * 1103515245u + 12345u;
	return (state >> 16) % n;
}

static struct slice pick_of(const char *const *texts, unsigned n)
{
	return slice_str(texts[pick(n)]);
}

static const char *const names[] = {"content-type", "Content-Type", "MQTT-retain", "mqtt-response-topic",
	"mqtt-correlation-data", "mqtt-payload-format", "mqtt-message-expiry-interval", "mqtt-retain", "mqtt-qos",
	"mqtt-user-", "mqtt-user-content-type", "mqtt-user-mqtt-user-mqtt-retain", "mqtt-user-mqtt-x", "kafka-null-",
	"kafka-null-content-type", "kafka-base64-x", "kafka-base64-kafka-null-y", "kafka-base64-mqtt-correlation-data",
	"x", "", "m", "content-typ"};
static const char *const texts[] = {"1", "0", "2", "60", "007", "a/b", "a/#", "", "text",
	"/w==", "AAA=", "aGk=", "/x==", "K\xC3\xA4se", "4294967295", "4294967296"};
#define N_NAMES (sizeof names / sizeof names[0])
#define N_TEXTS (sizeof texts / sizeof texts[0])

static bool same_fields(const struct message_view *a, const struct message_view *b)
{
	bool same = slice_equal(a->content_type, b->content_type) && !a->content_type.data == !b->content_type.data &&
		    slice_equal(a->response_topic, b->response_topic) &&
		    !a->response_topic.data == !b->response_topic.data && slice_equal(a->correlation, b->correlation) &&
		    !a->correlation.data == !b->correlation.data && a->utf8_payload == b->utf8_payload &&
		    a->expires_ms == b->expires_ms && a->retain == b->retain && a->n_headers == b->n_headers;
	for (size_t i = 0; i < a->n_headers && same; i++)
		same = slice_equal(a->headers[i].name, b->headers[i].name) &&
		       slice_equal(a->headers[i].value, b->headers[i].value) &&
		       !a->headers[i].value.data == !b->headers[i].value.data;
	return same;
}

static void show(const char *what, const struct message_view *view)
{
	printf("# %s: type %.*s response %.*s correlation %zu utf8 %d expires %llu retain %d\n", what,
		(int)view->content_type.len, view->content_type.data ? (const char *)view->content_type.data : "~",
		(int)view->response_topic.len,
		view->response_topic.data ? (const char *)view->response_topic.data : "~",
		view->correlation.data ? view->correlation.len : SIZE_MAX, view->utf8_payload,
		(unsigned long long)view->expires_ms, view->retain);
	for (size_t i = 0; i < view->n_headers; i++)
		printf("#   %.*s: %s%.*s\n", (int)view->headers[i].name.len, (const char *)view->headers[i].name.data,
			view->headers[i].value.data ? "" : "~", (int)view->headers[i].value.len,
			view->headers[i].value.data ? (const char *)view->headers[i].value.data : "");
}

static void random_mqtt(struct message_view *view, struct message_field *fields)
{
	*view = (struct message_view){.origin_ms = TIME_MS, .headers = fields, .n_headers = pick(MOST)};
	for (size_t i = 0; i < view->n_headers; i++)
		fields[i] = (struct message_field){pick_of(names, N_NAMES), pick_of(texts, N_TEXTS)};
	if (pick(2))
		view->content_type = pick_of(texts, N_TEXTS);
	if (pick(2))
		view->response_topic = slice_str("a/b");
	if (pick(2))
		view->correlation = slice_of("\xFF\0/w==", pick(6));
	if (pick(2))
		view->expires_ms = TIME_MS + pick(70000) * UINT64_C(1000);
	view->utf8_payload = pick(2);
	view->retain = pick(2);
	view->qos = (uint8_t)pick(3);
}

/* What MQTT has said it says again. */
static void test_mqtt_there_and_back(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct message_field fields[MOST], as_text[MOST + 10];
		struct message_view view;
		struct reading got;
		random_mqtt(&view, fields);
		there_and_back((int)pick(2) + KAFKA_MQTT_HEADERS_PROPERTIES, &view, TIME_MS, &got);
		for (size_t k = 0; k < got.view.n_headers; k++)
			CU_ASSERT_EQUAL_FATAL(header_text_encode(&got.view.headers[k], &arena, &as_text[k]), 0);
		got.view.headers = as_text;
		if (!same_fields(&view, &got.view)) {
			show("sent", &view);
			show("got", &got.view);
			CU_FAIL_FATAL("a message of MQTT does not come back");
		}
		reading_end(&got);
	}
}

static void random_record(struct message_field *fields, size_t n, uint8_t *bytes)
{
	for (size_t i = 0; i < n; i++) {
		fields[i] = (struct message_field){pick_of(names, N_NAMES), pick_of(texts, N_TEXTS)};
		if (pick(4) == 0) {
			size_t len = pick(8);
			for (size_t k = 0; k < len; k++)
				bytes[k] = (uint8_t)pick(256);
			fields[i].value = slice_of(bytes, len);
			bytes += len;
		} else if (pick(8) == 0) {
			fields[i].value = (struct slice){NULL, 0};
		}
	}
}

/* Whatever a record has is read as the same again once it has been written again. */
static void test_records_again(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		int mode = (int)pick(3);
		uint8_t bytes[MOST * 8];
		struct message_field fields[MOST];
		size_t n = pick(MOST);
		struct reading again;
		random_record(fields, n, bytes);
		struct message_view view = {.origin_ms = TIME_MS, .headers = fields};
		view.n_headers = kafka_headers_read(mode, fields, n, TIME_MS, &view);
		bool plain = true; /* names of ours for texts are taken for what they say: header_text.h */
		for (size_t k = 0; k < view.n_headers; k++)
			plain = plain &&
				(view.headers[k].name.len < 6 || memcmp(view.headers[k].name.data, "kafka-", 6) != 0);
		if (plain) {
			there_and_back(mode, &view, TIME_MS, &again);
			if (!same_fields(&view, &again.view)) {
				show("read", &view);
				show("again", &again.view);
				CU_FAIL_FATAL("a record is read as something else once it is written again");
			}
			reading_end(&again);
		}
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"all fields there and back", test_all_fields},
		{"what mqtt_headers says", test_modes},
		{"an expiry counts from the record's time", test_expiry},
		{"user properties with names of the table", test_collisions},
		{"headers that a mapping sets", test_set_by_mapping},
		{"headers of others", test_foreign_headers},
		{"bytes and nulls as text", test_text},
		{"any message of MQTT there and back", test_mqtt_there_and_back},
		{"any record read, written and read again", test_records_again},
		{NULL, NULL},
	};
	int result = tap_main("kafka headers", tests);
	arena_free(&arena);
	return result;
}
