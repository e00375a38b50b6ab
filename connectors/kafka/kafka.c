/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector's table.
 */
#include "connectors/kafka/kafka.h"

#include "connectors/kafka/connection.h"
#include "connectors/kafka/settings.h"

/* Without transactions a restart of the process may repeat what was in flight: the producer's numbering dies with it. */
static enum guarantee kafka_sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)settings, (void)qos;
	(void)declared;
	return AT_LEAST_ONCE;
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
	.exactly_once_in_order = true,
	.check = kafka_settings_check,
	.carries_headers = kafka_carries_headers,
	.check_target = kafka_check_target,
	.sink_guarantee = kafka_sink_guarantee,
	.create = kafka_connection_create,
	.start = kafka_connection_start,
	.pause = kafka_connection_pause,
	.resume = kafka_connection_resume,
	.receipt = kafka_connection_receipt,
	.receipts_end = kafka_connection_receipts_end,
	.send = kafka_connection_send,
	.send_end = kafka_connection_send_end,
	.settled = kafka_connection_settled,
	.counters = kafka_connection_counters,
	.stop_intake = kafka_connection_stop_intake,
	.stop = kafka_connection_stop,
	.destroy = kafka_connection_destroy,
};
