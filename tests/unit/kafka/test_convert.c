/* SPDX-License-Identifier: Apache-2.0
 *
 * Records as messages: null and empty, headers, time; and fingerprints.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/convert.h"
#include "connectors/kafka/headers.h"
#include "tests/unit/tap.h"

static char *bytes(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static rd_kafka_message_t record_of(const char *key, const char *value)
{
	return (rd_kafka_message_t){.key = bytes(key),
		.key_len = key ? strlen(key) : 0,
		.payload = bytes(value),
		.len = value ? strlen(value) : 0};
}

static struct kafka_scratch scratch;
static struct kafka_partition partition = {.topic = "plant.a", .topic_len = 7, .qos = 2};

static struct message_view convert(
	const rd_kafka_message_t *msg, const rd_kafka_headers_t *headers, int64_t timestamp_ms)
{
	struct kafka_input input = {
		.msg = msg, .headers = headers, .partition = &partition, .timestamp_ms = timestamp_ms};
	struct message_view view;
	kafka_convert(&input, KAFKA_MQTT_HEADERS_NONE, 1000, &scratch, &view);
	return view;
}

static void test_fields(void)
{
	rd_kafka_message_t msg = record_of("k", "v");
	struct message_view view = convert(&msg, NULL, 77);
	CU_ASSERT_TRUE(slice_equal(view.topic, slice_str("plant.a")));
	CU_ASSERT_TRUE(slice_equal(view.key, slice_str("k")));
	CU_ASSERT_TRUE(slice_equal(view.payload, slice_str("v")));
	CU_ASSERT_TRUE(view.qos == 2 && !view.retain && view.origin_ms == 77 && view.n_headers == 0);
	msg = record_of(NULL, "");
	view = convert(&msg, NULL, -1);
	CU_ASSERT_TRUE(!view.key.data && view.payload.data && view.payload.len == 0);
	CU_ASSERT_EQUAL(view.origin_ms, 1000); /* it has no time of its own */
	msg = record_of("", NULL);
	view = convert(&msg, NULL, 0);
	CU_ASSERT_TRUE(view.key.data && view.key.len == 0 && !view.payload.data);
	CU_ASSERT_EQUAL(view.origin_ms, 1000);
}

/* What becomes of their names is headers.c's. */
static void test_headers(void)
{
	rd_kafka_message_t msg = record_of(NULL, "v");
	rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
	rd_kafka_header_add(headers, "a", -1, "1", 1);
	rd_kafka_header_add(headers, "a", -1, NULL, 0);
	rd_kafka_header_add(headers, "b", -1, "", 0);
	struct message_view view = convert(&msg, headers, 1);
	CU_ASSERT_EQUAL_FATAL(view.n_headers, 3);
	CU_ASSERT_TRUE(slice_equal(view.headers[0].name, slice_str("a")));
	CU_ASSERT_TRUE(slice_equal(view.headers[0].value, slice_str("1")));
	CU_ASSERT_TRUE(slice_equal(view.headers[1].name, slice_str("a")) && !view.headers[1].value.data);
	CU_ASSERT_TRUE(view.headers[2].value.data && view.headers[2].value.len == 0);
	rd_kafka_headers_destroy(headers);
}

/* More than a message can have: one too many is left, so that the host refuses it. */
static void test_too_many_headers(void)
{
	rd_kafka_message_t msg = record_of(NULL, "v");
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
	for (int i = 0; i < MESSAGE_MAX_FIELDS + 10; i++)
		rd_kafka_header_add(headers, "h", -1, "v", 1);
	struct message_view view = convert(&msg, headers, 1);
	CU_ASSERT_EQUAL(view.n_headers, MESSAGE_MAX_FIELDS + 1);
	CU_ASSERT_EQUAL(message_encoded_size(&view), 0);
	rd_kafka_headers_destroy(headers);
}

static uint64_t fingerprint(const char *key, const char *value, int64_t timestamp_ms)
{
	rd_kafka_message_t msg = record_of(key, value);
	return kafka_fingerprint(&msg, timestamp_ms);
}

static void test_fingerprints(void)
{
	static const char *const texts[] = {NULL, "", "a", "b", "ab", "aaaaaaaa", "aaaaaaaab", "aaaaaaaaaaaaaaaa"};
	enum { N = sizeof texts / sizeof texts[0] };
	uint64_t seen[N * N * 2];
	size_t n = 0;
	for (size_t k = 0; k < N; k++)
		for (size_t v = 0; v < N; v++)
			for (int64_t t = 1; t <= 2; t++) {
				seen[n] = fingerprint(texts[k], texts[v], t);
				CU_ASSERT_NOT_EQUAL(seen[n], 0);
				for (size_t i = 0; i < n; i++)
					CU_ASSERT_NOT_EQUAL(seen[i], seen[n]);
				n++;
			}
	/* They are on disk: the same in every version and on every machine. */
	CU_ASSERT_EQUAL(fingerprint("key", "a value of some length", 1600000000123), UINT64_C(0x7a5afb935d725fa2));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"key, value and time, also null and empty", test_fields},
		{"headers, also null and empty ones", test_headers},
		{"too many headers", test_too_many_headers},
		{"fingerprints", test_fingerprints},
		{NULL, NULL},
	};
	return tap_main("kafka convert", tests);
}
