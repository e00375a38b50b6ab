/* SPDX-License-Identifier: Apache-2.0
 *
 * Says when an outbox is stuck: the oldest message does not end (its device is off, and neither a ttl nor max_attempts ends it),
 * the head has got as far past it as it may, in seqs or in memory, and more waits behind that. What waits there for others waits
 * for that one then. Nothing is done about it: that is for who configures to decide. Repeated once a minute.
 */
#include <inttypes.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

#define STUCK_MS 60000u

static bool may_be_stuck(const struct courier *courier)
{
	const struct window *window = &courier->window;
	return courier->up && !courier->paused && !courier->draining && !batch_applies(courier) &&
	       window->first < window->end && courier->send_next >= window->end &&
	       window->end < courier->appended_end && outbox_head_is_full(courier);
}

/* Neither end of the head has moved for a minute. */
static bool is_the_same(const struct courier *courier)
{
	return courier->stuck_first == courier->window.first && courier->stuck_end == courier->window.end;
}

void stuck_watch(struct courier *courier)
{
	if (!may_be_stuck(courier)) {
		courier->stuck_due_ms = UINT64_MAX;
	} else if (courier->stuck_due_ms == UINT64_MAX || !is_the_same(courier)) {
		courier->stuck_due_ms = courier_now_ms(courier) + STUCK_MS;
		courier->stuck_first = courier->window.first;
		courier->stuck_end = courier->window.end;
	}
}

void stuck_tell(struct courier *courier, uint64_t now_ms)
{
	if (courier->stuck_due_ms > now_ms)
		return;
	courier->stuck_due_ms = UINT64_MAX;
	const struct held *oldest = window_find(&courier->window, courier->window.first);
	if (!may_be_stuck(courier) || !is_the_same(courier) || !oldest)
		return;
	log_warn("outbox_stuck",
		"destination=%s oldest_seq=%" PRIu64 " attempts=%" PRIu32 " waiting=%" PRIu64
		" cause=\"the oldest message does not end, and lookahead is reached\"",
		courier->options.name, courier->window.first, oldest->attempts,
		journal_outbox(courier->options.journal, courier->options.dest).waiting);
}
