/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches: how they are made, that nothing of one goes before its bounds are durable, that it stays the same one over
 * retries and restarts, and how it ends. The rig checks each delivery: in order, one batch at a time, without a gap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

/* Messages of one topic. */
static bool same_batch(const void *settings, const struct message_view *first, const struct message_view *next)
{
	(void)settings;
	return slice_equal(first->topic, next->topic);
}

static void setup(struct rig *rig, uint32_t max_messages, uint64_t wait_ms)
{
	rig_init(rig);
	rig->connector.batching = rig_batching;
	rig->connector.same_batch = same_batch;
	rig->batching = (struct batching){.max_messages = max_messages, .max_bytes = 1u << 20, .wait_ms = wait_ms};
	rig->traits.max_in_flight = 1; /* counts batches */
}

static void begin(struct rig *rig, uint32_t max_messages, uint64_t wait_ms)
{
	setup(rig, max_messages, wait_ms);
	rig_start(rig);
	rig_up(rig);
}

/* The bounds that were asked for become durable. */
static void turn(struct rig *rig)
{
	loop_sim_advance(rig->loop, 0);
	rig_durable(rig);
	loop_sim_advance(rig->loop, 0);
}

static void answer(struct rig *rig, uint64_t first, uint64_t last, const struct outcome *outcome)
{
	for (uint64_t seq = first; seq <= last; seq++)
		rig_outcome_full(rig, seq, outcome);
	loop_sim_advance(rig->loop, 0);
}

static void deliver(struct rig *rig, uint64_t first, uint64_t last)
{
	answer(rig, first, last, &(struct outcome){.kind = OUTCOME_DELIVERED});
}

/* In flight is that batch, and nothing else. */
static bool flies(const struct rig *rig, uint64_t first, uint64_t last)
{
	if (rig->link.n_in_flight != last - first + 1)
		return false;
	for (size_t i = rig->link.n_sent - rig->link.n_in_flight; i < rig->link.n_sent; i++)
		if (rig->link.sent[i].batch_first != first || rig->link.sent[i].batch_last != last)
			return false;
	return rig_in_flight(rig, first) && rig_in_flight(rig, last);
}

static struct message_view on_topic(const struct rig *rig, const char *topic)
{
	struct message_view view = rig_view(rig, "a");
	view.topic = slice_str(topic);
	return view;
}

static void test_full_ones(void)
{
	struct rig rig;
	begin(&rig, 4, 1000);
	rig_publish(&rig, 9, "a");
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0); /* its bounds are not durable */
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 4));
	CU_ASSERT_EQUAL(rig.link.send_ends, 1);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1); /* one at a time */
	deliver(&rig, 1, 4);
	CU_ASSERT_EQUAL(rig.journal->oldest, 5);
	turn(&rig);
	CU_ASSERT(flies(&rig, 5, 8));
	deliver(&rig, 5, 8);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0); /* the ninth waits for more */
	loop_sim_advance(rig.loop, 999);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 2);
	loop_sim_advance(rig.loop, 1);
	turn(&rig);
	CU_ASSERT(flies(&rig, 9, 9));
	deliver(&rig, 9, 9);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 9);
	CU_ASSERT_EQUAL(rig.link.send_ends, 3);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The wait counts from when the first one became durable, also while another batch is in flight. */
