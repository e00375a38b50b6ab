/* SPDX-License-Identifier: Apache-2.0
 *
 * Who goes first: priorities within what is held, drain: live_first over backlogs far larger than what is held, after an
 * outage and after a restart; what overtakes within its bounds of memory, done ranges and packet identifiers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

#define HELD_CAP (5u * 1024 * 1024) /* in the places and in the lane together */

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void setup(struct rig *rig, int drain)
{
	rig_init(rig);
	rig->connector.pipelined_order = true;
	rig->outbox.drain = drain;
	rig->outbox.lookahead = 1000;
	rig->traits.max_in_flight = 10;
}

static uint64_t append(struct rig *rig, const char *key, int priority)
{
	struct message_view view = rig_view(rig, key);
	view.priority = (int8_t)(priority - MESSAGE_DEFAULT_PRIORITY);
	return rig_append_view(rig, &view);
}

/* n of telemetry, of 50 keys; every 100th one is followed by an alarm. */
static void plant(struct rig *rig, unsigned n, int alarm_priority)
{
	for (unsigned i = 0; i < n; i++) {
		char key[32];
		snprintf(key, sizeof key, "cell/%u", i % 50);
		append(rig, key, MESSAGE_DEFAULT_PRIORITY);
		if (i % 100 == 99)
			append(rig, i % 200 == 99 ? "alarm/a" : "alarm/b", alarm_priority);
		if (i % 10 == 9)
			rig_durable(rig);
	}
	rig_durable(rig);
	loop_sim_advance(rig->loop, 0);
}

static bool is_alarm(const struct rig *rig, uint64_t seq)
{
	return message_view(fake_record(rig->journal, seq)->msg)->order_key.data[0] == 'a';
}

static size_t alarms_before_others(const struct rig *rig)
{
	size_t n = 0;
	while (n < rig->link.n_sent && is_alarm(rig, rig->link.sent[n].seq))
		n++;
	return n;
}

static bool was_sent(const struct rig *rig, uint64_t seq)
{
	for (size_t i = 0; i < rig->link.n_sent; i++)
		if (rig->link.sent[i].seq == seq)
			return true;
	return false;
}

static void drain(struct rig *rig)
{
	for (int i = 0; i < 1000 && rig->journal->waiting; i++) {
		rig_deliver_all(rig);
		loop_sim_advance(rig->loop, 1000);
	}
	CU_ASSERT_EQUAL(rig->journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(rig).held, 0);
	CU_ASSERT_EQUAL(rig_stats(rig).held_bytes, 0);
	CU_ASSERT(rig->journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
}

/* --- priorities within what is held ------------------------------------------------------------------------------------- */

static void test_priorities(void)
{
	struct rig rig;
	setup(&rig, DRAIN_OLDEST_FIRST);
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	append(&rig, "a", 0); /* 1 */
	append(&rig, "a", 4);
	append(&rig, "b", 9);
	append(&rig, "b", 4);
	append(&rig, "c", 9); /* 5 */
	append(&rig, "a", 5);
	append(&rig, "a", 0);
	append(&rig, "b", 9);
	append(&rig, "c", 4);
	append(&rig, "c", 3); /* 10 */
	rig_durable(&rig);
	rig_up(&rig);
	rig_deliver_all(&rig);
	static const uint64_t wanted[] = {3, 5, 8, 6, 2, 4, 9, 10, 1, 7};
	CU_ASSERT_EQUAL_FATAL(rig.link.n_sent, 10);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(rig.link.sent[i].seq, wanted[i]);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* One that is refused holds up its own key and priority alone, and what is of higher priority passes. */
static void test_priorities_and_refusals(bool pipelined)
{
	struct rig rig;
	setup(&rig, DRAIN_OLDEST_FIRST);
	rig.connector.pipelined_order = pipelined;
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	uint64_t first = append(&rig, "a", 7), second = append(&rig, "a", 7), other = append(&rig, "a", 4);
	rig_durable(&rig);
	rig_up(&rig);
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 10000};
	rig_outcome_full(&rig, first, &later);
	CU_ASSERT(rig_in_flight(&rig, other));
	rig_outcome(&rig, other, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	rig_down(&rig); /* all is found again */
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	append(&rig, "b", 4);
	rig_durable(&rig);
	uint64_t low = append(&rig, "b", 0);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 10000);
	rig_outcome(&rig, 4, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, first));
	rig_outcome(&rig, first, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, second));
	rig_outcome(&rig, second, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, low));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_refusals(void)
{
	test_priorities_and_refusals(true);
	test_priorities_and_refusals(false);
}

