/* SPDX-License-Identifier: Apache-2.0
 *
 * Mock cluster and reader over librdkafka.
 */
#include "tests/conformance/kafka_tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_TIMEOUT_MS 30000

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif

const char *kafka_tools_unavailable(void)
{
#ifdef UNDER_TSAN
	return "ThreadSanitizer crashes in the threads of librdkafka";
#else
	return NULL;
#endif
}

static void bail(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char errstr[256];
	if (rd_kafka_conf_set(conf, name, value, errstr, sizeof errstr) != RD_KAFKA_CONF_OK)
		bail(name, errstr);
}

static void no_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level, (void)facility, (void)text;
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char errstr[256];
	rd_kafka_conf_set_log_cb(conf, no_log);
	rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
	if (!rk)
		bail("rd_kafka_new", errstr);
	return rk;
}

struct kafka_mock *kafka_mock_new(int n_brokers)
{
	struct kafka_mock *mock = calloc(1, sizeof *mock);
	if (!mock)
		bail("mock cluster", "out of memory");
	mock->rk = make(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
	mock->cluster = rd_kafka_mock_cluster_new(mock->rk, n_brokers);
	if (!mock->cluster)
		bail("mock cluster", "cannot be made");
	mock->n_brokers = n_brokers;
	mock->brokers = strdup(rd_kafka_mock_cluster_bootstraps(mock->cluster));
	return mock;
}

void kafka_mock_topic(struct kafka_mock *mock, const char *topic, int n_partitions)
{
	rd_kafka_resp_err_t err = rd_kafka_mock_topic_create(mock->cluster, topic, n_partitions, 1);
	if (err)
		bail(topic, rd_kafka_err2str(err));
}

void kafka_mock_down(struct kafka_mock *mock)
{
	for (int i = 1; i <= mock->n_brokers; i++)
		rd_kafka_mock_broker_set_down(mock->cluster, i);
}

void kafka_mock_up(struct kafka_mock *mock)
{
	for (int i = 1; i <= mock->n_brokers; i++)
		rd_kafka_mock_broker_set_up(mock->cluster, i);
}

void kafka_mock_slow(struct kafka_mock *mock, int rtt_ms)
{
	for (int i = 1; i <= mock->n_brokers; i++)
		rd_kafka_mock_broker_set_rtt(mock->cluster, i, rtt_ms);
}

void kafka_mock_free(struct kafka_mock *mock)
{
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->rk);
	free(mock->brokers);
	free(mock);
}

/* --- reader --------------------------------------------------------------------------------------------------- */

static struct kafka_reader *reader_new(const char *brokers, const char *topic, int n_partitions, bool at_end)
{
	struct kafka_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		bail("reader", "out of memory");
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "reader");
	set(conf, "enable.auto.commit", "false");
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "fetch.wait.max.ms", "20");
	set(conf, "reconnect.backoff.max.ms", "100");
	/* A topic that was made a moment ago may be unknown to the broker that is asked first; without this the next look
	 * comes five minutes later. */
	set(conf, "topic.metadata.refresh.interval.ms", "500");
	reader->rk = make(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(reader->rk);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n_partitions);
	for (int i = 0; i < n_partitions; i++) {
		int64_t low = 0, high = 0;
		if (at_end) {
			rd_kafka_resp_err_t err =
				rd_kafka_query_watermark_offsets(reader->rk, topic, i, &low, &high, QUERY_TIMEOUT_MS);
			if (err)
				bail(topic, rd_kafka_err2str(err));
		}
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = at_end ? high : RD_KAFKA_OFFSET_BEGINNING;
	}
	rd_kafka_assign(reader->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return reader;
}

struct kafka_reader *kafka_reader_new(const char *brokers, const char *topic, int n_partitions)
{
	return reader_new(brokers, topic, n_partitions, false);
}

struct kafka_reader *kafka_reader_new_at_end(const char *brokers, const char *topic, int n_partitions)
{
	return reader_new(brokers, topic, n_partitions, true);
}

static void reader_keep(struct kafka_reader *reader, const rd_kafka_message_t *record)
{
	char partition[16];
	snprintf(partition, sizeof partition, "%d", (int)record->partition);
	struct message_field fields[32];
	struct message_view view = {
		.topic = slice_str(partition),
		.payload = slice_of(record->payload, record->len),
		.key = slice_of(record->key, record->key_len),
		.origin_ms = (uint64_t)rd_kafka_message_timestamp(record, NULL),
		.headers = fields,
	};
	rd_kafka_headers_t *headers = NULL;
	if (rd_kafka_message_headers(record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
		const char *name;
		const void *value;
		size_t size;
		while (view.n_headers < 32 && !rd_kafka_header_get_all(headers, view.n_headers, &name, &value, &size))
			fields[view.n_headers++] = (struct message_field){slice_str(name), slice_of(value, size)};
	}
	struct message **records = realloc(reader->records, (reader->n_records + 1) * sizeof *records);
	struct message *msg = message_new(&view);
	if (!records || !msg)
		bail("reader", "out of memory");
	reader->records = records;
	reader->records[reader->n_records++] = msg;
}

void kafka_reader_poll(struct kafka_reader *reader)
{
	rd_kafka_message_t *record;
	while ((record = rd_kafka_consumer_poll(reader->rk, 0)) != NULL) {
		if (!record->err)
			reader_keep(reader, record);
		rd_kafka_message_destroy(record);
	}
}

void kafka_reader_free(struct kafka_reader *reader)
{
	rd_kafka_consumer_close(reader->rk);
	rd_kafka_destroy(reader->rk);
	for (size_t i = 0; i < reader->n_records; i++)
		message_unref(reader->records[i]);
	free(reader->records);
	free(reader);
}

void kafka_topic_new(const char *brokers, const char *topic, int n_partitions, const char *name, const char *value)
{
	char errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", brokers);
	rd_kafka_t *rk = make(RD_KAFKA_PRODUCER, conf);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, n_partitions, 1, errstr, sizeof errstr);
	if (!wanted)
		bail(topic, errstr);
	if (name)
		rd_kafka_NewTopic_set_config(wanted, name, value);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_operation_timeout(options, QUERY_TIMEOUT_MS, errstr, sizeof errstr);
	rd_kafka_CreateTopics(rk, &wanted, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * QUERY_TIMEOUT_MS);
	if (!event || rd_kafka_event_error(event))
		bail(topic, event ? rd_kafka_event_error_string(event) : "no answer");
	rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(wanted);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}
