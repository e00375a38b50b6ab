/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison of RFC 7641 §3.4 as it stands there.
 */
#include "connectors/coap/freshness.h"

#define SEQUENCE_MASK 0xffffffu
#define HALF          0x800000u

void freshness_reset(struct freshness *freshness)
{
	freshness->known = false;
}

bool freshness_is_newer(const struct freshness *freshness, uint32_t sequence, uint64_t now_ms)
{
	uint32_t v1 = freshness->sequence, v2 = sequence & SEQUENCE_MASK;
	if (!freshness->known || now_ms > freshness->arrived_ms + FRESHNESS_REORDER_MS)
		return true;
	return (v1 < v2 && v2 - v1 < HALF) || (v1 > v2 && v1 - v2 > HALF);
}

void freshness_take(struct freshness *freshness, uint32_t sequence, uint32_t max_age_s, uint64_t now_ms,
	uint32_t random, uint64_t least_ms, uint64_t most_ms)
{
	uint64_t wait_ms = (uint64_t)max_age_s * 1000 + 5000 + random % 10001;
	if (most_ms && wait_ms > most_ms)
		wait_ms = most_ms;
	if (wait_ms < least_ms)
		wait_ms = least_ms;
	freshness->known = true;
	freshness->sequence = sequence & SEQUENCE_MASK;
	freshness->arrived_ms = now_ms;
	freshness->renew_ms = now_ms + wait_ms;
}
