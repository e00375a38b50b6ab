/* SPDX-License-Identifier: Apache-2.0
 *
 * What has ended and is journalled a little later: once all before it has ended as well, as one run. A sink that has many in
 * flight may end them in any order (Kafka: each partition goes its own way), and one by one they would make thousands of
 * ranges behind the oldest undone one, of which the journal keeps up to JOURNAL_MAX_DONE_RANGES, only for them to become one a
 * moment later. What waits for long, because something before it is stuck, or what a link leaves behind that goes down, is
 * journalled where it stands, as far as there are ranges. A crash before that repeats it, as it would if it were still in flight.
 *
 * Nothing is late with drain: live_first, so all of it is in the head.
 */
#include "delivery/courier_impl.h"

#define PREFETCH 8u /* messages */

void late_put(struct courier *courier, struct held *held, enum journal_total why)
{
	held->state = HELD_LATE;
	held->end = (uint8_t)why;
	held->was_swept = false;
	courier->n_late++;
	courier->settle_due = true;
}

void late_hold(struct courier *courier, uint64_t seq, enum journal_total why)
{
	outcome_detach(courier, seq);
	late_put(courier, window_slot(&courier->window, seq), why);
}

/* Journals those from `first` on that have ended in the same way and stand together. Returns one past the last. */
static uint64_t finish_run(struct courier *courier, uint64_t first)
{
	struct window *window = &courier->window;
	uint8_t end = window_head_slot(window, first)->end;
	uint64_t seq = first, bytes = 0;
	for (; seq < window->end; seq++) {
		const struct held *held = window_head_slot(window, seq);
		if (held->state != HELD_LATE || held->end != end)
			break;
		bytes += held->bytes;
		if (seq + PREFETCH < window->end)
			message_prefetch_count(window_head_slot(window, seq + PREFETCH)->msg);
	}
	journal_finish_run(
		courier->options.journal, courier->options.dest, first, seq - 1, bytes, (enum journal_total)end);
	courier->n_late -= seq - first;
	courier->settle_due = true;
	window_release_run(window, first, seq);
	return seq;
}

void late_bring(struct courier *courier)
{
	struct window *window = &courier->window;
	while (courier->n_late > 0 && window->first < window->end &&
		window_head_slot(window, window->first)->state == HELD_LATE)
		finish_run(courier, window->first);
}

void late_sweep(struct courier *courier, bool all)
{
	const struct window *window = &courier->window;
	late_bring(courier);
	for (uint64_t seq = window->first; courier->n_late > 0 && seq < window->end; seq++) {
		struct held *held = window_head_slot(window, seq);
		if (held->state != HELD_LATE)
			continue;
		if (!all && !held->was_swept) {
			held->was_swept = true;
			continue;
		}
		if (!dispatch_take_range_at_end(courier, seq))
			return;
		seq = finish_run(courier, seq) - 1;
	}
}
