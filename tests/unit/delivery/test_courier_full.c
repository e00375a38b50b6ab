/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox at its limits, with each when_full: exactly so many are taken, dropped or dead, and never the wrong ones. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static char lines[100][400];
static size_t n_lines;

static void keep_line(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	if (n_lines < 100)
		snprintf(lines[n_lines++], sizeof lines[0], "%s", line);
}

static bool logged(const char *text)
{
	for (size_t i = 0; i < n_lines; i++)
		if (strstr(lines[i], text))
			return true;
	return false;
}

static void begin(struct rig *rig, enum when_full when_full, int64_t max_messages)
{
	rig_init(rig);
	rig->outbox.when_full = (int)when_full;
	rig->outbox.max_messages = max_messages;
	n_lines = 0;
	log_set_sink(keep_line, NULL);
}

static uint64_t total(const struct rig *rig, enum journal_total why)
{
	return rig->journal->totals[why];
}

/* What was appended waits or has ended. */
static void finish(struct rig *rig)
{
	const struct journal *j = rig->journal;
	uint64_t ended = 0;
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		ended += j->totals[i];
	CU_ASSERT_EQUAL(j->n_records, j->waiting + ended);
	CU_ASSERT(j->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
	log_set_sink(NULL, NULL);
}

static void settle(struct rig *rig)
{
	for (unsigned i = 0; i < 100; i++)
		loop_sim_advance(rig->loop, 0);
}

/* As intake does: one message, and what is to become of it. */
static enum courier_room offer(struct rig *rig, struct message_view view)
{
	enum courier_room room = courier_room(rig->courier, 1, FAKE_BYTES);
	struct journal_entry entry = {.view = &view};
	if (room == ROOM_TAKE) {
		rig_append_view(rig, &view);
	} else if (room == ROOM_DEAD_LETTER) {
		uint64_t lsn = fake_journal_append(rig->journal, &entry);
		courier_surplus(rig->courier, &entry, lsn);
	} else if (room == ROOM_DROP) {
		courier_dropped(rig->courier, 1);
	}
	return room;
}

static void offer_many(struct rig *rig, unsigned n, unsigned counts[4])
{
	for (unsigned i = 0; i < n; i++) {
		char key[2] = {(char)('a' + (rig->journal->n_records + i) % 23), 0};
		counts[offer(rig, rig_view(rig, key))]++;
		if (i % 7 == 6) {
			rig_durable(rig);
			loop_sim_advance(rig->loop, 0);
		}
	}
	rig_durable(rig);
	settle(rig);
}

static void test_block(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_BLOCK, 100);
	rig_start(&rig);
	offer_many(&rig, 150, counts);
	CU_ASSERT(counts[ROOM_TAKE] == 100 && counts[ROOM_WAIT] == 50);
	CU_ASSERT_EQUAL(rig.journal->waiting, 100);
	finish(&rig);
}

static void test_drop_newest(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DROP_NEWEST, 100);
	rig_start(&rig);
	offer_many(&rig, 150, counts);
	CU_ASSERT(counts[ROOM_TAKE] == 100 && counts[ROOM_DROP] == 50);
	CU_ASSERT_EQUAL(rig_stats(&rig).dropped, 50);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT(
		logged("event=dropped destination=sink first=101 last=101 count=50 reason=\"outbox full: the newest"));
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 100);
	offer_many(&rig, 1, counts);
	CU_ASSERT_EQUAL(counts[ROOM_TAKE], 101);
	finish(&rig);
}

static void test_drop_oldest(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DROP_OLDEST, 50);
	rig_start(&rig);
	offer_many(&rig, 150, counts);
	CU_ASSERT_EQUAL(counts[ROOM_TAKE], 150);
	CU_ASSERT_EQUAL(rig.journal->waiting, 50);
	CU_ASSERT_EQUAL(rig.journal->oldest, 101); /* exactly the oldest */
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 100);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT(logged("event=dropped destination=sink first=1 last=100 count=100 reason=\"outbox full: the oldest"));
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 50);
	finish(&rig);
}

/* By bytes; a little further than the limit, so that not every message that comes drops one. */
static void test_drop_oldest_by_bytes(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DROP_OLDEST, 0);
	rig.outbox.max_bytes = 640 * FAKE_BYTES;
	rig_start(&rig);
	offer_many(&rig, 640, counts);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 0);
	offer_many(&rig, 1, counts);
	CU_ASSERT_EQUAL(rig.journal->waiting, 630);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 11);
	CU_ASSERT_EQUAL(counts[ROOM_TAKE], 641);
	finish(&rig);
}

