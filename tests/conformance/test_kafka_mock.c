/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the Kafka connector against librdkafka's mock cluster of three brokers.
 */
#include <stdint.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/settings.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/conformance/peer.h"

#define TOPIC       "conformance"
#define N_BROKERS   3
#define MAX_PAYLOAD 900000
#define SLOW_MS     300

static struct kafka_mock *mock;
static struct kafka_reader *reader;
static struct config_text broker, property;
static struct kafka_settings settings;

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static void mock_begin(void)
{
	mock = kafka_mock_new(N_BROKERS);
	kafka_mock_topic(mock, TOPIC, 1);
	reader = kafka_reader_new(mock->brokers, TOPIC, 1);
	broker.value = mock->brokers;
	property = (struct config_text){.name = text("reconnect.backoff.max.ms"), .value = text("100")};
	settings = (struct kafka_settings){
		.brokers = {&broker, 1},
		.client_id = text("conformance"),
		.linger_ms = 5,
		.max_in_flight = 1000,
		.tls = {.verify = true},
		.properties = {&property, 1},
	};
}

static void mock_end(void)
{
	kafka_reader_free(reader);
	kafka_mock_free(mock);
}

static const void *mock_settings(void)
{
	return &settings;
}

/* The mock cluster knows no SASL and hangs up. */
static const void *mock_wrong_credentials(void)
{
	settings.sasl.username = text("nobody");
	settings.sasl.password = text("wrong");
	return &settings;
}

static void mock_lose(void)
{
	kafka_mock_down(mock);
}

static void mock_find(void)
{
	kafka_mock_slow(mock, 0);
	kafka_mock_up(mock);
}

static void mock_slow(void)
{
	kafka_mock_slow(mock, SLOW_MS);
}

static const struct arrivals *mock_arrived(void)
{
	static struct arrivals arrivals;
	kafka_reader_poll(reader);
	arrivals = (struct arrivals){reader->records, reader->n_records};
	return &arrivals;
}

int main(void)
{
	static const struct peer peer = {
		.name = "conformance kafka mock",
		.connector = &kafka_connector,
		.qos = 1,
		.unavailable = kafka_tools_unavailable,
		.begin = mock_begin,
		.end = mock_end,
		.settings = mock_settings,
		.wrong_credentials = mock_wrong_credentials,
		.lose = mock_lose,
		.find = mock_find,
		.slow = mock_slow,
		.target = TOPIC,
		.max_payload = MAX_PAYLOAD,
		.arrived = mock_arrived,
	};
	return conformance_main(&peer);
}
