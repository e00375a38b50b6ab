/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "connectors/connector.h"
#include "routing/format.h"
#include "runtime/log.h"
#include "tests/unit/config/connectors.h"
#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

static struct loaded plant;

static const struct connection_config *connection(const char *name)
{
	for (size_t i = 0; i < plant.config->n_connections; i++)
		if (strcmp(plant.config->connections[i].name, name) == 0)
			return &plant.config->connections[i];
	return NULL;
}

static const struct mapping_config *mapping(const char *name)
{
	for (size_t i = 0; i < plant.config->n_mappings; i++)
		if (strcmp(plant.config->mappings[i].name, name) == 0)
			return &plant.config->mappings[i];
	return NULL;
}

static void test_loads(void)
{
	plant = files_load("good/plant.yaml");
	CU_ASSERT_STRING_EQUAL(plant.errors, "");
	CU_ASSERT_EQUAL(plant.mistakes, 0);
	CU_ASSERT_EQUAL_FATAL(plant.result, 0);
}

static void test_top(void)
{
	const struct config *config = plant.config;
	char *here = realpath("good", NULL);
	CU_ASSERT(strncmp(config->data_dir, here, strlen(here)) == 0);
	CU_ASSERT_STRING_EQUAL(config->data_dir + strlen(here), "/state");
	free(here);
	CU_ASSERT_EQUAL(config->journal.segment_bytes, 8u << 20);
	CU_ASSERT_EQUAL(config->journal.linger_ms, 20);
	CU_ASSERT(config->journal.strict);
	CU_ASSERT_EQUAL(config->log.level, LOG_LEVEL_DEBUG);
	CU_ASSERT_EQUAL(config->shutdown_timeout_ms, 90 * 60 * 1000);
	CU_ASSERT_EQUAL(config->max_transform_bytes, 65536);
	CU_ASSERT_EQUAL(config->max_message_bytes, 32u << 20);
}

static void test_mqtt_connection(void)
{
	const struct connection_config *conn = connection("plant");
	CU_ASSERT_PTR_NOT_NULL_FATAL(conn);
	const struct test_mqtt *mqtt = conn->settings;
	CU_ASSERT_STRING_EQUAL(conn->connector->name, "mqtt");
	CU_ASSERT_EQUAL(conn->delivery, -1);
	CU_ASSERT(conn->line == 10 && conn->column == 3);
	CU_ASSERT_STRING_EQUAL(conn->file, "good/plant.yaml");
	CU_ASSERT_STRING_EQUAL(mqtt->url, "mqtts://broker.plant.local:8883");
	CU_ASSERT_EQUAL(mqtt->version, 0);
	CU_ASSERT_STRING_EQUAL(mqtt->client_id, "7");
	CU_ASSERT_STRING_EQUAL(mqtt->username, "edge");
	CU_ASSERT_STRING_EQUAL(mqtt->password, "geheim");
	CU_ASSERT_EQUAL(mqtt->keepalive_ms, 90000);
	CU_ASSERT(mqtt->tls.ca && mqtt->tls.ca[0] == '/' && strstr(mqtt->tls.ca, "/good/shared/ca.pem"));
	CU_ASSERT_PTR_NULL(mqtt->tls.cert);
}

static void test_outbox(void)
{
	const struct outbox_config *box = &connection("plant")->outbox;
	CU_ASSERT_EQUAL(box->max_bytes, UINT64_C(4) << 30);
	CU_ASSERT_EQUAL(box->ttl_ms, UINT64_C(2) * 24 * 3600 * 1000);
	CU_ASSERT_EQUAL(box->max_attempts, 5);
	CU_ASSERT_EQUAL(box->backoff_min_ms, 1000);
	CU_ASSERT(box->max_rate.messages == 500 && box->max_rate.bytes == 1u << 20 && box->drain == DRAIN_LIVE_FIRST);
	box = &connection("lake")->outbox;
	CU_ASSERT_EQUAL(box->max_bytes, 1u << 30);
	CU_ASSERT_EQUAL(box->max_messages, 0);
	CU_ASSERT_EQUAL(box->when_full, WHEN_FULL_BLOCK);
	CU_ASSERT(box->ttl_ms == 0 && box->max_attempts == 0 && box->window == 0);
	CU_ASSERT(box->backoff_min_ms == 100 && box->backoff_max_ms == 60000);
	CU_ASSERT(box->lookahead == 10000 && box->dead_max_bytes == 256u << 20);
	CU_ASSERT(box->max_rate.messages == 0 && box->max_rate.bytes == 0 && box->drain == DRAIN_OLDEST_FIRST);
}

static void test_lists_and_maps(void)
{
	const struct connection_config *conn = connection("lake");
	const struct test_kafka *kafka = conn->settings;
	CU_ASSERT_EQUAL(conn->delivery, AT_LEAST_ONCE);
	CU_ASSERT_EQUAL_FATAL(kafka->brokers.n, 2);
	CU_ASSERT_STRING_EQUAL(kafka->brokers.items[1].value, "k2:9092");
	CU_ASSERT(kafka->brokers.items[1].line == 28 && kafka->brokers.items[1].column == 24);
	CU_ASSERT_EQUAL_FATAL(kafka->properties.n, 3);
	CU_ASSERT_STRING_EQUAL(kafka->properties.items[1].name, "enable.idempotence");
	CU_ASSERT_STRING_EQUAL(kafka->properties.items[1].value, "true");
	CU_ASSERT_EQUAL(kafka->partitions, 1);
	CU_ASSERT_EQUAL(kafka->batch_bytes, 1000000);
}

