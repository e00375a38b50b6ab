/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules about the code of a program: what stands in strings and comments is blanked first, so that a rule cannot take it
 * for code.
 */
#include "config/jq_hint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

#define SENTENCE 400

static char *sentence(void)
{
	static _Thread_local char buffer[SENTENCE];
	return buffer;
}

static bool says(const char *text, const char *words)
{
	return strstr(text, words) != NULL;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* A copy with blanks for strings (their quotes stay) and comments, or, texts, for all but strings. \(…) in a string counts as
 * string. */
static char *part_of(const char *program, bool texts)
{
	char *code = memory_text(program);
	bool string = false, comment = false;
	for (char *at = code; *at; at++) {
		if (comment && *at == '\n')
			comment = false;
		else if (string && *at == '\\' && at[1]) {
			at[0] = at[1] = ' ';
			at++;
		} else if (!comment && *at == '"')
			string = !string;
		else if (string != texts || comment || *at == '#') {
			comment |= !string && *at == '#';
			*at = ' ';
		}
	}
	return code;
}

static char *code_of(const char *program)
{
	return part_of(program, false);
}

/* The word, standing alone: no field and no variable. */
static const char *find_word(const char *code, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = code; (at = strstr(at, word)); at++)
		if (!is_name(at[len]) && (at == code || (!is_name(at[-1]) && at[-1] != '.' && at[-1] != '$')))
			return at;
	return NULL;
}

static bool is_capture(const char *name, size_t len, const char *const *captures, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(captures[i]) == len && memcmp(captures[i], name, len) == 0)
			return true;
	return false;
}

/* --- signs of other languages --- */

struct sign {
	const char *text, *hint;
};

static const struct sign signs[] = {
	{"'", "text stands in double quotes, as in \"good\""},
	{"\xe2\x80\x9c", "a typographic quote is no quote; write \""},
	{"\xe2\x80\x9d", "a typographic quote is no quote; write \""},
	{"\xe2\x80\x9e", "a typographic quote is no quote; write \""},
	{"\xe2\x80\x98", "a typographic quote is no quote; write \""},
	{"\xe2\x80\x99", "a typographic quote is no quote; write \""},
	{"&&", "write 'and'"},
	{"||", "write 'or'"},
	{"===", "write =="},
	{"!==", "write !="},
	{"=>", "write >="},
	{"=<", "write <="},
	{"<>", "write !="},
	{"{.", "to insert into a text write \"\\(.value)\"; {.value} is for templates, as in payload_template"},
};

/* The first of them in the code. */
static const char *sign_hint(const char *code, size_t *ret_offset)
{
	const struct sign *first = NULL;
	const char *place = NULL;
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
		const char *at = strstr(code, signs[i].text);
		if (at && (!place || at < place)) {
			place = at;
			first = &signs[i];
		}
	}
	const char *dollar = strstr(code, "$.");
	if (dollar && (!place || dollar < place)) {
		*ret_offset = (size_t)(dollar - code);
		return "the payload is the dot alone, as in .value";
	}
	if (!first)
		return NULL;
	*ret_offset = (size_t)(place - code);
	return first->hint;
}

/* `!` of !.ok, not that of != */
static const char *negation_hint(const char *code, size_t *ret_offset)
{
	for (const char *at = code; (at = strchr(at, '!')); at++)
		if (at[1] != '=') {
			*ret_offset = (size_t)(at - code);
			return "write 'not' behind it, as in (.ok | not)";
		}
	return NULL;
}

/* --- what is not defined --- */

/* "NAME/ARITY is not defined" */
static bool undefined_name(const char *complaint, char name[64], int *ret_arity)
{
	size_t len = strcspn(complaint, "/ ");
	if (complaint[len] != '/' || len >= 64 || !says(complaint, " is not defined"))
		return false;
	memcpy(name, complaint, len);
	name[len] = '\0';
	*ret_arity = (int)strtol(complaint + len + 1, NULL, 10);
	return true;
}

