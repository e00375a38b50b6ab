/* SPDX-License-Identifier: Apache-2.0
 *
 * A chained hash table over one array, the whole of which is reserved at once: pages that were never used cost nothing, and
 * no entry ever moves. Entries know their peer and id by a keyed hash of 128 bits, so that they all have one size. There are
 * two queues in the order of expiry, since there are two lifetimes.
 */
#include "connectors/coap/dedupe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "connectors/coap/shares.h"
#include "message/endian.h"
#include "message/siphash.h"

#define LONGEST_PEER 64u

enum queue { QUEUE_CON, QUEUE_NON, N_QUEUES };

struct entry {
	uint8_t key[SIPHASH_LEN];
	uint64_t hash; /* of the request's bytes */
	uint64_t expires_ms;
	uint32_t chain; /* 1-based: the next one in the bucket, or the next free one */
	uint32_t next, prev; /* 1-based, in the queue */
	uint32_t holder; /* a number of shares */
	uint8_t queue;
	bool answered;
	uint8_t answer_len;
	uint8_t answer[DEDUPE_ANSWER_MAX];
};

struct dedupe {
	size_t max_entries, n;
	struct shares *shares;
	struct entry *entries;
	uint32_t *buckets;
	size_t n_buckets; /* a power of two */
	uint32_t n_touched, free_head;
	uint32_t first[N_QUEUES], last[N_QUEUES];
	uint8_t secret[SIPHASH_KEY_LEN];
};

int dedupe_new(size_t max_entries, struct dedupe **ret_dedupe)
{
	struct dedupe *dedupe = calloc(1, sizeof *dedupe);
	if (!dedupe)
		return -ENOMEM;
	dedupe->max_entries = max_entries < UINT32_MAX ? max_entries : UINT32_MAX - 1;
	dedupe->n_buckets = 16;
	while (dedupe->n_buckets < dedupe->max_entries)
		dedupe->n_buckets *= 2;
	dedupe->entries = calloc(dedupe->max_entries ? dedupe->max_entries : 1, sizeof *dedupe->entries);
	dedupe->buckets = calloc(dedupe->n_buckets, sizeof *dedupe->buckets);
	if (!dedupe->entries || !dedupe->buckets || shares_new(&dedupe->shares) < 0) {
		dedupe_free(dedupe);
		return -ENOMEM;
	}
	if (getrandom(dedupe->secret, sizeof dedupe->secret, GRND_NONBLOCK) != (ssize_t)sizeof dedupe->secret)
		dedupe->secret[0] = 1; /* it works without */
	*ret_dedupe = dedupe;
	return 0;
}

void dedupe_free(struct dedupe *dedupe)
{
	if (!dedupe)
		return;
	shares_free(dedupe->shares);
	free(dedupe->entries);
	free(dedupe->buckets);
	free(dedupe);
}

static struct entry *entry_at(const struct dedupe *dedupe, uint32_t index)
{
	return index ? &dedupe->entries[index - 1] : NULL;
}

/* --- finding ------------------------------------------------------------------------------------------------------- */

static void make_key(const struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint8_t key[SIPHASH_LEN])
{
	uint8_t bytes[LONGEST_PEER + 2];
	assert(peer.len <= LONGEST_PEER);
	put_u16(bytes, message_id);
	if (peer.len)
		memcpy(bytes + 2, peer.data, peer.len);
	siphash(dedupe->secret, slice_of(bytes, peer.len + 2), key);
}

static uint32_t *bucket_of(const struct dedupe *dedupe, const uint8_t key[SIPHASH_LEN])
{
	return &dedupe->buckets[get_u64(key) & (dedupe->n_buckets - 1)];
}

/* Where its index stands, or a 0 behind the last one of the bucket. */
static uint32_t *find(const struct dedupe *dedupe, const uint8_t key[SIPHASH_LEN])
{
	uint32_t *link = bucket_of(dedupe, key);
	while (*link && memcmp(entry_at(dedupe, *link)->key, key, SIPHASH_LEN) != 0)
		link = &entry_at(dedupe, *link)->chain;
	return link;
}

/* NULL unless it means that request. */
static struct entry *find_request(const struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash)
{
	uint8_t key[SIPHASH_LEN];
	make_key(dedupe, peer, message_id, key);
	struct entry *entry = entry_at(dedupe, *find(dedupe, key));
	return entry && entry->hash == hash ? entry : NULL;
}

/* --- queues -------------------------------------------------------------------------------------------------------- */

