/* SPDX-License-Identifier: Apache-2.0
 *
 * Mappings with `aggregate`: what is wrong with them, and what they become. Once everything has been checked as it stands in
 * the file, each is split: a connection of the mapping's name that is both a destination and a source, one mapping from the
 * source to it, with `when` and the rules over time, and one from there to the targets, with `payload`. Whoever reads a loaded
 * configuration finds ordinary mappings.
 */
#include <stdlib.h>
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"
#include "config/suggest.h"
#include "config/value.h"
#include "message/message.h"

/* --- checks --- */

static long result_of(const char *word)
{
	for (long i = 0; aggregate_results[i]; i++)
		if (strcmp(aggregate_results[i], word) == 0)
			return i;
	return -1;
}

unsigned aggregate_bits(const struct aggregate_config *aggregate)
{
	unsigned bits = 0;
	for (size_t i = 0; i < aggregate->as.n; i++) {
		long result = result_of(aggregate->as.items[i].value);
		bits |= result < 0 ? 0 : 1u << result;
	}
	return bits;
}

static void check_words(struct loader *loader, const struct node *node)
{
	unsigned seen = 0;
	bool list = node->kind == NODE_LIST;
	for (size_t i = 0; i < (list ? node->n : 1); i++) {
		const struct node *item = list ? node->items[i] : node;
		char message[VALUE_MESSAGE];
		int result;
		if (item->kind != NODE_SCALAR || item->failed)
			continue;
		struct value_text in = {item->text, item->secret || item->interpolated, message};
		const char *wrong = value_choice(&in, aggregate_results, &result);
		if (wrong)
			table_mistake(loader->report, item, 0, "as: %s", wrong);
		else if (seen & 1u << result)
			table_mistake(loader->report, item, 0, "as: %s stands there already; name each once",
				aggregate_results[result]);
		seen |= wrong ? 0 : 1u << result;
	}
}

void loader_check_aggregate(struct loader *loader, const struct mapping_config *map, const struct node *mapping)
{
	const struct node *node = node_get(mapping, "aggregate"), *name = node_get(mapping, "name");
	if (!node || node->failed || node->kind != NODE_MAP)
		return;
	const struct node *as = node_get(node, "as");
	if (as && !as->failed)
		check_words(loader, as);
	if (map->on_error == ON_ERROR_PASS)
		table_mistake(loader->report, node_get(mapping, "on_error"), 0,
			"on_error: a message that cannot be read cannot be passed on, since aggregate passes none; "
			"write "
			"dead_letter or drop");
	for (size_t i = 0; map->name && i < loader->connections.n; i++)
		if (strcmp(loader->connections.items[i].name->text, map->name) == 0)
			table_mistake(loader->report, name, 0,
				"name: a connection is called '%s', too; a mapping with aggregate is a destination of "
				"its "
				"own, so give it another name",
				map->name);
}

/* --- splitting --- */

static void copy_list(const struct config_list *from, struct config_list *to)
{
	*to = (struct config_list){memory_zero(from->n * sizeof *to->items), from->n};
	for (size_t i = 0; i < from->n; i++) {
		to->items[i] = from->items[i];
		to->items[i].value = memory_text(from->items[i].value);
		to->items[i].name = from->items[i].name ? memory_text(from->items[i].name) : NULL;
	}
}

static char *copy_text(const char *text)
{
	return text ? memory_text(text) : NULL;
}

static void *one_more(void *items, size_t n, size_t size)
{
	void *grown = memory_zero((n + 1) * size);
	if (n)
		memcpy(grown, items, n * size);
	free(items);
	return grown;
}

static void make_connection(struct config *config, const struct mapping_config *map)
{
	struct aggregate_config *settings = memory_zero(sizeof *settings);
	*settings = (struct aggregate_config){
		map->aggregate.window_ms, copy_text(map->aggregate.key), copy_text(map->aggregate.value), {NULL, 0}};
	copy_list(&map->aggregate.as, &settings->as);
	config->connections = one_more(config->connections, config->n_connections, sizeof *config->connections);
	struct connection_config *conn = &config->connections[config->n_connections++];
	*conn = (struct connection_config){.name = memory_text(map->name),
		.connector = &aggregate_connector,
		.settings = settings,
		.delivery = config->connections[map->from_connection].delivery,
		.file = map->file,
		.line = map->line,
		.column = map->column,
		.is_aggregator = true,
		.aggregates_from = map->from_connection};
	loader_default_outbox(conn);
}

/* What comes retained is not forwarded to any of them. */
static bool all_skip(const struct mapping_config *map)
{
	for (size_t i = 0; i < map->n_targets; i++)
		if (map->targets[i].retain != RETAIN_SKIP)
			return false;
	return true;
}

static struct mapping_config second_half(struct mapping_config *map, size_t aggregator)
{
	struct mapping_config second = {
		.name = memory_text(map->name),
		.from_connection = aggregator,
		.from_qos = map->from_qos,
		.payload = map->payload,
		.payload_template = map->payload_template,
		.places = {[STEP_PAYLOAD] = map->places[STEP_PAYLOAD]},
		.on_error = map->on_error,
		.max_outputs = map->max_outputs,
		.max_hops = map->max_hops,
		.delivery = map->delivery,
		.targets = map->targets,
		.n_targets = map->n_targets,
		.file = map->file,
		.line = map->line,
		.column = map->column,
		.markers = map->markers,
		.priority = map->priority,
	};
	copy_list(&map->filters, &second.filters);
	return second;
}

static void split(struct config *config, size_t index)
{
	make_connection(config, &config->mappings[index]);
	size_t aggregator = config->n_connections - 1;
	config->mappings = one_more(config->mappings, config->n_mappings, sizeof *config->mappings);
	struct mapping_config *map = &config->mappings[index];
	struct target_config *target = memory_zero(sizeof *target);
	*target = (struct target_config){.connection = aggregator,
		.qos = -1,
		.format = -1,
		.retain = all_skip(map) ? RETAIN_SKIP : -1,
		.file = map->file,
		.line = map->line,
		.column = map->column};
	config->mappings[config->n_mappings++] = second_half(map, aggregator);
	map->payload = NULL;
	map->payload_template = NULL;
	map->markers = false;
	map->priority = MESSAGE_DEFAULT_PRIORITY;
	map->targets = target;
	map->n_targets = 1;
}

void loader_split_aggregates(struct config *config)
{
	size_t n = config->n_mappings;
	for (size_t i = 0; i < n; i++)
		if (config->mappings[i].aggregate.window_ms)
			split(config, i);
}
