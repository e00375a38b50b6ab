/* SPDX-License-Identifier: Apache-2.0
 *
 * More messages than the courier holds: read-back in order, memory within its cap, catching up while more comes in,
 * done ranges within theirs, bursts that neither recurse nor take the loop for themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

#define HELD_CAP (4u * 1024 * 1024)

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static bool sent_in_order(const struct rig *rig)
{
	for (size_t i = 0; i < rig->link.n_sent; i++)
		if (rig->link.sent[i].seq != i + 1)
			return false;
	return true;
}

static void test_backlog_larger_than_lookahead(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 100;
	rig_publish(&rig, 5000, "a");
	rig_start(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 100);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.link.n_sent, 5000);
	CU_ASSERT(sent_in_order(&rig));
	CU_ASSERT(rig.link.sent[4999].maybe_sent); /* within the first window after a restart, of 10,000 */
	CU_ASSERT_EQUAL(rig.journal->read_messages, 5000); /* none twice */
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	rig_publish(&rig, 1, "a"); /* live again: no reader */
	CU_ASSERT_EQUAL(rig.journal->readers, 0);
	CU_ASSERT_FALSE(rig.link.sent[5000].maybe_sent);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_only_the_first_window_may_have_been_sent(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.on_send = rig_deliver_at_once;
	rig.link.light = true;
	rig_publish(&rig, 10001, "a");
	rig_start(&rig);
	rig.link.light = false;
	rig.traits.max_in_flight = 1u << 20;
	rig.on_send = NULL;
	rig_up(&rig);
	while (rig_stats(&rig).in_flight < 10000) {
		uint64_t before = rig_stats(&rig).in_flight;
		loop_sim_advance(rig.loop, 0);
		CU_ASSERT_FATAL(rig_stats(&rig).in_flight > before || before >= 4096);
		if (rig_stats(&rig).in_flight == before)
			break;
	}
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig.link.sent[0].maybe_sent);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 10001);
	CU_ASSERT(rig.link.sent[9999].maybe_sent);
	CU_ASSERT_FALSE(rig.link.sent[10000].maybe_sent);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The sink is slower than the intake, then faster: the courier must become live again although it never stops. */
