/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments in any order, and what is none.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "tests/unit/tap.h"

#define MOST 8

static bool quiet, json;
static const char *topic, *path;
static int width;
static FILE *told_usage;

static void usage(FILE *out)
{
	told_usage = out;
}

static int take_width(const char *value, void *arg)
{
	*(int *)arg = atoi(value);
	return *(int *)arg ? 0 : 7;
}

static int read_line(const char *line)
{
	static char text[256];
	const struct argument_option options[] = {
		{.name = "--quiet", .letter = "-q", .flag = &quiet},
		{.name = "--json", .flag = &json},
		{.name = "--topic", .text = &topic},
		{.name = "--width", .take = take_width, .arg = &width},
		{.name = NULL},
	};
	char *argv[MOST], *rest = NULL;
	int argc = 0;
	quiet = json = false;
	topic = path = NULL;
	told_usage = NULL;
	width = 0;
	snprintf(text, sizeof text, "%s", line);
	for (char *word = strtok_r(text, " ", &rest); word && argc < MOST; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	return arguments_read(argc, argv, options, usage, &path);
}

static void test_good(void)
{
	CU_ASSERT_EQUAL(read_line("trace --quiet file --topic a/b --width 80"), -1);
	CU_ASSERT_TRUE(quiet && !json && width == 80);
	CU_ASSERT_STRING_EQUAL(topic, "a/b");
	CU_ASSERT_STRING_EQUAL(path, "file");
	CU_ASSERT_EQUAL(read_line("trace -q --topic=a=b -"), -1);
	CU_ASSERT_STRING_EQUAL(topic, "a=b");
	CU_ASSERT_STRING_EQUAL(path, "-");
	CU_ASSERT_EQUAL(read_line("trace --topic --json"), -1); /* a value may look like an option */
	CU_ASSERT_STRING_EQUAL(topic, "--json");
	CU_ASSERT_EQUAL(read_line("trace"), -1);
	CU_ASSERT_PTR_NULL(path);
}

static void test_help(void)
{
	CU_ASSERT_EQUAL(read_line("trace --quiet --help"), 0);
	CU_ASSERT_PTR_EQUAL(told_usage, stdout);
	CU_ASSERT_EQUAL(read_line("trace -h --no-such"), 0);
}

static void test_wrong(void)
{
	static const char *const wrong[] = {"trace --no-such", "trace a b", "trace --jso", "trace --jsonx",
		"trace --json=1", "trace -x", "trace -qq"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		CU_ASSERT_EQUAL(read_line(wrong[i]), 2);
		CU_ASSERT_PTR_EQUAL(told_usage, stderr);
	}
	CU_ASSERT_EQUAL(read_line("trace --topic"), 2);
	CU_ASSERT_EQUAL(read_line("trace --width 0 --quiet"), 7);
	CU_ASSERT_FALSE(quiet);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"in any order", test_good},
		{"help", test_help},
		{"what is none", test_wrong},
		{NULL, NULL},
	};
	return tap_main("cli arguments", tests);
}
