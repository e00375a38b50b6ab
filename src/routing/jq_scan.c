/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the program with a stack of open brackets. A string with an interpolation is left at \( and
 * entered again at its ). Balanced brackets matter: the program is later put between parentheses of ours.
 */
#include "routing/jq_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_NESTING 250

struct scanner {
	const char *at;
	int line;
	char open[MAX_NESTING]; /* ( [ { or " for the parenthesis of an interpolation */
	size_t depth;
	char before; /* the last token's last character, 0 at the start */
	struct jq_scan *scan;
};

static const struct {
	const char *name, *instead;
} refused[] = {
	{"env", "secrets of the environment stay out of messages"},
	{"input", "a program sees one message"},
	{"inputs", "a program sees one message"},
	{"_input", "a program sees one message"},
	{"debug", "it writes outside of the message"},
	{"stderr", "it writes outside of the message"},
	{"input_filename", "there are no input files; use $topic"},
	{"input_line_number", "there are no input files"},
	{"halt", "use select(…) or empty to leave a message out"},
	{"halt_error", "use error(…) to reject a message"},
	{"import", "a program has no modules"},
	{"include", "a program has no modules"},
	{"module", "a program has no modules"},
	{"modulemeta", "a program has no modules"},
	{"get_search_list", "a program has no modules"},
	{"get_prog_origin", "a program has no modules"},
	{"get_jq_origin", "a program has no modules"},
};

__attribute__((format(printf, 2, 3))) static int scan_fail(struct scanner *in, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(in->scan->wrong, sizeof in->scan->wrong, format, args);
	va_end(args);
	in->scan->line = in->line;
	return -EINVAL;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_blank(struct scanner *in)
{
	for (;; in->at++) {
		if (*in->at == '#')
			in->at += strcspn(in->at, "\r\n");
		if (*in->at == '\n')
			in->line++;
		else if (*in->at != ' ' && *in->at != '\t' && *in->at != '\r')
			return;
	}
}

/* An identifier, with :: between its parts. */
static struct slice take_name(struct scanner *in)
{
	const char *start = in->at;
	while (is_name(*in->at) || (in->at[0] == ':' && in->at[1] == ':' && is_name(in->at[2])))
		in->at += *in->at == ':' ? 2 : 1;
	return slice_of(start, (size_t)(in->at - start));
}

static int push(struct scanner *in, char bracket)
{
	if (in->depth == MAX_NESTING)
		return scan_fail(in, "the program is nested deeper than %d brackets", MAX_NESTING);
	in->open[in->depth++] = bracket;
	return 0;
}

/* Inside a string, after its quote or after an interpolation. */
static int scan_string(struct scanner *in)
{
	for (;; in->at++) {
		switch (*in->at) {
		case '\0':
			return scan_fail(in, "a string has no closing quote");
		case '\n':
			in->line++;
			break;
		case '"':
			in->at++;
			in->before = '"';
			return 0;
		case '\\':
			in->at++;
			if (*in->at == '(') {
				in->at++;
				in->before = '(';
				return push(in, '"');
			}
			if (*in->at == '\0')
				return scan_fail(in, "a string has no closing quote");
			if (*in->at == '\n')
				in->line++;
			break;
		default:
			break;
		}
	}
}

static int scan_close(struct scanner *in)
{
	char close = *in->at++;
	char open = in->depth ? in->open[in->depth - 1] : '\0';
	bool fits = (close == ')' && (open == '(' || open == '"')) || (close == ']' && open == '[') ||
		    (close == '}' && open == '{');
	if (!fits)
		return scan_fail(in, "this %c closes nothing", close);
	in->depth--;
	in->before = close;
	return open == '"' ? scan_string(in) : 0;
}

/* {env: …} and {env} speak of a field. Only at a place where nothing but a key can stand: elsewhere a comma
 * may belong to an expression. */
static bool stands_as_key(struct scanner *in)
{
	if (in->depth == 0 || in->open[in->depth - 1] != '{')
		return false;
	if (*in->at == ':' && (in->before == '{' || in->before == ','))
		return true;
	return in->before == '{' && (*in->at == '}' || *in->at == ',');
}

static int scan_name(struct scanner *in)
{
	int line = in->line;
	struct slice name = take_name(in);
	skip_blank(in);
	bool key = stands_as_key(in);
	in->before = 'a';
	for (size_t i = 0; i < sizeof refused / sizeof refused[0] && !key; i++) {
		if (!slice_equal(name, slice_str(refused[i].name)))
			continue;
		in->line = line;
		return scan_fail(in, "%s is not allowed here: %s", refused[i].name, refused[i].instead);
	}
	return 0;
}

static int scan_variable(struct scanner *in)
{
	struct jq_scan *scan = in->scan;
	in->at++;
	skip_blank(in);
	struct slice name = take_name(in);
	in->before = 'a';
	if (slice_equal(name, slice_str("ENV")))
		return scan_fail(in, "$ENV is not allowed here: secrets of the environment stay out of messages");
	if (slice_equal(name, slice_str("__loc__")) || slice_equal(name, slice_str("__prog_args")))
		return scan_fail(in, "$%.*s is not allowed here: there is no program file", (int)name.len,
			(const char *)name.data);
	for (size_t i = 0; i < scan->n_variables; i++)
		if (slice_equal(scan->variables[i], name))
			return 0;
	if (scan->n_variables == JQ_SCAN_MAX_VARIABLES)
		return scan_fail(in, "the program has more than %d variables", JQ_SCAN_MAX_VARIABLES);
	scan->variables[scan->n_variables++] = name;
	return 0;
}

static int scan_number(struct scanner *in)
{
	while (is_digit(*in->at) || *in->at == '.')
		in->at++;
	if (*in->at == 'e' || *in->at == 'E') {
		const char *digits = in->at + 1;
		if (*digits == '+' || *digits == '-')
			digits++;
		for (; is_digit(*digits); digits++)
			in->at = digits + 1;
	}
	in->before = '0';
	return 0;
}

static int scan_token(struct scanner *in)
{
	char c = *in->at;
	switch (c) {
	case '(':
	case '[':
	case '{':
		in->at++;
		in->before = c;
		return push(in, c);
	case ')':
	case ']':
	case '}':
		return scan_close(in);
	case '"':
		in->at++;
		return scan_string(in);
	case '$':
		return scan_variable(in);
	case '.':
	case '@': /* .field and @format are no calls */
		if (c == '.' && (is_digit(in->at[1]) || in->at[1] == '.'))
			return scan_number(in);
		in->at++;
		while (is_name(*in->at))
			in->at++;
		in->before = 'a';
		return 0;
	default:
		if (is_digit(c))
			return scan_number(in);
		if (is_name(c))
			return scan_name(in);
		in->at++;
		in->before = c;
		return 0;
	}
}

int jq_scan(const char *program, struct jq_scan *ret_scan)
{
	struct scanner in = {.at = program, .line = 1, .scan = ret_scan};
	ret_scan->n_variables = 0;
	ret_scan->wrong[0] = '\0';
	ret_scan->line = 0;
	skip_blank(&in);
	if (*in.at == '\0')
		return scan_fail(&in, "the program is empty; the identity is .");
	while (*in.at) {
		int err = scan_token(&in);
		if (err)
			return err;
		skip_blank(&in);
	}
	if (in.depth)
		return scan_fail(&in, "the program ends before its %s is closed",
			in.open[in.depth - 1] == '"' ? "\\(" : (char[2]){in.open[in.depth - 1], '\0'});
	return 0;
}
