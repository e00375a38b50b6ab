/* SPDX-License-Identifier: Apache-2.0
 *
 * JUnit's head counts what comes below it, so that is written to memory first.
 */
#define _GNU_SOURCE /* asprintf */
#include "cli/test_report.h"

#include <stdlib.h>
#include <string.h>

#include "message/utf8.h"

/* --- texts ------------------------------------------------------------------------------------------------------------ */

/* Calls for each line, without its end. */
static void each_line(const char *text, void (*fn)(FILE *out, const char *line, int len), FILE *out)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		fn(out, text, (int)len);
		text += len + (text[len] == '\n');
	}
}

static void put_indented(FILE *out, const char *line, int len)
{
	fprintf(out, "        %.*s\n", len, line);
}

static void put_comment(FILE *out, const char *line, int len)
{
	fprintf(out, "#   %.*s\n", len, line);
}

static const char *file_name(const struct trial_failure *failure)
{
	const char *slash = strrchr(failure->file, '/');
	return slash ? slash + 1 : failure->file;
}

/* The place and the text; the caller frees. */
static char *tell(const struct test_report *report, const struct trial_failure *failure)
{
	char *text = NULL;
	if (asprintf(&text, "%s:%d: %s", file_name(failure), failure->line, failure->text) < 0)
		return NULL;
	char *shown = config_redact(report->config, text);
	free(text);
	return shown;
}

/* Nothing that a terminal would obey. */
static void put_name(FILE *out, const char *name, bool tap)
{
	for (; *name; name++)
		if (tap && *name == '#') /* would begin a directive */
			fputs("\\#", out);
		else
			fputc((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name, out);
	fputc('\n', out);
}

/* --- for a person, and TAP ---------------------------------------------------------------------------------------------- */

static void say(struct test_report *report, const char *name, const struct trial *trial)
{
	FILE *out = report->out;
	fprintf(out, "%-6s", trial->n_failures ? "FAIL" : "ok");
	put_name(out, name, false);
	for (size_t i = 0; i < trial->n_failures; i++) {
		char *text = tell(report, &trial->failures[i]);
		if (text)
			each_line(text, put_indented, out);
		free(text);
	}
}

static void say_tap(struct test_report *report, const char *name, const struct trial *trial)
{
	FILE *out = report->out;
	fprintf(out, "%sok %zu - ", trial->n_failures ? "not " : "", report->n_done);
	put_name(out, name, true);
	for (size_t i = 0; i < trial->n_failures; i++) {
		char *text = tell(report, &trial->failures[i]);
		if (text)
			each_line(text, put_comment, out);
		free(text);
	}
}

/* --- JUnit -------------------------------------------------------------------------------------------------------------- */

/* Length of the character at `text`, 1 where there is none. *ret_allowed: XML 1.0 §2.2 has it. */
static size_t xml_character(const unsigned char *text, size_t left, bool *ret_allowed)
{
	size_t len = *text < 0x80 ? 1 : *text >= 0xf0 ? 4 : *text >= 0xe0 ? 3 : 2;
	*ret_allowed = len <= left && utf8_valid(slice_of(text, len));
	if (!*ret_allowed)
		return 1;
	bool control = len == 1 && (*text < 0x20 && *text != '\n' && *text != '\t');
	bool none = len == 3 && text[0] == 0xef && text[1] == 0xbf && text[2] >= 0xbe; /* U+FFFE, U+FFFF */
	*ret_allowed = !control && !none;
	return len;
}

static void put_xml(FILE *out, const char *text)
{
	bool allowed;
	for (size_t left = strlen(text), len; left; text += len, left -= len) {
		len = xml_character((const unsigned char *)text, left, &allowed);
		if (!allowed)
			fputc('?', out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else if (*text == '\n')
			fputs("&#10;", out);
		else
			fwrite(text, 1, len, out);
	}
}

static void put_failure(struct test_report *report, const struct trial_failure *failure)
{
	FILE *out = report->cases_out;
	char *text = tell(report, failure);
	if (!text)
		return;
	size_t first = strcspn(text, "\n");
	char *message = strndup(text, first);
	fputs("      <failure message=\"", out);
	put_xml(out, message ? message : "");
	fputs("\">", out);
	put_xml(out, text);
	fputs("</failure>\n", out);
	free(message);
	free(text);
}

static void write_junit(
	struct test_report *report, const struct test_config *test, const char *name, const struct trial *trial)
{
	FILE *out = report->cases_out;
	fputs("    <testcase name=\"", out);
	put_xml(out, name);
	fputs("\" classname=\"", out);
	put_xml(out, test->mapping ? test->mapping : "linkspan");
	fputs("\" file=\"", out);
	put_xml(out, test->file);
	fprintf(out, "\" line=\"%d\" time=\"0\">\n", test->line);
	for (size_t i = 0; i < trial->n_failures; i++)
		put_failure(report, &trial->failures[i]);
	fputs("    </testcase>\n", out);
}

static void finish_junit(struct test_report *report)
{
	FILE *out = report->junit;
	if (!report->cases_out || fclose(report->cases_out) != 0)
		return;
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites tests=\"%zu\" failures=\"%zu\">\n"
		"  <testsuite name=\"",
		report->n_done, report->n_failed);
	put_xml(out, report->path);
	fprintf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\" time=\"0\">\n%s", report->n_done,
		report->n_failed, report->cases);
	fputs("  </testsuite>\n</testsuites>\n", out);
	free(report->cases);
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

void test_report_begin(struct test_report *report)
{
	if (report->out && report->tap)
		fprintf(report->out, "TAP version 13\n1..%zu\n", report->n);
	if (report->junit)
		report->cases_out = open_memstream(&report->cases, &report->cases_len);
}

void test_report_trial(struct test_report *report, const struct test_config *test, const struct trial *trial)
{
	char *name = config_redact(report->config, test->name);
	report->n_done++;
	report->n_failed += trial->n_failures > 0;
	if (report->out && report->tap)
		say_tap(report, name, trial);
	else if (report->out)
		say(report, name, trial);
	if (report->cases_out)
		write_junit(report, test, name, trial);
	free(name);
}

void test_report_end(struct test_report *report)
{
	if (report->out && !report->tap)
		fprintf(report->out, "%zu test%s, %zu failed\n", report->n_done, report->n_done == 1 ? "" : "s",
			report->n_failed);
	if (report->junit)
		finish_junit(report);
}
