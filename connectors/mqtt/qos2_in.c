/* SPDX-License-Identifier: Apache-2.0
 *
 * Open packet identifiers in a hash table with linear probing. It holds what the broker's window lets it hold, usually
 * some hundred, and grows by doubling; a removal moves back what stands behind, so that there are no tombstones.
 */
#include "connectors/mqtt/qos2_in.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 16u

void qos2_in_free(struct qos2_in *in)
{
	free(in->slots);
	*in = (struct qos2_in){0};
}

/* Brokers count identifiers up, so that their low bits spread them evenly. */
static uint32_t qos2_in_home(const struct qos2_in *in, uint16_t id)
{
	return id & (in->capacity - 1);
}

/* The slot of the id, or the empty one where it would go. There is always an empty one. */
static struct qos2_in_id *qos2_in_slot(const struct qos2_in *in, uint16_t id)
{
	uint32_t at = qos2_in_home(in, id);
	while (in->slots[at].state != QOS2_IN_FREE && in->slots[at].id != id)
		at = (at + 1) & (in->capacity - 1);
	return &in->slots[at];
}

static struct qos2_in_id *qos2_in_find(const struct qos2_in *in, uint16_t id)
{
	struct qos2_in_id *slot = in->n > 0 ? qos2_in_slot(in, id) : NULL;
	return slot && slot->state != QOS2_IN_FREE ? slot : NULL;
}

static int qos2_in_grow(struct qos2_in *in)
{
	struct qos2_in old = *in;
	uint32_t capacity = old.capacity ? old.capacity * 2 : FIRST_CAPACITY;
	struct qos2_in_id *slots = calloc(capacity, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	in->slots = slots;
	in->capacity = capacity;
	for (uint32_t i = 0; i < old.capacity; i++)
		if (old.slots[i].state != QOS2_IN_FREE)
			*qos2_in_slot(in, old.slots[i].id) = old.slots[i];
	free(old.slots);
	return 0;
}

/* The slot of an id that is not in the table. NULL: out of memory. */
static struct qos2_in_id *qos2_in_add(struct qos2_in *in, uint16_t id)
{
	if ((in->n + 1) * 4 > in->capacity * 3 && qos2_in_grow(in) < 0)
		return NULL;
	in->n++;
	return qos2_in_slot(in, id);
}

static void qos2_in_remove(struct qos2_in *in, struct qos2_in_id *slot)
{
	uint32_t mask = in->capacity - 1, hole = (uint32_t)(slot - in->slots);
	for (uint32_t at = (hole + 1) & mask; in->slots[at].state != QOS2_IN_FREE; at = (at + 1) & mask) {
		/* What stands at or behind its home, seen from the hole, may not go before it. */
		if (((at - qos2_in_home(in, in->slots[at].id)) & mask) < ((at - hole) & mask))
			continue;
		in->slots[hole] = in->slots[at];
		hole = at;
	}
	in->slots[hole] = (struct qos2_in_id){0};
	in->n--;
}

int qos2_in_recover(struct qos2_in *in, uint16_t id, uint64_t hash)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (!slot)
		slot = qos2_in_add(in, id);
	if (!slot)
		return -ENOMEM;
	*slot = (struct qos2_in_id){.hash = hash, .id = id, .state = QOS2_IN_OPEN};
	return 0;
}

enum qos2_in_verdict qos2_in_publish(struct qos2_in *in, uint16_t id, uint64_t hash)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (slot && slot->hash == hash) {
		if (slot->answering)
			return QOS2_IN_PENDING;
		slot->answering = true;
		return QOS2_IN_AGAIN;
	}
	struct qos2_in_id fresh = {.hash = hash, .id = id, .state = QOS2_IN_OFFERED, .answering = true};
	if (slot) {
		in->reused++;
		fresh.journalled = slot->journalled || slot->state == QOS2_IN_OPEN;
		fresh.journalled_hash = slot->state == QOS2_IN_OPEN ? slot->hash : slot->journalled_hash;
	} else {
		slot = qos2_in_add(in, id);
	}
	if (!slot)
		return QOS2_IN_NO_MEMORY;
	*slot = fresh;
	return QOS2_IN_NEW;
}

