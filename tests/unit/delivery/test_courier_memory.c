/* SPDX-License-Identifier: Apache-2.0
 *
 * What is held takes the memory that is counted for it, and no block that is shared with others that have gone: of what was
 * read back from the journal and stays while its neighbours go. Sanitizers have no figures of the heap: there these tests
 * say nothing.
 */
#include <malloc.h>
#include <stdio.h>

#include "delivery/window.h"
#include "runtime/log.h"
#include "tests/unit/delivery/courier_rig.h"
#include "tests/unit/tap.h"

#define FIXED_BYTES (6u * 1024 * 1024) /* of tables, which do not grow with what is pinned */

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
	size_t now = heap_in_use();
	CU_ASSERT(stats.held >= least);
	CU_ASSERT(now <= before + 2 * stats.held_bytes + FIXED_BYTES);
	printf("# %u held: %u KiB counted, %u KiB more in use\n", (unsigned)stats.held,
		(unsigned)(stats.held_bytes / 1024), now > before ? (unsigned)((now - before) / 1024) : 0);
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

/* --- what stays while its neighbours go ---------------------------------------------------------------------------------- */

static void refuse_stuck(struct rig *rig, const struct delivery *delivery)
{
	bool stuck = slice_equal(message_view(delivery->msg)->order_key, slice_str("stuck"));
	rig_outcome(rig, delivery->seq, stuck ? OUTCOME_RETRY : OUTCOME_DELIVERED);
}

/* A backlog of 40 keys, of which one's device is off: what it is to get stays until it is back. */
static void test_stuck_key(bool pipelined, int priority)
{
	struct rig rig;
	rig_init(&rig);
	rig.connector.pipelined_order = pipelined;
	rig.outbox.lookahead = 100000;
	rig.outbox.backoff_min_ms = rig.outbox.backoff_max_ms = 3600000;
	for (unsigned i = 0; i < 60000; i++)
		append(&rig, i % 40 == 0 ? "stuck" : "cell", i % 40 == 0 ? priority : MESSAGE_DEFAULT_PRIORITY);
	rig_durable(&rig);
	size_t before = heap_in_use();
	rig_start(&rig);
	rig.link.light = true;
	rig.on_send = refuse_stuck;
	rig_up(&rig);
	loop_sim_advance(rig.loop, 60000);
	CU_ASSERT_EQUAL(rig.journal->waiting, 1500);
	check_held(&rig, before + 65536 * sizeof(struct held), 1500); /* the window's own */
	CU_ASSERT_EQUAL(rig_fini(&rig), 0);
}

static void test_stuck(void)
{
	test_stuck_key(false, MESSAGE_DEFAULT_PRIORITY);
}

static void test_stuck_pipelined(void)
{
	test_stuck_key(true, MESSAGE_DEFAULT_PRIORITY);
}

static void test_stuck_of_low_priority(void)
{
	test_stuck_key(true, 0);
}

static const struct tap_test tests[] = {
	{"alarms that the survey finds", test_surveyed},
	{"a device that is off", test_stuck},
	{"a device that is off, pipelined", test_stuck_pipelined},
	{"a device that is off, a low priority", test_stuck_of_low_priority},
	{NULL, NULL},
};

int main(void)
{
	log_set_sink(quiet, NULL);
	return tap_main("courier memory", tests);
}
