/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of several messages.
 */
#include <errno.h>

#include "connectors/http/out_body.h"
#include "tests/unit/tap.h"

static void check(struct slice payload, bool of_lines, const char *expected)
{
	struct buffer out;
	buffer_init(&out, 4096);
	CU_ASSERT_EQUAL(http_body_append_value(payload, of_lines, &out), 0);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_str(expected)));
	if (!slice_equal(buffer_slice(&out), slice_str(expected)))
		printf("# %.*s\n", (int)out.len, out.data);
	buffer_free(&out);
}

static void check_both(const char *payload, const char *expected)
{
	check(slice_str(payload), false, expected);
	check(slice_str(payload), true, expected);
}

static void test_values(void)
{
	check_both("{\"a\": 1.50}", "{\"a\": 1.50}");
	check_both("12345678901234567890", "12345678901234567890");
	check_both("null", "null");
	check_both("", "\"\"");
	check_both("on", "\"on\"");
	check_both("{\"a\": ", "\"{\\\"a\\\": \"");
	check_both("é\t\\\x01\x1f", "\"é\\t\\\\\\u0001\\u001f\"");
	check_both("\b\f\n\r", "\"\\b\\f\\n\\r\"");
	check(slice_of(NULL, 0), false, "null");
	check(slice_of("\0", 1), false, "\"\\u0000\"");
	check(slice_of("\xff", 1), false, "{\"data_base64\":\"/w==\"}");
	check(slice_of("\xff\xfe", 2), false, "{\"data_base64\":\"//4=\"}");
	check(slice_of("\xff\xfe\xfd", 3), true, "{\"data_base64\":\"//79\"}");
}

static void test_lines(void)
{
	check(slice_str("{\n  \"a\": \"\\n\",\r\n \"b\": 2\n}"), false, "{\n  \"a\": \"\\n\",\r\n \"b\": 2\n}");
	check(slice_str("{\n  \"a\": \"\\n\",\r\n \"b\": 2\n}"), true, "{   \"a\": \"\\n\",   \"b\": 2 }");
}

static void make(bool of_lines, size_t n, struct buffer *out)
{
	static const char *const payloads[] = {"1", "two", "[3]"};
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(http_body_next(of_lines, i, out), 0);
		CU_ASSERT_EQUAL(http_body_append_value(slice_str(payloads[i]), of_lines, out), 0);
	}
	CU_ASSERT_EQUAL(http_body_end(of_lines, out), 0);
}

static void check_whole(bool of_lines, size_t n, const char *expected)
{
	struct buffer out;
	buffer_init(&out, 100);
	make(of_lines, n, &out);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&out), slice_str(expected)));
	buffer_free(&out);
}

static void test_whole_bodies(void)
{
	check_whole(false, 1, "[1]");
	check_whole(false, 3, "[1,\"two\",[3]]");
	check_whole(true, 1, "1\n");
	check_whole(true, 3, "1\n\"two\"\n[3]\n");
}

static void test_too_large(void)
{
	struct buffer out;
	buffer_init(&out, 10);
	CU_ASSERT_EQUAL(http_body_append_value(slice_str("\"too long\""), false, &out), 0);
	CU_ASSERT_EQUAL(http_body_append_value(slice_str("1"), false, &out), -ENOBUFS);
	CU_ASSERT_EQUAL(http_body_append_value(slice_str("text"), false, &out), -ENOBUFS);
	CU_ASSERT_EQUAL(http_body_append_value(slice_of("\xff", 1), false, &out), -ENOBUFS);
	buffer_free(&out);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"JSON stays as it is, text becomes a string, all else base64", test_values},
		{"a value of lines has no line break", test_lines},
		{"arrays and lines", test_whole_bodies},
		{"a body that is too large", test_too_large},
		{NULL, NULL},
	};
	return tap_main("http body", tests);
}