static void test_wait(void)
{
	struct rig rig;
	begin(&rig, 10, 100);
	rig_publish(&rig, 1, "a");
	loop_sim_advance(rig.loop, 60);
	rig_publish(&rig, 1, "b"); /* does not begin it again */
	loop_sim_advance(rig.loop, 40);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 2));
	rig_publish(&rig, 1, "a");
	loop_sim_advance(rig.loop, 70);
	deliver(&rig, 1, 2);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1);
	loop_sim_advance(rig.loop, 30);
	turn(&rig);
	CU_ASSERT(flies(&rig, 3, 3));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_without_wait(void)
{
	struct rig rig;
	begin(&rig, 10, 0);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_bytes_and_targets(void)
{
	static char large[1000];
	struct rig rig;
	setup(&rig, 100, 1000);
	rig.batching.max_bytes = 2500;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view a = on_topic(&rig, "a"), b = on_topic(&rig, "b"), huge = on_topic(&rig, "b");
	a.payload = slice_of(large, sizeof large);
	static char beyond[5000];
	huge.payload = slice_of(beyond, sizeof beyond);
	for (unsigned i = 0; i < 3; i++)
		rig_append_view(&rig, &a); /* two fit */
	rig_append_view(&rig, &b);
	rig_append_view(&rig, &huge); /* more than a batch holds: goes alone */
	rig_append_view(&rig, &b);
	rig_durable(&rig);
	static const uint64_t bounds[][2] = {{1, 2}, {3, 3}, {4, 4}, {5, 5}};
	for (unsigned i = 0; i < 4; i++) {
		turn(&rig);
		CU_ASSERT(flies(&rig, bounds[i][0], bounds[i][1]));
		deliver(&rig, bounds[i][0], bounds[i][1]);
	}
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0); /* the last one waits for more */
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Not durable yet: not in it, however little is missing. */
static void test_only_what_is_durable(void)
{
	struct rig rig;
	begin(&rig, 4, 50);
	rig_publish(&rig, 2, "a");
	rig_append(&rig, "a");
	loop_sim_advance(rig.loop, 50);
	CU_ASSERT_EQUAL_FATAL(rig.journal->n_batches, 1);
	CU_ASSERT_EQUAL(rig.journal->batches[0].last, 2);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 2));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The same one again, after the back-off or what the peer asks for, and nothing behind it before. */
