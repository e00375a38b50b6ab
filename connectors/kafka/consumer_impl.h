/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside a consumer: consumer.c is its thread, its events and its records; consumer_topics.c finds partitions (static
 * assignment); consumer_group.c is the group; consumer_start.c decides where a partition begins. Private to these.
 *
 * Threads: the consumer's own, but for what consumer.h says.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CONSUMER_IMPL_H
#define LINKSPAN_CONNECTORS_KAFKA_CONSUMER_IMPL_H

#include "connectors/kafka/consumer.h"

/* Questions about offsets, of which one that nobody answers spoils the others that are asked with it. */
struct kafka_asking {
	bool one_by_one; /* so they are asked, until all have been */
	size_t turn; /* whose it is then */
};

/* What was taken from the library since its threads were last told, and when to tell them again. */
struct kafka_room {
	uint64_t n, bytes;
	uint64_t tell_n, tell_bytes;
};

struct kafka_consumer {
	struct kafka_handover handover;
	struct kafka_consumer_options options;
	const struct kafka_settings *settings;
	struct kafka_partitions *partitions;
	pthread_t thread;
	_Atomic uint64_t repeated;

	rd_kafka_t *rk;
	rd_kafka_queue_t *events; /* of the library as a whole */
	rd_kafka_queue_t *records; /* of all partitions, with their errors */
	rd_kafka_queue_t *group; /* rebalances; NULL with static assignment */
	struct kafka_room room; /* in the library's queue of records */
	struct kafka_chunk *chunk; /* being filled; NULL: none */
	struct kafka_chunk *spare;
	unsigned n_spare;
	/* Whose the last record was: mostly the next one's as well. */
	const rd_kafka_topic_t *last_topic;
	struct kafka_partition *last_partition;

	bool up, lost, brokers_down;
	bool reassign; /* group: what we want of the library has changed */
	uint64_t refresh_ms; /* how often to look for topics */
	uint64_t next_refresh_ms, next_watch_ms, next_begin_ms;
	uint64_t next_lead_ms, lead_until_ms; /* group: kafka_group_lead, and until when soon again */
	uint64_t missing_ms; /* when it was last said that a topic is missing; 0: never */
	struct kafka_asking begins, doubts;
};

/* CLOCK_MONOTONIC. */
uint64_t kafka_consumer_now_ms(void);
bool kafka_consumer_must_stop(struct kafka_consumer *consumer);
/* Logged once, and given to the loop. */
void kafka_consumer_alarm(struct kafka_consumer *consumer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void kafka_consumer_lose(struct kafka_consumer *consumer, const char *why);
/* Behind all that was handed over: the partition goes on at partition->next. */
void kafka_consumer_hand_position(struct kafka_consumer *consumer, struct kafka_partition *partition);
/* Takes back what the loop has not offered, and waits until it has answered; then a while until what it has offered is durable.
 * The partitions begin anew with that. False: we are to stop. */
bool kafka_consumer_recall(struct kafka_consumer *consumer, bool settle);
/* Handles what waits in a queue of events. */
void kafka_consumer_serve(struct kafka_consumer *consumer, rd_kafka_queue_t *queue);

/* consumer_topics.c */
void kafka_topics_refresh(struct kafka_consumer *consumer);
/* Is this partition, which nobody knew, one that came while we read? */
bool kafka_topic_was_there(struct kafka_consumer *consumer, const char *topic);
void kafka_topic_missing(struct kafka_consumer *consumer, const char *what);

/* consumer_start.c */
void kafka_begin_due(struct kafka_consumer *consumer); /* DUE → CHECKING, READING or HALTED */
void kafka_ask_doubtful(struct kafka_consumer *consumer); /* ASKING, and CHECKING for too long */
void kafka_watch(struct kafka_consumer *consumer); /* high watermarks that go down */
void kafka_doubt(struct kafka_consumer *consumer, struct kafka_partition *partition, enum kafka_doubt doubt);
/* While CHECKING: a record, or the end. False: the record is not to be handed over. */
bool kafka_check_record(
	struct kafka_consumer *consumer, struct kafka_partition *partition, uint64_t offset, uint64_t fingerprint);
void kafka_check_end(struct kafka_partition *partition, uint64_t offset);
/* Where to fetch a partition from: sets its state accordingly. */
uint64_t kafka_start_offset(struct kafka_partition *partition);
/* Static assignment. */
void kafka_fetch_begin(struct kafka_consumer *consumer, struct kafka_partition *partition);
void kafka_fetch_end(struct kafka_consumer *consumer, struct kafka_partition *partition);

/* consumer_group.c */
void kafka_group_join(struct kafka_consumer *consumer);
void kafka_group_rebalance(struct kafka_consumer *consumer, rd_kafka_event_t *event);
void kafka_group_reassign(struct kafka_consumer *consumer); /* tells the library what we want now */
void kafka_group_lead(struct kafka_consumer *consumer); /* sees to it that records come to us; now and then */
/* Places the DUE partitions by what the group has committed, those of which it says it; false: could not be asked. */
bool kafka_group_committed(struct kafka_consumer *consumer, struct kafka_partition **partitions, size_t n);
void kafka_group_commit(struct kafka_consumer *consumer); /* what is durable; the answer comes as an event */
void kafka_group_on_commit(struct kafka_consumer *consumer, rd_kafka_event_t *event);
void kafka_group_leave(struct kafka_consumer *consumer); /* bounded */

#endif
