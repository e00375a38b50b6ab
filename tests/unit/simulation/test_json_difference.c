/* SPDX-License-Identifier: Apache-2.0 */
/* json_difference: what makes a difference, and where it is said to be. */
#include "simulation/json_difference.h"

#include <stdio.h>
#include <string.h>

#include "routing/json.h"
#include "tests/unit/tap.h"

static char text[1000];

static void on_place(const char *path, struct slice want, struct slice got, void *arg)
{
	size_t len = strlen(text);
	(void)arg;
	snprintf(text + len, sizeof text - len, "%s%s %.*s|%.*s", len ? "; " : "", path, (int)want.len,
		want.data ? (const char *)want.data : "", (int)got.len, got.data ? (const char *)got.data : "");
}

static const char *differ(const char *want, const char *got)
{
	text[0] = '\0';
	CU_ASSERT_PTR_NULL(json_check(slice_str(want), NULL));
	CU_ASSERT_PTR_NULL(json_check(slice_str(got), NULL));
	long n = json_difference(slice_str(want), slice_str(got), on_place, NULL);
	CU_ASSERT_EQUAL(n > 0, text[0] != '\0');
	return text;
}

static void test_equal(void)
{
	static const char *const pairs[][2] = {
		{"1", " 1 "},
		{"{\"a\":1,\"b\":[2,3]}", "{ \"b\" : [2, 3] , \"a\" : 1 }"},
		{"1", "1.0"},
		{"100", "1e2"},
		{"0.001", "1E-3"},
		{"-0.0", "0"},
		{"1200", "0.12e4"},
		{"\"\\u00e4\"", "\"ä\""},
		{"\"a\\/b\"", "\"a/b\""},
		{"{\"\\u0061\":1}", "{\"a\":1}"},
		{"{\"a\":1,\"a\":2}", "{\"a\":2}"},
		{"[]", "[ ]"},
		{"{}", "{ }"},
		{"null", "null"},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		CU_ASSERT_STRING_EQUAL(differ(pairs[i][0], pairs[i][1]), "");
		CU_ASSERT_STRING_EQUAL(differ(pairs[i][1], pairs[i][0]), "");
	}
}

static void test_places(void)
{
	CU_ASSERT_STRING_EQUAL(differ("1", "2"), ". 1|2");
	CU_ASSERT_STRING_EQUAL(differ("1", "\"1\""), ". 1|\"1\"");
	CU_ASSERT_STRING_EQUAL(differ("null", "false"), ". null|false");
	CU_ASSERT_STRING_EQUAL(differ("-1", "1"), ". -1|1");
	CU_ASSERT_STRING_EQUAL(differ("10", "1"), ". 10|1");
	CU_ASSERT_STRING_EQUAL(differ("9007199254740993", "9007199254740992"), ". 9007199254740993|9007199254740992");
	CU_ASSERT_STRING_EQUAL(differ("{\"a\":{\"b\":[1,2]}}", "{\"a\":{\"b\":[1,3]}}"), ".a.b[1] 2|3");
	CU_ASSERT_STRING_EQUAL(differ("[1]", "[1,2]"), ".[1] |2");
	CU_ASSERT_STRING_EQUAL(differ("[[1],2]", "[[]]"), ".[0][0] 1|; .[1] 2|");
	CU_ASSERT_STRING_EQUAL(differ("{\"a b\":1,\"c\":2}", "{\"d\":3}"), ".[\"a b\"] 1|; .c 2|; .d |3");
	CU_ASSERT_STRING_EQUAL(differ("{\"x\":{\"1\":1}}", "{\"x\":{\"1\":2}}"), ".x[\"1\"] 1|2");
	CU_ASSERT_STRING_EQUAL(differ("{\"a\":1,\"a\":2}", "{\"a\":1}"), ".a 2|1");
	CU_ASSERT_STRING_EQUAL(differ("[]", "{}"), ". []|{}");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"equal", test_equal},
		{"places", test_places},
		{NULL, NULL},
	};
	return tap_main("JSON differences", tests);
}