static void test_retry(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	rig_publish(&rig, 5, "b");
	answer(&rig, 1, 3, &(struct outcome){.kind = OUTCOME_RETRY, .reason = "503", .retry_after_ms = 5000});
	loop_sim_advance(rig.loop, 4999);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1);
	loop_sim_advance(rig.loop, 1);
	CU_ASSERT(flies(&rig, 1, 3)); /* its bounds are durable long since */
	CU_ASSERT_EQUAL(rig.link.sent[3].attempt, 2);
	CU_ASSERT_EQUAL(rig.link.sent[5].attempt, 2);
	deliver(&rig, 1, 3);
	turn(&rig);
	CU_ASSERT(flies(&rig, 4, 6));
	CU_ASSERT_EQUAL(rig.journal->n_batches, 2);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_link_down(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig_publish(&rig, 5, "a");
	turn(&rig);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED); /* of the others nobody will hear */
	rig_down(&rig);
	loop_sim_advance(rig.loop, 100000);
	rig_up(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	CU_ASSERT_TRUE(rig.link.sent[3].maybe_sent && rig.link.sent[4].maybe_sent);
	CU_ASSERT_EQUAL(rig.link.sent[3].attempt, 1); /* it does not count */
	rig_outcome(&rig, 1, OUTCOME_LINK_DOWN); /* by the word of the sink */
	rig_outcome(&rig, 2, OUTCOME_LINK_DOWN);
	rig_outcome(&rig, 3, OUTCOME_LINK_DOWN);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	rig_up(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	deliver(&rig, 1, 3);
	turn(&rig);
	CU_ASSERT(flies(&rig, 4, 5));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void go_down_at_the_second(struct rig *rig, const struct delivery *delivery)
{
	if (delivery->seq == 2)
		rig_down(rig);
}

static void refuse_at_the_second(struct rig *rig, const struct delivery *delivery)
{
	if (delivery->seq == 2)
		rig_outcome(rig, 2, OUTCOME_LINK_DOWN);
}

static void test_down_while_it_is_sent(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig.on_send = go_down_at_the_second;
	rig_publish(&rig, 3, "a");
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	rig.on_send = refuse_at_the_second;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 4);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED); /* of half a batch: means nothing */
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.journal->oldest, 4);
	CU_ASSERT_EQUAL(rig.link.send_ends, 1);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_rejected(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig_publish(&rig, 6, "a");
	turn(&rig);
	answer(&rig, 1, 3, &(struct outcome){.kind = OUTCOME_REJECTED, .reason = "400 Bad Request"});
	turn(&rig);
	for (uint64_t seq = 1; seq <= 3; seq++)
		CU_ASSERT_EQUAL(fake_record(rig.journal, seq)->end, FAKE_DEAD);
	CU_ASSERT_STRING_EQUAL(rig.journal->last_reason, "400 Bad Request");
	CU_ASSERT_EQUAL(rig_stats(&rig).rejected, 3);
	turn(&rig);
	CU_ASSERT(flies(&rig, 4, 6));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_attempts_used_up(void)
{
	struct rig rig;
	setup(&rig, 3, 10);
	rig.outbox.max_attempts = 2;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	struct outcome retry = {.kind = OUTCOME_RETRY, .reason = "500"};
	answer(&rig, 1, 3, &retry);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT(flies(&rig, 1, 3));
	answer(&rig, 1, 3, &retry);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		CU_ASSERT_EQUAL(fake_record(rig.journal, seq)->end, FAKE_DEAD);
		CU_ASSERT_EQUAL(fake_record(rig.journal, seq)->dead_attempts, 2);
	}
	CU_ASSERT_STRING_EQUAL(rig.journal->last_reason, "2 attempts used up, the last: 500");
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What has ended, or is on its way to the dead letters, is between two batches. */
static void test_around_the_dead(void)
{
	struct rig rig;
	setup(&rig, 10, 10);
	rig.journal->hold_letters = true;
	rig_start(&rig);
	rig_up(&rig);
	struct message_view view = rig_view(&rig, "a"), rejected = view, old = view;
	rejected.reject_reason = slice_str("no topic");
	old.expires_ms = loop_wall_ms(rig.loop) + 5;
	rig_append_view(&rig, &rejected);
	rig_append_view(&rig, &view);
	rig_append_view(&rig, &rejected);
	rig_append_view(&rig, &view);
	rig_append_view(&rig, &old);
	rig_append_view(&rig, &view);
	rig_durable(&rig);
	turn(&rig);
	CU_ASSERT(flies(&rig, 2, 2));
	loop_sim_advance(rig.loop, 2000); /* the old one is swept */
	deliver(&rig, 2, 2);
	turn(&rig);
	CU_ASSERT(flies(&rig, 4, 4));
	deliver(&rig, 4, 4);
	turn(&rig);
	CU_ASSERT(flies(&rig, 6, 6));
	deliver(&rig, 6, 6);
	fake_journal_answer(rig.journal);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 1);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Once its bounds are noted nothing expires, and nothing makes room. */
static void test_members_stay(void)
{
	struct rig rig;
	setup(&rig, 3, 10);
	rig.outbox.ttl_ms = 1000;
	rig.outbox.when_full = WHEN_FULL_DROP_OLDEST;
	rig.outbox.max_messages = 10;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	answer(&rig, 1, 3, &(struct outcome){.kind = OUTCOME_RETRY, .reason = "503", .retry_after_ms = 20000});
	rig_publish(&rig, 30, "b");
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 10);
	loop_sim_advance(rig.loop, 10000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 3);
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	loop_sim_advance(rig.loop, 10000);
	CU_ASSERT(flies(&rig, 1, 3));
	deliver(&rig, 1, 3);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void restart(struct rig *rig)
{
	rig_stop(rig);
	fake_journal_restart(rig->journal);
	rig_start(rig);
}

static void test_restart(void)
{
	struct rig rig;
	setup(&rig, 3, 10);
	rig.outbox.ttl_ms = 1000;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	rig.batching.max_messages = 10; /* for the others */
	rig_publish(&rig, 4, "b");
	loop_sim_advance(rig.loop, 10000);
	restart(&rig);
	rig_publish(&rig, 2, "b");
	rig_up(&rig);
	CU_ASSERT(flies(&rig, 1, 3)); /* at once: too old, too few, but noted */
	CU_ASSERT_TRUE(rig.link.sent[3].maybe_sent);
	deliver(&rig, 1, 3);
	loop_sim_advance(rig.loop, 10);
	turn(&rig);
	CU_ASSERT(flies(&rig, 8, 9)); /* the other ones of before were too old */
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A crash before the bounds are durable: they were never sent, and may be others. */
static void test_restart_before_durable(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig_publish(&rig, 3, "a");
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1);
	rig.batching.max_messages = 2;
	restart(&rig);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 0);
	rig_up(&rig);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 2));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Larger than what may be held now: held all the same. */
