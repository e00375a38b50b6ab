/* SPDX-License-Identifier: Apache-2.0
 *
 * A chained hash table of bodies, which also stand in one queue, that which has been without a block for longest first, and a
 * list of those who hold them: it is gone through when there is no room.
 */
#include "connectors/coap/reassembly.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "message/endian.h"
#include "message/siphash.h"

#define LONGEST_PEER    64u
#define LONGEST_TAG     8u /* RFC 9175 §3.2 */
#define SZX_BERT        7u
#define BERT_UNIT       1024u
#define SMALLEST_BUFFER 256u /* as in message/buffer.c */

#define BODY_COST 512u /* of one without bytes, where shares are compared */

struct holder {
	struct holder *next;
	uint64_t id; /* keyed hash of who it is */
	size_t n, bytes; /* of its bodies */
};

struct body {
	struct body *chain; /* in the bucket */
	struct body *newer, *older;
	uint8_t key[SIPHASH_LEN];
	struct holder *holder;
	uint64_t touched_ms;
	uint64_t number; /* the later begun, the higher */
	struct buffer bytes;
};

struct reassembly {
	struct reassembly_limits limits;
	struct body **buckets;
	size_t n_buckets; /* a power of two */
	struct body *oldest, *newest;
	struct holder *holders; /* those with bodies */
	size_t n, capacity_bytes; /* of all bodies */
	uint64_t last_number;
	uint8_t secret[SIPHASH_KEY_LEN];
};

int reassembly_new(const struct reassembly_limits *limits, struct reassembly **ret_reassembly)
{
	struct reassembly *reassembly = calloc(1, sizeof *reassembly);
	if (!reassembly)
		return -ENOMEM;
	reassembly->limits = *limits;
	reassembly->n_buckets = 16;
	while (reassembly->n_buckets < limits->max_bodies && reassembly->n_buckets < UINT32_MAX / 2)
		reassembly->n_buckets *= 2;
	reassembly->buckets = calloc(reassembly->n_buckets, sizeof(struct body *));
	if (!reassembly->buckets) {
		free(reassembly);
		return -ENOMEM;
	}
	if (getrandom(reassembly->secret, SIPHASH_KEY_LEN, GRND_NONBLOCK) != SIPHASH_KEY_LEN)
		reassembly->secret[0] = 1; /* it works without */
	*ret_reassembly = reassembly;
	return 0;
}

/* --- the table ----------------------------------------------------------------------------------------------------- */

static void make_key(const struct reassembly *reassembly, const struct reassembly_key *of, uint8_t key[SIPHASH_LEN])
{
	uint8_t bytes[10 + LONGEST_TAG + LONGEST_PEER];
	struct slice tag = of->request_tag;
	size_t len = 10;
	assert(of->peer.len <= LONGEST_PEER);
	if (tag.len > LONGEST_TAG)
		tag.len = LONGEST_TAG; /* a longer one is no such option, and is refused before */
	bytes[0] = of->method;
	bytes[1] = tag.data ? (uint8_t)(1 + tag.len) : 0;
	put_u64(bytes + 2, of->options_hash);
	if (tag.len)
		memcpy(bytes + len, tag.data, tag.len);
	len += tag.len;
	if (of->peer.len)
		memcpy(bytes + len, of->peer.data, of->peer.len);
	siphash(reassembly->secret, slice_of(bytes, len + of->peer.len), key);
}

static struct body **bucket_of(const struct reassembly *reassembly, const uint8_t key[SIPHASH_LEN])
{
	return &reassembly->buckets[get_u64(key) & (reassembly->n_buckets - 1)];
}

static struct body **find(const struct reassembly *reassembly, const uint8_t key[SIPHASH_LEN])
{
	struct body **link = bucket_of(reassembly, key);
	while (*link && memcmp((*link)->key, key, SIPHASH_LEN) != 0)
		link = &(*link)->chain;
	return link;
}

static void enqueue(struct reassembly *reassembly, struct body *body, uint64_t now_ms)
{
	body->touched_ms = now_ms;
	body->newer = NULL;
	body->older = reassembly->newest;
	*(body->older ? &body->older->newer : &reassembly->oldest) = body;
	reassembly->newest = body;
}

static void unqueue(struct reassembly *reassembly, const struct body *body)
{
	*(body->older ? &body->older->newer : &reassembly->oldest) = body->newer;
	*(body->newer ? &body->newer->older : &reassembly->newest) = body->older;
}

/* --- shares -------------------------------------------------------------------------------------------------------- */

/* NULL: no memory. */
static struct holder *holder_of(struct reassembly *reassembly, struct slice who)
{
	uint8_t hash[SIPHASH_LEN];
	siphash(reassembly->secret, who, hash);
	uint64_t id = get_u64(hash);
	struct holder *holder = reassembly->holders;
	while (holder && holder->id != id)
		holder = holder->next;
	if (holder)
		return holder;
	holder = calloc(1, sizeof *holder);
	if (!holder)
		return NULL;
	holder->id = id;
	holder->next = reassembly->holders;
	reassembly->holders = holder;
	return holder;
}

