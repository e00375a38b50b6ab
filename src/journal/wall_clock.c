/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal learns about the wall clock: how it stands to the boot time when the process starts, and each time
 * that somebody sets it. Stamps go on by the clock of the start (loop_wall_ms); what is learnt tells later processes how
 * wrong they are (clocks.h).
 *
 * Threads: the loop only.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "runtime/log.h"

#define LOOK_EVERY_MS 60000u

static int64_t offset_now_ms(const struct journal *j)
{
	return (int64_t)(loop_clock_ms(j->loop) - loop_now_ms(j->loop));
}

static bool anything_waits(const struct journal *j)
{
	for (size_t i = 0; i < j->state.n_dests; i++)
		if (j->state.dests[i].name && j->state.dests[i].waiting)
			return true;
	return false;
}

/* A wall clock that stands before a time that was seen in an earlier boot is wrong, or that time was: it dates nothing
 * for later boots. */
static void learn(struct journal *j, int64_t offset_ms)
{
	struct clocks_entry *clock = &j->clock;
	int64_t wall_ms = offset_ms + (int64_t)loop_now_ms(j->loop);
	clock->last_ms = offset_ms;
	if (wall_ms >= (int64_t)j->state.clocks.earlier_ms && offset_ms > clock->most_ms)
		clock->most_ms = offset_ms;
}

/* Keys go on by the clock of this process. */
static void carry_keys(struct journal *j)
{
	struct keys *keys = &j->state.keys;
	uint64_t now_ms = loop_wall_ms(j->loop);
	int64_t shift_ms;
	if (!keys->n)
		return;
	bool exact = clocks_shift(&j->state.clocks, j->appended_lsn, &shift_ms);
	keys_change_clock(keys, shift_ms, now_ms);
	size_t expired = keys_expire(keys, now_ms);
	if (expired)
		log_info("keys_expired",
			"count=%zu kept=%zu boot=%s what=\"their time has passed while linkspan was away, by %s\"",
			expired, keys->n, exact ? "same" : "other",
			exact ? "the time since the boot" : "the wall clock");
}

/* Boot time that has gone back belongs to another boot, whatever its name. */
void wall_clock_begin(struct journal *j)
{
	struct clocks *clocks = &j->state.clocks;
	struct clocks_entry *clock = &j->clock;
	int64_t now_ms = (int64_t)loop_now_ms(j->loop);
	if (!anything_waits(j))
		clocks_forget(clocks);
	*clock = (struct clocks_entry){.first_lsn = j->appended_lsn + 1,
		.offset_ms = (int64_t)loop_wall_ms(j->loop) - now_ms,
		.last_ms = offset_now_ms(j)};
	if (clocks->newest_boot_ms <= now_ms)
		memcpy(clock->boot, loop_boot(j->loop), CLOCKS_BOOT_LEN);
	clocks_put(clocks, clock); /* tells what is earlier */
	learn(j, clock->last_ms);
	clocks_put(clocks, clock);
	carry_keys(j);
}

int wall_clock_note(struct journal *j)
{
	uint8_t body[CLOCKS_ENTRY_LEN];
	clocks_encode(&j->clock, body);
	struct frame frame = {.type = FRAME_CLOCK, .body = slice_of(body, sizeof body)};
	return append_frame(j, &frame);
}

void wall_clock_look(struct journal *j)
{
	struct clocks_entry *clock = &j->clock;
	int64_t offset_ms = offset_now_ms(j), step_ms = offset_ms - clock->last_ms;
	if (step_ms > -CLOCKS_STEP_MS && step_ms < CLOCKS_STEP_MS)
		return;
	learn(j, offset_ms);
	log_warn("clock_set",
		"by_ms=%" PRId64
		" what=\"somebody has set the wall clock; messages are stamped as if not, until the next "
		"start\"",
		step_ms);
	if (wall_clock_note(j) < 0)
		log_warn("clock_set", "what=\"the journal cannot take a note of it\"");
}

static void on_timer(void *arg)
{
	struct journal *j = arg;
	wall_clock_look(j);
	loop_timer_start(j->clock_timer, LOOK_EVERY_MS);
}

int wall_clock_watch(struct journal *j)
{
	j->clock_timer = loop_timer_new(j->loop, on_timer, j);
	if (!j->clock_timer)
		return -ENOMEM;
	loop_timer_start(j->clock_timer, LOOK_EVERY_MS);
	return 0;
}
