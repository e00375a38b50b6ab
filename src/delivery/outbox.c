/* SPDX-License-Identifier: Apache-2.0
 *
 * What the courier holds of its outbox. Live, every appended message is copied into the window. Once one
 * finds no room the rest stays in the journal and is read back in seq order as room appears. So that catching
 * up ends even while more comes in, new messages are held again, as the window's tail, as soon as the gap
 * before them is small; the gap is then of fixed size, and when it has been read the courier is live, or at
 * least much nearer.
 */
#include <stdlib.h>

#include "delivery/courier_impl.h"

#define READ_MESSAGES    2048u /* of one request */
#define MESSAGE_OVERHEAD 512u /* more than a message takes in memory beyond its bytes on disk, mostly */
#define READ_BYTES       (1024u * 1024)
#define PREFETCH         4u /* messages */

/* What needs tens of thousands in flight to be quick gets more to hold and to look ahead, as long as it can be used. */
static bool may_be_wide(const struct courier_options *options)
{
	const struct connector *connector = options->connector;
	int64_t lookahead = options->outbox->lookahead;
	bool batches = connector->batching && connector->batching(options->settings).max_messages > 1;
	return connector->deep_window && !batches && options->outbox->drain != DRAIN_LIVE_FIRST &&
	       (lookahead <= 0 || lookahead >= (int64_t)COURIER_DEFAULT_LOOKAHEAD);
}

static bool is_wide(const struct courier *courier)
{
	return courier->up && courier->link_window >= SINK_DEEP_WINDOW && courier->link_held_bytes > 0 &&
	       courier->can_be_wide;
}

static uint64_t lookahead_of(const struct courier *courier)
{
	return is_wide(courier) && courier->lookahead < SINK_DEEP_LOOKAHEAD ? SINK_DEEP_LOOKAHEAD : courier->lookahead;
}

static size_t held_limit(const struct courier *courier) /* of message memory */
{
	if (is_wide(courier))
		return courier->link_held_bytes;
	return courier->up && courier->link_window >= SINK_DEEP_WINDOW ? 2 * COURIER_HELD_BYTES : COURIER_HELD_BYTES;
}

/* For a window of that many, and what is held apart. */
static int reserve_others(struct courier *courier, size_t capacity)
{
	if (courier->options.outbox->drain == DRAIN_LIVE_FIRST)
		capacity = 2 * (capacity > LANE_MESSAGES ? capacity : LANE_MESSAGES);
	int error = retry_heap_reserve(&courier->retries, capacity);
	return error ? error : key_table_reserve(&courier->keys, capacity);
}

/* Makes the slot of seq usable. Grows the window, the heap and the table together, so that none of them can
 * be out of memory later. */
static bool reserve(struct courier *courier, uint64_t seq)
{
	struct window *window = &courier->window;
	uint64_t distance = seq - window->first;
	if (distance >= lookahead_of(courier) && seq > batch_last_to_hold(courier))
		return false;
	size_t capacity = window->capacity;
	if (distance < capacity)
		return true;
	while (capacity <= distance)
		capacity *= 2;
	return reserve_others(courier, capacity) == 0 && window_grow(window, capacity) == 0;
}

static uint64_t configured_lookahead(const struct outbox_config *outbox)
{
	if (outbox->lookahead <= 0)
		return COURIER_DEFAULT_LOOKAHEAD;
	return outbox->lookahead < COURIER_MAX_LOOKAHEAD ? (uint64_t)outbox->lookahead : COURIER_MAX_LOOKAHEAD;
}

uint64_t courier_span(const struct courier_options *options)
{
	uint64_t least = may_be_wide(options) ? SINK_DEEP_LOOKAHEAD : COURIER_DEFAULT_LOOKAHEAD;
	uint64_t lookahead = configured_lookahead(options->outbox);
	return lookahead > least ? lookahead : least;
}

int outbox_start(struct courier *courier)
{
	struct journal_outbox box = journal_outbox(courier->options.journal, courier->options.dest);
	courier->lookahead = configured_lookahead(courier->options.outbox);
	courier->can_be_wide = may_be_wide(&courier->options);
	courier->appended_end = courier->recovered_end = box.next_seq;
	courier->paused = box.paused;
	courier->durable = journal_durable_lsn(courier->options.journal);
	courier->read_seq = courier->sift_next = courier->send_next = box.oldest_undone;
	courier->done_floor = box.oldest_undone;
	/* The earlier process may have looked further ahead than this one does. */
	uint64_t span = courier_span(&courier->options);
	courier->maybe_sent_end = box.next_seq - box.oldest_undone < span ? box.next_seq : box.oldest_undone + span;
	int error = window_init(&courier->window, box.oldest_undone);
	return error ? error : reserve_others(courier, courier->window.capacity);
}

