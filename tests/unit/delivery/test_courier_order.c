/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything at once, at random, for many seeds: appends, durability, outcomes of all kinds, flapping links, restarts,
 * failing dead letters, stages, replies, windows of any size. The sink and the fake journal check each step; at the end
 * every message has exactly one final outcome, and DELIVERED kept the order of each key. The same with priorities,
 * messages that overtake (drain: live_first) and a bounded rate: then of each key and priority.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

#define SEEDS 400u
#define STEPS 400u

static const char *const key_names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
#define N_KEYS       (sizeof key_names / sizeof key_names[0])
#define N_PRIORITIES (MESSAGE_MAX_PRIORITY + 1u)

struct chaos {
	struct rig rig;
	uint64_t state;
	unsigned n_keys;
	unsigned nasty; /* in 16: share of outcomes that are not DELIVERED */
	bool answer_at_once;
	bool replay; /* priorities, live_first, max_rate */
	unsigned n_priorities;
	uint64_t last_delivered[N_KEYS][N_PRIORITIES];
	uint64_t out_of_order;
	uint64_t overtakings; /* sent before an older one that is not in flight */
	bool delivered[8 * STEPS]; /* by seq */
	uint32_t sent_epoch[8 * STEPS], sent_attempt[8 * STEPS]; /* of the last time */
	uint32_t epoch; /* of the link and the process; from 1 */
};

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static unsigned dice(struct chaos *chaos, unsigned sides)
{
	chaos->state = chaos->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chaos->state >> 33) % sides;
}

static void note_delivered(struct chaos *chaos, uint64_t seq)
{
	const struct message_view *view = message_view(fake_record(chaos->rig.journal, seq)->msg);
	uint64_t *last =
		&chaos->last_delivered[view->order_key.data[0] - 'a'][view->priority + MESSAGE_DEFAULT_PRIORITY];
	CU_ASSERT_FATAL(seq < sizeof chaos->delivered);
	/* After a restart one whose reply had not been journalled comes again, and one whose dead letter had not. */
	if (!chaos->delivered[seq] && !fake_record(chaos->rig.journal, seq)->left_order) {
		chaos->out_of_order += seq < *last;
		*last = seq;
	}
	chaos->delivered[seq] = true;
}

static void random_outcome(struct chaos *chaos, uint64_t seq)
{
	static const enum outcome_kind kinds[] = {OUTCOME_RETRY, OUTCOME_RETRY, OUTCOME_RETRY, OUTCOME_REJECTED};
	struct message_view reply = rig_view(&chaos->rig, "r");
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	if (dice(chaos, 16) < chaos->nasty) {
		outcome.kind = kinds[dice(chaos, 4)];
		outcome.reason = "chance";
		outcome.retry_after_ms = dice(chaos, 4) ? 0 : dice(chaos, 3000);
	} else {
		note_delivered(chaos, seq);
		outcome.reply = dice(chaos, 8) ? NULL : &reply;
	}
	rig_outcome_full(&chaos->rig, seq, &outcome);
}

/* Never again without a reason: a new link or process, or a refusal, which counts as an attempt. */
static void note_sent(struct chaos *chaos, const struct delivery *delivery)
{
	uint64_t seq = delivery->seq;
	CU_ASSERT_FATAL(seq < sizeof chaos->delivered);
	if (chaos->sent_epoch[seq] == chaos->epoch && delivery->attempt <= chaos->sent_attempt[seq]) {
		printf("# sent twice: %u\n", (unsigned)seq);
		chaos->rig.faults++;
	}
	chaos->sent_epoch[seq] = chaos->epoch;
	chaos->sent_attempt[seq] = delivery->attempt;
	for (uint64_t older = chaos->rig.journal->oldest; older < seq; older++)
		if (fake_record(chaos->rig.journal, older)->end == FAKE_UNDONE && !rig_in_flight(&chaos->rig, older)) {
			chaos->overtakings++;
			break;
		}
}

