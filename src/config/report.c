/* SPDX-License-Identifier: Apache-2.0
 *
 * Mistakes, sorted and printed once, without the secrets.
 */
#define _GNU_SOURCE
#include "config/report.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

struct entry {
	const struct source *source; /* NULL: `path` alone */
	char *path;
	int line, column;
	size_t number; /* keeps the order of entries at one place */
	bool warning;
	char *text;
};

struct report {
	struct entry *entries;
	size_t n_entries;
	size_t n_mistakes;
	struct source **sources;
	size_t n_sources;
	char **secrets;
	size_t n_secrets;
};

struct report *report_new(void)
{
	return memory_zero(sizeof(struct report));
}

void report_free(struct report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n_entries; i++) {
		free(report->entries[i].text);
		free(report->entries[i].path);
	}
	free(report->entries);
	for (size_t i = 0; i < report->n_sources; i++)
		source_free(report->sources[i]);
	free(report->sources);
	for (size_t i = 0; i < report->n_secrets; i++)
		free(report->secrets[i]);
	free(report->secrets);
	free(report);
}

void report_add_source(struct report *report, struct source *source)
{
	report->sources = memory_grow(report->sources, report->n_sources, sizeof(struct source *));
	source->order = (unsigned)report->n_sources;
	report->sources[report->n_sources++] = source;
}

const struct source *report_find_source(const struct report *report, const char *real_path)
{
	for (size_t i = 0; i < report->n_sources; i++)
		if (strcmp(report->sources[i]->real_path, real_path) == 0)
			return report->sources[i];
	return NULL;
}

void report_add_secret(struct report *report, const char *text)
{
	if (!*text)
		return;
	for (size_t i = 0; i < report->n_secrets; i++)
		if (strcmp(report->secrets[i], text) == 0)
			return;
	report->secrets = memory_grow(report->secrets, report->n_secrets, sizeof(char *));
	report->secrets[report->n_secrets++] = memory_text(text);
}

/* NULL when enough has been kept. */
__attribute__((format(printf, 2, 0))) static struct entry *report_append(
	struct report *report, const char *format, va_list args)
{
	if (report_full(report))
		return NULL;
	report->entries = memory_grow(report->entries, report->n_entries, sizeof *report->entries);
	struct entry *entry = &report->entries[report->n_entries];
	*entry = (struct entry){.number = report->n_entries};
	if (vasprintf(&entry->text, format, args) < 0)
		entry->text = memory_text("(a message that cannot be written)");
	report->n_entries++;
	return entry;
}

void report_mistake_args(
	struct report *report, const struct source *source, int line, int column, const char *format, va_list args)
{
	struct entry *entry = report_append(report, format, args);
	if (entry) {
		entry->source = source;
		entry->line = line;
		entry->column = column;
	}
	report->n_mistakes++;
}

void report_mistake(struct report *report, const struct source *source, int line, int column, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report_mistake_args(report, source, line, column, format, args);
	va_end(args);
}

void report_warning(struct report *report, const struct source *source, int line, int column, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct entry *entry = report_append(report, format, args);
	va_end(args);
	if (!entry)
		return;
	entry->source = source;
	entry->line = line;
	entry->column = column;
	entry->warning = true;
}

void report_failure(struct report *report, const char *path, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct entry *entry = report_append(report, format, args);
	va_end(args);
	if (entry)
		entry->path = memory_text(path);
	report->n_mistakes++;
}

void report_forget_texts(struct report *report)
{
	for (size_t i = 0; i < report->n_sources; i++)
		source_forget(report->sources[i]);
}

bool report_full(const struct report *report)
{
	return report->n_entries >= REPORT_MAX_KEPT;
}

size_t report_warnings(const struct report *report)
{
	size_t n = 0;
	for (size_t i = 0; i < report->n_entries; i++)
		n += report->entries[i].warning;
	return n;
}

