/* SPDX-License-Identifier: Apache-2.0
 *
 * Times as devices write them, and dates against the library's calendar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "connectors/kafka/timestamp.h"
#include "tests/unit/tap.h"

static void assert_time(const char *text, int64_t expected)
{
	int64_t ms = -1;
	bool good = kafka_timestamp_read(slice_str(text), &ms);
	if (!good || ms != expected)
		printf("# %s: %s %lld, not %lld\n", text, good ? "is" : "cannot be read;", (long long)ms,
			(long long)expected);
	CU_ASSERT(good && ms == expected);
}

static void test_numbers(void)
{
	assert_time("0", 0);
	assert_time("1764112345", 1764112345000);
	assert_time("1764112345.678", 1764112345678);
	assert_time("1764112345.6", 1764112345600);
	assert_time("1764112345.67899999999999999999999999", 1764112345678);
	assert_time("99999999999", 99999999999000);
	assert_time("100000000000", 100000000000);
	assert_time("1764112345678", 1764112345678);
	assert_time("1764112345678.9", 1764112345678);
	assert_time("1764112345678901", 1764112345678);
	assert_time("1764112345678901234", 1764112345678);
	assert_time("18446744073709551609", 18446744073709);
	assert_time("1.764112345678e9", 1764112345678);
	assert_time("1.764112345e+09", 1764112345000);
	assert_time("1.764112345678E12", 1764112345678);
	assert_time("1764112345678e-3", 1764112345678);
	assert_time("17641123456e-1", 1764112345600);
	assert_time("1764112345.6789e0", 1764112345678);
	assert_time("0e999", 0);
	assert_time("1e-999", 0);
	assert_time("-1", -1000); /* what a clock says that is not set */
	assert_time("-0.5", -500);
	assert_time("-1764112345678", -1764112345678);
}

static void test_dates(void)
{
	assert_time("1970-01-01T00:00:00Z", 0);
	assert_time("2026-11-25T22:58:34.123Z", 1795647514123);
	assert_time("2026-11-25t22:58:34.1239z", 1795647514123);
	assert_time("2026-11-25 22:58:34Z", 1795647514000);
	assert_time("2026-11-26T00:58:34+02:00", 1795647514000);
	assert_time("2026-11-25T17:28:34-05:30", 1795647514000);
	assert_time("2024-02-29T12:00:00Z", 1709208000000);
	assert_time("2016-12-31T23:59:60Z", 1483228800000); /* a leap second */
	assert_time("1969-12-31T23:59:59Z", -1000);
}

static void test_not_times(void)
{
	static const char *const bad[] = {"", " ", "-", "--1", "+1", "1.", ".5", "1e", "1e+", "1e1000", "1e20", "2e19",
		"e9", "1e9.5", "1764112345 ", "0x12", "18446744073709551616", "999999999999999999999", "now",
		"2026-11-25", "2026-11-25T22:58", "2026-11-25T22:58:34", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-25T24:00:00Z",
		"2026-11-25T22:60:00Z", "2026-11-25T22:58:61Z", "2026-11-25T22:58:34.Z", "2026-11-25T22:58:34+0200",
		"2026-11-25T22:58:34+24:00", "2026-11-25T22:58:34Z ", "26-11-25T22:58:34Z", "2026-11-25X22:58:34Z",
		"2026/11/25 22:58:34Z"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms;
		bool good = kafka_timestamp_read(slice_str(bad[i]), &ms);
		if (good)
			printf("# %s was read\n", bad[i]);
		CU_ASSERT(!good);
	}
	int64_t ms;
	CU_ASSERT(!kafka_timestamp_read((struct slice){NULL, 0}, &ms));
	CU_ASSERT(!kafka_timestamp_read(slice_of("1\0", 2), &ms) && !kafka_timestamp_read(slice_of("\0", 1), &ms));
	CU_ASSERT(!kafka_timestamp_read(slice_of("2026-11-25T22:58:34\0", 20), &ms));
}

static void test_calendar(void)
{
	for (int64_t day = -719000; day < 2930000; day += 2) { /* the years 1 to 9991 */
		time_t seconds = (time_t)(day * 86400 + 3661);
		struct tm tm;
		char text[40];
		CU_ASSERT_PTR_NOT_NULL_FATAL(gmtime_r(&seconds, &tm));
		snprintf(text, sizeof text, "%04d-%02d-%02dT01:01:01Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
		int64_t ms = 0;
		if (!kafka_timestamp_read(slice_str(text), &ms) || ms != (int64_t)seconds * 1000) {
			printf("# %s: %lld\n", text, (long long)ms);
			CU_FAIL("the calendar differs");
			return;
		}
	}
}

/* Any bytes: nothing is read beyond the end, which the sanitizers would tell. */
static void test_any_bytes(void)
{
	static const char likely[] = "0123456789-:.TtZz+ eE";
	unsigned state = 7;
	int n_read = 0;
	for (int i = 0; i < 200000; i++) {
		size_t len = (state = state * 1103515245u + 12345u) >> 16 & 31;
		char *text = malloc(len + 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		for (size_t k = 0; k < len; k++)
			text[k] = likely[((state = state * 1103515245u + 12345u) >> 16) % (sizeof likely - 1)];
		int64_t ms;
		n_read += kafka_timestamp_read(slice_of(text, len), &ms);
		free(text);
	}
	CU_ASSERT(n_read > 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"numbers by their size", test_numbers},
		{"dates", test_dates},
		{"what is no time", test_not_times},
		{"the calendar", test_calendar},
		{"any bytes", test_any_bytes},
		{NULL, NULL},
	};
	return tap_main("kafka timestamp", tests);
}