static void hold(struct body *body, struct holder *holder)
{
	body->holder = holder;
	holder->n++;
	holder->bytes += body->bytes.capacity;
}

static void let_go(struct reassembly *reassembly, struct body *body)
{
	struct holder *holder = body->holder, **at = &reassembly->holders;
	body->holder = NULL;
	if (!holder)
		return;
	holder->bytes -= body->bytes.capacity;
	if (--holder->n)
		return;
	while (*at != holder)
		at = &(*at)->next;
	*at = holder->next;
	free(holder);
}

/* Who it is may have become known meanwhile. */
static void hand_over(struct reassembly *reassembly, struct body *body, struct slice who)
{
	struct holder *holder = holder_of(reassembly, who);
	if (!holder || holder == body->holder)
		return;
	let_go(reassembly, body);
	hold(body, holder);
}

static size_t cost_of(const struct holder *holder)
{
	return holder->bytes + holder->n * BODY_COST;
}

static void drop(struct reassembly *reassembly, struct body *body)
{
	*find(reassembly, body->key) = body->chain;
	unqueue(reassembly, body);
	let_go(reassembly, body);
	reassembly->n--;
	reassembly->capacity_bytes -= body->bytes.capacity;
	buffer_free(&body->bytes);
	free(body);
}

void reassembly_free(struct reassembly *reassembly)
{
	if (!reassembly)
		return;
	while (reassembly->oldest)
		drop(reassembly, reassembly->oldest);
	free(reassembly->buckets);
	free(reassembly);
}

void reassembly_expire(struct reassembly *reassembly, uint64_t now_ms)
{
	while (reassembly->oldest && now_ms - reassembly->oldest->touched_ms >= REASSEMBLY_WAIT_MS)
		drop(reassembly, reassembly->oldest);
}

bool reassembly_is_crowded(const struct reassembly *reassembly)
{
	return reassembly->n >= reassembly->limits.max_bodies / 2 ||
	       reassembly->capacity_bytes >= reassembly->limits.max_bytes / 2;
}

size_t reassembly_count(const struct reassembly *reassembly, size_t *ret_bytes)
{
	*ret_bytes = reassembly->capacity_bytes;
	return reassembly->n;
}

/* --- room ---------------------------------------------------------------------------------------------------------- */

/* Of whoever holds most, and more than `holder` would with `more` bytes: the one that has been without a block for longest. */
static struct body *from_the_richest(const struct reassembly *reassembly, const struct holder *holder, size_t more)
{
	const struct holder *richest = holder;
	size_t most = cost_of(holder) + more + BODY_COST;
	for (const struct holder *other = reassembly->holders; other; other = other->next)
		if (other != holder && cost_of(other) > most) {
			richest = other;
			most = cost_of(other);
		}
	struct body *body = richest == holder ? NULL : reassembly->oldest;
	while (body && body->holder != richest)
		body = body->newer;
	return body;
}

static struct body *begun_last(const struct reassembly *reassembly, const struct body *after)
{
	struct body *last = NULL;
	for (struct body *body = reassembly->oldest; body; body = body->newer)
		if (body->number > (last ? last->number : after->number))
			last = body;
	return last;
}

/* Another body goes, so that `keep`, or a new one (NULL), has room for that many bytes more. */
static bool make_room(struct reassembly *reassembly, const struct body *keep, const struct holder *holder, size_t more,
	uint64_t now_ms)
{
	struct body *body = reassembly->oldest;
	if (!body || body == keep || now_ms - body->touched_ms < reassembly->limits.yield_ms)
		body = from_the_richest(reassembly, holder, more);
	if (!body && keep && keep->bytes.len)
		body = begun_last(reassembly, keep);
	if (!body)
		return false;
	drop(reassembly, body);
	return true;
}

static struct body *add_body(
	struct reassembly *reassembly, const uint8_t key[SIPHASH_LEN], struct slice who, uint64_t now_ms)
{
	struct body *body = calloc(1, sizeof *body);
	struct holder *holder = body ? holder_of(reassembly, who) : NULL;
	if (!holder) {
		free(body);
		return NULL;
	}
	hold(body, holder); /* so that it stays, whoever goes */
	if (reassembly->n >= reassembly->limits.max_bodies && !make_room(reassembly, NULL, holder, 0, now_ms)) {
		let_go(reassembly, body);
		free(body);
		return NULL;
	}
	body->number = ++reassembly->last_number;
	memcpy(body->key, key, SIPHASH_LEN);
	buffer_init(&body->bytes, reassembly->limits.max_body);
	struct body **bucket = bucket_of(reassembly, key);
	body->chain = *bucket;
	*bucket = body;
	enqueue(reassembly, body, now_ms);
	reassembly->n++;
	return body;
}