/* Larger than the outbox: it pushes out all others and stays. */
static void test_large_message(void)
{
	static char large[5000];
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 0);
	rig.outbox.max_bytes = 10 * FAKE_BYTES;
	rig_start(&rig);
	rig_publish(&rig, 10, "a");
	struct message_view view = rig_view(&rig, "a");
	view.payload = slice_of(large, sizeof large);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, sizeof large), ROOM_TAKE);
	uint64_t seq = rig_append_view(&rig, &view);
	rig_durable(&rig);
	settle(&rig);
	CU_ASSERT(rig.journal->waiting == 1 && rig.journal->oldest == seq);
	rig_publish(&rig, 1, "a"); /* the next one pushes it out */
	settle(&rig);
	CU_ASSERT(rig.journal->waiting == 1 && rig.journal->oldest == seq + 1);
	finish(&rig);
}

/* In flight, at a stage, perhaps sent with QoS 2: those stay, and those behind them go. */
static void test_some_may_not_go(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 20);
	rig.traits.max_in_flight = 4;
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.qos = 2;
	for (unsigned i = 0; i < 4; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 4);
	rig_publish(&rig, 30, "a");
	settle(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 20);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 14); /* 5 to 18 */
	CU_ASSERT(fake_record(rig.journal, 18)->end == FAKE_DONE && fake_record(rig.journal, 19)->end == FAKE_UNDONE);
	courier_stage(rig.courier, 1, 1);
	rig_durable(&rig);
	rig_down(&rig); /* they may be there */
	rig_publish(&rig, 10, "a");
	settle(&rig);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 24);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 20);
	finish(&rig);
}

/* Of QoS 1 that was in flight when the link went down, the oldest goes again: it may be there, but need not. */
static void test_what_was_in_flight(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 20);
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 20, "a");
	rig_publish(&rig, 20, "a");
	settle(&rig);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	rig_down(&rig);
	rig_publish(&rig, 1, "a");
	settle(&rig);
	CU_ASSERT_EQUAL(rig.journal->oldest, 2);
	rig_publish(&rig, 15, "a");
	settle(&rig);
	CU_ASSERT_EQUAL(rig.journal->oldest, 37);
	CU_ASSERT_EQUAL(rig.journal->waiting, 20);
	finish(&rig);
}

/* Nothing may go: the source waits, and goes on when something is delivered. */
static void test_nothing_may_go(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DROP_OLDEST, 10);
	rig.traits.max_in_flight = 5000;
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	rig_up(&rig);
	offer_many(&rig, 2000, counts);
	CU_ASSERT_EQUAL(counts[ROOM_TAKE], 10 + 1024); /* as documented */
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 0);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	for (uint64_t seq = 1; seq <= 513; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED);
	settle(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 1), ROOM_TAKE);
	finish(&rig);
}

/* Far more than can be held: what is dropped is read back for it, and the rest is delivered in order. */
static void test_backlog(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 3000);
	rig.outbox.lookahead = 100;
	rig_start(&rig);
	for (unsigned i = 0; i < 200; i++) {
		rig_publish(&rig, 100, "a");
		settle(&rig);
		CU_ASSERT(rig.journal->waiting <= 3000);
	}
	CU_ASSERT(rig.journal->waiting > 2900);
	CU_ASSERT_EQUAL(rig.journal->oldest, 20001 - rig.journal->waiting);
	CU_ASSERT(rig_stats(&rig).held <= 200);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED) + total(&rig, JOURNAL_DROPPED_OLDEST), 20000);
	finish(&rig);
}

/* The same while messages at the head may not go: those behind them are dropped without being held. */
static void test_backlog_behind_what_stays(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 3000);
	rig.outbox.lookahead = 100;
	rig.traits.max_in_flight = 10;
	rig.connector.pipelined_order = true;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.qos = 2;
	for (unsigned i = 0; i < 10; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	rig_down(&rig);
	for (unsigned i = 0; i < 200; i++) {
		rig_publish(&rig, 100, "a");
		settle(&rig);
		CU_ASSERT(rig.journal->waiting <= 3000);
	}
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	CU_ASSERT(rig.journal->waiting > 2900);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 11)->why, JOURNAL_DROPPED_OLDEST);
	CU_ASSERT(rig.journal->read_messages < 25000); /* nothing is read over and over */
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED) + total(&rig, JOURNAL_DROPPED_OLDEST), 20010);
	finish(&rig);
}

/* A restart finds more than the limits allow (they were made smaller): it drops what an earlier process cannot have
 * sent in part. */
