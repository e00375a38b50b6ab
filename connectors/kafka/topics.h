/* SPDX-License-Identifier: Apache-2.0
 *
 * The topic handles of one producer, by name. The library finds a topic by walking a list of all of them;
 * with a handle it does not look. Bounded: when full, all are let go of, and the library keeps those with
 * messages under way.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_TOPICS_H
#define LINKSPAN_CONNECTORS_KAFKA_TOPICS_H

#include <librdkafka/rdkafka.h>

#include "connectors/kafka/settings.h"
#include "message/slice.h"

struct kafka_topics;

/* NULL: out of memory. Borrows both. */
struct kafka_topics *kafka_topics_new(rd_kafka_t *rk, const struct kafka_settings *settings)
	__attribute__((warn_unused_result));
void kafka_topics_free(struct kafka_topics *topics); /* before rd_kafka_destroy; any thread, as the last user */

/* The handle of a topic, borrowed until the next call; NULL when the name is not legal or the settings do not allow it,
 * with a static sentence why, which is NULL otherwise. */
rd_kafka_topic_t *kafka_topics_get(struct kafka_topics *topics, struct slice name, const char **ret_wrong);

#endif
