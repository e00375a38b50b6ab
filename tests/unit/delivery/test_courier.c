/* SPDX-License-Identifier: Apache-2.0
 *
 * The courier, one behaviour a test: window, order, retries, dead letters, expiry, link, stages, replies,
 * room, drain.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static struct rig *rig_up_with(bool pipelined)
{
	static struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = pipelined;
	rig_start(&rig);
	rig_up(&rig);
	return &rig;
}

static void finish(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig->journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
}

/* --- sending
 * ---------------------------------------------------------------------------------------------------------
 */

static void test_delivers_what_is_durable(void)
{
	struct rig *rig = rig_up_with(true);
	rig_append(rig, "a");
	rig_append(rig, "b");
	CU_ASSERT_EQUAL(rig->link.n_sent, 0);
	rig->journal->durable = 1;
	courier_durable(rig->courier, 1);
	CU_ASSERT_EQUAL(rig->link.n_sent, 1);
	CU_ASSERT_EQUAL(rig->link.send_ends, 1);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.n_sent, 2);
	CU_ASSERT_EQUAL(rig->link.sent[0].attempt, 1);
	CU_ASSERT_FALSE(rig->link.sent[0].maybe_sent);
	rig_deliver_all(rig);
	CU_ASSERT_EQUAL(rig_stats(rig).delivered, 2);
	CU_ASSERT_EQUAL(rig_stats(rig).held, 0);
	CU_ASSERT_EQUAL(rig_stats(rig).held_bytes, 0);
	finish(rig);
}

static void test_one_send_end_for_a_burst(void)
{
	struct rig *rig = rig_up_with(true);
	rig_publish(rig, 10, "a");
	CU_ASSERT_EQUAL(rig->link.n_sent, 10);
	CU_ASSERT_EQUAL(rig->link.send_ends, 1);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_nothing_before_link_up(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_publish(&rig, 3, "a");
	CU_ASSERT_EQUAL(rig.link.n_sent, 0);
	rig.connector.pipelined_order = true;
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 3);
	rig_deliver_all(&rig);
	finish(&rig);
}

static void test_window_is_the_smaller_one(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.window = 5;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 20, "a");
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 5);
	rig.traits.max_in_flight = 3;
	courier_window(rig.courier, 3);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig.link.n_sent, 5);
	rig_outcome(&rig, 2, OUTCOME_DELIVERED);
	rig_outcome(&rig, 3, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig.link.n_sent, 6);
	rig.traits.max_in_flight = 100;
	courier_window(rig.courier, 100);
	CU_ASSERT_EQUAL(rig.link.n_in_flight, 5);
	rig_deliver_all(&rig);
	finish(&rig);
}

static void test_one_in_flight_for_each_key(void)
{
	struct rig *rig = rig_up_with(false);
	for (int i = 0; i < 3; i++) {
		rig_append(rig, "a");
		rig_append(rig, "b");
	}
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.n_in_flight, 2);
	rig_outcome(rig, 2, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 4));
	CU_ASSERT(rig_in_flight(rig, 1));
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 3));
	rig_deliver_all(rig);
	finish(rig);
}

/* --- retry
 * ------------------------------------------------------------------------------------------------------------
 */

static void test_retry_holds_back_its_key_only(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 2, "a");
	rig_publish(rig, 1, "b");
	rig_outcome(rig, 1, OUTCOME_RETRY);
	CU_ASSERT_FALSE(rig_in_flight(rig, 2));
	rig_publish(rig, 1, "c");
	CU_ASSERT(rig_in_flight(rig, 4));
	loop_sim_advance(rig->loop, 100);
	CU_ASSERT(rig_in_flight(rig, 1));
	CU_ASSERT_EQUAL(rig->link.sent[3].seq, 1);
	CU_ASSERT_EQUAL(rig->link.sent[3].attempt, 2);
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 2));
	rig_deliver_all(rig);
	CU_ASSERT_EQUAL(rig_stats(rig).retried, 1);
	finish(rig);
}