/* Keys of one rank take turns, so that many of one do not keep one of another waiting. */
static void test_keys_take_turns(void)
{
	struct rig rig;
	setup(&rig, DRAIN_OLDEST_FIRST);
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	for (int i = 0; i < 100; i++)
		append(&rig, "a", 7);
	uint64_t other = append(&rig, "b", 7);
	rig_durable(&rig);
	rig_up(&rig);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, other));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* --- after an outage ------------------------------------------------------------------------------------------------------ */

static void alarms_after_an_outage(int drain_mode, size_t expected_first)
{
	struct rig rig;
	setup(&rig, drain_mode);
	rig.outbox.max_rate.messages = 1000;
	rig_start(&rig);
	plant(&rig, 20000, 8); /* the link is down; 200 alarms, far beyond what is held */
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 300);
	CU_ASSERT_EQUAL(alarms_before_others(&rig), expected_first);
	/* While the backlog drains: an alarm that comes now goes with the next token. */
	loop_sim_advance(rig.loop, 700);
	uint64_t alarm = append(&rig, "alarm/a", 8);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 11);
	CU_ASSERT_EQUAL(was_sent(&rig, alarm), drain_mode == DRAIN_LIVE_FIRST);
	drain(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 20201);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_alarms_after_an_outage(void)
{
	alarms_after_an_outage(DRAIN_LIVE_FIRST, 200);
	alarms_after_an_outage(DRAIN_OLDEST_FIRST, 9); /* those that are held */
}

/* They are on disk only: the survey finds them. */
static void test_alarms_after_a_restart(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.outbox.max_rate.messages = 1000;
	plant(&rig, 20000, 8);
	rig_start(&rig);
	rig.on_send = rig_deliver_at_once;
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 1000 + 200 - 9);
	uint64_t recovered = rig.journal->n_records;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.journal->readers, 1); /* the survey is over */
	loop_sim_advance(rig.loop, 300);
	CU_ASSERT_EQUAL(alarms_before_others(&rig), 200);
	rig_publish(&rig, 1, "new");
	loop_sim_advance(rig.loop, 11);
	CU_ASSERT(was_sent(&rig, 20201));
	rig_publish(&rig, 1, "cell/7");
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT_FALSE(was_sent(&rig, 20202));
	drain(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 20202);
	for (size_t i = 0; i < rig.link.n_sent; i++) /* the earlier process may have let any of them overtake */
		CU_ASSERT_EQUAL(rig.link.sent[i].maybe_sent, rig.link.sent[i].seq <= recovered);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Before the survey is over it is not known what waits: nothing overtakes. */
