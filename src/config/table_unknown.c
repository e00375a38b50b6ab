/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of the file that no table of their section holds: what was meant, as far as the tables can tell. A name that
 * another section knows belongs there; one that is nearly a name of this section is a slip of the pen.
 */
#define _GNU_SOURCE
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

static void complain_unknown(const struct config_scope *scope, const struct node *name)
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
	for (size_t i = 0; scope->node && i < scope->node->n; i++)
		if (!known(scope, scope->node->keys[i]->text) &&
			(!scope->keys_unknown || strcmp(scope->node->keys[i]->text, "<<") == 0))
			complain_unknown(scope, scope->node->keys[i]);
}
