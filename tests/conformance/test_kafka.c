/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the Kafka connector against a real cluster: LINKSPAN_TEST_KAFKA=host:port (tests/lib/with-brokers.py
 * starts one). What breaks the peer is left to the mock cluster and to the integration tests.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/settings.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/conformance/peer.h"

#define MAX_PAYLOAD 900000

static char topic[64]; /* a topic of its own for each test */
static struct kafka_reader *reader;
static struct config_text broker;
static struct kafka_settings settings;
static struct peer peer;
static unsigned failures; /* before the current test */

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static const char *kafka_unavailable(void)
{
	return getenv("LINKSPAN_TEST_KAFKA") ? kafka_tools_unavailable() : "LINKSPAN_TEST_KAFKA is not set";
}

static void kafka_begin(void)
{
	static unsigned number;
	failures = CU_get_number_of_failures();
	broker.value = getenv("LINKSPAN_TEST_KAFKA");
	snprintf(topic, sizeof topic, "conformance-%ld-%u", (long)getpid(), ++number);
	kafka_topic_new(broker.value, topic, 1, NULL, NULL);
	reader = kafka_reader_new(broker.value, topic, 1);
	settings = (struct kafka_settings){
		.brokers = {&broker, 1},
		.client_id = text("conformance"),
		.compression = 3, /* lz4 */
		.linger_ms = 5,
		.max_in_flight = 1000,
		.tls = {.verify = true},
	};
}

static void kafka_end(void)
{
	if (CU_get_number_of_failures() > failures)
		kafka_reader_explain(reader);
	kafka_reader_free(reader);
}

static const void *kafka_settings(void)
{
	return &settings;
}

/* The listener is a plain one and hangs up on SASL. */
static const void *kafka_wrong_credentials(void)
{
	settings.sasl.username = text("nobody");
	settings.sasl.password = text("wrong");
	return &settings;
}

static const struct arrivals *kafka_arrived(void)
{
	static struct arrivals arrivals;
	kafka_reader_poll(reader);
	arrivals = (struct arrivals){reader->records, reader->n_records};
	return &arrivals;
}

int main(void)
{
	peer = (struct peer){
		.name = "conformance kafka",
		.connector = &kafka_connector,
		.qos = 1,
		.unavailable = kafka_unavailable,
		.begin = kafka_begin,
		.end = kafka_end,
		.settings = kafka_settings,
		.wrong_credentials = kafka_wrong_credentials,
		.target = topic,
		.max_payload = MAX_PAYLOAD,
		.arrived = kafka_arrived,
	};
	return conformance_main(&peer);
}
