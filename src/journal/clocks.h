/* SPDX-License-Identifier: Apache-2.0
 *
 * By which clock the times in the journal were stamped. A process stamps by one clock that never jumps (loop_wall_ms):
 * the boot time (CLOCK_BOOTTIME) plus an offset. Each process leaves its boot and its offset here, so that a later one
 * can tell how old a message is: within a boot exactly, however the wall clock was set in between; over a reboot by the
 * wall clock, with what was learnt in the earlier boot about how wrong it stood. Never touches the disk or a clock.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_JOURNAL_CLOCKS_H
#define LINKSPAN_JOURNAL_CLOCKS_H

#include <stdbool.h>

#include "message/slice.h"

#define CLOCKS_MAX       64u /* an older one is forgotten: what it stamped is taken as it is, of another boot */
#define CLOCKS_ENTRY_LEN 48u /* on disk */
#define CLOCKS_BOOT_LEN  16u
#define CLOCKS_STEP_MS   1000 /* what differs by less is one clock */
#define CLOCKS_LIMIT_MS  (INT64_C(1) << 60) /* no time is as large */

/* One process, or several of a boot whose offsets were the same. */
struct clocks_entry {
	uint64_t first_lsn; /* the first that it may have stamped */
	uint8_t boot[CLOCKS_BOOT_LEN]; /* all zero: not known, like no other */
	int64_t offset_ms; /* of its stamps to the boot time */
	int64_t last_ms; /* of the wall clock to the boot time, as last seen */
	int64_t most_ms; /* the most of all seen that can have been right; 0: none, so that it dates from 1970 */
};

struct clocks {
	struct clocks_entry v[CLOCKS_MAX]; /* in the order of lsns; the last one is the present process */
	size_t n;
	uint64_t earlier_ms; /* the newest stamp from before the last entry's boot */
	int64_t newest_boot_ms; /* the boot time of the newest stamp since; INT64_MIN: none */
};

void clocks_init(struct clocks *clocks);

/* From now on stamps are made by this clock; or what was learnt about the present one. */
void clocks_put(struct clocks *clocks, const struct clocks_entry *entry);
/* A message has this time. */
void clocks_stamp(struct clocks *clocks, uint64_t time_ms);
/* Nothing waits: only the last entry is worth keeping. */
void clocks_forget(struct clocks *clocks);

/* The newest time of the last entry's boot, by the wall clock as it was last seen there; 0: none. */
uint64_t clocks_newest_of_boot_ms(const struct clocks *clocks);
/* The newest time of all. */
uint64_t clocks_newest_ms(const struct clocks *clocks);

/* What to add to the times of a message with that lsn so that they are by the clock of the last entry. True: exact. False:
 * it was stamped in another boot; by the wall clocks, and so that it rather seems too young than too old. */
bool clocks_shift(const struct clocks *clocks, uint64_t lsn, int64_t *ret_shift_ms);

void clocks_encode(const struct clocks_entry *entry, uint8_t out[CLOCKS_ENTRY_LEN]);
/* Untrusted bytes. 0 or -EBADMSG. */
int clocks_decode(const uint8_t bytes[CLOCKS_ENTRY_LEN], struct clocks_entry *ret_entry)
	__attribute__((warn_unused_result));

#endif
