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
#include <sys/random.h>

#include "message/buffer.h"
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
	uint32_t answer_len;
	uint8_t queue;
	bool answered;
	union {
		uint8_t bytes[DEDUPE_INLINE_BYTES];
		uint8_t *data; /* longer ones */
	} answer;
};

struct dedupe {
	struct dedupe_limits limits;
	struct entry *entries;
	uint32_t *buckets;
	size_t n_buckets; /* a power of two */
	uint32_t n_touched, free_head;
	uint32_t first[N_QUEUES], last[N_QUEUES];
	uint8_t secret[SIPHASH_KEY_LEN];
	struct dedupe_figures figures;
};

int dedupe_new(const struct dedupe_limits *limits, struct dedupe **ret_dedupe)
{
	struct dedupe *dedupe = calloc(1, sizeof *dedupe);
	if (!dedupe)
		return -ENOMEM;
	dedupe->limits = *limits;
	if (dedupe->limits.max_entries >= UINT32_MAX)
		dedupe->limits.max_entries = UINT32_MAX - 1;
	dedupe->n_buckets = 16;
	while (dedupe->n_buckets < dedupe->limits.max_entries)
		dedupe->n_buckets *= 2;
	dedupe->entries = calloc(dedupe->limits.max_entries ? dedupe->limits.max_entries : 1, sizeof *dedupe->entries);
	dedupe->buckets = calloc(dedupe->n_buckets, sizeof *dedupe->buckets);
	if (!dedupe->entries || !dedupe->buckets) {
		dedupe_free(dedupe);
		return -ENOMEM;
	}
	if (getrandom(dedupe->secret, sizeof dedupe->secret, GRND_NONBLOCK) != (ssize_t)sizeof dedupe->secret)
		dedupe->secret[0] = 1; /* it works without */
	*ret_dedupe = dedupe;
	return 0;
}

static struct entry *entry_at(const struct dedupe *dedupe, uint32_t index)
{
	return index ? &dedupe->entries[index - 1] : NULL;
}

static void drop_answer(struct dedupe *dedupe, struct entry *entry)
{
	if (entry->answered && entry->answer_len > DEDUPE_INLINE_BYTES) {
		free(entry->answer.data);
		dedupe->figures.answer_bytes -= entry->answer_len;
	}
	entry->answered = false;
	entry->answer_len = 0;
}

void dedupe_free(struct dedupe *dedupe)
{
	if (!dedupe)
		return;
	for (int queue = 0; queue < N_QUEUES; queue++)
		for (struct entry *entry = entry_at(dedupe, dedupe->first[queue]); entry;
			entry = entry_at(dedupe, entry->next))
			drop_answer(dedupe, entry);
	free(dedupe->entries);
	free(dedupe->buckets);
	free(dedupe);
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
	drop_answer(dedupe, entry);
	entry->chain = dedupe->free_head;
	dedupe->free_head = index;
	dedupe->figures.n--;
}

void dedupe_expire(struct dedupe *dedupe, uint64_t now_ms)
{
	for (int queue = 0; queue < N_QUEUES; queue++) {
		struct entry *entry;
		while ((entry = entry_at(dedupe, dedupe->first[queue])) && entry->expires_ms <= now_ms)
			drop(dedupe, entry);
	}
}

uint64_t dedupe_first_expiry_ms(const struct dedupe *dedupe)
{
	uint64_t first_ms = UINT64_MAX;
	for (int queue = 0; queue < N_QUEUES; queue++) {
		const struct entry *entry = entry_at(dedupe, dedupe->first[queue]);
		if (entry && entry->expires_ms < first_ms)
			first_ms = entry->expires_ms;
	}
	return first_ms;
}

/* --- requests and answers ------------------------------------------------------------------------------------------ */

static struct slice answer_of(const struct entry *entry)
{
	return slice_of(
		entry->answer_len > DEDUPE_INLINE_BYTES ? entry->answer.data : entry->answer.bytes, entry->answer_len);
}

