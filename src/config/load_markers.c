/* SPDX-License-Identifier: Apache-2.0
 *
 * Markers go out as headers: where none are carried, nobody sees them.
 */
#include "config/loader.h"
#include "connectors/connector.h"

/* The answer of a connection whose values are not all known counts for nothing. */
static bool carries_headers(const struct loader *loader, const struct target_config *target)
{
	const struct connection_config *conn = &loader->own->config.connections[target->connection];
	return loader->connections.items[target->connection].failed ||
	       (conn->connector->carries_headers && conn->connector->carries_headers(conn->settings));
}

void loader_check_markers(struct loader *loader, const struct mapping_config *map, const struct node *node)
{
	const struct config *config = &loader->own->config;
	size_t n_carrying = 0;
	for (size_t i = 0; i < map->n_targets; i++)
		n_carrying += carries_headers(loader, &map->targets[i]);
	if (map->markers && map->n_targets && n_carrying == 0)
		table_mistake(loader->report, node_get(node, "markers"), 0,
			"markers: no destination of mapping '%s' carries headers, so nobody would see them; write to "
			"Kafka or over MQTT 5, or leave markers out",
			map->name);
	for (size_t i = 0; map->markers && n_carrying && i < map->n_targets; i++) {
		const struct target_config *target = &map->targets[i];
		const struct connection_config *conn = &config->connections[target->connection];
		if (!carries_headers(loader, target))
			report_warning(loader->report, node->source, target->line, target->column,
				"what is written to '%s' (%s) carries no headers, so the markers of mapping '%s' are "
				"not seen there",
				conn->name, conn->connector->name, map->name);
	}
}
