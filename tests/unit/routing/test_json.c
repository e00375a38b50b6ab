/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader: what is well formed, finding values, characters of strings.
 */
#include "routing/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

/* A copy of exactly that size, so that a sanitizer sees a read past the end. */
static const char *check(const char *bytes, size_t len, size_t *ret_offset)
{
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, bytes, len);
	const char *wrong = json_check(slice_of(copy, len), ret_offset);
	free(copy);
	return wrong;
}

static void test_well_formed(void)
{
	static const char *const texts[] = {"{}", "[]", "0", "-0", "1.5e+10", "-12E-3", "\"\"", "true", "false", "null",
		" {\"a\" : [ 1 , 2 ] , \"b\":{\"c\":null}}\r\n\t", "\"\\u00e4\\n\\\"\\\\\\/\"",
		"\"\xC3\xA4\xF0\x9F\x98\x80\"", "[[[[]]]]", "\"\\ud800\"", "1e400", "12345678901234567890"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		CU_ASSERT_PTR_NULL(check(texts[i], strlen(texts[i]), NULL));
		/* Cut anywhere it is not JSON, or still ends well. Nothing is read past the end. */
		for (size_t len = 0; len < strlen(texts[i]); len++)
			check(texts[i], len, NULL);
	}
}

static void test_malformed(void)
{
	static const struct {
		const char *text;
		size_t offset;
	} rows[] = {
		{"", 0},
		{"  ", 2},
		{"{", 1},
		{"[1,]", 3},
		{"[1 2]", 3},
		{"{\"a\"}", 4},
		{"{\"a\":1,}", 7},
		{"{a:1}", 1},
		{"01", 1},
		{"1.", 2},
		{".5", 0},
		{"+1", 0},
		{"1e", 2},
		{"-", 1},
		{"nan", 0},
		{"NaN", 0},
		{"Infinity", 0},
		{"tru", 0},
		{"nulll", 4},
		{"\"a", 2},
		{"\"\\x\"", 2},
		{"\"\\u12\"", 2},
		{"\"\n\"", 1},
		{"\"\xFF\"", 1},
		{"\"\xED\xA0\x80\"", 1},
		{"1 2", 2},
		{"{} x", 3},
		{"'a'", 0},
		{"[1}", 2},
		{"\xEF\xBB\xBF{}", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t offset = 999;
		const char *wrong = check(rows[i].text, strlen(rows[i].text), &offset);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		CU_ASSERT_EQUAL(offset, rows[i].offset);
		if (offset != rows[i].offset)
			printf("# %s: %zu %s\n", rows[i].text, offset, wrong ? wrong : "");
	}
	CU_ASSERT_PTR_NOT_NULL(check("1\0", 2, NULL));
	CU_ASSERT_PTR_NOT_NULL(check("\"\\\0\"", 4, NULL));
}

static void test_depth(void)
{
	char text[2 * (JSON_MAX_DEPTH + 1)];
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	CU_ASSERT_PTR_NULL(check(text, 2 * JSON_MAX_DEPTH, NULL));
	memset(text, '[', JSON_MAX_DEPTH + 1);
	memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	CU_ASSERT_PTR_NOT_NULL(check(text, sizeof text, NULL));
}

static const char document[] = "{\"id\": 9007199254740993, \"s\": \"x\\ty\", \"a\": [10, {\"b\": [true]}, \"]\"], "
			       "\"d\": 1, \"d\": 2, \"e\\u0066\": 3, \"n\": null, \"{\": \"}\"}";

static void assert_found(const struct json_step *steps, size_t n, const char *expected)
{
	struct slice found = json_find(slice_str(document), steps, n);
	if (!expected) {
		CU_ASSERT_PTR_NULL(found.data);
		return;
	}
	CU_ASSERT_TRUE(found.data && slice_equal(found, slice_str(expected)));
}

static struct json_step key(const char *name)
{
	return (struct json_step){slice_str(name), 0};
}

static struct json_step at(size_t index)
{
	return (struct json_step){{NULL, 0}, index};
}

static void test_find(void)
{
	assert_found((struct json_step[]){key("id")}, 1, "9007199254740993");
	assert_found((struct json_step[]){key("s")}, 1, "\"x\\ty\"");
	assert_found((struct json_step[]){key("a"), at(0)}, 2, "10");
	assert_found((struct json_step[]){key("a"), at(1), key("b"), at(0)}, 4, "true");
	assert_found((struct json_step[]){key("a"), at(2)}, 2, "\"]\"");
	assert_found((struct json_step[]){key("a"), at(3)}, 2, NULL);
	assert_found((struct json_step[]){key("a"), key("0")}, 2, NULL);
	assert_found((struct json_step[]){at(0)}, 1, NULL);
	assert_found((struct json_step[]){key("d")}, 1, "2");
	assert_found((struct json_step[]){key("ef")}, 1, "3");
	assert_found((struct json_step[]){key("n")}, 1, "null");
	assert_found((struct json_step[]){key("{")}, 1, "\"}\"");
	assert_found((struct json_step[]){key("no")}, 1, NULL);
	assert_found((struct json_step[]){key("id"), key("no")}, 2, NULL);
	assert_found(NULL, 0, document);
}

static void assert_unescaped(const char *raw, const char *expected, size_t expected_len)
{
	uint8_t out[64];
	size_t len = json_unescape(slice_str(raw), out);
	CU_ASSERT_EQUAL(len, expected_len);
	if (len == expected_len && len != SIZE_MAX)
		CU_ASSERT_EQUAL(memcmp(out, expected, len), 0);
}

static void test_unescape(void)
{
	assert_unescaped("\"a\\n\\t\\r\\b\\f\\\"\\\\\\/\"", "a\n\t\r\b\f\"\\/", 9);
	assert_unescaped("\"\\u0041\\u00e4\\u20ac\"", "A\xC3\xA4\xE2\x82\xAC", 6);
	assert_unescaped("\"\\ud83d\\ude00\"", "\xF0\x9F\x98\x80", 4);
	assert_unescaped("\"\\u0000\"", "\0", 1);
	assert_unescaped("\"\\ud83d\"", NULL, SIZE_MAX);
	assert_unescaped("\"\\ud83dx\"", NULL, SIZE_MAX);
	assert_unescaped("\"\\ud83d\\u0041\"", NULL, SIZE_MAX);
	assert_unescaped("\"\\ude00\"", NULL, SIZE_MAX);
}

static const struct tap_test tests[] = {
	{"well-formed texts", test_well_formed},
	{"malformed texts", test_malformed},
	{"depth", test_depth},
	{"find", test_find},
	{"characters of a string", test_unescape},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("json", tests);
}