static void on_send(struct rig *rig, const struct delivery *delivery)
{
	struct chaos *chaos = (struct chaos *)rig; /* its first member */
	note_sent(chaos, delivery);
	if (chaos->answer_at_once && dice(chaos, 2))
		random_outcome(chaos, delivery->seq);
}

static uint64_t any_in_flight(struct chaos *chaos)
{
	const struct journal *j = chaos->rig.journal;
	uint64_t n = 0, found = 0;
	for (uint64_t seq = j->oldest; seq <= j->n_records; seq++)
		if (rig_in_flight(&chaos->rig, seq) && dice(chaos, (unsigned)++n) == 0)
			found = seq;
	return found;
}

/* Of what is in flight, some at once, in any order. */
static void deliver_some(struct chaos *chaos)
{
	const struct journal *j = chaos->rig.journal;
	uint64_t seqs[64];
	size_t n = 0;
	for (uint64_t seq = j->oldest; seq <= j->n_records && n < 64; seq++)
		if (rig_in_flight(&chaos->rig, seq) && dice(chaos, 3))
			seqs[n++] = seq;
	for (size_t i = 0; i < n; i++) {
		size_t k = dice(chaos, (unsigned)n);
		uint64_t seq = seqs[i];
		seqs[i] = seqs[k];
		seqs[k] = seq;
	}
	for (uint64_t seq = j->oldest; seq <= j->n_records; seq++) /* each in the order of its key */
		for (size_t i = 0; i < n; i++)
			if (seqs[i] == seq)
				note_delivered(chaos, seq);
	if (n)
		rig_delivered(&chaos->rig, seqs, n);
}

static void append_some(struct chaos *chaos)
{
	for (unsigned n = dice(chaos, 6); n > 0; n--) {
		struct message_view view = rig_view(&chaos->rig, key_names[dice(chaos, chaos->n_keys)]);
		if (dice(chaos, 30) == 0)
			view.reject_reason = slice_str("by the router");
		if (dice(chaos, 10) == 0)
			view.expires_ms = view.origin_ms + dice(chaos, 2000);
		view.qos = (uint8_t)dice(chaos, 3);
		if (chaos->n_priorities > 1)
			view.priority = (int8_t)((int)dice(chaos, chaos->n_priorities) - 2);
		rig_append_view(&chaos->rig, &view);
	}
}

static void make_durable(struct chaos *chaos)
{
	struct journal *j = chaos->rig.journal;
	fake_journal_commit(j, j->durable + dice(chaos, (unsigned)(j->appended - j->durable) + 1));
	courier_durable(chaos->rig.courier, j->durable);
}

/* Sometimes the destination knows more than we do: what was in flight first has arrived. */
static void set_cursor(struct chaos *chaos)
{
	struct rig *rig = &chaos->rig;
	uint64_t seq = rig->journal->oldest;
	rig->traits.cursor_valid = !chaos->replay && dice(chaos, 4) == 0; /* it knows of seq order alone */
	while (rig_in_flight(rig, seq) && dice(chaos, 4))
		seq++;
	rig->traits.done_through = seq - 1;
}

static void flap(struct chaos *chaos)
{
	chaos->epoch++;
	if (chaos->rig.link.up) {
		set_cursor(chaos);
		rig_down(&chaos->rig);
	} else {
		rig_up(&chaos->rig);
	}
}

static void restart(struct chaos *chaos)
{
	chaos->epoch++;
	chaos->rig.traits.cursor_valid = false;
	rig_stop(&chaos->rig);
	fake_journal_restart(chaos->rig.journal);
	/* What was delivered and done without being durable would be sent again; the fake makes DONE durable at once. */
	if (chaos->replay && dice(chaos, 2))
		rig_begin(&chaos->rig); /* something happens before the backlog is read */
	else
		rig_start(&chaos->rig);
	rig_up(&chaos->rig);
}

