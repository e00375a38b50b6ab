/* SPDX-License-Identifier: Apache-2.0
 *
 * Values by type.
 */
#include "config/table_value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/jq_hint.h"
#include "config/memory.h"
#include "config/program_list.h"
#include "config/template_hint.h"
#include "config/value.h"
#include "routing/template.h"
#include "routing/topic_filter.h"

/* --- what a node is, when it is not what it should be --- */

static const char *kind_name(const struct node *node)
{
	static const char *const names[] = {"a single value", "a list", "a map"};
	return names[node->kind];
}

/* `topic: #` */
static bool ends_in_comment(const struct node *node)
{
	const struct source *source = node->source;
	size_t at = source_offset(source, node->line, node->column);
	at += *node->text ? 0 : strspn(source->text + at, " ");
	return source->text[at] == '#';
}

static bool complain_null(struct report *report, const struct node *node, const char *name)
{
	if (!node_is_null(node))
		return false;
	if (ends_in_comment(node)) {
		table_mistake(report, node, 0,
			"%s has no value, since # begins a comment; put quotes around a text that begins with #, or "
			"leave "
			"the key out",
			name);
		return true;
	}
	table_mistake(report, node, 0, "%s has no value; write one, or leave the key out", name);
	return true;
}

bool table_expect_map(struct report *report, const struct node *node, const char *title)
{
	if (node->kind == NODE_MAP)
		return true;
	if (node->failed || complain_null(report, node, title))
		return false;
	if (node->kind == NODE_LIST)
		table_mistake(
			report, node, 0, "%s is a list; keys and values belong here, without a '-' before them", title);
	else
		table_mistake(report, node, 0,
			"%s is a single value; keys and values belong here, each as 'key: value' with a space behind "
			"the "
			"colon",
			title);
	return false;
}

const char *table_text(struct report *report, const struct node *node, const char *name)
{
	if (node->failed)
		return NULL;
	if (node->kind == NODE_SCALAR)
		return complain_null(report, node, name) ? NULL : node->text;
	if (node->kind == NODE_MAP && node->flow)
		table_mistake(report, node, 0, "%s is a map; text that begins with '{' needs quotes around it", name);
	else
		table_mistake(report, node, 0, "%s is %s; one single value belongs here", name, kind_name(node));
	return NULL;
}

/* --- numbers, units, choices --- */

static bool is_quoted(const struct node *node)
{
	return node->style != STYLE_PLAIN && !node->interpolated;
}

static bool complain_quotes(struct config_scope *scope, const struct config_key *key, const struct node *node)
{
	bool is_number = key->type == CONFIG_INT || key->type == CONFIG_NUMBER;
	if (!is_quoted(node) || (!is_number && key->type != CONFIG_BOOL))
		return false;
	table_mistake(scope->report, node, 0, "%s is text because of its quotes; write %s without quotes", key->name,
		is_number ? "the number" : "true or false");
	return true;
}

static const char *parse_typed(const struct config_key *key, const struct value_text *in, void *out)
{
	switch (key->type) {
	case CONFIG_BOOL:
		return value_bool(in, out);
	case CONFIG_INT:
		return value_int(in, key->min, key->max, out);
	case CONFIG_NUMBER:
		return value_number(in, key->min, key->max, out);
	case CONFIG_DURATION:
		return value_duration(in, key->min, key->max, out);
	case CONFIG_SIZE:
		return value_size(in, key->min, key->max, out);
	default:
		assert(key->type == CONFIG_ENUM);
		return value_choice(in, key->choices, out);
	}
}

/* So that nobody complains a second time. */
static void read_failed(struct config_scope *scope, const struct config_key *key, void *out)
{
	if (key->fallback)
		table_fallback(key, out);
	else
		scope->unsound = true;
}

static void read_typed(struct config_scope *scope, const struct config_key *key, const struct node *node, void *out)
{
	char message[VALUE_MESSAGE];
	const char *text = table_text(scope->report, node, key->name), *wrong = NULL;
	if (text && !complain_quotes(scope, key, node)) {
		struct value_text in = {text, node->secret || node->interpolated, message};
		wrong = parse_typed(key, &in, out);
		if (!wrong)
			return;
		table_mistake(scope->report, node, 0, "%s: %s", key->name, wrong);
	}
	read_failed(scope, key, out);
}

