/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches: several messages that the sink sends as one. Made here in the order of seq, one at a time, of what is durable and
 * next to each other: a batch is all of [first, last], so its bounds alone say who is in it, over crashes too. Whatever has
 * ended or is on its way to the dead letters ends a batch before it.
 *
 * States: NONE → NOTED, with the bounds appended, and sent once they are durable → IN_FLIGHT → NONE (delivered) | NOTED (to be
 * sent again) | DYING (to the dead letters) → NONE. NOTED → NONE without one: a member was thrown away by hand, or is
 * damaged on disk; the others make new ones, with other bounds.
 *
 * What an earlier process has noted is made again as it was, if all of it is undone. When some is done, those bounds are
 * void, and stay so: the DONEs that void them are in the journal before the next bounds are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/courier_impl.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define MAX_MEMORY (COURIER_HELD_BYTES / 2) /* of a batch's messages: the next one is read meanwhile */

/* --- life
 * ------------------------------------------------------------------------------------------------------------ */

bool batch_applies(const struct courier *courier)
{
	return courier->batch.limits.max_messages > 1;
}

void batch_init(struct courier *courier)
{
	const struct courier_options *options = &courier->options;
	struct batch *batch = &courier->batch;
	batch->due_ms = UINT64_MAX;
	if (!options->connector->batching)
		return;
	batch->limits = options->connector->batching(options->settings);
	if (batch_applies(courier))
		courier->options.in_order = true;
}

struct recovery {
	struct courier *courier;
	size_t capacity;
	int error;
};

static bool all_undone(const struct courier *courier, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++)
		if (journal_is_done(courier->options.journal, courier->options.dest, seq))
			return false;
	return true;
}

/* The journal gives them in the order of their beginnings. Not more than can be held: nobody has noted such ones. */
static bool can_be_one(const struct courier *courier, uint64_t first, uint64_t last)
{
	const struct batch *batch = &courier->batch;
	uint64_t free_from = batch->n_recovered ? batch->recovered[batch->n_recovered - 1].last + 1 : 1;
	return first >= free_from && last >= first && last - first < COURIER_MAX_LOOKAHEAD &&
	       all_undone(courier, first, last);
}

static void on_recovered(uint64_t first, uint64_t last, void *arg)
{
	struct recovery *recovery = arg;
	struct batch *batch = &recovery->courier->batch;
	if (!can_be_one(recovery->courier, first, last))
		return;
	if (batch->n_recovered == recovery->capacity) {
		size_t capacity = recovery->capacity ? 2 * recovery->capacity : 4;
		struct batch_bounds *bounds = realloc(batch->recovered, capacity * sizeof *bounds);
		if (!bounds) {
			recovery->error = -ENOMEM;
			return;
		}
		batch->recovered = bounds;
		recovery->capacity = capacity;
	}
	batch->recovered[batch->n_recovered++] = (struct batch_bounds){first, last};
}

int batch_recover(struct courier *courier)
{
	struct recovery recovery = {.courier = courier};
	if (batch_applies(courier))
		journal_batches(courier->options.journal, courier->options.dest, on_recovered, &recovery);
	return recovery.error;
}

void batch_fini(struct courier *courier)
{
	free(courier->batch.recovered);
}

/* The oldest of those that an earlier process has noted, and that are not taken up yet. */
static const struct batch_bounds *next_recovered(const struct courier *courier)
{
	const struct batch *batch = &courier->batch;
	return batch->recovered_next < batch->n_recovered ? &batch->recovered[batch->recovered_next] : NULL;
}

bool batch_has(const struct courier *courier, uint64_t seq)
{
	const struct batch *batch = &courier->batch;
	if (batch->state != BATCH_NONE && seq >= batch->first && seq <= batch->last)
		return true;
	for (size_t i = batch->recovered_next; i < batch->n_recovered; i++)
		if (seq >= batch->recovered[i].first && seq <= batch->recovered[i].last)
			return true;
	return false;
}

uint64_t batch_last_to_hold(const struct courier *courier)
{
	const struct batch *batch = &courier->batch;
	if (batch->state != BATCH_NONE)
		return batch->last;
	const struct batch_bounds *next = next_recovered(courier);
	return next ? next->last : 0;
}

/* --- void bounds
 * ----------------------------------------------------------------------------------------------------- */

static void let_members_go(struct courier *courier, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++) {
		struct held *held = window_find(&courier->window, seq);
		if (!held)
			continue;
		held->batched = false;
		if (held->state != HELD_RETRY_WAIT)
			continue;
		retry_heap_remove(&courier->retries, seq);
		held->state = HELD_WAITING;
	}
	if (courier->send_next > first)
		courier->send_next = first;
	courier->drop_next = 0;
	courier->batch.flush_due = true;
	log_info("batch_void",
		"destination=%s first=%" PRIu64 " last=%" PRIu64
		" what=\"a member was purged or lost: the others make new ones\"",
		courier->options.name, first, last);
}