static void test_catching_up_ends(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 64;
	rig.traits.max_in_flight = 8;
	rig_start(&rig);
	rig_publish(&rig, 1000, "a");
	rig_up(&rig);
	bool live = false;
	for (unsigned round = 0; round < 5000 && !live; round++) {
		/* Two come, not durable at once, and three go. */
		rig_append(&rig, "a");
		rig_append(&rig, "a");
		loop_sim_advance(rig.loop, 0);
		for (unsigned i = 0; i < 3; i++)
			if (rig_in_flight(&rig, rig.journal->oldest))
				rig_outcome(&rig, rig.journal->oldest, OUTCOME_DELIVERED);
		rig_durable(&rig);
		loop_sim_advance(rig.loop, 0);
		live = rig_stats(&rig).held == rig.journal->waiting;
	}
	CU_ASSERT(live);
	uint64_t reads = rig.journal->reads;
	CU_ASSERT(reads > 10);
	for (unsigned i = 0; i < 8; i++)
		rig_outcome(&rig, rig.journal->oldest, OUTCOME_DELIVERED); /* away from the edge */
	for (unsigned i = 0; i < 100; i++) {
		rig_publish(&rig, 1, "a");
		rig_outcome(&rig, rig.journal->oldest, OUTCOME_DELIVERED);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->reads, reads); /* and stays so */
	CU_ASSERT_EQUAL(rig.journal->readers, 0);
	CU_ASSERT(sent_in_order(&rig));
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_a_read_that_reaches_into_the_tail(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 100;
	rig.traits.max_in_flight = 1000;
	rig_publish(&rig, 120, "a");
	for (uint64_t seq = 105; seq < 115; seq++)
		fake_journal_finish(rig.journal, seq, FAKE_DONE);
	rig_start(&rig);
	rig_up(&rig);
	for (uint64_t seq = 1; seq <= 90; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED); /* 20 are asked for now: the gap, as it is */
	for (int i = 0; i < 30; i++)
		rig_append(&rig, "a"); /* the tail */
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 40);
	loop_sim_advance(rig.loop, 0); /* 10 of the gap are left, so 10 of the tail come again */
	CU_ASSERT_EQUAL(rig.journal->read_messages, 120);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 50);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 50);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held_bytes, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_memory_cap(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	static uint8_t payload[10000];
	struct message_view view = rig_view(&rig, "a");
	view.payload = slice_of(payload, sizeof payload);
	for (int i = 0; i < 2000; i++) {
		rig_append_view(&rig, &view);
		CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	}
	rig_durable(&rig);
	CU_ASSERT(rig_stats(&rig).held_bytes > HELD_CAP - 20000);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	for (int i = 0; i < 2000 && rig.journal->waiting; i++) {
		loop_sim_advance(rig.loop, 0);
		CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT(sent_in_order(&rig));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_messages_larger_than_the_cap(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	rig_up(&rig);
	uint8_t *payload = calloc(1, 2 * HELD_CAP);
	struct message_view view = rig_view(&rig, "a");
	view.payload = slice_of(payload, 2 * HELD_CAP);
	for (int i = 0; i < 4; i++)
		rig_append_view(&rig, &view);
	free(payload);
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 1);
	for (uint64_t seq = 1; seq <= 4; seq++) {
		CU_ASSERT(rig_in_flight(&rig, seq));
		rig_outcome(&rig, seq, OUTCOME_DELIVERED);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static unsigned n_stuck;
static char last_stuck[512];

static void note_stuck(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (!strstr(line, "event=outbox_stuck "))
		return;
	n_stuck++;
	snprintf(last_stuck, sizeof last_stuck, "%s", line);
}

static void refuse_off(struct rig *rig, const struct delivery *delivery)
{
	bool is_off = slice_equal(message_view(delivery->msg)->order_key, slice_str("off"));
	rig_outcome(rig, delivery->seq, is_off && rig->counter == 0 ? OUTCOME_RETRY : OUTCOME_DELIVERED);
}

/* A device that is off in front of those that answer: said once a minute, and no more when it is back. */
static void test_stuck(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.lookahead = 100;
	rig.outbox.backoff_max_ms = 1000;
	rig.on_send = refuse_off;
	log_set_sink(note_stuck, NULL);
	n_stuck = 0;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 1, "off");
	rig_publish(&rig, 99, "on");
	loop_sim_advance(rig.loop, 200000);
	CU_ASSERT_EQUAL(n_stuck, 0); /* nothing waits for it */
	rig_publish(&rig, 200, "on");
	loop_sim_advance(rig.loop, 59000);
	CU_ASSERT_EQUAL(n_stuck, 0);
	loop_sim_advance(rig.loop, 2000);
	CU_ASSERT_EQUAL(n_stuck, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_stuck, "warn event=outbox_stuck destination=sink oldest_seq=1 attempts="));
	CU_ASSERT_PTR_NOT_NULL(strstr(last_stuck, " waiting=201 "));
	loop_sim_advance(rig.loop, 60000);
	CU_ASSERT_EQUAL(n_stuck, 2);
	rig.counter = 1; /* it is back */
	loop_sim_advance(rig.loop, 200000);
	CU_ASSERT_EQUAL(n_stuck, 2);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	log_set_sink(quiet, NULL);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_holes_wider_than_the_lookahead(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 50;
	rig_publish(&rig, 1000, "a");
	for (uint64_t seq = 1; seq <= 1000; seq++)
		if (seq % 100 != 7)
			fake_journal_finish(rig.journal, seq, FAKE_DONE);
	rig_start(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 1);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 10);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	uint64_t reads = rig.journal->reads;
	rig_publish(&rig, 5, "a");
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 5); /* live: the holes at the end are behind us */
	CU_ASSERT_EQUAL(rig.journal->reads, reads);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A key that does not move, with large messages, before a gap: what comes after must pass by all the same. */
static void test_stuck_messages_and_a_tail(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.link.light = true;
	rig.traits.max_in_flight = 1000;
	rig.on_send = NULL;
	static uint8_t payload[100000];
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "stuck");
	view.payload = slice_of(payload, sizeof payload);
	for (int i = 0; i < 19; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	rig_up(&rig);
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 3600000};
	for (uint64_t seq = 1; seq <= 19; seq++)
		rig_outcome_full(&rig, seq, &later);
	view.order_key = slice_str("moves");
	for (int i = 0; i < 100; i++)
		rig_append_view(&rig, &view); /* 10 MB: most of it on disk only */
	rig.on_send = rig_deliver_at_once;
	rig_durable(&rig);
	for (int i = 0; i < 100; i++) {
		rig_append_view(&rig, &view);
		loop_sim_advance(rig.loop, 0);
		rig_durable(&rig);
	}
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 200);
	CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	loop_sim_advance(rig.loop, 3600000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What is stuck and the tail leave no room for a large message between them: the tail must go. */
static void test_the_tail_gives_way(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.link.light = true;
	rig.traits.max_in_flight = 1000;
	static uint8_t payload[500000];
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "stuck");
	view.payload = slice_of(payload, 100000);
	for (int i = 0; i < 19; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 3600000};
	for (uint64_t seq = 1; seq <= 19; seq++)
		rig_outcome_full(&rig, seq, &later);
	view.order_key = slice_str("moves");
	for (int i = 0; i < 22; i++)
		rig_append_view(&rig, &view);
	view.payload = slice_of(payload, sizeof payload);
	uint64_t large = rig_append_view(&rig, &view); /* finds no room */
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 41);
	rig.on_send = rig_deliver_at_once;
	rig_durable(&rig);
	view.payload = slice_of(payload, 100000);
	for (int i = 0; i < 20; i++)
		rig_append_view(&rig, &view); /* the tail */
	CU_ASSERT(rig_stats(&rig).held > 19);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(fake_record(rig.journal, large)->end, FAKE_DONE);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 43);
	loop_sim_advance(rig.loop, 3600000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Small messages take more memory than bytes on disk: what is asked for must go by memory. */
static void test_little_is_read_twice(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.link.light = true;
	rig.outbox.lookahead = 100000;
	rig_publish(&rig, 100000, "a");
	rig_start(&rig);
	CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	CU_ASSERT(rig_stats(&rig).held_bytes > HELD_CAP * 9 / 10);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT(rig.journal->read_messages < 105000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* --- packet identifiers of QoS 2 ---------------------------------------------------------------------------------------- */

static void deliver_and_check_id(struct rig *rig, const struct delivery *delivery)
{
	/* The fake forgets nothing that was done when it was opened: done_durable starts at 0. */
	if (delivery->seq > 61440 && delivery->seq - 61440 >= rig->journal->done_durable)
		rig->faults++;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	rig->link.n_in_flight--;
	if (delivery->seq != 40000 || rig->counter)
		courier_outcome(rig->courier, delivery->seq, &outcome);
}

static void test_packet_identifiers(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.packet_ids = true;
	rig.connector.pipelined_order = true;
	rig.link.light = true;
	rig.outbox.lookahead = 200000;
	rig.traits.max_in_flight = 10;
	rig.on_send = deliver_and_check_id;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.qos = 2;
	for (int i = 0; i < 2500; i++) {
		for (int k = 0; k < 100; k++)
			rig_append_view(&rig, &view);
		rig_durable(&rig);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->oldest, 40000); /* in flight: its identifier is taken */
	CU_ASSERT_EQUAL(rig.link.sends, 40000 + 61439);
	rig.counter = 1;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	courier_outcome(rig.courier, 40000, &outcome);
	for (int i = 0; i < 10 && rig.journal->waiting; i++) {
		rig_durable(&rig);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT(rig.journal->flushes < 20);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* All of them at once, and nothing need be durable for it. */
static void test_no_packet_identifiers(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.link.light = true;
	rig.outbox.lookahead = 200000;
	rig.traits.max_in_flight = 70000;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.qos = 2;
	for (int i = 0; i < 700; i++) {
		for (int k = 0; k < 100; k++)
			rig_append_view(&rig, &view);
		rig_durable(&rig);
		struct outcome outcome = {.kind = OUTCOME_DELIVERED};
		for (uint64_t seq = 100 * (uint64_t)i + 2; seq <= 100 * (uint64_t)i + 100; seq++)
			courier_outcome(rig.courier, seq, &outcome);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.link.sends, 70000);
	CU_ASSERT_EQUAL(rig.journal->flushes, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_stopped_while_reading(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 100;
	rig_publish(&rig, 5000, "a");
	rig_start(&rig);
	rig_up(&rig);
	for (uint64_t seq = 1; seq <= 60; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED); /* room: a read is asked for */
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* 20,000 in flight, each of its own key. */
static void begin_in_flight(struct rig *rig)
{
	rig_init(rig);
	rig->link.light = true;
	rig->traits.max_in_flight = 20000;
	rig->outbox.lookahead = 20000;
	rig_start(rig);
	for (unsigned i = 0; i < 20000; i++) {
		char key[16];
		snprintf(key, sizeof key, "%u", i);
		rig_append(rig, key);
	}
	rig_up(rig);
	rig_durable(rig);
	for (int i = 0; i < 20; i++)
		loop_sim_advance(rig->loop, 0);
	CU_ASSERT_EQUAL(rig_stats(rig).in_flight, 20000);
}

static void end_one(struct rig *rig, uint64_t seq)
{
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	courier_outcome(rig->courier, seq, &delivered);
	if (seq % 1024 == 0)
		loop_sim_advance(rig->loop, 0);
}

static void check_all_done(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig_stats(rig).delivered, 20000);
	CU_ASSERT_EQUAL(rig_stats(rig).held, 0);
	CU_ASSERT_EQUAL(rig->journal->waiting, 0);
	CU_ASSERT(rig->journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
}

/* The oldest does not end while every second one of the others does: what would be one range too many waits for it. */
static void test_done_ranges_stay_bounded(void)
{
	struct rig rig;
	begin_in_flight(&rig);
	for (uint64_t seq = 2; seq <= 20000; seq += 2)
		end_one(&rig, seq);
	CU_ASSERT(rig.journal->most_done_ranges < JOURNAL_MAX_DONE_RANGES); /* the intake goes on */
	CU_ASSERT(rig.journal->most_done_ranges >= JOURNAL_MAX_DONE_RANGES - 100);
	CU_ASSERT(rig.journal->waiting > 20000 - JOURNAL_MAX_DONE_RANGES);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 10000);
	for (uint64_t seq = 1; seq <= 20000; seq += 2)
		end_one(&rig, seq);
	check_all_done(&rig);
}

static void test_done_ranges_in_any_order(void)
{
	struct rig rig;
	begin_in_flight(&rig);
	for (uint64_t i = 0, at = 0; i < 20000; i++, at = (at + 12347) % 20000) /* no common divisor: each once */
		end_one(&rig, at + 1);
	check_all_done(&rig);
}

/* What has ended late is as if it were still in flight: the link's end does not bring it back, a crash does. */
static void test_ended_late_and_link_down(void)
{
	struct rig rig;
	begin_in_flight(&rig);
	for (uint64_t seq = 2; seq <= 20000; seq += 2)
		end_one(&rig, seq);
	uint64_t sent = rig_stats(&rig).sent;
	rig_down(&rig);
	rig_up(&rig);
	for (int i = 0; i < 20; i++)
		loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).sent - sent, 10000);
	for (uint64_t seq = 19999; seq < 20000; seq -= 2)
		end_one(&rig, seq);
	check_all_done(&rig);
}

/* --- many that end at once ------------------------------------------------------------------------------------------ */

static void begin_ten(struct rig *rig)
{
	rig_init(rig);
	rig->connector.pipelined_order = true;
	rig->traits.max_in_flight = 10;
	rig_start(rig);
	rig_up(rig);
	rig_publish(rig, 10, "k");
	CU_ASSERT_EQUAL_FATAL(rig_stats(rig).in_flight, 10);
}

static const uint64_t not_the_first[] = {9, 3, 4, 6};

/* What stands behind one that is still under way waits for it, and is one run with it. */
static void test_delivered_at_once(void)
{
	struct rig rig;
	begin_ten(&rig);
	rig_delivered(&rig, not_the_first, 4);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 4);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 6);
	CU_ASSERT_EQUAL(rig.journal->waiting, 10);
	rig_delivered(&rig, (const uint64_t[]){2, 1}, 2);
	CU_ASSERT_EQUAL(rig.journal->waiting, 6);
	CU_ASSERT_EQUAL(rig.journal->most_done_ranges, 0);
	rig_delivered(&rig, (const uint64_t[]){10, 8, 7, 5}, 4);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Not for ever: a crash would repeat it. */
static void test_delivered_behind_a_stuck_one(void)
{
	struct rig rig;
	begin_ten(&rig);
	rig_delivered(&rig, not_the_first, 4);
	loop_sim_advance(rig.loop, 400);
	CU_ASSERT_EQUAL(rig.journal->waiting, 10);
	loop_sim_advance(rig.loop, 1200);
	CU_ASSERT_EQUAL(rig.journal->waiting, 6);
	CU_ASSERT_EQUAL(rig.journal->done_ranges, 3);
	rig_delivered(&rig, (const uint64_t[]){1, 2, 5, 7, 8, 10}, 6);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_delivered_and_link_down(void)
{
	struct rig rig;
	begin_ten(&rig);
	rig_delivered(&rig, not_the_first, 4);
	rig_down(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 6);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 6);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void on_idle(void *ctx)
{
	((struct rig *)ctx)->idles++;
}

/* A clean stop leaves nothing to be repeated. */
static void test_delivered_while_draining(void)
{
	struct rig rig;
	begin_ten(&rig);
	rig_delivered(&rig, not_the_first, 2);
	courier_drain(rig.courier, on_idle, &rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 8);
	rig_delivered(&rig, not_the_first + 2, 2);
	CU_ASSERT_EQUAL(rig.journal->waiting, 6);
	CU_ASSERT_EQUAL(rig.idles, 0);
	rig_delivered(&rig, (const uint64_t[]){1, 2, 5, 7, 8, 10}, 6);
	CU_ASSERT_EQUAL(rig.idles, 1);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* --- bursts ------------------------------------------------------------------------------------------------------------ */

static uintptr_t lowest_stack;

static void deliver_and_measure(struct rig *rig, const struct delivery *delivery)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	if (here < lowest_stack)
		lowest_stack = here;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	rig->link.n_in_flight--;
	courier_outcome(rig->courier, delivery->seq, &outcome);
}

static void test_a_million_outcomes_inside_send(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.link.light = true;
	rig.outbox.lookahead = 1000000;
	rig.on_send = deliver_and_measure;
	rig_start(&rig);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	lowest_stack = here;
	for (int i = 0; i < 1000000; i++)
		rig_append(&rig, "a");
	rig_durable(&rig);
	rig_up(&rig);
	CU_ASSERT(rig.link.sends <= 4096); /* the loop gets its turn */
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.link.sends, 1000000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT(here - lowest_stack < 16384);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_a_burst_goes_on(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.on_send = rig_deliver_at_once;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 9000, "a");
	CU_ASSERT_EQUAL(rig.link.n_sent, 4096);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.link.n_sent, 9000);
	CU_ASSERT_EQUAL(rig.journal->reads, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static uint64_t now_us(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

/* Prints the speed for people; it decides nothing. */
static void pass_through(bool pipelined, const char *name)
{
	static const char *const keys[] = {
		"line/1", "line/2", "line/3", "line/4", "line/5", "line/6", "line/7", "line/8"};
	struct rig rig;
	rig_init(&rig);
	rig.link.light = true;
	rig.connector.pipelined_order = pipelined;
	rig.on_send = deliver_and_measure;
	rig.traits.max_in_flight = 1000;
	rig_start(&rig);
	rig_up(&rig);
	uint64_t spent_us = 0;
	static uint8_t payload[256];
	for (int round = 0; round < 400; round++) {
		struct journal_entry entries[500];
		struct message_view views[500];
		uint64_t lsns[500];
		for (int i = 0; i < 500; i++) {
			views[i] = rig_view(&rig, keys[i % 8]);
			views[i].payload = slice_of(payload, sizeof payload);
			entries[i] = (struct journal_entry){.view = &views[i]};
			lsns[i] = fake_journal_append(rig.journal, &entries[i]);
		}
		uint64_t begin_us = now_us();
		for (int i = 0; i < 500; i++)
			courier_appended(rig.courier, &entries[i], lsns[i]);
		rig_durable(&rig);
		spent_us += now_us() - begin_us;
	}
	CU_ASSERT_EQUAL(rig.link.sends, 200000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	printf("# %s: %.2f million messages a second\n", name, 0.2e6 / (double)(spent_us + 1));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_speed(void)
{
	pass_through(true, "pipelined");
	pass_through(false, "one per key");
}

static const struct tap_test tests[] = {
	{"a backlog larger than the lookahead", test_backlog_larger_than_lookahead},
	{"only the first window may have been sent", test_only_the_first_window_may_have_been_sent},
	{"catching up ends", test_catching_up_ends},
	{"a read that reaches into the tail", test_a_read_that_reaches_into_the_tail},
	{"the memory cap", test_memory_cap},
	{"messages larger than the cap", test_messages_larger_than_the_cap},
	{"one that holds up all others", test_stuck},
	{"holes wider than the lookahead", test_holes_wider_than_the_lookahead},
	{"stuck messages and a tail", test_stuck_messages_and_a_tail},
	{"the tail gives way", test_the_tail_gives_way},
	{"a burst goes on", test_a_burst_goes_on},
	{"little is read twice", test_little_is_read_twice},
	{"packet identifiers of QoS 2", test_packet_identifiers},
	{"packet identifiers are of no concern to who has none", test_no_packet_identifiers},
	{"stopped while reading", test_stopped_while_reading},
	{"done ranges stay bounded", test_done_ranges_stay_bounded},
	{"done ranges stay bounded in any order", test_done_ranges_in_any_order},
	{"what has ended late and a link that goes down", test_ended_late_and_link_down},
	{"many that are delivered at once", test_delivered_at_once},
	{"delivered at once behind one that is stuck", test_delivered_behind_a_stuck_one},
	{"delivered at once, and the link goes down", test_delivered_and_link_down},
	{"delivered at once before the end", test_delivered_while_draining},
	{"a million outcomes inside send", test_a_million_outcomes_inside_send},
	{"speed", test_speed},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier backlog", tests);
}
