/* SPDX-License-Identifier: Apache-2.0
 *
 * A chained hash table over one array of keys, with the lists of waiting messages threaded through the
 * window's slots.
 */
#include "delivery/key_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void key_table_init(struct key_table *table)
{
	*table = (struct key_table){0};
}

void key_table_fini(struct key_table *table)
{
	free(table->keys);
	free(table->buckets);
	key_table_init(table);
}

uint64_t key_hash(struct slice order_key, uint64_t seed)
{
	uint64_t hash = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < order_key.len; i++)
		hash = (hash ^ order_key.data[i]) * 0x100000001b3u;
	return hash ^ (hash >> 32);
}

static uint32_t *bucket_of(const struct key_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->capacity - 1)];
}

static struct key *key_at(const struct key_table *table, uint32_t index)
{
	return index ? &table->keys[index - 1] : NULL;
}

static uint32_t index_of(const struct key_table *table, const struct key *key)
{
	return (uint32_t)(key - table->keys) + 1;
}

int key_table_reserve(struct key_table *table, size_t capacity)
{
	if (capacity <= table->capacity)
		return 0;
	uint32_t *buckets = calloc(capacity, sizeof *buckets);
	struct key *keys = buckets ? realloc(table->keys, capacity * sizeof *keys) : NULL;
	if (!keys) {
		free(buckets);
		return -ENOMEM;
	}
	uint32_t *old = table->buckets;
	size_t n_old = table->n_keys ? table->capacity : 0;
	table->keys = keys;
	table->buckets = buckets;
	table->capacity = capacity;
	for (size_t i = 0; i < n_old; i++)
		for (uint32_t index = old[i], next; index; index = next) {
			next = keys[index - 1].chain;
			uint32_t *bucket = bucket_of(table, keys[index - 1].hash);
			keys[index - 1].chain = *bucket;
			*bucket = index;
		}
	free(old);
	return 0;
}

void key_table_clear(struct key_table *table)
{
	if (table->n_keys)
		memset(table->buckets, 0, table->capacity * sizeof *table->buckets);
	table->n_keys = 0;
	table->n_touched = 0;
	table->free_head = 0;
	table->ready_ranks = 0;
	memset(table->ready_head, 0, sizeof table->ready_head);
	memset(table->ready_tail, 0, sizeof table->ready_tail);
}

struct key *key_table_find(const struct key_table *table, uint64_t hash)
{
	if (table->n_keys == 0)
		return NULL;
	struct key *key = key_at(table, *bucket_of(table, hash));
	while (key && key->hash != hash)
		key = key_at(table, key->chain);
	return key;
}

struct key *key_table_get(struct key_table *table, uint64_t hash)
{
	struct key *key = key_table_find(table, hash);
	if (key)
		return key;
	assert(table->n_keys < table->capacity);
	uint32_t index = table->free_head;
	if (index)
		table->free_head = table->keys[index - 1].chain;
	else
		index = ++table->n_touched;
	uint32_t *bucket = bucket_of(table, hash);
	key = key_at(table, index);
	*key = (struct key){.hash = hash, .chain = *bucket};
	*bucket = index;
	table->n_keys++;
	return key;
}

struct key *key_table_first_of(const struct key_table *table, unsigned rank)
{
	return key_at(table, table->ready_head[rank]);
}

static void link_between(struct key *key, struct window *window, uint64_t prev, uint64_t seq, uint64_t next)
{
	struct held *held = window_slot(window, seq);
	held->prev = prev;
	held->next = next;
	held->listed = true;
	if (prev)
		window_slot(window, prev)->next = seq;
	else
		key->head = seq;
	if (next)
		window_slot(window, next)->prev = seq;
	else
		key->tail = seq;
}

void key_list_append(struct key *key, struct window *window, uint64_t seq)
{
	link_between(key, window, key->tail, seq, 0);
}

void key_list_insert(struct key *key, struct window *window, uint64_t seq)
{
	/* What comes back from the sink is older than what the cursor has listed, and mostly comes in seq
	 * order: look on from the one that came back before. */
	uint64_t prev = key->inserted && key->inserted < seq ? key->inserted : 0;
	uint64_t next = prev ? window_slot(window, prev)->next : key->head;
	while (next && next < seq) {
		prev = next;
		next = window_slot(window, next)->next;
	}
	link_between(key, window, prev, seq, next);
	key->inserted = seq;
}

void key_list_remove(struct key *key, struct window *window, uint64_t seq)
{
	struct held *held = window_slot(window, seq);
	if (held->prev)
		window_slot(window, held->prev)->next = held->next;
	else
		key->head = held->next;
	if (held->next)
		window_slot(window, held->next)->prev = held->prev;
	else
		key->tail = held->prev;
	if (key->inserted == seq)
		key->inserted = held->prev;
	held->listed = false;
	held->next = held->prev = 0;
}

static void ready_push(struct key_table *table, struct key *key, unsigned rank)
{
	uint32_t index = index_of(table, key);
	key->ready = true;
	key->rank = (uint8_t)rank;
	key->ready_next = 0;
	key->ready_prev = table->ready_tail[rank];
	if (key->ready_prev)
		key_at(table, key->ready_prev)->ready_next = index;
	else
		table->ready_head[rank] = index;
	table->ready_tail[rank] = index;
	table->ready_ranks |= UINT32_C(1) << rank;
}

static void ready_remove(struct key_table *table, struct key *key)
{
	unsigned rank = key->rank;
	if (key->ready_prev)
		key_at(table, key->ready_prev)->ready_next = key->ready_next;
	else
		table->ready_head[rank] = key->ready_next;
	if (key->ready_next)
		key_at(table, key->ready_next)->ready_prev = key->ready_prev;
	else
		table->ready_tail[rank] = key->ready_prev;
	if (!table->ready_head[rank])
		table->ready_ranks &= ~(UINT32_C(1) << rank);
	key->ready = false;
}

void key_table_yield(struct key_table *table, struct key *key)
{
	if (key->ready)
		ready_remove(table, key);
}

static void drop(struct key_table *table, struct key *key)
{
	uint32_t index = index_of(table, key);
	uint32_t *link = bucket_of(table, key->hash);
	while (*link != index)
		link = &key_at(table, *link)->chain;
	*link = key->chain;
	key->chain = table->free_head;
	table->free_head = index;
	table->n_keys--;
}

void key_table_update(struct key_table *table, struct key *key, const struct window *window)
{
	const struct held *first = key->head && !key->busy ? window_slot(window, key->head) : NULL;
	bool ready = first && first->state == HELD_WAITING;
	if (key->ready && (!ready || key->rank != first->rank))
		ready_remove(table, key);
	if (ready && !key->ready)
		ready_push(table, key, first->rank);
	if (!key->head && !key->busy)
		drop(table, key);
}