static void smaller_limits_after_a_restart(int64_t lookahead)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_BLOCK, 0);
	rig.outbox.lookahead = lookahead;
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.qos = 2;
	for (unsigned i = 0; i < 20000; i++)
		rig_append_view(&rig, &view);
	rig_durable(&rig);
	rig_stop(&rig);
	rig.outbox.when_full = WHEN_FULL_DROP_OLDEST;
	rig.outbox.max_messages = 15000;
	rig_start(&rig);
	settle(&rig);
	CU_ASSERT(rig.journal->waiting <= 15000 && rig.journal->waiting > 14700);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1); /* the first 10,000 may be there */
	CU_ASSERT(fake_record(rig.journal, 10000)->end == FAKE_UNDONE &&
		  fake_record(rig.journal, 10001)->end == FAKE_DONE);
	finish(&rig);
}

static void test_smaller_limits_after_a_restart(void)
{
	smaller_limits_after_a_restart(10000);
	smaller_limits_after_a_restart(100);
}

/* Only every second one may go: no more done ranges come of it than the journal keeps. */
static void test_done_ranges(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_BLOCK, 0);
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "a");
	for (unsigned i = 0; i < 10000; i++) {
		view.qos = i % 2 ? 1 : 2;
		rig_append_view(&rig, &view);
	}
	rig_durable(&rig);
	rig_stop(&rig);
	rig.outbox.when_full = WHEN_FULL_DROP_OLDEST;
	rig.outbox.max_messages = 100;
	rig_start(&rig);
	settle(&rig);
	CU_ASSERT(rig.journal->most_done_ranges > 4000);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 1), ROOM_WAIT);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	finish(&rig);
}

/* One that is to be tried again may go, and the next of its key is sent then. */
static void test_between_two_tries(void)
{
	struct rig rig;
	begin(&rig, WHEN_FULL_DROP_OLDEST, 3);
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 4, "a");
	CU_ASSERT(rig_in_flight(&rig, 1));
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DROPPED_OLDEST), 1); /* the second */
	rig_append(&rig, "a");
	rig_outcome(&rig, 1, OUTCOME_RETRY);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->why, JOURNAL_DROPPED_OLDEST);
	CU_ASSERT(rig_in_flight(&rig, 3));
	finish(&rig);
}

static void test_dead_letter(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DEAD_LETTER, 50);
	rig_start(&rig);
	offer_many(&rig, 150, counts);
	CU_ASSERT(counts[ROOM_TAKE] == 50 && counts[ROOM_DEAD_LETTER] == 100);
	CU_ASSERT_EQUAL(rig.journal->waiting, 50);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1); /* the newest died */
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DEAD_LETTERED), 100);
	CU_ASSERT_EQUAL(rig_stats(&rig).dead, 100);
	CU_ASSERT_STRING_EQUAL(rig.journal->last_reason, "outbox full");
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT(logged("event=dead_letters destination=sink first=51 last=150 count=100 reason=\"outbox full\""));
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 50);
	offer_many(&rig, 10, counts);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 60);
	finish(&rig);
}

/* Not yet stored they are not delivered either, whether the window has them in sight or reads them back. */
static void test_dead_letters_under_way(void)
{
	for (unsigned lookahead = 10; lookahead <= 10000; lookahead *= 1000) {
		struct rig rig;
		unsigned counts[4] = {0};
		begin(&rig, WHEN_FULL_DEAD_LETTER, 50);
		rig.outbox.lookahead = lookahead;
		rig.journal->hold_letters = true;
		rig_start(&rig);
		offer_many(&rig, 60, counts);
		rig_up(&rig);
		rig_deliver_all(&rig);
		CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 50);
		CU_ASSERT_EQUAL(rig.journal->waiting, 10);
		offer_many(&rig, 5, counts);
		rig_deliver_all(&rig);
		CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 55);
		courier_drain(rig.courier, NULL, NULL);
		fake_journal_answer(rig.journal);
		settle(&rig);
		CU_ASSERT_EQUAL(rig.journal->waiting, 0);
		CU_ASSERT_EQUAL(total(&rig, JOURNAL_DEAD_LETTERED), 10);
		finish(&rig);
	}
}

/* dead_max_bytes is reached: sources wait, what is under way is tried again, and goes when there is room. */
static void test_dead_letters_are_full(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DEAD_LETTER, 50);
	rig_start(&rig);
	rig.journal->dead_letter_error = -ENOSPC;
	offer_many(&rig, 100, counts);
	CU_ASSERT_EQUAL(counts[ROOM_TAKE], 50);
	CU_ASSERT(counts[ROOM_DEAD_LETTER] >= 1 && counts[ROOM_DEAD_LETTER] <= 7); /* until the first answer */
	CU_ASSERT_EQUAL(counts[ROOM_WAIT], 50 - counts[ROOM_DEAD_LETTER]);
	CU_ASSERT(logged("event=dead_letter_failed"));
	loop_sim_advance(rig.loop, 600000);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	CU_ASSERT(n_lines < 30);
	rig.journal->dead_letter_error = 0;
	loop_sim_advance(rig.loop, 120000);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DEAD_LETTERED), counts[ROOM_DEAD_LETTER]);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 1), ROOM_DEAD_LETTER);
	finish(&rig);
}

