/* SPDX-License-Identifier: Apache-2.0
 *
 * A sink with a cursor at its destination must not move it past what was never sent: a message on its way to the dead
 * letters would count as delivered after a crash, and be in neither place.
 */
#include "delivery/courier_impl.h"

/* What is undone up to seq is in flight, all of it, or has ended there. */
static bool is_settled(const struct courier *courier, uint64_t seq)
{
	for (uint64_t s = window_oldest(&courier->window); s <= seq; s++) {
		const struct held *held = window_find(&courier->window, s);
		if (held && held->state != HELD_IN_FLIGHT && held->state != HELD_LATE)
			return false;
	}
	return surplus_oldest(courier) > seq;
}

bool courier_settle(struct courier *courier, uint64_t seq)
{
	courier->settle_due = false;
	courier->settle_seq = is_settled(courier, seq) ? 0 : seq;
	return courier->settle_seq == 0;
}

void settle_work(struct courier *courier)
{
	if (!courier->settle_seq || !courier->settle_due)
		return;
	courier->settle_due = false;
	if (!is_settled(courier, courier->settle_seq))
		return;
	courier->settle_seq = 0;
	courier->options.connector->settled(courier->options.link);
}
