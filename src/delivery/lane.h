/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages that overtake (drain: live_first): held apart from the window's runs of seqs, since they may be any
 * distance from what is oldest. Found by seq in O(1), walked in seq order. Knows nothing of why they are here
 * (delivery/live.c); the window finds them by seq as it does its own.
 *
 * All memory is taken at once and touched only as it is used. The loop only.
 */
#ifndef LINKSPAN_DELIVERY_LANE_H
#define LINKSPAN_DELIVERY_LANE_H

#include "delivery/window.h"

#define LANE_MESSAGES 4096u /* a power of two */

struct lane_place {
	struct held held;
	uint64_t seq;
	uint32_t chain; /* 1-based: the next of the bucket, or the next free one */
	uint32_t next, prev; /* 1-based, in seq order */
};

struct lane {
	struct lane_place *places;
	uint32_t *buckets;
	uint32_t n, n_touched, free_head, first, last;
	size_t bytes; /* of memory of the messages */
	uint64_t unsifted; /* the seq from which on they have not been looked at; 0 = all have been (live.c) */
};

struct lane *lane_new(void) __attribute__((warn_unused_result)); /* NULL: out of memory */
void lane_free(struct lane *lane); /* gives back every message; NULL is allowed */

/* The caller has seen to it that there is room. Takes msg; the slot is filled as by window_add, WAITING. */
struct held *lane_add(struct lane *lane, uint64_t seq, uint64_t lsn, uint32_t bytes, struct message *msg);
/* Forgets the place; the message is given back. */
void lane_remove(struct lane *lane, uint64_t seq);

/* lane_find stands in window.h. */
uint64_t lane_first(const struct lane *lane); /* the oldest; 0: none */
uint64_t lane_next(const struct lane *lane, uint64_t seq); /* the next one; 0: none, or seq is not here */

#endif
