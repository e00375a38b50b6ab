/* SPDX-License-Identifier: Apache-2.0
 *
 * Order per key. A key is in the table while something of it has to wait for something else of it: a list of
 * messages in seq order, of which the first is sent alone (`busy`) or waits for its back-off. Keys whose
 * first message may be sent now stand in a queue, one for each rank. Two keys with the same 64-bit hash are taken for one, which
 * only serialises them.
 *
 * Legal states of a key: idle (not in the table) → busy, listed or both → idle. `ready` means: listed, not
 * busy, and the first is HELD_WAITING.
 *
 * Every operation is O(1) but key_list_insert, which is so when outcomes come in the order of sending. No
 * operation but key_table_reserve allocates. The loop only.
 */
#ifndef LINKSPAN_DELIVERY_KEY_TABLE_H
#define LINKSPAN_DELIVERY_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/window.h"

struct key {
	uint64_t hash;
	uint64_t head, tail; /* seqs, 0 = the list is empty */
	uint64_t inserted; /* the last one that key_list_insert has put in; 0 = none, or it has left the list
			    */
	uint64_t busy; /* the seq that is in flight alone, 0 = none */
	uint32_t chain; /* 1-based index of the next key in the bucket, or of the next free one */
	uint32_t ready_next, ready_prev; /* 1-based */
	bool ready;
	uint8_t rank; /* while ready: of the first message */
};

struct key_table {
	struct key *keys;
	uint32_t *buckets; /* 1-based indices */
	size_t capacity; /* of both; a power of two */
	size_t n_keys;
	uint32_t n_touched; /* keys beyond were never used: their pages cost nothing */
	uint32_t free_head;
	uint32_t ready_head[HELD_RANKS], ready_tail[HELD_RANKS];
	uint32_t ready_ranks; /* bit by rank: there are ready keys */
};

/* An empty table that takes nothing before key_table_reserve. */
void key_table_init(struct key_table *table);
void key_table_fini(struct key_table *table);
/* Room for capacity keys (a power of two): as many as messages can be held. 0 or -ENOMEM. Moves every key. */
int key_table_reserve(struct key_table *table, size_t capacity) __attribute__((warn_unused_result));
/* Forgets every key. */
void key_table_clear(struct key_table *table);

uint64_t key_hash(struct slice order_key, uint64_t seed);

struct key *key_table_find(const struct key_table *table, uint64_t hash); /* NULL if absent */
struct key *key_table_get(struct key_table *table, uint64_t hash); /* adds it if absent; there must be room */
struct key *key_table_first_of(const struct key_table *table, unsigned rank); /* NULL if none is ready */

void key_list_append(struct key *key, struct window *window, uint64_t seq); /* seq is higher than all in the list */
void key_list_insert(struct key *key, struct window *window, uint64_t seq); /* at its place in seq order */
void key_list_remove(struct key *key, struct window *window, uint64_t seq);

/* To be called after each change of busy, of the list, or of its first message's state: puts the key into the
 * queue of ready ones or takes it out; drops it when it has become idle. The key may be gone afterwards. */
void key_table_update(struct key_table *table, struct key *key, const struct window *window);

/* Lets the other ready ones of its rank go first: key_table_update puts it at the end. */
void key_table_yield(struct key_table *table, struct key *key);

#endif
