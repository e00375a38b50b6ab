/* SPDX-License-Identifier: Apache-2.0
 *
 * Last values as part of the state: how many there may be. They go by the order in which they were set alone, which
 * recovery finds as it was; so what has gone need not be written down.
 */
#include "journal/journal_impl.h"

static size_t all_bytes(const struct journal *j)
{
	size_t bytes = 0;
	for (size_t i = 0; i < j->state.n_dests; i++)
		bytes += j->state.dests[i].values.bytes;
	return bytes;
}

static uint64_t share_of_all(const struct journal *j)
{
	return j->segment_bytes / 16;
}

static bool has_too_many(const struct journal *j, const struct state_dest *box)
{
	const struct last_values *values = &box->values;
	return (box->max_values && (values->n > box->max_values || values->bytes > box->max_value_bytes)) ||
	       all_bytes(j) > share_of_all(j);
}

void values_trim(struct journal *j, uint32_t dest)
{
	struct state_dest *box = state_dest(&j->state, dest);
	while (box && has_too_many(j, box) && last_values_evict(&box->values))
		;
}

void values_begin(struct journal *j)
{
	while (all_bytes(j) > share_of_all(j)) {
		struct state_dest *most = &j->state.dests[0];
		for (size_t i = 1; i < j->state.n_dests; i++)
			if (j->state.dests[i].values.bytes > most->values.bytes)
				most = &j->state.dests[i];
		last_values_evict(&most->values);
	}
	for (size_t i = 0; i < j->state.n_dests; i++)
		j->state.dests[i].values.evicted = 0; /* they had gone before */
}

struct message *journal_value(const struct journal *j, uint32_t dest, struct slice topic)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	return box ? last_values_get(&box->values, topic) : NULL;
}

void journal_values(const struct journal *j, uint32_t dest, void (*fn)(struct message *msg, void *arg), void *arg)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	for (const struct last_value *value = box ? box->values.oldest : NULL; value; value = value->newer)
		fn(value->msg, arg);
}

void journal_limit_values(struct journal *j, uint32_t dest, size_t max_values, size_t max_bytes)
{
	struct state_dest *box = state_dest(&j->state, dest);
	if (!box)
		return;
	box->max_values = max_values;
	box->max_value_bytes = max_bytes;
	values_trim(j, dest);
}

struct journal_values_stats journal_values_stats(const struct journal *j, uint32_t dest)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	if (!box)
		return (struct journal_values_stats){0};
	return (struct journal_values_stats){box->values.n, box->values.bytes, box->values.evicted};
}

bool journal_value_fits(const struct journal *j, uint32_t dest, size_t bytes)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	return box && bytes <= share_of_all(j) && (!box->max_values || bytes <= box->max_value_bytes);
}
