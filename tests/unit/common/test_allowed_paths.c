/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may read and write which paths.
 */
#include <string.h>

#include "connectors/common/allowed_paths.h"
#include "tests/unit/tap.h"

static struct allowed_paths *made(const char *const *pairs, size_t n)
{
	static struct config_text items[8]; /* names are borrowed */
	struct allowed_paths *paths = NULL;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct config_text){
			.name = (char *)(uintptr_t)pairs[2 * i], .value = (char *)(uintptr_t)pairs[2 * i + 1]};
	struct config_list list = {.items = items, .n = n};
	CU_ASSERT_EQUAL_FATAL(allowed_paths_new(&list, &paths), 0);
	return paths;
}

static bool may(const struct allowed_paths *paths, const char *who, const char *path, bool reads)
{
	return allowed_paths_allow(paths, who, slice_str(path), reads);
}

static void test_empty(void)
{
	struct allowed_paths *paths = made(NULL, 0);
	CU_ASSERT(may(paths, "anybody", "/a", true) && may(paths, "anybody", "/a", false));
	CU_ASSERT(allowed_paths_know(paths, "anybody"));
	allowed_paths_free(paths);
	allowed_paths_free(NULL);
}

static void test_rules(void)
{
	static const char *const pairs[] = {
		"sensor", "write:/in/+/t read:/cfg/#", "tool", "/tools/#", "*", "\tread:/public/# \n"};
	struct allowed_paths *paths = made(pairs, 3);
	CU_ASSERT(may(paths, "sensor", "/in/1/t", false));
	CU_ASSERT_FALSE(may(paths, "sensor", "/in/1/t", true));
	CU_ASSERT_FALSE(may(paths, "sensor", "/in/1/2/t", false));
	CU_ASSERT(may(paths, "sensor", "/cfg/a/b", true));
	CU_ASSERT_FALSE(may(paths, "sensor", "/cfg/a/b", false));
	CU_ASSERT(may(paths, "tool", "/tools/x", true) && may(paths, "tool", "/tools/x", false));
	CU_ASSERT_FALSE(may(paths, "tool", "/in/1/t", false));
	CU_ASSERT(may(paths, "sensor", "/public/x", true) && may(paths, "stranger", "/public/x", true));
	CU_ASSERT_FALSE(may(paths, "stranger", "/public/x", false));
	CU_ASSERT_FALSE(may(paths, "stranger", "/tools/x", true));
	CU_ASSERT_FALSE(may(paths, "tool ", "/tools/x", true) || may(paths, "too", "/tools/x", true));
	CU_ASSERT(allowed_paths_know(paths, "stranger"));
	allowed_paths_free(paths);
}

static void test_know(void)
{
	static const char *const pairs[] = {"sensor", "/a"};
	struct allowed_paths *paths = made(pairs, 1);
	CU_ASSERT(allowed_paths_know(paths, "sensor"));
	CU_ASSERT_FALSE(allowed_paths_know(paths, "stranger"));
	CU_ASSERT_FALSE(may(paths, "*", "/a", true));
	allowed_paths_free(paths);
}

static void test_check(void)
{
	static const char *const good[] = {"/", "/#", "read:/a", "write:/a/+", " /a  /b ", "/a/b/#"};
	static const char *const bad[] = {"", "  ", "a", "read:a", "read:", "read:write:/a", "/a /b/#/c", "/a+"};
	char longest[1100] = "/";
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(allowed_paths_check(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(allowed_paths_check(bad[i]));
	memset(longest + 1, 'a', 1022);
	CU_ASSERT_PTR_NULL(allowed_paths_check(longest));
	longest[1023] = 'a';
	CU_ASSERT_PTR_NOT_NULL(allowed_paths_check(longest));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"without a rule everybody may do everything", test_empty},
		{"rules of one, of another, of everybody", test_rules},
		{"who is known", test_know},
		{"what a rule may say", test_check},
		{NULL, NULL},
	};
	return tap_main("allowed paths", tests);
}
