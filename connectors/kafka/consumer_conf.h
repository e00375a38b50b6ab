/* SPDX-License-Identifier: Apache-2.0
 *
 * What the consumer of a Kafka connection is configured with: librdkafka's properties, which of `properties:` are meant for it, and
 * which may not be changed because linkspan's promise rests on them. Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CONSUMER_CONF_H
#define LINKSPAN_CONNECTORS_KAFKA_CONSUMER_CONF_H

#include "connectors/kafka/settings.h"

/* Is it a property of consumers (producers) alone? */
bool kafka_is_consumer_property(const char *name);
bool kafka_is_producer_property(const char *name);
/* NULL: it may be set to this, as far as consumers go; else why not and what would be right, one static sentence without its end. */
const char *kafka_consumer_property_check(const char *name, const char *value);
/* The keys of the source. Complains; false if anything is wrong. */
bool kafka_consumer_check(const struct kafka_settings *settings, struct config_scope *scope);
/* Does the library take it all? Only to be asked once each property by itself is right. Complains. */
void kafka_consumer_check_whole(const struct kafka_settings *settings, struct config_scope *scope);

/* A new configuration, the caller's; NULL with the reason in errstr. */
rd_kafka_conf_t *kafka_consumer_conf(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
	__attribute__((warn_unused_result));

#endif