static void make_void(struct courier *courier)
{
	courier->batch.state = BATCH_NONE;
	let_members_go(courier, courier->batch.first, courier->batch.last);
}

static void forget_forming(struct batch *batch)
{
	batch->forming_end = 0;
}

void batch_released(struct courier *courier, uint64_t seq)
{
	struct batch *batch = &courier->batch;
	if (seq >= batch->forming_first && seq < batch->forming_end)
		forget_forming(batch);
	if (batch->state == BATCH_NOTED && seq >= batch->first && seq <= batch->last)
		make_void(courier);
}

/* --- making one
 * ------------------------------------------------------------------------------------------------------ */

/* Too old: it ends here, if it can. True: it has. */
static bool drop_expired(struct courier *courier, uint64_t seq, const struct held *held)
{
	if (!held->expires || !expiry_passed(courier, held) || !dispatch_take_range(courier, seq))
		return false;
	expiry_drop(courier, seq);
	return true;
}

/* The oldest that waits, and was sifted; 0: none. */
static uint64_t oldest_waiting(struct courier *courier)
{
	const struct window *window = &courier->window;
	if (courier->send_next < window->first)
		courier->send_next = window->first;
	for (; courier->send_next < courier->sift_next && courier->send_next < window->end; courier->send_next++) {
		uint64_t seq = courier->send_next;
		const struct held *held = window_head_slot(window, seq);
		if (held->state == HELD_WAITING && !drop_expired(courier, seq, held))
			return seq;
	}
	return 0;
}

static bool fits(const struct courier *courier, const struct held *held)
{
	const struct batch *batch = &courier->batch;
	const struct courier_options *options = &courier->options;
	if (batch->forming_end == batch->forming_first)
		return true;
	const struct held *first = window_head_slot(&courier->window, batch->forming_first);
	const struct message_view *view = message_view(held->msg);
	return batch->forming_bytes + view->payload.len <= batch->limits.max_bytes &&
	       batch->forming_memory + message_memory(held->msg) <= MAX_MEMORY &&
	       (!options->connector->same_batch ||
		       options->connector->same_batch(options->settings, message_view(first->msg), view));
}

/* Takes in what can be. True: that is all it will ever be. */
static bool is_full(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	const struct window *window = &courier->window;
	const struct batch_bounds *next = next_recovered(courier);
	for (;; batch->forming_end++) {
		uint64_t seq = batch->forming_end, n = seq - batch->forming_first;
		if (n >= batch->limits.max_messages || n >= courier->lookahead || (next && seq == next->first))
			return true;
		if (seq >= courier->sift_next || seq >= window->end)
			return false;
		const struct held *held = window_head_slot(window, seq);
		if (held->state != HELD_WAITING || !fits(courier, held))
			return true;
		batch->forming_bytes += message_view(held->msg)->payload.len;
		batch->forming_memory += message_memory(held->msg);
	}
}

static uint64_t age_ms(const struct courier *courier, uint64_t seq)
{
	const struct held *held = window_head_slot(&courier->window, seq);
	int64_t age_us = (int64_t)(loop_turn_us(courier->options.loop) - held->durable_us);
	return age_us > 0 ? (uint64_t)age_us / 1000 : 0;
}

/* From when the first one became durable. As long as there is more on disk, from when it was seen: it is old, and what
 * follows is on its way. */
static void begin_forming(struct courier *courier, uint64_t first)
{
	struct batch *batch = &courier->batch;
	bool known = batch->waits_since == first;
	batch->forming_first = batch->forming_end = batch->waits_since = first;
	batch->forming_bytes = batch->forming_memory = 0;
	if (known)
		return;
	bool live = courier->window.end == courier->appended_end;
	uint64_t now_ms = courier_now_ms(courier), since_ms = live ? age_ms(courier, first) : 0;
	batch->wait_until_ms = now_ms - (since_ms < now_ms ? since_ms : now_ms) + batch->limits.wait_ms;
}

/* Has it waited long enough for more? Else the timer is set. */
static bool has_waited(struct courier *courier)
{
	if (courier_now_ms(courier) >= courier->batch.wait_until_ms)
		return true;
	courier->batch.due_ms = courier->batch.wait_until_ms;
	return false;
}

