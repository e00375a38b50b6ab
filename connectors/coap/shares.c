/* SPDX-License-Identifier: Apache-2.0
 *
 * A chained hash table over one array that grows with the number of holders; numbers are places in it, and stay.
 */
#include "connectors/coap/shares.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "message/endian.h"
#include "message/siphash.h"

#define LONGEST_NAME 24u
#define FIRST_ROOM   16u

struct holder {
	uint8_t name[LONGEST_NAME];
	uint8_t len;
	uint32_t n; /* what it has; 0: the place is free */
	uint32_t chain; /* 1-based: the next one in the bucket, or the next free place */
};

struct shares {
	struct holder *holders;
	uint32_t *buckets;
	uint32_t room; /* of both; a power of two */
	uint32_t n_touched, free_head;
	uint8_t secret[SIPHASH_KEY_LEN];
};

int shares_new(struct shares **ret_shares)
{
	struct shares *shares = calloc(1, sizeof *shares);
	if (!shares)
		return -ENOMEM;
	if (getrandom(shares->secret, sizeof shares->secret, GRND_NONBLOCK) != (ssize_t)sizeof shares->secret)
		shares->secret[0] = 1; /* it works without */
	*ret_shares = shares;
	return 0;
}

void shares_free(struct shares *shares)
{
	if (!shares)
		return;
	free(shares->holders);
	free(shares->buckets);
	free(shares);
}

static uint32_t *bucket_of(const struct shares *shares, struct slice name)
{
	uint8_t hash[SIPHASH_LEN];
	siphash(shares->secret, name, hash);
	return &shares->buckets[get_u64(hash) & (shares->room - 1)];
}

static struct slice name_of(const struct holder *holder)
{
	return slice_of(holder->name, holder->len);
}

/* Where its number stands, or a 0 behind the last one of the bucket. */
static uint32_t *find(const struct shares *shares, struct slice name)
{
	uint32_t *at = bucket_of(shares, name);
	while (*at && !slice_equal(name_of(&shares->holders[*at - 1]), name))
		at = &shares->holders[*at - 1].chain;
	return at;
}

static int grow(struct shares *shares)
{
	uint32_t room = shares->room ? shares->room * 2 : FIRST_ROOM;
	uint32_t *buckets = calloc(room, sizeof *buckets);
	struct holder *holders = buckets ? realloc(shares->holders, room * sizeof *holders) : NULL;
	if (!holders) {
		free(buckets);
		return -ENOMEM;
	}
	free(shares->buckets);
	shares->holders = holders;
	shares->buckets = buckets;
	shares->room = room;
	for (uint32_t i = 0; i < shares->n_touched; i++) { /* it grows only when no place is free */
		uint32_t *bucket = bucket_of(shares, name_of(&holders[i]));
		holders[i].chain = *bucket;
		*bucket = i + 1;
	}
	return 0;
}

bool shares_may_take(const struct shares *shares, struct slice holder, uint64_t room)
{
	uint32_t number = shares->room ? *find(shares, holder) : 0;
	return room && (!number || shares->holders[number - 1].n / SHARES_FACTOR < room);
}

static uint32_t add(struct shares *shares, struct slice name)
{
	uint32_t number = shares->free_head;
	if (!number && shares->n_touched == shares->room && grow(shares) < 0)
		return 0;
	if (number)
		shares->free_head = shares->holders[number - 1].chain;
	else
		number = ++shares->n_touched;
	struct holder *holder = &shares->holders[number - 1];
	uint32_t *bucket = bucket_of(shares, name);
	*holder = (struct holder){.len = (uint8_t)name.len, .n = 1, .chain = *bucket};
	if (name.len)
		memcpy(holder->name, name.data, name.len);
	*bucket = number;
	return number;
}

uint32_t shares_take(struct shares *shares, struct slice holder)
{
	assert(holder.len <= LONGEST_NAME);
	uint32_t number = shares->room ? *find(shares, holder) : 0;
	if (!number)
		return add(shares, holder);
	shares->holders[number - 1].n++;
	return number;
}

void shares_give(struct shares *shares, uint32_t number)
{
	if (!number)
		return;
	struct holder *holder = &shares->holders[number - 1];
	assert(holder->n);
	if (--holder->n)
		return;
	*find(shares, name_of(holder)) = holder->chain;
	holder->chain = shares->free_head;
	shares->free_head = number;
}
