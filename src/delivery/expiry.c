/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages that are too old: by their own expiry or by the outbox's ttl. Looked at when they are read, before
 * they are sent, and once a second while they wait. What the peer may have in part is never dropped (MQTT 5
 * §4.3.3: a QoS 2 message that may have been sent). Drops are logged as ranges, one line a second.
 */
#include <inttypes.h>
#include <stdio.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

bool expiry_applies(const struct courier *courier, const struct message_view *view)
{
	return view->expires_ms != 0 || courier->options.outbox->ttl_ms != 0;
}

static uint64_t deadline_ms(const struct courier *courier, const struct message_view *view)
{
	uint64_t ttl_ms = courier->options.outbox->ttl_ms;
	uint64_t by_ttl = ttl_ms && ttl_ms < UINT64_MAX - view->origin_ms ? view->origin_ms + ttl_ms : UINT64_MAX;
	uint64_t by_wish = view->expires_ms ? view->expires_ms : UINT64_MAX;
	return by_ttl < by_wish ? by_ttl : by_wish;
}

bool expiry_passed(const struct courier *courier, const struct held *held)
{
	if (!held->expires || held->stage != 0 || held->stage_asked != 0)
		return false;
	const struct message_view *view = message_view(held->msg);
	if (held->maybe_sent && view->qos == 2)
		return false;
	uint64_t wall_ms = loop_wall_ms(courier->options.loop);
	/* A clock that stands before what the journal has seen cannot tell ages. */
	return wall_ms > courier->newest_ms && deadline_ms(courier, view) <= wall_ms;
}

void expiry_drop(struct courier *courier, uint64_t seq)
{
	courier->stats.expired++;
	drop_log_add(courier, &courier->expired_log, seq, "too old");
	outcome_finish(courier, seq, JOURNAL_EXPIRED);
}

void expiry_sweep(struct courier *courier, uint64_t now_ms)
{
	struct window *window = &courier->window;
	if (now_ms < courier->sweep_due_ms || courier->draining)
		return;
	courier->sweep_due_ms = UINT64_MAX;
	for (uint64_t seq = window->first; seq < courier->sift_next && seq < window->end; seq++) {
		const struct held *held = window_slot(window, seq);
		bool waits = held->state == HELD_WAITING || held->state == HELD_RETRY_WAIT;
		if (waits && expiry_passed(courier, held) && dispatch_take_range(courier, seq))
			expiry_drop(courier, seq);
		if (seq < window->first)
			seq = window->first - 1;
	}
}

void drop_log_add(struct courier *courier, struct drop_log *log, uint64_t seq, const char *reason)
{
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
}