static void begin(struct dedupe *dedupe, uint32_t index, uint64_t hash, bool is_con, uint64_t now_ms)
{
	struct entry *entry = entry_at(dedupe, index);
	entry->hash = hash;
	entry->expires_ms = now_ms + (is_con ? DEDUPE_CON_MS : DEDUPE_NON_MS);
	enqueue(dedupe, index, is_con ? QUEUE_CON : QUEUE_NON);
}

/* 0: there is no room. */
static uint32_t take_entry(struct dedupe *dedupe)
{
	uint32_t index = dedupe->free_head;
	if (index)
		dedupe->free_head = entry_at(dedupe, index)->chain;
	else if (dedupe->n_touched < dedupe->limits.max_entries)
		index = ++dedupe->n_touched;
	return index;
}

static enum dedupe_state add(
	struct dedupe *dedupe, const uint8_t key[SIPHASH_LEN], uint64_t hash, bool is_con, uint64_t now_ms)
{
	uint32_t index = take_entry(dedupe);
	if (!index) {
		dedupe->figures.refused++;
		return DEDUPE_FULL;
	}
	struct entry *entry = entry_at(dedupe, index);
	uint32_t *bucket = bucket_of(dedupe, key);
	*entry = (struct entry){.chain = *bucket};
	memcpy(entry->key, key, SIPHASH_LEN);
	*bucket = index;
	begin(dedupe, index, hash, is_con, now_ms);
	dedupe->figures.n++;
	return DEDUPE_NEW;
}

enum dedupe_state dedupe_enter(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash,
	bool is_con, uint64_t now_ms, struct slice *ret_answer)
{
	uint8_t key[SIPHASH_LEN];
	dedupe_expire(dedupe, now_ms);
	make_key(dedupe, peer, message_id, key);
	uint32_t index = *find(dedupe, key);
	if (!index)
		return add(dedupe, key, hash, is_con, now_ms);
	struct entry *entry = entry_at(dedupe, index);
	if (entry->hash != hash) {
		dedupe->figures.replaced++;
		drop_answer(dedupe, entry);
		unqueue(dedupe, entry);
		begin(dedupe, index, hash, is_con, now_ms);
		return DEDUPE_NEW;
	}
	dedupe->figures.repeated++;
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
	dedupe->figures.repeated++;
	*ret_answer = answer_of(entry);
	return true;
}

int dedupe_answer(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash, struct slice answer)
{
	struct entry *entry = find_request(dedupe, peer, message_id, hash);
	int r = 0;
	if (!entry)
		return -ENOENT;
	drop_answer(dedupe, entry);
	entry->answered = true;
	if (answer.len > DEDUPE_INLINE_BYTES) {
		size_t room = dedupe->limits.max_answer_bytes - dedupe->figures.answer_bytes;
		uint8_t *copy = answer.len <= room && answer.len <= UINT32_MAX ? malloc(answer.len) : NULL;
		if (copy) {
			memcpy(copy, answer.data, answer.len);
			entry->answer.data = copy;
			entry->answer_len = (uint32_t)answer.len;
			dedupe->figures.answer_bytes += answer.len;
			return 0;
		}
		r = answer.len > room ? -ENOBUFS : -ENOMEM;
		dedupe->figures.answers_left_out++;
		answer.len = DEDUPE_INLINE_BYTES;
	}
	if (answer.len)
		memcpy(entry->answer.bytes, answer.data, answer.len);
	entry->answer_len = (uint32_t)answer.len;
	return r;
}

void dedupe_forget(struct dedupe *dedupe, struct slice peer, uint16_t message_id, uint64_t hash)
{
	struct entry *entry = find_request(dedupe, peer, message_id, hash);
	if (entry)
		drop(dedupe, entry);
}

void dedupe_figures(const struct dedupe *dedupe, struct dedupe_figures *ret_figures)
{
	*ret_figures = dedupe->figures;
}
