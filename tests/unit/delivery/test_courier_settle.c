/* SPDX-License-Identifier: Apache-2.0
 *
 * A sink with a cursor: it moves past what goes to the dead letters only once that is stored, it gets everything in the
 * order of seq, and what it says at link_up is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig->connector.pipelined_order = true;
	rig->connector.exactly_once_in_order = true;
	rig->traits.cursor_valid = true;
	rig->in_order = true;
	log_set_sink(quiet, NULL);
}

static void finish(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
	log_set_sink(NULL, NULL);
}

static void turn(struct rig *rig, uint64_t ms)
{
	loop_sim_advance(rig->loop, ms);
	for (unsigned i = 0; i < 20; i++)
		loop_sim_advance(rig->loop, 0);
}

static void reject(struct rig *rig, uint64_t seq)
{
	fake_record(rig->journal, seq)->dying = true;
	rig_outcome(rig, seq, OUTCOME_REJECTED);
}

static void test_nothing_in_the_way(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 5, "k");
	rig_up(&rig);
	CU_ASSERT_TRUE(courier_settle(rig.courier, 5));
	rig_deliver_all(&rig);
	turn(&rig, 5000);
	CU_ASSERT_EQUAL(rig.link.settled, 0); /* no answer but the one it had */
	finish(&rig);
}

static void test_letter(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 5, "k");
	rig_up(&rig);
	rig.journal->hold_letters = true;
	reject(&rig, 3);
	CU_ASSERT_TRUE(courier_settle(rig.courier, 2)); /* below it */
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	CU_ASSERT_FALSE(courier_settle(rig.courier, 5)); /* replaces the earlier question */
	rig_outcome(&rig, 1, OUTCOME_DELIVERED); /* something leaves the window, and it is still not stored */
	turn(&rig, 10);
	CU_ASSERT_EQUAL(rig.link.settled, 0);
	fake_journal_answer(rig.journal);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	CU_ASSERT_TRUE(courier_settle(rig.courier, 5));
	rig.journal->hold_letters = false;
	rig_deliver_all(&rig);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	finish(&rig);
}

/* It is tried again with back-off. */
static void test_letter_cannot_be_stored(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 3, "k");
	rig_up(&rig);
	rig.journal->dead_letter_error = -ENOSPC;
	reject(&rig, 2);
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	turn(&rig, 120000);
	CU_ASSERT_EQUAL(rig.link.settled, 0);
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	rig.journal->dead_letter_error = 0;
	turn(&rig, 120000);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	rig_deliver_all(&rig);
	finish(&rig);
}

/* What the router has rejected was never sent, either. */
static void test_rejected_by_router(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig.journal->hold_letters = true;
	rig_publish(&rig, 1, "k");
	struct message_view view = rig_view(&rig, "k");
	view.reject_reason = slice_str("no such field");
	rig_append_view(&rig, &view);
	rig_publish(&rig, 1, "k");
	rig_up(&rig);
	CU_ASSERT_TRUE(rig_in_flight(&rig, 3));
	CU_ASSERT_FALSE(rig_in_flight(&rig, 2));
	CU_ASSERT_TRUE(courier_settle(rig.courier, 1));
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	fake_journal_answer(rig.journal);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	rig_deliver_all(&rig);
	finish(&rig);
}

static void surplus(struct rig *rig)
{
	struct message_view view = rig_view(rig, "k");
	struct journal_entry entry = {.view = &view};
	uint64_t lsn = fake_journal_append(rig->journal, &entry);
	fake_record(rig->journal, entry.seq)->dying = true; /* out of the order */
	courier_surplus(rig->courier, &entry, lsn);
}

static void test_surplus(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig.journal->hold_letters = true;
	rig_up(&rig);
	rig_publish(&rig, 2, "k");
	surplus(&rig); /* 3 */
	surplus(&rig);
	rig_publish(&rig, 1, "k");
	turn(&rig, 0);
	CU_ASSERT_TRUE(rig_in_flight(&rig, 5));
	CU_ASSERT_TRUE(courier_settle(rig.courier, 2));
	CU_ASSERT_FALSE(courier_settle(rig.courier, 5));
	turn(&rig, 10);
	CU_ASSERT_EQUAL(rig.link.settled, 0);
	fake_journal_answer(rig.journal);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	CU_ASSERT_TRUE(courier_settle(rig.courier, 5));
	rig_deliver_all(&rig);
	finish(&rig);
}

/* The answer to a question of an earlier connection would be taken for one about this one. */
static void test_link_down(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 3, "k");
	rig_up(&rig);
	rig.journal->hold_letters = true;
	reject(&rig, 2);
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	rig_down(&rig);
	rig_up(&rig);
	fake_journal_answer(rig.journal);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 0);
	CU_ASSERT_TRUE(courier_settle(rig.courier, 3));
	rig_deliver_all(&rig);
	finish(&rig);
}

