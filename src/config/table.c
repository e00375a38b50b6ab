/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk over a section: every key of the tables is looked up, every key of the file must be in a table.
 */
#include "config/table.h"

#include <stdlib.h>
#include <string.h>

#include "config/memory.h"
#include "config/table_value.h"

/* --- keys of the tables --- */

/* `min_interval: 30s` is min_interval: {every: 30s}. */
static void read_bare(struct config_scope *inner, const struct config_key *key, struct node *node, void *base)
{
	const struct config_key *child = key->children;
	while (strcmp(child->name, key->bare) != 0)
		child++;
	struct config_key named = *child;
	named.name = key->name;
	table_value(inner, &named, node, (char *)base + child->offset);
}

static bool holds_secret(const struct config_key *keys)
{
	for (; keys && keys->name; keys++)
		if (keys->type == CONFIG_SECRET || holds_secret(keys->children))
			return true;
	return false;
}

/* `batch: 100`; what stands in place of a section with secrets may be one: `auth: Bearer …` */
static bool expect_section(struct report *report, struct node *node, const struct config_key *key)
{
	if (node->kind != NODE_SCALAR || node->failed || node_is_null(node))
		return table_expect_map(report, node, key->name);
	if (holds_secret(key->children) && !source_is_word(node->text))
		node_hide(node, report);
	table_mistake(report, node, 0, "%s is a single value; keys of its own belong here, as in %s: {%s: …}",
		key->name, key->name, key->children->name);
	return false;
}

static void read_section(struct config_scope *scope, const struct config_key *key, struct node *node, void *base)
{
	struct config_scope inner = {
		.report = scope->report,
		.captures = scope->captures,
		.others = scope->others,
		.node = node,
		.anchor = node,
		.parts = {{key->children, base}},
	};
	char *title = memory_format("'%s' of %s", key->name, scope->title);
	inner.title = title;
	bool bare = node && key->bare && node->kind == NODE_SCALAR && !node->failed && !node_is_null(node);
	if (bare) {
		inner.node = NULL;
	} else if (node && !expect_section(scope->report, node, key)) {
		node->failed = true;
		inner.failed = inner.unsound = true;
		inner.node = NULL; /* the fallbacks */
	}
	table_read(&inner);
	if (bare)
		read_bare(&inner, key, node, base);
	scope->failed |= inner.failed;
	scope->unsound |= inner.unsound;
	free(title);
}

static void complain_missing(struct config_scope *scope, const struct config_key *key)
{
	scope->unsound = scope->failed = true;
	if (node_get(scope->node, "<<")) /* which has been told, and may bring it */
		return;
	const char *end = strstr(key->help, ". "); /* the first sentence will do */
	size_t len = end ? (size_t)(end - key->help) : strlen(key->help);
	len -= len > 0 && key->help[len - 1] == '.';
	table_mistake(
		scope->report, scope->anchor, 0, "%s has no '%s': %.*s", scope->title, key->name, (int)len, key->help);
}

static void read_key(struct config_scope *scope, const struct config_key *key, void *base)
{
	struct node *node = node_get(scope->node, key->name);
	void *out = (char *)base + key->offset;
	if (key->type == CONFIG_SECTION)
		read_section(scope, key, node, out);
	else if (node)
		table_value(scope, key, node, out);
	else if (key->required && scope->node)
		complain_missing(scope, key);
	else if (key->fallback)
		table_fallback(key, out);
}

void table_read(struct config_scope *scope)
{
	table_find_unknown(scope);
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			read_key(scope, key, scope->parts[i].base);
}

/* --- comparing --- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
	bool same = a->n == b->n;
	for (size_t i = 0; same && i < a->n; i++)
		same = same_text(a->items[i].name, b->items[i].name) && same_text(a->items[i].value, b->items[i].value);
	return same;
}

static bool same_value(const struct config_key *key, const void *a, const void *b)
{
	switch (key->type) {
	case CONFIG_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONFIG_INT:
		return *(const int64_t *)a == *(const int64_t *)b;
	case CONFIG_NUMBER:
		return *(const double *)a == *(const double *)b;
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case CONFIG_ENUM:
		return *(const int *)a == *(const int *)b;
	case CONFIG_LIST:
	case CONFIG_MAP:
		return same_list(a, b);
	case CONFIG_SECTION:
		return !table_difference(key->children, a, b);
	default: /* texts */
		return same_text(*(char *const *)a, *(char *const *)b);
	}
}

