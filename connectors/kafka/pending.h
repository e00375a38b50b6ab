/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries that were taken and cannot be handed to the library yet, in the order in which they came: a ring
 * that grows up to the window. Holds a reference to each message.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_PENDING_H
#define LINKSPAN_CONNECTORS_KAFKA_PENDING_H

#include <stdbool.h>

#include "message/message.h"

struct pending_item {
	uint64_t seq;
	struct message *msg;
	int64_t shift_ms; /* of the delivery */
};

struct pending {
	struct pending_item *items;
	uint32_t capacity, head, n;
};

/* Takes a reference. False when memory is out: nothing is kept then. */
bool pending_push(struct pending *pending, uint64_t seq, struct message *msg, int64_t shift_ms)
	__attribute__((warn_unused_result));
/* The oldest, NULL if empty; valid until the next call. */
const struct pending_item *pending_first(const struct pending *pending);
void pending_pop(struct pending *pending); /* lets go of the oldest */
void pending_clear(struct pending *pending); /* lets go of all, and of the memory */

#endif
