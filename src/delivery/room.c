/* SPDX-License-Identifier: Apache-2.0
 *
 * Is there room in the outbox, and what happens when there is none: the answers of `when_full`. For drop_oldest it
 * throws away what waits longest until the outbox is within its limits, link up or down, but never what is in flight
 * or what the peer may have in part [MQTT-4.3.3-7].
 *
 * What is to go is mostly held in the window. When something that may not be dropped keeps the window where it is, what
 * waits behind it is read from the journal only to learn how large it is, and dropped unseen.
 */
#include <inttypes.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

/* With drop_oldest so much more than the limits may wait, until drops have caught up: an eighth, at least this. */
#define SLACK_PART     8u
#define SLACK_MESSAGES 1024u
#define SLACK_BYTES    (1024u * 1024)
/* What has no room makes the outbox be emptied a little further, so that one message going does not make one come. */
#define HYSTERESIS_PART 64u
#define READ_MESSAGES   1024u
#define READ_BYTES      (512u * 1024)

static struct journal_outbox outbox_of(const struct courier *courier)
{
	return journal_outbox(courier->options.journal, courier->options.dest);
}

/* UINT64_MAX: no limit. */
static uint64_t max_messages(const struct courier *courier)
{
	int64_t limit = courier->options.outbox->max_messages;
	return limit > 0 ? (uint64_t)limit : UINT64_MAX;
}

static uint64_t max_bytes(const struct courier *courier)
{
	uint64_t limit = courier->options.outbox->max_bytes;
	return limit ? limit : UINT64_MAX;
}

static uint64_t hysteresis(uint64_t limit)
{
	return limit == UINT64_MAX ? 0 : limit / HYSTERESIS_PART;
}

/* --- is there room? ---------------------------------------------------------------------------------------------- */

static bool fits(const struct courier *courier, uint64_t messages, uint64_t bytes)
{
	struct journal_outbox box = outbox_of(courier);
	if (box.done_ranges >= JOURNAL_MAX_DONE_RANGES)
		return false;
	if (box.waiting == 0)
		return true; /* what is larger than the outbox must pass, too */
	return box.waiting + messages <= max_messages(courier) && box.waiting_bytes + bytes <= max_bytes(courier);
}

static bool fits_easily(const struct courier *courier, uint64_t messages, uint64_t bytes)
{
	return fits(courier, messages + hysteresis(max_messages(courier)), bytes + hysteresis(max_bytes(courier)));
}

static uint64_t with_slack(uint64_t limit, uint64_t least, unsigned part)
{
	uint64_t slack = limit / SLACK_PART > least ? limit / SLACK_PART : least;
	return limit > UINT64_MAX - slack ? UINT64_MAX : limit + slack / part;
}

/* What comes pushes out what is there, however large it is: only what waits counts. part: of the slack. */
static bool has_slack(const struct courier *courier, unsigned part)
{
	struct journal_outbox box = outbox_of(courier);
	return box.done_ranges < JOURNAL_MAX_DONE_RANGES &&
	       box.waiting < with_slack(max_messages(courier), SLACK_MESSAGES, part) &&
	       box.waiting_bytes < with_slack(max_bytes(courier), SLACK_BYTES, part);
}

/* Once it was full it is so until there is a little more room: else taken and dead ones would alternate, each making
 * a done range of its own. */
static bool is_open(struct courier *courier, size_t messages, size_t bytes)
{
	courier->overflows =
		courier->overflows ? !fits_easily(courier, messages, bytes) : !fits(courier, messages, bytes);
	return !courier->overflows;
}

static void wait_for(struct courier *courier, size_t messages, size_t bytes)
{
	if (!courier->was_full)
		courier->wanted_messages = courier->wanted_bytes = 0;
	courier->was_full = true;
	if (courier->wanted_messages < messages)
		courier->wanted_messages = messages;
	if (courier->wanted_bytes < bytes)
		courier->wanted_bytes = bytes;
}

enum courier_room courier_room(struct courier *courier, size_t messages, size_t bytes)
{
	switch (courier->options.outbox->when_full) {
	case WHEN_FULL_DROP_NEWEST:
		return fits(courier, messages, bytes) ? ROOM_TAKE : ROOM_DROP;
	case WHEN_FULL_DROP_OLDEST:
		if (has_slack(courier, 1))
			return ROOM_TAKE;
		break;
	case WHEN_FULL_DEAD_LETTER:
		if (is_open(courier, messages, bytes))
			return ROOM_TAKE;
		if (surplus_has_room(courier, SURPLUS_BYTES))
			return ROOM_DEAD_LETTER;
		break;
	default:
		if (fits(courier, messages, bytes))
			return ROOM_TAKE;
		break;
	}
	wait_for(courier, messages, bytes);
	return ROOM_WAIT;
}

bool room_is_back(const struct courier *courier)
{
	bool easily = fits_easily(courier, courier->wanted_messages, courier->wanted_bytes);
	switch (courier->options.outbox->when_full) {
	case WHEN_FULL_DROP_OLDEST:
		return has_slack(courier, 2);
	case WHEN_FULL_DEAD_LETTER:
		return easily || surplus_has_room(courier, SURPLUS_BYTES / 2);
	default:
		return easily;
	}
}

void courier_dropped(struct courier *courier, size_t messages)
{
	drop_log_add(courier, &courier->newest_log, outbox_of(courier).next_seq, "outbox full: the newest dropped");
	courier->newest_log.count += messages - 1;
	courier->stats.dropped += messages;
	/* To set the timer of that log; not now: what works now may send by the very link that offers. */
	if (courier->newest_log.count == messages)
		loop_post(courier->options.loop, &courier->go_on);
}

/* --- dropping the oldest ----------------------------------------------------------------------------------------- */

