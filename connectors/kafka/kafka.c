/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector's table.
 */
#include "connectors/kafka/kafka.h"

#include <errno.h>

#include "connectors/kafka/connection.h"
#include "connectors/kafka/from.h"
#include "connectors/kafka/headers.h"
#include "connectors/kafka/naming.h"
#include "connectors/kafka/record.h"
#include "connectors/kafka/settings.h"

/* Without transactions a restart of the process may repeat what was in flight: the producer's numbering dies with it. */
static enum guarantee kafka_sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)settings, (void)qos;
	return declared ? EXACTLY_ONCE : AT_LEAST_ONCE;
}

static bool kafka_carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

static void kafka_explain_guarantee(
	const void *settings, bool source, uint8_t qos, enum guarantee wished, char *ret_why, size_t size)
{
	(void)qos;
	*ret_why = '\0';
	if (source)
		kafka_explain_source(settings, wished, ret_why, size);
}

static int kafka_fit_header(const void *arg, const struct message_field *field, bool set_by_mapping,
	struct arena *arena, struct message_field *ret_field, const char **ret_reason)
{
	const struct kafka_settings *settings = arg;
	const char *wrong =
		set_by_mapping ? cloudevents_check_header(&settings->events, &cloudevent_kafka, field->name) : NULL;
	*ret_field = *field;
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	return set_by_mapping ? 0 : kafka_headers_fit(settings->mqtt_headers, field, arena, ret_field);
}

static const char *kafka_check_header(const void *arg, struct slice name)
{
	const struct kafka_settings *settings = arg;
	return cloudevents_check_header(&settings->events, &cloudevent_kafka, name);
}

const struct connector kafka_connector = {
	.name = "kafka",
	.help = "The topics of a Kafka cluster, as source and as destination.",
	.connection_keys = kafka_connection_keys,
	.settings_size = sizeof(struct kafka_settings),
	.target_key = "topic",
	.to_keys = kafka_to_keys,
	.can_source = true,
	.can_sink = true,
	.pipelined_order = true,
	.deep_window = true, /* a batch for each partition under way, or a transaction, and one that fills */
	.exactly_once_in_order = true,
	.check = kafka_settings_check,
	.check_from = kafka_check_filters,
	.fit_header = kafka_fit_header,
	.check_header = kafka_check_header,
	.write_reference = kafka_headers_write_reference,
	.carries_null = true,
	.carries_headers = kafka_carries_headers,
	.level_separator = '.',
	.check_target = kafka_check_target,
	.check_param = kafka_check_param,
	.source_guarantee = kafka_source_guarantee,
	.warn_open_target = kafka_warn_open_target,
	.insert_in_target = kafka_insert_in_target,
	.restore_topic = kafka_restore_topic,
	.sink_guarantee = kafka_sink_guarantee,
	.explain_guarantee = kafka_explain_guarantee,
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