/* --- texts --- */

static bool may_quote(const struct node *node)
{
	return !node->secret && !node->interpolated;
}

static char *separated(const char *text, char from, char to)
{
	char *copy = memory_text(text);
	topic_separate(copy, strlen(copy), from, to);
	return copy;
}

static void complain_slash(struct report *report, const struct node *node, const char *name, char separator)
{
	const char *plain = topic_filter_without_share(node->text);
	char *right = separated(may_quote(node) ? plain : "a/b", '/', separator);
	if (plain != node->text)
		table_mistake(report, node, 0, "%s: $share is for MQTT; a group is a key of this connection: write %s",
			name, right);
	else
		table_mistake(report, node, may_quote(node) ? strcspn(node->text, "/") : 0,
			"%s: levels of these topics end with '%c' and not with '/'; write them as in %s", name,
			separator, right);
	free(right);
}

/* Why a filter that looks right may be wrong. */
static const char *filter_hint(const char *text)
{
	size_t len = strlen(text);
	if (strstr(text, ", "))
		return "; several topic filters are a list: [a, b]";
	if (len > 0 && (text[0] == ' ' || text[len - 1] == ' '))
		return "; and here a blank stands before or behind it";
	return "";
}

/* Legal, and no topic is hardly called so. */
static void warn_filter(struct report *report, const struct node *node, const char *name, char separator)
{
	const char *star = strpbrk(node->text, "*^");
	int line, column;
	if (!may_quote(node) || separator != '/' || (!star && strncmp(node->text, "$queue/", 7) != 0))
		return;
	node_place(node, node->text, star ? (size_t)(star - node->text) : 0, &line, &column);
	if (star)
		report_warning(report, node->source, line, column,
			"%s: %c is a character like any other here; write + for one level, or # at the end for all "
			"below, as in a/b/#",
			name, *star);
	else
		report_warning(report, node->source, line, column,
			"%s: what comes by a filter of that form has a topic without $queue, so it matches nothing "
			"here; "
			"write $share/group/%s",
			name, node->text + 7);
}

void table_check_filter(struct report *report, const struct node *node, const char *name, char separator)
{
	if (separator != '/' && strchr(node->text, '/')) {
		complain_slash(report, node, name, separator);
		return;
	}
	char *filter = separated(node->text, separator, '/');
	const char *wrong = topic_filter_check(filter);
	char *sentence = wrong ? separated(wrong, '/', separator) : NULL; /* its examples */
	if (wrong)
		table_mistake(report, node, 0, "%s: %s%s", name, sentence, filter_hint(node->text));
	else
		warn_filter(report, node, name, separator);
	free(sentence);
	free(filter);
}

/* A capture that some of the mapping's filters bind and others do not: what happens then is better said than left to
 * "unknown". form: "{%s}" or "$%s". */
static bool complain_partial(struct report *report, const struct table_captures *captures, const struct node *node,
	const char *name, const char *form)
{
	bool found = false;
	for (size_t i = 0; captures && i < captures->n_partial && !found; i++) {
		bool braces = *form == '{';
		char *used = memory_format("%s%s%s", braces ? "{" : "$", captures->partial[i], braces ? "}" : "");
		const char *at = strstr(node->text, used);
		found = at && (braces || (!isalnum((unsigned char)at[strlen(used)]) && at[strlen(used)] != '_'));
		if (found)
			table_mistake(report, node, (size_t)(at - node->text),
				"%s: %s is not in every topic filter of this mapping; bind it in each of them, or make "
				"two mappings",
				name, used);
		free(used);
	}
	return found;
}

/* A template that fails for all messages of one of the mapping's filters. */
static void warn_levels(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name)
{
	struct template_received shortest = {.n_levels = captures->fewest_levels};
	size_t offset;
	const char *wrong = template_check_received(node->text, captures->names, captures->n, &shortest, &offset);
	int line, column;
	if (!wrong)
		return;
	node_place(node, node->text, offset, &line, &column);
	report_warning(report, node->source, line, column, "%s: by its shortest topic filter, %s", name, wrong);
}

