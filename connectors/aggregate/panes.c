/* SPDX-License-Identifier: Apache-2.0
 *
 * There are few panes, and may be thousands of keys in each.
 */
#include "connectors/aggregate/panes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 16u

struct pane *panes_find(const struct panes *panes, uint64_t end_ms)
{
	struct pane *pane = panes->first;
	while (pane && pane->frame.end_ms < end_ms)
		pane = pane->next;
	return pane && pane->frame.end_ms == end_ms ? pane : NULL;
}

struct pane *panes_get(struct panes *panes, uint64_t end_ms)
{
	struct pane **at = &panes->first;
	while (*at && (*at)->frame.end_ms < end_ms)
		at = &(*at)->next;
	struct pane *later = *at;
	if (later && later->frame.end_ms == end_ms)
		return later;
	struct pane *pane = calloc(1, sizeof *pane);
	struct partial **buckets = calloc(FIRST_BUCKETS, sizeof(struct partial *));
	if (!pane || !buckets) {
		free(pane);
		free(buckets);
		return NULL;
	}
	pane->frame.end_ms = end_ms;
	pane->buckets = buckets;
	pane->n_buckets = FIRST_BUCKETS;
	pane->next = later;
	*at = pane;
	return pane;
}

/* FNV-1a: a table of one process, and whoever chooses keys to collide only slows his own mapping. */
static uint64_t hash_of(struct slice key)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ key.data[i]) * 0x100000001b3u;
	return hash ^ hash >> 32;
}

/* Without memory the chains grow longer. */
static void grow(struct pane *pane)
{
	size_t n = 2 * pane->n_buckets;
	struct partial **buckets = pane->n < pane->n_buckets ? NULL : calloc(n, sizeof(struct partial *));
	if (!buckets)
		return;
	for (size_t i = 0; i < pane->n_buckets; i++)
		for (struct partial *partial = pane->buckets[i], *next; partial; partial = next) {
			struct partial **bucket = &buckets[partial->hash & (n - 1)];
			next = partial->next;
			partial->next = *bucket;
			*bucket = partial;
		}
	free(pane->buckets);
	pane->buckets = buckets;
	pane->n_buckets = n;
}

struct partial *pane_get(struct panes *panes, struct pane *pane, struct slice key)
{
	uint64_t hash = hash_of(key);
	struct partial *partial = pane->buckets[hash & (pane->n_buckets - 1)];
	while (partial && (partial->hash != hash || !slice_equal(slice_of(partial->key, partial->key_len), key)))
		partial = partial->next;
	if (partial)
		return partial;
	partial = partial_new(key, hash);
	if (!partial)
		return NULL;
	partial->pane = pane;
	grow(pane);
	struct partial **bucket = &pane->buckets[hash & (pane->n_buckets - 1)];
	partial->next = *bucket;
	*bucket = partial;
	pane->n++;
	pane->bytes += partial->bytes;
	panes->n++;
	panes->bytes += partial->bytes;
	return partial;
}

int pane_add(struct panes *panes, struct partial *partial, unsigned bits, uint64_t seq, struct message *msg,
	struct slice state)
{
	struct pane *pane = partial->pane;
	size_t before = partial->bytes, held = partial->held;
	int r = partial_add(partial, bits, seq, msg, state);
	pane->bytes += partial->bytes - before;
	panes->bytes += partial->bytes - before;
	pane->held += partial->held - held;
	panes->held += partial->held - held;
	pane->n_seqs += r == 0;
	panes->n_seqs += r == 0;
	return r;
}

void pane_remove(struct panes *panes, struct partial *partial)
{
	struct pane *pane = partial->pane;
	struct partial **at = &pane->buckets[partial->hash & (pane->n_buckets - 1)];
	while (*at != partial)
		at = &(*at)->next;
	*at = partial->next;
	pane->n--;
	pane->n_seqs -= partial->n_seqs;
	pane->bytes -= partial->bytes;
	pane->held -= partial->held;
	panes->held -= partial->held;
	panes->n--;
	panes->n_seqs -= partial->n_seqs;
	panes->bytes -= partial->bytes;
	partial_free(partial);
}

void panes_remove_empty(struct panes *panes)
{
	for (struct pane **at = &panes->first; *at;) {
		struct pane *pane = *at;
		if (pane->n) {
			at = &pane->next;
			continue;
		}
		*at = pane->next;
		free(pane->buckets);
		free(pane);
	}
}

void pane_list(const struct pane *pane, struct partial **out)
{
	size_t n = 0;
	for (size_t i = 0; i < pane->n_buckets; i++)
		for (struct partial *partial = pane->buckets[i]; partial; partial = partial->next)
			out[n++] = partial;
}

void panes_clear(struct panes *panes)
{
	for (struct pane *pane = panes->first; pane; pane = pane->next)
		for (size_t i = 0; i < pane->n_buckets; i++)
			while (pane->buckets[i])
				pane_remove(panes, pane->buckets[i]);
	panes_remove_empty(panes);
}
