/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring that doubles.
 */
#include "connectors/kafka/pending.h"

#include <stdlib.h>

static bool pending_grow(struct pending *pending)
{
	uint32_t capacity = pending->capacity ? pending->capacity * 2 : 64;
	struct pending_item *items = calloc(capacity, sizeof *items);
	if (!items)
		return false;
	for (uint32_t i = 0; i < pending->n; i++)
		items[i] = pending->items[(pending->head + i) % pending->capacity];
	free(pending->items);
	pending->items = items;
	pending->capacity = capacity;
	pending->head = 0;
	return true;
}

bool pending_push(struct pending *pending, uint64_t seq, struct message *msg, int64_t shift_ms)
{
	if (pending->n == pending->capacity && !pending_grow(pending))
		return false;
	pending->items[(pending->head + pending->n) % pending->capacity] =
		(struct pending_item){.seq = seq, .msg = message_ref(msg), .shift_ms = shift_ms};
	pending->n++;
	return true;
}

const struct pending_item *pending_first(const struct pending *pending)
{
	return pending->n ? &pending->items[pending->head] : NULL;
}

void pending_pop(struct pending *pending)
{
	message_unref(pending->items[pending->head].msg);
	pending->head = (pending->head + 1) % pending->capacity;
	pending->n--;
}

void pending_clear(struct pending *pending)
{
	while (pending->n)
		pending_pop(pending);
	free(pending->items);
	*pending = (struct pending){.items = NULL};
}