static void warn_at(
	struct report *report, const struct node *node, const char *name, size_t offset, const char *warning)
{
	int line, column;
	node_place(node, node->text, offset, &line, &column);
	report_warning(report, node->source, line, column, "%s: %s", name, warning);
}

static void warn_template(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name)
{
	size_t offset = 0;
	const char *doubt = captures ? template_doubt(node->text, captures->names, captures->n, &offset) : NULL;
	if (doubt && may_quote(node))
		warn_at(report, node, name, offset, doubt);
}

/* What names nothing, with what was probably meant in place of all that there is. */
static bool complain_unknown_field(struct report *report, const struct table_captures *captures,
	const struct node *node, const char *name, const char *wrong, size_t offset)
{
	bool unknown = may_quote(node) && captures && node->text[offset] == '{' && strstr(wrong, " is nothing that ");
	const char *hint = unknown ? template_hint(node->text + offset, captures->names, captures->n) : NULL;
	if (hint)
		table_mistake(report, node, offset, "%s: %.*s is nothing that a message has; %s", name,
			(int)strcspn(node->text + offset, "}") + 1, node->text + offset, hint);
	return hint != NULL;
}

void table_check_template(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name)
{
	size_t offset = 0;
	if (captures && captures->unknown)
		return;
	const char *wrong =
		template_check(node->text, captures ? captures->names : NULL, captures ? captures->n : 0, &offset);
	if (!wrong && captures)
		wrong = template_check_received(node->text, captures->names, captures->n, &captures->received, &offset);
	if (!wrong && captures && captures->fewest_levels)
		warn_levels(report, captures, node, name);
	if (!wrong) {
		warn_template(report, captures, node, name);
		return;
	}
	if (complain_partial(report, captures, node, name, "{%s}") ||
		complain_unknown_field(report, captures, node, name, wrong, offset))
		return;
	if (may_quote(node))
		table_mistake(report, node, offset, "%s: %s", name, wrong);
	else
		table_mistake(report, node, 0, "%s: not a good template once its ${…} are inserted; look at its braces",
			name);
}

/* `$key` as the program has it, unless it may be a variable of its own. */
static const char *find_variable(const char *program, const char *variable)
{
	size_t len = strlen(variable);
	if (strstr(program, " as ") || strstr(program, "def "))
		return NULL;
	for (const char *at = program; (at = strstr(at, variable)); at++)
		if (!isalnum((unsigned char)at[len]) && at[len] != '_' && at[len] != ':')
			return at;
	return NULL;
}

/* A program may ask for what no message has, and get null; that is hardly what is meant. */
void table_warn_jq(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name)
{
	const struct template_received *received = &captures->received;
	struct slice none = {NULL, 0};
	const char *at = received->check ? find_variable(node->text, "$key") : NULL;
	const char *why = at ? received->check(received->check_with, none) : NULL;
	int line, column;
	if (!why)
		return;
	node_place(node, node->text, (size_t)(at - node->text), &line, &column);
	report_warning(report, node->source, line, column, "%s: $key is null whatever comes: %s", name, why);
}

void table_doubt_jq(
	struct report *report, const struct table_captures *captures, const struct node *node, const char *name)
{
	size_t offset = 0;
	const char *doubt = jq_doubt(node->text, strcmp(name, "when") == 0, captures->names, captures->n, &offset);
	if (doubt && may_quote(node))
		warn_at(report, node, name, offset, doubt);
}

/* What follows the program in its line is a comment to YAML, and to who wrote it perhaps a part of the program. */
static bool cut_by_comment(const struct node *node)
{
	size_t at = source_offset(node->source, node->end_line, node->end_column), begin = at;
	while (node->source->text[at] == ' ')
		at++;
	return node->style == STYLE_PLAIN && at > begin && node->source->text[at] == '#';
}