static void test_not_before_the_survey(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.outbox.lookahead = 10;
	rig_publish(&rig, 5000, "a");
	struct message_view view = rig_view(&rig, "late");
	rig_append_view(&rig, &view); /* of the backlog, at its end */
	rig_durable(&rig);
	rig_begin(&rig);
	rig_up(&rig);
	uint64_t late = append(&rig, "late", 4), fresh = append(&rig, "fresh", 4);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_FALSE(was_sent(&rig, late) || was_sent(&rig, fresh));
	uint64_t other = append(&rig, "other", 4), again = append(&rig, "fresh", 4),
		 late_again = append(&rig, "late", 4);
	rig_durable(&rig);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(was_sent(&rig, other));
	CU_ASSERT_FALSE(was_sent(&rig, again) || was_sent(&rig, late_again));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* --- new before old ------------------------------------------------------------------------------------------------------- */

static void live_and_backlog(bool pipelined)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.connector.pipelined_order = pipelined;
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	rig_publish(&rig, 5000, "old");
	rig_up(&rig);
	uint64_t live[10];
	for (int i = 0; i < 10; i++) {
		live[i] = append(&rig, i % 2 ? "new/a" : "new/b", 4);
		append(&rig, "old", 4);
	}
	rig_durable(&rig);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(rig.link.n_sent, (size_t)i + 2);
		CU_ASSERT(rig.link.sent[i + 1].seq > 5000);
		rig_outcome(&rig, rig.link.sent[i + 1].seq, OUTCOME_DELIVERED);
	}
	for (int i = 0; i < 10; i++)
		CU_ASSERT(was_sent(&rig, live[i]));
	CU_ASSERT_EQUAL(rig.link.sent[11].seq, 2); /* and then the backlog again */
	drain(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 5020);
	/* All is done: the same key is live again, and nothing overtakes when nothing waits. */
	uint64_t reads = rig.journal->reads;
	rig_publish(&rig, 1, "old");
	rig_publish(&rig, 1, "new/a");
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 5022);
	CU_ASSERT_EQUAL(rig.journal->reads, reads);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_live_and_backlog(void)
{
	live_and_backlog(true);
	live_and_backlog(false);
}

/* All that waits is held: new ones pass it by as well. And in the normal case nothing takes the lane: seq order. */
static void test_a_small_backlog(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.traits.max_in_flight = 2;
	rig_start(&rig);
	rig_up(&rig);
	for (int i = 0; i < 10; i++) {
		append(&rig, "a", 4);
		append(&rig, "b", 4);
		rig_durable(&rig);
		rig_deliver_all(&rig);
	}
	for (size_t i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(rig.link.sent[i].seq, i + 1);
	append(&rig, "c", 4);
	append(&rig, "d", 4);
	rig_publish(&rig, 100, "e"); /* from 23 on */
	uint64_t live = append(&rig, "f", 4);
	rig_durable(&rig);
	rig_outcome(&rig, 21, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, live));
	drain(&rig);
	CU_ASSERT_EQUAL(rig.journal->reads, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What overtakes is refused, rejected, too old, cut off: all as usual. */
static void test_outcomes_of_what_overtakes(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 5000, "old");
	rig.traits.max_in_flight = 100;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 100);
	uint64_t refused = append(&rig, "a", 4), after = append(&rig, "a", 4), rejected = append(&rig, "b", 4);
	uint64_t cut = append(&rig, "c", 4);
	rig_durable(&rig);
	for (uint64_t seq = 1; seq <= 4; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, refused) && rig_in_flight(&rig, rejected) && rig_in_flight(&rig, after));
	rig_outcome(&rig, rejected, OUTCOME_REJECTED);
	rig_outcome(&rig, refused, OUTCOME_RETRY);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(fake_record(rig.journal, rejected)->end, FAKE_DEAD);
	struct message_view view = rig_view(&rig, "d");
	view.expires_ms = view.origin_ms + 500;
	uint64_t old = rig_append_view(&rig, &view);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 2000);
	CU_ASSERT_EQUAL(fake_record(rig.journal, old)->end, FAKE_DONE);
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 1);
	CU_ASSERT(rig_in_flight(&rig, cut));
	rig_down(&rig);
	rig_up(&rig);
	CU_ASSERT(rig_in_flight(&rig, cut)); /* first again */
	for (size_t i = 0; i < rig.link.n_sent; i++)
		if (rig.link.sent[i].seq == cut)
			CU_ASSERT_EQUAL(rig.link.sent[i].maybe_sent, i >= 103);
	rig_down(&rig);
	rig.traits.session_lost = true;
	rig_up(&rig);
	CU_ASSERT(rig.link.sent[rig.link.n_sent - 100].session_lost);
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The head has caught up: what comes now is held in its place behind what is refused in the lane, over a new link too. */
static void test_behind_what_overtook(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	uint64_t refused = append(&rig, "alarm", 9);
	rig_durable(&rig);
	rig_up(&rig);
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 10000};
	rig_outcome_full(&rig, refused, &later);
	for (int i = 0; i < 1000 && rig.journal->waiting > 1; i++)
		rig_deliver_all(&rig);
	uint64_t next = append(&rig, "alarm", 9);
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 2);
	rig_down(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	/* Again a backlog; both are in the list of their key, so the next one may overtake. */
	rig_publish(&rig, 2000, "old");
	uint64_t third = append(&rig, "alarm", 9);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 1001 + 1); /* the lookahead counts from `next` on */
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 10000);
	rig_outcome(&rig, 2002 + 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, refused));
	rig_outcome(&rig, refused, OUTCOME_DELIVERED);
	drain(&rig);
	uint64_t order[3] = {0}, n = 0;
	for (size_t i = 0; i < rig.link.n_sent; i++)
		if (is_alarm(&rig, rig.link.sent[i].seq) && rig.link.sent[i].attempt == 1 + (n == 0) && n < 3 &&
			rig.link.sent[i].at_ms > 0)
			order[n++] = rig.link.sent[i].seq;
	CU_ASSERT(order[0] == refused && order[1] == next && order[2] == third);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* --- bounds --------------------------------------------------------------------------------------------------------------- */

