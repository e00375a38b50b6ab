/* SPDX-License-Identifier: Apache-2.0
 *
 * What the state is asked: destinations and sources by number and by name, and of overflow logs, which file a seq stands
 * in and which files nothing undone is left in.
 */
#include <errno.h>
#include <string.h>

#include "journal/state.h"

struct state_dest *state_dest(const struct state *state, uint64_t dest)
{
	return dest < state->n_dests && state->dests[dest].name ? &state->dests[dest] : NULL;
}

struct state_source *state_source(const struct state *state, uint64_t source)
{
	return source < state->n_sources && state->sources[source].name ? &state->sources[source] : NULL;
}

int64_t state_find_dest(const struct state *state, const char *name)
{
	for (size_t i = 0; i < state->n_dests; i++)
		if (state->dests[i].name && strcmp(state->dests[i].name, name) == 0)
			return (int64_t)i;
	return -ENOENT;
}

int64_t state_find_source(const struct state *state, const char *name)
{
	for (size_t i = 0; i < state->n_sources; i++)
		if (state->sources[i].name && strcmp(state->sources[i].name, name) == 0)
			return (int64_t)i;
	return -ENOENT;
}

static uint64_t overflow_file_end(const struct state_dest *dest, size_t i)
{
	return i + 1 < dest->overflow.n ? dest->overflow.v[i + 1].first_seq : dest->overflow_end;
}

bool state_release_overflow(struct state_dest *dest, uint64_t *ret_file)
{
	struct state_overflow *overflow = &dest->overflow;
	if (overflow->n == 0 || overflow_file_end(dest, 0) > dest->oldest_undone)
		return false;
	*ret_file = overflow->v[0].file;
	memmove(&overflow->v[0], &overflow->v[1], --overflow->n * sizeof overflow->v[0]);
	return true;
}

const struct state_overflow_file *state_overflow_of(const struct state_dest *dest, uint64_t seq, uint64_t *ret_end)
{
	const struct state_overflow *overflow = &dest->overflow;
	if (overflow->n == 0 || seq >= dest->overflow_end)
		return NULL;
	size_t low = 0, high = overflow->n;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		*(overflow->v[mid].first_seq <= seq ? &low : &high) = mid;
	}
	*ret_end = overflow_file_end(dest, low);
	return &overflow->v[low];
}
