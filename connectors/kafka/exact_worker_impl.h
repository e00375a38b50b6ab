/* SPDX-License-Identifier: Apache-2.0
 *
 * The exactly-once worker's thread from inside: exact_worker.c (its life, orders and reports) and exact_transaction.c (one
 * transaction). Everything runs on that thread unless it says otherwise.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_EXACT_WORKER_IMPL_H
#define LINKSPAN_CONNECTORS_KAFKA_EXACT_WORKER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "connectors/kafka/exact_worker.h"
#include "connectors/kafka/topics.h"

#define EXACT_KEY_SIZE 33 /* the destination's uuid in hex */

enum exact_wish { EXACT_IDLE, EXACT_OPEN, EXACT_QUIT };

/* What went wrong with records of the transaction that is open. */
struct exact_trouble {
	bool refused; /* by a broker: it can only be aborted */
	bool apart; /* brokers refused a batch of several: one of them is to blame */
	enum exact_failure failure; /* with apart: which of the two; else why all is lost */
	uint64_t seq; /* with apart: the newest of those */
	bool lost;
	char reason[400];
};

struct exact_worker {
	struct loop *loop;
	struct loop_job job;
	const struct kafka_settings *settings;
	const char *name;
	uint8_t uuid[16]; /* of the destination */
	char key[EXACT_KEY_SIZE]; /* the same */
	char transactional_id[EXACT_KEY_SIZE + 16];
	uint64_t writer; /* ours */
	bool cursor_outside; /* a test's wish */
	pthread_t thread;
	atomic_bool closing; /* set by the loop */

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t cond;
	enum exact_wish wish;
	struct kafka_limits limits;
	struct exact_order *orders;
	size_t n_orders, orders_capacity;
	bool go;
	struct exact_report report;
	uint32_t batch_bytes;

	/* The thread's own. */
	rd_kafka_t *rk;
	rd_kafka_t *outside; /* writes the cursor with cursor_outside */
	struct kafka_topics *topics;
	rd_kafka_topic_t *cursor_topic; /* only so that the library knows its leader */
	struct cloudevent_writer events;
	struct kafka_cursor cursor;
	struct kafka_cursor seen; /* that was there when we came */
	uint64_t waits_since_us; /* for an end in the cursor topic; 0: for none, or it was told that it does not come */
	int32_t waits_partition;
	bool opened_before, committed_before; /* in this process */
	bool one_by_one;
	bool is_open; /* the cluster has let us in */
	bool in_transaction;
	uint64_t begin_us; /* no transaction begins before: exact_clock_us */
	bool has_failed;
	struct exact_order *taken;
	size_t n_taken, taken_capacity;
	struct exact_trouble trouble;
	size_t n_rejects;
	struct exact_reject rejects[EXACT_MAX_REJECTS];
};

/* exact_worker.c */
void exact_fail(struct exact_worker *worker, enum exact_failure failure, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void exact_alarm(struct exact_worker *worker, const char *what);
bool exact_closing(const struct exact_worker *worker);
/* Tells the loop of the rejects and waits for exact_worker_go. False: it is to close. */
bool exact_ask(struct exact_worker *worker, bool undone);
void exact_committed(struct exact_worker *worker, uint64_t seq);
uint64_t exact_clock_us(void); /* CLOCK_MONOTONIC */
/* Returns then, or when it is to close. */
void exact_wait_until(struct exact_worker *worker, uint64_t us);

/* exact_transaction.c; false: the producer has failed (exact_fail was called), or is to close. */
void exact_on_delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *arg);
bool exact_write(struct exact_worker *worker, const struct exact_order *order);
/* ret_undone: the transaction is undone, and what was taken of later ones is to be forgotten. */
bool exact_end(struct exact_worker *worker, uint64_t seq, bool *ret_undone);
void exact_abandon(struct exact_worker *worker);

#endif
