/* SPDX-License-Identifier: Apache-2.0
 *
 * The other side of a Kafka connection, for tests: librdkafka's mock cluster in this process, and a reader that collects
 * what a topic holds. Both end the program if they cannot be had.
 *
 * Threads: the one that calls (the library has its own).
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_KAFKA_TOOLS_H
#define LINKSPAN_TESTS_CONFORMANCE_KAFKA_TOOLS_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "message/message.h"

#define KAFKA_PRODUCE_KEY 0 /* ApiKey of ProduceRequest, for rd_kafka_mock_push_request_errors */

/* NULL: librdkafka can be used in this build; else why not. ThreadSanitizer does not follow thrd_create, by which the
 * library starts its threads, and crashes in them. */
const char *kafka_tools_unavailable(void);

struct kafka_mock {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	int n_brokers;
	char *brokers; /* bootstrap list */
	rd_kafka_t *producer; /* of kafka_mock_publish; NULL: not needed yet */
};

struct kafka_mock *kafka_mock_new(int n_brokers);
void kafka_mock_topic(struct kafka_mock *mock, const char *topic, int n_partitions);
void kafka_mock_down(struct kafka_mock *mock); /* all brokers: connections are cut and new ones too */
void kafka_mock_up(struct kafka_mock *mock);
void kafka_mock_slow(struct kafka_mock *mock, int rtt_ms); /* every answer takes that long; 0: as it comes */
/* Writes a record to partition 0 and waits until it is there. */
void kafka_mock_publish(struct kafka_mock *mock, const char *topic, struct slice payload);
void kafka_mock_free(struct kafka_mock *mock);

struct kafka_reader {
	rd_kafka_t *rk;
	struct message **records; /* payload, key, headers; origin_ms is the timestamp, topic the partition's number */
	size_t n_records;
	char *topic;
	rd_kafka_resp_err_t last_err; /* the last that was printed */
	struct reader_log *log; /* private */
};

/* Reads every partition of the topic, which is there, from its beginning. What goes wrong is printed as TAP comments. */
struct kafka_reader *kafka_reader_new(const char *brokers, const char *topic, int n_partitions);
/* Reads a topic that is already there from its present end. */
struct kafka_reader *kafka_reader_new_at_end(const char *brokers, const char *topic, int n_partitions);
void kafka_reader_poll(struct kafka_reader *reader); /* collects what has come; does not wait */
/* Prints what the library did last, for a test that has failed. */
void kafka_reader_explain(struct kafka_reader *reader);
void kafka_reader_free(struct kafka_reader *reader);

/* Makes a topic on a real cluster, with one property of its own unless name is NULL, and waits until each partition
 * has a leader. */
void kafka_topic_new(const char *brokers, const char *topic, int n_partitions, const char *name, const char *value);

#endif
