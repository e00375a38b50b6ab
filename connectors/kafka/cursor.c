/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads and formats the cursor. All partitions of the topic are read, and the highest seq counts: seqs only grow, and
 * somebody may have given the topic more partitions since.
 *
 * What is read of a partition ends at its high watermark, not where the library says that it ends: there it ends at the last stable
 * offset, and a transaction that another linkspan has left open hides our own committed records that come later.
 */
#include "connectors/kafka/cursor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/library_log.h"
#include "runtime/log.h"

#define ANSWER_MS     5000
#define POLL_MS       100
#define MADE_POLLS    100 /* until a topic that was just made has leaders */
#define TAIL_RECORDS  1000 /* read first: the newest record is nearly always there */
#define TAIL_GROWTH   30
#define SEGMENT_BYTES "33554432" /* what is in the last segment is not compacted, and is read at each start */

struct reading {
	const struct kafka_cursor_request *request;
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	struct kafka_cursor cursor;
	char *errstr;
	size_t errstr_size;
	bool waiting; /* for a transaction's end in what is being read */
};

/* --- the record ----------------------------------------------------------------------------------------------- */

size_t kafka_cursor_format(const struct kafka_cursor *cursor, char value[KAFKA_CURSOR_VALUE_SIZE])
{
	return (size_t)snprintf(
		value, KAFKA_CURSOR_VALUE_SIZE, "v1 seq=%" PRIu64 " writer=%016" PRIx64, cursor->seq, cursor->writer);
}

bool kafka_cursor_parse(const void *value, size_t len, struct kafka_cursor *ret_cursor)
{
	char text[KAFKA_CURSOR_VALUE_SIZE], again[KAFKA_CURSOR_VALUE_SIZE];
	struct kafka_cursor cursor = {0};
	if (!value || len >= sizeof text)
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	if (sscanf(text, "v1 seq=%" SCNu64 " writer=%" SCNx64, &cursor.seq, &cursor.writer) != 2 ||
		kafka_cursor_format(&cursor, again) != len || memcmp(text, again, len) != 0)
		return false;
	ret_cursor->seq = cursor.seq;
	ret_cursor->writer = cursor.writer;
	return true;
}

/* --- the topic ------------------------------------------------------------------------------------------------ */

static int failed(struct reading *reading, int error, rd_kafka_resp_err_t err, const char *doing)
{
	snprintf(reading->errstr, reading->errstr_size, "cursor topic %s: %s: %s",
		reading->request->settings->cursor_topic, doing, rd_kafka_err2str(err));
	return error;
}

/* How many partitions it has, all with leaders; 0: there is no such topic, or not yet; negative: errno. */
static int count_partitions(struct reading *reading)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err = rd_kafka_metadata(reading->rk, 0, reading->topic, &metadata, ANSWER_MS);
	if (err)
		return failed(reading, -EAGAIN, err, "no answer");
	int n = 0;
	const struct rd_kafka_metadata_topic *topic = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
	err = topic ? topic->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (!err) {
		n = topic->partition_cnt;
		for (int i = 0; i < topic->partition_cnt; i++)
			if (topic->partitions[i].leader < 0)
				n = failed(reading, -EAGAIN, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "not ready");
	} else if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
		n = failed(reading, -EPERM, err, "we may not see it; allow Describe, Read and Write");
	} else if (err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		n = failed(reading, -EAGAIN, err, "not ready");
	}
	rd_kafka_metadata_destroy(metadata);
	return n;
}

static int made(struct reading *reading, rd_kafka_event_t *event)
{
	size_t n = 0;
	const rd_kafka_topic_result_t **results = NULL;
	rd_kafka_resp_err_t err = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (!err)
		results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
	if (n == 1)
		err = rd_kafka_topic_result_error(results[0]);
	switch (err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		log_info("kafka_cursor_topic_made", "connection=%s topic=%s", reading->request->name,
			reading->request->settings->cursor_topic);
		return 0;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return 0;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		return failed(reading, -EPERM, err,
			"it does not exist and we may not make it; let somebody make it with cleanup.policy=compact "
			"and one "
			"partition, and allow us Describe, Read and Write");
	default:
		return failed(reading, -EAGAIN, err, "it could not be made");
	}
}

static int make_topic(struct reading *reading)
{
	char errstr[256];
	rd_kafka_NewTopic_t *topic =
		rd_kafka_NewTopic_new(reading->request->settings->cursor_topic, 1, -1, errstr, sizeof errstr);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(reading->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(reading->rk);
	rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
	rd_kafka_NewTopic_set_config(topic, "segment.bytes", SEGMENT_BYTES);
	rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, errstr, sizeof errstr);
	rd_kafka_CreateTopics(reading->rk, &topic, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * ANSWER_MS);
	int r = made(reading, event);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(topic);
	return r;
}

static bool given_up(const struct reading *reading)
{
	return reading->request->give_up(reading->request->arg);
}

/* Returns the number of partitions, or a negative errno. */
static int find_topic(struct reading *reading)
{
	int n = count_partitions(reading);
	if (n != 0)
		return n;
	int r = make_topic(reading);
	for (int polls = 0; r == 0 && n <= 0 && polls < MADE_POLLS; polls++) {
		if (given_up(reading))
			return -ECANCELED;
		rd_kafka_poll(reading->rk, POLL_MS);
		n = count_partitions(reading);
	}
	if (r < 0)
		return r;
	return n != 0 ? n
		      : failed(reading, -EAGAIN, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "just made, and not there");
}

/* --- reading -------------------------------------------------------------------------------------------------- */

