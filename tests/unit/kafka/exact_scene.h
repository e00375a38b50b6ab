/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the exactly-once sink share: the sink under a fake host, against librdkafka's mock cluster, and what
 * stands in its topics.
 */
#ifndef LINKSPAN_TESTS_UNIT_KAFKA_EXACT_SCENE_H
#define LINKSPAN_TESTS_UNIT_KAFKA_EXACT_SCENE_H

#include "connectors/kafka/cursor.h"
#include "connectors/kafka/settings.h"
#include "tests/conformance/fake_host.h"
#include "tests/conformance/kafka_tools.h"

#define TOPIC              "readings"
#define CURSORS            "cursors"
#define KEY                "636f6e666f726d616e63652074657374" /* the fake host's uuid */
#define END_TXN_KEY        26
#define INIT_PID_KEY       22
#define ADD_PARTITIONS_KEY 24
#define NEVER_MS           3600000u /* no transaction ends by time */
#define OTHERS_WRITER      UINT64_C(0x1234)

struct scene {
	struct kafka_mock *mock;
	struct kafka_reader *reader, *cursors;
	struct fake_host *fake;
	struct kafka_settings settings;
	struct config_text broker, properties[4];
	size_t wanted; /* records of that reader */
	struct kafka_reader *wanted_of;
};

char *text_of(const char *text);
struct scene *scene_new(void); /* one broker */
struct scene *scene_of(int n_brokers); /* the first leads the topic, the last the cursors */
void scene_start(struct scene *scene);
void scene_stop(struct scene *scene);
void scene_end(struct scene *scene);
void up(struct scene *scene);
void deliver_to(struct scene *scene, const char *topic, const char *partition, unsigned first, unsigned n);
void deliver(struct scene *scene, unsigned first, unsigned n);
void deliver_bad(struct scene *scene, unsigned n);
bool wait_for_records(struct scene *scene, struct kafka_reader *reader, size_t n);
unsigned count(const struct scene *scene, enum outcome_kind kind, bool by_cursor);
void check_once(struct scene *scene, unsigned n);
unsigned times_there(struct scene *scene, unsigned number);
struct kafka_cursor cursor_at(struct scene *scene, size_t i);
void write_cursor(struct scene *scene, const char *key, const char *value, int32_t partition);
void write_seq(struct scene *scene, uint64_t seq, uint64_t writer, int32_t partition);

#endif
