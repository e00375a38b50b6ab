/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a Kafka connection and what becomes of them: librdkafka's configuration. Owns the table of
 * keys, the checks that the table cannot express, and the list of library properties that may not be changed
 * because linkspan's promise rests on them.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SETTINGS_H
#define LINKSPAN_CONNECTORS_KAFKA_SETTINGS_H

#include <librdkafka/rdkafka.h>

#include "config/schema.h"
#include "connectors/common/cloudevent_out.h"
#include "connectors/kafka/security.h"
#include "message/slice.h"

struct kafka_transaction {
	uint64_t interval_ms, timeout_ms;
	int64_t max_messages;
	uint64_t max_bytes;
};

enum kafka_topic_characters { KAFKA_CHARACTERS_REFUSE, KAFKA_CHARACTERS_ESCAPE };

struct kafka_settings {
	struct config_list brokers;
	char *client_id;
	int compression; /* index into the choices */
	uint64_t linger_ms;
	int64_t max_in_flight; /* 0: kafka_settings_window */
	struct kafka_tls tls;
	struct kafka_sasl sasl;
	struct config_list topics_allowed; /* patterns (topic_names.h); empty: all */
	int topic_characters; /* enum kafka_topic_characters */
	int mqtt_headers; /* enum kafka_mqtt_headers (headers.h) */
	struct cloudevents_settings events;
	struct config_list properties;
	struct kafka_transaction transaction;
	char *cursor_topic;
	/* Source. */
	char *group; /* NULL: static assignment */
	int from; /* enum kafka_from */
	int on_offset_reset; /* enum kafka_reset */
	int64_t hold_messages;
	uint64_t hold_bytes;
};

enum kafka_from { KAFKA_FROM_BEGINNING, KAFKA_FROM_END, KAFKA_FROM_STORED };
enum kafka_reset { KAFKA_RESET_STOP, KAFKA_RESET_BEGINNING, KAFKA_RESET_END };
extern const char *const kafka_from_choices[], *const kafka_reset_choices[];

/* What a run-time finding adds to the settings (sink.h). */
struct kafka_limits {
	uint32_t batch_bytes; /* 0: as configured */
	bool one_by_one; /* every message in a batch of its own */
};

extern const struct config_key kafka_connection_keys[];
extern const struct config_key kafka_to_keys[];

/* struct connector's check (arg: the settings): complains of all that is wrong. Reads the TLS files; touches no network. */
void kafka_settings_check(const void *arg, struct config_scope *scope);

/* Who the brokers are and who we are, as every client of the connection needs it. 0, or -EINVAL with the reason. */
int kafka_settings_brokers(const struct kafka_settings *settings, rd_kafka_conf_t *conf, char *errstr,
	size_t errstr_size) __attribute__((warn_unused_result));

/* How many messages may be in flight, in transactions or without. */
uint32_t kafka_settings_window(const struct kafka_settings *settings, bool exactly_once);

/* A new configuration for a producer, the caller's, without events: it is served by callbacks. NULL with the reason in errstr.
 * limits may be NULL. */
rd_kafka_conf_t *kafka_settings_conf(const struct kafka_settings *settings, const struct kafka_limits *limits,
	char *errstr, size_t errstr_size) __attribute__((warn_unused_result));

/* The same for a transactional producer. */
rd_kafka_conf_t *kafka_settings_conf_exact(const struct kafka_settings *settings, const struct kafka_limits *limits,
	const char *transactional_id, char *errstr, size_t errstr_size) __attribute__((warn_unused_result));
/* The same for the consumer that reads the cursor. */
rd_kafka_conf_t *kafka_settings_conf_cursor(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
	__attribute__((warn_unused_result));

#endif