static const char *function_hint(const char *name, int arity)
{
	static const char *const newer[] = {
		"abs", "toarray", "pick", "trim", "ltrim", "rtrim", "trimstr", "have_decnum", "skip", NULL};
	static const char *const by_semicolon[] = {"sub", "gsub", "test", "match", "capture", "scan", "range", "limit",
		"nth", "splits", "split", "setpath", "until", "while", "join", NULL};
	char *text = sentence();
	for (size_t i = 0; newer[i]; i++)
		if (strcmp(newer[i], name) == 0) {
			snprintf(text, SENTENCE, "%s is of a later jq; linkspan has jq 1.6", name);
			return text;
		}
	for (size_t i = 0; arity == 1 && by_semicolon[i]; i++)
		if (strcmp(by_semicolon[i], name) == 0) {
			snprintf(text, SENTENCE, "a semicolon divides arguments, as in %s(…; …)", name);
			return text;
		}
	if (strcmp(name, "not") == 0)
		return "'not' stands behind what it negates, as in (.ok | not)";
	if (strcmp(name, "round") == 0)
		return "round has no argument; for two digits write (. * 100 | round / 100)";
	return "jq 1.6 has no such function with that many arguments";
}

static const char *undefined_hint(
	const char *code, const char *complaint, const char *const *captures, size_t n, size_t *ret_offset)
{
	static const char *const message[] = {"topic", "key", "qos", "retain", "headers", "received", NULL};
	char name[64], *text = sentence();
	int arity;
	if (!undefined_name(complaint, name, &arity))
		return NULL;
	const char *at = find_word(code, name);
	if (at)
		*ret_offset = (size_t)(at - code);
	if (arity > 0)
		return function_hint(name, arity);
	bool known = is_capture(name, strlen(name), captures, n);
	for (size_t i = 0; message[i]; i++)
		known |= strcmp(message[i], name) == 0;
	if (known)
		snprintf(text, SENTENCE, "write $%s", name);
	else if (at && at[strlen(name)] == '.')
		snprintf(text, SENTENCE, "the payload is the dot alone, so write .%.*s",
			(int)strspn(at + strlen(name) + 1,
				"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789."),
			at + strlen(name) + 1);
	else
		snprintf(text, SENTENCE, "a field of the payload is .%s, and a text \"%s\"", name, name);
	return text;
}

static const char *variable_hint(const char *code, const char *complaint, size_t *ret_offset)
{
	char name[64], *text = sentence();
	size_t len = strcspn(complaint, " ");
	if (complaint[0] != '$' || len >= sizeof name || !says(complaint, " is not defined"))
		return NULL;
	snprintf(name, sizeof name, "%.*s", (int)len, complaint);
	const char *at = strstr(code, name);
	if (at)
		*ret_offset = (size_t)(at - code);
	snprintf(text, SENTENCE,
		"{%s} in the topic filter binds it, and there are $topic, $key, $qos, $retain, $headers and $received",
		name + 1);
	return text;
}

/* --- grammar --- */

/* $end, which jq 1.6 does not read as a name. */
static const char *reserved_hint(const char *code, const char *complaint, size_t *ret_offset)
{
	char variable[32], *text = sentence();
	const char *word = strstr(complaint, "unexpected ");
	if (!word || !says(word, ", expecting IDENT"))
		return NULL;
	word += strlen("unexpected ");
	snprintf(variable, sizeof variable, "$%.*s", (int)strspn(word, "abcdefghijklmnopqrstuvwxyz"), word);
	const char *at = strstr(code, variable);
	if (!variable[1] || !at)
		return NULL;
	*ret_offset = (size_t)(at - code);
	snprintf(text, SENTENCE,
		"no variable of jq 1.6 can be called %s, a word of its own; give the capture another name",
		variable + 1);
	return text;
}

static size_t count_word(const char *code, const char *word)
{
	size_t n = 0;
	for (const char *at = code; (at = find_word(at, word)); at += strlen(word))
		n++;
	return n;
}

static const char *end_hint(const char *code)
{
	size_t len = strlen(code);
	while (len > 0 && isspace((unsigned char)code[len - 1]))
		len--;
	if (count_word(code, "if") > count_word(code, "end"))
		return "an if ends with 'end': if … then … else … end";
	if (len > 0 && code[len - 1] == '%')
		return "% is the remainder of a division; leave it out";
	if (len > 0 && strchr("|,+-*/=<>", code[len - 1]))
		return "it ends with an operator, behind which something must follow";
	return NULL;
}

