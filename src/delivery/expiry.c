/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that are too old: by their own expiry or by the outbox's ttl. Looked at when they are read, before
 * they are sent, and once a second while they wait. What the peer may have in part is never dropped (MQTT 5
 * §4.3.3: a QoS 2 message that may have been sent). Drops are logged as ranges, one line a second.
 *
 * Ages: of what has come since the machine was started by CLOCK_BOOTTIME, whatever the wall clock did. Of what is older
 * by the wall clock, when it stands later than all that the journal has seen, and when the stamp can be right.
 */
#include <inttypes.h>
#include <stdio.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define FIRST_YEAR_MS INT64_C(1577836800000) /* 2020: no message is older than the program */

bool expiry_applies(const struct courier *courier, const struct message_view *view)
{
	return view->expires_ms != 0 || courier->options.outbox->ttl_ms != 0;
}

/* When the ttl of the outbox begins. */
static uint64_t begun_ms(const struct message_view *view)
{
	return view->queued_ms ? view->queued_ms : view->origin_ms;
}

static uint64_t ttl_end_ms(const struct courier *courier, const struct message_view *view)
{
	uint64_t ttl_ms = courier->options.outbox->ttl_ms, from_ms = begun_ms(view);
	return ttl_ms && ttl_ms < UINT64_MAX - from_ms ? from_ms + ttl_ms : UINT64_MAX;
}

/* For messages of earlier boots. The process goes by the wall clock of its start, and that may have been put right since. */
static uint64_t careful_wall_ms(const struct courier *courier)
{
	uint64_t begun_ms = loop_wall_ms(courier->options.loop), set_ms = loop_clock_ms(courier->options.loop);
	return set_ms < begun_ms ? set_ms : begun_ms;
}

/* The shift is exact. What has a time from before the machine was started has come another way: sent again from the dead
 * letters, or imported. */
static bool clock_is_known(
	const struct courier *courier, const struct held *held, uint64_t stamp_ms, int64_t *ret_shift_ms)
{
	bool known = journal_clock_shift(courier->options.journal, held->lsn, ret_shift_ms);
	int64_t booted_ms = (int64_t)loop_wall_offset_ms(courier->options.loop);
	return known && (int64_t)stamp_ms >= booted_ms - *ret_shift_ms - 1000;
}

/* By a clock that had not been set yet. */
static bool is_before_all(uint64_t stamp_ms, int64_t shift_ms)
{
	return (int64_t)stamp_ms < FIRST_YEAR_MS - shift_ms;
}

int64_t expiry_shift_ms(const struct courier *courier, const struct held *held)
{
	uint64_t origin_ms = message_view(held->msg)->origin_ms;
	int64_t shift_ms;
	if (clock_is_known(courier, held, origin_ms, &shift_ms))
		return shift_ms;
	uint64_t wall_ms = loop_wall_ms(courier->options.loop);
	if (is_before_all(origin_ms, shift_ms))
		return (int64_t)(wall_ms - origin_ms); /* as if it had come just now */
	return shift_ms + (int64_t)(wall_ms - careful_wall_ms(courier));
}

/* The time by the clock that gave the message that stamp; 0: nobody knows. */
static uint64_t now_of(const struct courier *courier, const struct held *held, uint64_t stamp_ms)
{
	int64_t shift_ms;
	uint64_t wall_ms = loop_wall_ms(courier->options.loop);
	if (!clock_is_known(courier, held, stamp_ms, &shift_ms)) {
		wall_ms = careful_wall_ms(courier);
		if (wall_ms <= courier->newest_ms || is_before_all(stamp_ms, shift_ms))
			return 0;
	}
	int64_t now_ms = (int64_t)wall_ms - shift_ms;
	return now_ms > 0 ? (uint64_t)now_ms : 0;
}

