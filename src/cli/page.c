/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrapping and cutting. Nothing here knows what the texts are about.
 */
#include "cli/page.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LABEL_WIDTH 15 /* with the indentation and a blank behind */
#define GAP         2 /* between columns */
#define NARROWEST   8 /* a column is not cut below that */
#define MAX_COLUMNS 8

int page_width(FILE *out)
{
	struct winsize size;
	const char *columns = getenv("COLUMNS");
	int width = 80;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	else if (columns && strtol(columns, NULL, 10) > 0 && strtol(columns, NULL, 10) <= PAGE_MAX_WIDTH)
		width = (int)strtol(columns, NULL, 10);
	if (width < PAGE_MIN_WIDTH)
		width = PAGE_MIN_WIDTH;
	return width > PAGE_MAX_WIDTH ? PAGE_MAX_WIDTH : width;
}

/* --- texts ----------------------------------------------------------------------------------------------------------------- */

FILE *page_text_open(struct page_text *text)
{
	text->text = NULL;
	text->out = open_memstream(&text->text, &text->size);
	if (!text->out)
		abort();
	return text->out;
}

char *page_text_close(struct page_text *text)
{
	if (fclose(text->out) != 0 || !text->text)
		abort();
	return text->text;
}

static bool is_start(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static size_t characters(const char *text, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += is_start(text[i]);
	return n;
}

/* Bytes of the first n characters. */
static size_t bytes_of(const char *text, size_t n)
{
	size_t i = 0;
	for (; text[i]; i++)
		if (is_start(text[i]) && n-- == 0)
			break;
	return i;
}

static void put(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		fputc(c < ' ' || c == 0x7f ? ' ' : c, out);
	}
}

/* --- fields ---------------------------------------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\n\r");
}

/* What goes on one line of so many characters: up to the last blank that fits, or the whole of a word that is longer. */
static size_t line_of(const char *text, size_t room)
{
	size_t best = 0, width = 0;
	for (const char *at = text; *at;) {
		size_t word = strcspn(at, " \t\n\r");
		width += characters(at, word) + (best > 0);
		if (best && width > room)
			break;
		best = (size_t)(at - text) + word;
		at = skip_blanks(at + word);
	}
	return best;
}

/* A line without more than one blank in a row. */
static void put_words(FILE *out, const char *text, size_t len)
{
	const char *end = text + len;
	for (bool first = true; text < end; first = false) {
		size_t word = strcspn(text, " \t\n\r");
		if (word > (size_t)(end - text))
			word = (size_t)(end - text);
		if (!first)
			fputc(' ', out);
		put(out, text, word);
		text = skip_blanks(text + word);
	}
}

void page_field(FILE *out, int width, const char *label, const char *text)
{
	size_t room = (size_t)(width - LABEL_WIDTH);
	text = skip_blanks(text);
	do {
		size_t len = line_of(text, room);
		fprintf(out, "  %-*s", LABEL_WIDTH - 2, label);
		put_words(out, text, len);
		fputc('\n', out);
		label = "";
		text = skip_blanks(text + len);
	} while (*text);
}

void page_line(FILE *out, const char *label, const char *text)
{
	fprintf(out, "  %-*s", LABEL_WIDTH - 2, label);
	put(out, text, strlen(text));
	fputc('\n', out);
}

/* --- tables ---------------------------------------------------------------------------------------------------------------- */

/* Takes from the widest column until all fit. */
static void fit(size_t *widths, size_t n, size_t room)
{
	for (;;) {
		size_t sum = GAP * (n - 1), widest = 0;
		for (size_t i = 0; i < n; i++) {
			sum += widths[i];
			if (i + 1 < n && widths[i] >= widths[widest])
				widest = i;
		}
		if (sum <= room || widths[widest] <= NARROWEST)
			return;
		widths[widest]--;
	}
}

static void put_cell(FILE *out, const char *text, size_t width, bool last)
{
	size_t len = strlen(text), n = characters(text, len);
	if (last) {
		put(out, text, len);
		return;
	}
	if (n > width) {
		put(out, text, bytes_of(text, width - 1));
		fputs("…", out);
		n = width;
	} else {
		put(out, text, len);
	}
	fprintf(out, "%*s", (int)(width - n + GAP), "");
}

void page_table(FILE *out, int width, char *const *texts, size_t n_columns, size_t n_rows)
{
	size_t widths[MAX_COLUMNS] = {0};
	for (size_t i = 0; i < n_columns * n_rows; i++) {
		size_t n = characters(texts[i], strlen(texts[i]));
		if (n > widths[i % n_columns])
			widths[i % n_columns] = n;
	}
	fit(widths, n_columns, (size_t)width);
	for (size_t i = 0; i < n_columns * n_rows; i++) {
		bool last = i % n_columns == n_columns - 1;
		put_cell(out, texts[i], widths[i % n_columns], last);
		if (last)
			fputc('\n', out);
	}
}
