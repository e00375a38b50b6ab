/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks for what is written and yet does nothing, or does again what is done already: mappings by which each message goes
 * to the same place twice, topic filters and conditions that never let a message through, settings of an outbox in which
 * nothing ever waits. All mappings that match a message work on it, so a wider filter does not shadow a narrower one:
 * overlapping is no mistake, only repeating is.
 *
 * Warnings alone; each is certain by what the file says.
 */
#include <stdlib.h>
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "routing/json.h"
#include "routing/topic_filter.h"
#include "routing/topic_index.h"

/* A filter of a mapping, by its number in the index of its connection. */
struct used_filter {
	size_t mapping, filter;
};

struct use {
	struct loader *loader;
	const struct config *config;
	struct topic_index *index;
	struct used_filter *filters;
	size_t n_filters;
};

static const struct mapping_config *mapping_at(const struct use *use, size_t m)
{
	return &use->config->mappings[m];
}

static const struct source *source_of(const struct use *use, size_t m)
{
	return use->loader->mappings.items[m].value->source;
}

/* --- texts ----------------------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_text(a->items[i].name, b->items[i].name) || !same_text(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

/* Would both write the same, of one message? */
static bool same_target(const struct target_config *a, const struct target_config *b)
{
	return a->connection == b->connection && same_text(a->target, b->target) && same_text(a->key, b->key) &&
	       same_text(a->content_type, b->content_type) && same_list(&a->headers, &b->headers) &&
	       same_list(&a->params, &b->params) && a->retain == b->retain && a->tombstones == b->tombstones &&
	       a->format == b->format && a->reply.topic == NULL && b->reply.topic == NULL;
}

/* --- filters --------------------------------------------------------------------------------------------------------------- */

static const char *filter_of(const struct use *use, const struct used_filter *used)
{
	return mapping_at(use, used->mapping)->filters.items[used->filter].value;
}

/* The level of the filter that binds the name; SIZE_MAX: none. */
static size_t level_of(const char *filter, struct slice name)
{
	struct slice rest = slice_str(topic_filter_without_share(filter)), level;
	for (size_t i = 0; topic_next_level(&rest, &level); i++)
		if (slice_equal(topic_filter_capture(level), name))
			return i;
	return SIZE_MAX;
}

/* Does no name stand for one level here and for another one there? */
static bool captures_agree(const char *a, const char *b)
{
	struct slice rest = slice_str(topic_filter_without_share(a)), level;
	for (size_t i = 0; topic_next_level(&rest, &level); i++) {
		struct slice name = topic_filter_capture(level);
		size_t other = name.data ? level_of(b, name) : SIZE_MAX;
		if (other != SIZE_MAX && other != i)
			return false;
	}
	return true;
}

static bool covers(const char *outer, const char *inner)
{
	char *wide = topic_filter_wire(outer, true), *narrow = topic_filter_wire(inner, true);
	bool yes = wide && narrow && topic_filter_covers(wide, narrow);
	free(wide);
	free(narrow);
	return yes;
}

/* Members of a group share what it takes, so a shared filter brings less than its like without a group. */
static bool same_group(const char *a, const char *b)
{
	size_t len = (size_t)(topic_filter_without_share(a) - a);
	return len == (size_t)(topic_filter_without_share(b) - b) && memcmp(a, b, len) == 0;
}

/* Does each message that comes by `inner` come by `outer` as well, with the same captures? */
static bool brings_all(const char *outer, const char *inner)
{
	bool shared = topic_filter_without_share(outer) != outer;
	if (shared && (!same_group(outer, inner) || !covers(inner, outer)))
		return false;
	return covers(outer, inner) && captures_agree(outer, inner);
}

