/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram with fixed buckets, about three a decade: how often something took how long, or was how large. Never
 * allocates, never forgets. It has one owner: a thread, or whoever holds the mutex that guards it.
 */
#ifndef LINKSPAN_RUNTIME_HISTOGRAM_H
#define LINKSPAN_RUNTIME_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_MAX_BOUNDS 20

struct histogram_scale {
	uint64_t bounds[HISTOGRAM_MAX_BOUNDS]; /* what is at most that; increasing; 0 ends them */
	uint64_t per_unit; /* so many of what is counted make one of the unit that is shown */
};

/* Microseconds, shown as seconds: of what a disk or a processor does (10 us to 10 s), of what may wait for days. */
extern const struct histogram_scale histogram_short, histogram_long;
extern const struct histogram_scale histogram_number; /* 1 to 100,000 */
extern const struct histogram_scale histogram_bytes; /* 4 KiB to 4 MiB */

struct histogram {
	const struct histogram_scale *scale;
	uint64_t counts[HISTOGRAM_MAX_BOUNDS +
			1]; /* of each bucket alone; what is above all bounds is in the one after the last */
	uint64_t sum;
};

static inline void histogram_init(struct histogram *histogram, const struct histogram_scale *scale)
{
	*histogram = (struct histogram){.scale = scale};
}

/* n times the same value. */
static inline void histogram_add(struct histogram *histogram, uint64_t value, uint64_t n)
{
	const uint64_t *bounds = histogram->scale->bounds;
	size_t i = 0;
	while (i < HISTOGRAM_MAX_BOUNDS && bounds[i] && value > bounds[i])
		i++;
	histogram->counts[i] += n;
	histogram->sum += value * n;
}

#endif
