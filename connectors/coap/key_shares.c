/* SPDX-License-Identifier: Apache-2.0
 *
 * Two rings in the order of expiry, since there are two lifetimes, and the shares (shares.h) that they take from and give back
 * to. Times are in seconds, rounded up.
 */
#include "connectors/coap/key_shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/coap/dedupe.h"
#include "connectors/coap/shares.h"

#define FIRST_ROOM 64u

struct taken {
	uint32_t holder; /* a number of shares */
	uint32_t until_s;
};

struct ring {
	struct taken *v;
	size_t room; /* a power of two, or 0 */
	size_t first, n;
};

struct key_shares {
	struct shares *shares;
	struct ring rings[2]; /* CON, NON */
};

int key_shares_new(struct key_shares **ret_keys)
{
	struct key_shares *keys = calloc(1, sizeof *keys);
	int r = keys ? shares_new(&keys->shares) : -ENOMEM;
	if (r < 0)
		free(keys);
	else
		*ret_keys = keys;
	return r;
}

void key_shares_free(struct key_shares *keys)
{
	if (!keys)
		return;
	shares_free(keys->shares);
	free(keys->rings[0].v);
	free(keys->rings[1].v);
	free(keys);
}

static int grow(struct ring *ring)
{
	size_t room = ring->room ? ring->room * 2 : FIRST_ROOM, ahead = ring->room - ring->first;
	struct taken *v = malloc(room * sizeof *v);
	if (!v)
		return -ENOMEM;
	if (ring->n) { /* it is full */
		memcpy(v, ring->v + ring->first, ahead * sizeof *v);
		memcpy(v + ahead, ring->v, ring->first * sizeof *v);
	}
	free(ring->v);
	*ring = (struct ring){.v = v, .room = room, .n = ring->n};
	return 0;
}

static void expire(struct key_shares *keys, uint64_t now_ms)
{
	for (size_t i = 0; i < 2; i++) {
		struct ring *ring = &keys->rings[i];
		while (ring->n && ring->v[ring->first].until_s <= now_ms / 1000) {
			shares_give(keys->shares, ring->v[ring->first].holder);
			ring->first = (ring->first + 1) & (ring->room - 1);
			ring->n--;
		}
	}
}

bool key_shares_may_take(struct key_shares *keys, struct slice host, uint64_t room, uint64_t now_ms)
{
	expire(keys, now_ms);
	return shares_may_take(keys->shares, host, room);
}

void key_shares_take(struct key_shares *keys, struct slice host, bool is_con, uint64_t now_ms)
{
	struct ring *ring = &keys->rings[is_con ? 0 : 1];
	expire(keys, now_ms);
	if (ring->n == ring->room && grow(ring) < 0)
		return;
	uint32_t holder = shares_take(keys->shares, host);
	if (!holder)
		return;
	uint64_t until_ms = now_ms + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS);
	ring->v[(ring->first + ring->n++) & (ring->room - 1)] =
		(struct taken){.holder = holder, .until_s = (uint32_t)((until_ms + 999) / 1000)};
}