/* Thrown away by hand or too old: nothing is owed. */
static void test_purged(void)
{
	struct rig rig;
	begin(&rig);
	rig.traits.max_in_flight = 2;
	rig_start(&rig);
	rig_publish(&rig, 4, "k");
	rig_up(&rig);
	struct courier_purge items[] = {
		{.seq = 2, .bytes = FAKE_BYTES, .qos = 1}, {.seq = 3, .bytes = FAKE_BYTES, .qos = 1}};
	courier_purge(rig.courier, items, 2);
	CU_ASSERT_EQUAL(items[0].result, COURIER_PURGE_KEPT);
	CU_ASSERT_EQUAL(items[1].result, COURIER_PURGED);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	turn(&rig, 0);
	CU_ASSERT_TRUE(rig_in_flight(&rig, 4));
	CU_ASSERT_TRUE(courier_settle(rig.courier, 4));
	rig_deliver_all(&rig);
	finish(&rig);
}

/* Paused by hand, a letter is stored all the same. */
static void test_paused(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 3, "k");
	rig_up(&rig);
	courier_pause(rig.courier, true);
	rig.journal->hold_letters = true;
	reject(&rig, 1);
	CU_ASSERT_FALSE(courier_settle(rig.courier, 3));
	fake_journal_answer(rig.journal);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.link.settled, 1);
	rig_deliver_all(&rig);
	finish(&rig);
}

/* The journal may hold messages with a priority, of a configuration that has been changed since. */
static void test_priorities_do_not_count(void)
{
	struct rig rig;
	begin(&rig);
	rig.traits.max_in_flight = 4;
	rig_start(&rig);
	for (int i = 0; i < 12; i++) {
		struct message_view view = rig_view(&rig, i % 2 ? "a" : "b");
		view.priority = (int8_t)(i % 5);
		rig_append_view(&rig, &view);
	}
	rig_durable(&rig);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.link.n_sent, 12);
	for (size_t i = 0; i < 12; i++)
		CU_ASSERT_EQUAL(rig.link.sent[i].seq, i + 1);
	finish(&rig);
}

static void test_cursor(void)
{
	struct rig rig;
	begin(&rig);
	rig_start(&rig);
	rig_publish(&rig, 6, "k");
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 6);
	rig_down(&rig);
	rig.traits.done_through = 4;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 2);
	CU_ASSERT_EQUAL(rig.journal->waiting, 2);
	CU_ASSERT_EQUAL(rig.journal->totals[JOURNAL_DELIVERED], 4);
	rig_down(&rig);
	rig.traits.done_through = 7; /* the data folder is older */
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 2);
	finish(&rig);
}

/* --- cursor at the destination
 * ---------------------------------------------------------------------------------------- */

static void test_cursor_at_link_up(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig_publish(&rig, 6, "a");
	rig_start(&rig);
	rig.traits.cursor_valid = true;
	rig.traits.done_through = 4;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	CU_ASSERT_EQUAL(rig.link.sent[0].seq, 5);
	CU_ASSERT_EQUAL(rig.journal->oldest, 5);
	rig.traits.done_through = 5;
	rig_down(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.sent[2].seq, 6);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 6);
	finish(&rig);
}

static void test_cursor_beyond_what_is_held(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.lookahead = 4;
	rig_publish(&rig, 50, "a");
	rig_start(&rig);
	rig.traits.cursor_valid = true;
	rig.traits.done_through = 47;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.link.n_sent, 3);
	CU_ASSERT_EQUAL(rig.link.sent[0].seq, 48);
	rig_deliver_all(&rig);
	finish(&rig);
}

static void cursor_ahead_of_the_log(unsigned before_the_link)
{
	struct rig rig;
	rig_init(&rig);
	rig_publish(&rig, 3, "a");
	rig_start(&rig);
	rig_publish(&rig, before_the_link, "a");
	rig.traits.cursor_valid = true;
	rig.traits.done_through = 4;
	rig_up(&rig);
	rig_publish(&rig, 3, "a");
	CU_ASSERT_EQUAL(rig.link.n_sent, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 6 + before_the_link);
	CU_ASSERT_FALSE(rig_stats(&rig).link_is_up);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_cursor_ahead_of_the_log(void)
{
	cursor_ahead_of_the_log(0);
	cursor_ahead_of_the_log(10); /* what came meanwhile has seqs that the destination has of others */
}

#define HELD_BYTES (4u * 1024 * 1024) /* with a narrow window */
#define WIDE_BYTES (32u * 1024 * 1024)

/* A transaction and the next one find room; without the link their memory is given back, and what was left to the journal comes
 * again. */
static void test_wide_window(void)
{
	struct rig rig;
	begin(&rig);
	rig.connector.deep_window = true;
	rig.traits.held_bytes = WIDE_BYTES;
	rig.link.light = true;
	rig.traits.max_in_flight = 60000;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 50000, "k");
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 50000);
	CU_ASSERT(rig_stats(&rig).held_bytes > 2 * HELD_BYTES);
	struct outcome delivered = {.kind = OUTCOME_DELIVERED};
	for (uint64_t seq = 1; seq <= 20000; seq++)
		courier_outcome(rig.courier, seq, &delivered);
	rig_down(&rig);
	turn(&rig, 0);
	CU_ASSERT(rig_stats(&rig).held_bytes <= HELD_BYTES);
	CU_ASSERT(rig_stats(&rig).held <= 10000);
	rig.traits.done_through = 30000;
	rig_up(&rig);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 20000);
	for (uint64_t seq = 30001; seq <= 50000; seq++)
		courier_outcome(rig.courier, seq, &delivered);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 50000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig.journal->most_done_ranges, 0);
	finish(&rig);
}

