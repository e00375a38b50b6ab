/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sequences beside each other, with as few differences as possible: which item of the one stands where which of the other
 * does, what is missing, and what is too much.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_SIMULATION_ALIGNMENT_H
#define LINKSPAN_SIMULATION_ALIGNMENT_H

#include <stdbool.h>
#include <stddef.h>

#define ALIGNMENT_NONE ((size_t)-1)

struct alignment_pair {
	size_t want, got; /* indices; ALIGNMENT_NONE: nothing on that side */
	bool same;
};

/* same(want, got): are these two equal? Pairs in the order of both, at most n_want + n_got, malloc'ed; NULL: no memory. */
struct alignment_pair *alignment_new(size_t n_want, size_t n_got, bool (*same)(void *arg, size_t want, size_t got),
	void *arg, size_t *ret_n) __attribute__((warn_unused_result));

#endif