/* A later one with other bytes is offered under its identifier. */
static bool qos2_in_is_older(const struct qos2_in_id *slot, uint64_t hash)
{
	return slot->state == QOS2_IN_OFFERED && slot->hash != hash;
}

void qos2_in_taken(struct qos2_in *in, uint16_t id, uint64_t hash)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (!slot)
		slot = qos2_in_add(in, id);
	if (!slot)
		return; /* out of memory: its PUBREL is then of an unknown one */
	if (qos2_in_is_older(slot, hash)) {
		slot->journalled = true;
		slot->journalled_hash = hash;
		return;
	}
	*slot = (struct qos2_in_id){.hash = hash, .id = id, .state = QOS2_IN_OPEN, .answering = slot->answering};
}

/* An offered one dies. Returns whether its slot was given up. */
static bool qos2_in_die(struct qos2_in *in, struct qos2_in_id *slot)
{
	if (!slot->journalled) {
		qos2_in_remove(in, slot);
		return true;
	}
	*slot = (struct qos2_in_id){.hash = slot->journalled_hash, .id = slot->id, .state = QOS2_IN_OPEN};
	return false;
}

void qos2_in_refused(struct qos2_in *in, uint16_t id, uint64_t hash)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (slot && slot->state == QOS2_IN_OFFERED && slot->hash == hash)
		qos2_in_die(in, slot);
}

void qos2_in_answered(struct qos2_in *in, uint16_t id)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (slot)
		slot->answering = false;
}

enum qos2_in_release qos2_in_pubrel(struct qos2_in *in, uint16_t id)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (!slot)
		return QOS2_IN_UNKNOWN;
	if (slot->state == QOS2_IN_OPEN)
		return QOS2_IN_RELEASE;
	if (slot->releasing)
		return QOS2_IN_WAITS_ALREADY;
	slot->releasing = true;
	return QOS2_IN_WAITS;
}

void qos2_in_released(struct qos2_in *in, uint16_t id)
{
	struct qos2_in_id *slot = qos2_in_find(in, id);
	if (slot && slot->state == QOS2_IN_OPEN)
		qos2_in_remove(in, slot);
	else if (slot)
		slot->journalled = false; /* a later one is offered under it */
}

void qos2_in_cut(struct qos2_in *in)
{
	for (uint32_t at = 0; at < in->capacity;) {
		in->slots[at].answering = false;
		/* Another one may have moved here: look again. */
		if (in->slots[at].state != QOS2_IN_OFFERED || !qos2_in_die(in, &in->slots[at]))
			at++;
	}
}

void qos2_in_reset(struct qos2_in *in)
{
	uint64_t reused = in->reused;
	qos2_in_free(in);
	in->reused = reused;
}

/* --- the bytes ------------------------------------------------------------------------------------------------------ */

static uint64_t hash_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ (hash >> 29);
}

static uint64_t hash_slice(uint64_t hash, struct slice bytes)
{
	size_t at = 0;
	hash = hash_mix(hash, bytes.data ? bytes.len + 1 : 0);
	for (; at + 8 <= bytes.len; at += 8) {
		uint64_t word = 0;
		for (unsigned i = 0; i < 8; i++) /* one load where the machine is little endian */
			word |= (uint64_t)bytes.data[at + i] << (8 * i);
		hash = hash_mix(hash, word);
	}
	uint64_t rest = 0;
	for (unsigned i = 0; at < bytes.len; at++, i++)
		rest |= (uint64_t)bytes.data[at] << (8 * i);
	return hash_mix(hash, rest);
}

uint64_t qos2_in_hash(const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	uint64_t hash = hash_slice(hash_slice(0, publish->topic), publish->payload);
	hash = hash_slice(hash, props->content_type);
	hash = hash_slice(hash, props->response_topic);
	hash = hash_slice(hash, props->correlation_data);
	for (size_t i = 0; i < props->n_user; i++)
		hash = hash_slice(hash_slice(hash, props->user[i].name), props->user[i].value);
	return hash;
}
