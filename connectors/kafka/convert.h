/* SPDX-License-Identifier: Apache-2.0
 *
 * A Kafka record as a message, and its fingerprint. The other way is record.c. Pure but for the scratch; nothing is
 * allocated for a message.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CONVERT_H
#define LINKSPAN_CONNECTORS_KAFKA_CONVERT_H

#include "connectors/kafka/handover.h"
#include "connectors/kafka/partitions.h"
#include "message/message.h"

/* Headers of one message. One more than a message may have: what has more is refused by the host, not cut. */
struct kafka_scratch {
	struct message_field headers[MESSAGE_MAX_FIELDS + 1];
};

/* The view borrows from the input and the scratch. mqtt_headers: enum kafka_mqtt_headers. wall_ms: loop_wall_ms, for records without a timestamp. */
void kafka_convert(const struct kafka_input *input, int mqtt_headers, uint64_t wall_ms, struct kafka_scratch *scratch,
	struct message_view *ret_view);

/* What tells a record from another one at the same offset: a hash of its timestamp, key and value, never 0. It is kept on
 * disk (doc/journal-format.md, POSITION): to compute it otherwise makes every partition look as if it had been made anew. */
uint64_t kafka_fingerprint(const rd_kafka_message_t *msg, int64_t timestamp_ms);

#endif
