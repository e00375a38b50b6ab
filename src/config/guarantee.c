/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the connectors what each leg of a mapping can keep.
 */
#include "config/guarantee.h"

enum guarantee mapping_source_guarantee(const struct config *config, const struct mapping_config *map)
{
	const struct connection_config *conn = &config->connections[map->from_connection];
	return conn->connector->source_guarantee(conn->settings, (uint8_t)map->from_qos);
}

enum guarantee mapping_sink_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	const struct connection_config *conn = &config->connections[target->connection];
	int qos = target->qos >= 0 ? target->qos : map->from_qos;
	return conn->connector->sink_guarantee(conn->settings, (uint8_t)qos);
}

enum guarantee mapping_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	enum guarantee in = mapping_source_guarantee(config, map);
	enum guarantee out = mapping_sink_guarantee(config, map, target);
	return in < out ? in : out;
}

const char *guarantee_name(enum guarantee guarantee)
{
	switch (guarantee) {
	case AT_MOST_ONCE:
		return "at-most-once";
	case AT_LEAST_ONCE:
		return "at-least-once";
	case EXACTLY_ONCE:
		return "exactly-once";
	}
	return "unknown";
}