const char *table_difference(const struct config_key *keys, const void *a, const void *b)
{
	for (; keys && keys->name && a != b; keys++)
		if (!a || !b || !same_value(keys, (const char *)a + keys->offset, (const char *)b + keys->offset))
			return keys->name;
	return NULL;
}

/* --- mistakes that connectors find --- */

/* The node of a key, or of an item below it; NULL if it is not there. A section within the section is there without that
 * child of it, which is then found to be the section. */
static const struct node *find_place(const struct config_scope *scope, const char *key, const char *item)
{
	const struct node *at = key ? node_get(scope->node, key) : NULL;
	if (!at || !item)
		return at;
	if (at->kind == NODE_LIST)
		return strtoul(item, NULL, 10) < at->n ? at->items[strtoul(item, NULL, 10)] : NULL;
	const struct node *found = node_get(at, item);
	const char *dot = strchr(item, '.');
	if (found || !dot)
		return found;
	char *section = memory_format("%.*s", (int)(dot - item), item);
	const struct node *inner = node_get(at, section);
	free(section);
	const struct node *child = inner ? node_get(inner, dot + 1) : NULL;
	if (inner && inner->kind == NODE_LIST && strtoul(dot + 1, NULL, 10) < inner->n)
		child = inner->items[strtoul(dot + 1, NULL, 10)];
	return child ? child : inner;
}

bool config_given(const struct config_scope *scope, const char *key, const char *item)
{
	return find_place(scope, key, item) != NULL;
}

static const struct config_key *find_key(const struct config_scope *scope, const char *name)
{
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (strcmp(key->name, name) == 0)
				return key;
	return NULL;
}

static bool is_required(const struct config_scope *scope, const char *name)
{
	const struct config_key *key = find_key(scope, name);
	return key && key->required;
}

/* "key" or "key.item". The names in a map are the user's, and stand here without quotes. */
static char *name_place(const struct config_scope *scope, const char *name, const char *item)
{
	const struct config_key *key = find_key(scope, name);
	const struct node *node = node_get(scope->node, name);
	if (item && key && key->type == CONFIG_LIST && node && node->kind == NODE_SCALAR) /* a list of one */
		return memory_text(name);
	char *shown = key && key->type == CONFIG_MAP && item ? report_redact(scope->report, item) : NULL;
	char *text = memory_format("%s%s%s", name, item ? "." : "", shown ? shown : item ? item : "");
	free(shown);
	return text;
}

bool config_failed(const struct config_scope *scope, const char *key, const char *item)
{
	const struct node *at = find_place(scope, key, NULL), *inner = find_place(scope, key, item);
	if (!key)
		return scope->failed;
	if (!at)
		return is_required(scope, key);
	return at->failed || (inner && table_failed(inner));
}

__attribute__((format(printf, 5, 0))) static void complain(const struct config_scope *scope, bool warning,
	const char *key, const char *item, const char *format, va_list args)
{
	const struct node *whole = find_place(scope, key, NULL), *at = find_place(scope, key, item);
	if (!at)
		at = whole;
	if (at ? at->failed || whole->failed : key && is_required(scope, key))
		return;
	if (!at)
		at = scope->anchor;
	char text[1024], *name = key ? name_place(scope, key, item) : NULL;
	vsnprintf(text, sizeof text, format, args);
	(warning ? report_warning : report_mistake)(
		scope->report, at->source, at->line, at->column, "%s: %s", name ? name : scope->title, text);
	free(name);
}

void config_complain(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	complain(scope, false, key, item, format, args);
	va_end(args);
}

void config_warn(struct config_scope *scope, const char *key, const char *item, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	complain(scope, true, key, item, format, args);
	va_end(args);
}

void table_mistake(struct report *report, const struct node *node, size_t offset, const char *format, ...)
{
	int line = node->line, column = node->column; /* of the quote, not of what it encloses */
	bool inside = node->kind == NODE_SCALAR && (offset > 0 || node->style == STYLE_LITERAL);
	if (inside && !node->interpolated && !report_full(report) && offset <= strlen(node->text))
		node_place(node, node->text, offset, &line, &column);
	va_list args;
	va_start(args, format);
	report_mistake_args(report, node->source, line, column, format, args);
	va_end(args);
}
