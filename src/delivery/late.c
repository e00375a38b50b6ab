/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal knows up to JOURNAL_MAX_DONE_RANGES runs of done messages behind the oldest undone one. A sink that has many in
 * flight may end them in any order (Kafka: each partition goes its own way), so there could be more. What would make one too
 * many is held, ended as it is, until all before it is done: then it makes none. A crash before that repeats it, as it
 * would if it were still in flight.
 */
#include "delivery/courier_impl.h"

void late_hold(struct courier *courier, uint64_t seq, enum journal_total why)
{
	outcome_detach(courier, seq);
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_LATE;
	held->end = (uint8_t)why;
	courier->n_late++;
	courier->settle_due = true;
}

void late_bring(struct courier *courier)
{
	while (courier->n_late > 0) {
		uint64_t seq = window_oldest(&courier->window);
		const struct held *held = window_find(&courier->window, seq);
		if (!held || held->state != HELD_LATE)
			return;
		journal_finish(courier->options.journal, courier->options.dest, seq, held->bytes,
			(enum journal_total)held->end);
		courier->n_late--;
		window_release(&courier->window, seq);
	}
}
