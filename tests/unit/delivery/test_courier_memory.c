/* SPDX-License-Identifier: Apache-2.0
 *
 * What is held takes the memory that is counted for it, and no block that is shared with others that have gone: of what was
 * read back from the journal and stays while its neighbours go. Sanitizers have no figures of the heap: there these tests
 * say nothing.
 */
#include <malloc.h>
#include <stdio.h>

#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

#define FIXED_BYTES (4u * 1024 * 1024) /* of tables and counters, which do not grow with what is pinned */

static void quiet(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static size_t heap_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* Twice what is counted, for malloc's own. */
static void check_held(const struct rig *rig, size_t before, size_t least)
{
	struct courier_stats stats = rig_stats(rig);
	size_t more = heap_in_use() - before;
	CU_ASSERT(stats.held >= least);
	CU_ASSERT(more <= 2 * stats.held_bytes + FIXED_BYTES);
	printf("# %u held: %u KiB counted, %u KiB more in use\n", (unsigned)stats.held,
		(unsigned)(stats.held_bytes / 1024), (unsigned)(more / 1024));
}

static void append(struct rig *rig, const char *key, int priority)
{
	struct message_view view = rig_view(rig, key);
	view.priority = (int8_t)(priority - MESSAGE_DEFAULT_PRIORITY);
	rig_append_view(rig, &view);
}

/* --- alarms that the survey finds ------------------------------------------------------------------------------------- */

/* Every 40th is one: alone in its 16 KiB. */
static void test_surveyed(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.outbox.drain = DRAIN_LIVE_FIRST;
	rig.outbox.lookahead = 100;
	for (unsigned i = 0; i < 60000; i++)
		append(&rig, i % 40 == 39 ? "alarm" : "cell", i % 40 == 39 ? 9 : MESSAGE_DEFAULT_PRIORITY);
	rig_durable(&rig);
	size_t before = heap_in_use();
	rig_start(&rig);
	check_held(&rig, before, 1000);
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static const struct tap_test tests[] = {
	{"alarms that the survey finds", test_surveyed},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier memory", tests);
}
