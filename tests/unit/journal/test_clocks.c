/* SPDX-License-Identifier: Apache-2.0 */
/* The list of clocks by itself, on disk, and in journals that are opened again and again. What follows from it for expiry
 * is tests/unit/delivery/test_courier_clock.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/state.h"
#include "tests/unit/journal/rig.h"

static struct clocks_entry entry(uint64_t first_lsn, uint8_t boot, int64_t offset_ms)
{
	return (struct clocks_entry){.first_lsn = first_lsn,
		.boot = {boot},
		.offset_ms = offset_ms,
		.last_ms = offset_ms,
		.most_ms = offset_ms};
}

static void put(struct clocks *clocks, uint64_t first_lsn, uint8_t boot, int64_t offset_ms)
{
	struct clocks_entry one = entry(first_lsn, boot, offset_ms);
	clocks_put(clocks, &one);
}

static int64_t shift(const struct clocks *clocks, uint64_t lsn, bool exact)
{
	int64_t shift_ms;
	CU_ASSERT_EQUAL(clocks_shift(clocks, lsn, &shift_ms), exact);
	return shift_ms;
}

static void test_shift(void)
{
	struct clocks clocks;
	clocks_init(&clocks);
	CU_ASSERT_EQUAL(shift(&clocks, 5, false), 0);
	put(&clocks, 10, 1, 1000000);
	put(&clocks, 20, 1, 5000000);
	put(&clocks, 30, 2, 7000000);
	put(&clocks, 40, 2, 7000500); /* the same, by half a second */
	put(&clocks, 50, 2, 6000000);
	CU_ASSERT_EQUAL(clocks.n, 4);
	CU_ASSERT_EQUAL(shift(&clocks, 9, false), 0); /* from before there were clocks */
	CU_ASSERT_EQUAL(shift(&clocks, 10, false), 4000000);
	CU_ASSERT_EQUAL(shift(&clocks, 29, false), 0);
	CU_ASSERT_EQUAL(shift(&clocks, 30, true), -1000000);
	CU_ASSERT_EQUAL(shift(&clocks, 49, true), -1000000);
	CU_ASSERT_EQUAL(shift(&clocks, 50, true), 0);
	put(&clocks, 60, 0, 42); /* unknown boots are all different */
	put(&clocks, 70, 0, 43);
	CU_ASSERT_EQUAL(shift(&clocks, 60, false), 0);
	CU_ASSERT_EQUAL(shift(&clocks, 70, true), 0);
	clocks_forget(&clocks);
	CU_ASSERT(clocks.n == 1 && shift(&clocks, 70, true) == 0 && shift(&clocks, 60, false) == 0);
}

static void test_newest(void)
{
	struct clocks clocks;
	clocks_init(&clocks);
	clocks_stamp(&clocks, 300);
	clocks_stamp(&clocks, 200);
	CU_ASSERT_EQUAL(clocks_newest_ms(&clocks), 300);
	put(&clocks, 1, 1, 1000000);
	clocks_stamp(&clocks, 1000400);
	clocks_stamp(&clocks, UINT64_MAX);
	CU_ASSERT_EQUAL(clocks_newest_ms(&clocks), 1000400);
	put(&clocks, 2, 1, 5000); /* it was ahead: by today's clock that time is another */
	CU_ASSERT_EQUAL(clocks_newest_ms(&clocks), 5400);
	put(&clocks, 3, 2, 100);
	CU_ASSERT_EQUAL(clocks_newest_ms(&clocks), 5400);
	clocks_stamp(&clocks, 5300);
	CU_ASSERT(clocks_newest_ms(&clocks) == 5400 && clocks_newest_of_boot_ms(&clocks) == 5300);
}

