/* SPDX-License-Identifier: Apache-2.0
 *
 * Two uses of one table. What goes is mapped directly: each topic has one place, by its hash, and the topic that was sent
 * last has it. That costs a hash and a comparison per message; a topic that loses its place pays three bytes.
 */
#include "connectors/mqtt/topic_alias.h"

#include <errno.h>
#include <stdlib.h>

/* The property has three bytes: a shorter topic saves little and pays as much each time it has lost its place. */
#define SHORTEST_TOPIC 8

void alias_reset(struct alias_table *table, uint16_t max)
{
	for (size_t i = 0; table->entries && i < table->max; i++)
		free(table->entries[i].topic);
	free(table->entries);
	*table = (struct alias_table){.max = max};
}

static int alias_make_room(struct alias_entry *entry, size_t len)
{
	if (len <= entry->capacity)
		return 0;
	uint8_t *topic = realloc(entry->topic, len);
	if (!topic)
		return -ENOMEM;
	entry->topic = topic;
	entry->capacity = len;
	return 0;
}

int alias_set(struct alias_table *table, uint16_t alias, struct slice topic, bool illegal)
{
	if (!table->entries)
		table->entries = calloc(table->max, sizeof *table->entries);
	if (!table->entries)
		return -ENOMEM;
	struct alias_entry *entry = &table->entries[alias - 1];
	if (alias_make_room(entry, topic.len) < 0) {
		entry->len = 0; /* no topic is empty */
		return -ENOMEM;
	}
	memcpy(entry->topic, topic.data, topic.len);
	entry->len = topic.len;
	entry->illegal = illegal;
	return 0;
}

const struct alias_entry *alias_get(const struct alias_table *table, uint16_t alias)
{
	if (!table->entries || table->entries[alias - 1].len == 0)
		return NULL;
	return &table->entries[alias - 1];
}

/* Evenly over the topics of a site, which differ in a few bytes; it need not withstand anybody, since a collision costs
 * three bytes. */
static uint64_t alias_hash(struct slice topic)
{
	uint64_t hash = topic.len, word;
	const uint8_t *at = topic.data;
	size_t left = topic.len;
	for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
		memcpy(&word, at, sizeof word);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, at, left);
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

uint16_t alias_choose(const struct alias_table *table, struct slice topic, bool *ret_known)
{
	if (table->max == 0 || topic.len < SHORTEST_TOPIC)
		return 0;
	uint16_t alias = (uint16_t)(1 + alias_hash(topic) % table->max);
	const struct alias_entry *entry = alias_get(table, alias);
	*ret_known = entry && entry->len == topic.len && memcmp(entry->topic, topic.data, topic.len) == 0;
	return alias;
}
