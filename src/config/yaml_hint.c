/* SPDX-License-Identifier: Apache-2.0
 *
 * One rule after the other, the certain ones first.
 */
#include "config/yaml_hint.h"

#include <ctype.h>
#include <string.h>

static const char same_column[] = "look at the indentation: keys of one section start in the same column";

static bool says(const char *text, const char *words)
{
	return text && strstr(text, words);
}

static size_t indentation(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len && (text[n] == ' ' || text[n] == '\t'))
		n++;
	return n;
}

/* --- tabs --- */

static bool line_has_tab_indent(const struct source *source, int line, int *ret_column)
{
	size_t len;
	const char *text = source_line(source, line, &len);
	const char *tab = text ? memchr(text, '\t', indentation(text, len)) : NULL;
	if (tab)
		*ret_column = (int)(tab - text) + 1;
	return tab != NULL;
}

/* Within brackets tabs are allowed. */
static const char *tab_hint(const struct source *source, struct yaml_problem *problem)
{
	int column;
	for (int at = problem->line; at >= 1 && at >= problem->line - 1 && !says(problem->context, "flow"); at--)
		if (line_has_tab_indent(source, at, &column)) {
			problem->line = at;
			problem->column = column;
			return "tabs cannot indent in YAML: use spaces instead";
		}
	return NULL;
}

/* --- quotes and comments --- */

/* Does a comment that begins here hold the end of a list or map? Words of a comment proper hardly do. */
static bool swallows_end(const struct source *source, size_t at)
{
	size_t end = at + strcspn(source->text + at, "\r\n");
	while (end > at && strchr(" \t,", source->text[end - 1]))
		end--;
	return source->text[end - 1] == ']' || source->text[end - 1] == '}';
}

/* A # at the place where a value should begin, between two bytes of the file, not in quotes. */
static bool find_comment(const struct source *source, size_t begin, size_t end, size_t *ret_at)
{
	char quote = '\0';
	for (size_t i = begin; i < end && i < source->len; i++) {
		char c = source->text[i];
		if (quote)
			quote = c == quote ? '\0' : quote;
		else if ((c == '"' || c == '\'') && i > 0 && strchr(" [{,:", source->text[i - 1]))
			quote = c;
		else if (c == '#' && i > 0 && strchr(" [{,", source->text[i - 1]) && swallows_end(source, i)) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static const char *comment_hint(const struct source *source, struct yaml_problem *problem)
{
	size_t begin = source_offset(source, problem->context_line, problem->context_column), at;
	size_t end = source_offset(source, problem->line, problem->column);
	if (!find_comment(source, begin, end, &at))
		return NULL;
	source_position(source, at, &problem->line, &problem->column);
	return "this # begins a comment, which goes on to the end of the line; put quotes around a text that begins "
	       "with #";
}

/* Something that was complete ends just before this place: what follows was meant to be a part of it. */
static const char *behind_end_hint(const struct source *source, const struct yaml_problem *problem)
{
	size_t len, at = source_offset(source, problem->line, problem->column);
	const char *line = source_line(source, problem->line, &len);
	const char *here = source->text + at;
	if (!line || here > line + len)
		return NULL;
	if (says(problem->problem, "expected comment or line break")) /* behind | or >, which may be jq's */
		while (here > line && (here[-1] == ' ' || here[-1] == '|' || here[-1] == '>'))
			here--;
	while (here > line && here[-1] == ' ')
		here--;
	if (here <= line + indentation(line, len))
		return NULL;
	if (here[-1] == '"' || here[-1] == '\'')
		return "this quote ends the text, and something follows; put the other kind of quotes around all of "
		       "it, or "
		       "write it as a block: | and the text on the next line";
	if (here[-1] == '}' || here[-1] == ']')
		return "a value that begins with { or [ ends where that is closed, and something follows; put quotes "
		       "around "
		       "all of it";
	return NULL;
}

/* --- colons and columns --- */

static bool is_word(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i]))
			return false;
	return len > 0;
}

/* What stands in the line behind its indentation and the dashes of lists. */
static size_t first_word(const char *text, size_t len)
{
	size_t at = indentation(text, len);
	while (at + 1 < len && text[at] == '-' && text[at + 1] == ' ')
		at += 1 + indentation(text + at + 1, len - at - 1);
	return at;
}