/* Messages of an earlier configuration may have one where it counts no more. */
static int priority_of(const struct courier *courier, const struct message_view *view)
{
	return courier->options.in_order ? 0 : view->priority;
}

/* Odd multiplier: no two seqs have the same one. */
static uint64_t hash_of_seq(const struct courier *courier, uint64_t seq)
{
	uint64_t hash = (seq ^ courier->hash_seed) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

uint64_t outbox_key_hash(const struct courier *courier, const struct message_view *view, uint64_t seq)
{
	uint64_t hash = courier->unordered ? hash_of_seq(courier, seq) : key_hash(view->order_key, courier->hash_seed);
	int priority = priority_of(courier, view);
	return priority ? hash ^ (uint64_t)(priority + 16) * 0x9e3779b97f4a7c15u : hash;
}

void outbox_complete(struct courier *courier, struct held *held, uint64_t seq)
{
	const struct message_view *view = message_view(held->msg);
	held->key_hash = outbox_key_hash(courier, view, seq);
	held->rank = (uint8_t)(HELD_RANK_PLAIN - 2 * priority_of(courier, view));
	held->maybe_sent =
		seq < courier->maybe_sent_end || (courier->live && live_may_have_been_sent(courier, view, seq));
	held->session_lost = seq < courier->session_lost_end;
	held->stage = held->stage_asked = stages_known(courier, seq);
	held->batched = batch_applies(courier) && batch_has(courier, seq);
	held->expires = expiry_applies(courier, view);
	courier->window.n_expiring += held->expires;
}

static bool is_live(const struct courier *courier)
{
	return courier->window.end == courier->appended_end;
}

static bool head_takes(const struct courier *courier, uint32_t bytes)
{
	const struct window *window = &courier->window;
	return window->n_held == 0 || window->held_bytes + bytes <= held_limit(courier);
}

/* The tail gets half of the memory at most, else there might be none to fill the gap. */
static bool tail_takes(const struct courier *courier, uint64_t seq, uint32_t bytes)
{
	const struct window *window = &courier->window;
	if (!window_has_tail(window))
		return seq - window->first < lookahead_of(courier) / 2 &&
		       window->held_bytes + bytes <= held_limit(courier) / 2;
	return seq == window->tail_end && window->tail_bytes + bytes <= held_limit(courier) / 2 &&
	       window->held_bytes + bytes <= held_limit(courier);
}

/* The message overtakes; in its place a hole is held, if that is next to what is. */
static void pass_over(struct courier *courier, uint64_t seq, bool live)
{
	struct window *window = &courier->window;
	if (live && (window->first == window->end || reserve(courier, seq)))
		window_skip(window, seq + 1);
	else if (window_has_tail(window) && seq == window->tail_end && reserve(courier, seq))
		window_skip_tail(window, seq);
}

void courier_appended(struct courier *courier, const struct journal_entry *entry, uint64_t lsn)
{
	uint64_t seq = entry->seq;
	if (seq < courier->appended_end)
		return; /* reported twice */
	bool live = is_live(courier) && seq == courier->appended_end;
	courier->appended_end = seq + 1;
	bool fits = (live ? head_takes(courier, entry->bytes) : tail_takes(courier, seq, entry->bytes)) &&
		    reserve(courier, seq);
	if (courier->live && live_takes(courier, entry, lsn, live && fits)) {
		pass_over(courier, seq, live);
		return;
	}
	if (!fits)
		return;
	struct message *msg = message_new(entry->view);
	if (!msg)
		return;
	struct window *window = &courier->window;
	outbox_complete(courier,
		live ? window_add(window, seq, lsn, entry->bytes, msg)
		     : window_add_tail(window, seq, lsn, entry->bytes, msg),
		seq);
}

void outbox_pass(struct courier *courier, uint64_t seq)
{
	struct window *window = &courier->window;
	bool live = is_live(courier) && seq == courier->appended_end;
	courier->appended_end = seq + 1;
	if (live && (window->first == window->end || reserve(courier, seq)))
		window_skip(window, seq + 1);
}

/* What is read always fits when nothing of the head is held, whatever its size. So does what has to go out as one. */
static bool read_fits(struct courier *courier, uint64_t seq, const struct message *msg)
{
	const struct window *window = &courier->window;
	bool fits = window->first == window->end || window->held_bytes + message_memory(msg) <= held_limit(courier) ||
		    seq <= batch_last_to_hold(courier);
	courier->read_needs = fits ? 0 : message_memory(msg);
	return fits;
}

/* Holds what was read. False: there is no place for it, it will be read again. */
static bool hold(struct courier *courier, const struct journal_read *item)
{
	struct window *window = &courier->window;
	if (window_has_tail(window) && item->seq >= window->tail_begin)
		return false;
	if (item->seq >= courier->appended_end)
		return false;
	if (window->first == window->end && item->seq > window->end)
		window_skip(window, item->seq);
	if (!read_fits(courier, item->seq, item->msg) || !reserve(courier, item->seq))
		return false;
	struct held *held = window_add(window, item->seq, item->lsn, item->bytes, item->msg);
	outbox_complete(courier, held, item->seq);
	times_read_back(courier, held, courier->read_wall_ms);
	return true;
}

/* Nothing below seq is to be delivered but what is held. */
static void skip_to(struct courier *courier, uint64_t seq)
{
	struct window *window = &courier->window;
	uint64_t limit = window_has_tail(window) ? window->tail_begin : courier->appended_end;
	if (seq > limit)
		seq = limit;
	uint64_t lookahead = lookahead_of(courier);
	if (window->first != window->end && seq - window->first > lookahead)
		seq = window->first + lookahead;
	if (seq <= window->end)
		return;
	if (window->first == window->end || reserve(courier, seq - 1))
		window_skip(window, seq);
}

static bool hold_or_drop(struct courier *courier, const struct journal_read *item, bool fits)
{
	if (courier->live && lane_find(courier->window.lane, item->seq)) {
		message_unref(item->msg);
		return fits;
	}
	bool known = item->seq < courier->window.end || surplus_has(courier, item->seq);
	if (fits && !known && hold(courier, item))
		return true;
	message_unref(item->msg);
	if (fits && !known)
		skip_to(courier, item->seq);
	return fits && known;
}

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct courier *courier = arg;
	courier_enter(courier);
	courier->in_read = true;
	courier->reading = false;
	courier->read_wall_ms = loop_wall_ms(courier->options.loop);
	courier->read_seq = result->next_seq;
	uint64_t before = courier->window.end;
	bool fits = true;
	for (size_t i = 0; i < result->n_items; i++) {
		if (i + PREFETCH < result->n_items)
			message_prefetch(result->items[i + PREFETCH].msg);
		fits = hold_or_drop(courier, &result->items[i], fits);
	}
	if (fits)
		skip_to(courier, result->next_seq);
	window_join(&courier->window);
	courier->read_at_end = fits && result->at_end && courier->window.end >= result->next_seq;
	if (courier->window.end == before && !courier->read_at_end && courier->read_needs == 0) {
		/* Out of memory, or a reader that gets nowhere: not at once again. */
		courier->read_at_end = true;
		courier_poke_in(courier, COURIER_REPEAT_MS);
	}
	outbox_read_back(courier); /* the thread reads on while this thread sends */
	courier_leave(courier);
	courier->in_read = false;
}