static void test_retry_stops_a_pipelined_key(void)
{
	struct rig *rig = rig_up_with(true);
	rig_publish(rig, 3, "a");
	rig_outcome(rig, 1, OUTCOME_RETRY);
	rig_publish(rig, 2, "a"); /* 4, 5: must wait */
	rig_publish(rig, 1, "b"); /* 6: need not */
	CU_ASSERT(!rig_in_flight(rig, 4) && !rig_in_flight(rig, 5) && rig_in_flight(rig, 6));
	rig_outcome(rig, 2, OUTCOME_RETRY);
	rig_outcome(rig, 3, OUTCOME_DELIVERED);
	loop_sim_advance(rig->loop, 100);
	CU_ASSERT(rig_in_flight(rig, 1) && !rig_in_flight(rig, 2) && !rig_in_flight(rig, 4));
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 2) && !rig_in_flight(rig, 4));
	rig_outcome(rig, 2, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 4) && rig_in_flight(rig, 5));
	rig_deliver_all(rig);
	finish(rig);
}

static void test_backoff_bounds(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	uint64_t ceiling_ms = 100;
	for (uint32_t i = 0; i < 15; i++) {
		uint64_t before_ms = loop_now_ms(rig->loop);
		rig_outcome(rig, 1, OUTCOME_RETRY);
		loop_sim_advance(rig->loop, 60000);
		CU_ASSERT_FATAL(rig_in_flight(rig, 1));
		const struct rig_sent *sent = &rig->link.sent[rig->link.n_sent - 1];
		CU_ASSERT(sent->at_ms - before_ms <= ceiling_ms);
		CU_ASSERT_EQUAL(sent->attempt, i + 2);
		ceiling_ms = 2 * ceiling_ms < 60000 ? 2 * ceiling_ms : 60000;
	}
	rig_deliver_all(rig);
	finish(rig);
}

static void test_retry_after(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	struct outcome outcome = {.kind = OUTCOME_RETRY, .reason = "429", .retry_after_ms = 30000};
	rig_outcome_full(rig, 1, &outcome);
	loop_sim_advance(rig->loop, 29999);
	CU_ASSERT_FALSE(rig_in_flight(rig, 1));
	loop_sim_advance(rig->loop, 1);
	CU_ASSERT(rig_in_flight(rig, 1));
	outcome.retry_after_ms = UINT64_MAX; /* of no sane peer: within a day */
	rig_outcome_full(rig, 1, &outcome);
	loop_sim_advance(rig->loop, 24u * 3600 * 1000);
	CU_ASSERT(rig_in_flight(rig, 1));
	rig_deliver_all(rig);
	finish(rig);
}

static void test_max_attempts(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.max_attempts = 3;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 2, "a");
	for (int i = 0; i < 3; i++) {
		rig_outcome(&rig, 1, OUTCOME_RETRY);
		loop_sim_advance(rig.loop, 1000);
	}
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->end, FAKE_DEAD);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->dead_attempts, 3);
	CU_ASSERT_STRING_EQUAL(rig.journal->last_reason, "3 attempts used up, the last: because");
	CU_ASSERT(rig_in_flight(&rig, 2));
	CU_ASSERT_EQUAL(rig_stats(&rig).dead, 1);
	rig_deliver_all(&rig);
	finish(&rig);
}

/* --- dead letters
 * ----------------------------------------------------------------------------------------------------- */

static void test_rejected_is_out_of_the_order(void)
{
	struct rig *rig = rig_up_with(false);
	rig->journal->hold_letters = true;
	rig_publish(rig, 2, "a");
	rig_outcome(rig, 1, OUTCOME_REJECTED);
	CU_ASSERT(rig_in_flight(rig, 2));
	rig_outcome(rig, 2, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig->journal->waiting, 1);
	fake_journal_answer(rig->journal);
	CU_ASSERT_STRING_EQUAL(rig->journal->last_reason, "because");
	CU_ASSERT_EQUAL(rig_stats(rig).rejected, 1);
	CU_ASSERT_EQUAL(rig_stats(rig).dead, 1);
	finish(rig);
}

