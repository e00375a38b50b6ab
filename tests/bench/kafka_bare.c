/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka alone, to stand beside linkspan. Prints the seconds from the first record to the last one's report (or to
 * the last record read), and the CPU seconds of all threads meanwhile.
 *   kafka_bare produce BROKERS TOPIC COUNT SIZE KEYS           idempotent, acks=all
 *   kafka_bare transact BROKERS TOPIC COUNT SIZE KEYS MS       the same in transactions of so many milliseconds
 *   kafka_bare consume BROKERS TOPIC COUNT PARTITIONS          reads from the beginning, read_committed, and discards
 * Record n has the key `key-<n mod KEYS>`, ten digits of n and then x as its value, and a timestamp; nothing is copied.
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define TIMEOUT_MS  60000
#define SLOTS       131072u /* payloads: mostly more than there are between the oldest under way and the newest */
#define MIN_SIZE    11u
#define NUMBER_TEXT 10

static unsigned long long reported;
static bool under_way[SLOTS]; /* one partition may be far behind the others */

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static int64_t wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void fail(const char *what)
{
	fprintf(stderr, "kafka_bare: %s\n", what);
	exit(1);
}

static void must(rd_kafka_error_t *error)
{
	if (error)
		fail(rd_kafka_error_string(error));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char errstr[256];
	if (rd_kafka_conf_set(conf, name, value, errstr, sizeof errstr) != RD_KAFKA_CONF_OK)
		fail(errstr);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *report, void *opaque)
{
	(void)rk, (void)opaque;
	if (report->err)
		fail(rd_kafka_err2str(report->err));
	*(bool *)report->_private = false;
	reported++;
}

static rd_kafka_t *open_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *brokers)
{
	char errstr[256];
	set(conf, "bootstrap.servers", brokers);
	set(conf, "socket.nagle.disable", "true");
	rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
	if (!rk)
		fail(errstr);
	return rk;
}

static bool has_leaders(const struct rd_kafka_metadata *metadata)
{
	if (metadata->topic_cnt != 1 || metadata->topics[0].err || metadata->topics[0].partition_cnt == 0)
		return false;
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
		if (metadata->topics[0].partitions[i].leader < 0)
			return false;
	return true;
}

/* So that neither connecting nor asking for leaders is measured. A topic that was just made has none for a moment. */
static void wait_connected(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
	for (bool there = false; !there;) {
		const struct rd_kafka_metadata *metadata;
		if (rd_kafka_metadata(rk, 0, topic, &metadata, TIMEOUT_MS))
			fail("no metadata");
		there = has_leaders(metadata);
		rd_kafka_metadata_destroy(metadata);
		rd_kafka_poll(rk, there ? 0 : 100);
	}
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

struct records {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	unsigned long long count, keys;
	size_t size;
	char *payloads;
};

static void produce_one(const struct records *records, unsigned long long n)
{
	char key[32], number[NUMBER_TEXT + 1];
	bool *slot = &under_way[n % SLOTS];
	char *payload = records->payloads + (n % SLOTS) * records->size;
	while (*slot)
		rd_kafka_poll(records->rk, 100);
	*slot = true;
	int key_len = snprintf(key, sizeof key, "key-%04llu", n % records->keys);
	snprintf(number, sizeof number, "%010llu", n % 10000000000ULL);
	memcpy(payload, number, NUMBER_TEXT);
	for (;;) {
		rd_kafka_resp_err_t err = rd_kafka_producev(records->rk, RD_KAFKA_V_RKT(records->topic),
			RD_KAFKA_V_KEY(key, (size_t)key_len), RD_KAFKA_V_VALUE(payload, records->size),
			RD_KAFKA_V_TIMESTAMP(wall_ms()), RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
		if (!err)
			break;
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail(rd_kafka_err2str(err));
		rd_kafka_poll(records->rk, 100);
	}
	if (n % 1000 == 0)
		rd_kafka_poll(records->rk, 0);
}

static void produce_all(const struct records *records, double transaction_s)
{
	double began = now_s();
	if (transaction_s > 0)
		must(rd_kafka_begin_transaction(records->rk));
	for (unsigned long long n = 0; n < records->count; n++) {
		produce_one(records, n);
		if (transaction_s > 0 && n % 100 == 99 && now_s() - began >= transaction_s) {
			must(rd_kafka_commit_transaction(records->rk, -1));
			must(rd_kafka_begin_transaction(records->rk));
			began = now_s();
		}
	}
	if (transaction_s > 0)
		must(rd_kafka_commit_transaction(records->rk, -1));
	while (reported < records->count)
		rd_kafka_poll(records->rk, 100);
}

static void run_produce(char **argv, double transaction_s)
{
	struct records records = {
		.count = strtoull(argv[3], NULL, 10),
		.size = strtoull(argv[4], NULL, 10),
		.keys = strtoull(argv[5], NULL, 10),
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (records.size < MIN_SIZE || records.keys == 0)
		fail("SIZE is at least 11, KEYS at least 1");
	set(conf, "enable.idempotence", "true");
	set(conf, "acks", "all");
	set(conf, "partitioner", "murmur2_random");
	if (transaction_s > 0)
		set(conf, "transactional.id", argv[2]);
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	records.rk = open_client(RD_KAFKA_PRODUCER, conf, argv[1]);
	records.topic = rd_kafka_topic_new(records.rk, argv[2], NULL);
	records.payloads = malloc(SLOTS * records.size);
	if (!records.topic || !records.payloads)
		fail("out of memory");
	memset(records.payloads, 'x', SLOTS * records.size);
	wait_connected(records.rk, records.topic);
	if (transaction_s > 0)
		must(rd_kafka_init_transactions(records.rk, TIMEOUT_MS));
	double began = now_s(), cpu = cpu_s();
	produce_all(&records, transaction_s);
	printf("%.6f %.6f\n", now_s() - began, cpu_s() - cpu);
	rd_kafka_topic_destroy(records.topic);
	rd_kafka_destroy(records.rk);
	free(records.payloads);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static void run_consume(char **argv)
{
	unsigned long long count = strtoull(argv[3], NULL, 10), n = 0;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "group.id", "bare");
	set(conf, "enable.auto.commit", "false");
	rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, conf, argv[1]);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[2], NULL);
	if (!topic)
		fail("out of memory");
	wait_connected(rk, topic);
	int partitions = (int)strtol(argv[4], NULL, 10);
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);
	for (int32_t i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(all, argv[2], i)->offset = 0;
	rd_kafka_poll_set_consumer(rk);
	double began = now_s(), cpu = cpu_s();
	if (rd_kafka_assign(rk, all))
		fail("cannot assign");
	while (n < count) {
		rd_kafka_message_t *record = rd_kafka_consumer_poll(rk, 1000);
		if (!record)
			continue;
		if (record->err)
			fail(rd_kafka_message_errstr(record));
		n++;
		rd_kafka_message_destroy(record);
	}
	printf("%.6f %.6f\n", now_s() - began, cpu_s() - cpu);
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
	if (argc == 7 && strcmp(argv[1], "produce") == 0)
		run_produce(argv + 1, 0);
	else if (argc == 8 && strcmp(argv[1], "transact") == 0)
		run_produce(argv + 1, strtod(argv[7], NULL) / 1000);
	else if (argc == 6 && strcmp(argv[1], "consume") == 0)
		run_consume(argv + 1);
	else
		return fprintf(stderr, "usage: kafka_bare produce|transact|consume BROKERS TOPIC COUNT …\n"), 2;
	return 0;
}