static void take_up(struct courier *courier, uint64_t first, uint64_t last, bool is_durable)
{
	struct batch *batch = &courier->batch;
	batch->state = BATCH_NOTED;
	batch->first = first;
	batch->last = last;
	batch->lsn = 0;
	batch->is_durable = is_durable;
	courier->send_next = last + 1;
	for (uint64_t seq = first; seq <= last; seq++) {
		struct held *held = window_find(&courier->window, seq);
		if (held)
			held->batched = true;
	}
	forget_forming(batch);
}

/* An earlier process's, if it is its turn. False: there is none, or it comes later. */
static bool take_up_recovered(struct courier *courier, uint64_t oldest)
{
	const struct batch_bounds *next;
	while ((next = next_recovered(courier)) && next->first <= oldest) {
		courier->batch.recovered_next++;
		if (next->first == oldest) {
			take_up(courier, next->first, next->last, true);
			return true;
		}
		let_members_go(courier, next->first, next->last);
	}
	return false;
}

static bool form(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	uint64_t oldest = oldest_waiting(courier);
	if (!oldest)
		return false;
	if (take_up_recovered(courier, oldest))
		return true;
	if (batch->forming_end == 0 || batch->forming_first != oldest)
		begin_forming(courier, oldest);
	if (!is_full(courier) && !has_waited(courier))
		return false;
	if (batch->forming_end == batch->forming_first)
		return false;
	take_up(courier, batch->forming_first, batch->forming_end - 1, false);
	return true;
}

/* --- its bounds
 * ------------------------------------------------------------------------------------------------------ */

static int append_bounds(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	struct journal *journal = courier->options.journal;
	struct journal_change change = {
		.type = JOURNAL_BATCH, .dest = courier->options.dest, .seq = batch->first, .last = batch->last};
	uint64_t lsn;
	int error = batch->flush_due ? journal_flush_done(journal, &lsn) : 0;
	if (error)
		return error;
	batch->flush_due = false;
	FAILPOINT("http.before_batch");
	return journal_append(journal, NULL, 0, &change, 1, &batch->lsn);
}

static bool bounds_are_durable(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	int error = batch->is_durable || batch->lsn ? 0 : append_bounds(courier);
	if (error) {
		log_error("batch_failed", "destination=%s error=\"%s\"", courier->options.name, strerror(-error));
		courier_poke_in(courier, COURIER_REPEAT_MS);
		return false;
	}
	if (batch->is_durable)
		return true;
	if (batch->lsn > courier->durable)
		return false;
	batch->is_durable = true;
	FAILPOINT("http.after_batch");
	return true;
}

/* --- sending
 * --------------------------------------------------------------------------------------------------------- */

/* All of it held, and not in a back-off. What is not there any more voids it. */
static bool is_complete(struct courier *courier)
{
	const struct batch *batch = &courier->batch;
	if (courier->sift_next <= batch->last || courier->window.end <= batch->last)
		return false; /* it will be read */
	for (uint64_t seq = batch->first; seq <= batch->last; seq++) {
		const struct held *held = window_find(&courier->window, seq);
		if (held && held->state == HELD_RETRY_WAIT)
			return false;
		if (held && held->state == HELD_WAITING)
			continue;
		make_void(courier);
		return false;
	}
	return true;
}

static void finish_attempt(struct courier *courier);

/* The sink may answer from inside, and the link go down. */
static void send_all(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	batch->state = BATCH_IN_FLIGHT;
	batch->kind = OUTCOME_DELIVERED;
	batch->retry_after_ms = 0;
	batch->reason[0] = '\0';
	batch->sending = true;
	uint64_t epoch = courier->epoch;
	for (batch->sent_end = batch->first; batch->sent_end <= batch->last && courier->up;) {
		uint64_t seq = batch->sent_end++;
		dispatch_hand_over(courier, seq, window_slot(&courier->window, seq));
		if (courier->epoch != epoch)
			return; /* it waits again */
	}
	batch->sending = false;
	finish_attempt(courier);
}

bool batch_send(struct courier *courier, size_t *burst)
{
	struct batch *batch = &courier->batch;
	if (batch->state == BATCH_NONE && !form(courier))
		return false;
	if (batch->state != BATCH_NOTED || !bounds_are_durable(courier))
		return false;
	if (!is_complete(courier)) {
		courier->again |= batch->state == BATCH_NONE;
		return false;
	}
	if (!dispatch_take_range(courier, batch->first))
		return false;
	uint64_t n = batch->last - batch->first + 1;
	*burst = *burst > n ? *burst - (size_t)n : 0;
	send_all(courier);
	return false; /* send_end tells the sink that it is complete; then the next one */
}

/* --- what comes back
 * ------------------------------------------------------------------------------------------------- */

static int weight(enum outcome_kind kind)
{
	switch (kind) {
	case OUTCOME_DELIVERED:
		return 0;
	case OUTCOME_REJECTED:
		return 1;
	case OUTCOME_RETRY:
		return 2;
	default:
		return 3;
	}
}

