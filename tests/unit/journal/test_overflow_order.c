/* SPDX-License-Identifier: Apache-2.0 */
/* spill and overflow logs: appends, DONEs, drops, crashes, reads and steps of the journal in any order. */
#include <stdio.h>

#include "tests/unit/journal/rig.h"

#define BODY 10000u

static int hooks; /* the other destination, never away */

static void open_both(struct rig *rig)
{
	rig_open(rig);
	hooks = journal_destination(rig->j, "web/hooks");
	CU_ASSERT_FATAL(hooks >= 0);
	rig_run(rig);
}

static int append_to(struct rig *rig, int dest)
{
	static uint8_t body[BODY];
	struct message_view view = {.topic = slice_str("plant/a"),
		.order_key = slice_str("plant/a"),
		.payload = slice_of(body, sizeof body),
		.origin_ms = 1600000000000};
	struct journal_entry entry = {.dest = (uint32_t)dest, .view = &view};
	uint64_t lsn;
	return journal_append(rig->j, &entry, 1, NULL, 0, &lsn);
}

static uint32_t below(uint32_t *rng, uint32_t n)
{
	*rng = *rng * 1664525u + 1013904223u;
	return (*rng >> 8) % n;
}

static void finish_some(struct rig *rig, int dest, uint32_t *rng)
{
	struct journal_outbox box = journal_outbox(rig->j, (uint32_t)dest);
	for (uint64_t seq = box.oldest_undone; seq < box.next_seq && seq < box.oldest_undone + 40; seq++)
		if (below(rng, 3))
			journal_finish(rig->j, (uint32_t)dest, seq, BODY, JOURNAL_DELIVERED);
}

/* What the journal says that waits can be read. */
static void check_what_waits(struct rig *rig)
{
	struct rig_read *read = rig_read_all(rig, rig->dest, 1);
	CU_ASSERT_EQUAL(read->n, journal_outbox(rig->j, (uint32_t)rig->dest).waiting);
	rig_read_free(read);
	CU_ASSERT_EQUAL(rig_logged("event=journal_damage"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_quarantine"), 0);
	CU_ASSERT_EQUAL(rig_logged("event=journal_spill_failed"), 0);
}

static void step_some(struct rig *rig, uint32_t *rng)
{
	for (uint32_t steps = below(rng, 12); steps && journal_step(rig->j); steps--)
		if (below(rng, 3))
			loop_sim_advance(rig->loop, 0);
}

static void do_something(struct rig *rig, uint32_t *rng)
{
	switch (below(rng, 40)) {
	case 0:
		rig_crash(rig);
		open_both(rig);
		break;
	case 1:
		if (below(rng, 4) == 0 && journal_drop_destination(rig->j, (uint32_t)rig->dest) == 0)
			rig->dest = journal_destination(rig->j, "lake");
		break;
	case 2:
	case 3:
		finish_some(rig, rig->dest, rng);
		break;
	case 4:
		loop_sim_advance(rig->loop, 1000);
		break;
	case 5:
		check_what_waits(rig);
		break;
	default:
		for (uint32_t n = below(rng, 8); n; n--)
			if (append_to(rig, below(rng, 3) ? hooks : rig->dest) < 0)
				rig_run(rig);
		if (below(rng, 2))
			finish_some(rig, hooks, rng);
	}
	step_some(rig, rng);
}

static void test_any_order(void)
{
	for (uint32_t seed = 1; seed <= 12; seed++) {
		struct rig rig;
		uint32_t rng = seed;
		rig_init(&rig);
		rig.max_bytes = 3 * RIG_SEGMENT;
		open_both(&rig);
		for (unsigned i = 0; i < 1500; i++)
			do_something(&rig, &rng);
		check_what_waits(&rig);
		rig_fini(&rig);
	}
}

static const struct tap_test tests[] = {
	{"in any order", test_any_order},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("journal overflow order", tests);
}
