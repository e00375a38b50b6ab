/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector reads a topic of the mock cluster.
 */
#include "tests/conformance/kafka_source_peer.h"

#include <stdint.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/settings.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/conformance/peer.h"

#define TOPIC     "conformance"
#define N_BROKERS 3
#define SLOW_MS   300

static struct kafka_mock *mock;
static const char *group_name;
static struct config_text broker, properties[3];
static struct kafka_settings settings;

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void source_begin(void)
{
	mock = kafka_mock_new(N_BROKERS);
	kafka_mock_topic(mock, TOPIC, 1);
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
	kafka_mock_publish(mock, TOPIC, payload);
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
