/* SPDX-License-Identifier: Apache-2.0
 *
 * Linear probing, at most seven places of eight in use; a key that goes lets those behind it move up, so that there are
 * no marks of the dead. Keys are made of what peers send: their places depend on a secret of the process, lest somebody
 * searches for many that collide.
 */
#include "journal/keys.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "message/endian.h"

#define FEWEST_PLACES 64u

static uint64_t secret[2];

static void keys_keep_secret(void)
{
	if (!secret[0] && getrandom(secret, sizeof secret, GRND_NONBLOCK) != (ssize_t)sizeof secret)
		secret[0] = 1; /* it works without */
}

void keys_clear(struct keys *keys)
{
	free(keys->v);
	*keys = (struct keys){.v = NULL};
}

/* The place that a key is looked for first. */
static size_t keys_home(const struct keys *keys, const uint64_t name[2])
{
	__extension__ unsigned __int128 product =
		(unsigned __int128)(name[0] ^ secret[0]) * (name[1] ^ (secret[1] | 1));
	return (size_t)((uint64_t)product ^ (uint64_t)(product >> 64)) & (keys->places - 1);
}

/* Where the key is, or belongs. There is always a free place. */
static struct known_key *keys_place(const struct keys *keys, const uint64_t name[2])
{
	size_t i = keys_home(keys, name);
	while (keys->v[i].expires_ms && (keys->v[i].name[0] != name[0] || keys->v[i].name[1] != name[1]))
		i = (i + 1) & (keys->places - 1);
	return &keys->v[i];
}

int keys_reserve(struct keys *keys, size_t more)
{
	size_t needed = keys->n + more, places = keys->places ? keys->places : FEWEST_PLACES;
	while (places - places / 8 < needed)
		places *= 2;
	if (places == keys->places)
		return 0;
	keys_keep_secret();
	struct keys bigger = *keys;
	bigger.places = places;
	bigger.v = calloc(places, sizeof *bigger.v);
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < keys->places; i++)
		if (keys->v[i].expires_ms)
			*keys_place(&bigger, keys->v[i].name) = keys->v[i];
	free(keys->v);
	*keys = bigger;
	return 0;
}

const struct known_key *keys_find(const struct keys *keys, const uint8_t *key)
{
	if (!keys->n)
		return NULL;
	uint64_t name[2] = {get_u64(key), get_u64(key + 8)};
	const struct known_key *place = keys_place(keys, name);
	return place->expires_ms ? place : NULL;
}

int keys_set(struct keys *keys, const uint8_t *key, uint64_t hash, uint64_t expires_ms, uint64_t lsn)
{
	int r = keys_reserve(keys, 1);
	if (r < 0)
		return r;
	struct known_key wanted = {{get_u64(key), get_u64(key + 8)}, hash, expires_ms, lsn};
	struct known_key *place = keys_place(keys, wanted.name);
	keys->n += !place->expires_ms;
	if (keys->n == 1 || expires_ms < keys->soonest_ms)
		keys->soonest_ms = expires_ms;
	*place = wanted;
	return 0;
}

/* May what is at home at `home` and stands behind `hole` be moved into it? Not if it would stand before its home. */
static bool keys_may_move(const struct keys *keys, size_t home, size_t hole, size_t at)
{
	size_t mask = keys->places - 1;
	return ((at - home) & mask) >= ((at - hole) & mask);
}

static void keys_remove(struct keys *keys, size_t hole)
{
	size_t mask = keys->places - 1;
	keys->n--;
	for (size_t at = (hole + 1) & mask; keys->v[at].expires_ms; at = (at + 1) & mask) {
		if (!keys_may_move(keys, keys_home(keys, keys->v[at].name), hole, at))
			continue;
		keys->v[hole] = keys->v[at];
		hole = at;
	}
	keys->v[hole].expires_ms = 0;
}

size_t keys_expire(struct keys *keys, uint64_t now_ms)
{
	size_t before = keys->n;
	if (now_ms > keys->seen_ms)
		keys->seen_ms = now_ms;
	if (now_ms < keys->soonest_ms || before == 0)
		return 0;
	keys->soonest_ms = UINT64_MAX;
	for (size_t i = 0; i < keys->places; i++) {
		while (keys->v[i].expires_ms && keys->v[i].expires_ms <= now_ms)
			keys_remove(keys, i);
		if (keys->v[i].expires_ms && keys->v[i].expires_ms < keys->soonest_ms)
			keys->soonest_ms = keys->v[i].expires_ms;
	}
	return before - keys->n;
}

/* 0 means that a place is free. */
static uint64_t moved(uint64_t time_ms, int64_t shift_ms)
{
	if (shift_ms < 0)
		return time_ms > (uint64_t)-shift_ms ? time_ms + (uint64_t)shift_ms : 1;
	return time_ms < UINT64_MAX / 2 ? time_ms + (uint64_t)shift_ms : time_ms;
}

void keys_change_clock(struct keys *keys, int64_t shift_ms, uint64_t now_ms)
{
	uint64_t seen_ms = moved(keys->seen_ms, shift_ms);
	if (seen_ms > now_ms && keys->seen_ms)
		shift_ms -= (int64_t)(seen_ms - now_ms);
	keys->seen_ms = now_ms;
	keys->soonest_ms = 0;
	for (size_t i = 0; i < keys->places; i++)
		if (keys->v[i].expires_ms)
			keys->v[i].expires_ms = moved(keys->v[i].expires_ms, shift_ms);
}

void keys_encode(const struct keys *keys, uint8_t *out)
{
	for (size_t i = 0; i < keys->places; i++) {
		const struct known_key *entry = &keys->v[i];
		if (!entry->expires_ms)
			continue;
		put_u64(out, entry->name[0]);
		put_u64(out + 8, entry->name[1]);
		put_u64(out + 16, entry->hash);
		put_u64(out + 24, entry->expires_ms);
		out += KEYS_ENTRY_LEN;
	}
}

int keys_decode(struct keys *keys, struct slice body)
{
	if (body.len % KEYS_ENTRY_LEN)
		return -EBADMSG;
	int r = keys_reserve(keys, body.len / KEYS_ENTRY_LEN);
	for (size_t at = 0; r == 0 && at < body.len; at += KEYS_ENTRY_LEN) {
		uint64_t expires_ms = get_u64(body.data + at + 24);
		r = expires_ms ? keys_set(keys, body.data + at, get_u64(body.data + at + 16), expires_ms, 0) : -EBADMSG;
	}
	return r;
}