static void test_dead_letter_that_cannot_be_stored(void)
{
	struct rig *rig = rig_up_with(false);
	rig->journal->dead_letter_error = -ENOSPC;
	rig_publish(rig, 1, "a");
	rig_outcome(rig, 1, OUTCOME_REJECTED);
	loop_sim_advance(rig->loop, 120000);
	CU_ASSERT_EQUAL(rig->journal->waiting, 1);
	CU_ASSERT_EQUAL(rig->link.n_sent, 1);
	rig->journal->dead_letter_error = 0;
	loop_sim_advance(rig->loop, 60000);
	CU_ASSERT_EQUAL(rig_stats(rig).dead, 1);
	finish(rig);
}

static void test_rejected_by_the_router(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.reject_reason = slice_str("jq: no such field");
	rig_append_view(&rig, &view);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.journal->waiting, 1); /* not before it is durable */
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->end, FAKE_DEAD); /* though the link is down */
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->dead_attempts, 0);
	CU_ASSERT_STRING_EQUAL(rig.journal->last_reason, "jq: no such field");
	CU_ASSERT_EQUAL(rig.link.n_sent, 0);
	finish(&rig);
}

static void test_courier_ends_before_its_letters(void)
{
	struct rig *rig = rig_up_with(false);
	rig->journal->hold_letters = true;
	rig_publish(rig, 1, "a");
	rig_outcome(rig, 1, OUTCOME_REJECTED);
	rig_stop(rig);
	fake_journal_answer(rig->journal);
	finish(rig);
}

/* --- expiry
 * -----------------------------------------------------------------------------------------------------------
 */

static void test_ttl_while_waiting(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.ttl_ms = 60000;
	rig_start(&rig);
	rig_publish(&rig, 5, "a");
	loop_sim_advance(rig.loop, 30000);
	rig_publish(&rig, 1, "a");
	loop_sim_advance(rig.loop, 32000);
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 5);
	CU_ASSERT_EQUAL(rig.journal->waiting, 1);
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 1);
	finish(&rig);
}

static void test_own_expiry_before_sending(void)
{
	struct rig *rig = rig_up_with(false);
	rig->traits.max_in_flight = 1;
	courier_window(rig->courier, 1);
	rig_publish(rig, 1, "a");
	struct message_view view = rig_view(rig, "b");
	view.expires_ms = view.origin_ms + 500;
	rig_append_view(rig, &view);
	rig_durable(rig);
	loop_sim_advance(rig->loop, 600);
	CU_ASSERT_EQUAL(rig->journal->waiting, 2); /* the sweep comes once a second */
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig->link.n_sent, 1);
	CU_ASSERT_EQUAL(rig_stats(rig).expired, 1);
	finish(rig);
}

static void test_expiry_in_a_key_list(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	struct message_view view = rig_view(rig, "a");
	view.expires_ms = view.origin_ms + 500;
	rig_append_view(rig, &view);
	rig_append_view(rig, &view);
	rig_publish(rig, 1, "a");
	loop_sim_advance(rig->loop, 2000);
	CU_ASSERT_EQUAL(rig_stats(rig).expired, 2);
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT(rig_in_flight(rig, 4));
	rig_deliver_all(rig);
	finish(rig);
}

/* More of them than the courier can have waiting at a time. */
static void test_expiry_during_back_off(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.lookahead = 64;
	rig_start(&rig);
	rig_up(&rig);
	struct outcome outcome = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 3600000};
	for (uint64_t seq = 1; seq <= 1000; seq++) {
		struct message_view view = rig_view(&rig, "a");
		view.expires_ms = view.origin_ms + 1000;
		rig_append_view(&rig, &view);
		rig_durable(&rig);
		CU_ASSERT_FATAL(rig_in_flight(&rig, seq));
		rig_outcome_full(&rig, seq, &outcome);
		loop_sim_advance(rig.loop, 3000);
	}
	CU_ASSERT_EQUAL(rig_stats(&rig).expired, 1000);
	finish(&rig);
}

