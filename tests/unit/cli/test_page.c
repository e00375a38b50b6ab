/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for a terminal: wrapped, cut, aligned.
 */
#include "cli/page.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

static void expect(struct page_text *text, const char *wanted)
{
	char *got = page_text_close(text);
	CU_ASSERT_STRING_EQUAL(got, wanted);
	if (strcmp(got, wanted) != 0)
		printf("# %s\n", got);
	free(got);
}

static void test_field(void)
{
	struct page_text text;
	page_field(page_text_open(&text), 40, "why", "");
	expect(&text, "  why          \n");
	page_field(page_text_open(&text), 40, "why", "one two three four five six seven");
	expect(&text, "  why          one two three four five\n               six seven\n");
	page_field(page_text_open(&text), 40, "why", " öööööööööööö  öööööööööööö\n\tx\x01y ");
	expect(&text, "  why          öööööööööööö öööööööööööö\n               x y\n");
	page_field(page_text_open(&text), 40, "", "0123456789012345678901234567890 short");
	expect(&text, "               0123456789012345678901234567890\n               short\n");
	page_line(page_text_open(&text), "label", "as  it\x1bis");
	expect(&text, "  label        as  it is\n");
}

static void test_table(void)
{
	char *rows[] = {"A", "B", "C", "mapping", "a rather long cell ö", "last", "", "short", "last and longer"};
	struct page_text text;
	page_table(page_text_open(&text), 80, rows, 3, 3);
	expect(&text, "A        B                     C\nmapping  a rather long cell ö  last\n"
		      "         short                 last and longer\n");
	page_table(page_text_open(&text), 40, rows, 3, 3);
	expect(&text, "A        B               C\nmapping  a rather long…  last\n"
		      "         short           last and longer\n");
}

static void test_width(void)
{
	FILE *out = fopen("/dev/null", "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	unsetenv("COLUMNS");
	CU_ASSERT_EQUAL(page_width(out), 80);
	setenv("COLUMNS", "120", 1);
	CU_ASSERT_EQUAL(page_width(out), 120);
	setenv("COLUMNS", "3", 1);
	CU_ASSERT_EQUAL(page_width(out), PAGE_MIN_WIDTH);
	setenv("COLUMNS", "wide", 1);
	CU_ASSERT_EQUAL(page_width(out), 80);
	fclose(out);
}

static const struct tap_test tests[] = {
	{"fields", test_field},
	{"tables", test_table},
	{"width", test_width},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("page", tests);
}
