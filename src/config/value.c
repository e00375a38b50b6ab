/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units, and what to say when they are written wrongly.
 */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/suggest.h"

struct unit {
	const char *name;
	uint64_t factor;
	const char *others; /* spellings that people try, separated by blanks */
};

static const struct unit duration_units[] = {
	{"ms", 1, "msec msecs millis milliseconds millisecond"},
	{"s", 1000, "sec secs second seconds"},
	{"m", 60 * 1000, "min mins minute minutes"},
	{"h", 60 * 60 * 1000, "hr hrs hour hours"},
	{"d", 24 * 60 * 60 * 1000, "day days"},
	{NULL, 0, NULL},
};
static const struct unit size_units[] = {
	{"B", 1, "byte bytes"},
	{"KB", 1000, "k kbyte kbytes"},
	{"MB", 1000000, "m mbyte mbytes"},
	{"GB", 1000000000, "g gbyte gbytes"},
	{"TB", 1000000000000, "t tbyte tbytes"},
	{"KiB", 1ull << 10, "ki"},
	{"MiB", 1ull << 20, "mi"},
	{"GiB", 1ull << 30, "gi"},
	{"TiB", 1ull << 40, "ti"},
	{NULL, 0, NULL},
};

/* What is told of a kind of value. */
struct kind {
	const struct unit *units;
	const char *article; /* "a duration" */
	const char *example;
	bool compound; /* several numbers with units in a row */
	void (*write)(uint64_t value, char *out, size_t size);
};
static const struct kind duration_kind = {
	duration_units, "a duration", "10s (units: ms, s, m, h, d)", true, value_write_duration};
static const struct kind size_kind = {
	size_units, "a size", "64MiB (units: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB)", false, value_write_size};

