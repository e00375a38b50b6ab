/* SPDX-License-Identifier: Apache-2.0
 *
 * The held messages that wait for a point in time, soonest first: a binary heap whose places are noted in the
 * window's slots, so that one can be taken out when it ends before its time. No operation but
 * retry_heap_reserve allocates. The loop only.
 */
#ifndef LINKSPAN_DELIVERY_RETRY_HEAP_H
#define LINKSPAN_DELIVERY_RETRY_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "delivery/window.h"

struct retry {
	uint64_t due_ms; /* loop_now_ms */
	uint64_t seq;
};

struct retry_heap {
	struct retry *items;
	size_t n, capacity;
	struct window *window;
};

void retry_heap_init(struct retry_heap *heap, struct window *window);
void retry_heap_fini(struct retry_heap *heap);
/* Room for as many as messages can be held. 0 or -ENOMEM. */
int retry_heap_reserve(struct retry_heap *heap, size_t capacity) __attribute__((warn_unused_result));

void retry_heap_push(struct retry_heap *heap, uint64_t seq, uint64_t due_ms); /* seq is held and not in the heap */
void retry_heap_remove(struct retry_heap *heap, uint64_t seq); /* seq is held; nothing happens if not in the heap */
/* The soonest; UINT64_MAX if there is none. */
uint64_t retry_heap_next_ms(const struct retry_heap *heap);
/* Takes out the soonest if it is due: its seq, or 0. */
uint64_t retry_heap_pop(struct retry_heap *heap, uint64_t now_ms);

#endif
