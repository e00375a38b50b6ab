/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages thrown away by hand, and a destination paused by hand. What is in flight, or what the peer may have in part
 * (MQTT 5 §4.3.3: a QoS 2 message that may have been sent), is not thrown away: its packet identifier would be used again
 * for another one, which the peer would take for a repetition.
 */
#include "delivery/courier_impl.h"

static bool may_be_at_peer(const struct courier *courier, const struct courier_purge *item, const struct held *held)
{
	if (!held)
		return surplus_has(courier, item->seq) || stages_known(courier, item->seq) != 0 ||
		       (item->qos == 2 && item->seq < courier->maybe_sent_end);
	if (held->state != HELD_WAITING && held->state != HELD_NEW && held->state != HELD_RETRY_WAIT)
		return true;
	return held->stage != 0 || held->stage_asked != 0 || (held->maybe_sent && item->qos == 2);
}

static bool in_tail(const struct window *window, uint64_t seq)
{
	return window_has_tail(window) && seq >= window->tail_begin && seq < window->tail_end;
}

static enum courier_purged purge_one(struct courier *courier, const struct courier_purge *item)
{
	struct window *window = &courier->window;
	if (item->seq <= courier->cursor_through ||
		journal_is_done(courier->options.journal, courier->options.dest, item->seq))
		return COURIER_PURGE_GONE;
	const struct held *held = window_find(window, item->seq);
	if ((!held && item->seq < window->end) || may_be_at_peer(courier, item, held))
		return COURIER_PURGE_KEPT;
	if (!dispatch_take_range(courier, item->seq))
		return COURIER_PURGE_NO_ROOM;
	if (held) {
		outcome_finish(courier, item->seq, JOURNAL_PURGED);
		return COURIER_PURGED;
	}
	if (in_tail(window, item->seq))
		window_drop_tail(window); /* what is left of it is read back */
	journal_finish(courier->options.journal, courier->options.dest, item->seq, item->bytes, JOURNAL_PURGED);
	return COURIER_PURGED;
}

void courier_purge(struct courier *courier, struct courier_purge *items, size_t n)
{
	courier_enter(courier);
	for (size_t i = 0; i < n; i++)
		items[i].result = purge_one(courier, &items[i]);
	courier_leave(courier);
}

void courier_pause(struct courier *courier, bool paused)
{
	courier_enter(courier);
	courier->paused = paused;
	courier_leave(courier);
}
