/* SPDX-License-Identifier: Apache-2.0 */
#include "message/markers.h"

#include <stdlib.h>
#include <time.h>

#include "tests/unit/tap.h"

static bool same(struct slice got, const char *expected)
{
	return slice_equal(got, slice_str(expected));
}

static void test_time(void)
{
	char text[MARKERS_TIME_LEN + 1];
	markers_time(0, text);
	CU_ASSERT_STRING_EQUAL(text, "1970-01-01T00:00:00.000Z");
	markers_time(1709210096007, text);
	CU_ASSERT_STRING_EQUAL(text, "2024-02-29T12:34:56.007Z");
	markers_time(UINT64_MAX, text);
	CU_ASSERT_STRING_EQUAL(text, "9999-12-31T23:59:59.999Z");
	struct message_field header = {slice_str(MARKER_ORIGIN_TIME), slice_str(text)};
	CU_ASSERT_PTR_NOT_NULL(markers_received_time(&(struct message_view){.headers = &header, .n_headers = 1}).data);
}

/* Each day of the Gregorian calendar's next eight centuries, as the C library has it. */
static void test_calendar(void)
{
	char text[MARKERS_TIME_LEN + 1], expected[64];
	for (uint64_t day = 0; day < 2 * 146097; day++) {
		uint64_t seconds = day * 86400 + day * 7919 % 86400;
		time_t when = (time_t)seconds;
		struct tm tm;
		gmtime_r(&when, &tm);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.250Z", &tm);
		markers_time(seconds * 1000 + 250, text);
		CU_ASSERT_STRING_EQUAL_FATAL(text, expected);
	}
}

static void test_received_time(void)
{
	static const char *const wrong[] = {"", "yesterday", "2024-02-29T12:34:56.007z", "2024-02-29 12:34:56.007Z",
		"2024-02-29T12:34:56Z", "2024-02-29T12:34:5x.007Z", "2024-02-29T12:34:56.007ZZ"};
	struct message_field headers[2] = {{slice_str("other"), slice_str("2024-02-29T12:34:56.007Z")}};
	struct message_view view = {.headers = headers, .n_headers = 2};
	headers[1].name = slice_str(MARKER_ORIGIN_TIME);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		headers[1].value = slice_str(wrong[i]);
		CU_ASSERT_PTR_NULL(markers_received_time(&view).data);
	}
	headers[1].value = (struct slice){NULL, 0};
	CU_ASSERT_PTR_NULL(markers_received_time(&view).data);
	headers[1].value = slice_str("2024-02-29T12:34:56.007Z");
	CU_ASSERT(same(markers_received_time(&view), "2024-02-29T12:34:56.007Z"));
}

static struct markers some_markers(void)
{
	return (struct markers){slice_str("T"), slice_str("plant"), slice_str("00ff"), slice_str("7")};
}

/* What a peer claims under these names is gone; all else stays, in order. */
static void test_write(void)
{
	static const struct message_field received[] = {
		{{(const uint8_t *)"site", 4}, {(const uint8_t *)"a", 1}},
		{{(const uint8_t *)MARKER_SEQUENCE, sizeof MARKER_SEQUENCE - 1}, {(const uint8_t *)"99", 2}},
		{{(const uint8_t *)MARKER_WAITED, sizeof MARKER_WAITED - 1}, {(const uint8_t *)"1", 1}},
		{{(const uint8_t *)MARKER_STREAM, sizeof MARKER_STREAM - 1}, {NULL, 0}},
		{{(const uint8_t *)"site", 4}, {(const uint8_t *)"b", 1}},
	};
	struct message_field headers[5 + MARKERS_MOST];
	struct message_view view = {.topic = slice_str("t"), .headers = received, .n_headers = 5};
	struct markers markers = some_markers();
	CU_ASSERT_TRUE_FATAL(markers_write(&view, &markers, headers));
	CU_ASSERT_TRUE(view.waits);
	CU_ASSERT_EQUAL_FATAL(view.n_headers, 6);
	CU_ASSERT(same(view.headers[0].value, "a") && same(view.headers[1].value, "b"));
	CU_ASSERT(same(message_header(&view, MARKER_ORIGIN_TIME), "T"));
	CU_ASSERT(same(message_header(&view, MARKER_SOURCE), "plant"));
	CU_ASSERT(same(message_header(&view, MARKER_STREAM), "00ff"));
	CU_ASSERT(same(message_header(&view, MARKER_SEQUENCE), "7"));
	CU_ASSERT_PTR_NULL(message_header(&view, MARKER_WAITED).data); /* the sink adds it */
}

static void test_without_number(void)
{
	struct message_field headers[MARKERS_MOST];
	struct message_view view = {.topic = slice_str("t")};
	struct markers markers = some_markers();
	markers.sequence = (struct slice){NULL, 0};
	CU_ASSERT_TRUE_FATAL(markers_write(&view, &markers, headers));
	CU_ASSERT_EQUAL(view.n_headers, 2);
	CU_ASSERT_PTR_NULL(message_header(&view, MARKER_STREAM).data);
	CU_ASSERT_TRUE(view.waits);
}

/* The sink's own header counts too. */
static void test_limits(void)
{
	static struct message_field received[MESSAGE_MAX_FIELDS], headers[MESSAGE_MAX_FIELDS + MARKERS_MOST];
	struct message_view view = {.topic = slice_str("t"), .headers = received};
	struct markers markers = some_markers();
	for (size_t i = 0; i < MESSAGE_MAX_FIELDS; i++)
		received[i] = (struct message_field){slice_str("n"), slice_str("v")};
	view.n_headers = MESSAGE_MAX_FIELDS - MARKERS_MOST + 1;
	CU_ASSERT_FALSE(markers_write(&view, &markers, headers));
	CU_ASSERT(view.headers == received && !view.waits);
	view.n_headers = MESSAGE_MAX_FIELDS - MARKERS_MOST;
	CU_ASSERT_TRUE(markers_write(&view, &markers, headers));
	size_t len = 1024 * 1024 - 10;
	uint8_t *key = calloc(1, len);
	view = (struct message_view){.topic = slice_str("t"), .key = slice_of(key, len)};
	uint8_t *payload = calloc(1, MESSAGE_MAX_PAYLOAD);
	view.payload = slice_of(payload, MESSAGE_MAX_PAYLOAD);
	CU_ASSERT_NOT_EQUAL(message_encoded_size(&view), 0);
	CU_ASSERT_FALSE(markers_write(&view, &markers, headers));
	CU_ASSERT(view.n_headers == 0 && !view.waits);
	free(key);
	free(payload);
}

static void test_waited(void)
{
	char text[MARKERS_WAITED_SIZE];
	struct message_view view = {.origin_ms = 1000};
	CU_ASSERT(same(markers_waited(&view, 1000, text).value, "0"));
	CU_ASSERT(same(markers_waited(&view, 4200, text).value, "3200"));
	CU_ASSERT(same(markers_waited(&view, 10, text).value, "0")); /* the clock was set back */
	view.origin_ms = 0;
	CU_ASSERT(same(markers_waited(&view, UINT64_MAX, text).value, "18446744073709551615"));
	CU_ASSERT(same(markers_waited(&view, 1, text).name, "linkspan-waited-ms"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the time of origin as text", test_time},
		{"every day of 800 years", test_calendar},
		{"a received time of origin", test_received_time},
		{"markers take the place of what is received", test_write},
		{"a message without a number has no stream", test_without_number},
		{"no marker where a limit would be passed", test_limits},
		{"how long it has waited", test_waited},
		{NULL, NULL},
	};
	return tap_main("markers", tests);
}