static const char *grammar_hint(const char *code, const char *complaint, size_t *ret_offset)
{
	const char *at;
	if (says(complaint, "unexpected end") && find_word(code, "then") && !find_word(code, "else"))
		return "in jq 1.6 each if has an else, as in if … then … else . end";
	if (says(complaint, "missing at its end"))
		return end_hint(code);
	if (says(complaint, "unexpected '-', expecting '}'"))
		return "a key with a hyphen needs quotes, as in {\"device-id\": .id}";
	if (says(complaint, "expecting '}'"))
		return "a comma divides the keys of an object";
	if ((at = strstr(code, "()"))) {
		*ret_offset = (size_t)(at - code);
		return "a function without arguments has no brackets, as in now";
	}
	if ((at = strchr(code, '?')) && strchr(at, ':')) {
		*ret_offset = (size_t)(at - code);
		return "write if … then … else … end";
	}
	if (says(complaint, "unexpected IDENT") || says(complaint, "unexpected '{'") ||
		says(complaint, "QQSTRING_START"))
		return "between two values stands an operator, a comma or |; this is a jq program and no other "
		       "language";
	return NULL;
}

const char *jq_hint(
	const char *program, const char *complaint, const char *const *captures, size_t n_captures, size_t *ret_offset)
{
	char *code = code_of(program);
	const char *hint = undefined_hint(code, complaint, captures, n_captures, ret_offset);
	if (!hint)
		hint = variable_hint(code, complaint, ret_offset);
	bool syntax = says(complaint, "syntax error") || says(complaint, "missing at its end");
	if (!hint && syntax)
		hint = reserved_hint(code, complaint, ret_offset);
	if (!hint && syntax)
		hint = sign_hint(code, ret_offset);
	if (!hint && says(complaint, "INVALID_CHARACTER"))
		hint = negation_hint(code, ret_offset);
	if (!hint && syntax)
		hint = grammar_hint(code, complaint, ret_offset);
	free(code);
	return hint;
}

/* --- programs that compile --- */

/* A single =, outside of all brackets. */
static const char *find_assignment(const char *code)
{
	int depth = 0;
	for (const char *at = code; *at; at++) {
		depth += strchr("([{", *at) != NULL;
		depth -= strchr(")]}", *at) != NULL;
		if (*at != '=' || depth != 0)
			continue;
		if (at[1] == '=')
			at++;
		else if (at == code || !strchr("=!<>|+-*/%", at[-1]))
			return at;
	}
	return NULL;
}

/* {line} by itself is the object {"line": .line} */
static const char *find_braced_capture(const char *code, const char *const *captures, size_t n)
{
	for (const char *at = code; (at = strchr(at, '{')); at++) {
		size_t len = strcspn(at + 1, "}");
		if (at[1 + len] == '}' && is_capture(at + 1, len, captures, n))
			return at;
	}
	return NULL;
}

const char *jq_doubt(
	const char *program, bool is_condition, const char *const *captures, size_t n_captures, size_t *ret_offset)
{
	char *code = code_of(program), *texts = part_of(program, true), *text = sentence();
	const char *hint = NULL, *part = code, *at;
	if (is_condition && (at = find_assignment(code))) {
		hint = "= sets a value, and what comes out of it is true for every message; to compare write ==";
	} else if ((at = find_word(code, "not")) && at[3] == ' ' && at[3 + strspn(at + 3, " ")] == '.' &&
		   (at == code || !strchr("|", at[-1]))) {
		hint = "'not' stands behind what it negates; write (.ok | not)";
	} else if ((at = find_braced_capture(code, captures, n_captures))) {
		int len = (int)strcspn(at + 1, "}");
		snprintf(text, SENTENCE,
			"{%.*s} is an object with the field of that name of the payload; for what {%.*s} of the "
			"topic filter binds write $%.*s",
			len, at + 1, len, at + 1, len, at + 1);
		hint = text;
	} else if ((at = find_braced_capture(texts, captures, n_captures))) {
		int len = (int)strcspn(at + 1, "}");
		snprintf(text, SENTENCE,
			"in a text of jq {%.*s} stays as it is; write \\($%.*s) there, or $%.*s alone "
			"(payload_template "
			"takes {%.*s})",
			len, at + 1, len, at + 1, len, at + 1, len, at + 1);
		hint = text;
		part = texts;
	}
	if (hint)
		*ret_offset = (size_t)(at - part);
	free(code);
	free(texts);
	return hint;
}
