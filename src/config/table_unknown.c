/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of the file that no table of their section holds: what was meant, as far as the tables can tell. A name that
 * another section knows belongs there; one that is nearly a name of this section is a slip of the pen.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "config/suggest.h"
#include "config/table.h"

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static bool known(const struct config_scope *scope, const char *name)
{
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (strcmp(key->name, name) == 0)
				return true;
	return listed(scope->elsewhere, name);
}

/* Calls for each name that may stand here, those first that the section does not have yet. */
static void offer_names(const struct config_scope *scope, void (*fn)(void *arg, const char *name), void *arg)
{
	for (int given = 0; given <= 1; given++) {
		for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
			for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
				if ((node_get(scope->node, key->name) != NULL) == given)
					fn(arg, key->name);
		for (const char *const *name = scope->elsewhere; name && *name; name++)
			if ((node_get(scope->node, *name) != NULL) == given)
				fn(arg, *name);
	}
}

static void offer_suggestion(void *arg, const char *name)
{
	suggest_offer(arg, name);
}

struct names {
	char text[400];
	size_t len;
};

static void offer_to_list(void *arg, const char *name)
{
	struct names *names = arg;
	size_t left = sizeof names->text - names->len;
	if (strlen(name) + 8 > left) {
		if (names->len && names->text[names->len - 1] != '.')
			names->len += (size_t)snprintf(names->text + names->len, left, ", ...");
		return;
	}
	names->len += (size_t)snprintf(names->text + names->len, left, "%s%s", names->len ? ", " : "", name);
}

/* --- where else it may stand --- */

static bool holds(const struct config_key *keys, const char *name)
{
	for (; keys && keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return true;
	return false;
}

static void add_place(struct names *places, const char *place)
{
	size_t left = sizeof places->text - places->len;
	if (strstr(places->text, place) || strlen(place) + strlen(" or ") >= left)
		return;
	places->len += (size_t)snprintf(places->text + places->len, left, "%s%s", places->len ? " or " : "", place);
}

/* Sections within this one, and the tables of other sections with what stands in them. */
static void find_places(const struct config_scope *scope, const char *name, struct names *places)
{
	char place[80];
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (holds(key->children, name)) {
				snprintf(place, sizeof place, "under '%s'", key->name);
				add_place(places, place);
			}
	if (places->len)
		return;
	for (const struct table_other *other = scope->others; other && other->place; other++)
		if (holds(other->keys, name) && !(scope->place && strcmp(scope->place, other->place) == 0))
			add_place(places, other->place);
}

/* --- names that other programs have --- */

/* Is one of the words this name? Hyphens, dots and low lines are the same. */
static bool word_in(const char *words, const char *name)
{
	size_t len = strlen(name);
	for (; words && *words; words += strspn(words, " ")) {
		size_t n = strcspn(words, " "), same = 0;
		while (n == len && same < n &&
			(tolower((unsigned char)name[same]) == words[same] ||
				(words[same] == '_' && strchr("-. ", name[same]))))
			same++;
		if (n == len && same == n)
			return true;
		words += n;
	}
	return false;
}

struct other_name {
	const struct config_key *section; /* NULL: the key is of this section itself */
	const struct config_key *key; /* NULL: nobody calls anything so */
};

static struct other_name find_other_name(const struct config_scope *scope, const char *name)
{
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (word_in(key->others, name))
				return (struct other_name){NULL, key};
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			for (const struct config_key *child = key->children; child && child->name; child++)
				if (word_in(child->others, name))
					return (struct other_name){key, child};
	return (struct other_name){NULL, NULL};
}

/* Sections that somebody else reads have no table here. */
static const char *find_other_section(const struct config_scope *scope, const char *name)
{
	static const char *const sections[][2] = {{"from", "source input in subscribe"},
		{"to", "sink output out target destination publish"},
		{"connections", "connection brokers clients sources sinks inputs outputs bridges links endpoints"},
		{"mappings", "rules routes mapping topics streams pipelines flows bridge"}};
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
		if (listed(scope->elsewhere, sections[i][0]) && word_in(sections[i][1], name))
			return sections[i][0];
	return NULL;
}

static bool complain_other_name(const struct config_scope *scope, const struct node *name)
{
	struct other_name other = find_other_name(scope, name->text);
	const char *section = other.key ? NULL : find_other_section(scope, name->text);
	if (section)
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; did you mean '%s'?", name->text,
			scope->title, section);
	if (!other.key)
		return section != NULL;
	const char *help = other.key->help, *end = strstr(help, " (see [");
	end = end ? end : strstr(help, ". ");
	int len = (int)(end ? (size_t)(end - help) : strlen(help) - (help[strlen(help) - 1] == '.'));
	if (other.section)
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; did you mean '%s' under '%s'? %.*s",
			name->text, scope->title, other.key->name, other.section->name, len, help);
	else
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; did you mean '%s'? %.*s", name->text,
			scope->title, other.key->name, len, help);
	return true;
}

