/* SPDX-License-Identifier: Apache-2.0
 *
 * A host for one link, on a real loop: plays the bridge and the courier as connector.h describes them, keeps a record of
 * all that the link does, and notes every breach of the contract. Deliveries are sent in order within the window, again
 * after LINK_DOWN, and again after RETRY if `resend_retries` is set; in batches, if the settings ask for them, of what waits when
 * one can go. Stages and receipts are answered in a later turn, as
 * a journal does. What a link has said of its session outlives it in a fake_journal, if the test gives it one.
 *
 * Threads: the one that calls.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_FAKE_HOST_H
#define LINKSPAN_TESTS_CONFORMANCE_FAKE_HOST_H

#include "connectors/connector.h"
#include "tests/conformance/fake_memory.h"

enum fake_state { FAKE_WAITING, FAKE_RETRY_WAIT, FAKE_IN_FLIGHT, FAKE_ENDED };

struct fake_delivery {
	struct message *msg;
	enum fake_state state;
	enum outcome_kind outcome; /* valid when state is FAKE_ENDED */
	char *reason; /* of the last outcome that had one, also of a RETRY that was sent again */
	unsigned sends, retries;
	bool maybe_sent, session_lost; /* as in struct delivery */
	uint8_t stage; /* durable */
	bool by_cursor; /* it was the cursor that said DELIVERED */
	struct message *reply; /* that came with DELIVERED, with an empty topic; NULL: none */
};

/* What outlives a link. Changes get into it with the receipts: what a link has offered without one is lost with it. */
struct fake_journal {
	bool open[UINT16_MAX + 1]; /* by packet identifier */
	uint64_t hash[UINT16_MAX + 1];
	uint8_t *subscriptions;
	size_t subscriptions_len;
	struct fake_position {
		struct slice partition; /* the journal's own copy */
		uint64_t position, hash;
	} * positions;
	size_t n_positions;
	struct fake_memory memory;
};
void fake_journal_clear(struct fake_journal *journal);

/* A stage that was asked for, or a change that was offered. */
struct fake_stage;
struct fake_change;

struct fake_host {
	struct link_host base; /* first */
	const struct connector *connector;
	struct loop *loop;
	char name[32]; /* of the connection, each time another */
	struct link *link; /* NULL after fake_host_destroy_link */

	/* What the test sets, before start. */
	bool resend_retries;
	bool hold_receipts; /* offers are taken, their receipts wait for fake_host_give_receipts */
	size_t busy_after; /* offers beyond this many get OFFER_BUSY; 0: never */
	struct fake_journal *journal; /* NULL: nothing outlives the link */
	size_t max_keys; /* room for as many; 0: no limit */
	bool hold_settle; /* settle() says no, until fake_host_settle; may change at any time */

	/* The record. */
	bool up;
	uint32_t window;
	unsigned ups, downs, alarms, stops;
	char last_alarm[512], last_down[512];
	struct fake_delivery *deliveries; /* index = seq - 1 */
	size_t n_deliveries, n_in_flight, n_ended;
	size_t most_in_flight;
	size_t n_retry_waits; /* in FAKE_RETRY_WAIT */
	size_t next; /* no delivery before this one is FAKE_WAITING */
	struct message **offers; /* those that came with a message */
	size_t n_offers, n_receipts, n_busy, n_changes; /* changes: offers without a message */
	size_t n_repetitions; /* of n_changes: nothing is said but that something known has come again */
	uint64_t settle_seq; /* that settle() was last asked about */
	uint64_t settled_through; /* it has said yes */
	unsigned n_settles;
	bool settle_waits; /* it was answered with no, and settled() has not followed */
	uint64_t done_through; /* of the last link_up with a cursor */
	uint64_t last_delivered; /* with a cursor: seq */
	bool has_cursor;
	size_t n_batches; /* sent, again or for the first time */
	uint64_t batch_first, batch_last; /* of the one that is in flight, or waits to be sent again; 0: none */
	unsigned breaches;
	char first_breach[256];

	struct fake_memory own_memory; /* without `journal` */

	/* Private. */
	const void *settings;
	enum outcome_kind batch_kind; /* that the first of its members got */
	bool batch_answered;
	bool pumping;
	struct loop_job pump_job, receipt_job, stage_job;
	struct loop_timer *retry_timer;
	uint64_t *cookies;
	size_t n_cookies;
	struct fake_change *changes;
	size_t n_pending_changes;
	struct fake_stage *stages;
	size_t n_pending_stages;
	bool (*until)(void *arg);
	void *until_arg;
	bool reached, gave_up;
};

/* Of the journal, or its own. */
struct fake_memory *fake_host_memory(struct fake_host *fake);

/* Never NULL: ends the program if it cannot. settings and subscriptions are borrowed for the link's life. */
struct fake_host *fake_host_new(const struct connector *connector, const void *settings, bool is_sink,
	const struct link_subscription *subscriptions, size_t n_subscriptions);
/* A link that is written to, and keeps exactly-once. */
struct fake_host *fake_host_new_exact(const struct connector *connector, const void *settings);
void fake_host_start(struct fake_host *fake);
/* Destroys the link if that has not been done (it must have stopped, or never started), and all else. */
void fake_host_free(struct fake_host *fake);
void fake_host_destroy_link(struct fake_host *fake);

/* Copies the message into the outbox; it is sent as soon as the link lets it. Returns its seq. */
uint64_t fake_host_deliver(struct fake_host *fake, const struct message_view *view);
const struct fake_delivery *fake_host_delivery(const struct fake_host *fake, uint64_t seq);

/* Dead letters are stored: settled() if the link waits for it, and yes from now on. */
void fake_host_settle(struct fake_host *fake);
/* The same for the present question only. */
void fake_host_settle_once(struct fake_host *fake);

void fake_host_give_receipts(struct fake_host *fake);
void fake_host_resume(struct fake_host *fake, size_t busy_after);

/* Runs the loop until the condition holds; it is asked after every turn and at least every 10 ms. False when it does not
 * within a minute, which is a failure and decides nothing else. */
bool fake_host_run_until(struct fake_host *fake, bool (*until)(void *arg), void *arg);
/* Common conditions. */
bool fake_host_run_until_up(struct fake_host *fake);
bool fake_host_run_until_ended(struct fake_host *fake); /* every delivery has a final outcome */
bool fake_host_run_until_alarm(struct fake_host *fake);
bool fake_host_run_until_offers(struct fake_host *fake, size_t n);
/* Stops the link and runs until it has answered. */
bool fake_host_stop(struct fake_host *fake);

#endif
