/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys that are known for a time: idempotency keys, and what changes_only, sample and min_interval remember. Part of the journal's state. An
 * open hash table by the key, which is a hash already; what has expired counts as unknown at once and gives its place
 * back at the next keys_expire. Nothing is forgotten before its time: who adds bounds it.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_JOURNAL_KEYS_H
#define LINKSPAN_JOURNAL_KEYS_H

#include "message/slice.h"

#define KEYS_KEY_LEN   16
#define KEYS_ENTRY_LEN 32 /* as written: the key, u64 hash, u64 ms when it expires */

struct known_key {
	uint64_t name[2];
	uint64_t hash;
	uint64_t expires_ms; /* it is known before that; 0: the place is free */
	uint64_t lsn; /* with which it is durable; 0: it is. Not part of what is written */
};
struct keys {
	struct known_key *v; /* NULL: none */
	size_t n, places; /* places: a power of two; n: expired ones that still have their place as well */
	uint64_t seen_ms; /* the newest time known of the clock that expires_ms is by; only to be raised */
	uint64_t soonest_ms; /* nothing expires before */
};

void keys_clear(struct keys *keys); /* frees */
/* Makes room for that many more, so that as many keys_set cannot fail. 0 or -ENOMEM. */
int keys_reserve(struct keys *keys, size_t more) __attribute__((warn_unused_result));
/* key: KEYS_KEY_LEN bytes. NULL: it has no place. Until the next change. */
const struct known_key *keys_find(const struct keys *keys, const uint8_t *key);
/* Replaces what is known of the key. expires_ms > 0. 0 or -ENOMEM. */
int keys_set(struct keys *keys, const uint8_t *key, uint64_t hash, uint64_t expires_ms, uint64_t lsn)
	__attribute__((warn_unused_result));
/* Forgets those that have expired. Returns how many. */
size_t keys_expire(struct keys *keys, uint64_t now_ms);
/* From now on another clock counts, which stands shift_ms ahead of that. A clock that has not come as far as seen_ms has
 * been set back: then what was seen is now, and each key has as long to live as it had then. */
void keys_change_clock(struct keys *keys, int64_t shift_ms, uint64_t now_ms);

/* n * KEYS_ENTRY_LEN bytes. */
void keys_encode(const struct keys *keys, uint8_t *out);
/* 0, -EBADMSG, -ENOMEM. */
int keys_decode(struct keys *keys, struct slice body) __attribute__((warn_unused_result));

#endif