/* A filter of a mapping that an earlier one of the same mapping covers: that one takes all of its messages. */
static void check_filters(struct use *use, size_t m)
{
	const struct config_list *filters = &mapping_at(use, m)->filters;
	for (size_t i = 1; i < filters->n; i++)
		for (size_t k = 0; k < i; k++) {
			if (!same_group(filters->items[k].value, filters->items[i].value) ||
				!covers(filters->items[k].value, filters->items[i].value))
				continue;
			char *first = config_filter_as_written(use->config, mapping_at(use, m), k);
			report_warning(use->loader->report, source_of(use, m), filters->items[i].line,
				filters->items[i].column,
				"topic: this filter never gets a message, for '%s' before it takes them all; leave one "
				"of "
				"them out",
				first);
			free(first);
			break;
		}
}

/* --- mappings that repeat each other --------------------------------------------------------------------------------------- */

/* Keys that do not decide which messages pass and what is written. */
static bool is_free(const char *name)
{
	static const char *const names[] = {
		"name", "when", "on_error", "max_outputs", "max_hops", "delivery", "markers", "priority", NULL};
	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Do both let the same through and make the same of it? Or more, if `wide` has no condition. */
static bool same_rules(const struct mapping_config *wide, const struct mapping_config *narrow)
{
	if (wide->when && !same_text(wide->when, narrow->when))
		return false;
	for (const struct config_key *key = section_mapping_keys; key->name; key++) {
		struct config_key one[] = {*key, {0}};
		if (!is_free(key->name) && table_difference(one, wide, narrow))
			return false;
	}
	return true;
}

/* Of all that `narrow` takes, `wide` takes the same. */
static bool takes_all(const struct use *use, size_t wide, size_t narrow)
{
	const struct mapping_config *a = mapping_at(use, wide), *b = mapping_at(use, narrow);
	const struct connector *connector = use->config->connections[a->from_connection].connector;
	if (a->from_connection != b->from_connection ||
		table_difference(connector->from_keys, a->from_settings, b->from_settings))
		return false;
	for (size_t i = 0; i < b->filters.n; i++) {
		bool found = false;
		for (size_t k = 0; k < a->filters.n && !found; k++)
			found = brings_all(a->filters.items[k].value, b->filters.items[i].value);
		if (!found)
			return false;
	}
	return true;
}

static void warn_repeats(struct use *use, size_t wide, size_t narrow)
{
	const struct mapping_config *a = mapping_at(use, wide), *b = mapping_at(use, narrow);
	for (size_t i = 0; i < b->n_targets; i++)
		for (size_t k = 0; k < a->n_targets; k++) {
			if (!same_target(&a->targets[k], &b->targets[i]))
				continue;
			report_warning(use->loader->report, source_of(use, narrow), b->targets[i].line,
				b->targets[i].column,
				"mapping '%s' (line %d) takes all that '%s' takes and writes the same to '%s', so each "
				"of "
				"these messages goes there twice; leave one of them out, or let each take other topics",
				a->name, a->line, b->name, use->config->connections[b->targets[i].connection].name);
			break;
		}
}

/* The mappings of one connection that cover this one's first filter, each once. */
static void check_repeats(struct use *use, const struct used_filter *used)
{
	const uint32_t *covering;
	char *wire = topic_filter_wire(filter_of(use, used), true);
	size_t n = wire ? topic_index_covering(use->index, wire, &covering) : 0, last = SIZE_MAX;
	for (size_t i = 0; i < n; i++) {
		size_t wide = use->filters[covering[i]].mapping, narrow = used->mapping;
		if (wide == last || wide == narrow)
			continue;
		last = wide;
		if (!same_rules(mapping_at(use, wide), mapping_at(use, narrow)) || !takes_all(use, wide, narrow))
			continue;
		/* Of two that are alike the later one repeats. */
		if (wide > narrow && same_rules(mapping_at(use, narrow), mapping_at(use, wide)) &&
			takes_all(use, narrow, wide))
			continue;
		warn_repeats(use, wide, narrow);
	}
	free(wire);
}

static void check_own_targets(struct use *use, size_t m)
{
	const struct mapping_config *map = mapping_at(use, m);
	for (size_t i = 1; i < map->n_targets; i++)
		for (size_t k = 0; k < i; k++) {
			if (!same_target(&map->targets[k], &map->targets[i]))
				continue;
			report_warning(use->loader->report, source_of(use, m), map->targets[i].line,
				map->targets[i].column,
				"to: the destination in line %d is the same, so each message goes there twice; leave "
				"one "
				"of them out",
				map->targets[k].line);
			break;
		}
}

static void check_connection(struct use *use, size_t connection)
{
	use->index = topic_index_new();
	use->n_filters = 0;
	for (size_t m = 0; m < use->config->n_mappings; m++) {
		const struct mapping_config *map = mapping_at(use, m);
		for (size_t i = 0; map->from_connection == connection && i < map->filters.n; i++) {
			char *wire = topic_filter_wire(map->filters.items[i].value, true);
			if (!use->index || !wire || topic_index_add(use->index, wire) < 0)
				abort(); /* as everywhere in config/ when memory is out */
			use->filters[use->n_filters++] = (struct used_filter){m, i};
			free(wire);
		}
	}
	for (size_t i = 0; i < use->n_filters; i++)
		if (use->filters[i].filter == 0)
			check_repeats(use, &use->filters[i]);
	topic_index_free(use->index);
}

/* --- conditions ------------------------------------------------------------------------------------------------------------ */

/* A program that is a plain value gives it for every message. */
static void check_when(struct use *use, size_t m)
{
	const struct mapping_config *map = mapping_at(use, m);
	const struct node *node = node_get(use->loader->mappings.items[m].value, "when");
	if (!map->when || !node)
		return;
	size_t begin = strspn(map->when, " \t\n"), len = strlen(map->when);
	while (len > begin && strchr(" \t\n", map->when[len - 1]))
		len--;
	struct slice text = slice_of(map->when + begin, len - begin);
	bool nothing = slice_equal(text, slice_str("empty")) || slice_equal(text, slice_str("false")) ||
		       slice_equal(text, slice_str("null"));
	if (nothing)
		report_warning(use->loader->report, node->source, node->line, node->column,
			"when: this is never true, so mapping '%s' takes no message; write a condition on the message, "
			"or "
			"leave the mapping out",
			map->name);
	else if (!slice_equal(text, slice_str("true")) && !json_check(text, NULL))
		report_warning(use->loader->report, node->source, node->line, node->column,
			"when: this is a plain value, which is true for every message; write a condition on the "
			"message, "
			"such as .value > 20, or leave when out");
}

/* --- outboxes -------------------------------------------------------------------------------------------------------------- */

static void check_outbox(struct use *use, size_t connection)
{
	static const char *const sections[] = {"outbox", "last_values"};
	const struct loader_entry *entry = &use->loader->connections.items[connection];
	bool written = false, read = false;
	for (size_t m = 0; m < use->config->n_mappings; m++) {
		written |= mapping_writes_to(use->config, mapping_at(use, m), connection);
		read |= mapping_at(use, m)->from_connection == connection;
	}
	for (size_t i = 0; i < 2 && read && !written; i++) {
		const struct node *node = node_get(entry->value, sections[i]);
		if (node)
			report_warning(use->loader->report, node->source, node->line, node->column,
				"%s: no mapping writes to connection '%s', so this changes nothing; it belongs to the "
				"connection that is written to",
				sections[i], use->config->connections[connection].name);
	}
}

void loader_check_use(struct loader *loader)
{
	struct use use = {.loader = loader, .config = &loader->own->config};
	size_t n = 0;
	for (size_t m = 0; m < use.config->n_mappings; m++)
		n += use.config->mappings[m].filters.n;
	use.filters = memory_zero((n + 1) * sizeof *use.filters);
	for (size_t m = 0; m < use.config->n_mappings; m++) {
		check_filters(&use, m);
		check_when(&use, m);
		check_own_targets(&use, m);
	}
	for (size_t c = 0; c < use.config->n_connections; c++) {
		check_connection(&use, c);
		check_outbox(&use, c);
	}
	free(use.filters);
}