static void take_record(struct reading *reading, const rd_kafka_message_t *record)
{
	struct kafka_cursor cursor;
	if (record->key_len != strlen(reading->request->key) ||
		memcmp(record->key, reading->request->key, record->key_len) != 0 || !record->payload)
		return;
	if (!kafka_cursor_parse(record->payload, record->len, &cursor))
		log_warn("kafka_cursor_unreadable", "connection=%s topic=%s partition=%" PRId32 " offset=%" PRId64,
			reading->request->name, reading->request->settings->cursor_topic, record->partition,
			record->offset);
	else if (cursor.seq >= reading->cursor.seq) {
		reading->cursor.seq = cursor.seq;
		reading->cursor.writer = cursor.writer;
	}
}

static void say_waiting(struct reading *reading, int32_t partition, int64_t stable, int64_t high)
{
	if (reading->waiting)
		return;
	log_warn("kafka_cursor_waits",
		"connection=%s topic=%s partition=%" PRId32 " from=%" PRId64 " to=%" PRId64
		" cause=\"a transaction is open there; it ends or times out\"",
		reading->request->name, reading->request->settings->cursor_topic, partition, stable, high);
	reading->waiting = true;
	reading->request->waits(reading->request->arg, partition);
}

/* Is all read below `next`, up to `end`? That is where the topic ended when the first answer to a fetch came. */
static bool at_the_end(struct reading *reading, int32_t partition, int64_t next, int64_t *end)
{
	int64_t low, high;
	/* What that answer said; a question for it would be answered with the last stable offset. */
	if (*end < 0 && !rd_kafka_get_watermark_offsets(
				reading->rk, reading->request->settings->cursor_topic, partition, &low, &high))
		*end = high;
	return *end >= 0 && next >= *end;
}

/* Takes what has come of a partition. 0: that was all, 1: there is more, or a negative errno. */
static int take(struct reading *reading, const rd_kafka_message_t *record, int64_t *end)
{
	switch (record->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		take_record(reading, record);
		return !at_the_end(reading, record->partition, record->offset + 1, end);
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		if (at_the_end(reading, record->partition, record->offset, end))
			return 0;
		say_waiting(reading, record->partition, record->offset, *end);
		return 1;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		return failed(reading, -EPERM, record->err, "we may not read it; allow Read");
	default:
		return failed(reading, -EAGAIN, record->err, "cannot be read");
	}
}

/* From offset `from` to the end. */
static int read_from(struct reading *reading, int32_t partition, int64_t from)
{
	int64_t end = -1;
	int r = 1;
	if (rd_kafka_consume_start(reading->topic, partition, from) < 0)
		return failed(reading, -EAGAIN, rd_kafka_last_error(), "cannot be read");
	while (r > 0) {
		rd_kafka_poll(reading->rk, 0);
		rd_kafka_message_t *record = rd_kafka_consume(reading->topic, partition, POLL_MS);
		if (record) {
			r = take(reading, record, &end);
			rd_kafka_message_destroy(record);
		}
		if (given_up(reading))
			r = -ECANCELED;
	}
	rd_kafka_consume_stop(reading->topic, partition);
	if (reading->waiting)
		reading->request->waits(reading->request->arg, -1);
	reading->waiting = false;
	return r;
}

/* The newest records first, then ever more, until ours is among them or all are read. */
static int read_partition(struct reading *reading, int32_t partition)
{
	int64_t low, high;
	rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
		reading->rk, reading->request->settings->cursor_topic, partition, &low, &high, ANSWER_MS);
	if (err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		return failed(reading, -EPERM, err, "we may not read it; allow Read");
	if (err)
		return failed(reading, -EAGAIN, err, "no answer");
	uint64_t before = reading->cursor.seq;
	for (int64_t n = TAIL_RECORDS;; n *= TAIL_GROWTH) {
		int64_t from = high - n > low ? high - n : low;
		int r = read_from(reading, partition, from);
		if (r < 0 || from == low || reading->cursor.seq > before)
			return r;
	}
}

static int read_all(struct reading *reading)
{
	int n = find_topic(reading);
	int r = n < 0 ? n : 0;
	for (int32_t partition = 0; r == 0 && partition < n; partition++)
		r = read_partition(reading, partition);
	if (r < 0)
		return r;
	uint32_t hash = 2166136261u; /* FNV-1a of the key: not all destinations need write to one partition */
	for (const char *c = reading->request->key; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619u;
	reading->cursor.partition = (int32_t)(hash % (uint32_t)n);
	return 0;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	kafka_library_log(kafka_client_owner(rk), level, facility, text);
}

int kafka_cursor_read(
	const struct kafka_cursor_request *request, struct kafka_cursor *ret_cursor, char *errstr, size_t errstr_size)
{
	struct reading reading = {.request = request, .errstr = errstr, .errstr_size = errstr_size};
	rd_kafka_conf_t *conf = kafka_settings_conf_cursor(request->settings, errstr, errstr_size);
	if (!conf)
		return -EPERM;
	rd_kafka_conf_set_log_cb(conf, on_log);
	reading.rk = kafka_client_new(
		RD_KAFKA_CONSUMER, conf, request->settings, (void *)(uintptr_t)request->name, errstr, errstr_size);
	if (!reading.rk) {
		rd_kafka_conf_destroy(conf);
		return -EPERM;
	}
	rd_kafka_set_log_queue(reading.rk, NULL);
	int r = -ENOMEM;
	reading.topic = rd_kafka_topic_new(reading.rk, request->settings->cursor_topic, NULL);
	if (reading.topic) {
		r = read_all(&reading);
		rd_kafka_topic_destroy(reading.topic);
	}
	if (r == 0)
		*ret_cursor = reading.cursor;
	kafka_client_destroy(reading.rk, 0);
	return r;
}
