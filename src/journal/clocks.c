/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of at most CLOCKS_MAX entries in the order of time. Entries of one boot stand together.
 */
#include "journal/clocks.h"

#include <errno.h>

#include "message/endian.h"

void clocks_init(struct clocks *clocks)
{
	*clocks = (struct clocks){.newest_boot_ms = INT64_MIN};
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool same_boot(const struct clocks_entry *a, const struct clocks_entry *b)
{
	static const uint8_t unknown[CLOCKS_BOOT_LEN];
	return memcmp(a->boot, b->boot, CLOCKS_BOOT_LEN) == 0 && memcmp(a->boot, unknown, CLOCKS_BOOT_LEN) != 0;
}

static bool same_clock(const struct clocks_entry *a, const struct clocks_entry *b)
{
	int64_t apart_ms = a->offset_ms - b->offset_ms;
	return (same_boot(a, b) && apart_ms > -CLOCKS_STEP_MS && apart_ms < CLOCKS_STEP_MS) ||
	       a->first_lsn == b->first_lsn;
}

uint64_t clocks_newest_of_boot_ms(const struct clocks *clocks)
{
	if (clocks->n == 0 || clocks->newest_boot_ms == INT64_MIN)
		return 0;
	int64_t time_ms = clocks->newest_boot_ms + clocks->v[clocks->n - 1].last_ms;
	return time_ms > 0 ? (uint64_t)time_ms : 0;
}

uint64_t clocks_newest_ms(const struct clocks *clocks)
{
	uint64_t of_boot_ms = clocks_newest_of_boot_ms(clocks);
	return of_boot_ms > clocks->earlier_ms ? of_boot_ms : clocks->earlier_ms;
}

void clocks_put(struct clocks *clocks, const struct clocks_entry *entry)
{
	struct clocks_entry *last = clocks->n ? &clocks->v[clocks->n - 1] : NULL;
	if (last && same_clock(last, entry)) {
		last->last_ms = entry->last_ms;
		last->most_ms = most(last->most_ms, entry->most_ms);
		return;
	}
	if (last && !same_boot(last, entry)) {
		clocks->earlier_ms = clocks_newest_ms(clocks);
		clocks->newest_boot_ms = INT64_MIN;
	}
	if (clocks->n == CLOCKS_MAX)
		memmove(&clocks->v[0], &clocks->v[1], --clocks->n * sizeof clocks->v[0]);
	clocks->v[clocks->n++] = *entry;
}

void clocks_stamp(struct clocks *clocks, uint64_t time_ms)
{
	if (time_ms >= (uint64_t)CLOCKS_LIMIT_MS)
		return;
	if (clocks->n)
		clocks->newest_boot_ms =
			most(clocks->newest_boot_ms, (int64_t)time_ms - clocks->v[clocks->n - 1].offset_ms);
	else if (time_ms > clocks->earlier_ms)
		clocks->earlier_ms = time_ms;
}

void clocks_forget(struct clocks *clocks)
{
	if (clocks->n == 0)
		return;
	clocks->v[0] = clocks->v[clocks->n - 1];
	clocks->n = 1;
}

static int64_t most_of_boot(const struct clocks *clocks, const struct clocks_entry *entry)
{
	int64_t most_ms = entry->most_ms;
	for (size_t i = 0; i < clocks->n; i++)
		if (same_boot(&clocks->v[i], entry))
			most_ms = most(most_ms, clocks->v[i].most_ms);
	return most_ms;
}

bool clocks_shift(const struct clocks *clocks, uint64_t lsn, int64_t *ret_shift_ms)
{
	const struct clocks_entry *now = clocks->n ? &clocks->v[clocks->n - 1] : NULL, *entry = now;
	while (entry && lsn < entry->first_lsn)
		entry = entry == clocks->v ? NULL : entry - 1;
	*ret_shift_ms = 0;
	if (!entry)
		return false;
	if (entry == now)
		return true;
	bool exact = same_boot(entry, now);
	*ret_shift_ms = (exact ? now->offset_ms : most_of_boot(clocks, entry)) - entry->offset_ms;
	return exact;
}

void clocks_encode(const struct clocks_entry *entry, uint8_t out[CLOCKS_ENTRY_LEN])
{
	put_u64(out, entry->first_lsn);
	memcpy(out + 8, entry->boot, CLOCKS_BOOT_LEN);
	put_u64(out + 24, (uint64_t)entry->offset_ms);
	put_u64(out + 32, (uint64_t)entry->last_ms);
	put_u64(out + 40, (uint64_t)entry->most_ms);
}

static bool is_time(int64_t ms)
{
	return ms > -CLOCKS_LIMIT_MS && ms < CLOCKS_LIMIT_MS;
}

int clocks_decode(const uint8_t bytes[CLOCKS_ENTRY_LEN], struct clocks_entry *ret_entry)
{
	struct clocks_entry entry = {.first_lsn = get_u64(bytes),
		.offset_ms = (int64_t)get_u64(bytes + 24),
		.last_ms = (int64_t)get_u64(bytes + 32),
		.most_ms = (int64_t)get_u64(bytes + 40)};
	if (!is_time(entry.offset_ms) || !is_time(entry.last_ms) || !is_time(entry.most_ms))
		return -EBADMSG;
	memcpy(entry.boot, bytes + 8, CLOCKS_BOOT_LEN);
	*ret_entry = entry;
	return 0;
}
