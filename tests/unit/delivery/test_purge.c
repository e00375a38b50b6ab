/* SPDX-License-Identifier: Apache-2.0
 *
 * A destination paused by hand, and messages thrown away by hand: what may go and what may not.
 */
#include <stdlib.h>

#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static enum courier_purged purge(struct rig *rig, uint64_t seq, uint8_t qos)
{
	struct courier_purge item = {.seq = seq, .bytes = FAKE_BYTES, .qos = qos};
	courier_purge(rig->courier, &item, 1);
	return item.result;
}

static void publish_qos(struct rig *rig, size_t n, uint8_t qos)
{
	for (size_t i = 0; i < n; i++) {
		struct message_view view = rig_view(rig, "k");
		view.qos = qos;
		rig_append_view(rig, &view);
	}
	rig_durable(rig);
}

static void test_pause(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.traits.max_in_flight = 2;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 5, "k");
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	courier_pause(rig.courier, true);
	CU_ASSERT(rig_stats(&rig).paused);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED); /* what is in flight ends */
	rig_outcome(&rig, 2, OUTCOME_RETRY);
	loop_sim_advance(rig.loop, 3600 * 1000);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	rig_publish(&rig, 1, "k"); /* intake goes on */
	rig_down(&rig);
	rig_up(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	courier_pause(rig.courier, false);
	rig.on_send = rig_deliver_at_once;
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 6);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_waiting(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_publish(&rig, 4, "k");
	CU_ASSERT_EQUAL(purge(&rig, 2, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(purge(&rig, 2, 1), COURIER_PURGE_GONE);
	CU_ASSERT_EQUAL(purge(&rig, 1, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig.journal->totals[JOURNAL_PURGED], 2);
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 2);
	CU_ASSERT_EQUAL(rig.link.sent[0].seq, 3);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 2);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_in_flight(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	rig_up(&rig);
	publish_qos(&rig, 3, 2);
	CU_ASSERT_EQUAL(purge(&rig, 1, 2), COURIER_PURGE_KEPT);
	CU_ASSERT_EQUAL(purge(&rig, 2, 2), COURIER_PURGED);
	rig_down(&rig);
	CU_ASSERT_EQUAL(purge(&rig, 1, 2), COURIER_PURGE_KEPT); /* the peer may have it */
	CU_ASSERT_EQUAL(purge(&rig, 3, 2), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* QoS 1 may be sent again or not: a repetition that does not come harms nobody. */
static void test_maybe_sent_qos_1(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_up(&rig);
	publish_qos(&rig, 1, 1);
	CU_ASSERT_EQUAL(purge(&rig, 1, 1), COURIER_PURGE_KEPT);
	rig_down(&rig);
	CU_ASSERT_EQUAL(purge(&rig, 1, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* An earlier process may have sent what it found waiting. */
static void test_after_restart(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	publish_qos(&rig, 2, 2);
	rig_stop(&rig);
	rig_start(&rig);
	publish_qos(&rig, 1, 2);
	CU_ASSERT_EQUAL(purge(&rig, 1, 2), COURIER_PURGE_KEPT);
	CU_ASSERT_EQUAL(purge(&rig, 3, 2), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Far beyond what the courier holds, and in its tail. */
static void test_beyond_window(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.lookahead = 16;
	rig_start(&rig);
	rig_publish(&rig, 200, "k");
	for (uint64_t seq = 5; seq <= 198; seq++)
		CU_ASSERT_EQUAL(purge(&rig, seq, 1), COURIER_PURGED);
	rig_publish(&rig, 1, "k");
	rig.on_send = rig_deliver_at_once;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 10000);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig.link.n_sent, 7); /* 1 to 4, 199, 200, 201 */
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 7);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* What overtakes is held apart. */
static void test_live_first(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.lookahead = 16;
	rig.outbox.drain = DRAIN_LIVE_FIRST;
	rig.traits.max_in_flight = 1;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 100, "k");
	uint64_t live = rig_append(&rig, "another");
	CU_ASSERT_EQUAL(rig.link.n_sent, 1);
	CU_ASSERT_EQUAL(courier_stats(rig.courier).held, 17); /* 16 and the one that overtakes */
	rig_durable(&rig);
	CU_ASSERT_EQUAL(purge(&rig, live, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(purge(&rig, 50, 1), COURIER_PURGED);
	rig.on_send = rig_deliver_at_once;
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	loop_sim_advance(rig.loop, 10000);
	CU_ASSERT_EQUAL(rig_stats(&rig).delivered, 99);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* The done ranges of a destination have an end: every second one cannot go for ever, the oldest always can. */
static void test_ranges(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_publish(&rig, 9000, "k");
	unsigned purged = 0;
	for (uint64_t seq = 2; seq <= 9000; seq += 2)
		purged += purge(&rig, seq, 1) == COURIER_PURGED;
	CU_ASSERT_EQUAL(purged, JOURNAL_MAX_DONE_RANGES);
	CU_ASSERT_EQUAL(purge(&rig, 9000, 1), COURIER_PURGE_NO_ROOM);
	CU_ASSERT_EQUAL(purge(&rig, 1, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(purge(&rig, 9000, 1), COURIER_PURGED);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static const struct tap_test tests[] = {
	{"a paused destination sends nothing new", test_pause},
	{"what waits", test_waiting},
	{"what is or was in flight with QoS 2 is kept", test_in_flight},
	{"what was in flight with QoS 1 may go", test_maybe_sent_qos_1},
	{"what an earlier process may have sent with QoS 2 is kept", test_after_restart},
	{"what is not held", test_beyond_window},
	{"what overtakes", test_live_first},
	{"no more done ranges than there may be", test_ranges},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("purge", tests);
}