struct excess {
	uint64_t messages, bytes; /* that should go */
};

static uint64_t beyond(uint64_t value, uint64_t limit)
{
	return value > limit ? value - limit : 0;
}

/* Nothing as long as the outbox is within its limits; the last one that waits is kept, whatever its size. */
static struct excess excess_of(const struct courier *courier, bool hysteretic)
{
	struct journal_outbox box = outbox_of(courier);
	uint64_t messages = max_messages(courier), bytes = max_bytes(courier);
	if (box.waiting <= 1)
		return (struct excess){0, 0};
	if (!hysteretic)
		return (struct excess){beyond(box.waiting, messages), beyond(box.waiting_bytes, bytes)};
	struct excess excess = {beyond(box.waiting, messages - hysteresis(messages)),
		beyond(box.waiting_bytes, bytes - hysteresis(bytes))};
	if (excess.messages >= box.waiting)
		excess.messages = box.waiting - 1;
	return excess;
}

static bool is_any(struct excess excess)
{
	return excess.messages || excess.bytes;
}

static void note_drop(struct courier *courier, uint64_t seq)
{
	courier->stats.dropped++;
	drop_log_add(courier, &courier->oldest_log, seq, "outbox full: the oldest dropped");
}

static bool may_go(const struct held *held)
{
	return (held->state == HELD_WAITING || held->state == HELD_RETRY_WAIT) && !held->batched && held->stage == 0 &&
	       held->stage_asked == 0 && !(held->maybe_sent && message_view(held->msg)->qos == 2);
}

/* From drop_next on: what is below it is gone or may not go. False: something is left to look at later. */
static bool drop_held(struct courier *courier)
{
	const struct window *window = &courier->window;
	for (;; courier->drop_next++) {
		if (courier->drop_next < window->first)
			courier->drop_next = window->first;
		uint64_t seq = courier->drop_next;
		if (seq >= courier->sift_next || seq >= window->end)
			return seq >= window->end;
		if (!may_go(window_slot(window, seq)))
			continue;
		if (!is_any(excess_of(courier, true)) || !dispatch_take_range(courier, seq))
			return false;
		note_drop(courier, seq);
		outcome_finish(courier, seq, JOURNAL_DROPPED_OLDEST);
		courier->again = true; /* its key may have something to send */
	}
}

/* What overtakes is held apart from the head. Of what is not held only what an earlier process may have sent can be half delivered. */
static bool may_go_unseen(const struct courier *courier, const struct journal_read *item)
{
	const struct window *window = &courier->window;
	uint64_t end = window_has_tail(window) ? window->tail_begin : courier->appended_end;
	const struct message_view *view = message_view(item->msg);
	bool held = item->seq < window->end || item->seq >= end || window_find(window, item->seq);
	return !held && !view->reject_reason.data && !batch_has(courier, item->seq) &&
	       stages_known(courier, item->seq) == 0 && !(item->seq < courier->maybe_sent_end && view->qos == 2) &&
	       item->seq > courier->cursor_through;
}

static bool drop_unseen(struct courier *courier, const struct journal_read *item)
{
	if (!is_any(excess_of(courier, true)) || !dispatch_take_range(courier, item->seq))
		return false;
	if (may_go_unseen(courier, item)) {
		note_drop(courier, item->seq);
		journal_finish(courier->options.journal, courier->options.dest, item->seq, item->bytes,
			JOURNAL_DROPPED_OLDEST);
	}
	return true;
}

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct courier *courier = arg;
	courier_enter(courier);
	courier->drop_reading = false;
	courier->drop_read_seq = result->next_seq;
	bool going = true;
	for (size_t i = 0; i < result->n_items; i++) {
		if (going && !drop_unseen(courier, &result->items[i])) {
			going = false;
			courier->drop_read_seq = result->items[i].seq;
		}
		message_unref(result->items[i].msg);
	}
	courier->drop_at_end = result->at_end && going;
	courier_leave(courier);
}

/* As much as should go: what is read is dropped. */
static void read_to_drop(struct courier *courier, struct excess excess)
{
	if (courier->drop_reading || (courier->drop_at_end && courier->drop_durable == courier->durable))
		return;
	if (!courier->drop_reader)
		courier->drop_reader = journal_reader_new(
			courier->options.journal, courier->options.dest, courier->window.end, on_read, courier);
	if (!courier->drop_reader) {
		courier_poke_in(courier, COURIER_REPEAT_MS);
		return;
	}
	if (courier->drop_read_seq < courier->window.end)
		courier->drop_read_seq = courier->window.end;
	journal_reader_seek(courier->drop_reader, courier->drop_read_seq);
	uint64_t messages = excess.messages ? excess.messages : READ_MESSAGES;
	uint64_t bytes = excess.messages ? READ_BYTES : excess.bytes;
	courier->drop_reading = true;
	courier->drop_durable = courier->durable;
	journal_reader_request(courier->drop_reader, messages < READ_MESSAGES ? (size_t)messages : READ_MESSAGES,
		bytes < READ_BYTES ? (size_t)bytes : READ_BYTES);
}

void room_make(struct courier *courier)
{
	if (courier->options.outbox->when_full != WHEN_FULL_DROP_OLDEST || courier->draining)
		return;
	courier->dropping |= is_any(excess_of(courier, false));
	if (!courier->dropping)
		return;
	bool all_seen = drop_held(courier);
	struct excess excess = excess_of(courier, true);
	courier->dropping = is_any(excess);
	/* With nothing held the window comes to it by itself. */
	const struct window *window = &courier->window;
	if (courier->dropping && all_seen && window->first != window->end && window->end != courier->appended_end)
		read_to_drop(courier, excess);
}

void room_free(struct courier *courier)
{
	if (courier->drop_reader)
		journal_reader_free(courier->drop_reader);
}