static void test_nothing_expires_on_a_clock_that_stands_back(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.ttl_ms = 1000;
	rig.journal->newest_ms = RIG_WALL_MS + 100000;
	rig.journal->earlier_lsn = 1;
	rig_start(&rig);
	rig_publish(&rig, 2, "a"); /* one of an earlier boot, one of this */
	loop_sim_advance(rig.loop, 99000);
	CU_ASSERT(rig.journal->waiting == 1 && rig.journal->oldest == 1);
	loop_sim_advance(rig.loop, 3000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	finish(&rig);
}

static void test_qos2_that_may_have_been_sent_never_expires(void)
{
	struct rig rig;
	rig_init(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.expires_ms = view.origin_ms + 1000;
	view.qos = 2;
	rig_append_view(&rig, &view);
	view.qos = 1;
	view.order_key = slice_str("b");
	rig_append_view(&rig, &view);
	rig_durable(&rig);
	rig_start(&rig); /* both are recovered: may have been sent */
	loop_sim_advance(rig.loop, 5000);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 1)->end, FAKE_UNDONE);
	CU_ASSERT_EQUAL(fake_record(rig.journal, 2)->end, FAKE_DONE);
	rig_up(&rig);
	CU_ASSERT(rig_in_flight(&rig, 1));
	CU_ASSERT(rig.link.sent[0].maybe_sent);
	rig_deliver_all(&rig);
	finish(&rig);
}

/* --- link
 * -------------------------------------------------------------------------------------------------------------
 */

static void test_link_down_does_not_count(void)
{
	struct rig *rig = rig_up_with(true);
	rig_publish(rig, 3, "a");
	rig_outcome(rig, 2, OUTCOME_DELIVERED);
	for (int i = 0; i < 5; i++) {
		rig_down(rig);
		rig_append(rig, "a");
		rig_durable(rig);
		rig_up(rig);
	}
	const struct rig_sent *sent = &rig->link.sent[rig->link.n_sent - 7];
	CU_ASSERT_EQUAL(sent[0].seq, 1);
	CU_ASSERT_EQUAL(sent[0].attempt, 1);
	CU_ASSERT(sent[0].maybe_sent);
	CU_ASSERT_EQUAL(sent[1].seq, 3);
	CU_ASSERT_EQUAL(sent[6].seq, 8);
	CU_ASSERT_FALSE(sent[6].maybe_sent);
	CU_ASSERT_EQUAL(rig_stats(rig).link_downs, 5);
	CU_ASSERT_EQUAL(rig_stats(rig).retried, 0);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_backoff_outlives_a_flap(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 2, "a");
	rig_publish(rig, 1, "b");
	struct outcome outcome = {.kind = OUTCOME_RETRY, .reason = "later", .retry_after_ms = 5000};
	rig_outcome_full(rig, 1, &outcome);
	rig_down(rig);
	rig_up(rig);
	CU_ASSERT(!rig_in_flight(rig, 1) && !rig_in_flight(rig, 2) && rig_in_flight(rig, 3));
	rig_down(rig);
	loop_sim_advance(rig->loop, 5000); /* due while down */
	rig_up(rig);
	CU_ASSERT(rig_in_flight(rig, 1) && !rig_in_flight(rig, 2));
	rig_deliver_all(rig);
	finish(rig);
}

