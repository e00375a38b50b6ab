/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#include "config/source.h"
#include "config/suggest.h"
#include "tests/unit/tap.h"

static char message[VALUE_MESSAGE];

static uint64_t duration(const char *text)
{
	struct value_text in = {text, false, message};
	uint64_t ms = UINT64_MAX;
	CU_ASSERT(value_duration(&in, 0, 0, &ms) == NULL || ms == UINT64_MAX);
	return ms;
}

static uint64_t size(const char *text)
{
	struct value_text in = {text, false, message};
	uint64_t bytes = UINT64_MAX;
	CU_ASSERT(value_size(&in, 0, 0, &bytes) == NULL || bytes == UINT64_MAX);
	return bytes;
}

static void test_durations(void)
{
	CU_ASSERT_EQUAL(duration("0"), 0);
	CU_ASSERT_EQUAL(duration("250ms"), 250);
	CU_ASSERT_EQUAL(duration("90s"), 90000);
	CU_ASSERT_EQUAL(duration("7d"), UINT64_C(604800000));
	CU_ASSERT_EQUAL(duration("1h 30m"), 5400000);
	CU_ASSERT_EQUAL(duration("1h30m5ms"), 5400005);
	static const char *const wrong[] = {"", "s", "10", "10 s", "-1s", "1.5s", "1s ", " 1s", "1h  30m", "1h 30",
		"10S", "1w", "18446744073709551616s", "9223372036854775807d", "0s0", "1s,2s", NULL};
	for (const char *const *text = wrong; *text; text++) {
		if (duration(*text) != UINT64_MAX)
			printf("# '%s' was taken\n", *text);
		CU_ASSERT_EQUAL(duration(*text), UINT64_MAX);
	}
}

static void test_sizes(void)
{
	CU_ASSERT_EQUAL(size("0"), 0);
	CU_ASSERT_EQUAL(size("1B"), 1);
	CU_ASSERT_EQUAL(size("64KB"), 64000);
	CU_ASSERT_EQUAL(size("64KiB"), 65536);
	CU_ASSERT_EQUAL(size("4GiB"), UINT64_C(4) << 30);
	CU_ASSERT_EQUAL(size("2TB"), UINT64_C(2000000000000));
	static const char *const wrong[] = {"", "B", "1", "1 KB", "1kb", "1K", "1KB1B", "1KB 1B", "-1B", "1.5GiB",
		"8388608TiB", "99999999999999999999B", NULL};
	for (const char *const *text = wrong; *text; text++) {
		if (size(*text) != UINT64_MAX)
			printf("# '%s' was taken\n", *text);
		CU_ASSERT_EQUAL(size(*text), UINT64_MAX);
	}
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		bool good;
		int64_t value;
	} cases[] = {{"0", true, 0}, {"-5", true, -5}, {"+7", true, 7}, {"007", true, 7},
		{"9223372036854775807", true, INT64_MAX}, {"9223372036854775808", false, 0}, {"", false, 0},
		{"-", false, 0}, {" 1", false, 0}, {"1 ", false, 0}, {"0x10", false, 0}, {"1e3", false, 0},
		{"1_000", false, 0}, {"--1", false, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct value_text in = {cases[i].text, false, message};
		int64_t value = 0;
		CU_ASSERT_EQUAL(value_int(&in, 0, 0, &value) == NULL, cases[i].good);
		CU_ASSERT_EQUAL(value, cases[i].value);
	}
	struct value_text in = {"3", false, message};
	int64_t value = 77;
	CU_ASSERT_PTR_NOT_NULL(value_int(&in, 0, 2, &value));
	CU_ASSERT_EQUAL(value, 77);
}

