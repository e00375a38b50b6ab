/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages that a courier holds in memory: a ring indexed by seq, so that finding one is O(1), and as far
 * as seqs go also the bound of the lookahead. Two runs of seqs are held: the head [first, end), which may be
 * sent, and an optional tail [tail_begin, tail_end) of newly appended messages, which becomes part of the
 * head once the gap between them has been read back from the journal.
 *
 * Pointers to a slot live until the next window_grow. Never touches the journal. The loop only.
 */
#ifndef LINKSPAN_DELIVERY_WINDOW_H
#define LINKSPAN_DELIVERY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message/message.h"

/* WAITING → IN_FLIGHT → (ANSWERED →) GONE | LATE | RETRY_WAIT | DEAD | REPLY | WAITING (link down); RETRY_WAIT → WAITING when its
 * back-off is over; WAITING, RETRY_WAIT → DEAD | GONE | LATE (expired); DEAD, REPLY, LATE → GONE. */
enum held_state {
	HELD_GONE, /* done, dead or damaged: nothing is held */
	HELD_WAITING,
	HELD_IN_FLIGHT, /* the sink has it */
	HELD_RETRY_WAIT, /* until its place in the retry heap is due */
	HELD_DEAD, /* on its way to the dead letters; out of the order */
	HELD_REPLY, /* delivered; its reply, or that it is the last value, could not be journalled yet */
	HELD_ANSWERED, /* has its outcome; others of its batch are in flight still */
	HELD_LATE, /* it has ended and is journalled once all before it are done */
	HELD_NEW, /* as WAITING, and has not been looked at since it became durable (only of what overtakes) */
};

/* Ranks: the order in which keys get their turn (key_table.h). Two for each priority: what overtakes goes before what
 * is held in its place. */
#define HELD_RANKS           20u
#define HELD_RANK_PLAIN      11u /* the default priority, in its place */
#define HELD_OVERTAKES(rank) (((rank)&1u) == 0)

struct letter;
struct lane;

struct held {
	struct message *msg;
	uint64_t lsn;
	uint64_t key_hash;
	union {
		struct {
			uint64_t next, prev; /* seqs; while listed in the key table */
		};
		struct letter *letter; /* HELD_DEAD */
		struct message *reply; /* HELD_REPLY; with is_value the message itself */
	};
	uint32_t bytes; /* for journal_finish */
	uint32_t attempts; /* that ended with RETRY */
	uint32_t heap_place; /* in the retry heap, 1-based; 0 = not there */
	uint8_t state;
	uint8_t stage; /* durable */
	uint8_t stage_asked; /* on its way to the disk, or durable */
	uint8_t rank;
	uint8_t end; /* HELD_LATE: enum journal_total */
	bool maybe_sent : 1;
	bool session_lost : 1; /* maybe sent, in a session that is lost; not sent since */
	bool expires : 1; /* by its own wish or by the outbox's ttl */
	bool listed : 1; /* in the list of its key: waits for its turn */
	bool owns_key : 1; /* in flight alone: its key's list waits for its outcome */
	bool batched : 1; /* one of a batch whose bounds are noted: it neither expires nor makes room */
	bool is_value : 1; /* HELD_REPLY */
	bool uncounted : 1; /* live.c: what comes after it may overtake */
	bool was_swept : 1; /* HELD_LATE: it was so at the last sweep */
	uint64_t durable_us; /* loop_turn_us when it was seen to be durable; 0: not yet */
};

struct window {
	struct held *slots;
	size_t capacity; /* a power of two */
	uint64_t first; /* the oldest undone seq; == end when the head is empty */
	uint64_t end;
	uint64_t tail_begin, tail_end; /* equal: no tail */
	size_t n_held, held_bytes; /* head and tail; bytes of memory */
	size_t tail_bytes;
	size_t n_expiring; /* held with `expires` */
	struct lane
		*lane; /* messages apart from both runs (delivery/lane.h), which are not in the figures above but the
			      last; NULL: there are never any */
};

int window_init(struct window *window, uint64_t first) __attribute__((warn_unused_result)); /* 0 or -ENOMEM */
void window_fini(struct window *window); /* gives back every message */

/* Makes room for capacity seqs (a power of two) from first on, at least as many as are held. 0 or -ENOMEM. */
int window_grow(struct window *window, size_t capacity) __attribute__((warn_unused_result));

struct held *lane_find(const struct lane *lane, uint64_t seq); /* NULL if it is not there */

/* For walks over the head: GONE where the message overtakes. */
static inline struct held *window_head_slot(const struct window *window, uint64_t seq)
{
	return &window->slots[seq & (window->capacity - 1)];
}

static inline struct held *window_slot(const struct window *window, uint64_t seq)
{
	struct held *held = window->lane ? lane_find(window->lane, seq) : NULL;
	return held ? held : window_head_slot(window, seq);
}

/* The held message of the head or the lane with that seq, NULL if there is none. */
struct held *window_find(const struct window *window, uint64_t seq);

static inline bool window_has_tail(const struct window *window)
{
	return window->tail_begin != window->tail_end;
}

/* Puts a message, which it takes, at the end of the head (skipping what is between), or of the tail. The slot
 * must be within capacity. The caller fills in the rest of the slot, which is zero but for msg, lsn, bytes
 * and WAITING. */
struct held *window_add(struct window *window, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg);
struct held *window_add_tail(struct window *window, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg);

/* The same as a hole: the message is held apart. */
void window_skip_tail(struct window *window, uint64_t seq);

/* Moves the end of the head to seq: nothing between is to be held. Within capacity, unless the head is empty.
 */
void window_skip(struct window *window, uint64_t seq);
/* If the head has reached the tail they become one. */
void window_join(struct window *window);

/* It will stay while others go: if it shares its memory with them it is copied out. Without memory nothing happens. */
void window_own(struct window *window, struct held *held);

/* Forgets the last of the head: what was held from `end` on. */
void window_cut(struct window *window, uint64_t end);
/* Forgets the tail. */
void window_drop_tail(struct window *window);

/* The message is no longer held; `first` moves on over what is gone. */
void window_release(struct window *window, uint64_t seq);
/* The same for all of [begin, end), of the head and without a lane. */
void window_release_run(struct window *window, uint64_t begin, uint64_t end);

/* The oldest undone seq that is held; where the head ends if nothing is. */
uint64_t window_oldest(const struct window *window);

#endif