static void test_mapping(void)
{
	const struct mapping_config *map = mapping("telemetry");
	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_STRING_EQUAL(plant.config->connections[map->from_connection].name, "plant");
	CU_ASSERT_EQUAL_FATAL(map->filters.n, 2);
	CU_ASSERT_STRING_EQUAL(map->filters.items[0].value, "plant/{line}/{cell}/telemetry/#");
	CU_ASSERT_EQUAL(map->from_qos, 2);
	CU_ASSERT_STRING_EQUAL(map->when, ".quality == \"good\"");
	CU_ASSERT_STRING_EQUAL(map->payload, "{line: $line,\n cell: $cell, v: .value}\n");
	CU_ASSERT(map->on_error == ON_ERROR_PASS && map->max_outputs == 3 && map->delivery == -1);
	CU_ASSERT_EQUAL(map->priority, 4);
	CU_ASSERT_EQUAL_FATAL(map->n_targets, 1);
	const struct target_config *target = &map->targets[0];
	CU_ASSERT_STRING_EQUAL(plant.config->connections[target->connection].name, "lake");
	CU_ASSERT_STRING_EQUAL(target->target, "scada.{line}");
	CU_ASSERT_STRING_EQUAL(target->key, "{cell}");
	CU_ASSERT_STRING_EQUAL(target->content_type, "application/json");
	CU_ASSERT(target->qos == -1 && target->retain == -1);
	CU_ASSERT_EQUAL_FATAL(target->headers.n, 2);
	CU_ASSERT_STRING_EQUAL(target->headers.items[0].value, "Emden-${{x}}");
	CU_ASSERT_EQUAL_FATAL(target->params.n, 1);
	CU_ASSERT_STRING_EQUAL(target->params.items[0].name, "partition");
	CU_ASSERT_STRING_EQUAL(target->params.items[0].value, "{.p}");
}

static void test_more_mappings(void)
{
	const struct mapping_config *map = mapping("alarms");
	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT(map->from_qos == 1 && map->delivery == AT_MOST_ONCE && map->max_outputs == 100);
	CU_ASSERT_EQUAL(map->max_hops, 16);
	CU_ASSERT_EQUAL(map->priority, 9);
	CU_ASSERT(!map->when && !map->payload && map->on_error == ON_ERROR_DEAD_LETTER);
	CU_ASSERT_EQUAL_FATAL(map->n_targets, 2);
	CU_ASSERT(map->targets[0].retain == RETAIN_SKIP);
	CU_ASSERT(map->targets[1].qos == 0 && map->targets[1].retain == 0);
	map = mapping("feed");
	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_PTR_NOT_NULL(map->from_settings);
	CU_ASSERT(map->targets[0].retain == 1 && !map->targets[0].target);
	CU_ASSERT_PTR_NOT_NULL(mapping("from-include"));
	CU_ASSERT_PTR_NOT_NULL(mapping("ready-made"));
	CU_ASSERT_EQUAL(plant.config->n_mappings, 5);
}

static void test_redaction(void)
{
	char *text = config_redact(plant.config, "user edge, password geheim at Emden");
	CU_ASSERT_STRING_EQUAL(text, "user edge, password *** at ***");
	free(text);
	files_unload(&plant);
}

/* Ways that seem to come back, and do not. */
static void test_no_cycles(void)
{
	struct loaded loaded = files_load("good/no-cycles.yaml");
	CU_ASSERT_STRING_EQUAL(loaded.errors, "");
	CU_ASSERT_EQUAL(loaded.result, 0);
	files_unload(&loaded);
}

/* As editors of Windows write files. */
static void test_byte_order_mark(void)
{
	struct loaded loaded = files_load("good/byte-order-mark.yaml");
	CU_ASSERT_STRING_EQUAL(loaded.errors, "");
	CU_ASSERT_EQUAL_FATAL(loaded.result, 0);
	CU_ASSERT(loaded.config->mappings[0].line == 6 && loaded.config->mappings[0].column == 5);
	files_unload(&loaded);
}

static void test_formats(void)
{
	struct loaded loaded = files_load("good/formats.yaml");
	CU_ASSERT_STRING_EQUAL(loaded.errors, "");
	CU_ASSERT_EQUAL_FATAL(loaded.result, 0);
	const struct mapping_config *maps = loaded.config->mappings;
	CU_ASSERT(maps[0].from_format == FORMAT_CBOR && maps[0].targets[0].format == FORMAT_JSON);
	CU_ASSERT(maps[1].from_format == FORMAT_JSON && maps[1].targets[0].format == FORMAT_CBOR);
	CU_ASSERT(maps[3].from_format == FORMAT_TEXT && maps[3].targets[0].format == -1);
	CU_ASSERT_STRING_EQUAL(maps[4].payload_template, "{name} is {.state}");
	files_unload(&loaded);
}

int main(void)
{
	files_enter();
	static const struct tap_test tests[] = {
		{"payloads in every format", test_formats},
		{"a file with everything loads without a word", test_loads},
		{"the top section has its values", test_top},
		{"a connection has its connector's values", test_mqtt_connection},
		{"an outbox has its values and defaults", test_outbox},
		{"lists and maps keep order and place", test_lists_and_maps},
		{"a mapping has its values", test_mapping},
		{"several destinations, settings of a source, included mappings", test_more_mappings},
		{"what is secret can be taken out of a text", test_redaction},
		{"what seems to be a cycle and is none", test_no_cycles},
		{"a file that begins with a byte order mark", test_byte_order_mark},
		{NULL, NULL},
	};
	return tap_main("configuration", tests);
}
