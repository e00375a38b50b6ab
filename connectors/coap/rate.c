/* SPDX-License-Identifier: Apache-2.0
 *
 * Each peer has the time at which its bucket would be full (of microseconds, so that odd rates are kept). The table is one
 * array, reserved at once; peers stand in one queue, that which has been heard of least lately first.
 */
#include "connectors/coap/rate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "message/endian.h"
#include "message/siphash.h"

#define LONGEST_PEER 64u
/* So many of the front of the queue are looked at for a bucket that is full. */
#define LOOK_AT 8

struct peer {
	uint64_t key; /* a keyed hash: two that share one share a bucket */
	uint64_t full_us;
	uint32_t chain, next, prev; /* 1-based */
};

struct rate {
	struct peer *peers;
	uint32_t *buckets;
	size_t n_buckets; /* a power of two */
	size_t max_peers;
	uint32_t n_used, first, last;
	uint64_t cost_us, burst_us; /* of one request; of a full bucket */
	uint8_t secret[SIPHASH_KEY_LEN];
};

int rate_new(uint32_t per_second, uint32_t burst, size_t max_peers, struct rate **ret_rate)
{
	struct rate *rate = calloc(1, sizeof *rate);
	assert(per_second && burst && max_peers);
	if (!rate)
		return -ENOMEM;
	rate->max_peers = max_peers < UINT32_MAX ? max_peers : UINT32_MAX - 1;
	rate->cost_us = 1000000 / per_second ? 1000000 / per_second : 1;
	rate->burst_us = rate->cost_us * burst;
	rate->n_buckets = 16;
	while (rate->n_buckets < rate->max_peers)
		rate->n_buckets *= 2;
	rate->peers = calloc(rate->max_peers, sizeof *rate->peers);
	rate->buckets = calloc(rate->n_buckets, sizeof *rate->buckets);
	if (!rate->peers || !rate->buckets) {
		rate_free(rate);
		return -ENOMEM;
	}
	if (getrandom(rate->secret, sizeof rate->secret, GRND_NONBLOCK) != (ssize_t)sizeof rate->secret)
		rate->secret[0] = 1; /* it works without */
	*ret_rate = rate;
	return 0;
}

void rate_free(struct rate *rate)
{
	if (!rate)
		return;
	free(rate->peers);
	free(rate->buckets);
	free(rate);
}

static struct peer *peer_at(const struct rate *rate, uint32_t index)
{
	return index ? &rate->peers[index - 1] : NULL;
}

static uint64_t hash_peer(const struct rate *rate, struct slice peer)
{
	uint8_t hash[SIPHASH_LEN];
	assert(peer.len <= LONGEST_PEER);
	siphash(rate->secret, peer, hash);
	return get_u64(hash);
}

static uint32_t *find(const struct rate *rate, uint64_t key)
{
	uint32_t *link = &rate->buckets[key & (rate->n_buckets - 1)];
	while (*link && peer_at(rate, *link)->key != key)
		link = &peer_at(rate, *link)->chain;
	return link;
}

static void enqueue(struct rate *rate, uint32_t index)
{
	struct peer *peer = peer_at(rate, index);
	peer->next = 0;
	peer->prev = rate->last;
	*(peer->prev ? &peer_at(rate, peer->prev)->next : &rate->first) = index;
	rate->last = index;
}

static void unqueue(struct rate *rate, uint32_t index)
{
	const struct peer *peer = peer_at(rate, index);
	*(peer->prev ? &peer_at(rate, peer->prev)->next : &rate->first) = peer->next;
	*(peer->next ? &peer_at(rate, peer->next)->prev : &rate->last) = peer->prev;
}

/* Whose place a new one takes: of somebody whose bucket is full, so that nothing is forgotten, or else of the first. */
static uint32_t choose(const struct rate *rate, uint64_t now_us)
{
	uint32_t index = rate->first;
	for (int i = 0; i < LOOK_AT && index; i++, index = peer_at(rate, index)->next)
		if (peer_at(rate, index)->full_us <= now_us)
			return index;
	return rate->first;
}

static uint32_t add_peer(struct rate *rate, uint64_t key, uint64_t now_us)
{
	uint32_t index;
	if (rate->n_used < rate->max_peers) {
		index = ++rate->n_used;
	} else {
		index = choose(rate, now_us);
		*find(rate, peer_at(rate, index)->key) = peer_at(rate, index)->chain;
		unqueue(rate, index);
	}
	uint32_t *bucket = &rate->buckets[key & (rate->n_buckets - 1)];
	*peer_at(rate, index) = (struct peer){.key = key, .chain = *bucket};
	*bucket = index;
	enqueue(rate, index);
	return index;
}

uint64_t rate_take(struct rate *rate, struct slice peer_bytes, uint64_t now_ms)
{
	uint64_t key = hash_peer(rate, peer_bytes), now_us = now_ms * 1000;
	uint32_t index = *find(rate, key);
	if (!index) {
		index = add_peer(rate, key, now_us);
	} else {
		unqueue(rate, index);
		enqueue(rate, index);
	}
	struct peer *peer = peer_at(rate, index);
	uint64_t full_us = (peer->full_us > now_us ? peer->full_us : now_us) + rate->cost_us;
	if (full_us > now_us + rate->burst_us)
		return (full_us - now_us - rate->burst_us + 999) / 1000;
	peer->full_us = full_us;
	return 0;
}