/* How much of 100,000 messages is held for a link that asks for so much memory. */
static uint64_t held_with(size_t bytes)
{
	struct rig rig;
	begin(&rig);
	rig.connector.deep_window = true;
	rig.link.light = true;
	rig.traits.max_in_flight = 120000;
	rig.traits.held_bytes = bytes;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 100000, "k");
	turn(&rig, 0);
	uint64_t held = rig_stats(&rig).held;
	CU_ASSERT(rig_stats(&rig).held_bytes <= (bytes ? bytes : HELD_BYTES));
	finish(&rig);
	return held;
}

static void test_as_wide_as_asked(void)
{
	CU_ASSERT_EQUAL(held_with(64u * 1024 * 1024), 100000);
	uint64_t less = held_with(12u * 1024 * 1024);
	CU_ASSERT(less > 10000 && less < 100000);
	CU_ASSERT(held_with(0) <= 10000);
}

/* Who can have many in flight and does not need them is given no more for it. */
static void test_not_so_wide(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.stage_durable = NULL;
	rig.link.light = true;
	rig.traits.max_in_flight = 60000;
	rig.traits.held_bytes = WIDE_BYTES;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 50000, "k");
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 10000); /* its lookahead */
	finish(&rig);
}

static void count_maybe_sent(struct rig *rig, const struct delivery *delivery)
{
	rig->counter += delivery->maybe_sent;
	rig_deliver_at_once(rig, delivery);
}

/* What was only read ahead has not been sent: it may expire or be dropped, whatever its QoS. */
static void maybe_sent_after(uint32_t window)
{
	struct rig rig;
	begin(&rig);
	rig.connector.deep_window = true;
	rig.traits.held_bytes = WIDE_BYTES;
	rig.link.light = true;
	rig.traits.max_in_flight = window;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 40000, "k");
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, window);
	rig_down(&rig);
	turn(&rig, 0);
	CU_ASSERT(rig_stats(&rig).held <= 10000);
	rig.on_send = count_maybe_sent;
	rig_up(&rig);
	for (unsigned i = 0; i < 100 && rig.journal->waiting; i++)
		turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.counter, window);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	finish(&rig);
}

static void test_what_may_have_been_sent(void)
{
	maybe_sent_after(5000); /* all of it is held still */
	maybe_sent_after(20000); /* more than is held then */
}

/* A tail that came with the wide window is given back as well when the head is small. */
static void test_wide_tail(void)
{
	struct rig rig;
	begin(&rig);
	rig.connector.deep_window = true;
	rig.traits.held_bytes = WIDE_BYTES;
	rig.link.light = true;
	rig.traits.max_in_flight = 60000;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 5000, "k");
	turn(&rig, 0);
	struct message_view view = rig_view(&rig, "k");
	uint8_t *large = calloc(8, HELD_BYTES);
	view.payload = slice_of(large, 8u * HELD_BYTES - 1000);
	rig_append_view(&rig, &view); /* finds no room: from now on there is a gap */
	free(large);
	for (unsigned i = 0; i < 20000; i++)
		rig_append(&rig, "k");
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 25000);
	CU_ASSERT(rig_stats(&rig).held_bytes > HELD_BYTES);
	rig_down(&rig);
	turn(&rig, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held, 5000);
	rig_durable(&rig);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	for (unsigned i = 0; i < 100 && rig.journal->waiting; i++)
		turn(&rig, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).held_bytes, 0);
	finish(&rig);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the destination's cursor", test_cursor_at_link_up},
		{"a cursor beyond what is held", test_cursor_beyond_what_is_held},
		{"a cursor ahead of the log", test_cursor_ahead_of_the_log},
		{"a window for whole transactions", test_wide_window},
		{"as much memory as the link asks for", test_as_wide_as_asked},
		{"many in flight, and no need of them", test_not_so_wide},
		{"what may have been sent by a window for whole transactions", test_what_may_have_been_sent},
		{"a tail of a window for whole transactions", test_wide_tail},
		{"nothing in the way", test_nothing_in_the_way},
		{"a dead letter that is not stored yet", test_letter},
		{"a dead letter that cannot be stored", test_letter_cannot_be_stored},
		{"a message that the router has rejected", test_rejected_by_router},
		{"messages that found no room", test_surplus},
		{"a question ends with the connection", test_link_down},
		{"what was purged is not waited for", test_purged},
		{"paused by hand", test_paused},
		{"priorities of an earlier configuration do not count", test_priorities_do_not_count},
		{"what the cursor covers is done", test_cursor},
		{NULL, NULL},
	};
	return tap_main("courier with a cursor", tests);
}