/* While they are stored the memory that they take is bounded. */
static void test_dead_letters_memory(void)
{
	static char large[100000];
	struct rig rig;
	begin(&rig, WHEN_FULL_DEAD_LETTER, 1);
	rig.journal->hold_letters = true;
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.payload = slice_of(large, sizeof large);
	unsigned n = 0;
	while (offer(&rig, view) != ROOM_WAIT)
		n++;
	CU_ASSERT(n > 35 && n < 45);
	rig_durable(&rig);
	fake_journal_answer(rig.journal);
	settle(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DEAD_LETTERED), n - 1);
	finish(&rig);
}

/* A crash before they are stored: they simply wait. */
static void test_dead_letters_and_a_crash(void)
{
	struct rig rig;
	unsigned counts[4] = {0};
	begin(&rig, WHEN_FULL_DEAD_LETTER, 50);
	rig.journal->hold_letters = true;
	rig_start(&rig);
	offer_many(&rig, 60, counts);
	rig_stop(&rig);
	fake_journal_restart(rig.journal);
	rig_start(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 60);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(total(&rig, JOURNAL_DELIVERED), 60);
	finish(&rig);
}

/* Everything at once, at random. */
static void churn(enum when_full when_full, enum drain drain, uint64_t *random)
{
	struct rig rig;
	unsigned counts[4] = {0};
	uint64_t dropped = 0;
	begin(&rig, when_full, 40);
	rig.outbox.lookahead = 30;
	rig.outbox.drain = (int)drain;
	rig_start(&rig);
	for (unsigned round = 0; round < 600; round++) {
		*random = *random * 6364136223846793005u + 1442695040888963407u;
		unsigned what = (unsigned)(*random >> 40) % 8, n = (unsigned)(*random >> 50) % 30;
		if (what < 4)
			offer_many(&rig, n, counts);
		else if (what == 4 && !rig.link.up)
			rig_up(&rig);
		else if (what == 5 && rig.link.up)
			rig_down(&rig);
		else if (what == 6)
			loop_sim_advance(rig.loop, 500);
		for (uint64_t seq = rig.journal->oldest; n-- && seq <= rig.journal->n_records; seq++)
			if (what == 7 && rig_in_flight(&rig, seq))
				rig_outcome(&rig, seq,
					(*random >> seq % 30) % 5 ? OUTCOME_DELIVERED
					: (*random >> 60) % 2     ? OUTCOME_RETRY
								  : OUTCOME_REJECTED);
	}
	dropped = counts[ROOM_DROP];
	CU_ASSERT_EQUAL(rig.journal->n_records, counts[ROOM_TAKE] + counts[ROOM_DEAD_LETTER]);
	CU_ASSERT_EQUAL(rig_stats(&rig).dropped, dropped + total(&rig, JOURNAL_DROPPED_OLDEST));
	finish(&rig);
}

static void test_churn(void)
{
	uint64_t random = 7;
	for (unsigned i = 0; i < 40; i++)
		churn((enum when_full)(i % 4), i % 8 < 4 ? DRAIN_OLDEST_FIRST : DRAIN_LIVE_FIRST, &random);
}

static const struct tap_test tests[] = {
	{"block", test_block},
	{"drop_newest", test_drop_newest},
	{"drop_oldest", test_drop_oldest},
	{"drop_oldest by bytes", test_drop_oldest_by_bytes},
	{"drop_oldest: a message larger than the outbox", test_large_message},
	{"drop_oldest: what may not be dropped", test_some_may_not_go},
	{"drop_oldest: what was in flight", test_what_was_in_flight},
	{"drop_oldest: nothing may be dropped", test_nothing_may_go},
	{"drop_oldest: more than can be held", test_backlog},
	{"drop_oldest: the same behind what stays", test_backlog_behind_what_stays},
	{"drop_oldest: smaller limits after a restart", test_smaller_limits_after_a_restart},
	{"drop_oldest: done ranges are bounded", test_done_ranges},
	{"drop_oldest: between two tries", test_between_two_tries},
	{"dead_letter", test_dead_letter},
	{"dead_letter: not stored yet", test_dead_letters_under_way},
	{"dead_letter: no room for them either", test_dead_letters_are_full},
	{"dead_letter: memory", test_dead_letters_memory},
	{"dead_letter: a crash before they are stored", test_dead_letters_and_a_crash},
	{"all of it at random", test_churn},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("courier, outbox full", tests);
}
