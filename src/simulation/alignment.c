/* SPDX-License-Identifier: Apache-2.0
 *
 * Least edits (Wagner and Fischer) over what is left between an equal beginning and an equal end; where that is too much for a
 * table, item by item.
 */
#include "simulation/alignment.h"

#include <stdint.h>
#include <stdlib.h>

#define MAX_CELLS (4u * 1024 * 1024)

struct aligning {
	bool (*same)(void *arg, size_t want, size_t got);
	void *arg;
	struct alignment_pair *pairs;
	size_t n;
};

static void add(struct aligning *aligning, size_t want, size_t got, bool same)
{
	aligning->pairs[aligning->n++] = (struct alignment_pair){want, got, same};
}

static void one_by_one(struct aligning *aligning, size_t from, size_t want_end, size_t got_end)
{
	for (size_t i = from; i < want_end || i < got_end; i++)
		add(aligning, i < want_end ? i : ALIGNMENT_NONE, i < got_end ? i : ALIGNMENT_NONE,
			i < want_end && i < got_end && aligning->same(aligning->arg, i, i));
}

/* costs[i][j]: edits that make got[from + j…] of want[from + i…]. */
static void fill(struct aligning *aligning, uint32_t *costs, size_t from, size_t n, size_t m)
{
	for (size_t i = n + 1; i-- > 0;)
		for (size_t j = m + 1; j-- > 0;) {
			uint32_t best = UINT32_MAX;
			if (i == n)
				best = (uint32_t)(m - j);
			else if (j == m)
				best = (uint32_t)(n - i);
			else {
				bool same = aligning->same(aligning->arg, from + i, from + j);
				uint32_t both = costs[(i + 1) * (m + 1) + j + 1] + !same;
				uint32_t missing = costs[(i + 1) * (m + 1) + j] + 1;
				uint32_t extra = costs[i * (m + 1) + j + 1] + 1;
				best = both < missing ? both : missing;
				best = best < extra ? best : extra;
			}
			costs[i * (m + 1) + j] = best;
		}
}

static void walk(struct aligning *aligning, const uint32_t *costs, size_t from, size_t n, size_t m)
{
	size_t i = 0, j = 0;
	while (i < n || j < m) {
		uint32_t here = costs[i * (m + 1) + j];
		bool same = i < n && j < m && aligning->same(aligning->arg, from + i, from + j);
		if (i < n && j < m && here == costs[(i + 1) * (m + 1) + j + 1] + !same) {
			add(aligning, from + i, from + j, same);
			i++, j++;
		} else if (i < n && here == costs[(i + 1) * (m + 1) + j] + 1) {
			add(aligning, from + i++, ALIGNMENT_NONE, false);
		} else {
			add(aligning, ALIGNMENT_NONE, from + j++, false);
		}
	}
}

static bool by_least_edits(struct aligning *aligning, size_t from, size_t want_end, size_t got_end)
{
	size_t n = want_end - from, m = got_end - from;
	uint32_t *costs = malloc((n + 1) * (m + 1) * sizeof *costs);
	if (!costs)
		return false;
	fill(aligning, costs, from, n, m);
	walk(aligning, costs, from, n, m);
	free(costs);
	return true;
}

struct alignment_pair *alignment_new(
	size_t n_want, size_t n_got, bool (*same)(void *arg, size_t want, size_t got), void *arg, size_t *ret_n)
{
	struct aligning aligning = {.same = same, .arg = arg};
	size_t from = 0, tail = 0, shorter = n_want < n_got ? n_want : n_got;
	aligning.pairs = malloc((n_want + n_got + 1) * sizeof *aligning.pairs);
	if (!aligning.pairs)
		return NULL;
	for (; from < shorter && same(arg, from, from); from++)
		add(&aligning, from, from, true);
	while (tail < shorter - from && same(arg, n_want - tail - 1, n_got - tail - 1))
		tail++;
	size_t want_end = n_want - tail, got_end = n_got - tail;
	if ((want_end - from + 1) > MAX_CELLS / (got_end - from + 1) ||
		!by_least_edits(&aligning, from, want_end, got_end))
		one_by_one(&aligning, from, want_end, got_end);
	for (size_t i = 0; i < tail; i++)
		add(&aligning, want_end + i, got_end + i, true);
	*ret_n = aligning.n;
	return aligning.pairs;
}
