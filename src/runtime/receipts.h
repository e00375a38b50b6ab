/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source has offered and not yet heard of: a first-in first-out queue of (lsn, cookie, time of the offer). Receipts leave it in the
 * order of the offers, each once its lsn is durable. One queue belongs to one network connection and is cleared when
 * that ends. Loop thread only.
 */
#ifndef LINKSPAN_RUNTIME_RECEIPTS_H
#define LINKSPAN_RUNTIME_RECEIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct receipts {
	struct receipt_slot {
		uint64_t lsn;
		uint64_t cookie;
		uint64_t at_us; /* loop_turn_us */
	} * slots;
	size_t head, count, capacity; /* capacity is zero or a power of two */
};

/* Makes room for one more: 0 or -ENOMEM. After 0 the next receipts_push cannot fail. */
int receipts_reserve(struct receipts *queue) __attribute__((warn_unused_result));
void receipts_push(struct receipts *queue, uint64_t lsn, uint64_t cookie, uint64_t at_us);
/* Takes the oldest if its lsn is at or below durable_lsn. */
bool receipts_take(struct receipts *queue, uint64_t durable_lsn, struct receipt_slot *ret_slot);
void receipts_clear(struct receipts *queue);
void receipts_free(struct receipts *queue);

#endif
