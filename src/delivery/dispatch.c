/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes out next. Two cursors walk over the window in seq order. The first sifts, also while the link is
 * down: what is known to be delivered, was rejected by the router or is too old never goes out. The second
 * sends. A message whose key has something to wait for is put into that key's list instead; keys whose turn
 * has come go before the cursor, since what they hold is older.
 *
 * What has another priority than the default, and what overtakes (live.c), is in the lists of the keys from the
 * start: the key's rank says whether it goes before the cursor or after it.
 *
 * A sink that keeps the order of what is in flight (pipelined) is sent everything in seq order without a look
 * at keys, until a message gets RETRY. What followed it of the same key and is in flight already cannot be
 * called back; what was not sent yet waits until the message is delivered.
 */
#include "delivery/courier_impl.h"

/* --- done ranges
 * ------------------------------------------------------------------------------------------------- */

/* A sink with a cursor asks for its dead letters to be stored before anything else moves: they find ranges whatever was sifted. */
#define RANGES_FOR_LETTERS (JOURNAL_MAX_DONE_RANGES / 2)
/* The journal takes nothing in for a destination that has all of them. */
#define RANGES_LEFT_FREE 64u

/* Those that there are, and those that cannot be put off any more. What is in flight can (late.c), but for what overtakes: of that
 * there is only so much. */
static uint64_t ranges_taken(const struct courier *courier)
{
	struct journal_outbox box = journal_outbox(courier->options.journal, courier->options.dest);
	uint64_t taken = box.done_ranges + courier->letters_ranges + courier->surplus.runs;
	return courier->live ? taken + courier->in_flight + courier->n_replies : taken;
}

/* More than `kept` of them? */
static bool have_ranges(struct courier *courier, uint32_t kept)
{
	if (courier->range_budget <= kept) {
		uint64_t taken = ranges_taken(courier);
		courier->range_budget =
			taken < JOURNAL_MAX_DONE_RANGES ? (uint32_t)(JOURNAL_MAX_DONE_RANGES - taken) : 0;
	}
	return courier->range_budget > kept;
}

/* The oldest one never makes a new range. */
bool dispatch_take_range(struct courier *courier, uint64_t seq)
{
	if (have_ranges(courier, courier->options.in_order ? RANGES_FOR_LETTERS : 0)) {
		courier->range_budget--;
		return true;
	}
	return seq == window_oldest(&courier->window);
}

/* Is it next to what is done? */
static bool joins_range(const struct courier *courier, uint64_t seq)
{
	const struct journal *journal = courier->options.journal;
	uint32_t dest = courier->options.dest;
	return seq == window_oldest(&courier->window) || journal_is_done(journal, dest, seq - 1) ||
	       journal_is_done(journal, dest, seq + 1);
}

bool dispatch_take_range_at_end(struct courier *courier, uint64_t seq)
{
	if (courier->live)
		return true; /* it was kept for it since it was sent */
	if (!have_ranges(courier, RANGES_LEFT_FREE))
		return joins_range(courier, seq);
	courier->range_budget--;
	return true;
}

/* --- sifting
 * ----------------------------------------------------------------------------------------------------- */

bool dispatch_sift_one(struct courier *courier, uint64_t seq, const struct held *held)
{
	if (seq <= courier->cursor_through) {
		outcome_done(courier, seq);
		courier->stats.delivered++;
		return true;
	}
	struct slice reject_reason = message_view(held->msg)->reject_reason;
	if (reject_reason.data) {
		if (!dispatch_take_range(courier, seq))
			return false;
		if (letters_send(courier, seq, reject_reason))
			return true;
		courier_poke_in(courier, COURIER_REPEAT_MS);
		return false;
	}
	if (expiry_passed(courier, held)) {
		if (!dispatch_take_range(courier, seq))
			return false;
		expiry_drop(courier, seq);
	}
	return true;
}

/* A message of another priority than the default does not wait for the cursor. */
static void list_ranked(struct courier *courier, uint64_t seq, struct held *held)
{
	if ((held->state != HELD_WAITING && held->state != HELD_RETRY_WAIT) || held->listed)
		return;
	window_own(&courier->window, held);
	struct key *key = key_table_get(&courier->keys, held->key_hash);
	key_list_append(key, &courier->window, seq);
	key_table_update(&courier->keys, key, &courier->window);
	if (courier->live)
		live_listed(courier, seq, held);
}