/* The lane has filled: more of it waits on disk, in order, and goes as what waits there. */
static void test_a_full_lane(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	rig_up(&rig);
	static uint8_t payload[3000];
	struct message_view view = rig_view(&rig, "live");
	view.payload = slice_of(payload, sizeof payload);
	for (int i = 0; i < 1000; i++) {
		rig_append_view(&rig, &view);
		CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	}
	rig_durable(&rig);
	uint64_t held = rig_stats(&rig).held;
	CU_ASSERT(held > 1000 + 100 && held < 1000 + 180); /* half of a MiB */
	uint64_t alarm = append(&rig, "alarm", 9); /* there is room for that */
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, held + 1);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, alarm));
	view.priority = 1;
	for (int i = 0; i < 1000; i++) {
		rig_append_view(&rig, &view);
		CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_CAP);
	}
	held = rig_stats(&rig).held;
	CU_ASSERT(held > 1000 + 280 && held < 1000 + 360); /* all of it */
	rig_durable(&rig);
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Each one that overtakes leaves a hole: half of what the journal can hold, and the backlog drains at full speed all the
 * same. */
static void test_done_ranges(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.link.light = true;
	rig.traits.max_in_flight = 100;
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	rig_up(&rig);
	uint64_t overtaken = 0;
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	for (int i = 0; i < 5000; i++) {
		append(&rig, "old", 4);
		uint64_t live = append(&rig, "new", 4);
		rig_durable(&rig);
		courier_outcome(rig.courier, rig.journal->oldest, &delivered);
		loop_sim_advance(rig.loop, 0);
		CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 100);
		courier_outcome(rig.courier, live, &delivered); /* if it is in flight */
		overtaken += fake_record(rig.journal, live)->end == FAKE_DONE;
		rig_publish(&rig, 3, "old");
	}
	CU_ASSERT(overtaken > 1000);
	CU_ASSERT(rig.journal->most_done_ranges > JOURNAL_MAX_DONE_RANGES / 2 - 200);
	CU_ASSERT(rig.journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES / 2 + 1);
	for (int round = 0; round < 500 && rig.journal->waiting; round++) {
		for (uint64_t seq = rig.journal->oldest; seq <= rig.journal->n_records; seq++)
			if (fake_record(rig.journal, seq)->end == FAKE_UNDONE)
				courier_outcome(rig.courier, seq, &delivered);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What is too old when its turn comes leaves holes between what waits, without having been sent. */
static void test_done_ranges_of_the_expired(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.connector.pipelined_order = false;
	rig.outbox.lookahead = 20000;
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "short-lived");
	view.expires_ms = view.origin_ms + 500;
	for (unsigned i = 0; i < 5000; i++) {
		append(&rig, "waits", 4);
		rig_append_view(&rig, &view);
	}
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 600);
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 0); /* nobody has looked yet */
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT(rig_stats(&rig).expired > JOURNAL_MAX_DONE_RANGES / 2);
	CU_ASSERT(rig.journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
	drain(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 5000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* All that overtakes is refused for long, and the head passes it by: then it fills holes and makes none. */
static void test_passed_by(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.link.light = true;
	rig.traits.max_in_flight = 3000;
	rig_start(&rig);
	rig_publish(&rig, 1000, "old");
	for (int i = 0; i < 2300; i++) {
		char key[16];
		snprintf(key, sizeof key, "alarm/%d", i);
		append(&rig, key, 9);
		append(&rig, "old", 4);
	}
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 1000 + 2300);
	rig_up(&rig);
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 3600000};
	for (int round = 0; round < 100; round++) {
		for (uint64_t seq = rig.journal->oldest; seq <= rig.journal->n_records; seq++)
			courier_outcome(rig.courier, seq, is_alarm(&rig, seq) ? &later : &delivered);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 2300);
	CU_ASSERT_EQUAL(rig.journal->done_ranges, 2300);
	loop_sim_advance(rig.loop, 3600000);
	CU_ASSERT(rig_stats(&rig).in_flight > JOURNAL_MAX_DONE_RANGES - 2300 - 10);
	for (int round = 0; round < 100 && rig.journal->waiting; round++)
		for (uint64_t seq = rig.journal->oldest; seq <= rig.journal->n_records; seq++)
			if (fake_record(rig.journal, seq)->end == FAKE_UNDONE)
				courier_outcome(rig.courier, seq, &delivered);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* QoS 2: a packet identifier for each, and what may have been sent before a crash is known by its distance. */
static void test_qos2_stays_near(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 9000, "old");
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "live");
	view.qos = 2;
	uint64_t near = rig_append_view(&rig, &view);
	rig_publish(&rig, 2000, "old");
	view.order_key = slice_str("other");
	uint64_t far = rig_append_view(&rig, &view);
	view.qos = 1;
	view.order_key = slice_str("another");
	uint64_t qos1 = rig_append_view(&rig, &view);
	rig_durable(&rig);
	for (uint64_t seq = 2; seq <= 10; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED);
	CU_ASSERT(was_sent(&rig, near) && was_sent(&rig, qos1) && !was_sent(&rig, far));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* It holds its packet identifier although the head has passed it by. */
