/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes back from the sink, exactly one outcome for each delivery, and what follows from it. An outcome
 * that nothing is in flight for is a fault of the sink, or came after the link went down: it is logged and
 * changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "delivery/courier_impl.h"
#include "runtime/log.h"

/* A peer cannot ask for more than that. */
#define MAX_RETRY_AFTER_MS (24u * 60 * 60 * 1000)
#define PREFETCH           8u /* messages */

static void free_key(struct courier *courier, struct held *held)
{
	if (!held->owns_key)
		return;
	held->owns_key = false;
	struct key *key = key_table_find(&courier->keys, held->key_hash);
	if (!key)
		return;
	key->busy = 0;
	key_table_update(&courier->keys, key, &courier->window);
}

void outcome_detach(struct courier *courier, uint64_t seq)
{
	struct held *held = window_slot(&courier->window, seq);
	retry_heap_remove(&courier->retries, seq);
	free_key(courier, held);
	struct key *key = held->listed ? key_table_find(&courier->keys, held->key_hash) : NULL;
	if (!key)
		return;
	key_list_remove(key, &courier->window, seq);
	key_table_update(&courier->keys, key, &courier->window);
}

void outcome_release(struct courier *courier, uint64_t seq)
{
	outcome_detach(courier, seq);
	if (courier->live)
		live_released(courier, seq, window_slot(&courier->window, seq));
	window_release(&courier->window, seq);
	batch_released(courier, seq);
	courier->settle_due = true;
	late_bring(courier);
}

void outcome_finish(struct courier *courier, uint64_t seq, enum journal_total why)
{
	const struct held *held = window_slot(&courier->window, seq);
	journal_finish(courier->options.journal, courier->options.dest, seq, held->bytes, why);
	outcome_release(courier, seq);
}

void outcome_end(struct courier *courier, uint64_t seq, enum journal_total why)
{
	if (dispatch_take_range_at_end(courier, seq))
		outcome_finish(courier, seq, why);
	else
		late_hold(courier, seq, why);
}

void outcome_done(struct courier *courier, uint64_t seq)
{
	outcome_end(courier, seq, JOURNAL_DELIVERED);
}

/* Puts it back into the order of its key, to be sent again after delay_ms. */
static void send_later(struct courier *courier, uint64_t seq, uint64_t delay_ms)
{
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_RETRY_WAIT;
	window_own(&courier->window, held);
	courier->drop_next = 0;
	/* Listed before its key is free: nothing of the key may slip through between. */
	struct key *key = key_table_get(&courier->keys, held->key_hash);
	key_list_insert(key, &courier->window, seq);
	if (held->owns_key)
		key->busy = 0;
	held->owns_key = false;
	key_table_update(&courier->keys, key, &courier->window);
	retry_heap_push(&courier->retries, seq, courier_now_ms(courier) + delay_ms);
}

/* --- replies and last values
 * ------------------------------------------------------------------------------------------------------ */

/* False: the journal does not take it now. */
static bool journal_with(struct courier *courier, uint64_t seq, const struct message_view *view, bool is_value)
{
	if (!dispatch_take_range_at_end(courier, seq))
		return false;
	struct journal_change finished = {
		.type = JOURNAL_FINISHED,
		.dest = courier->options.dest,
		.seq = seq,
		.bytes = window_slot(&courier->window, seq)->bytes,
	};
	const struct courier_options *options = &courier->options;
	const struct message_view *request = message_view(window_slot(&courier->window, seq)->msg);
	int error = is_value ? options->on_value(options->ctx, view, &finished)
			     : options->on_reply(options->ctx, request, view, &finished);
	if (error != 0)
		return false;
	courier->stats.delivered++;
	outcome_release(courier, seq);
	return true;
}

static void journal_later(struct courier *courier, uint64_t seq)
{
	uint32_t failures = ++window_slot(&courier->window, seq)->attempts;
	retry_heap_push(
		&courier->retries, seq, courier_now_ms(courier) + backoff_delay_ms(&courier->backoff, failures));
}

/* The message is delivered, but done only together with its reply, or with being the last value: keeps that until the
 * journal takes it. */
static void keep(struct courier *courier, uint64_t seq, struct message *msg, bool is_value)
{
	outcome_detach(courier, seq);
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_REPLY;
	held->reply = msg;
	held->is_value = is_value;
	held->attempts = 0;
	courier->n_replies++;
	courier->n_values += is_value;
	log_warn(is_value ? "value_delayed" : "reply_delayed", "destination=%s", courier->options.name);
	journal_later(courier, seq);
}

static void keep_reply(struct courier *courier, uint64_t seq, const struct message_view *reply)
{
	struct message_view view = *reply;
	if (!view.topic.data)
		view.topic = view.order_key = slice_str(""); /* the host gives it one */
	struct message *copy = message_new(&view);
	if (copy) {
		keep(courier, seq, copy, false);
		return;
	}
	/* Never or not now: no reply can be had from it, and to send again would not change that. */
	log_error("reply_dropped", "destination=%s seq=%" PRIu64, courier->options.name, seq);
	courier->stats.replies_dropped++;
	courier->stats.delivered++;
	outcome_done(courier, seq);
}