static void test_no_more_than_64(void)
{
	struct clocks clocks;
	clocks_init(&clocks);
	for (uint64_t i = 0; i < CLOCKS_MAX + 10; i++)
		put(&clocks, 10 + i, 1, (int64_t)i * 5000);
	CU_ASSERT_EQUAL(clocks.n, CLOCKS_MAX);
	CU_ASSERT_EQUAL(shift(&clocks, 19, false), 0);
	CU_ASSERT_EQUAL(shift(&clocks, 20, true), (int64_t)(CLOCKS_MAX - 1) * 5000);
}

static int apply(struct state *state, uint8_t type, uint64_t time_ms, const void *body, size_t len)
{
	struct frame frame = {.type = type, .time_ms = time_ms, .body = slice_of(body, len)};
	return state_apply(state, &frame);
}

static int apply_checkpoint_of(struct state *state, const struct state *said)
{
	size_t size = state_checkpoint_size(said);
	uint8_t *body = malloc(size);
	state_checkpoint(said, body);
	int r = apply(state, FRAME_CHECKPOINT, 0, body, size);
	free(body);
	return r;
}

static void test_checkpoint(void)
{
	struct state state, again;
	state_init(&state);
	state_init(&again);
	state.clocks.earlier_ms = 77;
	put(&state.clocks, 3, 1, -4000);
	put(&state.clocks, 9, 1, 1000000);
	clocks_stamp(&state.clocks, 1000123);
	CU_ASSERT_EQUAL(apply_checkpoint_of(&again, &state), 0);
	CU_ASSERT(again.clocks.n == 2 && memcmp(again.clocks.v, state.clocks.v, 2 * sizeof again.clocks.v[0]) == 0);
	CU_ASSERT(again.clocks.earlier_ms == 77 && again.clocks.newest_boot_ms == 123);
	state_fini(&again);
	state_fini(&state);
}

/* A data folder from before there were clocks. */
static void test_checkpoint_without_clocks(void)
{
	struct state state, older;
	state_init(&older);
	state_init(&state);
	older.clocks.earlier_ms = 1600000000000;
	CU_ASSERT_EQUAL(apply_checkpoint_of(&state, &older), 0);
	CU_ASSERT(state.clocks.n == 0 && clocks_newest_ms(&state.clocks) == 1600000000000);
	put(&state.clocks, 100, 1, 5000);
	CU_ASSERT_EQUAL(shift(&state.clocks, 99, false), 0);
	CU_ASSERT_EQUAL(clocks_newest_ms(&state.clocks), 1600000000000);
	state_fini(&state);
	state_fini(&older);
}

static void test_nonsense_on_disk(void)
{
	struct state state;
	state_init(&state);
	uint8_t body[2 * CLOCKS_ENTRY_LEN];
	struct clocks_entry one = entry(1, 1, 5), back;
	clocks_encode(&one, body);
	clocks_encode(&one, body + CLOCKS_ENTRY_LEN);
	CU_ASSERT(clocks_decode(body, &back) == 0 && memcmp(&one, &back, sizeof one) == 0);
	CU_ASSERT_EQUAL(apply(&state, FRAME_CLOCK, 0, body, sizeof body), 0);
	CU_ASSERT_EQUAL(apply(&state, FRAME_CLOCK, UINT64_MAX, body, sizeof body), 0);
	CU_ASSERT_EQUAL(apply(&state, FRAME_CLOCK, 0, body, 0), -EBADMSG);
	CU_ASSERT_EQUAL(apply(&state, FRAME_CLOCK, 0, body, CLOCKS_ENTRY_LEN + 1), -EBADMSG);
	for (size_t at = 31; at < CLOCKS_ENTRY_LEN; at += 8) { /* the highest byte of each time */
		clocks_encode(&one, body);
		body[at] = 0x7f;
		CU_ASSERT_EQUAL(apply(&state, FRAME_CLOCK, 0, body, CLOCKS_ENTRY_LEN), -EBADMSG);
	}
	state_fini(&state);
}

#define LATER_MS UINT64_C(1700000000000) /* than what rig_append stamps */