size_t report_mistakes(const struct report *report)
{
	return report->n_mistakes;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (!x->source != !y->source)
		return x->source ? 1 : -1;
	if (x->source && x->source != y->source)
		return x->source->order < y->source->order ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Do these bytes stand between quotes? One that opens is not behind a letter and one that closes is not before one, as
 * the one in "it's" is. */
static bool is_quoted(const char *text, const char *at, size_t len)
{
	char open = '\0';
	for (const char *p = text; p < at; p++) {
		if (*p != '\'' && *p != '"')
			continue;
		if (!open && (p == text || !isalnum((unsigned char)p[-1])))
			open = *p;
		else if (open == *p && !isalnum((unsigned char)p[1]))
			open = '\0';
	}
	return open && strchr(at + len, open);
}

/* In a message the values of the file stand between quotes, and all else is the program's own words and the names of
 * keys. A secret that could be one of those words is hidden as a value only: elsewhere stars would not hide it but give
 * it away, since everybody can look up which word the message has there, and the message could not be read. A secret of
 * one or two letters must fill the quotes. In any other text everything may be a value. */
static bool is_own_word(const char *secret, const char *text, const char *at, bool message)
{
	size_t len = strlen(secret);
	if (len <= 2)
		return !(at > text && (at[-1] == '\'' || at[-1] == '"') && at[len] == at[-1]);
	return message && source_is_word(secret) && !is_quoted(text, at, len);
}

static size_t secret_at(const struct report *report, const char *text, const char *at, bool message)
{
	size_t longest = 0;
	for (size_t i = 0; i < report->n_secrets; i++) {
		size_t len = strlen(report->secrets[i]);
		if (len > longest && strncmp(at, report->secrets[i], len) == 0 &&
			!is_own_word(report->secrets[i], text, at, message))
			longest = len;
	}
	return longest;
}

/* The user and password of a URL that a message quotes, and not the ones that it shows as an example. */
static size_t url_user_at(const char *text, const char *at)
{
	static const char example[] = "user:password@";
	if (strncmp(at, example, strlen(example)) == 0)
		return 0;
	if (at - text < 3 || memcmp(at - 3, "://", 3) != 0)
		return 0;
	size_t len = strcspn(at, "/ '\"");
	while (len > 0 && at[len] != '@')
		len--;
	return len;
}

static char *redact(const struct report *report, const char *text, bool message)
{
	size_t room = strlen(text) * 3 + 1; /* a letter may become three stars */
	char *copy = memory_zero(room), *out = copy;
	for (const char *at = text; *at;) {
		size_t len = secret_at(report, text, at, message);
		if (len == 0)
			len = url_user_at(text, at);
		if (len == 0) {
			*out++ = *at++;
			continue;
		}
		memcpy(out, "***", 3);
		out += 3;
		at += len;
	}
	return copy;
}

char *report_redact(const struct report *report, const char *text)
{
	return redact(report, text, false);
}

static void print_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		fputc(c < ' ' || c == 0x7f ? ' ' : c, out);
	}
	fputc('\n', out);
}

static void report_print_entry(const struct report *report, const struct entry *entry, FILE *out)
{
	char *text = redact(report, entry->text, true);
	if (entry->source)
		fprintf(out, "%s:%d:%d: ", entry->source->path, entry->line, entry->column);
	else
		fprintf(out, "%s: ", entry->path);
	if (entry->warning)
		fputs("warning: ", out);
	print_text(text, out);
	free(text);
	struct source_secrets secrets = {report->secrets, report->n_secrets};
	if (entry->source)
		source_show(entry->source, entry->line, entry->column, &secrets, out);
}

void report_show_place(const struct report *report, const char *path, int line, int column, FILE *out)
{
	struct source *source;
	struct source_secrets secrets = {report->secrets, report->n_secrets};
	if (source_open(path, &source) < 0)
		return;
	source->guess_secrets = true; /* which stretches are secret is forgotten, too */
	source_show(source, line, column, &secrets, out);
	source_free(source);
}

/* Two readers of one node may find the same mistake: it is one. */
static void merge_same(struct report *report)
{
	size_t kept = 0;
	for (size_t i = 0; i < report->n_entries; i++) {
		struct entry *entry = &report->entries[i], *last = kept ? &report->entries[kept - 1] : NULL;
		if (last && last->source && last->source == entry->source && last->line == entry->line &&
			last->column == entry->column && strcmp(last->text, entry->text) == 0) {
			report->n_mistakes -= !entry->warning;
			free(entry->text);
		} else {
			report->entries[kept++] = *entry;
		}
	}
	report->n_entries = kept;
}

void report_print(struct report *report, FILE *out)
{
	if (report->n_entries)
		qsort(report->entries, report->n_entries, sizeof *report->entries, compare_entries);
	merge_same(report);
	size_t shown = 0;
	for (size_t i = 0; i < report->n_entries; i++) {
		const struct entry *entry = &report->entries[i];
		if (entry->warning || shown++ < REPORT_MAX_SHOWN)
			report_print_entry(report, entry, out);
	}
	if (report->n_mistakes > REPORT_MAX_SHOWN)
		fprintf(out, "… and %zu more mistakes\n", report->n_mistakes - REPORT_MAX_SHOWN);
}
