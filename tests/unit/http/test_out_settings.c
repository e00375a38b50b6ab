/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs, paths, and what is complained of in the keys of a sender.
 */
#include <string.h>

#include "connectors/http/out_settings.h"
#include "routing/arena.h"
#include "tests/unit/tap.h"

static void test_urls(void)
{
	static const char *const good[] = {"http://a", "https://a/", "https://a.example:8443/x/y?z=1",
		"HTTPS://A.example", "http://[::1]:80/x", "http://127.0.0.1:1/%20"};
	static const char *const bad[] = {"", "a.example", "ftp://a/", "http://", "https:///x", "http://a b/",
		"http://a/ x", "https://user@a/", "https://user:word@a/", "https://a/#x", "http://a:0x/",
		"file:///etc/passwd", "http://a/\n", "http:a"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(http_url_check(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *wrong = http_url_check(bad[i]);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		if (!wrong)
			printf("# %s is taken\n", bad[i]);
	}
}

static void test_paths(void)
{
	static const char *const good[] = {"", "/", "/a/b", "/a?x=1&y=/../", "?x=1", "/...", "/a..b/", "/%2E%2e"};
	static const char *const bad[] = {"a", "a/b", "/a b", "/a\t", "/a#b", "/a/../b", "/..", "/.", "/./a", "/a/..?x",
		"/\xc3\xa9", "/a\\b", "/a\r\nHost: x", "//a/../"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(http_path_check("https://h/base", slice_str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(http_path_check("https://h/base", slice_str(bad[i])));
	CU_ASSERT_PTR_NOT_NULL(http_path_check("https://h/base?key=1", slice_str("/a")));
	CU_ASSERT_PTR_NULL(http_path_check("https://h/base?key=1", slice_str("")));
	CU_ASSERT_PTR_NOT_NULL(http_path_check("https://h", slice_of("/a\0b", 4)));
}

static void check_insert(struct slice text, const char *expected)
{
	struct arena arena = {0};
	struct slice out;
	CU_ASSERT_EQUAL(http_path_insert(text, &arena, &out), 0);
	CU_ASSERT_TRUE(slice_equal(out, slice_str(expected)));
	arena_free(&arena);
}

/* Whatever a message says stays in its place. */
static void test_insert(void)
{
	check_insert(slice_str("abc-._~XYZ019"), "abc-._~XYZ019");
	check_insert(slice_str("a/b?c#d&e=f"), "a%2Fb%3Fc%23d%26e%3Df");
	check_insert(slice_str("é %"), "%C3%A9%20%25");
	check_insert(slice_of("\0\r\n", 3), "%00%0D%0A");
	check_insert(slice_str(""), "");
}

static void test_methods(void)
{
	CU_ASSERT_STRING_EQUAL(http_methods[http_method_find(slice_str("PUT"))], "PUT");
	CU_ASSERT_EQUAL(http_method_find(slice_str("put")), -1);
	CU_ASSERT_EQUAL(http_method_find(slice_str("POS")), -1);
	CU_ASSERT_EQUAL(http_method_find(slice_str("GET / HTTP/1.1\r\n")), -1);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"URLs", test_urls},
		{"paths", test_paths},
		{"what is inserted is percent-encoded", test_insert},
		{"methods", test_methods},
		{NULL, NULL},
	};
	return tap_main("http out settings", tests);
}
