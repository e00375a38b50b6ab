/* SPDX-License-Identifier: Apache-2.0
 *
 * What a message has besides topic, key and payload, as headers of a Kafka record and back: by one table (headers.c), of
 * which the reference page's is written. What the table names are the message's own fields, in MQTT 5 properties; all
 * other headers are headers on both sides (in MQTT user properties), in order, duplicates too.
 *
 * A header that only looks like one of the table, because a user property has its name, is marked in Kafka by a prefix,
 * so it comes back as what it was.
 *
 * Pure functions; any thread; nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_HEADERS_H
#define LINKSPAN_CONNECTORS_KAFKA_HEADERS_H

#include <librdkafka/rdkafka.h>
#include <stdio.h>

#include "message/message.h"

struct arena;

/* mqtt_headers of a connection: which lines of the table hold. */
enum kafka_mqtt_headers { KAFKA_MQTT_HEADERS_NONE, KAFKA_MQTT_HEADERS_PROPERTIES, KAFKA_MQTT_HEADERS_ALL };

/* Headers of the record, the caller's; NULL when there are none. timestamp_ms: of the record, from which an expiry counts.
 * wall_ms: now, by the clock of the message's times. */
rd_kafka_headers_t *kafka_headers_make(
	int mqtt_headers, const struct message_view *view, uint64_t timestamp_ms, uint64_t wall_ms);

/* The other way: takes what the table names out of the headers, which stay in their order, and sets the fields of the
 * view. Everything borrows from the headers. Returns how many are left. */
size_t kafka_headers_read(
	int mqtt_headers, struct message_field *headers, size_t n, uint64_t timestamp_ms, struct message_view *view);

/* What a received header is called in Kafka: as struct connector, fit_header. */
int kafka_headers_fit(int mqtt_headers, const struct message_field *field, struct arena *arena,
	struct message_field *ret_field) __attribute__((warn_unused_result));

/* The table, for the reference page. */
void kafka_headers_write_reference(FILE *out);

#endif
