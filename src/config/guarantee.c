/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the connectors what each leg of a mapping can keep, and the outbox whether it does.
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
	bool declared = mapping_declared_guarantee(config, map, target) == EXACTLY_ONCE ||
			connection_sends_exactly_once(config, target->connection);
	return conn->connector->sink_guarantee(conn->settings, (uint8_t)qos, declared);
}

int mapping_declared_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	int from = config->connections[map->from_connection].delivery;
	int to = config->connections[target->connection].delivery;
	if (map->delivery >= 0)
		return map->delivery;
	return to >= from ? to : from;
}

bool connection_sends_exactly_once(const struct config *config, size_t connection)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		for (size_t t = 0; t < map->n_targets; t++)
			if (map->targets[t].connection == connection &&
				mapping_declared_guarantee(config, map, &map->targets[t]) == EXACTLY_ONCE)
				return true;
	}
	return config->connections[connection].delivery == EXACTLY_ONCE;
}

bool outbox_drops_when_full(const struct outbox_config *outbox)
{
	return outbox->when_full == WHEN_FULL_DROP_OLDEST || outbox->when_full == WHEN_FULL_DROP_NEWEST;
}

bool outbox_drops_old(const struct outbox_config *outbox)
{
	return outbox->ttl_ms != 0;
}

const char *when_full_name(enum when_full when_full)
{
	switch (when_full) {
	case WHEN_FULL_BLOCK:
		return "block";
	case WHEN_FULL_DROP_OLDEST:
		return "drop_oldest";
	case WHEN_FULL_DROP_NEWEST:
		return "drop_newest";
	case WHEN_FULL_DEAD_LETTER:
		return "dead_letter";
	}
	return "unknown";
}

enum guarantee mapping_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	const struct outbox_config *outbox = &config->connections[target->connection].outbox;
	if (outbox_drops_when_full(outbox) || outbox_drops_old(outbox))
		return AT_MOST_ONCE;
	return mapping_legs_guarantee(config, map, target);
}

enum guarantee mapping_legs_guarantee(
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
