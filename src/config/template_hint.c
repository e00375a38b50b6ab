/* SPDX-License-Identifier: Apache-2.0
 *
 * A few rules, the more certain ones first.
 */
#include "config/template_hint.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/suggest.h"

#define SENTENCE 200
#define MAX_NAME 80

static char *sentence(void)
{
	static _Thread_local char buffer[SENTENCE];
	return buffer;
}

static bool is_path(const char *name)
{
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.[]", *name))
			return false;
	return true;
}

/* What begins with `prefix`, case set aside, and goes on with a dot: what is behind it. */
static const char *behind(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);
	for (size_t i = 0; i < len; i++)
		if (tolower((unsigned char)name[i]) != prefix[i])
			return NULL;
	return name[len] == '.' ? name + len : NULL;
}

static const char *known_name(const char *name, const char *const *captures, size_t n)
{
	static const char *const words[] = {"topic", "key", NULL};
	struct suggestion near = {.word = name};
	for (size_t i = 0; i < n; i++)
		suggest_offer(&near, captures[i]);
	for (size_t i = 0; words[i]; i++)
		suggest_offer(&near, words[i]);
	return near.best;
}

/* The name without blanks around it and a $ before it. */
static void take_name(const char *at, size_t len, char name[MAX_NAME])
{
	while (len > 0 && strchr(" $", *at)) {
		at++;
		len--;
	}
	while (len > 0 && at[len - 1] == ' ')
		len--;
	snprintf(name, MAX_NAME, "%.*s", (int)(len < MAX_NAME ? len : MAX_NAME - 1), at);
}

const char *template_hint(const char *at, const char *const *captures, size_t n_captures)
{
	static const char *const payload[] = {
		"payload", "value_json", "msg.payload", "msg", "json", "data", "message", "body", NULL};
	char name[MAX_NAME], *text = sentence();
	take_name(at + 1, strcspn(at + 1, "}"), name);
	const char *rest = NULL, *known = known_name(name, captures, n_captures);
	for (size_t i = 0; payload[i] && !rest; i++)
		rest = behind(name, payload[i]);
	if (strchr(name, ':') || strchr(name, ','))
		return "this looks like a jq program, which belongs under payload; a brace as such is {{";
	if (known && !strchr(name, '.'))
		snprintf(text, SENTENCE, "did you mean {%s}?", known);
	else if (behind(name, "topic") && isdigit((unsigned char)behind(name, "topic")[1]))
		snprintf(text, SENTENCE, "did you mean {topic[%.3s]}?", behind(name, "topic") + 1);
	else if (behind(name, "headers") || behind(name, "properties"))
		snprintf(text, SENTENCE, "did you mean {header%s}?", strchr(name, '.'));
	else if (rest && is_path(rest))
		snprintf(text, SENTENCE, "a field of the payload is {%s}", rest);
	else if (strchr(name, '.') && is_path(name))
		snprintf(text, SENTENCE, "a field of the payload begins with a dot: {.%s}", name);
	else
		return NULL;
	return text;
}

/* {{name}} writes {name}. JSON written with {{ has quotes and colons in it. */
const char *template_doubt(const char *text, const char *const *captures, size_t n_captures, size_t *ret_offset)
{
	static const char *const words[] = {"topic", "key", "value", "payload", NULL};
	char name[MAX_NAME], *said = sentence();
	for (const char *at = text; (at = strstr(at, "{{")); at += 2) {
		const char *end = strstr(at, "}}");
		if (!end)
			return NULL;
		take_name(at + 2, (size_t)(end - at - 2), name);
		bool meant = (*name == '.' || strchr(name, '.')) && is_path(name);
		for (size_t i = 0; words[i]; i++)
			meant |= strcmp(words[i], name) == 0;
		for (size_t i = 0; i < n_captures; i++)
			meant |= strcmp(captures[i], name) == 0;
		if (!meant)
			continue;
		*ret_offset = (size_t)(at - text);
		snprintf(said, SENTENCE,
			"{{ writes a brace, so this is the text '{%s}'; to insert a value write single braces, as in "
			"{topic} or {.value}",
			name);
		return said;
	}
	for (size_t i = 0; i < n_captures; i++) {
		snprintf(name, sizeof name, "$%s", captures[i]);
		const char *at = strstr(text, name);
		if (!at || isalnum((unsigned char)at[strlen(name)]) || at[strlen(name)] == '_')
			continue;
		*ret_offset = (size_t)(at - text);
		snprintf(said, SENTENCE, "$%s is for jq programs and stands for itself here; write {%s}", captures[i],
			captures[i]);
		return said;
	}
	return NULL;
}