static void test_recovered_and_large(void)
{
	struct rig rig;
	begin(&rig, 500, 10);
	rig_publish(&rig, 800, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 500));
	rig.outbox.lookahead = 100;
	restart(&rig);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT(flies(&rig, 1, 500));
	deliver(&rig, 1, 500);
	for (unsigned i = 0; i < 3; i++) {
		turn(&rig);
		CU_ASSERT(flies(&rig, 501 + 100 * i, 600 + 100 * i));
		deliver(&rig, 501 + 100 * i, 600 + 100 * i);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Members of a batch of an earlier process stay when room is made; what is behind them goes. */
static void test_recovered_stays(void)
{
	struct rig rig;
	begin(&rig, 500, 10);
	rig_publish(&rig, 800, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 500));
	rig.outbox.lookahead = 100;
	rig.outbox.when_full = WHEN_FULL_DROP_OLDEST;
	rig.outbox.max_messages = 100;
	restart(&rig);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 500); /* the others have gone */
	CU_ASSERT_EQUAL(rig.journal->oldest, 1);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT(flies(&rig, 1, 500));
	deliver(&rig, 1, 500);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The same for one that has not its turn yet, and of which nothing is held: a sector was bad that said how the one before
 * it had ended. */
static void test_second_recovered_stays(void)
{
	struct rig rig;
	begin(&rig, 50, 10);
	rig_publish(&rig, 800, "a");
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 50));
	struct journal_change change = {.type = JOURNAL_BATCH, .seq = 51, .last = 600};
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_append(rig.journal, NULL, 0, &change, 1, &lsn), 0);
	rig_durable(&rig);
	rig.outbox.lookahead = 100;
	rig.outbox.when_full = WHEN_FULL_DROP_OLDEST;
	rig.outbox.max_messages = 100;
	restart(&rig);
	loop_sim_advance(rig.loop, 1000);
	CU_ASSERT_EQUAL_FATAL(rig.journal->waiting, 600);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT(flies(&rig, 1, 50));
	deliver(&rig, 1, 50);
	turn(&rig);
	CU_ASSERT(flies(&rig, 51, 600));
	deliver(&rig, 51, 600);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static enum courier_purged purge(struct rig *rig, uint64_t seq)
{
	struct courier_purge item = {.seq = seq, .bytes = FAKE_BYTES, .qos = 1};
	courier_purge(rig->courier, &item, 1);
	return item.result;
}

/* By hand a member may be taken, but then it is another batch, and the DONE comes before its bounds. */
static void test_purge(void)
{
	struct rig rig;
	begin(&rig, 4, 10);
	rig_publish(&rig, 4, "a");
	turn(&rig);
	CU_ASSERT_EQUAL(purge(&rig, 2), COURIER_PURGE_KEPT); /* in flight */
	rig_outcome(&rig, 2, OUTCOME_RETRY);
	CU_ASSERT_EQUAL(purge(&rig, 2), COURIER_PURGE_KEPT);
	rig_outcome(&rig, 1, OUTCOME_RETRY);
	rig_outcome(&rig, 3, OUTCOME_RETRY);
	rig_outcome(&rig, 4, OUTCOME_RETRY);
	CU_ASSERT_EQUAL(purge(&rig, 2), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig.journal->flushes, 1);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 1));
	restart(&rig);
	rig_up(&rig);
	CU_ASSERT(flies(&rig, 1, 1));
	deliver(&rig, 1, 1);
	loop_sim_advance(rig.loop, 10);
	turn(&rig);
	CU_ASSERT(flies(&rig, 3, 4));
	deliver(&rig, 3, 4);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A crash when some of a rejected batch are dead letters already: the others are not sent under its bounds. */
static void test_half_dead(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig_publish(&rig, 3, "a");
	turn(&rig);
	restart(&rig);
	fake_journal_finish(rig.journal, 1, FAKE_DEAD);
	restart(&rig);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 10);
	turn(&rig);
	CU_ASSERT(flies(&rig, 2, 3));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_pause_and_drain(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	courier_pause(rig.courier, true);
	rig_publish(&rig, 6, "a");
	turn(&rig);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 0);
	courier_pause(rig.courier, false);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	courier_drain(rig.courier, NULL, NULL);
	deliver(&rig, 1, 3);
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	CU_ASSERT_EQUAL(rig.journal->n_batches, 1);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A batch goes as a whole, and the next one when the rate allows it. */
static void test_rate(void)
{
	struct rig rig;
	setup(&rig, 50, 10);
	rig.outbox.max_rate.messages = 100;
	rig.on_send = rig_deliver_at_once;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 500, "a");
	for (unsigned i = 0; i < 400; i++) {
		turn(&rig);
		loop_sim_advance(rig.loop, 10);
	}
	CU_ASSERT(rig.link.n_sent >= 400 && rig.link.n_sent <= 460);
	for (size_t i = 0; i < rig.link.n_sent; i++)
		CU_ASSERT_EQUAL(rig.link.sent[i].batch_last - rig.link.sent[i].batch_first, 49);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The journal does not take the bounds: they are appended later, and nothing goes before. */
