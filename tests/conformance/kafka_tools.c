/* SPDX-License-Identifier: Apache-2.0
 *
 * Mock cluster and reader over librdkafka.
 */
#include "tests/conformance/kafka_tools.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEADLINE_MS 300000 /* for all that a sound cluster does at once; decides nothing else */
#define TRY_MS      2000 /* one of the tries within it: an answer that is lost is asked for again */
#define PAUSE_MS    10 /* the library's events meanwhile */
#define LOG_LINES   200

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

void kafka_mock_publish(struct kafka_mock *mock, const char *topic, struct slice payload)
{
	if (!mock->producer) {
		rd_kafka_conf_t *conf = rd_kafka_conf_new();
		set(conf, "bootstrap.servers", mock->brokers);
		set(conf, "linger.ms", "0");
		mock->producer = make(RD_KAFKA_PRODUCER, conf);
	}
	rd_kafka_resp_err_t err = rd_kafka_producev(mock->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)payload.data, payload.len),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	if (!err)
		err = rd_kafka_flush(mock->producer, DEADLINE_MS);
	if (err)
		bail(topic, rd_kafka_err2str(err));
}

void kafka_mock_free(struct kafka_mock *mock)
{
	if (mock->producer)
		rd_kafka_destroy(mock->producer);
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->rk);
	free(mock->brokers);
	free(mock);
}

/* --- deadline ------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Ends the program once the deadline has passed without success. */
static void try_again(uint64_t deadline_ms, const char *what, rd_kafka_resp_err_t err)
{
	if (now_ms() >= deadline_ms)
		bail(what, rd_kafka_err2str(err));
}

/* --- reader --------------------------------------------------------------------------------------------------- */

/* What the library has said last, for kafka_reader_explain. */
struct reader_log {
	pthread_mutex_t mutex;
	char *lines[LOG_LINES]; /* a ring; guarded by mutex */
	size_t n; /* so far; guarded by mutex */
};

static void reader_on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)level;
	struct kafka_reader *reader = rd_kafka_opaque(rk);
	struct reader_log *log = reader->log;
	char line[512];
	int len = snprintf(line, sizeof line, "%llu ms %s: %s", (unsigned long long)now_ms(), facility, text);
	for (int i = 0; i < len && i < (int)sizeof line; i++)
		line[i] = line[i] == '\n' ? ' ' : line[i];
	pthread_mutex_lock(&log->mutex);
	char **slot = &log->lines[log->n++ % LOG_LINES];
	free(*slot);
	*slot = strdup(line);
	pthread_mutex_unlock(&log->mutex);
}

static void reader_note(struct kafka_reader *reader, rd_kafka_resp_err_t err, const char *text)
{
	if (err && err != reader->last_err)
		printf("# reader of %s: %s: %s\n", reader->topic, rd_kafka_err2name(err), text);
	reader->last_err = err;
}

static struct kafka_reader *reader_alloc(const char *topic)
{
	struct kafka_reader *reader = calloc(1, sizeof *reader);
	struct reader_log *log = calloc(1, sizeof *log);
	char *name = strdup(topic);
	if (!reader || !log || !name)
		bail("reader", "out of memory");
	pthread_mutex_init(&log->mutex, NULL);
	reader->log = log;
	reader->topic = name;
	return reader;
}

static void reader_open(struct kafka_reader *reader, const char *brokers)
{
	char errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "reader");
	set(conf, "enable.auto.commit", "false");
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "fetch.wait.max.ms", "20");
	set(conf, "reconnect.backoff.max.ms", "100");
	/* A request without an answer is not asked again before this has passed; it is a minute by default, all that a
	 * test has. */
	set(conf, "socket.timeout.ms", "5000");
	set(conf, "debug", "broker,topic,metadata,fetch");
	rd_kafka_conf_set_opaque(conf, reader);
	rd_kafka_conf_set_log_cb(conf, reader_on_log);
	reader->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof errstr);
	if (!reader->rk)
		bail("rd_kafka_new", errstr);
	rd_kafka_poll_set_consumer(reader->rk);
}

/* Where the partition begins or ends now. Asked for here and until it is known: an assignment to OFFSET_BEGINNING leaves
 * it to the library's background, which tells nobody why it does not come to an end. */
static int64_t reader_find(struct kafka_reader *reader, int partition, bool at_end)
{
	uint64_t deadline_ms = now_ms() + DEADLINE_MS;
	int64_t low = 0, high = 0;
	rd_kafka_resp_err_t err;
	while ((err = rd_kafka_query_watermark_offsets(reader->rk, reader->topic, partition, &low, &high, TRY_MS))) {
		reader_note(reader, err, "its offsets");
		try_again(deadline_ms, reader->topic, err);
		rd_kafka_message_t *event = rd_kafka_consumer_poll(reader->rk, PAUSE_MS);
		if (event)
			rd_kafka_message_destroy(event);
	}
	return at_end ? high : low;
}

