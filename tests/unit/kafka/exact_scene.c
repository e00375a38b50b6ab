/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink, the cluster and what is read of it.
 */
#include "tests/unit/kafka/exact_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka.h"
#include "tests/unit/tap.h"

char *text_of(const char *text)
{
	return (char *)(uintptr_t)text;
}

struct scene *scene_new(void)
{
	return scene_of(1);
}

struct scene *scene_of(int n_brokers)
{
	struct scene *scene = calloc(1, sizeof *scene);
	scene->mock = kafka_mock_new(n_brokers);
	kafka_mock_topic(scene->mock, TOPIC, 1);
	kafka_mock_topic(scene->mock, CURSORS, 2);
	rd_kafka_mock_partition_set_leader(scene->mock->cluster, TOPIC, 0, 1);
	for (int partition = 0; partition < 2; partition++)
		rd_kafka_mock_partition_set_leader(scene->mock->cluster, CURSORS, partition, n_brokers);
	scene->reader = kafka_reader_new(scene->mock->brokers, TOPIC, 1);
	scene->cursors = kafka_reader_new(scene->mock->brokers, CURSORS, 2);
	scene->broker.value = scene->mock->brokers;
	scene->properties[0] =
		(struct config_text){.name = text_of("topic.metadata.propagation.max.ms"), .value = text_of("100")};
	scene->properties[1] =
		(struct config_text){.name = text_of("reconnect.backoff.max.ms"), .value = text_of("100")};
	scene->settings = (struct kafka_settings){
		.brokers = {&scene->broker, 1},
		.client_id = text_of("test"),
		.linger_ms = 5,
		.max_in_flight = 10000,
		.tls = {.verify = true},
		.properties = {scene->properties, 2},
		.cursor_topic = text_of(CURSORS),
		.transaction = {.interval_ms = 50, .timeout_ms = 10000, .max_messages = 5000, .max_bytes = 1 << 20},
	};
	return scene;
}

void scene_start(struct scene *scene)
{
	scene->fake = fake_host_new_exact(&kafka_connector, &scene->settings);
	fake_host_start(scene->fake);
}

void scene_stop(struct scene *scene)
{
	CU_ASSERT_TRUE(fake_host_stop(scene->fake));
	CU_ASSERT_EQUAL(scene->fake->breaches, 0);
	fake_host_free(scene->fake);
	scene->fake = NULL;
}

void scene_end(struct scene *scene)
{
	if (scene->fake)
		scene_stop(scene);
	kafka_reader_free(scene->reader);
	kafka_reader_free(scene->cursors);
	kafka_mock_free(scene->mock);
	free(scene);
}

void up(struct scene *scene)
{
	scene_start(scene);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_up(scene->fake));
}

/* Messages with their numbers from `first` as payload. */
void deliver_to(struct scene *scene, const char *topic, const char *partition, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", i);
		struct message_field param = {slice_str("partition"), slice_str(partition)};
		struct message_view view = {
			.topic = slice_str(topic),
			.payload = slice_str(text),
			.key = slice_str("k"),
			.order_key = slice_str("k"),
			.params = &param,
			.n_params = 1,
			.origin_ms = 1700000000123,
		};
		fake_host_deliver(scene->fake, &view);
	}
}

void deliver(struct scene *scene, unsigned first, unsigned n)
{
	deliver_to(scene, TOPIC, "0", first, n);
}

/* It is refused before it is sent. */
void deliver_bad(struct scene *scene, unsigned n)
{
	deliver_to(scene, TOPIC, "x", 999999, n);
}

static bool has_records(void *arg)
{
	struct scene *scene = arg;
	kafka_reader_poll(scene->wanted_of);
	return scene->wanted_of->n_records >= scene->wanted;
}

bool wait_for_records(struct scene *scene, struct kafka_reader *reader, size_t n)
{
	scene->wanted_of = reader;
	scene->wanted = n;
	return fake_host_run_until(scene->fake, has_records, scene);
}

unsigned count(const struct scene *scene, enum outcome_kind kind, bool by_cursor)
{
	unsigned n = 0;
	for (uint64_t seq = 1; seq <= scene->fake->n_deliveries; seq++) {
		const struct fake_delivery *item = fake_host_delivery(scene->fake, seq);
		n += item->state == FAKE_ENDED && item->outcome == kind && item->by_cursor == by_cursor;
	}
	return n;
}

static unsigned number_of(const struct message *msg)
{
	char text[16] = "";
	struct slice payload = message_view(msg)->payload;
	memcpy(text, payload.data, payload.len < 15 ? payload.len : 15);
	return (unsigned)strtoul(text, NULL, 10);
}

/* The topic holds the numbers below n, once each and in order. */
void check_once(struct scene *scene, unsigned n)
{
	CU_ASSERT_TRUE_FATAL(wait_for_records(scene, scene->reader, n));
	CU_ASSERT_EQUAL_FATAL(scene->reader->n_records, n);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(number_of(scene->reader->records[i]), i);
}

unsigned times_there(struct scene *scene, unsigned number)
{
	unsigned n = 0;
	kafka_reader_poll(scene->reader);
	for (size_t i = 0; i < scene->reader->n_records; i++)
		n += number_of(scene->reader->records[i]) == number;
	return n;
}

struct kafka_cursor cursor_at(struct scene *scene, size_t i)
{
	struct kafka_cursor cursor = {0};
	CU_ASSERT_TRUE_FATAL(wait_for_records(scene, scene->cursors, i + 1));
	const struct message_view *view = message_view(scene->cursors->records[i]);
	CU_ASSERT_TRUE(slice_equal(view->key, slice_str(KEY)));
	CU_ASSERT_TRUE(kafka_cursor_parse(view->payload.data, view->payload.len, &cursor));
	return cursor;
}

/* Somebody else writes a cursor. */
void write_cursor(struct scene *scene, const char *key, const char *value, int32_t partition)
{
	char errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", scene->mock->brokers, errstr, sizeof errstr);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rk);
	CU_ASSERT_EQUAL(
		rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(CURSORS), RD_KAFKA_V_PARTITION(partition),
			RD_KAFKA_V_KEY(text_of(key), strlen(key)), RD_KAFKA_V_VALUE(text_of(value), strlen(value)),
			RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
		0);
	CU_ASSERT_EQUAL(rd_kafka_flush(rk, 60000), 0);
	rd_kafka_destroy(rk);
}

void write_seq(struct scene *scene, uint64_t seq, uint64_t writer, int32_t partition)
{
	char value[KAFKA_CURSOR_VALUE_SIZE];
	struct kafka_cursor cursor = {.seq = seq, .writer = writer};
	kafka_cursor_format(&cursor, value);
	write_cursor(scene, KEY, value, partition);
}
