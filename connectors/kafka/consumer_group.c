/* SPDX-License-Identifier: Apache-2.0
 *
 * A member of a consumer group: what the group gives us and takes from us, and what we commit to it. Eager assignors alone, so a
 * rebalance takes everything and gives something else.
 *
 * Before partitions are given up, what the loop has not offered is taken back, and a moment is waited for the disk, so that what the
 * next owner reads begins where this one has ended. It begins at the larger of what the group has committed and what our own journal
 * says; if another topic's record stands there, at the other of the two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/consumer_impl.h"
#include "connectors/kafka/from.h"
#include "connectors/kafka/verdict.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define COMMITTED_MS 5000
#define COMMIT_MS    3000
#define LEAVE_MS     5000u
#define POLL_MS      100
#define LEAD_SOON_MS 20u
#define LEAD_MS      1000u

void kafka_group_join(struct kafka_consumer *consumer)
{
	const struct link_subscription *subscriptions = consumer->options.subscriptions;
	size_t n = consumer->options.n_subscriptions;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	for (size_t i = 0; i < n; i++) {
		size_t size = KAFKA_REGEX_SIZE(subscriptions[i].filter);
		char *regex = malloc(size);
		if (!regex)
			continue; /* told below */
		if (kafka_filter_is_topic(subscriptions[i].filter))
			snprintf(regex, size, "%s", subscriptions[i].filter);
		else
			kafka_filter_regex(subscriptions[i].filter, regex, size);
		rd_kafka_topic_partition_list_add(list, regex, RD_KAFKA_PARTITION_UA);
		free(regex);
	}
	rd_kafka_resp_err_t err =
		(size_t)list->cnt < n ? RD_KAFKA_RESP_ERR__FAIL : rd_kafka_subscribe(consumer->rk, list);
	if (err)
		kafka_consumer_lose(consumer, rd_kafka_err2str(err));
	rd_kafka_topic_partition_list_destroy(list);
}

/* --- commits ------------------------------------------------------------------------------------------------------- */

static bool is_same_place(struct kafka_place a, struct kafka_place b)
{
	return a.next == b.next && a.fingerprint == b.fingerprint;
}

/* What is durable and not committed; NULL: nothing. */
static rd_kafka_topic_partition_list_t *list_durable(const struct kafka_consumer *consumer)
{
	rd_kafka_topic_partition_list_t *list = NULL;
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		struct kafka_partition *partition = consumer->partitions->items[i];
		struct kafka_place durable = kafka_partition_durable(partition);
		if (!partition->assigned || !partition->there || durable.next < 0 || durable.puts != partition->puts ||
			is_same_place(durable, partition->committed))
			continue;
		/* Another member has read on since. */
		if (durable.next < partition->committed.next && !partition->put_back)
			continue;
		if (!list)
			list = rd_kafka_topic_partition_list_new(16);
		kafka_place_write(
			durable, rd_kafka_topic_partition_list_add(list, partition->topic, partition->number));
	}
	return list;
}

void kafka_group_commit(struct kafka_consumer *consumer)
{
	rd_kafka_topic_partition_list_t *list = list_durable(consumer);
	if (!list)
		return;
	FAILPOINT("kafka.before_offset_commit");
	rd_kafka_commit_queue(consumer->rk, list, consumer->events, NULL, NULL);
	rd_kafka_topic_partition_list_destroy(list);
}

void kafka_group_on_commit(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
	FAILPOINT("kafka.after_offset_commit");
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	for (int i = 0; list && !err && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *element = &list->elems[i];
		struct kafka_partition *partition =
			kafka_partitions_get(consumer->partitions, element->topic, element->partition);
		if (partition && !element->err)
			partition->committed = kafka_place_read(element);
		else
			err = element->err;
	}
	/* The journal knows it all the same; another instance would read it again. */
	if (err && err != RD_KAFKA_RESP_ERR__NO_OFFSET)
		log_warn("kafka_commit_failed", "connection=%s group=%s code=%s text=\"%s\"", consumer->options.name,
			consumer->settings->group, rd_kafka_err2name(err), rd_kafka_err2str(err));
}