static void test_outcome_link_down_pauses(void)
{
	struct rig *rig = rig_up_with(true);
	rig_publish(rig, 3, "a");
	rig_outcome(rig, 2, OUTCOME_LINK_DOWN);
	CU_ASSERT_FALSE(rig_stats(rig).link_is_up);
	rig_publish(rig, 1, "b");
	CU_ASSERT_EQUAL(rig->link.n_sent, 3);
	rig_outcome(rig, 1, OUTCOME_DELIVERED); /* still in flight: ends well */
	CU_ASSERT_EQUAL(rig_stats(rig).delivered, 1);
	rig_down(rig);
	CU_ASSERT_EQUAL(rig_stats(rig).link_downs, 1);
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->link.sent[3].seq, 2);
	CU_ASSERT_EQUAL(rig->link.sent[3].attempt, 1);
	CU_ASSERT_EQUAL(rig->link.sent[4].seq, 3);
	CU_ASSERT_EQUAL(rig->link.sent[5].seq, 4);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_link_up_twice(void)
{
	struct rig *rig = rig_up_with(true);
	rig_publish(rig, 2, "a");
	rig_down(rig);
	rig_up(rig);
	rig->link.n_in_flight = 0;
	rig->link.in_flight[1] = rig->link.in_flight[2] = 0;
	rig_up(rig); /* without link_down between: a new connection all the same */
	CU_ASSERT_EQUAL(rig->link.n_sent, 6);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_wrong_outcomes_are_ignored(void)
{
	struct rig *rig = rig_up_with(true);
	struct outcome outcome = {.kind = OUTCOME_DELIVERED};
	courier_outcome(rig->courier, 1, &outcome);
	courier_outcome(rig->courier, UINT64_MAX, &outcome);
	courier_stage(rig->courier, 7, 1);
	rig_publish(rig, 2, "a");
	rig_outcome(rig, 2, OUTCOME_DELIVERED);
	courier_outcome(rig->courier, 2, &outcome);
	rig_outcome(rig, 1, OUTCOME_RETRY);
	courier_outcome(rig->courier, 1, &outcome); /* not in flight now */
	CU_ASSERT_EQUAL(rig->journal->waiting, 1);
	courier_outcome(rig->courier, 0, &outcome);
	loop_sim_advance(rig->loop, 1000);
	rig_deliver_all(rig);
	finish(rig);
}

/* --- stages, replies
 * -------------------------------------------------------------------------------------------------- */

static void test_stage(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	courier_stage(rig->courier, 1, 1);
	courier_stage(rig->courier, 1, 1); /* one answer */
	CU_ASSERT_EQUAL(rig->link.stages_durable, 0);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.stages_durable, 1);
	CU_ASSERT_EQUAL(rig->journal->stages_appended, 1);
	rig_down(rig);
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->link.sent[1].stage, 1);
	rig_stop(rig);
	rig_start(rig);
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->link.sent[2].stage, 1);
	CU_ASSERT(rig->link.sent[2].maybe_sent);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_stage_of_an_old_epoch(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	courier_stage(rig->courier, 1, 1);
	rig_down(rig);
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->link.sent[1].stage, 0);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.stages_durable, 0);
	courier_stage(rig->courier, 1, 1);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.stages_durable, 1);
	rig_deliver_all(rig);
	finish(rig);
}

