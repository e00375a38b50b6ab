/* SPDX-License-Identifier: Apache-2.0 */
/* Little space left on the disk: messages are refused in time, what says that something is done is not. */
#include <errno.h>

#include "tests/unit/journal/rig.h"

#define MIB UINT64_C(1048576)

static void test_low_space(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.min_free = 32 * MIB;
	sim_disk_set_space(rig.sim, 100 * MIB);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "one", NULL), 0);
	sim_disk_set_space(rig.sim, 32 * MIB - 1); /* somebody else fills it */
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), -ENOSPC);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){.type = JOURNAL_DROPPED, .count = 1}), -ENOSPC);
	CU_ASSERT_EQUAL(
		rig_change(&rig, (struct journal_change){JOURNAL_OPEN, .source = (uint32_t)rig.source, .id = 1}), 0);
	CU_ASSERT_EQUAL(rig_change(&rig, (struct journal_change){JOURNAL_FINISHED, .seq = 1}), 0);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.durable, journal_appended_lsn(rig.j));
	CU_ASSERT_EQUAL(rig_logged("event=low_space free=33554431 min_free=33554432"), 1);
	sim_disk_set_space(rig.sim, 33 * MIB); /* not enough to begin again */
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), -ENOSPC);
	CU_ASSERT_EQUAL(rig.rooms, 0);
	sim_disk_set_space(rig.sim, 34 * MIB);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.rooms, 1);
	CU_ASSERT_EQUAL(rig_append(&rig, "two", NULL), 0);
	CU_ASSERT(rig_logged("event=low_space") == 1 && rig_logged("event=space_again") == 1);
	rig_fini(&rig);
}

/* From the first message on. */
static void test_low_at_the_start(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.min_free = 90 * MIB;
	sim_disk_set_space(rig.sim, 64 * MIB);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "one", NULL), -ENOSPC);
	CU_ASSERT_EQUAL(rig_logged("event=low_space"), 1);
	rig_fini(&rig);
}

static void test_off(void)
{
	struct rig rig;
	rig_init(&rig);
	sim_disk_set_space(rig.sim, 8 * MIB);
	rig_open(&rig);
	CU_ASSERT_EQUAL(rig_append(&rig, "one", NULL), 0);
	rig_fini(&rig);
}

static const struct tap_test tests[] = {
	{"low space, and space again", test_low_space},
	{"low at the start", test_low_at_the_start},
	{"off", test_off},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("free space", tests);
}