/* Commits and waits for the answer, for a time. */
static void commit_and_wait(struct kafka_consumer *consumer)
{
	rd_kafka_topic_partition_list_t *list = list_durable(consumer);
	if (!list)
		return;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->rk);
	FAILPOINT("kafka.before_offset_commit");
	rd_kafka_commit_queue(consumer->rk, list, queue, NULL, NULL);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, COMMIT_MS);
	if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT)
		kafka_group_on_commit(consumer, event);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Who has read beyond our own position knows better than we do. But the topic may have been made anew since one of the two places was
 * written: so the other one is kept until the record before the chosen one was seen. */
static void choose_place(struct kafka_partition *partition)
{
	struct kafka_place own = {
		.next = partition->known ? (int64_t)partition->next : -1, .fingerprint = partition->last_fingerprint};
	bool ours = own.next > partition->committed.next || (own.next == partition->committed.next && own.fingerprint);
	struct kafka_place chosen = ours ? own : partition->committed;
	partition->other = ours ? partition->committed : own;
	partition->next = (uint64_t)chosen.next;
	partition->last_fingerprint = chosen.fingerprint;
	partition->known = true;
}

bool kafka_group_committed(struct kafka_consumer *consumer, struct kafka_partition **partitions, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, partitions[i]->topic, partitions[i]->number);
	rd_kafka_resp_err_t err = rd_kafka_committed(consumer->rk, list, COMMITTED_MS);
	bool answered = !err;
	for (size_t i = 0; i < n && answered; i++) {
		const rd_kafka_topic_partition_t *element =
			rd_kafka_topic_partition_list_find(list, partitions[i]->topic, partitions[i]->number);
		if (!element || element->err) {
			err = element ? element->err : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
			continue; /* asked for again */
		}
		partitions[i]->committed = kafka_place_read(element);
		partitions[i]->placed = true;
		if (partitions[i]->committed.next >= 0)
			choose_place(partitions[i]);
	}
	rd_kafka_topic_partition_list_destroy(list);
	if (err)
		log_warn("kafka_error",
			"connection=%s side=source code=%s text=\"the group's offsets could not be read: %s\"",
			consumer->options.name, rd_kafka_err2name(err), rd_kafka_err2str(err));
	return answered;
}

/* --- rebalances ------------------------------------------------------------------------------------------------------ */

/* Into our queue, apart from the group's own. */
static void lead_records(struct kafka_consumer *consumer, const struct kafka_partition *partition)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(consumer->rk, partition->topic, partition->number);
	if (!queue)
		return;
	rd_kafka_queue_forward(queue, consumer->records);
	rd_kafka_queue_destroy(queue);
}

/* A partition that is assigned anew while it is read is stopped first, by another thread at some time, and the stop undoes
 * what its queue is led into (2.0.2): nobody would ever take its records. Leading again moves what has gathered there. */
void kafka_group_lead(struct kafka_consumer *consumer)
{
	uint64_t now_ms = kafka_consumer_now_ms();
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		const struct kafka_partition *partition = consumer->partitions->items[i];
		if (partition->assigned &&
			(partition->state == KAFKA_PARTITION_READING || partition->state == KAFKA_PARTITION_CHECKING))
			lead_records(consumer, partition);
	}
	consumer->next_lead_ms = now_ms + (now_ms < consumer->lead_until_ms ? LEAD_SOON_MS : LEAD_MS);
}

