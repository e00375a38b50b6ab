/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring that doubles when it is full. It never shrinks: what a connection can have unacknowledged is bounded by the
 * protocol (Receive Maximum).
 */
#include "runtime/receipts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int receipts_reserve(struct receipts *queue)
{
	if (queue->count < queue->capacity)
		return 0;
	size_t capacity = queue->capacity ? queue->capacity * 2 : 64;
	struct receipt_slot *slots = malloc(capacity * sizeof *slots);
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < queue->count; i++)
		slots[i] = queue->slots[(queue->head + i) & (queue->capacity - 1)];
	free(queue->slots);
	queue->slots = slots;
	queue->head = 0;
	queue->capacity = capacity;
	return 0;
}

void receipts_push(struct receipts *queue, uint64_t lsn, uint64_t cookie, uint64_t at_us)
{
	assert(queue->count < queue->capacity);
	queue->slots[(queue->head + queue->count++) & (queue->capacity - 1)] =
		(struct receipt_slot){lsn, cookie, at_us};
}

bool receipts_take(struct receipts *queue, uint64_t durable_lsn, struct receipt_slot *ret_slot)
{
	if (!queue->count || queue->slots[queue->head].lsn > durable_lsn)
		return false;
	*ret_slot = queue->slots[queue->head];
	queue->head = (queue->head + 1) & (queue->capacity - 1);
	queue->count--;
	return true;
}

void receipts_clear(struct receipts *queue)
{
	queue->head = queue->count = 0;
}

void receipts_free(struct receipts *queue)
{
	free(queue->slots);
	*queue = (struct receipts){0};
}
