/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread of an exactly-once destination: makes the transactional producer, reads the cursor, and carries out transactions.
 * It decides nothing: what belongs to a transaction and when that ends, the loop says (exact.c). Any error that is not
 * definitely about one record ends the producer; what the cluster has, the next one learns from the cursor.
 *
 * Life of a producer: exact_worker_open → OPENED, then transactions, until FAILED, or exact_worker_close; then CLOSED, always. Only
 * after that does the library no longer read the messages that were given to it, which the caller has kept.
 *
 * Threads: every function here is called on the loop; exact_worker_impl.h is the thread's own.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_EXACT_WORKER_H
#define LINKSPAN_CONNECTORS_KAFKA_EXACT_WORKER_H

#include "connectors/kafka/cursor.h"
#include "connectors/kafka/settings.h"
#include "message/message.h"
#include "runtime/loop.h"

#define EXACT_MAX_REJECTS 32 /* told at once */

struct exact_worker;

/* A message to write, or with msg NULL the end of the transaction: then the cursor is `seq`. */
struct exact_order {
	uint64_t seq;
	struct message *msg; /* borrowed until COMMITTED or CLOSED */
	uint64_t wall_ms; /* by the clock of the message: kafka_record_make */
};

struct exact_reject {
	uint64_t seq;
	char reason[256];
};

enum exact_failure {
	EXACT_LOST, /* begin again */
	EXACT_NEEDS_PERSON, /* the same, and somebody has to do something first */
	EXACT_BATCH_TOO_LARGE, /* begin again with every message in a batch of its own */
	EXACT_BATCH_INVALID, /* the same */
	EXACT_FENCED, /* do not begin again: another process has written as this destination */
};

/* What has happened since the last report; several may hold, in this order. */
struct exact_report {
	bool opened;
	uint64_t done_through; /* of the cursor */
	uint64_t committed; /* through that seq; 0: nothing new */
	/* These can never be written. With `asks`, the transaction goes on without them; it waits for exact_worker_go. Without, it is
	 * undone: give all others again, after exact_worker_go. */
	size_t n_rejects;
	struct exact_reject rejects[EXACT_MAX_REJECTS];
	bool asks, undone;
	bool alarmed;
	char alarm[400];
	bool failed;
	enum exact_failure failure;
	uint64_t failed_seq; /* the newest that a broker refused together with others */
	char reason[400];
	bool closed;
};

/* on_report runs on the loop: take it. NULL: out of memory or no thread. name and settings: borrowed. */
struct exact_worker *exact_worker_new(struct loop *loop, const struct kafka_settings *settings, const char *name,
	const uint8_t *uuid, loop_fn on_report, void *arg) __attribute__((warn_unused_result));
/* After CLOSED, or before the first open. Ends the thread. */
void exact_worker_free(struct exact_worker *worker);

void exact_worker_open(struct exact_worker *worker, const struct kafka_limits *limits);
/* Also while it opens. Aborts an open transaction if the cluster answers. */
void exact_worker_close(struct exact_worker *worker);

/* 0 or -ENOMEM: then none is taken. In order. */
int exact_worker_give(struct exact_worker *worker, const struct exact_order *orders, size_t n)
	__attribute__((warn_unused_result));
/* After rejects: those are settled. forget: the orders that it has not come to; with `undone` they are given again. */
void exact_worker_go(struct exact_worker *worker, bool forget);

void exact_worker_take(struct exact_worker *worker, struct exact_report *ret_report);

const char *exact_worker_id(const struct exact_worker *worker); /* its transactional.id */
/* Its batch.size of now. */
uint32_t exact_worker_batch_bytes(struct exact_worker *worker);

#endif
