/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mapping reads from a Kafka connection: topic filters, whose levels end with dots, against the topics that a cluster has; and
 * what the source can keep. Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_FROM_H
#define LINKSPAN_CONNECTORS_KAFKA_FROM_H

#include "connectors/connector.h"
#include "connectors/kafka/partitions.h"

#define KAFKA_REGEX_SIZE(filter) (strlen(filter) * 16 + 64) /* bytes that the pattern of a filter may take */

/* Is it a topic's name, without wildcards? */
bool kafka_filter_is_topic(const char *filter);
/* Does a filter (in wire form) match a topic? One that begins with a wildcard does not match topics that begin with two
 * underscores, which Kafka keeps for itself. */
bool kafka_filter_matches(const char *filter, const char *topic);
/* The same as a regular expression for rd_kafka_subscribe, into text. */
void kafka_filter_regex(const char *filter, char *text, size_t size);
/* The qos of the subscriptions that match the topic, the highest; -1: none does. */
int kafka_subscriptions_match(const struct link_subscription *subscriptions, size_t n, const char *topic);

/* Members of struct connector, and the source's share of them. */
enum guarantee kafka_source_guarantee(const void *settings, uint8_t qos);
/* Why a source keeps less than exactly-once; empty: it does not. */
void kafka_explain_source(const void *settings, enum guarantee wished, char *ret_why, size_t size);

#endif