static void test_an_identifier_in_the_lane(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig.connector.packet_ids = true;
	rig.link.light = true;
	rig.outbox.lookahead = 100000;
	rig.traits.max_in_flight = 20;
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "old");
	view.qos = 2;
	rig_up(&rig);
	for (int i = 0; i < 100; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	view.order_key = slice_str("live");
	uint64_t live = rig_append_view(&rig, &view);
	rig_durable(&rig);
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	view.order_key = slice_str("old");
	for (int i = 0; i < 700; i++) {
		for (int k = 0; k < 100; k++)
			rig_append_view(&rig, &view);
		rig_durable(&rig);
		for (uint64_t seq = rig.journal->oldest; seq <= rig.journal->n_records; seq++)
			if (seq != live && fake_record(rig.journal, seq)->end == FAKE_UNDONE &&
				rig_stats(&rig).in_flight > 1)
				courier_outcome(rig.courier, seq, &delivered);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->oldest, live);
	CU_ASSERT_EQUAL(rig.link.sends, live + 61440 - 1);
	CU_ASSERT(rig.journal->flushes < 20);
	courier_outcome(rig.courier, live, &delivered);
	for (int round = 0; round < 2000 && rig.journal->waiting; round++) {
		rig_durable(&rig);
		for (uint64_t seq = rig.journal->oldest; seq <= rig.journal->n_records; seq++)
			courier_outcome(rig.courier, seq, &delivered);
		loop_sim_advance(rig.loop, 0);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Close before the end of the backlog new messages are held again, with what overtakes between them. */
static void test_with_a_tail(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 1100, "old");
	rig_up(&rig);
	for (uint64_t seq = 1; seq <= 750; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED); /* less than half of the lookahead is left */
	uint64_t held = rig_stats(&rig).held;
	append(&rig, "old", 4);
	append(&rig, "new", 4);
	append(&rig, "old", 4);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, held + 3);
	uint64_t before = rig.journal->read_messages;
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.journal->read_messages, before + 100);
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* All that an earlier process left fits into the head: it counts that itself. */
static void test_no_survey_of_little(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_publish(&rig, 900, "old");
	rig_start(&rig);
	CU_ASSERT_EQUAL(rig.journal->read_messages, 900);
	rig_up(&rig);
	drain(&rig);
	rig_publish(&rig, 2000, "other");
	uint64_t live = append(&rig, "old", 4);
	rig_durable(&rig);
	rig_outcome(&rig, 901, OUTCOME_DELIVERED);
	CU_ASSERT(was_sent(&rig, live));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Alarms below the default priority wait for the rest. */
static void test_lower_priorities_never_overtake(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	rig_up(&rig);
	uint64_t low = append(&rig, "low", 3);
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 1000);
	drain(&rig);
	CU_ASSERT_EQUAL(rig.link.sent[rig.link.n_sent - 1].seq, low);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A destination that knows how far it has everything. */
static void test_a_cursor(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	uint64_t alarm = append(&rig, "alarm", 9);
	rig_durable(&rig);
	rig_up(&rig);
	CU_ASSERT(rig_in_flight(&rig, alarm));
	rig_down(&rig);
	rig.traits.cursor_valid = true;
	rig.traits.done_through = alarm;
	rig_up(&rig);
	CU_ASSERT_EQUAL(fake_record(rig.journal, alarm)->end, FAKE_DONE);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Messages that ended without coming through the courier keep their key in its place only until all is read. */
static void test_counts_begin_anew(void)
{
	struct rig rig;
	setup(&rig, DRAIN_LIVE_FIRST);
	rig_start(&rig);
	rig_publish(&rig, 2000, "old");
	rig_publish(&rig, 1, "gone");
	rig_publish(&rig, 1, "old");
	fake_journal_finish(rig.journal, 2001, FAKE_DONE); /* damaged, say */
	rig_up(&rig);
	drain(&rig);
	rig_publish(&rig, 2000, "old");
	uint64_t live = append(&rig, "gone", 4);
	rig_durable(&rig);
	rig_outcome(&rig, 2003, OUTCOME_DELIVERED);
	CU_ASSERT(was_sent(&rig, live));
	drain(&rig);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static const struct tap_test tests[] = {
	{"priorities", test_priorities},
	{"priorities and refusals", test_refusals},
	{"keys take turns", test_keys_take_turns},
	{"alarms go first after an outage", test_alarms_after_an_outage},
	{"alarms go first after a restart", test_alarms_after_a_restart},
	{"not before the survey", test_not_before_the_survey},
	{"live messages and a backlog", test_live_and_backlog},
	{"a small backlog", test_a_small_backlog},
	{"outcomes of what overtakes", test_outcomes_of_what_overtakes},
	{"behind what overtook", test_behind_what_overtook},
	{"a full lane", test_a_full_lane},
	{"done ranges", test_done_ranges},
	{"done ranges of the expired", test_done_ranges_of_the_expired},
	{"passed by", test_passed_by},
	{"with a tail", test_with_a_tail},
	{"no survey of little", test_no_survey_of_little},
	{"lower priorities never overtake", test_lower_priorities_never_overtake},
	{"a cursor", test_a_cursor},
	{"QoS 2 stays near", test_qos2_stays_near},
	{"an identifier in the lane", test_an_identifier_in_the_lane},
	{"counts begin anew", test_counts_begin_anew},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier live", tests);
}