static void test_fractions(void)
{
	static const struct {
		const char *text;
		bool good;
		double value;
	} cases[] = {{"0", true, 0}, {"-0.5", true, -0.5}, {"+7", true, 7}, {"1e-3", true, 0.001}, {"2.", true, 2},
		{".5", false, 0}, {"", false, 0}, {"-", false, 0}, {" 1", false, 0}, {"1 ", false, 0},
		{"0x10", false, 0}, {"nan", false, 0}, {"inf", false, 0}, {"1e999", false, 0}, {"1,5", false, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct value_text in = {cases[i].text, false, message};
		double value = 0;
		CU_ASSERT_EQUAL(value_number(&in, 0, 0, &value) == NULL, cases[i].good);
		CU_ASSERT_EQUAL(value, cases[i].value);
	}
	struct value_text in = {"2.5", false, message};
	double value = 77;
	CU_ASSERT_PTR_NOT_NULL(value_number(&in, 0, 2, &value));
	in.text = "-0.1";
	CU_ASSERT_PTR_NOT_NULL(value_number(&in, 0, INT64_MAX, &value));
	CU_ASSERT_EQUAL(value, 77);
}

static void test_written_back(void)
{
	char text[32];
	static const char *const durations[] = {"0", "1ms", "1500ms", "2s", "90s", "2m", "36h", "7d", NULL};
	for (const char *const *it = durations; *it; it++) {
		value_write_duration(duration(*it), text, sizeof text);
		CU_ASSERT_STRING_EQUAL(text, *it);
	}
	static const char *const sizes[] = {"0", "1B", "1000B", "64KiB", "5MiB", "4GiB", NULL};
	for (const char *const *it = sizes; *it; it++) {
		value_write_size(size(*it), text, sizeof text);
		CU_ASSERT_EQUAL(size(text), size(*it));
	}
}

static void test_secrets_are_not_quoted(void)
{
	struct value_text in = {"hunter2", true, message};
	uint64_t unused;
	int64_t number;
	CU_ASSERT_PTR_NULL(strstr(value_duration(&in, 0, 0, &unused), "hunter2"));
	CU_ASSERT_PTR_NULL(strstr(value_size(&in, 0, 0, &unused), "hunter2"));
	CU_ASSERT_PTR_NULL(strstr(value_int(&in, 0, 0, &number), "hunter2"));
	in.text = "10 sec";
	CU_ASSERT_PTR_NULL(strstr(value_duration(&in, 0, 0, &unused), "10s?"));
}

static void test_distance(void)
{
	CU_ASSERT_EQUAL(suggest_distance("topic", "topic"), 0);
	CU_ASSERT_EQUAL(suggest_distance("topic", "Topic"), 0);
	CU_ASSERT_EQUAL(suggest_distance("tpoic", "topic"), 1); /* swapped */
	CU_ASSERT_EQUAL(suggest_distance("tpic", "topic"), 1);
	CU_ASSERT_EQUAL(suggest_distance("toppic", "topic"), 1);
	CU_ASSERT_EQUAL(suggest_distance("tobic", "topic"), 1);
	CU_ASSERT_EQUAL(suggest_distance("tobci", "topic"), 2);
	CU_ASSERT_EQUAL(suggest_distance("", "ab"), 2);
	CU_ASSERT(suggest_distance("path", "topic") > SUGGEST_MAX_SLIPS);
	char word[200];
	memset(word, 'a', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	CU_ASSERT(suggest_distance(word, word) > SUGGEST_MAX_SLIPS); /* too long to look at */
}

static const char *nearest(const char *word, const char *a, const char *b)
{
	struct suggestion near = {.word = word};
	suggest_offer(&near, a);
	suggest_offer(&near, b);
	return near.best;
}

static void test_suggestions(void)
{
	CU_ASSERT_STRING_EQUAL(nearest("form", "topic", "from"), "from");
	CU_ASSERT_STRING_EQUAL(nearest("lakes", "lakei", "lake"), "lakei"); /* the first of equals */
	CU_ASSERT_PTR_NULL(nearest("qos", "top", "to"));
	CU_ASSERT_PTR_NULL(nearest("n", "m", "o"));
}

static void shows(const char *text, int line, int column, const char *wanted)
{
	struct source *source = source_from_text("x", text, strlen(text));
	struct source_secrets secrets = {NULL, 0};
	char *shown;
	size_t len;
	FILE *out = open_memstream(&shown, &len);
	source->guess_secrets = true;
	source_show(source, line, column, &secrets, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(shown, wanted);
	free(shown);
	source_free(source);
}

static void test_lines(void)
{
	shows("a: b\r\nc: d", 2, 4, "    2 | c: d\n      |    ^\n");
	shows("é: ü\xe2\x80\xa8z: 1", 1, 4, "    1 | é: ü\n      |    ^\n");
	shows("\ta: b", 1, 2, "    1 | \ta: b\n      | \t^\n");
	shows("a", 3, 1, "");
	shows("a: \x01\xff\xc2\x9b!", 1, 1, "    1 | a: \?\?\?\?!\n      | ^\n");
	shows("my_password: x, b: c", 1, 18, "    1 | my_password: ***\n      |              ^\n");
	shows("token:\n  more: x", 2, 3, "    2 |   ***\n      |   ^\n");
	shows("url: http://me:pw@host/x@y", 1, 1, "    1 | url: http://***@host/x@y\n      | ^\n");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"durations", test_durations},
		{"sizes", test_sizes},
		{"whole numbers", test_numbers},
		{"fractions", test_fractions},
		{"values are written back the short way", test_written_back},
		{"secrets are not quoted", test_secrets_are_not_quoted},
		{"slips are counted", test_distance},
		{"the nearest word is suggested, if it is near", test_suggestions},
		{"lines are shown with a caret and without secrets", test_lines},
		{NULL, NULL},
	};
	return tap_main("values", tests);
}