/* They are all the same, but for what went down with the link. */
static void note(struct batch *batch, const struct outcome *outcome)
{
	if (outcome->retry_after_ms > batch->retry_after_ms)
		batch->retry_after_ms = outcome->retry_after_ms;
	if (outcome->kind != OUTCOME_DELIVERED && weight(outcome->kind) >= weight(batch->kind))
		snprintf(batch->reason, sizeof batch->reason, "%s", outcome->reason ? outcome->reason : "");
	if (weight(outcome->kind) > weight(batch->kind))
		batch->kind = outcome->kind;
}

void batch_outcome(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_ANSWERED;
	held->maybe_sent = outcome->kind != OUTCOME_LINK_DOWN || !outcome->not_taken;
	note(&courier->batch, outcome);
	if (outcome->kind == OUTCOME_LINK_DOWN)
		outcome_link_down(courier, outcome);
	finish_attempt(courier);
}

/* No append is between the DONEs: they are in one group, so that a crash leaves all of them or none. They make one done range;
 * without one for it all of them are journalled late. */
static void end_delivered(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	bool late = !dispatch_take_range_at_end(courier, batch->first);
	batch->state = BATCH_NONE;
	for (uint64_t seq = batch->first; seq <= batch->last; seq++) {
		times_delivered(courier, seq);
		courier->stats.delivered++;
		if (late)
			late_hold(courier, seq, JOURNAL_DELIVERED);
		else
			outcome_finish(courier, seq, JOURNAL_DELIVERED);
	}
}

static void members_wait(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	batch->state = BATCH_NOTED;
	for (uint64_t seq = batch->first; seq <= batch->last; seq++)
		window_slot(&courier->window, seq)->state = HELD_WAITING;
}

static void end_dying(struct courier *courier)
{
	members_wait(courier);
	courier->batch.state = BATCH_DYING;
	batch_bury(courier);
}

static void end_rejected(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	courier->stats.rejected += batch->last - batch->first + 1;
	if (batch->reason[0] == '\0')
		snprintf(batch->reason, sizeof batch->reason, "rejected");
	end_dying(courier);
}

/* The first one stands for all of them in the heap. */
static void end_retry(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	for (uint64_t seq = batch->first; seq <= batch->last; seq++) {
		struct held *held = window_slot(&courier->window, seq);
		held->attempts += held->attempts < UINT32_MAX;
		courier->stats.retried++;
	}
	struct held *first = window_slot(&courier->window, batch->first);
	log_debug("retry", "destination=%s seq=%" PRIu64 " last=%" PRIu64 " attempt=%" PRIu32 " reason=\"%s\"",
		courier->options.name, batch->first, batch->last, first->attempts, batch->reason);
	if (outcome_attempts_used_up(courier, first)) {
		char text[sizeof batch->reason];
		outcome_used_up_text(first, batch->reason, text, sizeof text);
		memcpy(batch->reason, text, sizeof text);
		end_dying(courier);
		return;
	}
	members_wait(courier);
	first->state = HELD_RETRY_WAIT;
	retry_heap_push(&courier->retries, batch->first,
		courier_now_ms(courier) + outcome_delay_ms(courier, first, batch->retry_after_ms));
}

static void finish_attempt(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	if (batch->state != BATCH_IN_FLIGHT || batch->sending || courier->in_flight > 0)
		return;
	if (batch->sent_end <= batch->last)
		batch->kind = OUTCOME_LINK_DOWN; /* went down before the sink had all of it */
	switch (batch->kind) {
	case OUTCOME_DELIVERED:
		end_delivered(courier);
		break;
	case OUTCOME_REJECTED:
		end_rejected(courier);
		break;
	case OUTCOME_RETRY:
		end_retry(courier);
		break;
	case OUTCOME_LINK_DOWN:
		members_wait(courier);
		break;
	}
}

void batch_bury(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	if (batch->state != BATCH_DYING)
		return;
	for (uint64_t seq = batch->first; seq <= batch->last; seq++) {
		const struct held *held = window_find(&courier->window, seq);
		if (!held || held->state != HELD_WAITING)
			continue;
		if (!letters_send(courier, seq, slice_str(batch->reason))) {
			courier_poke_in(courier, COURIER_REPEAT_MS);
			return;
		}
	}
	batch->state = BATCH_NONE;
}

void batch_restart(struct courier *courier)
{
	struct batch *batch = &courier->batch;
	batch->sending = false;
	if (batch->state == BATCH_IN_FLIGHT)
		batch->state = BATCH_NOTED;
	forget_forming(batch);
}