/* What was sent before is told so once; the stages are void, also those that are still on their way to the disk. */
static void test_lost_session(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	rig_publish(rig, 1, "b");
	rig_publish(rig, 1, "c");
	courier_stage(rig->courier, 1, 1);
	rig_durable(rig);
	courier_stage(rig->courier, 2, 1); /* not durable yet */
	rig_down(rig);
	rig->traits.session_lost = true;
	rig->traits.max_in_flight = 1;
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->journal->stages_appended, 3);
	size_t n = rig->link.n_sent - 1;
	CU_ASSERT(rig->link.sent[n].seq == 1 && rig->link.sent[n].session_lost && rig->link.sent[n].stage == 0);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.stages_durable, 1); /* that of the first connection */
	rig_down(rig); /* at once: the others have not been sent since */
	rig->traits.session_lost = false;
	rig->traits.max_in_flight = 10;
	rig_up(rig);
	const struct rig_sent *sent = &rig->link.sent[n + 1];
	CU_ASSERT(sent[0].seq == 1 && !sent[0].session_lost && sent[0].maybe_sent && sent[0].stage == 0);
	CU_ASSERT(sent[1].seq == 2 && sent[1].session_lost && sent[1].maybe_sent && sent[1].stage == 0);
	CU_ASSERT(sent[2].seq == 3 && sent[2].session_lost);
	rig_publish(rig, 1, "d");
	CU_ASSERT(rig->link.sent[n + 4].seq == 4 && !rig->link.sent[n + 4].session_lost);
	/* A new process knows of no stage either. */
	rig_stop(rig);
	rig_start(rig);
	rig_up(rig);
	CU_ASSERT(rig->link.sent[n + 5].stage == 0 && !rig->link.sent[n + 5].session_lost);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_void_that_cannot_be_appended(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	courier_stage(rig->courier, 1, 1);
	rig_durable(rig);
	rig_down(rig);
	rig->journal->append_error = -ENOSPC;
	rig->traits.session_lost = true;
	rig_up(rig);
	CU_ASSERT_EQUAL(rig->link.n_sent, 1); /* a new stage must not come before it */
	rig->journal->append_error = 0;
	loop_sim_advance(rig->loop, 1000);
	CU_ASSERT(rig->link.n_sent == 2 && rig->link.sent[1].session_lost);
	rig_deliver_all(rig);
	finish(rig);
}

static void test_stage_that_cannot_be_appended(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	rig->journal->append_error = -ENOSPC;
	courier_stage(rig->courier, 1, 1);
	loop_sim_advance(rig->loop, 5000);
	rig->journal->append_error = 0;
	loop_sim_advance(rig->loop, 1000);
	CU_ASSERT_EQUAL(rig->journal->stages_appended, 1);
	rig_durable(rig);
	CU_ASSERT_EQUAL(rig->link.stages_durable, 1);
	rig_deliver_all(rig);
	finish(rig);
}

static void deliver_at_stage(struct rig *rig, uint64_t seq, uint8_t stage)
{
	(void)stage;
	rig_outcome(rig, seq, OUTCOME_DELIVERED);
}

static void test_outcome_inside_stage_durable(void)
{
	struct rig *rig = rig_up_with(false);
	rig->on_stage = deliver_at_stage;
	for (int i = 0; i < 3; i++)
		rig_publish(rig, 1, "abc");
	for (uint64_t seq = 1; seq <= 3; seq++) {
		courier_stage(rig->courier, seq, 1);
		rig_durable(rig);
	}
	finish(rig);
}

static void reply_to(struct rig *rig, uint64_t seq)
{
	struct message_view reply = rig_view(rig, "r");
	reply.topic = slice_str("answer");
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .reply = &reply};
	rig_outcome_full(rig, seq, &outcome);
}

static void test_reply(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.take_replies = rig.want_replies = true;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 2, "a");
	reply_to(&rig, 1);
	CU_ASSERT_EQUAL(rig.replies, 1);
	CU_ASSERT_STRING_EQUAL(rig.reply_topic, "answer");
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 1);
	rig_deliver_all(&rig);
	finish(&rig);
}

static void test_reply_that_cannot_be_appended(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.take_replies = rig.want_replies = true;
	rig.reply_error = -ENOSPC;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 2, "a");
	reply_to(&rig, 1);
	CU_ASSERT(rig_in_flight(&rig, 2)); /* it was delivered: the next one of its key goes */
	rig_down(&rig);
	loop_sim_advance(rig.loop, 60000);
	rig_up(&rig);
	rig.reply_error = 0;
	loop_sim_advance(rig.loop, 60000);
	CU_ASSERT_EQUAL(rig.replies, 1);
	CU_ASSERT_STRING_EQUAL(rig.reply_topic, "answer");
	CU_ASSERT_EQUAL(rig.link.n_sent, 3); /* 1, 2, 2: never 1 again */
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 2);
	finish(&rig);
}

