/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of a growing count fell into the last day: marks at full hours, 24 of them. Told at least once an hour.
 */
#ifndef LINKSPAN_ADMIN_WEAR_H
#define LINKSPAN_ADMIN_WEAR_H

#include <stdbool.h>
#include <stdint.h>

#define WEAR_HOURS   24u
#define WEAR_HOUR_MS (3600u * 1000u)

struct wear {
	uint64_t marks[WEAR_HOURS]; /* the count when hour h began, at h % 24 */
	uint64_t hour; /* now */
	bool begun;
};

/* The count at now_ms (loop_now_ms). The first call begins. */
void wear_note(struct wear *wear, uint64_t now_ms, uint64_t count);
/* Of the hour that has begun and the 23 before it; after wear_note with the same count. */
uint64_t wear_last_day(const struct wear *wear, uint64_t count);

#endif
