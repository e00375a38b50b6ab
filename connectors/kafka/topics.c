/* SPDX-License-Identifier: Apache-2.0
 *
 * An open-addressing table, at most half full, emptied as a whole.
 */
#include "connectors/kafka/topics.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/naming.h"
#include "connectors/kafka/topic_names.h"

#define TABLE_SIZE 8192u /* a power of two */
#define MAX_TOPICS (TABLE_SIZE / 2)

struct kafka_topics {
	rd_kafka_t *rk;
	const struct kafka_settings *settings;
	uint32_t n, last; /* last: where the topic of the last question stands, if it was found */
	struct {
		uint32_t hash;
		rd_kafka_topic_t *handle; /* NULL: empty */
	} table[TABLE_SIZE];
};

struct kafka_topics *kafka_topics_new(rd_kafka_t *rk, const struct kafka_settings *settings)
{
	struct kafka_topics *topics = calloc(1, sizeof *topics);
	if (!topics)
		return NULL;
	topics->rk = rk;
	topics->settings = settings;
	return topics;
}

static void topics_clear(struct kafka_topics *topics)
{
	for (uint32_t i = 0; i < TABLE_SIZE && topics->n > 0; i++) {
		if (!topics->table[i].handle)
			continue;
		rd_kafka_topic_destroy(topics->table[i].handle);
		topics->table[i].handle = NULL;
		topics->n--;
	}
}

void kafka_topics_free(struct kafka_topics *topics)
{
	if (!topics)
		return;
	topics_clear(topics);
	free(topics);
}

static uint32_t topics_hash(struct slice name) /* FNV-1a */
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.data[i]) * 16777619u;
	return hash;
}

static bool is_at(const struct kafka_topics *topics, uint32_t at, struct slice name)
{
	const rd_kafka_topic_t *handle = topics->table[at].handle;
	return handle && slice_equal(slice_str(rd_kafka_topic_name(handle)), name);
}

rd_kafka_topic_t *kafka_topics_get(struct kafka_topics *topics, struct slice name, const char **ret_wrong)
{
	*ret_wrong = NULL;
	if (is_at(topics, topics->last, name)) /* mostly */
		return topics->table[topics->last].handle;
	uint32_t hash = topics_hash(name), at = hash % TABLE_SIZE;
	for (; topics->table[at].handle; at = (at + 1) % TABLE_SIZE) {
		if (topics->table[at].hash == hash && is_at(topics, at, name)) {
			topics->last = at;
			return topics->table[at].handle;
		}
	}
	*ret_wrong = kafka_check_target(topics->settings, name);
	if (*ret_wrong)
		return NULL;
	char text[KAFKA_MAX_TOPIC + 1] = "";
	memcpy(text, name.data, name.len);
	rd_kafka_topic_t *handle = rd_kafka_topic_new(topics->rk, text, NULL);
	if (!handle) {
		*ret_wrong = "the library does not take the topic";
		return NULL;
	}
	if (topics->n == MAX_TOPICS) {
		topics_clear(topics);
		at = hash % TABLE_SIZE;
	}
	topics->table[at].hash = hash;
	topics->table[at].handle = handle;
	topics->n++;
	return handle;
}