bool outbox_head_is_full(const struct courier *courier)
{
	const struct window *window = &courier->window;
	size_t least = courier->read_needs > 2 * MESSAGE_OVERHEAD ? courier->read_needs : 2 * MESSAGE_OVERHEAD;
	return window->end - window->first >= lookahead_of(courier) || window->held_bytes + least > held_limit(courier);
}

/* How many messages to ask for; 0 when it is not worth while yet. As long as something is in flight it is worth
 * while to wait for room: reading little by little is dear. Half of the room is for what a message takes beyond its
 * bytes on disk: what finds no room must be read again. */
static size_t room_to_read(const struct courier *courier, size_t *ret_bytes)
{
	const struct window *window = &courier->window;
	uint64_t used = window->end - window->first;
	uint64_t gap = (window_has_tail(window) ? window->tail_begin : courier->appended_end) - window->end;
	uint64_t lookahead = lookahead_of(courier), limit = held_limit(courier);
	uint64_t messages = lookahead > used ? lookahead - used : 0;
	uint64_t bytes = window->held_bytes < limit ? limit - window->held_bytes : 0;
	uint64_t enough = lookahead / 4 < READ_MESSAGES ? lookahead / 4 : READ_MESSAGES;
	if (window->end <= batch_last_to_hold(courier)) {
		*ret_bytes = READ_BYTES;
		messages = batch_last_to_hold(courier) - window->end + 1;
		return messages < READ_MESSAGES ? (size_t)messages : READ_MESSAGES;
	}
	if (used != 0 && (messages == 0 || bytes == 0 || bytes < courier->read_needs))
		return 0;
	if (used != 0 && courier->in_flight > 0 && ((messages < enough && messages < gap) || bytes < READ_BYTES))
		return 0;
	if (messages > gap)
		messages = gap;
	if (used != 0 && messages > bytes / (2 * MESSAGE_OVERHEAD))
		messages = bytes / (2 * MESSAGE_OVERHEAD);
	*ret_bytes = used != 0 && bytes / 2 < READ_BYTES ? (size_t)(bytes / 2) : READ_BYTES;
	return messages < READ_MESSAGES ? (size_t)messages : READ_MESSAGES;
}

