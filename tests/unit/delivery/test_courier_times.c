/* SPDX-License-Identifier: Apache-2.0
 *
 * How long deliveries take, as the courier counts it: from durable to delivered, whatever lies between; and what it says of
 * the oldest that waits.
 */
#include "runtime/histogram.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

static uint64_t counted(const struct histogram *histogram)
{
	uint64_t n = 0;
	for (size_t i = 0; i <= HISTOGRAM_MAX_BOUNDS; i++)
		n += histogram->counts[i];
	return n;
}

static void test_from_durable(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_up(&rig);
	uint64_t seq = rig_append(&rig, "a");
	loop_sim_advance(rig.loop, 50); /* does not count: it is the source's wait */
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 30);
	rig_outcome(&rig, seq, OUTCOME_DELIVERED);
	const struct histogram *times = courier_delivery_times(rig.courier);
	CU_ASSERT_EQUAL(counted(times), 1);
	CU_ASSERT_EQUAL(times->sum, 30000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* Neither a new link nor an attempt that failed begins it anew. */
static void test_through_cuts_and_retries(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	rig_publish(&rig, 1, "a");
	loop_sim_advance(rig.loop, 1000);
	rig_up(&rig);
	rig_down(&rig);
	loop_sim_advance(rig.loop, 2000);
	rig.traits.cursor_valid = true; /* all is looked at again */
	rig_up(&rig);
	rig_outcome(&rig, 1, OUTCOME_RETRY);
	loop_sim_advance(rig.loop, 4000);
	CU_ASSERT_FATAL(rig_in_flight(&rig, 1));
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(courier_delivery_times(rig.courier)->sum, 7000000);
	CU_ASSERT_EQUAL(rig_stats(&rig).sent, 3);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* When it became durable is not known any more; when it was received is. */
static void test_read_back(void)
{
	struct rig rig;
	rig_init(&rig);
	struct message_view view = rig_view(&rig, "a");
	view.origin_ms = loop_wall_ms(rig.loop);
	rig_append_view(&rig, &view);
	view.origin_ms += 1000000; /* by a clock that was wrong then */
	rig_append_view(&rig, &view);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 5000);
	rig_start(&rig);
	loop_sim_advance(rig.loop, 0);
	loop_sim_advance(rig.loop, 250);
	rig_up(&rig);
	rig_deliver_all(&rig);
	const struct histogram *times = courier_delivery_times(rig.courier);
	CU_ASSERT_EQUAL(counted(times), 2);
	CU_ASSERT_EQUAL(times->sum, 5250000 + 250000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_oldest(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_start(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).oldest_ms, 0);
	struct message_view view = rig_view(&rig, "a");
	uint64_t now_ms = view.origin_ms;
	view.origin_ms = now_ms - 500;
	rig_append_view(&rig, &view);
	view.origin_ms = now_ms - 200;
	rig_append_view(&rig, &view);
	rig_durable(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).oldest_ms, now_ms - 500);
	rig_up(&rig);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(rig_stats(&rig).oldest_ms, now_ms - 200);
	rig_deliver_all(&rig);
	CU_ASSERT_EQUAL(rig_stats(&rig).oldest_ms, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_overtaking(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.drain = DRAIN_LIVE_FIRST;
	rig.outbox.lookahead = 10;
	rig.traits.max_in_flight = 2;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 100, "old");
	loop_sim_advance(rig.loop, 1000);
	uint64_t fresh = rig_append(&rig, "new");
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 70);
	rig_outcome(&rig, 1, OUTCOME_DELIVERED);
	CU_ASSERT_FATAL(rig_in_flight(&rig, fresh));
	rig_outcome(&rig, fresh, OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(courier_delivery_times(rig.courier)->sum, 1070000 + 70000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_overtaking_after_a_restart(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = true;
	rig.outbox.drain = DRAIN_LIVE_FIRST;
	rig.outbox.lookahead = 10;
	rig_publish(&rig, 100, "old");
	struct message_view view = rig_view(&rig, "alarm");
	view.priority = 4;
	rig_append_view(&rig, &view);
	rig_durable(&rig);
	loop_sim_advance(rig.loop, 3000);
	rig_start(&rig);
	loop_sim_advance(rig.loop, 0);
	rig_up(&rig);
	CU_ASSERT(rig_in_flight(&rig, 101));
	rig_deliver_all(&rig);
	loop_sim_advance(rig.loop, 0);
	rig_deliver_all(&rig);
	const struct histogram *times = courier_delivery_times(rig.courier);
	CU_ASSERT_EQUAL(times->sum, counted(times) * 3000000);
	CU_ASSERT(counted(times) > 10);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"from durable to delivered", test_from_durable},
		{"through cuts and retries", test_through_cuts_and_retries},
		{"read back from disk", test_read_back},
		{"the oldest that waits", test_oldest},
		{"what overtakes", test_overtaking},
		{"what overtakes after a restart", test_overtaking_after_a_restart},
		{NULL, NULL},
	};
	return tap_main("times of a courier", tests);
}
