/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules over time: changes_only, sample and min_interval, in that order, take out of what an offer becomes what does not
 * pass. What has passed is known to the journal as keys, for as long as the rule says, and becomes known in the set that the
 * message is in: so it has passed if and only if its set is appended, and a restart forgets nothing. changes_only compares with
 * what passed all of them, so that a change which another rule leaves out is still one when the next message comes; sample
 * writes its count down with each message, also of one that it leaves out.
 *
 * Time is that of being offered, by loop_wall_ms.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_RUNTIME_SPACING_H
#define LINKSPAN_RUNTIME_SPACING_H

#include "journal/journal.h"
#include "routing/arena.h"
#include "routing/router.h"

struct endpoint;

/* A zeroed one is ready. */
struct spacing {
	struct arena arena;
	struct journal_change *changes; /* JOURNAL_KEY, of the offer at work */
	size_t n_changes, capacity;
	uint32_t *table; /* n_slots of them, a power of two: 1 + the place in changes, by the key; 0: none */
	size_t n_slots, table_capacity;
	size_t n_left_out; /* of the offer: messages, once for each mapping that left them out */
	size_t n_unlimited; /* likewise: that pass because there is no room to know of them */
	bool told_unlimited; /* logged once */
};

void spacing_free(struct spacing *spacing);

/* Forgets the offer before. The changes live until the next call. 0 or -ENOMEM. */
int spacing_run(struct spacing *spacing, const struct endpoint *end, struct route_result *routed)
	__attribute__((warn_unused_result));

#endif
