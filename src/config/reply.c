/* SPDX-License-Identifier: Apache-2.0
 *
 * A configured topic goes before what a message asks for: the operator's word counts more than a device's.
 */
#include "config/reply.h"

#include "connectors/connector.h"

bool connection_gives_replies(const struct connection_config *conn)
{
	const struct connector *connector = conn->connector;
	return connector && connector->gives_replies && connector->gives_replies(conn->settings) &&
	       !(connector->batching && connector->batching(conn->settings).max_messages > 1);
}

bool connection_asks_for_replies(const struct connection_config *conn)
{
	const struct connector *connector = conn->connector;
	return connector && connector->can_sink && connector->asks_for_replies &&
	       connector->asks_for_replies(conn->settings);
}

long target_reply_connection(
	const struct config *config, const struct mapping_config *map, const struct target_config *target)
{
	if (!connection_gives_replies(&config->connections[target->connection]))
		return -1;
	if (target->reply.topic)
		return (long)target->reply.connection;
	bool asks = target->reply.heed_response_topic &&
		    connection_asks_for_replies(&config->connections[map->from_connection]);
	return asks ? (long)map->from_connection : -1;
}

bool mapping_writes_to(const struct config *config, const struct mapping_config *map, size_t connection)
{
	for (size_t i = 0; i < map->n_targets; i++)
		if (map->targets[i].connection == connection ||
			target_reply_connection(config, map, &map->targets[i]) == (long)connection)
			return true;
	return false;
}
