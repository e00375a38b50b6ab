/* SPDX-License-Identifier: Apache-2.0
 *
 * All samples of a metric stand together, after its HELP and TYPE: OpenMetrics demands it. What OpenMetrics calls the
 * metric is the name without _total or _info; its samples have the suffix in both formats.
 */
#include "admin/exposition.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LABELS 2

struct label {
	const char *name, *value;
};

struct writer {
	struct buffer *out;
	enum exposition_format format;
	const struct metric *metric;
	struct label labels[MAX_LABELS]; /* of the next sample; name NULL: none */
	int error;
};

/* --- text ------------------------------------------------------------------------------------------------------ */

static void put(struct writer *w, const char *text, size_t len)
{
	if (w->error == 0)
		w->error = buffer_append(w->out, slice_of(text, len));
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void __attribute__((format(printf, 2, 3))) put_format(struct writer *w, const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	put(w, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* Of a label's value, and of help in OpenMetrics. */
static void put_escaped(struct writer *w, const char *text, bool quotes)
{
	for (const char *at = text; *at; at++) {
		if (*at == '\n')
			put(w, "\\n", 2);
		else if (*at == '\\' || (quotes && *at == '"'))
			put_format(w, "\\%c", *at);
		else
			put(w, at, 1);
	}
}

static bool openmetrics(const struct writer *w)
{
	return w->format == EXPOSITION_OPENMETRICS;
}

static void put_family_name(struct writer *w)
{
	static const char *const suffixes[] = {[METRIC_COUNTER] = "_total", [METRIC_INFO] = "_info"};
	const char *name = w->metric->name;
	const char *suffix =
		w->metric->type == METRIC_COUNTER || w->metric->type == METRIC_INFO ? suffixes[w->metric->type] : "";
	put(w, name, strlen(name) - (openmetrics(w) ? strlen(suffix) : 0));
}

/* --- samples --------------------------------------------------------------------------------------------------- */

static void put_head(struct writer *w)
{
	bool info = w->metric->type == METRIC_INFO;
	put_text(w, "# HELP ");
	put_family_name(w);
	put_text(w, " ");
	put_escaped(w, w->metric->help, openmetrics(w));
	put_text(w, ".\n# TYPE ");
	put_family_name(w);
	put_format(w, " %s\n", info && !openmetrics(w) ? "gauge" : metric_type_name(w->metric));
	if (!openmetrics(w) || !w->metric->unit)
		return;
	put_text(w, "# UNIT ");
	put_family_name(w);
	put_format(w, " %s\n", w->metric->unit);
}

/* le: the upper bound of a bucket, or NULL. */
static void put_name(struct writer *w, const char *suffix, const char *le)
{
	const char *before = "{";
	put_text(w, w->metric->name);
	put_text(w, suffix);
	for (size_t i = 0; i < MAX_LABELS && w->labels[i].name; i++) {
		put_format(w, "%s%s=\"", before, w->labels[i].name);
		put_escaped(w, w->labels[i].value, true);
		put_text(w, "\"");
		before = ",";
	}
	if (le)
		put_format(w, "%sle=\"%s\"", before, le);
	put_text(w, *before == '{' && !le ? " " : "} ");
}

static void put_number(struct writer *w, uint64_t value)
{
	put_name(w, "", NULL);
	put_format(w, "%llu\n", (unsigned long long)value);
}

static void put_double(struct writer *w, double value)
{
	if (isnan(value))
		return;
	put_name(w, "", NULL);
	put_format(w, "%.15g\n", value);
}

/* A whole number gets a fraction in OpenMetrics: there `le` is to be written as one would write a float. */
static void bound_text(const struct writer *w, double bound, char *ret_text, size_t size)
{
	int n = snprintf(ret_text, size, "%.12g", bound);
	if (openmetrics(w) && !strpbrk(ret_text, ".e") && (size_t)n + 2 < size)
		memcpy(ret_text + n, ".0", 3);
}

static void put_histogram(struct writer *w, const struct histogram *histogram)
{
	const struct histogram_scale *scale = histogram->scale;
	uint64_t count = 0;
	size_t i = 0;
	for (; i < HISTOGRAM_MAX_BOUNDS && scale->bounds[i]; i++) {
		char le[40];
		bound_text(w, (double)scale->bounds[i] / (double)scale->per_unit, le, sizeof le);
		count += histogram->counts[i];
		put_name(w, "_bucket", le);
		put_format(w, "%llu\n", (unsigned long long)count);
	}
	count += histogram->counts[i];
	put_name(w, "_bucket", "+Inf");
	put_format(w, "%llu\n", (unsigned long long)count);
	put_name(w, "_sum", NULL);
	put_format(w, "%.15g\n", (double)histogram->sum / (double)scale->per_unit);
	put_name(w, "_count", NULL);
	put_format(w, "%llu\n", (unsigned long long)count);
}

static void put_value(struct writer *w, const void *base)
{
	const void *at = (const char *)base + w->metric->offset;
	switch (w->metric->value) {
	case METRIC_U64:
		put_number(w, *(const uint64_t *)at);
		break;
	case METRIC_SIZE:
		put_number(w, *(const size_t *)at);
		break;
	case METRIC_BOOL:
		put_number(w, *(const bool *)at);
		break;
	case METRIC_DOUBLE:
		put_double(w, *(const double *)at);
		break;
	case METRIC_BUCKETS:
		put_histogram(w, at);
		break;
	case METRIC_BUCKETS_AT:
		put_histogram(w, *(const struct histogram *const *)at);
		break;
	}
}

/* --- whole metrics ----------------------------------------------------------------------------------------------- */

static void put_outcomes(struct writer *w, const struct snapshot_connection *conn)
{
	const uint64_t *totals = (const uint64_t *)(const void *)((const char *)conn + w->metric->offset);
	for (size_t i = 0; i < JOURNAL_N_TOTALS; i++) {
		w->labels[1] = (struct label){"outcome", journal_total_name((enum journal_total)i)};
		put_number(w, totals[i]);
	}
	w->labels[1].name = NULL;
}

static void put_event(const char *name, uint64_t value, void *arg)
{
	struct writer *w = arg;
	w->labels[1] = (struct label){"event", name};
	put_number(w, value);
	w->labels[1].name = NULL;
}

static void put_connection(struct writer *w, const struct snapshot *snapshot, size_t index)
{
	const struct snapshot_connection *conn = &snapshot->connections[index];
	enum metric_of of = w->metric->of;
	bool as_destination = of == METRIC_DESTINATION || of == METRIC_OUTCOME;
	if (as_destination            ? !conn->figures.is_destination
		: of == METRIC_SOURCE ? !conn->figures.is_source
				      : !conn->figures.used)
		return;
	w->labels[0] = (struct label){as_destination ? "destination" : "connection", conn->figures.name};
	if (of == METRIC_OUTCOME)
		put_outcomes(w, conn);
	else if (of == METRIC_EVENT)
		bridge_connection_counters(snapshot->bridge, index, put_event, w);
	else
		put_value(w, conn);
}

static void put_metric(struct writer *w, const struct snapshot *snapshot)
{
	w->labels[0].name = w->labels[1].name = NULL;
	put_head(w);
	if (w->metric->of == METRIC_ONCE) {
		put_value(w, snapshot);
	} else if (w->metric->of == METRIC_BUILD) {
		w->labels[0] = (struct label){"version", LINKSPAN_VERSION};
		put_number(w, 1);
	} else {
		for (size_t i = 0; i < snapshot->n_connections; i++)
			put_connection(w, snapshot, i);
	}
}

int exposition_write(
	enum exposition_format format, const struct metric *table, const struct snapshot *snapshot, struct buffer *out)
{
	struct writer w = {.out = out, .format = format};
	for (w.metric = table; w.metric->name; w.metric++)
		put_metric(&w, snapshot);
	if (format == EXPOSITION_OPENMETRICS)
		put_text(&w, "# EOF\n");
	return w.error;
}

/* --- content negotiation ----------------------------------------------------------------------------------------- */

const char *exposition_content_type(enum exposition_format format)
{
	return format == EXPOSITION_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
						: "text/plain; version=0.0.4; charset=utf-8";
}

/* One entry of the header: media type, version and quality in thousandths. */
struct accepted {
	char type[64], version[16];
	unsigned quality;
};

static unsigned parse_quality(const char *text)
{
	char *end;
	double value = strtod(text, &end);
	if (end == text || !(value >= 0 && value <= 1))
		return 0;
	return (unsigned)(value * 1000 + 0.5);
}

/* Copies a word, without blanks and quotes around it, in lower case. */
static void copy_word(char *out, size_t size, const char *from, size_t len)
{
	size_t n = 0;
	while (len && strchr(" \t\"", *from))
		from++, len--;
	while (len && strchr(" \t\"", from[len - 1]))
		len--;
	for (; n < len && n + 1 < size; n++)
		out[n] = (char)(from[n] >= 'A' && from[n] <= 'Z' ? from[n] + 32 : from[n]);
	out[n] = '\0';
}

static struct accepted parse_entry(const char *entry, size_t len)
{
	struct accepted accepted = {.quality = 1000};
	bool first = true;
	for (const char *end = entry + len; entry < end; first = false) {
		size_t n = strcspn(entry, ";,");
		char word[80];
		copy_word(word, sizeof word, entry, n);
		if (first)
			memcpy(accepted.type, word, sizeof accepted.type - 1);
		else if (strncmp(word, "q=", 2) == 0)
			accepted.quality = parse_quality(word + 2);
		else if (strncmp(word, "version=", 8) == 0)
			copy_word(accepted.version, sizeof accepted.version, word + 8, strlen(word + 8));
		entry += n + 1;
	}
	return accepted;
}

enum exposition_format exposition_negotiate(const char *accept)
{
	unsigned text = 0, open = 0;
	for (const char *at = accept ? accept : ""; *at;) {
		size_t len = strcspn(at, ",");
		struct accepted entry = parse_entry(at, len);
		bool version_1 = !entry.version[0] || strncmp(entry.version, "1.", 2) == 0;
		if (strcmp(entry.type, "application/openmetrics-text") == 0 && version_1)
			open = entry.quality > open ? entry.quality : open;
		else if (strcmp(entry.type, "text/plain") == 0)
			text = entry.quality > text ? entry.quality : text;
		at += len + (at[len] == ',');
	}
	return open > 0 && open >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}