void table_complain_jq(struct report *report, const struct table_captures *captures, const struct node *node,
	const char *name, const char *wrong, int line)
{
	if (complain_partial(report, captures, node, name, "$%s"))
		return;
	size_t offset = 0; /* of that line of the program, behind its indentation */
	for (; line > 1 && node->text[offset]; offset++)
		line -= node->text[offset] == '\n';
	offset += strspn(node->text + offset, " \t");
	if (!may_quote(node)) {
		table_mistake(report, node, 0,
			"%s: this jq program does not compile once its ${…} are inserted; look at quotes and brackets",
			name);
		return;
	}
	const char *hint = jq_hint(node->text, wrong, captures->names, captures->n, &offset);
	if (cut_by_comment(node))
		hint = "what follows the # is a comment to YAML, so put quotes around the whole";
	table_mistake(report, node, offset, "%s: this jq program does not compile: %s%s%s", name, wrong,
		hint ? "; " : "", hint ? hint : "");
}

static bool check_path(struct report *report, const struct node *node, const char *name, const char *path)
{
	if (access(path, R_OK) == 0)
		return true;
	table_mistake(report, node, 0,
		"%s: the file cannot be read: %s; a relative path starts at the folder of this file", name,
		strerror(errno));
	return false;
}

/* `username: $USER`, as a shell would read it. */
static void warn_variable(struct config_scope *scope, const struct config_key *key, const struct node *node)
{
	const char *name = node->text[0] == '$' ? node->text + 1 : "";
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
	if (len < 2 || name[len] || node->interpolated || isdigit((unsigned char)*name))
		return;
	report_warning(scope->report, node->source, node->line, node->column,
		"%s: this is taken as it stands, with its dollar; for an environment variable write ${env:NAME}",
		key->name);
}

/* `key: null`, said and not only left empty. */
static bool is_said_null(const struct config_key *key, const struct node *node)
{
	return key->nullable && node_is_null(node) && *node->text;
}

static void read_text(struct config_scope *scope, const struct config_key *key, struct node *node, char **out)
{
	if (is_said_null(key, node))
		return;
	const char *text = table_text(scope->report, node, key->name);
	if (!text) {
		read_failed(scope, key, out);
		return;
	}
	if (key->type == CONFIG_STRING || key->type == CONFIG_SECRET)
		warn_variable(scope, key, node);
	char *value = key->type == CONFIG_PATH ? source_join(node->source->folder, text) : memory_text(text);
	switch (key->type) {
	case CONFIG_SECRET:
		node_hide(node, scope->report);
		break;
	case CONFIG_PATH:
		if (!check_path(scope->report, node, key->name, value)) {
			free(value);
			read_failed(scope, key, out);
			return;
		}
		break;
	case CONFIG_TEMPLATE:
		table_check_template(scope->report, scope->captures, node, key->name);
		break;
	case CONFIG_FILTER:
		table_check_filter(scope->report, node, key->name, '/');
		break;
	case CONFIG_JQ:
		if (scope->captures && !scope->captures->unknown) {
			table_warn_jq(scope->report, scope->captures, node, key->name);
			program_list_add(scope->captures->programs, scope->captures, node, key->name);
		}
		break;
	default:
		break;
	}
	free(*out);
	*out = value;
}

/* --- lists and maps --- */

static void append_text(struct config_list *list, const char *name, const char *value, int line, int column)
{
	list->items = memory_grow(list->items, list->n, sizeof *list->items);
	list->items[list->n++] =
		(struct config_text){name ? memory_text(name) : NULL, value ? memory_text(value) : NULL, line, column};
}

static bool append_node(
	struct config_scope *scope, struct config_list *list, const char *name, struct node *node, const char *title)
{
	const char *text = table_text(scope->report, node, title);
	if (text) {
		append_text(list, name, text, node->line, node->column);
	} else {
		node->failed = true;
		scope->unsound = true;
	}
	return text != NULL;
}

static void read_list(
	struct config_scope *scope, const struct config_key *key, struct node *node, struct config_list *out)
{
	if (node->kind == NODE_SCALAR) {
		(void)append_node(scope, out, NULL, node, key->name);
	} else if (node->kind == NODE_MAP) {
		table_mistake(
			scope->report, node, 0, "%s is a map; a list of texts, or one text, belongs here", key->name);
	} else {
		if (node->n == 0)
			table_mistake(scope->report, node, 0,
				"%s is an empty list; write a value, or leave the key out", key->name);
		for (size_t i = 0; i < node->n; i++)
			if (!append_node(scope, out, NULL, node->items[i], key->name))
				append_text(out, NULL, "", node->items[i]->line,
					node->items[i]->column); /* numbers the others */
	}
}

