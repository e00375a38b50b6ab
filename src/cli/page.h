/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for a terminal of some width: fields with a label and wrapped lines, tables with columns that are cut to fit. Widths
 * are in characters of UTF-8. What cannot be written shows in ferror(out).
 */
#ifndef LINKSPAN_CLI_PAGE_H
#define LINKSPAN_CLI_PAGE_H

#include <stdio.h>

#define PAGE_MIN_WIDTH 40
#define PAGE_MAX_WIDTH 400

/* Of the terminal that `out` is, else of $COLUMNS, else 80. */
int page_width(FILE *out);

/* "  label      text", wrapped at blanks; the label may be "". Control characters come out as blanks. */
void page_field(FILE *out, int width, const char *label, const char *text);

/* The same on one line, as it is. */
void page_line(FILE *out, const char *label, const char *text);

/* Rows of n_columns texts each, the first of them the heads. Columns as wide as they need, or, when that is too much, the widest
 * ones cut with …; the last one is never cut. */
void page_table(FILE *out, int width, char *const *texts, size_t n_columns, size_t n_rows);

/* A text that is printed to, for the caller to free; NULL texts never occur. */
struct page_text {
	FILE *out;
	char *text;
	size_t size;
};
FILE *page_text_open(struct page_text *text);
char *page_text_close(struct page_text *text);

#endif
