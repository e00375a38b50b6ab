/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries that end in the set of what they became: the sink names them all at once, the journal takes them as runs. Their
 * window slots are given back only when the set is appended, so a set that finds no room changes nothing.
 */
#include <errno.h>

#include "delivery/courier_impl.h"
#include "message/endian.h"

int courier_finishing(
	const struct courier *courier, const uint64_t *seqs, size_t n, uint8_t *runs, struct journal_change *ret_change)
{
	uint64_t bytes = 0, first = 0, last = 0;
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		const struct held *held = window_find(&courier->window, seqs[i]);
		if (!held || held->state != HELD_IN_FLIGHT || seqs[i] <= last)
			return -EINVAL;
		bytes += held->bytes;
		if (i == 0 || seqs[i] != last + 1) {
			first = seqs[i];
			len += JOURNAL_RUN_LEN;
		}
		last = seqs[i];
		put_u64(runs + len - JOURNAL_RUN_LEN, first);
		put_u64(runs + len - JOURNAL_RUN_LEN + 8, last);
	}
	*ret_change = (struct journal_change){.type = JOURNAL_FINISHED_RUNS,
		.dest = courier->options.dest,
		.count = bytes,
		.blob = slice_of(runs, len)};
	return n ? 0 : -EINVAL;
}

void courier_finished(struct courier *courier, const uint64_t *seqs, size_t n)
{
	courier_enter(courier);
	for (size_t i = 0; i < n; i++) {
		courier->in_flight--;
		courier->stats.delivered++;
		times_delivered(courier, seqs[i]);
		outcome_release(courier, seqs[i]);
	}
	courier_leave(courier);
}
