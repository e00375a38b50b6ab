/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/tap.h"

static char last[4096];
static unsigned lines;

static void keep(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(last, sizeof last, "%s", line);
	lines++;
}

static void test_line(void)
{
	log_set_sink(keep, NULL);
	log_info("thing_happened", "key=%d text=\"%s\"", 7, "two\nlines\x1b[31m");
	CU_ASSERT_PTR_NOT_NULL(strstr(last, " info event=thing_happened key=7 text=\"two?lines?[31m\""));
	log_set_sink(NULL, NULL);
}

static void test_repeats_are_counted(void)
{
	log_set_sink(keep, NULL);
	lines = 0;
	for (int i = 0; i < 100; i++)
		log_warn("again", "same=%d", 1);
	CU_ASSERT_EQUAL(lines, 1);
	log_warn("again", "same=%d", 2);
	CU_ASSERT_EQUAL(lines, 2);
	log_set_sink(NULL, NULL);
}

static void test_levels(void)
{
	log_set_sink(keep, NULL);
	lines = 0;
	log_debug("hidden", "a=%d", 1);
	CU_ASSERT_EQUAL(lines, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown", "a=%d", 1);
	CU_ASSERT_EQUAL(lines, 1);
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("hidden", "a=%d", 2);
	CU_ASSERT_EQUAL(lines, 1);
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(NULL, NULL);
}

static void test_long_line_is_cut(void)
{
	char long_text[8192];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	log_set_sink(keep, NULL);
	lines = 0;
	log_error("long", "text=%s", long_text);
	CU_ASSERT_EQUAL(lines, 1);
	CU_ASSERT(strlen(last) < 2048);
	log_set_sink(NULL, NULL);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"one line, no control characters", test_line},
		{"repeats are counted", test_repeats_are_counted},
		{"levels", test_levels},
		{"a long line is cut", test_long_line_is_cut},
		{NULL, NULL},
	};
	return tap_main("log", tests);
}
