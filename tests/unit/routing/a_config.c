/* SPDX-License-Identifier: Apache-2.0
 *
 * Grows the arrays of a struct config one element at a time. The texts are literals of the test that no one writes to,
 * hence the one cast.
 */
#include "tests/unit/routing/a_config.h"

#include <stdlib.h>
#include <string.h>

#include "message/message.h"

static void *grow(void *array, size_t n, size_t element)
{
	char *grown = realloc(array, (n + 1) * element);
	if (!grown)
		abort();
	memset(grown + n * element, 0, element);
	return grown;
}

char *a_text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

struct config *a_config(size_t n_connections, const struct connector *connector)
{
	struct config *config = grow(NULL, 0, sizeof *config);
	config->max_transform_bytes = 1024 * 1024;
	config->max_message_bytes = 32 * 1024 * 1024;
	for (; config->n_connections < n_connections; config->n_connections++) {
		config->connections = grow(config->connections, config->n_connections, sizeof *config->connections);
		config->connections[config->n_connections].connector = connector;
	}
	return config;
}

struct mapping_config *a_mapping(struct config *config, const char *name, const char *filter)
{
	config->mappings = grow(config->mappings, config->n_mappings, sizeof *config->mappings);
	struct mapping_config *map = &config->mappings[config->n_mappings++];
	map->name = a_text(name);
	map->max_outputs = 100;
	map->on_error = ON_ERROR_DEAD_LETTER;
	map->priority = MESSAGE_DEFAULT_PRIORITY;
	a_filter(map, filter);
	return map;
}

void a_filter(struct mapping_config *map, const char *filter)
{
	a_field(&map->filters, NULL, filter);
}

struct target_config *a_target(struct mapping_config *map, size_t connection, const char *target)
{
	map->targets = grow(map->targets, map->n_targets, sizeof *map->targets);
	struct target_config *to = &map->targets[map->n_targets++];
	to->connection = connection;
	to->target = a_text(target);
	to->qos = -1;
	to->format = -1;
	to->retain = -1;
	return to;
}

void a_field(struct config_list *list, const char *name, const char *value)
{
	list->items = grow(list->items, list->n, sizeof *list->items);
	list->items[list->n++] = (struct config_text){.name = a_text(name), .value = a_text(value)};
}

void a_config_free(struct config *config)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		struct mapping_config *map = &config->mappings[m];
		for (size_t t = 0; t < map->n_targets; t++) {
			free(map->targets[t].headers.items);
			free(map->targets[t].params.items);
		}
		free(map->targets);
		free(map->filters.items);
	}
	free(config->mappings);
	free(config->connections);
	free(config);
}