static bool waits_as_value(const struct held *held)
{
	return held->state == HELD_REPLY && held->is_value;
}

/* The oldest value that waits for the journal, of those up to `last`, which does. */
static uint64_t first_value(const struct courier *courier, uint64_t last)
{
	const struct window *window = &courier->window;
	uint64_t seq = window->lane ? lane_first(window->lane) : 0, first = last;
	while (seq && !waits_as_value(lane_find(window->lane, seq)))
		seq = lane_next(window->lane, seq);
	if (seq && seq < first)
		first = seq;
	for (seq = window->first; seq < window->end && seq < first; seq++)
		if (waits_as_value(window_head_slot(window, seq)))
			first = first_value(courier, seq);
	return first;
}

/* False: the journal still does not take it. */
static bool journal_kept(struct courier *courier, uint64_t seq)
{
	const struct held *held = window_slot(&courier->window, seq);
	struct message *msg = held->reply;
	bool is_value = held->is_value;
	if (!journal_with(courier, seq, message_view(msg), is_value))
		return false;
	courier->n_replies--;
	courier->n_values -= is_value;
	message_unref(msg);
	return true;
}

/* Values go in the order of seq, lest an older one be the last: with one all those before it, and as long as any waits
 * none goes past it. */
static void retry_journal(struct courier *courier, uint64_t seq)
{
	bool done = false, is_value = window_slot(&courier->window, seq)->is_value;
	for (uint64_t first = seq; !done; done = first == seq) {
		if (is_value)
			first = first_value(courier, seq);
		if (!journal_kept(courier, first))
			break;
	}
	if (!done)
		journal_later(courier, seq);
}

/* False: there is still no room. */
static bool retry_if_reply(struct courier *courier, uint64_t seq)
{
	const struct held *held = window_find(&courier->window, seq);
	if (!held || held->state != HELD_REPLY || held->is_value)
		return true;
	retry_heap_remove(&courier->retries, seq);
	if (journal_kept(courier, seq))
		return true;
	journal_later(courier, seq);
	return false;
}

void courier_retry_replies(struct courier *courier)
{
	const struct window *window = &courier->window;
	const struct lane *lane = window->lane;
	bool going = courier->n_replies > courier->n_values;
	if (!going)
		return;
	courier_enter(courier);
	for (uint64_t seq = window->first; going && seq < window->end; seq++)
		going = retry_if_reply(courier, seq);
	for (uint64_t seq = lane ? lane_first(lane) : 0, next; going && seq; seq = next) {
		next = lane_next(lane, seq);
		going = retry_if_reply(courier, seq);
	}
	courier_leave(courier);
}

static void delivered_value(struct courier *courier, uint64_t seq)
{
	struct message *msg = window_slot(&courier->window, seq)->msg;
	if (courier->n_values || !journal_with(courier, seq, message_view(msg), true))
		keep(courier, seq, message_ref(msg), true);
}

/* --- the four outcomes
 * ---------------------------------------------------------------------------------------------- */

static void delivered(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	const struct message_view *reply = outcome->reply;
	times_delivered(courier, seq);
	if (outcome->keep_value && courier->options.on_value) {
		delivered_value(courier, seq);
		return;
	}
	if (!message_param(message_view(window_slot(&courier->window, seq)->msg), MESSAGE_REPLY).data)
		reply = NULL; /* nobody wants it */
	if (reply && courier->options.on_reply) {
		if (!journal_with(courier, seq, reply, false))
			keep_reply(courier, seq, reply);
		return;
	}
	courier->stats.replies_dropped += reply != NULL;
	courier->stats.delivered++;
	outcome_done(courier, seq);
}

static void bury(struct courier *courier, uint64_t seq, struct slice reason)
{
	if (!letters_send(courier, seq, reason))
		send_later(courier, seq, COURIER_REPEAT_MS);
}

static void rejected(struct courier *courier, uint64_t seq, const char *reason)
{
	courier->stats.rejected++;
	bury(courier, seq, slice_str(reason ? reason : "rejected"));
}

/* With max_attempts a message ends in the dead letters; not while the peer has it half (a stage): only the
 * peer can end that [MQTT-4.3.3-7]. An earlier process may have sent it too, but the answer that was just had
 * is newer. */
bool outcome_attempts_used_up(const struct courier *courier, const struct held *held)
{
	int64_t max_attempts = courier->options.outbox->max_attempts;
	return max_attempts > 0 && held->attempts >= (uint64_t)max_attempts && held->stage_asked == 0;
}

void outcome_used_up_text(const struct held *held, const char *reason, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%" PRIu32 " attempts used up, the last: %s", held->attempts, reason);
}

