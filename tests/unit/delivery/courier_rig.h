/* SPDX-License-Identifier: Apache-2.0
 *
 * A courier between a fake journal and a sink that does what the test says, in simulated time. The sink
 * checks what holds for every delivery: durable first, within the window, only while the link is up, order
 * per key.
 */
#ifndef LINKSPAN_TESTS_UNIT_DELIVERY_COURIER_RIG_H
#define LINKSPAN_TESTS_UNIT_DELIVERY_COURIER_RIG_H

#include "delivery/courier.h"
#include "tests/unit/delivery/fake_journal.h"

#define RIG_WALL_MS 1700000000000u

struct rig_sent {
	uint64_t seq;
	uint64_t at_ms;
	uint32_t attempt;
	uint8_t stage;
	bool maybe_sent, session_lost;
	uint64_t batch_first, batch_last;
};

struct link { /* the sink */
	struct rig *rig;
	uint8_t *in_flight; /* by seq: 0, or 1 + (attempt > 1) */
	size_t in_flight_capacity;
	uint32_t n_in_flight;
	uint64_t batch_seq; /* the last one of a batch that was sent */
	uint32_t most_in_flight;
	bool up;
	struct rig_sent *sent; /* every delivery, in order */
	size_t n_sent, sent_capacity;
	uint64_t sends, send_ends, stages_durable, settled;
	bool light; /* checks and records nothing: for speed */
};

struct rig {
	struct loop *loop;
	struct journal *journal;
	struct outbox_config outbox;
	struct connector connector;
	struct sink_traits traits;
	struct batching batching; /* what the connector answers, if the test sets its `batching` to rig_batching */
	struct courier *courier;
	struct link link;
	uint64_t faults;
	uint64_t rooms; /* on_room */
	uint64_t idles;
	bool in_order; /* of the courier's options */
	bool take_replies; /* on_reply is given */
	bool want_replies; /* the messages of rig_view say who wants theirs */
	bool take_values; /* on_value is; reply_error and reply_topic count for it as well */
	uint64_t values, last_value; /* how many, and the seq of the last one: they come in order */
	int reply_error;
	uint64_t replies;
	char reply_topic[64];
	/* Called by the sink for each delivery, after its checks. */
	void (*on_send)(struct rig *rig, const struct delivery *delivery);
	void (*on_stage)(struct rig *rig, uint64_t seq, uint8_t stage);
	uint64_t counter; /* for the test's use */
};

/* Defaults of the configuration; the test may change rig->outbox, connector, traits before rig_start. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig); /* makes the courier, and lets the loop turn */
void rig_begin(struct rig *rig); /* makes it */
void rig_stop(struct rig *rig); /* frees it: as a crash, if things are under way */
/* Frees all; returns how many rules were broken. */
uint64_t rig_fini(struct rig *rig);

/* Appends one message with that order key; not durable yet. Returns its seq. */
uint64_t rig_append(struct rig *rig, const char *key);
uint64_t rig_append_view(struct rig *rig, struct message_view *view);
struct message_view rig_view(const struct rig *rig, const char *key);
void rig_durable(struct rig *rig); /* everything appended */
void rig_publish(struct rig *rig, size_t n, const char *key); /* n messages, durable */

void rig_up(struct rig *rig);
void rig_down(struct rig *rig);
void rig_outcome(struct rig *rig, uint64_t seq, enum outcome_kind kind);
void rig_outcome_full(struct rig *rig, uint64_t seq, const struct outcome *outcome);
void rig_delivered(struct rig *rig, const uint64_t *seqs, size_t n);
void rig_deliver_all(struct rig *rig); /* what is in flight, oldest first, until nothing is */
void rig_deliver_at_once(struct rig *rig, const struct delivery *delivery); /* an on_send */

struct batching rig_batching(const void *settings);

bool rig_in_flight(const struct rig *rig, uint64_t seq);
struct courier_stats rig_stats(const struct rig *rig);

#endif
