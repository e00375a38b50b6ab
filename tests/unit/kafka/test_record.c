/* SPDX-License-Identifier: Apache-2.0
 *
 * Partition and time of a record, by what the target's templates give.
 */
#include <string.h>

#include "connectors/kafka/record.h"
#include "connectors/kafka/timestamp.h"
#include "tests/unit/tap.h"

#define NOW_MS    UINT64_C(1764112345678)
#define ORIGIN_MS UINT64_C(1764112340000)

static struct kafka_settings settings;

/* NULL: not given. What is wrong, and the record when nothing is. */
static const char *make(
	const char *partition, const char *timestamp, uint64_t origin_ms, struct kafka_record *ret_record)
{
	struct message_field params[2];
	struct message_view view = {.topic = slice_str("t"), .params = params, .origin_ms = origin_ms};
	if (partition)
		params[view.n_params++] = (struct message_field){slice_str("partition"), slice_str(partition)};
	if (timestamp)
		params[view.n_params++] = (struct message_field){slice_str("timestamp"), slice_str(timestamp)};
	const char *wrong = kafka_record_make(&settings, &view, NOW_MS, ret_record);
	if (!wrong)
		kafka_record_drop(ret_record);
	return wrong;
}

static void test_partition(void)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "1e0", "two", "2147483648", "99999999999"};
	struct kafka_record record;
	CU_ASSERT(!make(NULL, NULL, ORIGIN_MS, &record) && record.partition == RD_KAFKA_PARTITION_UA);
	CU_ASSERT(!make("0", NULL, ORIGIN_MS, &record) && record.partition == 0);
	CU_ASSERT(!make("007", NULL, ORIGIN_MS, &record) && record.partition == 7);
	CU_ASSERT(!make("2147483647", NULL, ORIGIN_MS, &record) && record.partition == INT32_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *wrong = make(bad[i], NULL, ORIGIN_MS, &record);
		if (!wrong)
			printf("# \"%s\" is a partition\n", bad[i]);
		CU_ASSERT(wrong && strstr(wrong, "partition"));
	}
}

static void assert_time(const char *timestamp, uint64_t origin_ms, int64_t expected_ms)
{
	struct kafka_record record;
	CU_ASSERT(!make(NULL, timestamp, origin_ms, &record));
	CU_ASSERT_EQUAL(record.timestamp_ms, expected_ms);
}

/* What a clock says that has not been set is not taken, and no record is lost for it. */
static void test_timestamp(void)
{
	struct kafka_record record;
	assert_time(NULL, ORIGIN_MS, (int64_t)ORIGIN_MS);
	assert_time("1764112345.678", ORIGIN_MS, 1764112345678);
	assert_time("2025-11-26T00:12:25.678+01:00", ORIGIN_MS, 1764112345678);
	assert_time("0", ORIGIN_MS, (int64_t)ORIGIN_MS);
	assert_time("-1", ORIGIN_MS, (int64_t)ORIGIN_MS);
	assert_time("1577836799.999", ORIGIN_MS, (int64_t)ORIGIN_MS);
	assert_time("1577836800", ORIGIN_MS, KAFKA_FIRST_YEAR_MS);
	assert_time("1900-01-01T00:00:00Z", ORIGIN_MS, (int64_t)ORIGIN_MS);
	assert_time("9999-12-31T23:59:59Z", ORIGIN_MS, 253402300799000); /* the broker decides */
	assert_time("0", 1000, 0); /* then the library's now */
	assert_time(NULL, 1000, 0);
	CU_ASSERT_PTR_NOT_NULL(make(NULL, "", ORIGIN_MS, &record));
	CU_ASSERT_PTR_NOT_NULL(strstr(make(NULL, "yesterday", ORIGIN_MS, &record), "timestamp"));
}

/* An expiry counts from the time that the record gets. */
static void test_expiry(void)
{
	const struct message_field at = {slice_str("timestamp"), slice_str("1764112350")};
	struct message_view view = {.topic = slice_str("t"),
		.origin_ms = ORIGIN_MS,
		.expires_ms = ORIGIN_MS + 60000,
		.params = &at,
		.n_params = 1};
	settings.mqtt_headers = 1;
	for (int i = 0; i < 2; i++, view.n_params = 0) {
		struct kafka_record record;
		const void *value;
		size_t size;
		CU_ASSERT_PTR_NULL_FATAL(kafka_record_make(&settings, &view, NOW_MS, &record));
		CU_ASSERT_PTR_NOT_NULL_FATAL(record.headers);
		CU_ASSERT_EQUAL_FATAL(
			rd_kafka_header_get_last(record.headers, "mqtt-message-expiry-interval", &value, &size), 0);
		CU_ASSERT(slice_equal(slice_of(value, size), slice_str(i == 0 ? "50" : "60")));
		kafka_record_drop(&record);
	}
}

/* Bytes of the writer do not last until the report; those of the message do. */
static void assert_goes_out(int mode, struct slice payload, bool as_event, bool copied)
{
	static char source[] = "/plant", type[] = "t";
	static const uint8_t uuid[16];
	struct kafka_settings made = {.events = {.mode = mode, .source = source, .type = type}};
	struct message_view view = {.topic = slice_str("t"), .payload = payload, .origin_ms = ORIGIN_MS}, space;
	const struct message_view *out = NULL;
	struct cloudevent_writer writer = {0};
	struct kafka_record record;
	const char *wrong;
	cloudevent_writer_init(&writer, &made.events, &cloudevent_kafka, "lake");
	CU_ASSERT_EQUAL_FATAL(
		kafka_record_of(&writer, &made, uuid, 1, &view, NOW_MS, &space, &out, &record, &wrong), 0);
	CU_ASSERT_PTR_EQUAL(out, as_event ? &space : &view);
	CU_ASSERT_EQUAL(record.copied, copied);
	CU_ASSERT_EQUAL(out->payload.data == payload.data, !copied);
	kafka_record_drop(&record);
	cloudevent_writer_free(&writer);
}

static void test_whose_bytes(void)
{
	assert_goes_out(CLOUDEVENTS_OFF, slice_str("x"), false, false);
	assert_goes_out(CLOUDEVENTS_BINARY, slice_str("x"), true, false);
	assert_goes_out(CLOUDEVENTS_STRUCTURED, slice_str("x"), true, true);
	assert_goes_out(CLOUDEVENTS_STRUCTURED, (struct slice){NULL, 0}, true, false); /* a tombstone stays one */
}

static void test_constants(void)
{
	CU_ASSERT_PTR_NULL(kafka_check_param(&settings, "partition", slice_str("3")));
	CU_ASSERT_PTR_NOT_NULL(kafka_check_param(&settings, "partition", slice_str("three")));
	CU_ASSERT_PTR_NULL(kafka_check_param(&settings, "timestamp", slice_str("2026-11-25T22:58:34Z")));
	CU_ASSERT_PTR_NOT_NULL(kafka_check_param(&settings, "timestamp", slice_str("yesterday")));
	CU_ASSERT_PTR_NULL(kafka_check_param(&settings, "other", slice_str("x")));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the partition", test_partition},
		{"the time", test_timestamp},
		{"an expiry counts from it", test_expiry},
		{"whose bytes go out", test_whose_bytes},
		{"constant values", test_constants},
		{NULL, NULL},
	};
	return tap_main("kafka record", tests);
}
