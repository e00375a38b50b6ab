/* SPDX-License-Identifier: Apache-2.0
 *
 * A message as a Kafka record: everything that a record needs besides its topic, which the caller has looked up. All
 * producers of the connector write their records by this, so that what becomes of a message does not depend on which
 * of them sends it.
 *
 * Knows no queue and keeps nothing. Any thread; nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_RECORD_H
#define LINKSPAN_CONNECTORS_KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>

#include "connectors/kafka/settings.h"
#include "message/message.h"

struct kafka_record {
	int32_t partition; /* RD_KAFKA_PARTITION_UA: the key's */
	int64_t timestamp_ms; /* 0: the library's now */
	rd_kafka_headers_t *headers; /* owned; NULL: none */
	bool copied; /* the library copies the value when it is given it */
};

/* NULL and a record, which kafka_record_produce or kafka_record_drop takes; else one static sentence why this message
 * can never be one. wall_ms: now, by the clock of the message's times. */
const char *kafka_record_make(const struct kafka_settings *settings, const struct message_view *view, uint64_t wall_ms,
	struct kafka_record *ret_record) __attribute__((warn_unused_result));
void kafka_record_drop(struct kafka_record *record);

/* What goes out for a message of that delivery: itself, or in `space` the event that the settings make of it. What is the writer's
 * own of an event lasts until the writer's next call; the record says whether the payload is. 0 and a view (one of the two) and its
 * record; -EINVAL and one static sentence why this message can never be one; -ENOMEM. */
int kafka_record_of(struct cloudevent_writer *events, const struct kafka_settings *settings, const uint8_t uuid[16],
	uint64_t seq, const struct message_view *view, uint64_t wall_ms, struct message_view *space,
	const struct message_view **ret_view, struct kafka_record *ret_record, const char **ret_wrong)
	__attribute__((warn_unused_result));

/* As struct connector, check_param. */
const char *kafka_check_param(const void *settings, const char *name, struct slice value);

/* Hands it to the library. Takes the record in every outcome. The view's payload is not copied, unless the record says so: it
 * must stay where it is until the delivery report, unless this fails. A fatal error is RD_KAFKA_RESP_ERR__FATAL. */
rd_kafka_resp_err_t kafka_record_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct message_view *view,
	struct kafka_record *record, void *opaque) __attribute__((warn_unused_result));

#endif
