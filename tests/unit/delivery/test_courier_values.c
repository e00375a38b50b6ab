/* SPDX-License-Identifier: Apache-2.0 */
/* The courier and last values (outcome.keep_value): with the DONE or not at all, and in order. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

/* A last value is journalled with its DONE as a reply is; the message is not sent again for that. */
static void test_value(void)
{
	struct rig rig;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .keep_value = true};
	rig_init(&rig);
	rig.take_values = true;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 3, "a");
	rig_outcome_full(&rig, 1, &outcome);
	CU_ASSERT_EQUAL(rig.values, 1);
	struct message_view view = rig_view(&rig, "a");
	CU_ASSERT(slice_equal(view.topic, slice_str(rig.reply_topic)));
	rig.reply_error = -ENOSPC;
	rig_outcome_full(&rig, 2, &outcome);
	CU_ASSERT_EQUAL(rig.values, 1);
	CU_ASSERT_EQUAL(courier_stats(rig.courier).delivered, 1);
	rig_down(&rig);
	loop_sim_advance(rig.loop, 60000);
	rig_up(&rig);
	rig.reply_error = 0;
	loop_sim_advance(rig.loop, 60000);
	CU_ASSERT_EQUAL(rig.values, 2);
	CU_ASSERT_EQUAL(courier_stats(rig.courier).delivered, 2);
	CU_ASSERT_EQUAL(rig.link.n_sent, 4); /* 1, 2, 3, 3: never 2 again */
	rig_deliver_all(&rig); /* kept or not as the outcome says */
	CU_ASSERT(rig.values == 2 && courier_stats(rig.courier).delivered == 3);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

/* One that the journal did not take is not set after a later one, whichever of them is tried again first. */
static void test_values_in_order(void)
{
	struct rig rig;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .keep_value = true};
	rig_init(&rig);
	rig.take_values = true;
	rig_start(&rig);
	rig_up(&rig);
	for (unsigned i = 0; i < 20; i++) {
		char key[8];
		snprintf(key, sizeof key, "k%u", i); /* the first sixteen are in flight together */
		rig_publish(&rig, 1, key);
	}
	rig.reply_error = -ENOSPC;
	for (uint64_t seq = 1; seq <= 5; seq++)
		rig_outcome_full(&rig, seq, &outcome);
	loop_sim_advance(rig.loop, 20000); /* their pauses have become different ones */
	rig.reply_error = 0;
	for (uint64_t seq = 6; seq <= 10; seq++) /* there is room again, but they wait behind the others */
		rig_outcome_full(&rig, seq, &outcome);
	CU_ASSERT_EQUAL(rig.values, 0);
	loop_sim_advance(rig.loop, 120000);
	CU_ASSERT_EQUAL(rig.values, 10);
	for (uint64_t seq = 11; seq <= 20; seq++)
		rig_outcome_full(&rig, seq, &outcome);
	CU_ASSERT(rig.values == 20 && courier_stats(rig.courier).delivered == 20);
	CU_ASSERT_EQUAL(rig.journal->waiting, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_value_that_waits_at_the_end(void)
{
	struct rig rig;
	struct outcome outcome = {.kind = OUTCOME_DELIVERED, .keep_value = true};
	rig_init(&rig);
	rig.take_values = true;
	rig.reply_error = -ENOSPC;
	rig_start(&rig);
	rig_up(&rig);
	rig_publish(&rig, 1, "a");
	rig_outcome_full(&rig, 1, &outcome);
	CU_ASSERT_EQUAL(courier_stats(rig.courier).delivered, 0);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0); /* gives back what it has kept */
}

static const struct tap_test tests[] = {
	{"with the DONE, now or later", test_value},
	{"in order", test_values_in_order},
	{"one that cannot be journalled, at the end", test_value_that_waits_at_the_end},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("courier, last values", tests);
}