void kafka_group_reassign(struct kafka_consumer *consumer)
{
	consumer->reassign = false;
	consumer->next_lead_ms = kafka_consumer_now_ms() + LEAD_SOON_MS;
	consumer->lead_until_ms = kafka_consumer_now_ms() + LEAD_MS;
	consumer->last_partition = NULL;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		struct kafka_partition *partition = consumer->partitions->items[i];
		bool wanted =
			partition->assigned && partition->known &&
			(partition->state == KAFKA_PARTITION_READING || partition->state == KAFKA_PARTITION_CHECKING ||
				(partition->state == KAFKA_PARTITION_DUE && partition->placed));
		if (!wanted)
			continue;
		lead_records(consumer, partition);
		rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
			(int64_t)kafka_start_offset(partition);
	}
	rd_kafka_resp_err_t err = rd_kafka_assign(consumer->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (err)
		kafka_consumer_lose(consumer, rd_kafka_err2str(err));
}

static void on_assign(struct kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
	log_info("kafka_assigned", "connection=%s group=%s partitions=%d", consumer->options.name,
		consumer->settings->group, list ? list->cnt : 0);
	/* With from: stored, a topic that nobody knew waits for a word, as with static assignment. */
	bool new_ones = consumer->partitions->surveyed && consumer->settings->from != KAFKA_FROM_STORED;
	for (int pass = 0; list && pass < 2; pass++) { /* what was there is asked before anything is marked as seen */
		for (int i = 0; i < list->cnt; i++) {
			const rd_kafka_topic_partition_t *element = &list->elems[i];
			struct kafka_partition *partition =
				kafka_partitions_get(consumer->partitions, element->topic, element->partition);
			if (!partition)
				continue;
			if (pass == 0) {
				partition->late = !partition->seen && !partition->known &&
						  (new_ones || kafka_topic_was_there(consumer, element->topic));
				continue;
			}
			int qos = kafka_subscriptions_match(
				consumer->options.subscriptions, consumer->options.n_subscriptions, element->topic);
			partition->qos = qos < 0 ? 0 : (uint8_t)qos;
			partition->seen = partition->assigned = true;
			partition->put_back = partition->placed = partition->there = false;
			partition->state = KAFKA_PARTITION_DUE;
			partition->due_ms = 0;
		}
	}
	consumer->partitions->surveyed = true;
	consumer->next_begin_ms = 0;
	kafka_begin_due(consumer);
	kafka_group_reassign(consumer); /* also when nothing is known yet: the group waits for it */
}

/* leaving: the loop holds nothing any more, and has said what is durable. */
static void on_revoke(struct kafka_consumer *consumer, bool leaving)
{
	bool lost = rd_kafka_assignment_lost(consumer->rk);
	log_info("kafka_revoked", "connection=%s group=%s lost=%s", consumer->options.name, consumer->settings->group,
		lost ? "yes" : "no");
	if (!leaving)
		kafka_consumer_recall(consumer, !lost);
	if (!lost)
		commit_and_wait(consumer);
	for (size_t i = 0; i < consumer->partitions->n; i++) {
		consumer->partitions->items[i]->assigned = false;
		consumer->partitions->items[i]->state = KAFKA_PARTITION_IDLE;
	}
	consumer->reassign = false;
	consumer->last_partition = NULL;
	rd_kafka_assign(consumer->rk, NULL);
}

void kafka_group_rebalance(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		on_assign(consumer, rd_kafka_event_topic_partition_list(event));
	else
		on_revoke(consumer, false);
}

/* The library's own close would wait for brokers that are away. */
void kafka_group_leave(struct kafka_consumer *consumer)
{
	commit_and_wait(consumer);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->rk);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->rk, queue);
	uint64_t until_ms = kafka_consumer_now_ms() + LEAVE_MS;
	while (!error && !rd_kafka_consumer_closed(consumer->rk) && kafka_consumer_now_ms() < until_ms) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, POLL_MS);
		if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
			on_revoke(consumer, true);
		if (event)
			rd_kafka_event_destroy(event);
	}
	if (error)
		rd_kafka_error_destroy(error);
	else if (!rd_kafka_consumer_closed(consumer->rk))
		log_warn("kafka_leave",
			"connection=%s group=%s what=\"the group has not answered; it will notice later\"",
			consumer->options.name, consumer->settings->group);
	rd_kafka_queue_destroy(queue);
}