/* All that is left of the head is stuck and the tail takes the memory in which others could pass by: better to
 * read the tail again later. */
static bool gave_up_tail(struct courier *courier)
{
	const struct window *window = &courier->window;
	if (!window_has_tail(window) || courier->in_flight > 0 || !courier->up ||
		window->end - window->first >= lookahead_of(courier))
		return false;
	window_drop_tail(&courier->window);
	return true;
}

/* Nothing but the journal need know it. */
static bool may_be_left(const struct held *held)
{
	return held->state == HELD_GONE || (held->state == HELD_WAITING && !held->listed && held->attempts == 0);
}

/* Where the head would end if what waits at its end were left to the journal until it fits. */
static uint64_t narrow_end(const struct courier *courier)
{
	const struct window *window = &courier->window;
	uint64_t end = window->end;
	size_t bytes = window->held_bytes - window->tail_bytes;
	for (; end > window->first + 1; end--) {
		const struct held *held = window_head_slot(window, end - 1);
		if ((end - window->first <= courier->lookahead && bytes <= held_limit(courier)) || !may_be_left(held))
			break;
		bytes -= held->state == HELD_GONE ? 0 : message_memory(held->msg);
	}
	return end;
}

/* One past the last of the head from `end` on that may have been sent; `end` if none may. */
static uint64_t sent_end(const struct window *window, uint64_t end)
{
	for (uint64_t seq = window->end; seq > end; seq--) {
		const struct held *held = window_head_slot(window, seq - 1);
		if (held->state != HELD_GONE && held->maybe_sent)
			return seq;
	}
	return end;
}

/* What is left to the journal and may have been sent is known as such when it comes again. */
static void cut_head(struct courier *courier, uint64_t end)
{
	struct window *window = &courier->window;
	uint64_t sent = sent_end(window, end);
	if (sent > end && sent > courier->maybe_sent_end)
		courier->maybe_sent_end = sent;
	window_cut(window, end);
	courier->sift_next = courier->sift_next < end ? courier->sift_next : end;
	courier->send_next = courier->send_next < end ? courier->send_next : end;
	courier->drop_next = 0;
	courier->read_at_end = false;
}

/* Gives the memory back that only a wide window needs. */
static void narrow(struct courier *courier)
{
	struct window *window = &courier->window;
	size_t capacity = window->capacity;
	if (is_wide(courier) || !courier->can_be_wide || courier->reading)
		return;
	if (window->held_bytes > held_limit(courier) || window->end - window->first > courier->lookahead) {
		uint64_t end = narrow_end(courier);
		if (window_has_tail(window) && (end < window->end || window->held_bytes > held_limit(courier))) {
			window_drop_tail(window);
			courier->read_at_end = false;
		}
		if (end < window->end)
			cut_head(courier, end);
	}
	uint64_t last = window_has_tail(window) ? window->tail_end : window->end;
	while (capacity / 2 >= courier->lookahead && last - window->first <= capacity / 2)
		capacity /= 2;
	if (capacity < window->capacity && window_grow(window, capacity) != 0)
		return; /* it stays as large as it is */
}

static void end_reading(struct courier *courier)
{
	if (courier->reader && !courier->in_read && !courier->reading) {
		journal_reader_free(courier->reader);
		courier->reader = NULL;
		if (courier->live)
			live_caught_up(courier);
	}
}

static bool have_reader(struct courier *courier)
{
	if (courier->reader)
		return true;
	courier->reader = journal_reader_new(
		courier->options.journal, courier->options.dest, courier->window.end, on_read, courier);
	courier->read_seq = courier->window.end;
	if (!courier->reader)
		courier_poke_in(courier, COURIER_REPEAT_MS);
	return courier->reader != NULL;
}

void outbox_read_back(struct courier *courier)
{
	narrow(courier);
	if (is_live(courier)) {
		end_reading(courier);
		return;
	}
	if (courier->reading || (courier->read_at_end && courier->read_durable == courier->durable))
		return;
	size_t bytes, messages = room_to_read(courier, &bytes);
	if (messages == 0 && gave_up_tail(courier))
		messages = room_to_read(courier, &bytes);
	if (messages == 0 || !have_reader(courier))
		return;
	if (courier->read_seq != courier->window.end)
		journal_reader_seek(courier->reader, courier->window.end);
	courier->read_seq = courier->window.end;
	courier->read_durable = courier->durable;
	courier->reading = true;
	courier->read_at_end = false;
	journal_reader_request(courier->reader, messages, bytes);
}