static const char *say(const struct value_text *in, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *say(const struct value_text *in, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(in->message, VALUE_MESSAGE, format, args);
	va_end(args);
	return in->message;
}

/* The text in quotes, cut when long; "this value" when it must not be shown. Two buffers are never needed at once. */
static const char *quoted(const struct value_text *in)
{
	static _Thread_local char buffer[96];
	if (in->secret)
		return "this value";
	int shown = strlen(in->text) > 60 ? 57 : 60;
	snprintf(buffer, sizeof buffer, "'%.*s%s'", shown, in->text, shown == 57 ? "..." : "");
	return buffer;
}

static const char *say_bounds(const struct value_text *in, const char *min, const char *max, bool below)
{
	if (!*max && below)
		return say(in, "%s is too small; the least is %s", quoted(in), min);
	if (!*max)
		return say(in, "%s is too large; write a smaller one", quoted(in));
	return say(in, "%s is too %s; it lies between %s and %s", quoted(in), below ? "small" : "large", min, max);
}

const char *value_int(const struct value_text *in, int64_t min, int64_t max, int64_t *ret_value)
{
	char *end, low[32], high[32];
	errno = 0;
	const char *digits = in->text + (*in->text == '-' || *in->text == '+');
	long long value = strtoll(in->text, &end, 10);
	if (!isdigit((unsigned char)*digits) || *end)
		return say(in, "%s is not a whole number; write digits only, such as %d", quoted(in),
			(min || max) && max < 10 ? 1 : 10);
	snprintf(low, sizeof low, "%" PRId64, min);
	snprintf(high, sizeof high, "%" PRId64, max);
	bool bounded = min || max;
	if (errno == ERANGE && !bounded)
		return say(in, "%s is too large for a number; write a smaller one", quoted(in));
	if (bounded && (value < min || errno == ERANGE || value > max))
		return say_bounds(in, low, max == INT64_MAX ? "" : high, value < min);
	*ret_value = value;
	return NULL;
}

const char *value_number(const struct value_text *in, int64_t min, int64_t max, double *ret_value)
{
	char *end, low[32], high[32];
	const char *digits = in->text + (*in->text == '-' || *in->text == '+');
	double value = strtod(in->text, &end);
	if (!isdigit((unsigned char)*digits) || strpbrk(in->text, "xX") || *end || !isfinite(value))
		return say(in, "%s is not a number; write one such as 0.5", quoted(in));
	snprintf(low, sizeof low, "%" PRId64, min);
	snprintf(high, sizeof high, "%" PRId64, max);
	if ((min || max) && (value < (double)min || value > (double)max))
		return say_bounds(in, low, max == INT64_MAX ? "" : high, value < (double)min);
	*ret_value = value;
	return NULL;
}

const char *value_bool(const struct value_text *in, bool *ret_value)
{
	static const char *const others[] = {
		"yes", "no", "on", "off", "y", "n", "1", "0", "True", "False", "TRUE", "FALSE"};
	if (strcmp(in->text, "true") == 0 || strcmp(in->text, "false") == 0) {
		*ret_value = in->text[0] == 't';
		return NULL;
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcasecmp(in->text, others[i]) == 0) {
			bool on = strchr("yY1tT", *in->text) || strcasecmp(in->text, "on") == 0;
			return say(in, "%s is not true or false; did you mean %s?", quoted(in), on ? "true" : "false");
		}
	return say(in, "%s is not true or false; write true or false", quoted(in));
}

static bool word_in(const char *words, const char *word, size_t len)
{
	for (const char *at = words; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");
		if (n == len && strncasecmp(at, word, len) == 0)
			return true;
		at += n;
	}
	return false;
}

/* The unit that was probably meant: a known other spelling, another case, or one slip away. */
static const char *likely_unit(const struct unit *units, const char *word, size_t len)
{
	char copy[16];
	if (len == 0 || len >= sizeof copy)
		return NULL;
	memcpy(copy, word, len);
	copy[len] = '\0';
	for (const struct unit *unit = units; unit->name; unit++)
		if (word_in(unit->others, word, len) || strcasecmp(copy, unit->name) == 0)
			return unit->name;
	struct suggestion near = {.word = copy};
	for (const struct unit *unit = units; unit->name && len > 1; unit++)
		suggest_offer(&near, unit->name);
	return near.best;
}

/* "1.5h": numbers are whole, so a smaller unit it is. */
static bool say_fraction(const struct value_text *in, const struct kind *kind)
{
	char *end, right[32];
	double number = strtod(in->text, &end);
	if (in->secret || !isdigit((unsigned char)*in->text) || !memchr(in->text, '.', (size_t)(end - in->text)))
		return false;
	end += strspn(end, " ");
	const char *unit = likely_unit(kind->units, end, strlen(end));
	const struct unit *it = kind->units;
	while (unit && strcmp(it->name, unit) != 0)
		it++;
	double value = unit ? number * (double)it->factor : 0;
	if (value < 1 || value > 1e15)
		return false;
	kind->write((uint64_t)(value + 0.5), right, sizeof right);
	say(in, "%s has a fraction, and numbers are whole here; write %s", quoted(in), right);
	return true;
}

static bool say_weeks(const struct value_text *in, size_t digits, const char *word)
{
	static const char *const weeks[] = {"w", "wk", "week", "weeks", NULL};
	for (size_t i = 0; weeks[i] && digits > 0 && digits < 5 && !in->secret; i++)
		if (strcasecmp(word, weeks[i]) == 0) {
			say(in, "%s: there is no unit for weeks; write %lud", quoted(in),
				7 * strtoul(in->text, NULL, 10));
			return true;
		}
	return false;
}

static const char *say_unit(const struct value_text *in, const struct kind *kind)
{
	size_t digits = strspn(in->text, "0123456789");
	const char *word = in->text + digits;
	word += strspn(word, " ");
	size_t len = strcspn(word, " 0123456789");
	if (digits && !*word && !in->secret && strlen(in->text) < 20)
		return say(in, "%s has no unit; write %.*s%s, %.*s%s or %s such as %s", quoted(in), (int)digits,
			in->text, kind->units[0].name, (int)digits, in->text, kind->units[1].name, kind->article,
			kind->example);
	if (digits && !*word)
		return say(in, "%s has no unit; write %s such as %s", quoted(in), kind->article, kind->example);
	if (say_fraction(in, kind) || (kind->compound && say_weeks(in, digits, word)))
		return in->message;
	const char *unit = digits && !word[len] ? likely_unit(kind->units, word, len) : NULL;
	if (unit && !in->secret)
		return say(in, "%s is not %s; did you mean %.*s%s?", quoted(in), kind->article, (int)digits, in->text,
			unit);
	return say(
		in, "%s is not %s; write a number and its unit, such as %s", quoted(in), kind->article, kind->example);
}

/* One number and its unit at *at; adds to *sum. */
static bool read_part(const struct kind *kind, const char **at, uint64_t *sum, bool *overflow)
{
	char *end;
	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	uint64_t number = strtoull(*at, &end, 10), product;
	*overflow |= errno == ERANGE;
	size_t len = strcspn(end, " 0123456789");
	for (const struct unit *unit = kind->units; unit->name; unit++) {
		if (strlen(unit->name) != len || memcmp(unit->name, end, len) != 0)
			continue;
		*overflow |= __builtin_mul_overflow(number, unit->factor, &product) ||
			     __builtin_add_overflow(*sum, product, sum) || *sum > INT64_MAX;
		*at = end + len;
		return true;
	}
	return false;
}

static const char *value_with_unit(
	const struct value_text *in, const struct kind *kind, int64_t min, int64_t max, uint64_t *ret_value)
{
	uint64_t sum = 0;
	bool overflow = false;
	const char *at = in->text;
	if (strcmp(at, "0") == 0)
		at++;
	else
		do {
			at += at > in->text && *at == ' ';
			if (!read_part(kind, &at, &sum, &overflow))
				return say_unit(in, kind);
		} while (*at && kind->compound);
	if (*at)
		return say_unit(in, kind);
	bool below = !overflow && sum < (uint64_t)min;
	if (overflow || ((min || max) && (below || sum > (uint64_t)max))) {
		char low[32], high[32] = "";
		kind->write((uint64_t)min, low, sizeof low);
		if (min || max)
			kind->write((uint64_t)max, high, sizeof high);
		if (!min && !max)
			return say(in, "%s is too large; write a smaller one", quoted(in));
		return say_bounds(in, low, max == INT64_MAX ? "" : high, below);
	}
	*ret_value = sum;
	return NULL;
}

const char *value_duration(const struct value_text *in, int64_t min, int64_t max, uint64_t *ret_ms)
{
	return value_with_unit(in, &duration_kind, min, max, ret_ms);
}

const char *value_size(const struct value_text *in, int64_t min, int64_t max, uint64_t *ret_bytes)
{
	return value_with_unit(in, &size_kind, min, max, ret_bytes);
}

/* Words of other programs for the same. */
static const char *likely_choice(const char *word, const char *const *choices)
{
	static const char *const words[][2] = {{"true", "set"}, {"yes", "set"}, {"on", "set"}, {"false", "clear"},
		{"no", "clear"}, {"off", "clear"}, {"0", "at-most-once"}, {"1", "at-least-once"}, {"2", "exactly-once"},
		{"trace", "debug"}, {"warning", "warn"}, {"fatal", "error"}, {"discard", "drop_newest"},
		{"reject", "drop_newest"}, {"wait", "block"}, {"backpressure", "block"}, {"ignore", "drop"},
		{"skip", "drop"}, {"continue", "pass"}, {"dlq", "dead_letter"}, {"earliest", "beginning"},
		{"latest", "end"}, {"string", "text"}, {"plain", "text"}, {"binary", "raw"}, {"bytes", "raw"},
		{"none", "raw"}, {"avg", "mean"}, {"average", "mean"}, {"minimum", "min"}, {"maximum", "max"},
		{"first", "start"}, {"array", "list"}, {"gz", "gzip"}, {"311", "3.1.1"}, {"3.11", "3.1.1"},
		{"4", "3.1.1"}, {"3.1", "3.1.1"}, {"5.0", "5"}, {"500", "5"}, {"fifo", "oldest_first"},
		{"lifo", "live_first"}, {"newest_first", "live_first"}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		for (size_t k = 0; strcasecmp(words[i][0], word) == 0 && choices[k]; k++)
			if (strcmp(choices[k], words[i][1]) == 0)
				return choices[k];
	return NULL;
}

const char *value_choice(const struct value_text *in, const char *const *choices, int *ret_index)
{
	struct suggestion near = {.word = in->text};
	char list[VALUE_MESSAGE / 2] = "";
	size_t len = 0;
	for (int i = 0; choices[i]; i++) {
		if (strcmp(in->text, choices[i]) == 0) {
			*ret_index = i;
			return NULL;
		}
		suggest_offer(&near, choices[i]);
		if (len < sizeof list)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s",
				i == 0           ? ""
				: choices[i + 1] ? ", "
						 : " or ",
				choices[i]);
	}
	if (!near.best)
		near.best = likely_choice(in->text, choices);
	if (near.best && !in->secret)
		return say(in, "%s is unknown; did you mean '%s'?", quoted(in), near.best);
	return say(in, "%s is unknown; write %s", quoted(in), list);
}

static void write_unit(const struct unit *units, uint64_t value, char *out, size_t size)
{
	const struct unit *best = &units[0];
	for (const struct unit *unit = units; unit->name; unit++)
		if (value && value % unit->factor == 0 && unit->factor > best->factor)
			best = unit;
	if (value)
		snprintf(out, size, "%" PRIu64 "%s", value / best->factor, best->name);
	else
		snprintf(out, size, "0");
}

void value_write_duration(uint64_t ms, char *out, size_t size)
{
	write_unit(duration_units, ms, out, size);
}

void value_write_size(uint64_t bytes, char *out, size_t size)
{
	write_unit(size_units, bytes, out, size);
}