void dispatch_sift(struct courier *courier)
{
	struct window *window = &courier->window;
	if (courier->draining)
		return;
	if (courier->live)
		live_sift(courier);
	for (;; courier->sift_next++) {
		if (courier->sift_next < window->first)
			courier->sift_next = window->first;
		if (courier->sift_next >= window->end)
			return;
		struct held *held = window_head_slot(window, courier->sift_next);
		if (held->state != HELD_WAITING && held->state != HELD_RETRY_WAIT)
			continue;
		if (held->lsn > courier->durable)
			return;
		times_durable(courier, held);
		if (!dispatch_sift_one(courier, courier->sift_next, held))
			return;
		if (held->rank != HELD_RANK_PLAIN)
			list_ranked(courier, courier->sift_next, held);
	}
}

/* --- sending
 * ----------------------------------------------------------------------------------------------------- */

void dispatch_hand_over(struct courier *courier, uint64_t seq, struct held *held)
{
	struct delivery delivery = {
		.destination_uuid = journal_destination_uuid(courier->options.journal, courier->options.dest),
		.seq = seq,
		.attempt = held->attempts + 1,
		.stage = held->stage,
		.maybe_sent = held->maybe_sent,
		.session_lost = held->session_lost,
		.msg = held->msg,
		.batch_first = held->batched ? courier->batch.first : 0,
		.batch_last = held->batched ? courier->batch.last : 0,
		.shift_ms = expiry_shift_ms(courier, held),
	};
	held->state = HELD_IN_FLIGHT;
	held->session_lost = false; /* from now on it may be known in the new one */
	courier->in_flight++;
	courier->stats.sent++;
	if (seq >= courier->sent_end)
		courier->sent_end = seq + 1;
	courier->unflushed = true;
	if (courier->live && courier->range_budget)
		courier->range_budget--;
	if (courier->pace.limited)
		pace_take(&courier->pace, held->bytes);
	if (HELD_OVERTAKES(held->rank))
		live_sent(courier);
	courier->options.connector->send(courier->options.link, &delivery);
}

/* Too old to be sent: drops it. */
static bool drop_expired(struct courier *courier, uint64_t seq, const struct held *held)
{
	if (!held->expires || !expiry_passed(courier, held))
		return false;
	if (courier->live && courier->range_budget)
		courier->range_budget--; /* as if it were sent */
	expiry_drop(courier, seq);
	return true;
}

/* A pipelined sink gets what follows without waiting, unless this one has been refused before. */
static bool goes_alone(const struct courier *courier, const struct held *held)
{
	return !courier->options.connector->pipelined_order || held->attempts > 0;
}

static void own_key(struct key *key, uint64_t seq, struct held *held)
{
	key->busy = seq;
	held->owns_key = true;
}

static bool send_listed(struct courier *courier, struct key *key)
{
	uint64_t seq = key->head;
	struct held *held = window_slot(&courier->window, seq);
	if (drop_expired(courier, seq, held))
		return true;
	if (!packet_id_is_free(courier, seq, held))
		return false;
	key_list_remove(key, &courier->window, seq);
	if (goes_alone(courier, held))
		own_key(key, seq, held);
	else if (held->rank != HELD_RANK_PLAIN)
		key_table_yield(&courier->keys, key);
	key_table_update(&courier->keys, key, &courier->window);
	dispatch_hand_over(courier, seq, held);
	return true;
}

/* Does something of the same key have to go first (or this one wait for its back-off)? Then lists it. */
static bool must_wait(struct courier *courier, uint64_t seq, struct held *held)
{
	struct key_table *keys = &courier->keys;
	bool alone = goes_alone(courier, held);
	bool wait = held->state == HELD_RETRY_WAIT;
	struct key *key = alone || wait ? key_table_get(keys, held->key_hash) : key_table_find(keys, held->key_hash);
	if (!key)
		return false;
	if (!wait && !key->busy && !key->head) {
		own_key(key, seq, held);
		return false;
	}
	window_own(&courier->window, held);
	key_list_append(key, &courier->window, seq);
	key_table_update(keys, key, &courier->window);
	return true;
}

/* The next one of the cursor below `end`. False when there is none. */
static bool send_fresh(struct courier *courier, uint64_t end)
{
	struct window *window = &courier->window;
	if (courier->send_next < window->first)
		courier->send_next = window->first;
	while (courier->send_next < end) {
		uint64_t seq = courier->send_next;
		struct held *held = window_head_slot(window, seq);
		bool waits = (held->state == HELD_WAITING || held->state == HELD_RETRY_WAIT) && !held->listed;
		if (waits && !packet_id_is_free(courier, seq, held))
			return false;
		courier->send_next++;
		if (!waits)
			continue;
		if (held->state == HELD_WAITING && drop_expired(courier, seq, held))
			return true;
		if (must_wait(courier, seq, held))
			continue;
		dispatch_hand_over(courier, seq, held);
		return true;
	}
	return false;
}