static void enqueue(struct dedupe *dedupe, uint32_t index, enum queue queue)
{
	struct entry *entry = entry_at(dedupe, index);
	entry->queue = (uint8_t)queue;
	entry->next = 0;
	entry->prev = dedupe->last[queue];
	*(entry->prev ? &entry_at(dedupe, entry->prev)->next : &dedupe->first[queue]) = index;
	dedupe->last[queue] = index;
}

static void unqueue(struct dedupe *dedupe, const struct entry *entry)
{
	*(entry->prev ? &entry_at(dedupe, entry->prev)->next : &dedupe->first[entry->queue]) = entry->next;
	*(entry->next ? &entry_at(dedupe, entry->next)->prev : &dedupe->last[entry->queue]) = entry->prev;
}

static void drop(struct dedupe *dedupe, struct entry *entry)
{
	uint32_t *link = find(dedupe, entry->key);
	uint32_t index = *link;
	*link = entry->chain;
	unqueue(dedupe, entry);
	shares_give(dedupe->shares, entry->holder);
	entry->chain = dedupe->free_head;
	dedupe->free_head = index;
	dedupe->n--;
}

void dedupe_expire(struct dedupe *dedupe, uint64_t now_ms)
{
	for (int queue = 0; queue < N_QUEUES; queue++) {
		struct entry *entry;
		while ((entry = entry_at(dedupe, dedupe->first[queue])) && entry->expires_ms <= now_ms)
			drop(dedupe, entry);
	}
}

/* --- requests and answers ------------------------------------------------------------------------------------------ */

static struct slice answer_of(const struct entry *entry)
{
	return slice_of(entry->answer, entry->answer_len);
}

static void begin(struct dedupe *dedupe, uint32_t index, uint64_t hash, bool is_con, uint64_t now_ms)
{
	struct entry *entry = entry_at(dedupe, index);
	entry->hash = hash;
	entry->answered = false;
	entry->expires_ms = now_ms + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS);
	enqueue(dedupe, index, is_con ? QUEUE_CON : QUEUE_NON);
}

static enum dedupe_state add(struct dedupe *dedupe, const uint8_t key[SIPHASH_LEN], struct slice holder, uint64_t hash,
	bool is_con, uint64_t now_ms)
{
	if (!shares_may_take(dedupe->shares, holder, dedupe->max_entries - dedupe->n))
		return DEDUPE_FULL;
	uint32_t index = dedupe->free_head;
	if (index)
		dedupe->free_head = entry_at(dedupe, index)->chain;
	else
		index = ++dedupe->n_touched;
	struct entry *entry = entry_at(dedupe, index);
	uint32_t *bucket = bucket_of(dedupe, key);
	*entry = (struct entry){.chain = *bucket, .holder = shares_take(dedupe->shares, holder)};
	memcpy(entry->key, key, SIPHASH_LEN);
	*bucket = index;
	begin(dedupe, index, hash, is_con, now_ms);
	dedupe->n++;
	return DEDUPE_NEW;
}

enum dedupe_state dedupe_enter(struct dedupe *dedupe, struct slice peer, struct slice holder, uint16_t message_id,
	uint64_t hash, bool is_con, uint64_t now_ms, struct slice *ret_answer)
{
	uint8_t key[SIPHASH_LEN];
	dedupe_expire(dedupe, now_ms);
	make_key(dedupe, peer, message_id, key);
	uint32_t index = *find(dedupe, key);
	if (!index)
		return add(dedupe, key, holder, hash, is_con, now_ms);
	struct entry *entry = entry_at(dedupe, index);
	if (entry->hash != hash) {
		unqueue(dedupe, entry);
		begin(dedupe, index, hash, is_con, now_ms);
		return DEDUPE_NEW;
	}
	if (!entry->answered)
		return DEDUPE_PENDING;
	*ret_answer = answer_of(entry);
	return DEDUPE_ANSWERED;
}

bool dedupe_find(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash, uint64_t now_ms,
	struct slice *ret_answer)
{
	dedupe_expire(dedupe, now_ms);
	const struct entry *entry = find_request(dedupe, peer, message_id, hash);
	if (!entry || !entry->answered)
		return false;
	*ret_answer = answer_of(entry);
	return true;
}

void dedupe_answer(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash, struct slice answer)
{
	struct entry *entry = find_request(dedupe, peer, message_id, hash);
	assert(answer.len <= DEDUPE_ANSWER_MAX);
	if (!entry)
		return;
	entry->answered = true;
	entry->answer_len = (uint8_t)answer.len;
	if (answer.len)
		memcpy(entry->answer, answer.data, answer.len);
}

void dedupe_forget(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash)
{
	struct entry *entry = find_request(dedupe, peer, message_id, hash);
	if (entry)
		drop(dedupe, entry);
}
