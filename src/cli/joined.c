/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader has appended aggregators and second halves at the ends of their arrays (config/load_aggregate.c), so the rest
 * of both is what stands in the file.
 */
#include "cli/joined.h"

#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

const struct mapping_config *joined_results_of(const struct config *config, size_t aggregator)
{
	for (size_t i = 0; i < config->n_mappings; i++)
		if (config->mappings[i].from_connection == aggregator)
			return &config->mappings[i];
	return NULL;
}

/* What the loader has moved to the second half comes back. */
static void join(const struct config *config, struct mapping_config *map)
{
	const struct mapping_config *results = joined_results_of(config, map->targets[0].connection);
	if (!results)
		return;
	map->payload = results->payload;
	map->payload_template = results->payload_template;
	map->markers = results->markers;
	map->priority = results->priority;
	map->targets = results->targets;
	map->n_targets = results->n_targets;
}

void joined_make(const struct config *config, struct joined *ret_joined)
{
	struct joined joined = {.config = *config};
	struct config *whole = &joined.config;
	joined.mappings = memory_zero((config->n_mappings + 1) * sizeof *joined.mappings);
	while (whole->n_connections && config->connections[whole->n_connections - 1].is_aggregator) {
		whole->n_connections--;
		whole->n_mappings--;
	}
	if (whole->n_mappings)
		memcpy(joined.mappings, config->mappings, whole->n_mappings * sizeof *joined.mappings);
	for (size_t i = 0; i < whole->n_mappings; i++)
		if (joined.mappings[i].aggregate.window_ms)
			join(config, &joined.mappings[i]);
	whole->mappings = joined.mappings;
	*ret_joined = joined;
}

void joined_free(struct joined *joined)
{
	free(joined->mappings);
	joined->mappings = NULL;
}