static struct kafka_reader *reader_new(const char *brokers, const char *topic, int n_partitions, bool at_end)
{
	struct kafka_reader *reader = reader_alloc(topic);
	reader_open(reader, brokers);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n_partitions);
	for (int i = 0; i < n_partitions; i++) {
		int64_t offset = reader_find(reader, i, at_end);
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = offset;
	}
	rd_kafka_resp_err_t err = rd_kafka_assign(reader->rk, list);
	if (err)
		bail(topic, rd_kafka_err2str(err));
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
		if (record->err)
			reader_note(reader, record->err, rd_kafka_message_errstr(record));
		else
			reader_keep(reader, record);
		rd_kafka_message_destroy(record);
	}
}

void kafka_reader_explain(struct kafka_reader *reader)
{
	struct reader_log *log = reader->log;
	printf("# reader of %s: %zu records; what librdkafka did last:\n", reader->topic, reader->n_records);
	pthread_mutex_lock(&log->mutex);
	for (size_t i = log->n < LOG_LINES ? 0 : log->n - LOG_LINES; i < log->n; i++)
		printf("#   %s\n", log->lines[i % LOG_LINES] ? log->lines[i % LOG_LINES] : "");
	pthread_mutex_unlock(&log->mutex);
}

void kafka_reader_free(struct kafka_reader *reader)
{
	rd_kafka_consumer_close(reader->rk);
	rd_kafka_destroy(reader->rk);
	for (size_t i = 0; i < reader->n_records; i++)
		message_unref(reader->records[i]);
	free(reader->records);
	for (size_t i = 0; i < LOG_LINES; i++)
		free(reader->log->lines[i]);
	pthread_mutex_destroy(&reader->log->mutex);
	free(reader->log);
	free(reader->topic);
	free(reader);
}

/* --- topics --------------------------------------------------------------------------------------------------- */

static rd_kafka_resp_err_t topic_result(rd_kafka_event_t *event)
{
	if (!event)
		return RD_KAFKA_RESP_ERR__TIMED_OUT;
	if (rd_kafka_event_error(event))
		return rd_kafka_event_error(event);
	size_t n = 0;
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
	return n == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
}

static rd_kafka_resp_err_t topic_create(rd_kafka_t *rk, rd_kafka_NewTopic_t *wanted)
{
	char errstr[256];
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_operation_timeout(options, DEADLINE_MS, errstr, sizeof errstr);
	rd_kafka_CreateTopics(rk, &wanted, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, DEADLINE_MS);
	rd_kafka_resp_err_t err = topic_result(event);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return err;
}

/* LEADER_NOT_AVAILABLE until every partition has one. */
static rd_kafka_resp_err_t topic_look(rd_kafka_t *rk, rd_kafka_topic_t *rkt, int n_partitions)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, rkt, &metadata, TRY_MS);
	if (err)
		return err;
	const struct rd_kafka_metadata_topic *found = metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
	err = found ? found->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	if (!err && found->partition_cnt != n_partitions)
		err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	for (int i = 0; !err && i < n_partitions; i++)
		if (found->partitions[i].leader < 0)
			err = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	rd_kafka_metadata_destroy(metadata);
	return err;
}

void kafka_topic_new(const char *brokers, const char *topic, int n_partitions, const char *name, const char *value)
{
	char errstr[256];
	uint64_t deadline_ms = now_ms() + DEADLINE_MS;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", brokers);
	rd_kafka_t *rk = make(RD_KAFKA_PRODUCER, conf);
	rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, n_partitions, 1, errstr, sizeof errstr);
	if (!wanted)
		bail(topic, errstr);
	if (name)
		rd_kafka_NewTopic_set_config(wanted, name, value);
	/* A controller that has just missed its broker's heartbeats knows of no place for a replica. */
	rd_kafka_resp_err_t err;
	while ((err = topic_create(rk, wanted)) && err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
		try_again(deadline_ms, topic, err);
		rd_kafka_poll(rk, PAUSE_MS);
	}
	/* The controller has it; the broker that leads it may not have heard of it yet. */
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
	while ((err = topic_look(rk, rkt, n_partitions))) {
		try_again(deadline_ms, topic, err);
		rd_kafka_poll(rk, PAUSE_MS);
	}
	rd_kafka_topic_destroy(rkt);
	rd_kafka_NewTopic_destroy(wanted);
	rd_kafka_destroy(rk);
}
