/* SPDX-License-Identifier: Apache-2.0
 *
 * Back-off of connections. Owns the number of failures in a row and what a wait may be; never waits itself, and never says
 * that there is no further attempt. Chance comes from the caller, so that a test can set it. Loop thread only; no I/O, no
 * clock, no allocation.
 */
#include "connectors/mqtt/reconnect.h"

/* Upper bound, times min_ms, of the waits of a link that makes progress and yet breaks within RECONNECT_SOUND_MS. */
#define PROGRESS_FAILURES 3
#define MOST_FAILURES     31

void reconnect_ended(struct reconnect *rec, uint64_t up_ms, bool progress)
{
	if (up_ms >= RECONNECT_SOUND_MS)
		rec->failures = 0;
	if (rec->failures < MOST_FAILURES)
		rec->failures++;
	if (progress && rec->failures > PROGRESS_FAILURES)
		rec->failures = PROGRESS_FAILURES;
}

uint64_t reconnect_delay_ms(const struct reconnect *rec, bool slow)
{
	uint64_t bound = rec->max_ms;
	unsigned doublings = rec->failures > 0 ? rec->failures - 1 : 0;
	if (slow)
		return bound / 2 + rec->random((uint32_t)(bound / 2 + 1));
	if (rec->min_ms << doublings < bound)
		bound = rec->min_ms << doublings;
	return rec->random((uint32_t)bound + 1);
}