static int line_before(const struct source *source, int line)
{
	size_t len;
	for (line--; line >= 1; line--) {
		const char *text = source_line(source, line, &len);
		size_t at = text ? indentation(text, len) : len;
		if (at < len && text[at] != '#')
			return line;
	}
	return 0;
}

/* "key:value" in the line, without a space behind its colon. */
static bool lacks_space(const char *text, size_t len, size_t *ret_colon)
{
	size_t begin = first_word(text, len);
	const char *colon = begin < len ? memchr(text + begin, ':', len - begin) : NULL;
	if (!colon || colon + 1 >= text + len || colon[1] == ' ' || colon[1] == '/')
		return false;
	*ret_colon = (size_t)(colon - text);
	return is_word(text + begin, *ret_colon - begin);
}

/* A colon where none may be: it belongs to a text, or the line before is the one that is wrong. */
static const char *colon_hint(const struct source *source, struct yaml_problem *problem)
{
	size_t len, before_len, colon;
	const char *text = source_line(source, problem->line, &len);
	int before = line_before(source, problem->line);
	const char *other = before ? source_line(source, before, &before_len) : NULL;
	size_t begin = text ? first_word(text, len) : 0, at = (size_t)problem->column - 1;
	if (!text || !other || at < begin || at > len || !is_word(text + begin, at - begin))
		return "a value that holds ': ' needs quotes around it, and a key starts a line of its own";
	if (lacks_space(other, before_len, &colon)) {
		problem->line = before;
		problem->column = (int)colon + 1;
		return "a space is missing behind this colon; write 'key: value'";
	}
	if (indentation(text, len) > first_word(other, before_len))
		return "this line is indented deeper than the one before, as if it were more of its value; keys of one "
		       "section start in the same column";
	return "a value that holds ': ' needs quotes around it, and a key starts a line of its own";
}

/* `topic: plant/{line}` within {…}: a brace in the middle of a word. */
static bool has_inner_brace(const struct source *source, int line)
{
	size_t len;
	const char *text = source_line(source, line, &len);
	for (size_t i = 1; text && i < len; i++)
		if (text[i] == '{' && !strchr(" \t{[,:\"'", text[i - 1]))
			return true;
	return false;
}

const char *yaml_hint(const struct source *source, struct yaml_problem *problem)
{
	const char *what = problem->problem, *hint = tab_hint(source, problem);
	if (hint)
		return hint;
	if (says(what, "mapping values are not allowed"))
		return colon_hint(source, problem);
	if (says(what, "cannot start any token"))
		return "a value that begins with @, ` or % needs quotes around it";
	if (says(what, "expected alphabetic or numeric character")) {
		problem->line = problem->context_line;
		problem->column = problem->context_column;
		return "a value that begins with * or & needs quotes around it";
	}
	if (says(what, "',' or '") && (hint = comment_hint(source, problem)))
		return hint;
	if (says(what, "',' or '") && has_inner_brace(source, problem->line))
		return "within {…} a text that has { or } itself needs quotes, as in {topic: \"plant/{line}\", …}";
	if (says(what, "expected key") || says(what, "',' or '") || says(what, "expected comment or line break"))
		hint = behind_end_hint(source, problem);
	if (hint)
		return hint;
	if (says(what, "',' or '}'") || says(what, "',' or ']'"))
		return "a '{' or '[' before this place is not closed, or a comma is missing";
	if (says(what, "unexpected end of stream"))
		return "a quote that was opened is not closed";
	if (says(what, "could not find expected ':'"))
		return "write 'key: value', with a space behind the colon";
	if (says(what, "'-' indicator"))
		return "the keys of an entry of a list start in one column, that of the first one behind the '- '";
	if (says(what, "expected key") || says(what, "document start"))
		return same_column;
	if (says(what, "unknown escape"))
		return "in double quotes write \\\\ for a backslash, or use single quotes";
	if (says(what, "expected comment or line break"))
		return "behind | or > the line ends; the text begins on the next line, indented";
	return "look at quotes, brackets and indentation before this place";
}
