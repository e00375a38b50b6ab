/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact sums of doubles: what comes out is the true sum, rounded once, in whatever order and groups the numbers were added. So
 * a mean does not depend on when a process was killed in between. A sum is kept as doubles that do not overlap (Shewchuk,
 * "Adaptive Precision Floating-Point Arithmetic", 1997, section 2.3).
 */
#ifndef LINKSPAN_CONNECTORS_AGGREGATE_SUM_H
#define LINKSPAN_CONNECTORS_AGGREGATE_SUM_H

#include <stdbool.h>

#define SUM_PARTS 40u /* as many as fit between the smallest double and the largest */

/* A zeroed one is 0. */
struct sum {
	double parts[SUM_PARTS]; /* ascending, no two with bits of the same weight */
	unsigned n;
	bool too_large; /* for a double, at least in between */
};

void sum_add(struct sum *sum, double number); /* finite */
double sum_value(const struct sum *sum); /* not finite if it was too large */

#endif
