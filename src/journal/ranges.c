/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorted array, binary search.
 */
#include "journal/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t ranges_find(const struct ranges *ranges, uint64_t value)
{
	size_t low = 0, high = ranges->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (ranges->v[mid].last < value)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool ranges_has(const struct ranges *ranges, uint64_t value)
{
	size_t i = ranges_find(ranges, value);
	return i < ranges->n && ranges->v[i].first <= value;
}

static int insert_at(struct ranges *ranges, size_t i, struct range range)
{
	if (ranges->n == ranges->capacity) {
		size_t capacity = ranges->capacity ? ranges->capacity * 2 : 4;
		struct range *v = realloc(ranges->v, capacity * sizeof *v);
		if (!v)
			return -ENOMEM;
		ranges->v = v;
		ranges->capacity = capacity;
	}
	memmove(&ranges->v[i + 1], &ranges->v[i], (ranges->n - i) * sizeof *ranges->v);
	ranges->v[i] = range;
	ranges->n++;
	return 0;
}

static void remove_at(struct ranges *ranges, size_t i, size_t n)
{
	memmove(&ranges->v[i], &ranges->v[i + n], (ranges->n - i - n) * sizeof *ranges->v);
	ranges->n -= n;
}

int ranges_add(struct ranges *ranges, uint64_t first, uint64_t last, uint64_t *ret_added)
{
	/* Every range that overlaps or touches [first, last] becomes one with it. */
	size_t begin = ranges_find(ranges, first ? first - 1 : 0), end = begin;
	struct range merged = {first, last};
	uint64_t had = 0;
	for (; end < ranges->n && (last == UINT64_MAX || ranges->v[end].first <= last + 1); end++) {
		const struct range *old = &ranges->v[end];
		uint64_t low = old->first > first ? old->first : first;
		uint64_t high = old->last < last ? old->last : last;
		if (low <= high)
			had += high - low + 1;
		if (old->first < merged.first)
			merged.first = old->first;
		if (old->last > merged.last)
			merged.last = old->last;
	}
	if (end == begin) {
		int r = insert_at(ranges, begin, merged);
		if (r < 0)
			return r;
	} else {
		ranges->v[begin] = merged;
		remove_at(ranges, begin + 1, end - begin - 1);
	}
	*ret_added = last - first + 1 - had;
	return 0;
}

void ranges_drop_below(struct ranges *ranges, uint64_t value)
{
	size_t i = ranges_find(ranges, value);
	remove_at(ranges, 0, i);
	if (ranges->n && ranges->v[0].first < value)
		ranges->v[0].first = value;
}

void ranges_clear(struct ranges *ranges)
{
	free(ranges->v);
	*ranges = (struct ranges){0};
}
