/* SPDX-License-Identifier: Apache-2.0
 *
 * A Kafka connection at work. link.c is its life: producers are made, watched until a broker has let them in,
 * and replaced. deliver.c is its work: messages in, delivery reports out. Private to this folder.
 *
 * Legal moves: IDLE → OPENING → CONNECTING → UP; CONNECTING, UP → CLOSING → OPENING | WAITING | STOPPED;
 * OPENING → WAITING (could not) | CLOSING (stopping); WAITING → OPENING | STOPPED; IDLE → STOPPED.
 *
 * The link is up for its host from the first UP until a producer is given up. Brokers that go away do not
 * take it down: the producer keeps what is in flight and its numbering, which is what prevents repetitions,
 * and goes on when they are back. Giving up a producer ends every delivery in flight with LINK_DOWN, and only
 * then can one that had already arrived be sent again.
 *
 * At most one producer exists at a time: the next is made when the last is gone, so that nothing of the old
 * one can reach the cluster behind something of the new one.
 *
 * Threads: the loop; OPENING and CLOSING each run one blocking call on a thread that lives for that call
 * alone and owns `producer` meanwhile.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_LINK_H
#define LINKSPAN_CONNECTORS_KAFKA_LINK_H

#include <pthread.h>

#include "connectors/connector.h"
#include "connectors/kafka/pending.h"
#include "connectors/kafka/producer.h"
#include "connectors/kafka/wake.h"

enum kafka_state {
	KAFKA_IDLE,
	KAFKA_OPENING,
	KAFKA_CONNECTING,
	KAFKA_UP,
	KAFKA_CLOSING,
	KAFKA_WAITING,
	KAFKA_STOPPED,
};

/* Why a producer is to be given up; several may hold. */
struct kafka_turnover {
	bool lost; /* a fatal error */
	bool smaller; /* a broker refused a batch as too large: make smaller ones */
	bool apart; /* a broker refused a batch for what is in it: send one by one until isolate_until */
	bool regroup; /* what had to go one by one is through. Nothing is in flight then, so the link stays up
		       */
};

struct kafka_link {
	struct link_host *host;
	struct loop *loop;
	const char *name;
	const struct kafka_settings *settings;
	const uint8_t *uuid; /* of the destination; borrowed */
	struct cloudevent_writer events;
	enum kafka_state state;
	bool announced; /* the host has heard link_up and no link_down since */
	bool stopping;
	bool busy; /* in kafka_link_on_events: a stop from inside waits for its end */
	struct kafka_wake *wake;
	struct loop_job events_job;
	struct loop_timer *timer;
	uint64_t turn_wall_ms; /* loop_wall_ms for what is sent in this turn; 0: not asked yet */
	unsigned connect_polls;
	unsigned failures; /* producers lost in a row, for the back-off */
	struct kafka_producer *producer;
	struct kafka_limits limits; /* of the next producer */
	struct kafka_turnover turnover;
	uint64_t isolate_until; /* with limits.one_by_one: no later seq is sent */
	struct pending pending;
	bool brokers_down;
	char reason[512]; /* of the turnover */
	char alarm[512]; /* the last one */
	uint64_t alarm_ms;

	pthread_t thread;
	struct loop_job thread_done;
	void (*thread_work)(struct kafka_link *kl);
	char thread_error[512];
	int thread_result;
};

/* link.c: kafka_idempotent_part, and */
/* Carries out kl->turnover: the producer is given up and another one made. */
void kafka_link_turn_over(struct kafka_link *kl);
/* Gives up the producer for good if a stop was asked for meanwhile. */
void kafka_link_continue_stop(struct kafka_link *kl);
/* Once a minute for the same sentence. */
void kafka_link_alarm(struct kafka_link *kl, const char *what);

/* deliver.c */
void kafka_link_send(struct link *link, const struct delivery *delivery);
void kafka_link_on_events(void *arg); /* the library has something to say, or something was left over */
void kafka_link_on_reports(void *arg, const struct kafka_report *reports, size_t n);
void kafka_link_on_error(void *arg, rd_kafka_resp_err_t err, const char *text);

#endif
