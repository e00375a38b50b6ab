/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector reads a topic of the mock cluster.
 */
#include "tests/conformance/kafka_source_peer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/settings.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/conformance/peer.h"

#define TOPIC      "conformance"
#define N_BROKERS  3
#define SLOW_MS    300
#define WRITTEN_MS 60000

static struct kafka_mock *mock;
static rd_kafka_t *producer;
static const char *group_name;
static struct config_text broker, properties[3];
static struct kafka_settings settings;

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void source_begin(void)
{
	char errstr[256];
	mock = kafka_mock_new(N_BROKERS);
	kafka_mock_topic(mock, TOPIC, 1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", mock->brokers, errstr, sizeof errstr);
	rd_kafka_conf_set(conf, "linger.ms", "0", errstr, sizeof errstr);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof errstr);
	if (!producer) {
		printf("Bail out! rd_kafka_new: %s\n", errstr);
		exit(1);
	}
	broker.value = mock->brokers;
	properties[0] = (struct config_text){.name = text("reconnect.backoff.max.ms"), .value = text("100")};
	properties[1] = (struct config_text){.name = text("fetch.wait.max.ms"), .value = text("50")};
	properties[2] = (struct config_text){.name = text("heartbeat.interval.ms"), .value = text("100")};
	settings = (struct kafka_settings){
		.brokers = {&broker, 1},
		.client_id = text("conformance"),
		.linger_ms = 5,
		.max_in_flight = 1000,
		.tls = {.verify = true},
		.group = text(group_name),
		.hold_messages = 1000,
		.hold_bytes = 1 << 20,
		.properties = {properties, 3},
	};
}

static void source_end(void)
{
	rd_kafka_destroy(producer);
	kafka_mock_free(mock);
}

static const void *source_settings(void)
{
	return &settings;
}

/* The mock cluster knows no SASL and hangs up. */
static const void *source_wrong_credentials(void)
{
	settings.sasl.username = text("nobody");
	settings.sasl.password = text("wrong");
	return &settings;
}

static void source_slow(void)
{
	kafka_mock_slow(mock, SLOW_MS);
}

static void source_publish(struct slice payload)
{
	rd_kafka_resp_err_t err = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(0),
		RD_KAFKA_V_VALUE((void *)(uintptr_t)payload.data, payload.len),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	if (!err)
		err = rd_kafka_flush(producer, WRITTEN_MS);
	if (!err)
		return;
	printf("Bail out! produce: %s\n", rd_kafka_err2str(err));
	exit(1);
}

int kafka_source_peer_main(const char *name, const char *group)
{
	static const struct link_subscription subscription = {.filter = TOPIC, .qos = 1};
	static struct peer peer;
	group_name = group;
	peer = (struct peer){
		.name = name,
		.connector = &kafka_connector,
		.qos = 1,
		.unavailable = kafka_tools_unavailable,
		.begin = source_begin,
		.end = source_end,
		.settings = source_settings,
		.wrong_credentials = source_wrong_credentials,
		.slow = source_slow,
		.subscription = &subscription,
		.ready_event = "kafka_partition_begins",
		.publish = source_publish,
		.repeats = true,
	};
	return conformance_main(&peer);
}