static void reopen(struct rig *rig, uint8_t boot, uint64_t now_ms, uint64_t wall_ms)
{
	if (rig->j)
		rig_close(rig);
	loop_free(rig->loop);
	rig->loop = loop_new_simulated(LATER_MS + wall_ms);
	loop_sim_boot(rig->loop, (uint8_t[LOOP_BOOT_LEN]){boot}, now_ms);
	rig_open(rig);
}

static int64_t shift_of(const struct rig *rig, uint64_t lsn, bool exact)
{
	int64_t shift_ms;
	CU_ASSERT_EQUAL(journal_clock_shift(rig->j, lsn, &shift_ms), exact);
	return shift_ms;
}

/* Over many segments and a crash; the messages keep the clock that stamped them. */
static void test_reopened(void)
{
	struct rig rig;
	rig_init(&rig);
	reopen(&rig, 1, 5000, 1000000);
	CU_ASSERT_EQUAL(rig_append(&rig, "first", NULL), 0);
	uint64_t first = journal_appended_lsn(rig.j);
	rig_run(&rig);
	reopen(&rig, 1, 6000, 2000000);
	char *large = calloc(1, 100000);
	for (unsigned i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(rig_append_bytes(&rig, large, 100000, NULL), 0);
		rig_run(&rig);
		if (i % 2)
			journal_finish(rig.j, (uint32_t)rig.dest, i + 1, 100000, JOURNAL_DELIVERED);
	}
	free(large);
	uint64_t second = journal_appended_lsn(rig.j);
	rig_crash(&rig);
	reopen(&rig, 1, 7000, 500000);
	CU_ASSERT_EQUAL(shift_of(&rig, first, true), 500000 - 7000 - (1000000 - 5000));
	CU_ASSERT_EQUAL(shift_of(&rig, second, true), 500000 - 7000 - (2000000 - 6000));
	CU_ASSERT_EQUAL(shift_of(&rig, journal_appended_lsn(rig.j) + 1, true), 0);
	reopen(&rig, 1, 100, 500000); /* boot time has gone back: another one, whatever its name */
	CU_ASSERT_EQUAL(shift_of(&rig, journal_appended_lsn(rig.j) + 1, true), 0);
	rig_fini(&rig);
}

static void test_time_from_the_future(void)
{
	struct rig rig;
	rig_init(&rig);
	reopen(&rig, 1, 5000, 1000000);
	struct message_view view = {.topic = slice_str("a"), .order_key = slice_str("a"), .origin_ms = 2 * LATER_MS};
	struct journal_entry one = {.dest = (uint32_t)rig.dest, .view = &view};
	uint64_t lsn;
	CU_ASSERT_EQUAL(journal_append(rig.j, &one, 1, NULL, 0, &lsn), 0);
	CU_ASSERT_EQUAL(journal_newest_ms(rig.j), LATER_MS + 1000000);
	rig_fini(&rig);
}

static void test_clock_is_set(void)
{
	struct rig rig;
	rig_init(&rig);
	reopen(&rig, 1, 5000, 1000000);
	loop_sim_set_clock(rig.loop, LATER_MS + 1000900);
	loop_sim_advance(rig.loop, 61000);
	CU_ASSERT_EQUAL(rig_logged("event=clock_set"), 0);
	loop_sim_set_clock(rig.loop, LATER_MS + 9000000);
	loop_sim_advance(rig.loop, 61000);
	loop_sim_advance(rig.loop, 61000);
	CU_ASSERT_EQUAL(rig_logged("event=clock_set"), 1);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"within a boot exact, over boots by the latest clock", test_shift},
	{"the newest time, once a clock was set back", test_newest},
	{"no more than 64", test_no_more_than_64},
	{"through a CHECKPOINT", test_checkpoint},
	{"a CHECKPOINT without clocks", test_checkpoint_without_clocks},
	{"nonsense on disk", test_nonsense_on_disk},
	{"a journal opened again", test_reopened},
	{"a message that claims to come from the future", test_time_from_the_future},
	{"the clock is set while the journal is open", test_clock_is_set},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("clocks", tests);
}
