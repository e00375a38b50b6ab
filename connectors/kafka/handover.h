/* SPDX-License-Identifier: Apache-2.0
 *
 * What passes between the thread of a Kafka consumer and the loop. Records go to the loop in chunks and come back spent, so that
 * the thread alone lets go of them; there is one lock for a chunk, none for a record. Everything else is a few words:
 * orders to the thread, news from it. Bounded: a full handover is not pushed to.
 *
 * Knows nothing of what is in a record but its size. Threads: as each function says.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_HANDOVER_H
#define LINKSPAN_CONNECTORS_KAFKA_HANDOVER_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "runtime/loop.h"

#define KAFKA_CHUNK_INPUTS 500u /* the most in a chunk; what the loop offers in one turn */

struct kafka_partition;

/* One record, or what is to be said of a partition's position alone. */
struct kafka_input {
	rd_kafka_event_t *event; /* owns the record; NULL: there is none, the partition goes on at `next` */
	const rd_kafka_message_t *msg;
	const rd_kafka_headers_t *headers; /* NULL: none */
	struct kafka_partition *partition;
	uint64_t next; /* the offset after this one */
	uint64_t fingerprint;
	unsigned puts; /* partitions.h */
	int64_t timestamp_ms; /* of the record; not above 0: it has none */
};

struct kafka_chunk {
	struct kafka_chunk *link; /* of the list that it is in */
	size_t bytes;
	unsigned n, at; /* inputs; those before `at` have been dealt with (loop) */
	struct kafka_input inputs[KAFKA_CHUNK_INPUTS];
};

/* What the loop wants of the thread. */
struct kafka_orders {
	bool stop;
	bool commit; /* something more is durable */
	bool dropped; /* answer to news.recall: no chunk is in the loop's hands, nor will one of before be */
	bool settled; /* and all that was offered of them is durable */
};

/* What the thread tells the loop. */
struct kafka_news {
	bool up; /* the cluster has let us in */
	bool recall; /* partitions are taken from us: drop what is not offered, then answer by orders.dropped and settled */
	bool ended; /* the thread touches nothing any more */
	char cluster[64];
	char alarm[512]; /* empty: none */
	char lost[512]; /* why the consumer is given up; empty: it was asked to */
};

struct kafka_handover {
	struct loop *loop;
	struct loop_job *job; /* posted when there is something for the loop */
	uint64_t max_inputs, max_bytes;
	int wake_fd; /* readable: there is something for the thread; the library writes to it as well */

	pthread_mutex_t mutex; /* guards what follows */
	struct kafka_chunk *first, **last; /* to the loop */
	struct kafka_chunk *spent; /* to the thread */
	uint64_t n_inputs, n_bytes; /* pushed and not yet returned */
	bool thread_waits; /* for room */
	bool abandoned; /* the loop is gone: nothing is posted */
	struct kafka_orders orders;
	struct kafka_news news;
};

/* 0 or a negative errno. */
int kafka_handover_init(struct kafka_handover *handover, struct loop *loop, struct loop_job *job, uint64_t max_inputs,
	uint64_t max_bytes) __attribute__((warn_unused_result));
/* Once the thread has ended. No chunk may be left in it (kafka_handover_take_all). */
void kafka_handover_fini(struct kafka_handover *handover);

/* --- thread */

/* Puts it behind the others. Takes the chunk. */
void kafka_handover_push(struct kafka_handover *handover, struct kafka_chunk *chunk);
/* Is it full? If so, wake_fd becomes readable once it is half empty. */
bool kafka_handover_full(struct kafka_handover *handover);
/* All that came back, as a list by `link`; NULL: nothing. The caller's. */
struct kafka_chunk *kafka_handover_spent(struct kafka_handover *handover);
/* The same of what the loop has not popped; it no longer counts. */
struct kafka_chunk *kafka_handover_take_all(struct kafka_handover *handover);
struct kafka_orders kafka_handover_orders(struct kafka_handover *handover); /* orders.commit is thereby taken */
void kafka_handover_recall(struct kafka_handover *handover);
void kafka_handover_up(struct kafka_handover *handover, const char *cluster);
void kafka_handover_alarm(struct kafka_handover *handover, const char *what);
void kafka_handover_lost(struct kafka_handover *handover, const char *why); /* the first reason stays */
void kafka_handover_ended(struct kafka_handover *handover);
/* Waits until wake_fd is readable, at most timeout_ms, and reads it. */
void kafka_handover_wait(struct kafka_handover *handover, uint64_t timeout_ms);

/* --- loop */

struct kafka_chunk *kafka_handover_pop(struct kafka_handover *handover); /* NULL: nothing waits */
void kafka_handover_return(struct kafka_handover *handover, struct kafka_chunk *chunk);
void kafka_handover_order_stop(struct kafka_handover *handover);
void kafka_handover_order_commit(struct kafka_handover *handover);
void kafka_handover_answer(struct kafka_handover *handover, bool settled);
/* up, recall and alarm are thereby taken. */
struct kafka_news kafka_handover_news(struct kafka_handover *handover);
void kafka_handover_abandon(struct kafka_handover *handover);

#endif