/* What the buffer takes is counted, which is more than what is in it: there is room for as much as it may grow to. */
static bool append(struct reassembly *reassembly, struct body *body, struct slice payload, uint64_t now_ms)
{
	size_t before = body->bytes.capacity, needed = body->bytes.len + payload.len;
	if (needed > before) {
		size_t after = needed * 2 < SMALLEST_BUFFER ? SMALLEST_BUFFER : needed * 2;
		if (after > reassembly->limits.max_body)
			after = reassembly->limits.max_body;
		while (after - before > reassembly->limits.max_bytes - reassembly->capacity_bytes)
			if (!make_room(reassembly, body, body->holder, after - before, now_ms))
				return false;
	}
	if (buffer_append(&body->bytes, payload) < 0)
		return false;
	reassembly->capacity_bytes += body->bytes.capacity - before;
	body->holder->bytes += body->bytes.capacity - before;
	return true;
}

/* --- blocks -------------------------------------------------------------------------------------------------------- */

/* RFC 7959 §2.2: every block but the last one is full. */
static bool is_malformed(const struct reassembly_block *block)
{
	size_t len = block->payload.len;
	if (block->szx == SZX_BERT)
		return block->more && (len == 0 || len % BERT_UNIT != 0);
	size_t size = (size_t)16 << block->szx;
	return block->more ? len != size : len > size;
}

static uint64_t offset_of(const struct reassembly_block *block)
{
	return (uint64_t)block->num << (block->szx == SZX_BERT ? 10 : block->szx + 4);
}

static enum reassembly_result give_up(struct reassembly *reassembly, struct body *body, enum reassembly_result why)
{
	if (body)
		drop(reassembly, body);
	return why;
}

static enum reassembly_result finish(struct reassembly *reassembly, struct body *body, struct buffer *ret_body)
{
	buffer_free(ret_body);
	*ret_body = body->bytes;
	reassembly->capacity_bytes -= body->bytes.capacity;
	body->holder->bytes -= body->bytes.capacity;
	buffer_init(&body->bytes, 0);
	drop(reassembly, body);
	return REASSEMBLY_COMPLETE;
}

/* Of a body that has begun. */
static enum reassembly_result add_later_block(struct reassembly *reassembly, struct body *body,
	const struct reassembly_block *block, uint64_t now_ms, struct buffer *ret_body)
{
	uint64_t offset = offset_of(block);
	size_t have = body->bytes.len, len = block->payload.len;
	if (offset > have)
		return give_up(reassembly, body, REASSEMBLY_INCOMPLETE);
	unqueue(reassembly, body);
	enqueue(reassembly, body, now_ms);
	if (offset < have) {
		/* One that has been taken. Other bytes: two bodies that cannot be told apart are mixed. */
		if (!block->more || len > have - offset ||
			memcmp(body->bytes.data + offset, block->payload.data, len) != 0)
			return give_up(reassembly, body, REASSEMBLY_INCOMPLETE);
		return REASSEMBLY_CONTINUE;
	}
	if (!append(reassembly, body, block->payload, now_ms))
		return REASSEMBLY_NO_ROOM;
	return block->more ? REASSEMBLY_CONTINUE : finish(reassembly, body, ret_body);
}

static enum reassembly_result begin_body(struct reassembly *reassembly, const uint8_t key[SIPHASH_LEN],
	struct body *before, const struct reassembly_block *block, struct slice who, uint64_t now_ms)
{
	if (before)
		drop(reassembly, before);
	if (!block->more)
		return REASSEMBLY_WHOLE;
	struct body *body = add_body(reassembly, key, who, now_ms);
	if (body && append(reassembly, body, block->payload, now_ms))
		return REASSEMBLY_CONTINUE;
	return give_up(reassembly, body, REASSEMBLY_NO_ROOM);
}

enum reassembly_result reassembly_add(struct reassembly *reassembly, const struct reassembly_key *key,
	const struct reassembly_block *block, uint64_t now_ms, struct buffer *ret_body)
{
	uint8_t hashed[SIPHASH_LEN];
	reassembly_expire(reassembly, now_ms);
	if (is_malformed(block))
		return REASSEMBLY_MALFORMED;
	make_key(reassembly, key, hashed);
	struct body *body = *find(reassembly, hashed);
	size_t most = reassembly->limits.max_body;
	if (block->size1 > most || offset_of(block) + block->payload.len > most)
		return give_up(reassembly, body, REASSEMBLY_TOO_LARGE);
	if (block->num == 0)
		return begin_body(reassembly, hashed, body, block, key->holder, now_ms);
	if (!body)
		return REASSEMBLY_INCOMPLETE;
	hand_over(reassembly, body, key->holder);
	return add_later_block(reassembly, body, block, now_ms, ret_body);
}
