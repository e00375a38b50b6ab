/* SPDX-License-Identifier: Apache-2.0
 *
 * Exponential back-off with full jitter. The numbers need to be spread, not secret: splitmix64 is enough.
 */
#include "delivery/backoff.h"

void backoff_init(struct backoff *backoff, uint64_t min_ms, uint64_t max_ms, uint64_t seed)
{
	backoff->min_ms = min_ms ? min_ms : 1;
	backoff->max_ms = max_ms > backoff->min_ms ? max_ms : backoff->min_ms;
	backoff->state = seed;
}

static uint64_t next_random(struct backoff *backoff)
{
	uint64_t z = backoff->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t backoff_ceiling_ms(const struct backoff *backoff, uint32_t failures)
{
	uint32_t doublings = failures ? failures - 1 : 0;
	if (doublings >= 63 || backoff->min_ms > backoff->max_ms >> doublings)
		return backoff->max_ms;
	return backoff->min_ms << doublings;
}

uint64_t backoff_delay_ms(struct backoff *backoff, uint32_t failures)
{
	uint64_t ceiling_ms = backoff_ceiling_ms(backoff, failures);
	return ceiling_ms == UINT64_MAX ? next_random(backoff) : next_random(backoff) % (ceiling_ms + 1);
}
