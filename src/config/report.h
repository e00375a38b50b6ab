/* SPDX-License-Identifier: Apache-2.0
 *
 * Collects the mistakes (and warnings) of one configuration, so that all of them come out in one run, in the order of
 * the files and lines. Owns the files read, because a message shows the line. Nothing is printed before the end:
 * what is secret is only known once everything has been read.
 *
 * A message is one sentence of what is wrong and one of what would be right.
 */
#ifndef LINKSPAN_CONFIG_REPORT_H
#define LINKSPAN_CONFIG_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/source.h"

#define REPORT_MAX_SHOWN 100 /* mistakes printed; the rest is counted */
#define REPORT_MAX_KEPT  200 /* with their text */

struct report;

struct report *report_new(void);
void report_free(struct report *report);

/* Takes the file; it lives as long as the report. */
void report_add_source(struct report *report, struct source *source);
/* A file of that real_path that was added before, NULL if none. */
const struct source *report_find_source(const struct report *report, const char *real_path);

/* This text is never printed, wherever it turns up in a message as a value: `***` instead. Messages put values between
 * quotes. Copies. */
void report_add_secret(struct report *report, const char *text);

void report_mistake(struct report *report, const struct source *source, int line, int column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void report_mistake_args(struct report *report, const struct source *source, int line, int column, const char *format,
	va_list args) __attribute__((format(printf, 5, 0)));
void report_warning(struct report *report, const struct source *source, int line, int column, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* A mistake that has no place in a file: `path: …`. */
void report_failure(struct report *report, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

size_t report_mistakes(const struct report *report);
/* Of those that are printed. */
size_t report_warnings(const struct report *report);
/* No text is kept any more: do not work on one. */
bool report_full(const struct report *report);
/* Frees what was read but keeps the paths and the secrets: nothing can be shown any more. */
void report_forget_texts(struct report *report);
/* Everything, sorted. */
void report_print(struct report *report, FILE *out);

/* Reads a file again, since its text has been forgotten, and shows a line of it. */
void report_show_place(const struct report *report, const char *path, int line, int column, FILE *out);

/* `text`, which is no message of this report, with every secret replaced; the caller frees. */
char *report_redact(const struct report *report, const char *text);

#endif
