/* SPDX-License-Identifier: Apache-2.0
 *
 * Static assignment: which topics and partitions there are that our filters match, looked up again and again. Asks for the topics
 * by name when all filters are names, else for all that we may see. Neither makes a topic.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/consumer_impl.h"
#include "connectors/kafka/from.h"
#include "runtime/log.h"

#define METADATA_MS 3000
#define SAY_MS      60000u

bool kafka_topic_was_there(struct kafka_consumer *consumer, const char *topic)
{
	/* In a group any of them may have been ours. */
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		const struct kafka_partition *partition = consumer->partitions->items[i];
		if ((partition->seen || partition->known) && strcmp(partition->topic, topic) == 0)
			return true;
	}
	return false;
}

void kafka_topic_missing(struct kafka_consumer *consumer, const char *what)
{
	uint64_t now_ms = kafka_consumer_now_ms();
	if (consumer->missing_ms && now_ms - consumer->missing_ms < SAY_MS)
		return;
	consumer->missing_ms = now_ms;
	log_warn("kafka_topic_missing", "connection=%s topic=\"%s\" what=\"looked for again until it is there\"",
		consumer->options.name, what);
}

static void find_partition(struct kafka_consumer *consumer, const char *topic,
	const rd_kafka_metadata_partition_t *listed, bool late, uint8_t qos)
{
	int32_t number = listed->id;
	struct kafka_partition *partition = kafka_partitions_get(consumer->partitions, topic, number);
	if (!partition) {
		kafka_consumer_lose(consumer, "out of memory");
		return;
	}
	partition->qos = qos;
	if (partition->state == KAFKA_PARTITION_DUE && listed->leader < 0)
		partition->state = KAFKA_PARTITION_IDLE;
	if (partition->state != KAFKA_PARTITION_IDLE)
		return;
	if (!partition->seen && !partition->known)
		partition->late = late;
	partition->seen = true;
	if (listed->leader < 0)
		return; /* it is there, but nobody can be asked */
	partition->state = KAFKA_PARTITION_DUE;
	partition->due_ms = 0;
	consumer->next_begin_ms = 0;
}

static void find_topic(struct kafka_consumer *consumer, const rd_kafka_metadata_topic_t *topic, int qos)
{
	if (topic->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		kafka_consumer_alarm(consumer, "not authorised to see topic %s", topic->topic);
	/* With from: stored, a topic that nobody knew waits for a word; its later partitions do not. */
	bool was_there = kafka_topic_was_there(consumer, topic->topic);
	bool late = was_there || (consumer->partitions->surveyed && consumer->settings->from != KAFKA_FROM_STORED);
	for (int i = 0; i < topic->partition_cnt; i++)
		find_partition(consumer, topic->topic, &topic->partitions[i], late, (uint8_t)qos);
}

/* Those that are read and no longer listed. */
static void lose_topic(struct kafka_consumer *consumer, const char *topic, int n_partitions)
{
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		struct kafka_partition *partition = consumer->partitions->items[i];
		if (partition->number < n_partitions || strcmp(partition->topic, topic) != 0)
			continue;
		if (partition->state == KAFKA_PARTITION_READING || partition->state == KAFKA_PARTITION_CHECKING)
			kafka_doubt(consumer, partition, KAFKA_DOUBT_GONE);
		else if (partition->state == KAFKA_PARTITION_ASKING || partition->state == KAFKA_PARTITION_DUE)
			partition->state = KAFKA_PARTITION_IDLE;
	}
}

/* --- by name ------------------------------------------------------------------------------------------------------ */

static bool all_are_names(const struct kafka_consumer *consumer)
{
	for (size_t i = 0; i < consumer->options.n_subscriptions; i++)
		if (!kafka_filter_is_topic(consumer->options.subscriptions[i].filter))
			return false;
	return true;
}

/* False: no broker answers. */
static bool refresh_name(struct kafka_consumer *consumer, const struct link_subscription *subscription)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer->rk, subscription->filter, NULL);
	if (!handle)
		return true;
	rd_kafka_resp_err_t err = rd_kafka_metadata(consumer->rk, 0, handle, &metadata, METADATA_MS);
	rd_kafka_topic_destroy(handle);
	if (err)
		return false;
	for (int i = 0; i < metadata->topic_cnt; i++) {
		const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
		if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
			kafka_topic_missing(consumer, topic->topic);
			lose_topic(consumer, topic->topic, 0);
			continue;
		}
		find_topic(consumer, topic, subscription->qos);
		if (!topic->err)
			lose_topic(consumer, topic->topic, topic->partition_cnt);
	}
	rd_kafka_metadata_destroy(metadata);
	return true;
}

/* --- all ----------------------------------------------------------------------------------------------------------- */

static int compare_topics(const void *a, const void *b)
{
	return strcmp(((const rd_kafka_metadata_topic_t *)a)->topic, ((const rd_kafka_metadata_topic_t *)b)->topic);
}

static void miss_unlisted(struct kafka_consumer *consumer, const struct rd_kafka_metadata *metadata)
{
	for (size_t i = 0; i < consumer->options.n_subscriptions; i++) {
		const char *filter = consumer->options.subscriptions[i].filter;
		bool found = false;
		for (int k = 0; k < metadata->topic_cnt && !found; k++)
			found = kafka_filter_matches(filter, metadata->topics[k].topic);
		if (!found)
			kafka_topic_missing(consumer, filter);
	}
}

static bool refresh_all(struct kafka_consumer *consumer)
{
	const struct rd_kafka_metadata *metadata;
	if (rd_kafka_metadata(consumer->rk, 1, NULL, &metadata, METADATA_MS))
		return false;
	qsort(metadata->topics, (size_t)metadata->topic_cnt, sizeof *metadata->topics, compare_topics);
	for (int i = 0; i < metadata->topic_cnt; i++) {
		int qos = kafka_subscriptions_match(
			consumer->options.subscriptions, consumer->options.n_subscriptions, metadata->topics[i].topic);
		if (qos >= 0)
			find_topic(consumer, &metadata->topics[i], qos);
	}
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		struct kafka_partition *partition = consumer->partitions->items[i];
		if (partition->state == KAFKA_PARTITION_IDLE)
			continue;
		rd_kafka_metadata_topic_t wanted = {.topic = partition->topic};
		const rd_kafka_metadata_topic_t *listed = bsearch(&wanted, metadata->topics,
			(size_t)metadata->topic_cnt, sizeof *metadata->topics, compare_topics);
		if (!listed || (!listed->err && partition->number >= listed->partition_cnt))
			lose_topic(consumer, partition->topic, listed ? listed->partition_cnt : 0);
	}
	miss_unlisted(consumer, metadata);
	rd_kafka_metadata_destroy(metadata);
	return true;
}

void kafka_topics_refresh(struct kafka_consumer *consumer)
{
	bool good = true;
	if (!all_are_names(consumer))
		good = refresh_all(consumer);
	for (size_t i = 0; all_are_names(consumer) && i < consumer->options.n_subscriptions && good; i++)
		good = !kafka_consumer_must_stop(consumer) &&
		       refresh_name(consumer, &consumer->options.subscriptions[i]);
	if (good)
		consumer->partitions->surveyed = true;
}
