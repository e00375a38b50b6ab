/* SPDX-License-Identifier: Apache-2.0
 *
 * One Kafka consumer: an rd_kafka_t and the thread that makes every call into it, from its making to its end. What it
 * reads goes to the loop through its handover (handover.h), and so does all else that the two have to say to each other.
 *
 * Static assignment, or a member of a consumer group (settings). Either way it alone decides where a partition begins,
 * and sees to it that the record before that place is the one that was taken last: a topic that was made anew has other records at the same
 * offsets (consumer_start.c).
 *
 * A consumer is not mended: after a fatal error its thread ends, and whoever owns it makes another one.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CONSUMER_H
#define LINKSPAN_CONNECTORS_KAFKA_CONSUMER_H

#include "connectors/connector.h"
#include "connectors/kafka/handover.h"
#include "connectors/kafka/partitions.h"
#include "connectors/kafka/settings.h"

struct kafka_consumer;

struct kafka_consumer_options { /* all borrowed, until it has ended */
	const char *name; /* of the connection */
	const struct kafka_settings *settings;
	struct loop *loop;
	struct loop_job *job; /* posted when the handover has something for the loop */
	const struct link_subscription *subscriptions;
	size_t n_subscriptions;
	struct kafka_partitions *partitions; /* the loop leaves the table alone meanwhile */
};

/* Loop. Starts the thread: 0 or a negative errno. */
int kafka_consumer_start(const struct kafka_consumer_options *options, struct kafka_consumer **ret_consumer)
	__attribute__((warn_unused_result));
struct kafka_handover *kafka_consumer_handover(struct kafka_consumer *consumer);
/* Loop, after news.ended, with no chunk in hand. Does not block. */
void kafka_consumer_free(struct kafka_consumer *consumer);
/* Loop: it does not end in time. It is left to itself, with the partitions and all that it has; the process is about to end. */
void kafka_consumer_abandon(struct kafka_consumer *consumer);
/* Any thread: records that the library gave more than once. */
uint64_t kafka_consumer_repeated(const struct kafka_consumer *consumer);

#endif