/* With all done ranges in use only the oldest one may go: it makes none. */
static bool send_oldest(struct courier *courier)
{
	uint64_t seq = window_oldest(&courier->window);
	struct held *held = window_find(&courier->window, seq);
	if (!held || held->state != HELD_WAITING || (!HELD_OVERTAKES(held->rank) && seq >= courier->sift_next))
		return false;
	if (!held->listed)
		return courier->send_next <= seq && send_fresh(courier, seq + 1);
	struct key *key = key_table_find(&courier->keys, held->key_hash);
	if (!key || key->head != seq || key->busy)
		return false;
	return send_listed(courier, key);
}

#define RANKS_BEFORE_THE_CURSOR ((UINT32_C(2) << HELD_RANK_PLAIN) - 1)

/* One of a key whose turn has come, the first ranks first. */
static bool send_ready(struct courier *courier, uint32_t ranks)
{
	for (ranks &= courier->keys.ready_ranks; ranks; ranks &= ranks - 1) {
		unsigned rank = (unsigned)__builtin_ctz(ranks);
		struct key *key = key_table_first_of(&courier->keys, rank);
		if (HELD_OVERTAKES(rank) && !live_may_go(courier, key->head))
			continue;
		if (send_listed(courier, key))
			return true;
	}
	return false;
}

static bool send_next(struct courier *courier)
{
	if (courier->live && !have_ranges(courier, 0))
		return send_oldest(courier);
	return send_ready(courier, RANKS_BEFORE_THE_CURSOR) || send_fresh(courier, courier->sift_next) ||
	       send_ready(courier, ~RANKS_BEFORE_THE_CURSOR);
}

/* Has the window room for one more beside so many? */
static bool window_takes(const struct courier *courier, uint64_t n)
{
	uint64_t limit = courier->link_window;
	int64_t configured = courier->options.outbox->window;
	if (configured > 0 && (uint64_t)configured < limit)
		limit = (uint64_t)configured;
	return courier->up && !courier->draining && !courier->paused && !courier->void_due && n < limit;
}

static bool window_is_open(const struct courier *courier)
{
	return window_takes(courier, courier->in_flight + courier->n_replies);
}

/* Replies that find no done range fill the window, and only the end of the oldest one gives ranges back: it passes them. */
static bool oldest_may_pass(struct courier *courier)
{
	return courier->n_replies > 0 && !courier->live && window_takes(courier, courier->in_flight) &&
	       !have_ranges(courier, RANGES_LEFT_FREE);
}

/* If it would be too fast, the timer is set for when it is not. Should there be nothing to send then, nothing is lost
 * but one turn. */
static bool keeps_pace(struct courier *courier)
{
	if (!courier->pace.limited)
		return true;
	uint64_t now_ms = courier_now_ms(courier);
	if (pace_allows(&courier->pace, now_ms))
		return true;
	courier->pace_due_ms = pace_due_ms(&courier->pace, now_ms);
	return false;
}

static bool send_one(struct courier *courier)
{
	if (window_is_open(courier))
		return keeps_pace(courier) && send_next(courier);
	return oldest_may_pass(courier) && keeps_pace(courier) && send_oldest(courier);
}

void dispatch_send(struct courier *courier, size_t *burst)
{
	courier->pace_due_ms = courier->batch.due_ms = UINT64_MAX;
	if (batch_applies(courier)) {
		if (window_is_open(courier) && keeps_pace(courier))
			batch_send(courier, burst);
		return;
	}
	while (*burst > 0 && send_one(courier))
		--*burst;
}

void dispatch_reset(struct held *held)
{
	if (held->state == HELD_IN_FLIGHT) {
		held->state = HELD_WAITING;
		held->maybe_sent = true;
	}
	if (held->state == HELD_ANSWERED)
		held->state = HELD_WAITING;
	held->listed = held->owns_key = false;
	held->stage_asked = held->stage;
}

void dispatch_restart(struct courier *courier)
{
	struct window *window = &courier->window;
	const struct lane *lane = window->lane;
	uint64_t apart = lane ? lane_first(lane) : 0;
	key_table_clear(&courier->keys);
	for (uint64_t seq = window->first; seq < courier->sift_next && seq < window->end; seq++) {
		struct held *held = window_head_slot(window, seq);
		for (; apart && apart < seq; apart = lane_next(lane, apart))
			live_relist(courier, apart);
		dispatch_reset(held);
		if (held->rank != HELD_RANK_PLAIN)
			list_ranked(courier, seq, held);
	}
	for (; apart; apart = lane_next(lane, apart))
		live_relist(courier, apart);
	courier->in_flight = 0;
	courier->drop_next = 0;
	courier->send_next = window->first;
	courier->epoch++;
	batch_restart(courier);
}