static void read_map(
	struct config_scope *scope, const struct config_key *key, struct node *node, struct config_list *out)
{
	if (!table_expect_map(scope->report, node, key->name))
		return;
	for (size_t i = 0; i < node->n; i++) {
		struct node *item = node->items[i];
		if (is_said_null(key, item)) {
			append_text(out, node->keys[i]->text, NULL, item->line, item->column);
			continue;
		}
		char *name = report_redact(scope->report, node->keys[i]->text); /* the user's word, without quotes */
		char *title = memory_format("%s.%s", key->name, name);
		free(name);
		(void)append_node(scope, out, node->keys[i]->text, item, title);
		free(title);
	}
}

/* --- entry points --- */

static void read_value(struct config_scope *scope, const struct config_key *key, struct node *node, void *out)
{
	switch (key->type) {
	case CONFIG_STRING:
	case CONFIG_SECRET:
	case CONFIG_PATH:
	case CONFIG_TEMPLATE:
	case CONFIG_FILTER:
	case CONFIG_JQ:
		read_text(scope, key, node, out);
		break;
	case CONFIG_LIST:
		read_list(scope, key, node, out);
		break;
	case CONFIG_MAP:
		read_map(scope, key, node, out);
		break;
	case CONFIG_SECTION:
		break;
	default:
		read_typed(scope, key, node, out);
	}
}

void table_value(struct config_scope *scope, const struct config_key *key, struct node *node, void *out)
{
	size_t before = report_mistakes(scope->report);
	read_value(scope, key, node, out);
	if (report_mistakes(scope->report) != before && !table_failed(node))
		node->failed = true; /* and not only an item of it */
	scope->failed |= table_failed(node);
}

bool table_failed(const struct node *node)
{
	bool failed = node->failed;
	for (size_t i = 0; i < node->n && !failed; i++)
		failed = node->items[i]->failed;
	return failed;
}

/* "[a, b]" or "a". */
static void fallback_list(const char *text, struct config_list *out)
{
	if (*text != '[') {
		append_text(out, NULL, text, 0, 0);
		return;
	}
	for (text += strspn(text, "[ "); *text && *text != ']'; text += strspn(text, ", ")) {
		size_t len = strcspn(text, ",]");
		char *item = memory_bytes(text, len);
		append_text(out, NULL, item, 0, 0);
		free(item);
		text += len;
	}
}

void table_fallback(const struct config_key *key, void *out)
{
	char message[VALUE_MESSAGE];
	struct value_text in = {key->fallback, false, message};
	switch (key->type) {
	case CONFIG_STRING:
	case CONFIG_SECRET:
	case CONFIG_PATH:
	case CONFIG_TEMPLATE:
	case CONFIG_FILTER:
	case CONFIG_JQ:
		*(char **)out = memory_text(key->fallback);
		break;
	case CONFIG_LIST:
		fallback_list(key->fallback, out);
		break;
	case CONFIG_MAP:
	case CONFIG_SECTION:
		assert(!"a map or section has no fallback");
		break;
	default: {
		const char *wrong = parse_typed(key, &in, out);
		assert(!wrong);
		(void)wrong;
	}
	}
}

void table_free_value(const struct config_key *key, void *value)
{
	struct config_list *list = value;
	switch (key->type) {
	case CONFIG_STRING:
	case CONFIG_SECRET:
	case CONFIG_PATH:
	case CONFIG_TEMPLATE:
	case CONFIG_FILTER:
	case CONFIG_JQ:
		free(*(char **)value);
		break;
	case CONFIG_LIST:
	case CONFIG_MAP:
		for (size_t i = 0; i < list->n; i++) {
			free(list->items[i].name);
			free(list->items[i].value);
		}
		free(list->items);
		break;
	case CONFIG_SECTION:
		table_free(key->children, value);
		break;
	default:
		break;
	}
}

void table_free(const struct config_key *keys, void *base)
{
	for (; keys && keys->name && base; keys++)
		table_free_value(keys, (char *)base + keys->offset);
}