static void test_append_fails(void)
{
	struct rig rig;
	begin(&rig, 3, 10);
	rig.journal->append_error = -28;
	rig_publish(&rig, 3, "a");
	turn(&rig);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 0);
	rig.journal->append_error = 0;
	loop_sim_advance(rig.loop, 1000);
	turn(&rig);
	CU_ASSERT(flies(&rig, 1, 3));
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* More than is held, with what comes meanwhile: all of it goes, in full batches but for the last. */
static void test_backlog(void)
{
	struct rig rig;
	setup(&rig, 1000, 10);
	rig_publish(&rig, 30000, "a");
	rig.on_send = rig_deliver_at_once;
	rig_start(&rig);
	rig_up(&rig);
	for (unsigned i = 0; i < 200 && rig.journal->waiting; i++) {
		if (i < 20)
			rig_publish(&rig, 100, "b");
		turn(&rig);
		loop_sim_advance(rig.loop, 1);
	}
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig.link.n_sent, 32000);
	CU_ASSERT(rig.journal->n_batches <= 40);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* A whole batch, refused. */
static void reject_batch(struct rig *rig, uint64_t first, uint64_t last)
{
	rig_publish(rig, last - first + 1, "a");
	turn(rig);
	CU_ASSERT_EQUAL_FATAL(rig_stats(rig).in_flight, last - first + 1);
	answer(rig, first, last, &(struct outcome){.kind = OUTCOME_REJECTED, .reason = "no"});
}

/* Delivered while dead letters have all done ranges, beside one that is done: it still ends as one. */
static void test_no_done_range(void)
{
	struct rig rig;
	setup(&rig, 6000, 10);
	rig.outbox.lookahead = 40000;
	rig.link.light = true;
	rig_start(&rig);
	rig_up(&rig);
	for (uint64_t i = 0; i < 3; i++) {
		rig.journal->hold_letters = true;
		reject_batch(&rig, 6000 * i + 1, 6000 * i + 6000); /* not for all of them there are ranges */
		rig.journal->hold_letters = false;
		fake_journal_answer(rig.journal);
	}
	CU_ASSERT(rig.journal->waiting > JOURNAL_MAX_DONE_RANGES);
	rig_publish(&rig, 2, "a");
	loop_sim_advance(rig.loop, 10);
	turn(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 2);
	rig_publish(&rig, 1, "a");
	struct courier_purge purge = {.seq = 18003, .bytes = FAKE_BYTES, .qos = 1};
	courier_purge(rig.courier, &purge, 1);
	CU_ASSERT_EQUAL(purge.result, COURIER_PURGED);
	rig.journal->hold_letters = true;
	loop_sim_advance(rig.loop, 1000); /* the others are tried again */
	deliver(&rig, 18001, 18002);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 18001)->end, FAKE_UNDONE);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 18002)->end, FAKE_UNDONE);
	rig.journal->hold_letters = false;
	fake_journal_answer(rig.journal);
	loop_sim_advance(rig.loop, 5000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 2);
	CU_ASSERT(rig.journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static const struct tap_test tests[] = {
	{"full ones", test_full_ones},
	{"wait", test_wait},
	{"without wait", test_without_wait},
	{"bytes and targets", test_bytes_and_targets},
	{"only what is durable", test_only_what_is_durable},
	{"retry", test_retry},
	{"link down", test_link_down},
	{"down while it is sent", test_down_while_it_is_sent},
	{"rejected", test_rejected},
	{"attempts used up", test_attempts_used_up},
	{"around the dead", test_around_the_dead},
	{"members stay", test_members_stay},
	{"restart", test_restart},
	{"restart before durable", test_restart_before_durable},
	{"recovered and large", test_recovered_and_large},
	{"recovered, and the outbox is full", test_recovered_stays},
	{"a second one recovered, and the outbox is full", test_second_recovered_stays},
	{"purge", test_purge},
	{"half dead", test_half_dead},
	{"no done range", test_no_done_range},
	{"pause and drain", test_pause_and_drain},
	{"rate", test_rate},
	{"append fails", test_append_fails},
	{"backlog", test_backlog},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier batch", tests);
}
