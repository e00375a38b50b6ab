/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets of requests: what they decode to, and the many that are refused.
 */
#include <string.h>

#include "connectors/http/in_path.h"
#include "tests/unit/tap.h"

static const struct {
	const char *target, *path, *query; /* NULL: none */
} taken[] = {
	{"/", "/", NULL},
	{"/a/b", "/a/b", NULL},
	{"/a/b/", "/a/b/", NULL},
	{"//", "//", NULL},
	{"/a?", "/a", ""},
	{"/a?b=c&d", "/a", "b=c&d"},
	{"/a?b?c", "/a", "b?c"},
	{"/a?..%2f", "/a", "..%2f"},
	{"/a%20b", "/a b", NULL},
	{"/%41%62", "/Ab", NULL},
	{"/%c3%A4", "/\xc3\xa4", NULL},
	{"/\xc3\xa4", "/\xc3\xa4", NULL},
	{"/...", "/...", NULL},
	{"/.a/a.", "/.a/a.", NULL},
	{"/a+b", "/a+b", NULL},
	{"/100%25", "/100%", NULL},
	{"/%252e%252e", "/%2e%2e", NULL},
	{"/a%3fb", "/a?b", NULL},
	{"/$SYS/x", "/$SYS/x", NULL},
};

static const struct {
	const char *target, *word; /* of what is wrong */
} refused[] = {
	{"", "begins"},
	{"*", "begins"},
	{"a", "begins"},
	{"http://a/b", "begins"},
	{"?a", "begins"},
	{"/..", "segment"},
	{"/a/../b", "segment"},
	{"/a/.", "segment"},
	{"/./a", "segment"},
	{"/%2e%2E/a", "segment"},
	{"/a/%2e", "segment"},
	{"/.%2e", "segment"},
	{"/+", "wildcard"},
	{"/a/%2b", "wildcard"},
	{"/%23", "wildcard"},
	{"/a#b", "percent-encoded"},
	{"/a\\b", "percent-encoded"},
	{"/a%2fb", "slash"},
	{"/a%2F", "slash"},
	{"/a%5cb", "slash"},
	{"/a%00", "control"},
	{"/a%0d%0ab", "control"},
	{"/a\tb", "control"},
	{"/a%7f", "control"},
	{"/%", "hexadecimal"},
	{"/%4", "hexadecimal"},
	{"/%4g", "hexadecimal"},
	{"/%g4", "hexadecimal"},
	{"/%%41", "hexadecimal"},
	{"/%ff", "UTF-8"},
	{"/%c0%ae", "UTF-8"},
	{"/%ed%a0%80", "UTF-8"},
	{"/\xff", "UTF-8"},
};

static void takes(void)
{
	uint8_t path[64];
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		size_t len = 0;
		struct slice query = {NULL, 0};
		CU_ASSERT_PTR_NULL(in_path_parse(slice_str(taken[i].target), path, &len, &query));
		CU_ASSERT(slice_equal(slice_of(path, len), slice_str(taken[i].path)));
		CU_ASSERT_EQUAL(query.data == NULL, taken[i].query == NULL);
		if (taken[i].query)
			CU_ASSERT(slice_equal(query, slice_str(taken[i].query)));
	}
}

static void refuses(void)
{
	uint8_t path[64];
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		size_t len = 7;
		struct slice query = {NULL, 0};
		const char *wrong = in_path_parse(slice_str(refused[i].target), path, &len, &query);
		CU_ASSERT_PTR_NOT_NULL_FATAL(wrong);
		CU_ASSERT_PTR_NOT_NULL(strstr(wrong, refused[i].word));
		CU_ASSERT_EQUAL(len, 7);
	}
}

/* A NUL cannot stand in a C string. */
static void refuses_nul(void)
{
	uint8_t path[8];
	size_t len;
	struct slice query;
	CU_ASSERT_PTR_NOT_NULL(in_path_parse(slice_of("/a\0b", 4), path, &len, &query));
}

static void targets(void)
{
	static const char *const good[] = {"/", "/state/1", "/a b", "/state//x", "/\xc3\xa4"};
	static const char *const bad[] = {"", "state", "/a/../b", "/.", "/+", "/a/#", "/a\nb", "/a\\b", "/\xff"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(in_path_check_target(slice_str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(in_path_check_target(slice_str(bad[i])));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what they decode to", takes},
		{"what is refused", refuses},
		{"NUL", refuses_nul},
		{"paths that mappings write to", targets},
		{NULL, NULL},
	};
	return tap_main("http paths", tests);
}
