/* SPDX-License-Identifier: Apache-2.0
 *
 * Hours that nobody told of (a machine asleep) begin with what is told at their end.
 */
#include "admin/wear.h"

void wear_note(struct wear *wear, uint64_t now_ms, uint64_t count)
{
	uint64_t hour = now_ms / WEAR_HOUR_MS;
	uint64_t from = wear->begun ? wear->hour + 1 : 0;
	if (hour >= WEAR_HOURS && from + WEAR_HOURS <= hour)
		from = hour - WEAR_HOURS + 1;
	for (uint64_t h = from; h <= hour; h++)
		wear->marks[h % WEAR_HOURS] = count;
	if (!wear->begun)
		for (uint64_t i = 0; i < WEAR_HOURS; i++)
			wear->marks[i] = count;
	wear->begun = true;
	wear->hour = hour > wear->hour ? hour : wear->hour;
}

uint64_t wear_last_day(const struct wear *wear, uint64_t count)
{
	return count - wear->marks[(wear->hour + 1) % WEAR_HOURS];
}