/* Of a key that is stuck, and of others between: the ones of the others are done ranges. */
static void retry_or_reply(struct rig *rig, const struct delivery *delivery)
{
	struct outcome later = {.kind = OUTCOME_RETRY, .reason = "busy", .retry_after_ms = 3600000};
	if (delivery->seq % 2 == 0 || rig->counter)
		reply_to(rig, delivery->seq);
	else
		rig_outcome_full(rig, delivery->seq, &later);
}

/* Replies that find no done range fill the window. The oldest one, which would give ranges back, goes all the same. */
static void test_replies_without_done_ranges(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.take_replies = rig.want_replies = true;
	rig.on_send = retry_or_reply;
	rig_start(&rig);
	for (unsigned i = 0; i < 5000; i++) {
		char key[16];
		snprintf(key, sizeof key, "%u", i);
		rig_append(&rig, "stuck");
		rig_append(&rig, key);
	}
	rig_durable(&rig);
	rig_up(&rig);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT(rig.journal->done_ranges > JOURNAL_MAX_DONE_RANGES - 100);
	CU_ASSERT_EQUAL(rig_stats(&rig).in_flight, 0); /* sixteen wait to be journalled */
	CU_ASSERT(rig.journal->waiting > 5000);
	rig.counter = 1;
	loop_sim_advance(rig.loop, 3600000);
	for (int i = 0; i < 100 && rig.journal->waiting; i++)
		loop_sim_advance(rig.loop, 60000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig.replies, 10000);
	CU_ASSERT(rig.journal->most_done_ranges <= JOURNAL_MAX_DONE_RANGES);
	finish(&rig);
}

static void test_reply_nobody_wants(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.want_replies = true; /* but there is no host for it */
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 1, "a");
	reply_to(&rig, 1);
	CU_ASSERT_EQUAL(rig_stats(&rig).replies_dropped, 1);
	rig.take_replies = true;
	rig.want_replies = false;
	rig_publish(&rig, 1, "a");
	reply_to(&rig, 2);
	CU_ASSERT_EQUAL(rig_stats(&rig).replies_dropped, 1);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 2);
	finish(&rig);
}

/* --- room, drain
 * ------------------------------------------------------------------------------------------------------ */

static void test_room_by_messages(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.max_messages = 4;
	rig_start(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 4, 400), ROOM_TAKE);
	rig_publish(&rig, 4, "a");
	CU_ASSERT_EQUAL(courier_room(rig.courier, 2, 200), ROOM_WAIT);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.rooms, 0); /* two were asked for */
	rig_outcome(&rig, 2, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig.rooms, 0); /* never from inside a call */
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	finish(&rig);
}

static void test_room_by_bytes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.max_bytes = 10 * FAKE_BYTES;
	rig_start(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 5000), ROOM_TAKE); /* larger than all, but the outbox is empty */
	rig_publish(&rig, 10, "a");
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 1), ROOM_WAIT);
	CU_ASSERT_EQUAL(courier_room(rig.courier, 1, 5000), ROOM_WAIT);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	loop_sim_advance(rig.loop, 0);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	finish(&rig);
}

static void on_idle(void *ctx)
{
	((struct rig *)ctx)->idles++;
}

static void test_drain(void)
{
	struct rig *rig = rig_up_with(false);
	rig->journal->hold_letters = true;
	rig_publish(rig, 1, "a");
	rig_publish(rig, 1, "b");
	rig_publish(rig, 1, "c");
	rig_publish(rig, 1, "c");
	courier_drain(rig->courier, on_idle, rig);
	CU_ASSERT_EQUAL(rig->idles, 0);
	rig_outcome(rig, 1, OUTCOME_DELIVERED);
	rig_outcome(rig, 2, OUTCOME_REJECTED);
	rig_outcome(rig, 3, OUTCOME_RETRY);
	loop_sim_advance(rig->loop, 60000);
	CU_ASSERT_EQUAL(rig->idles, 0); /* a letter is under way */
	fake_journal_answer(rig->journal);
	CU_ASSERT_EQUAL(rig->idles, 1);
	CU_ASSERT_EQUAL(rig->link.n_sent, 3);
	CU_ASSERT_EQUAL(rig->journal->waiting, 2);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
}

