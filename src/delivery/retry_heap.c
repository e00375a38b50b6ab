/* SPDX-License-Identifier: Apache-2.0
 *
 * A binary heap by (due_ms, seq): what is due together comes out in seq order.
 */
#include "delivery/retry_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

void retry_heap_init(struct retry_heap *heap, struct window *window)
{
	*heap = (struct retry_heap){.window = window};
}

void retry_heap_fini(struct retry_heap *heap)
{
	free(heap->items);
	heap->items = NULL;
	heap->n = heap->capacity = 0;
}

int retry_heap_reserve(struct retry_heap *heap, size_t capacity)
{
	if (capacity <= heap->capacity)
		return 0;
	struct retry *items = realloc(heap->items, capacity * sizeof *items);
	if (!items)
		return -ENOMEM;
	heap->items = items;
	heap->capacity = capacity;
	return 0;
}

static bool sooner(const struct retry *a, const struct retry *b)
{
	return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->seq < b->seq);
}

static void put(struct retry_heap *heap, size_t i, struct retry item)
{
	heap->items[i] = item;
	window_slot(heap->window, item.seq)->heap_place = (uint32_t)i + 1;
}

static void sift_up(struct retry_heap *heap, size_t i, struct retry item)
{
	for (; i > 0 && sooner(&item, &heap->items[(i - 1) / 2]); i = (i - 1) / 2)
		put(heap, i, heap->items[(i - 1) / 2]);
	put(heap, i, item);
}

static void sift_down(struct retry_heap *heap, size_t i, struct retry item)
{
	for (size_t child; (child = 2 * i + 1) < heap->n; i = child) {
		if (child + 1 < heap->n && sooner(&heap->items[child + 1], &heap->items[child]))
			child++;
		if (!sooner(&heap->items[child], &item))
			break;
		put(heap, i, heap->items[child]);
	}
	put(heap, i, item);
}

void retry_heap_push(struct retry_heap *heap, uint64_t seq, uint64_t due_ms)
{
	assert(heap->n < heap->capacity);
	sift_up(heap, heap->n++, (struct retry){.due_ms = due_ms, .seq = seq});
}

void retry_heap_remove(struct retry_heap *heap, uint64_t seq)
{
	struct held *held = window_slot(heap->window, seq);
	if (held->heap_place == 0)
		return;
	size_t i = held->heap_place - 1;
	held->heap_place = 0;
	struct retry last = heap->items[--heap->n];
	if (i == heap->n)
		return;
	if (i > 0 && sooner(&last, &heap->items[(i - 1) / 2]))
		sift_up(heap, i, last);
	else
		sift_down(heap, i, last);
}

uint64_t retry_heap_next_ms(const struct retry_heap *heap)
{
	return heap->n ? heap->items[0].due_ms : UINT64_MAX;
}

uint64_t retry_heap_pop(struct retry_heap *heap, uint64_t now_ms)
{
	if (retry_heap_next_ms(heap) > now_ms)
		return 0;
	uint64_t seq = heap->items[0].seq;
	retry_heap_remove(heap, seq);
	return seq;
}
