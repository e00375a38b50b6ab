/* SPDX-License-Identifier: Apache-2.0
 *
 * A table by topic and number, at most half full.
 */
#include "connectors/kafka/partitions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/settings.h"

#define METADATA "linkspan fingerprint=" /* and 16 hexadecimal digits */

static const struct kafka_place nowhere = {.next = -1};

static uint32_t hash_of(const char *topic, int32_t number) /* FNV-1a */
{
	uint32_t hash = 2166136261u;
	for (; *topic; topic++)
		hash = (hash ^ (uint8_t)*topic) * 16777619u;
	return (hash ^ (uint32_t)number) * 2654435761u;
}

static size_t find_slot(const struct kafka_partitions *partitions, const char *topic, int32_t number)
{
	size_t mask = partitions->n_slots - 1, at = hash_of(topic, number) & mask;
	for (; partitions->slots[at]; at = (at + 1) & mask) {
		const struct kafka_partition *partition = partitions->items[partitions->slots[at] - 1];
		if (partition->number == number && strcmp(partition->topic, topic) == 0)
			break;
	}
	return at;
}

static bool grow(struct kafka_partitions *partitions)
{
	if (partitions->n < partitions->capacity)
		return true;
	size_t capacity = partitions->capacity ? partitions->capacity * 2 : 16;
	void *items = realloc(partitions->items, capacity * sizeof(void *));
	if (!items)
		return false;
	partitions->items = items;
	uint32_t *slots = calloc(capacity * 2, sizeof *slots);
	if (!slots)
		return false;
	free(partitions->slots);
	partitions->slots = slots;
	partitions->n_slots = capacity * 2;
	partitions->capacity = capacity;
	for (size_t i = 0; i < partitions->n; i++) {
		const struct kafka_partition *partition = partitions->items[i];
		slots[find_slot(partitions, partition->topic, partition->number)] = (uint32_t)i + 1;
	}
	return true;
}

struct kafka_partition *kafka_partitions_get(struct kafka_partitions *partitions, const char *topic, int32_t number)
{
	if (partitions->n_slots) {
		size_t at = find_slot(partitions, topic, number);
		if (partitions->slots[at])
			return partitions->items[partitions->slots[at] - 1];
	}
	if (kafka_topic_check(slice_str(topic)) || number < 0 || !grow(partitions))
		return NULL;
	struct kafka_partition *partition = calloc(1, sizeof *partition);
	if (!partition)
		return NULL;
	partition->topic_len = (size_t)snprintf(partition->topic, sizeof partition->topic, "%s", topic);
	partition->number = number;
	partition->high = -1;
	partition->durable = partition->committed = partition->other = nowhere;
	pthread_mutex_init(&partition->mutex, NULL);
	snprintf(partition->name, sizeof partition->name, "%s/%d", topic, (int)number);
	partitions->items[partitions->n++] = partition;
	partitions->slots[find_slot(partitions, topic, number)] = (uint32_t)partitions->n;
	return partition;
}

struct kafka_partition *kafka_partitions_named(struct kafka_partitions *partitions, struct slice name)
{
	char text[KAFKA_PARTITION_NAME] = "";
	if (name.len >= sizeof text)
		return NULL;
	memcpy(text, name.data, name.len);
	char *slash = strrchr(text, '/'), *end;
	if (!slash || slash[1] < '0' || slash[1] > '9')
		return NULL;
	*slash = '\0';
	long number = strtol(slash + 1, &end, 10);
	return *end || number > INT32_MAX ? NULL : kafka_partitions_get(partitions, text, (int32_t)number);
}

void kafka_partition_set_durable(struct kafka_partition *partition, struct kafka_place place)
{
	pthread_mutex_lock(&partition->mutex);
	partition->durable = place;
	pthread_mutex_unlock(&partition->mutex);
}

struct kafka_place kafka_partition_durable(struct kafka_partition *partition)
{
	pthread_mutex_lock(&partition->mutex);
	struct kafka_place place = partition->durable;
	pthread_mutex_unlock(&partition->mutex);
	return place;
}

void kafka_place_write(struct kafka_place place, rd_kafka_topic_partition_t *element)
{
	char text[sizeof METADATA + 16];
	element->offset = place.next;
	if (!place.fingerprint)
		return;
	int len = snprintf(text, sizeof text, METADATA "%016" PRIx64, place.fingerprint);
	element->metadata = strdup(text); /* the library frees it */
	element->metadata_size = element->metadata ? (size_t)len : 0;
}

struct kafka_place kafka_place_read(const rd_kafka_topic_partition_t *element)
{
	struct kafka_place place = {.next = element->offset < 0 ? -1 : element->offset};
	if (element->metadata_size != sizeof METADATA - 1 + 16 ||
		memcmp(element->metadata, METADATA, sizeof METADATA - 1) != 0)
		return place;
	const char *digits = (const char *)element->metadata + sizeof METADATA - 1;
	uint64_t fingerprint = 0;
	for (size_t i = 0; i < 16; i++) {
		const char *digit = strchr("0123456789abcdef", digits[i]);
		if (!digit || !*digit)
			return place;
		fingerprint = fingerprint << 4 | (uint64_t)(digit - "0123456789abcdef");
	}
	place.fingerprint = fingerprint;
	return place;
}

void kafka_partitions_rewind(struct kafka_partitions *partitions)
{
	for (size_t i = 0; i < partitions->n; i++) {
		struct kafka_partition *partition = partitions->items[i];
		partition->state = KAFKA_PARTITION_IDLE;
		partition->known = partition->has_position;
		partition->next = partition->position;
		partition->last_fingerprint = partition->fingerprint;
		partition->high = -1;
		partition->anchor = partition->anchor_fingerprint = 0;
		partition->other = nowhere;
	}
}

void kafka_partitions_fini(struct kafka_partitions *partitions)
{
	for (size_t i = 0; i < partitions->n; i++) {
		pthread_mutex_destroy(&partitions->items[i]->mutex);
		free(partitions->items[i]);
	}
	free(partitions->items);
	free(partitions->slots);
	*partitions = (struct kafka_partitions){0};
}
