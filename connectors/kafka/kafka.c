/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector's table.
 */
#include "connectors/kafka/kafka.h"

#include "connectors/kafka/link.h"
#include "connectors/kafka/settings.h"

/* A restart of the process may repeat what was in flight: the producer's numbering dies with it. */
static enum guarantee kafka_sink_guarantee(const void *settings, uint8_t qos)
{
	(void)settings, (void)qos;
	return AT_LEAST_ONCE;
}

static void kafka_send_end(struct link *link)
{
	(void)link; /* the library gathers by itself (linger) */
}

static void kafka_stop_intake(struct link *link)
{
	(void)link; /* takes nothing in */
}

static bool kafka_carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

const struct connector kafka_connector = {
	.name = "kafka",
	.help = "Writes messages to the topics of a Kafka cluster.",
	.connection_keys = kafka_connection_keys,
	.settings_size = sizeof(struct kafka_settings),
	.target_key = "topic",
	.to_keys = kafka_to_keys,
	.can_sink = true,
	.pipelined_order = true,
	.check = kafka_settings_check,
	.carries_headers = kafka_carries_headers,
	.check_target = kafka_check_target,
	.sink_guarantee = kafka_sink_guarantee,
	.create = kafka_link_create,
	.start = kafka_link_start,
	.send = kafka_link_send,
	.send_end = kafka_send_end,
	.stop_intake = kafka_stop_intake,
	.stop = kafka_link_stop,
	.destroy = kafka_link_destroy,
};