/* --- what is no key at all --- */

static const struct config_key *section_named(const struct config_scope *scope, const char *name, size_t len)
{
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (key->children && strlen(key->name) == len && memcmp(key->name, name, len) == 0)
				return key;
	return NULL;
}

/* "qos:1", "connection = lake", "outbox.ttl" */
static bool complain_form(const struct config_scope *scope, const struct node *name, const struct node *value)
{
	const char *text = name->text, *colon = strchr(text, ':'), *equals = strchr(text, '='),
		   *dot = strchr(text, '.');
	bool bare = node_is_null(value);
	if (bare && colon && colon > text)
		table_mistake(scope->report, name, (size_t)(colon - text),
			"'%s' is no key: a space is missing behind the colon; write '%.*s: %s'", text,
			(int)(colon - text), text, colon + 1);
	else if (bare && equals)
		table_mistake(scope->report, name, (size_t)(equals - text),
			"'%s' is no key; write 'key: value', with a colon and a space", text);
	else if (dot && section_named(scope, text, (size_t)(dot - text)))
		table_mistake(scope->report, name, 0,
			"unknown key '%s' in %s; '%.*s' is a section, so write %.*s: {%s: …}", text, scope->title,
			(int)(dot - text), text, (int)(dot - text), text, dot + 1);
	else
		return false;
	return true;
}

/* "user_properties": the key whose help speaks of user properties. Single words stand in too many of them. */
static const char *find_by_help(const struct config_scope *scope, const char *name)
{
	char words[64];
	if (!strchr(name, '_') || strlen(name) >= sizeof words)
		return NULL;
	for (size_t i = 0; i <= strlen(name); i++)
		words[i] = name[i] == '_' ? ' ' : name[i];
	for (size_t i = 0; i < TABLE_MAX_PARTS; i++)
		for (const struct config_key *key = scope->parts[i].keys; key && key->name; key++)
			if (key->help && strcasestr(key->help, words))
				return key->name;
	return NULL;
}

static void complain_unknown(const struct config_scope *scope, const struct node *name, const struct node *value)
{
	struct suggestion near = {.word = name->text};
	struct names known_names = {.text = ""}, places = {.text = ""};
	if (report_full(scope->report)) {
		table_mistake(scope->report, name, 0, "unknown key");
		return;
	}
	if (strcmp(name->text, "<<") == 0) {
		table_mistake(scope->report, name, 0,
			"merge keys (<<) are not read; write the keys out, or name a whole section by its alias");
		return;
	}
	if (complain_form(scope, name, value) || complain_other_name(scope, name))
		return;
	offer_names(scope, offer_suggestion, &near);
	offer_names(scope, offer_to_list, &known_names);
	find_places(scope, name->text, &places);
	if (!near.best && !places.len)
		near.best = find_by_help(scope, name->text);
	if (places.len)
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; it belongs %s", name->text, scope->title,
			places.text);
	else if (near.best)
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; did you mean '%s'?", name->text,
			scope->title, near.best);
	else
		table_mistake(scope->report, name, 0, "unknown key '%s' in %s; known keys: %s", name->text,
			scope->title, known_names.text);
}

void table_find_unknown(const struct config_scope *scope)
{
	for (size_t i = 0; scope->node && i < scope->node->n; i++) {
		const struct node *name = scope->node->keys[i], *value = scope->node->items[i];
		bool no_key = strcmp(name->text, "<<") == 0 || (node_is_null(value) && strpbrk(name->text, ":="));
		if (!known(scope, name->text) && (!scope->keys_unknown || no_key))
			complain_unknown(scope, name, value);
	}
}
