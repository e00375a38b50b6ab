/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries that are done together with what was made of them: with the result that is routed like any message (struct offer,
 * finished), or with fewer messages for the same destination. One set each time: a crash leaves all of it or nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/endpoint.h"

static int reserve_runs(struct bridge *bridge, size_t n)
{
	size_t bytes = n * JOURNAL_RUN_LEN;
	if (bytes <= bridge->runs_capacity)
		return 0;
	uint8_t *runs = realloc(bridge->runs, bytes);
	if (!runs)
		return -ENOMEM;
	bridge->runs = runs;
	bridge->runs_capacity = bytes;
	return 0;
}

int together_change(struct endpoint *end, const uint64_t *seqs, size_t n, struct journal_change *ret_change)
{
	int r = reserve_runs(end->bridge, n);
	return r < 0 ? r : courier_finishing(end->courier, seqs, n, end->bridge->runs, ret_change);
}

int together_replace(struct link_host *host, const uint64_t *seqs, size_t n_seqs, const struct message_view *views,
	size_t n_views, const struct state_change *position)
{
	struct endpoint *end = (struct endpoint *)host;
	struct bridge *bridge = end->bridge;
	struct journal_change changes[2];
	uint64_t lsn;
	if (!end->courier || bridge->state != BRIDGE_RUNNING || bridge->failure < 0)
		return -EBUSY;
	struct journal_entry *entries = calloc(n_views, sizeof *entries);
	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < n_views; i++)
		entries[i] = (struct journal_entry){.dest = end->dest, .view = &views[i]};
	size_t n_changes = 1;
	n_changes += intake_change_of(end, position, &changes[1]);
	int r = together_change(end, seqs, n_seqs, &changes[0]);
	if (r == 0)
		r = journal_append(bridge->journal, entries, n_views, changes, n_changes, &lsn);
	if (r == 0) {
		for (size_t i = 0; i < n_views; i++)
			courier_appended(end->courier, &entries[i], lsn);
		courier_finished(end->courier, seqs, n_seqs);
	}
	free(entries);
	return r;
}

void together_outbox(struct link_host *host, uint64_t *ret_next_seq, uint64_t *ret_undone)
{
	const struct endpoint *end = (const struct endpoint *)host;
	struct journal_outbox box = {.next_seq = 1};
	if (end->courier)
		box = journal_outbox(end->bridge->journal, end->dest);
	*ret_next_seq = box.next_seq;
	*ret_undone = box.waiting;
}