bool expiry_passed(const struct courier *courier, const struct held *held)
{
	if (!held->expires || held->batched || held->stage != 0 || held->stage_asked != 0)
		return false;
	const struct message_view *view = message_view(held->msg);
	if (held->maybe_sent && view->qos == 2)
		return false;
	return ttl_end_ms(courier, view) <= now_of(courier, held, begun_ms(view)) ||
	       (view->expires_ms && view->expires_ms <= now_of(courier, held, view->origin_ms));
}

void expiry_drop(struct courier *courier, uint64_t seq)
{
	courier->stats.expired++;
	drop_log_add(courier, &courier->expired_log, seq, "too old");
	outcome_end(courier, seq, JOURNAL_EXPIRED);
}

static void sweep_one(struct courier *courier, uint64_t seq, const struct held *held)
{
	bool waits = held->state == HELD_WAITING || held->state == HELD_RETRY_WAIT;
	if (waits && expiry_passed(courier, held) && dispatch_take_range(courier, seq))
		expiry_drop(courier, seq);
}

static void sweep_lane(struct courier *courier)
{
	const struct lane *lane = courier->window.lane;
	for (uint64_t seq = lane_first(lane), next; seq; seq = next) {
		next = lane_next(lane, seq);
		sweep_one(courier, seq, lane_find(lane, seq));
	}
}

void expiry_sweep(struct courier *courier, uint64_t now_ms)
{
	struct window *window = &courier->window;
	if (now_ms < courier->sweep_due_ms || courier->draining)
		return;
	courier->sweep_due_ms = UINT64_MAX;
	for (uint64_t seq = window->first; seq < courier->sift_next && seq < window->end; seq++) {
		sweep_one(courier, seq, window_head_slot(window, seq));
		if (seq < window->first)
			seq = window->first - 1;
	}
	if (window->lane)
		sweep_lane(courier);
}

/* What was dropped as the newest has no seq. */
static void tell_dropped(struct courier *courier, const struct drop_log *log, uint64_t seq, const char *reason)
{
	const char *what = log == &courier->expired_log ? "expired"
			   : log == &courier->dead_log  ? "dead letter"
							: "dropped";
	if (courier->options.on_dropped && log != &courier->newest_log)
		courier->options.on_dropped(courier->options.ctx, seq, what, reason);
}

void drop_log_add(struct courier *courier, struct drop_log *log, uint64_t seq, const char *reason)
{
	tell_dropped(courier, log, seq, reason);
	if (log->count++ == 0) {
		log->first = log->last = seq;
		log->due_ms = courier_now_ms(courier) + COURIER_REPEAT_MS;
	}
	if (seq < log->first)
		log->first = seq;
	if (seq > log->last)
		log->last = seq;
	snprintf(log->reason, sizeof log->reason, "%s", reason);
}

static void flush(const struct courier *courier, struct drop_log *log, const char *event, uint64_t now_ms)
{
	if (log->count == 0 || log->due_ms > now_ms)
		return;
	log_warn(event, "destination=%s first=%" PRIu64 " last=%" PRIu64 " count=%" PRIu64 " reason=\"%s\"",
		courier->options.name, log->first, log->last, log->count, log->reason);
	*log = (struct drop_log){0};
}

void drop_log_flush(struct courier *courier, uint64_t now_ms)
{
	flush(courier, &courier->expired_log, "expired", now_ms);
	flush(courier, &courier->dead_log, "dead_letters", now_ms);
	flush(courier, &courier->oldest_log, "dropped", now_ms);
	flush(courier, &courier->newest_log, "dropped", now_ms);
}

uint64_t drop_log_due_ms(const struct courier *courier)
{
	const struct drop_log *logs[] = {
		&courier->expired_log, &courier->dead_log, &courier->oldest_log, &courier->newest_log};
	uint64_t due_ms = UINT64_MAX;
	for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
		if (logs[i]->count && logs[i]->due_ms < due_ms)
			due_ms = logs[i]->due_ms;
	return due_ms;
}