static void step(struct chaos *chaos)
{
	struct rig *rig = &chaos->rig;
	uint64_t seq = any_in_flight(chaos);
	switch (dice(chaos, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		append_some(chaos);
		break;
	case 4:
	case 5:
	case 6:
		make_durable(chaos);
		break;
	case 7:
		loop_sim_advance(rig->loop, dice(chaos, 500));
		break;
	case 8:
		if (dice(chaos, 4) == 0)
			flap(chaos);
		break;
	case 9:
		rig->journal->dead_letter_error = dice(chaos, 2) ? -ENOSPC : 0;
		rig->journal->append_error = dice(chaos, 4) ? 0 : -ENOSPC;
		rig->reply_error = dice(chaos, 4) ? 0 : -ENOSPC;
		break;
	case 10:
		if (dice(chaos, chaos->replay ? 6 : 20) == 0)
			restart(chaos);
		break;
	case 11:
		if (seq)
			courier_stage(rig->courier, seq, (uint8_t)(1 + dice(chaos, 2)));
		break;
	case 12:
		loop_sim_advance(rig->loop, 0);
		break;
	case 13:
	case 14:
		deliver_some(chaos);
		break;
	default:
		if (seq)
			random_outcome(chaos, seq);
	}
}

static void settle(struct chaos *chaos)
{
	struct rig *rig = &chaos->rig;
	rig->journal->dead_letter_error = rig->journal->append_error = rig->reply_error = 0;
	rig_durable(rig);
	if (!rig->link.up)
		rig_up(rig);
	for (unsigned i = 0; i < 10000 && rig->journal->waiting; i++) {
		for (uint64_t seq; (seq = any_in_flight(chaos)) != 0;)
			random_outcome(chaos, seq);
		loop_sim_advance(rig->loop, 1000);
		rig_durable(rig);
	}
}

static void setup_replay(struct chaos *chaos)
{
	struct outbox_config *outbox = &chaos->rig.outbox;
	outbox->drain = dice(chaos, 4) ? DRAIN_LIVE_FIRST : DRAIN_OLDEST_FIRST;
	outbox->max_rate.messages = dice(chaos, 3) ? 0 : 1 + dice(chaos, 200);
	outbox->max_rate.bytes = dice(chaos, 3) ? 0 : 100 + dice(chaos, 20000);
	outbox->lookahead = dice(chaos, 4) ? 1 + dice(chaos, 40) : 10000;
	chaos->n_priorities = dice(chaos, 3) ? 1 + dice(chaos, 5) : 1;
	chaos->rig.traits.max_in_flight = 1 + dice(chaos, 4);
}

static void setup(struct chaos *chaos, uint64_t seed, bool pipelined, bool replay)
{
	*chaos = (struct chaos){.state = seed * 7919 + 1, .replay = replay, .n_priorities = 1, .epoch = 1};
	struct rig *rig = &chaos->rig;
	rig_init(rig);
	for (int i = 0; i < 8; i++)
		dice(chaos, 2);
	chaos->n_keys = 1 + dice(chaos, N_KEYS);
	chaos->nasty = dice(chaos, 10);
	chaos->answer_at_once = dice(chaos, 2);
	rig->connector.pipelined_order = pipelined;
	rig->traits.max_in_flight = 1 + dice(chaos, 16);
	rig->outbox.lookahead = dice(chaos, 3) ? 1 + dice(chaos, 40) : 10000;
	rig->outbox.window = dice(chaos, 2) ? 0 : 1 + dice(chaos, 8);
	rig->outbox.max_attempts = dice(chaos, 2) ? 0 : 1 + dice(chaos, 5);
	rig->outbox.backoff_max_ms = 1000;
	rig->take_replies = dice(chaos, 2);
	rig->want_replies = true;
	if (replay)
		setup_replay(chaos);
	rig->on_send = on_send;
	rig_start(rig);
	rig_up(rig);
}

struct totals {
	uint64_t overtakings, wrong;
};

static void run(uint64_t seed, bool pipelined, bool replay, struct totals *totals)
{
	static struct chaos chaos;
	setup(&chaos, seed, pipelined, replay);
	for (unsigned i = 0; i < STEPS; i++)
		step(&chaos);
	settle(&chaos);
	struct courier_stats stats = rig_stats(&chaos.rig);
	bool good = chaos.rig.journal->waiting == 0 && stats.held == 0 && stats.held_bytes == 0 && stats.in_flight == 0;
	good = good && (pipelined || chaos.out_of_order == 0);
	uint64_t waiting = chaos.rig.journal->waiting;
	uint64_t faults = rig_fini(&chaos.rig);
	if (!good || faults)
		printf("# seed %u: waiting %u held %u out of order %u faults %u\n", (unsigned)seed, (unsigned)waiting,
			(unsigned)stats.held, (unsigned)chaos.out_of_order, (unsigned)faults);
	totals->wrong += !good || faults;
	totals->overtakings += chaos.overtakings;
}

static uint64_t run_all(bool pipelined, bool replay)
{
	struct totals totals = {0};
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run(seed, pipelined, replay, &totals);
	CU_ASSERT_EQUAL(totals.wrong, 0);
	return totals.overtakings;
}

static void test_one_in_flight_per_key(void)
{
	run_all(false, false);
}

static void test_pipelined(void)
{
	run_all(true, false);
}

static void test_replay(void)
{
	CU_ASSERT(run_all(false, true) > 10000);
}

static void test_replay_pipelined(void)
{
	CU_ASSERT(run_all(true, true) > 10000);
}

/* --- no order ---------------------------------------------------------------------------------------------------- */

static bool no_order(const void *settings)
{
	(void)settings;
	return true;
}

/* Messages of one key are in flight together, as many as the window lets; one that is to go again holds up no other. */
static void test_unordered(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.unordered = no_order;
	rig.traits.max_in_flight = 4;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 10, "a");
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 4);
	rig_outcome(&rig, 3, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(&rig, 5));
	rig_outcome(&rig, 1, OUTCOME_RETRY);
	CU_ASSERT(rig_in_flight(&rig, 6) && !rig_in_flight(&rig, 1));
	for (uint64_t seq = 4; seq <= 10; seq++)
		rig_outcome(&rig, seq, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig.journal->waiting, 2);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT(rig_in_flight(&rig, 1) && rig_in_flight(&rig, 2));
	rig_down(&rig);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* With a backlog that is read back, and with live_first. */
static void test_unordered_backlog(void)
{
	for (int drain = DRAIN_OLDEST_FIRST; drain <= DRAIN_LIVE_FIRST; drain++) {
		struct rig rig;
		rig_init(&rig);
		rig.connector.unordered = no_order;
		rig.outbox.drain = drain;
		rig.traits.max_in_flight = 50;
		rig.outbox.lookahead = 100;
		rig_publish(&rig, 3000, "a");
		rig_start(&rig);
		rig_up(&rig);
		CU_ASSERT_EQUAL(rig.link.n_in_flight, 50);
		rig_publish(&rig, 100, "a");
		rig_deliver_all(&rig);
		CU_ASSERT_EQUAL(rig.journal->waiting, 0);
		CU_ASSERT_EQUAL(rig.link.n_sent, 3100);
		CU_ASSERT_EQUAL(rig_fini(&rig), 0);
	}
}

static const struct tap_test tests[] = {
	{"one in flight per key", test_one_in_flight_per_key},
	{"pipelined", test_pipelined},
	{"priorities and overtaking, one in flight per key", test_replay},
	{"priorities and overtaking, pipelined", test_replay_pipelined},
	{"unordered", test_unordered},
	{"unordered backlog", test_unordered_backlog},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier order", tests);
}
