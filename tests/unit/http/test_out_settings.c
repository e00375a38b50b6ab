/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs, paths, and what is complained of in the keys of a sender.
 */
#include <string.h>

#include "connectors/http/out_settings.h"
#include "routing/arena.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static void test_urls(void)
{
	static const char *const good[] = {"http://a", "https://a/", "https://a.example:8443/x/y?z=1",
		"HTTPS://A.example", "http://[::1]:80/x", "http://127.0.0.1:1/%20"};
	static const char *const bad[] = {"", "a.example", "ftp://a/", "http://", "https:///x", "http://a b/",
		"http://a/ x", "https://user@a/", "https://user:word@a/", "https://a/#x", "https://a/#", "https://a#",
		"http://a:0x/", "file:///etc/passwd", "http://a/\n", "http:a"};
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

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static bool complains_of(const struct config_scope *scope, const char *key, const char *item)
{
	for (unsigned i = 0; i < scope->n; i++)
		if (strcmp(scope->complaints[i].key, key) == 0 && strcmp(scope->complaints[i].item, item) == 0)
			return true;
	return false;
}

/* The key is named by whoever prints it. */
static void test_complaints(void)
{
	struct http_settings settings = {.url = text("ftp://a"),
		.out = {.signing_secret = text("short"), .batch = {.max = 1}},
		.events = {.type = text("")}};
	struct config_scope scope = {.n = 0};
	http_out_check(&settings, &scope);
	CU_ASSERT_EQUAL(scope.n, 4);
	CU_ASSERT(complains_of(&scope, "url", "") && complains_of(&scope, "signing_secret", ""));
	for (unsigned i = 0; i < scope.n; i++)
		CU_ASSERT_PTR_NULL(strstr(scope.complaints[i].text, ": "));
}

/* All keys are given, says the scope of these tests. */
static void test_keys_of_the_other(void)
{
	struct http_settings settings = {
		.url = text("https://a"), .out = {.batch = {.max = 1}}, .events = {.type = text("t")}};
	struct config_scope sends = {.n = 0}, listens = {.n = 0};
	http_settings_check(&settings, &sends);
	CU_ASSERT_EQUAL(sends.n, 6);
	CU_ASSERT(complains_of(&sends, "access", "") && complains_of(&sends, "tls", "client_ca"));
	CU_ASSERT(complains_of(&sends, "cloudevents", "read"));
	http_out_check_absent(&listens);
	CU_ASSERT(complains_of(&listens, "auth", "") && complains_of(&listens, "method", ""));
	CU_ASSERT(complains_of(&listens, "cloudevents", "mode"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"URLs", test_urls},
		{"paths", test_paths},
		{"what is inserted is percent-encoded", test_insert},
		{"methods", test_methods},
		{"complaints", test_complaints},
		{"keys of the other kind of connection", test_keys_of_the_other},
		{NULL, NULL},
	};
	return tap_main("http out settings", tests);
}
