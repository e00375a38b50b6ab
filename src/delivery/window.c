/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of held messages. A slot outside of [first, end) and of the tail has no meaning and may hold
 * anything.
 */
#include "delivery/window.h"

#include <errno.h>
#include <stdlib.h>

#include "delivery/lane.h"

#define WINDOW_FIRST_CAPACITY 64u

int window_init(struct window *window, uint64_t first)
{
	*window = (struct window){.first = first, .end = first, .capacity = WINDOW_FIRST_CAPACITY};
	window->slots = calloc(window->capacity, sizeof *window->slots);
	return window->slots ? 0 : -ENOMEM;
}

static void unref_run(struct window *window, uint64_t from, uint64_t to)
{
	for (uint64_t seq = from; seq < to; seq++) {
		struct held *held = window_head_slot(window, seq);
		if (held->state == HELD_REPLY)
			message_unref(held->reply);
		if (held->state != HELD_GONE)
			message_unref(held->msg);
	}
}

void window_fini(struct window *window)
{
	if (!window->slots)
		return;
	unref_run(window, window->first, window->end);
	unref_run(window, window->tail_begin, window->tail_end);
	free(window->slots);
	window->slots = NULL;
	lane_free(window->lane);
	window->lane = NULL;
}

static void move_run(struct held *to, size_t to_capacity, const struct window *from, uint64_t begin, uint64_t end)
{
	for (uint64_t seq = begin; seq < end; seq++)
		to[seq & (to_capacity - 1)] = *window_head_slot(from, seq);
}

int window_grow(struct window *window, size_t capacity)
{
	struct held *slots = calloc(capacity, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	move_run(slots, capacity, window, window->first, window->end);
	move_run(slots, capacity, window, window->tail_begin, window->tail_end);
	free(window->slots);
	window->slots = slots;
	window->capacity = capacity;
	return 0;
}

struct held *window_find(const struct window *window, uint64_t seq)
{
	struct held *apart = window->lane ? lane_find(window->lane, seq) : NULL;
	if (apart)
		return apart;
	if (seq < window->first || seq >= window->end)
		return NULL;
	struct held *held = window_head_slot(window, seq);
	return held->state == HELD_GONE ? NULL : held;
}

static void pass_gone(struct window *window)
{
	while (window->first < window->end && window_head_slot(window, window->first)->state == HELD_GONE)
		window->first++;
}

static struct held *fill(struct window *window, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg)
{
	struct held *held = window_head_slot(window, seq);
	*held = (struct held){.msg = msg, .lsn = lsn, .bytes = bytes, .state = HELD_WAITING};
	window->n_held++;
	window->held_bytes += message_memory(msg);
	return held;
}

struct held *window_add(struct window *window, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg)
{
	window_skip(window, seq);
	window->end = seq + 1;
	return fill(window, seq, lsn, bytes, msg);
}

struct held *window_add_tail(struct window *window, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg)
{
	if (!window_has_tail(window)) {
		window->tail_begin = seq;
		window->tail_bytes = 0;
	}
	window->tail_end = seq + 1;
	window->tail_bytes += message_memory(msg);
	return fill(window, seq, lsn, bytes, msg);
}

void window_skip_tail(struct window *window, uint64_t seq)
{
	window_head_slot(window, seq)->state = HELD_GONE;
	window->tail_end = seq + 1;
}

void window_skip(struct window *window, uint64_t seq)
{
	if (window->first == window->end && seq > window->end)
		window->first = window->end = seq;
	for (; window->end < seq; window->end++)
		window_head_slot(window, window->end)->state = HELD_GONE;
}

void window_join(struct window *window)
{
	if (!window_has_tail(window) || window->end < window->tail_begin)
		return;
	window->end = window->tail_end;
	window->tail_begin = window->tail_end = 0;
	window->tail_bytes = 0;
}

static void let_go(struct window *window, struct held *held)
{
	window->n_held--;
	window->held_bytes -= message_memory(held->msg);
	window->n_expiring -= held->expires;
	message_unref(held->msg);
	held->msg = NULL;
	held->state = HELD_GONE;
}

/* What is held in the tail or the lane has memory of its own anyway: their figures stay as they are. */
void window_own(struct window *window, struct held *held)
{
	struct message *own = message_keep(held->msg);
	if (!own)
		return;
	window->held_bytes += message_memory(own);
	window->held_bytes -= message_memory(held->msg);
	message_unref(held->msg);
	held->msg = own;
}

void window_cut(struct window *window, uint64_t end)
{
	for (uint64_t seq = end; seq < window->end; seq++)
		if (window_head_slot(window, seq)->state != HELD_GONE)
			let_go(window, window_head_slot(window, seq));
	window->end = end;
}

void window_drop_tail(struct window *window)
{
	for (uint64_t seq = window->tail_begin; seq < window->tail_end; seq++)
		if (window_head_slot(window, seq)->state != HELD_GONE)
			let_go(window, window_head_slot(window, seq));
	window->tail_begin = window->tail_end = 0;
	window->tail_bytes = 0;
}

void window_release(struct window *window, uint64_t seq)
{
	const struct held *apart = window->lane ? lane_find(window->lane, seq) : NULL;
	if (apart) {
		window->n_expiring -= apart->expires;
		lane_remove(window->lane, seq);
		return;
	}
	let_go(window, window_head_slot(window, seq));
	pass_gone(window);
}

void window_release_run(struct window *window, uint64_t begin, uint64_t end)
{
	for (uint64_t seq = begin; seq < end; seq++)
		let_go(window, window_head_slot(window, seq));
	pass_gone(window);
}

uint64_t window_oldest(const struct window *window)
{
	uint64_t apart = window->lane ? lane_first(window->lane) : 0;
	return apart && apart < window->first ? apart : window->first;
}
