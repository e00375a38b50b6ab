/* SPDX-License-Identifier: Apache-2.0
 *
 * Chained buckets, about one entry each. Topics may hold what peers send, so they are hashed with a secret.
 */
#include "lastvalue/store.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "message/endian.h"
#include "message/siphash.h"

#define FEWEST_BUCKETS 16u

static uint64_t hash_topic(struct slice topic)
{
	static uint8_t secret[SIPHASH_KEY_LEN];
	static bool have_secret;
	uint8_t hash[SIPHASH_LEN];
	if (!have_secret && getrandom(secret, sizeof secret, GRND_NONBLOCK) != (ssize_t)sizeof secret)
		secret[0] = 1; /* it works without */
	have_secret = true;
	siphash(secret, topic, hash);
	return get_u64(hash);
}

static struct slice topic_of(const struct last_value *value)
{
	return message_view(value->msg)->topic;
}

/* Where the entry of that topic hangs, or would. */
static struct last_value **find(const struct last_values *values, struct slice topic, uint64_t hash)
{
	struct last_value **link = &values->buckets[hash & (values->n_buckets - 1)];
	while (*link && ((*link)->hash != hash || !slice_equal(topic_of(*link), topic)))
		link = &(*link)->next;
	return link;
}

static int grow(struct last_values *values)
{
	size_t n = values->n_buckets ? values->n_buckets * 2 : FEWEST_BUCKETS;
	struct last_value **buckets = calloc(n, sizeof(struct last_value *));
	if (!buckets)
		return -ENOMEM;
	for (struct last_value *value = values->oldest; value; value = value->newer) {
		value->next = buckets[value->hash & (n - 1)];
		buckets[value->hash & (n - 1)] = value;
	}
	free(values->buckets);
	values->buckets = buckets;
	values->n_buckets = n;
	return 0;
}

static void append(struct last_values *values, struct last_value *value)
{
	value->older = values->newest;
	value->newer = NULL;
	*(values->newest ? &values->newest->newer : &values->oldest) = value;
	values->newest = value;
}

static void take_out(struct last_values *values, struct last_value *value)
{
	*(value->older ? &value->older->newer : &values->oldest) = value->newer;
	*(value->newer ? &value->newer->older : &values->newest) = value->older;
}

/* *link hangs in its bucket. */
static void drop(struct last_values *values, struct last_value **link)
{
	struct last_value *value = *link;
	*link = value->next;
	take_out(values, value);
	values->n--;
	values->bytes -= value->bytes;
	message_unref(value->msg);
	free(value);
}

void last_values_clear(struct last_values *values)
{
	while (values->oldest)
		drop(values, find(values, topic_of(values->oldest), values->oldest->hash));
	free(values->buckets);
	*values = (struct last_values){.n = 0};
}

static int add(struct last_values *values, struct message *msg, uint64_t hash, size_t bytes)
{
	int r = values->n >= values->n_buckets ? grow(values) : 0;
	struct last_value *value = r == 0 ? malloc(sizeof *value) : NULL;
	struct message *kept = value ? message_keep(msg) : NULL;
	if (!kept) {
		free(value);
		return -ENOMEM;
	}
	struct last_value **bucket = &values->buckets[hash & (values->n_buckets - 1)];
	*value = (struct last_value){.next = *bucket, .msg = kept, .hash = hash, .bytes = bytes};
	*bucket = value;
	append(values, value);
	values->n++;
	values->bytes += bytes;
	return 0;
}

static int replace(struct last_values *values, struct last_value *value, struct message *msg, size_t bytes)
{
	struct message *kept = message_keep(msg); /* first: it may be the same */
	if (!kept)
		return -ENOMEM;
	message_unref(value->msg);
	values->bytes += bytes - value->bytes;
	value->msg = kept;
	value->bytes = bytes;
	take_out(values, value);
	append(values, value);
	return 0;
}

int last_values_set(struct last_values *values, struct message *msg, size_t encoded_bytes)
{
	const struct message_view *view = message_view(msg);
	uint64_t hash = hash_topic(view->topic);
	struct last_value **link = values->n ? find(values, view->topic, hash) : NULL;
	bool known = link && *link;
	if (!view->payload.data) {
		if (known)
			drop(values, link);
		return 0;
	}
	return known ? replace(values, *link, msg, encoded_bytes) : add(values, msg, hash, encoded_bytes);
}

struct message *last_values_get(const struct last_values *values, struct slice topic)
{
	const struct last_value *value = values->n ? *find(values, topic, hash_topic(topic)) : NULL;
	return value ? value->msg : NULL;
}

bool last_values_evict(struct last_values *values)
{
	if (!values->oldest)
		return false;
	drop(values, find(values, topic_of(values->oldest), values->oldest->hash));
	values->evicted++;
	return true;
}