static void test_drain_when_idle(void)
{
	struct rig *rig = rig_up_with(false);
	courier_drain(rig->courier, on_idle, rig);
	CU_ASSERT_EQUAL(rig->idles, 1);
	rig_publish(rig, 1, "a");
	CU_ASSERT_EQUAL(rig->link.n_sent, 0);
	CU_ASSERT_EQUAL(rig->idles, 1);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
}

static void test_drain_ends_with_the_link(void)
{
	struct rig *rig = rig_up_with(false);
	rig_publish(rig, 1, "a");
	courier_drain(rig->courier, on_idle, rig);
	rig_down(rig);
	CU_ASSERT_EQUAL(rig->idles, 1);
	CU_ASSERT_EQUAL(rig_fini(rig), 0);
}

static const struct tap_test tests[] = {
	{"delivers what is durable", test_delivers_what_is_durable},
	{"one send_end for a burst", test_one_send_end_for_a_burst},
	{"nothing before link_up", test_nothing_before_link_up},
	{"the window is the smaller one", test_window_is_the_smaller_one},
	{"one in flight for each key", test_one_in_flight_for_each_key},
	{"a retry holds back its key only", test_retry_holds_back_its_key_only},
	{"a retry stops a pipelined key", test_retry_stops_a_pipelined_key},
	{"back-off stays within its bounds", test_backoff_bounds},
	{"the peer's wish for a pause", test_retry_after},
	{"attempts used up", test_max_attempts},
	{"rejected is out of the order", test_rejected_is_out_of_the_order},
	{"a dead letter that cannot be stored", test_dead_letter_that_cannot_be_stored},
	{"rejected by the router", test_rejected_by_the_router},
	{"a courier that ends before its letters", test_courier_ends_before_its_letters},
	{"ttl while waiting", test_ttl_while_waiting},
	{"a message's own expiry before sending", test_own_expiry_before_sending},
	{"expiry in the list of a key", test_expiry_in_a_key_list},
	{"expiry during back-off", test_expiry_during_back_off},
	{"nothing expires on a clock that stands back", test_nothing_expires_on_a_clock_that_stands_back},
	{"QoS 2 that may have been sent never expires", test_qos2_that_may_have_been_sent_never_expires},
	{"link down does not count", test_link_down_does_not_count},
	{"back-off outlives a flap", test_backoff_outlives_a_flap},
	{"an outcome LINK_DOWN pauses", test_outcome_link_down_pauses},
	{"link up twice", test_link_up_twice},
	{"wrong outcomes are ignored", test_wrong_outcomes_are_ignored},
	{"stage", test_stage},
	{"the stage of an old epoch", test_stage_of_an_old_epoch},
	{"a lost session", test_lost_session},
	{"a lost session that cannot be journalled yet", test_void_that_cannot_be_appended},
	{"a stage that cannot be appended", test_stage_that_cannot_be_appended},
	{"an outcome inside stage_durable", test_outcome_inside_stage_durable},
	{"reply", test_reply},
	{"a reply that cannot be appended", test_reply_that_cannot_be_appended},
	{"replies without done ranges", test_replies_without_done_ranges},
	{"a reply nobody wants", test_reply_nobody_wants},
	{"room by messages", test_room_by_messages},
	{"room by bytes", test_room_by_bytes},
	{"drain", test_drain},
	{"drain when idle", test_drain_when_idle},
	{"drain ends with the link", test_drain_ends_with_the_link},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier", tests);
}
