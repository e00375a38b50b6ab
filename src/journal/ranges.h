/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of numbers kept as sorted, disjoint, non-touching ranges: which seqs of a destination are done.
 * Adding to the end or beside a range is cheap, anything else moves memory.
 */
#ifndef LINKSPAN_JOURNAL_RANGES_H
#define LINKSPAN_JOURNAL_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t first, last; /* both in it */
};

struct ranges { /* zero-initialised is empty */
	struct range *v;
	size_t n, capacity;
};

/* Adds first to last. 0 or -ENOMEM; *ret_added is how many of them were not in the set before. */
int ranges_add(struct ranges *ranges, uint64_t first, uint64_t last, uint64_t *ret_added)
	__attribute__((warn_unused_result));
bool ranges_has(const struct ranges *ranges, uint64_t value);
/* The index of the first range that ends at value or later; n if there is none. */
size_t ranges_find(const struct ranges *ranges, uint64_t value);
/* Takes everything below `value` out. */
void ranges_drop_below(struct ranges *ranges, uint64_t value);
void ranges_clear(struct ranges *ranges); /* frees its memory too */

#endif
