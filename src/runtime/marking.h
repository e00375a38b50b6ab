/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts the gap and delay markers (message/markers.h) on what an offer becomes, and numbers it: the numbers count from
 * what the journal knows, and become known to it in the set that the messages are in, as JOURNAL_SEQUENCE changes. So a
 * number is given if and only if its set is appended; one that is given and never arrives belongs to a message that was
 * dropped, expired or became a dead letter on the way.
 *
 * A stream is what one reader can follow: same data folder, source, mapping, destination, target and order key.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_RUNTIME_MARKING_H
#define LINKSPAN_RUNTIME_MARKING_H

#include "journal/journal.h"
#include "routing/arena.h"
#include "routing/router.h"

struct endpoint;

/* A zeroed one is ready. */
struct marking {
	struct arena arena;
	struct journal_change *changes; /* of the offer at work */
	size_t n_changes, capacity;
	size_t n_unnumbered; /* outputs of the offer that go without a number */
	bool told_unnumbered; /* logged once */
};

void marking_free(struct marking *marking);

/* Marks those of the outputs that are to be, which `end` was offered; forgets the offer before. What it writes lives
 * until the next call. 0 or -ENOMEM. */
int marking_run(struct marking *marking, const struct endpoint *end, const struct route_result *routed)
	__attribute__((warn_unused_result));

/* The numbers that go with the outputs, and behind them the other changes of the set. Borrowed until the next
 * marking_run. 0 or -ENOMEM. */
int marking_changes(struct marking *marking, const struct journal_change *others, size_t n_others,
	const struct journal_change **ret_changes, size_t *ret_n) __attribute__((warn_unused_result));

#endif