uint64_t outcome_delay_ms(struct courier *courier, const struct held *held, uint64_t wish_ms)
{
	uint64_t delay_ms = backoff_delay_ms(&courier->backoff, held->attempts);
	if (wish_ms > MAX_RETRY_AFTER_MS)
		wish_ms = MAX_RETRY_AFTER_MS;
	return delay_ms > wish_ms ? delay_ms : wish_ms;
}

static void retry(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	struct held *held = window_slot(&courier->window, seq);
	const char *reason = outcome->reason ? outcome->reason : "no reason given";
	held->attempts += held->attempts < UINT32_MAX;
	courier->stats.retried++;
	log_debug("retry", "destination=%s seq=%" PRIu64 " attempt=%" PRIu32 " reason=\"%s\"", courier->options.name,
		seq, held->attempts, reason);
	if (outcome_attempts_used_up(courier, held)) {
		char text[512];
		outcome_used_up_text(held, reason, text, sizeof text);
		bury(courier, seq, slice_str(text));
		return;
	}
	send_later(courier, seq, outcome_delay_ms(courier, held, outcome->retry_after_ms));
}

void outcome_link_down(struct courier *courier, const struct outcome *outcome)
{
	courier->drop_next = 0;
	if (!courier->up)
		return;
	courier->up = false;
	courier->stats.link_downs++;
	log_warn("delivery_paused", "destination=%s reason=\"%s\"", courier->options.name,
		outcome->reason ? outcome->reason : "");
}

/* Sends nothing more before the next link_up. What else is in flight may still end well. */
static void pause(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	struct held *held = window_slot(&courier->window, seq);
	held->state = HELD_WAITING;
	held->maybe_sent = !outcome->not_taken;
	outcome_link_down(courier, outcome);
}

static void end_one(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	switch (outcome->kind) {
	case OUTCOME_DELIVERED:
		delivered(courier, seq, outcome);
		break;
	case OUTCOME_REJECTED:
		rejected(courier, seq, outcome->reason);
		break;
	case OUTCOME_RETRY:
		retry(courier, seq, outcome);
		break;
	case OUTCOME_LINK_DOWN:
		pause(courier, seq, outcome);
		break;
	}
}

void courier_outcome(struct courier *courier, uint64_t seq, const struct outcome *outcome)
{
	const struct held *held = window_find(&courier->window, seq);
	if (!held || held->state != HELD_IN_FLIGHT) {
		if (outcome->kind != OUTCOME_LINK_DOWN)
			log_warn(
				"outcome_ignored", "destination=%s kind=%d", courier->options.name, (int)outcome->kind);
		return;
	}
	courier_enter(courier);
	courier->in_flight--;
	if (held->batched)
		batch_outcome(courier, seq, outcome);
	else
		end_one(courier, seq, outcome);
	courier_leave(courier);
}

/* Nothing is to be done but to journal that it has ended. */
static bool ends_simply(const struct courier *courier, const struct held *held)
{
	return !courier->live && !held->batched && !held->owns_key && !held->listed && held->heap_place == 0;
}

/* How long they took, those of the same age counted together. */
struct ages {
	uint64_t since_us, n;
};

static void ages_end(struct courier *courier, struct ages *ages)
{
	if (ages->n)
		histogram_add(&courier->delivery, loop_turn_us(courier->options.loop) - ages->since_us, ages->n);
	ages->n = 0;
}

static void ages_count(struct courier *courier, struct ages *ages, uint64_t since_us)
{
	if (ages->since_us != since_us)
		ages_end(courier, ages);
	ages->since_us = since_us;
	ages->n++;
}

void courier_delivered(struct courier *courier, const uint64_t *seqs, size_t n)
{
	static const struct outcome delivered_outcome = {.kind = OUTCOME_DELIVERED};
	struct window *window = &courier->window;
	struct ages ages = {0, 0};
	courier_enter(courier);
	for (size_t i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			__builtin_prefetch(window_head_slot(window, seqs[i + PREFETCH]), 1);
		struct held *held = window_find(window, seqs[i]);
		if (!held || held->state != HELD_IN_FLIGHT || !ends_simply(courier, held)) {
			courier_outcome(courier, seqs[i], &delivered_outcome);
			continue;
		}
		courier->in_flight--;
		courier->stats.delivered++;
		ages_count(courier, &ages, held->durable_us);
		late_put(courier, held, JOURNAL_DELIVERED);
	}
	ages_end(courier, &ages);
	if (courier->draining)
		late_sweep(courier, true);
	else
		late_bring(courier);
	courier_leave(courier);
}

void outcome_due(struct courier *courier, uint64_t seq)
{
	struct held *held = window_slot(&courier->window, seq);
	if (held->state == HELD_DEAD) {
		letters_retry(courier, seq);
	} else if (held->state == HELD_REPLY) {
		retry_journal(courier, seq);
	} else if (held->state == HELD_RETRY_WAIT) {
		held->state = HELD_WAITING;
		struct key *key = held->listed ? key_table_find(&courier->keys, held->key_hash) : NULL;
		if (key)
			key_table_update(&courier->keys, key, &courier->window);
	}
}
