/* SPDX-License-Identifier: Apache-2.0
 *
 * What a real Kafka refuses, and what the link makes of it (LINKSPAN_TEST_KAFKA=host:port, else skipped). The mock
 * cluster cannot judge a batch by what is in it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connectors/kafka/kafka.h"
#include "connectors/kafka/settings.h"
#include "runtime/log.h"
#include "tests/conformance/fake_host.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/unit/tap.h"

static char topic[64];
static struct config_text broker;
static struct kafka_settings settings;
static struct kafka_reader *reader;

static struct fake_host *begin(const char *property, const char *value)
{
	static unsigned number;
	broker.value = getenv("LINKSPAN_TEST_KAFKA");
	snprintf(topic, sizeof topic, "refusals-%ld-%u", (long)getpid(), ++number);
	kafka_topic_new(broker.value, topic, 1, property, value);
	reader = kafka_reader_new(broker.value, topic, 1);
	settings = (struct kafka_settings){
		.brokers = {&broker, 1},
		.client_id = (char *)(uintptr_t) "refusals",
		.linger_ms = 20,
		.max_in_flight = 1000,
		.tls = {.verify = true},
	};
	struct fake_host *fake = fake_host_new(&kafka_connector, &settings, true, NULL, 0);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	return fake;
}

static void end(struct fake_host *fake)
{
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->breaches, 0);
	fake_host_free(fake);
	kafka_reader_free(reader);
}

static uint64_t deliver(struct fake_host *fake, struct slice payload, const char *key)
{
	struct message_view view = {.topic = slice_str(topic),
		.payload = payload,
		.key = slice_str(key),
		.order_key = slice_str("k"),
		.origin_ms = loop_wall_ms(fake->loop)};
	return fake_host_deliver(fake, &view);
}

struct wanted {
	size_t n;
};

static bool has_records(void *arg)
{
	const struct wanted *wanted = arg;
	kafka_reader_poll(reader);
	return reader->n_records >= wanted->n;
}

/* All but `culprit` are delivered and can be read. */
static void check_only(struct fake_host *fake, uint64_t culprit)
{
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	unsigned wrong = 0;
	for (uint64_t seq = 1; seq <= fake->n_deliveries; seq++)
		wrong += fake_host_delivery(fake, seq)->outcome !=
			 (seq == culprit ? OUTCOME_REJECTED : OUTCOME_DELIVERED);
	CU_ASSERT_EQUAL(wrong, 0);
	struct wanted wanted = {fake->n_deliveries - 1};
	CU_ASSERT_TRUE(fake_host_run_until(fake, has_records, &wanted));
	printf("# culprit: %s; producers: %u\n", fake_host_delivery(fake, culprit)->reason, fake->ups);
}

static void test_too_large(void)
{
	struct fake_host *fake = begin("max.message.bytes", "2000");
	static uint8_t large[3000];
	uint64_t culprit = 0;
	for (unsigned i = 0; i < 500; i++) {
		deliver(fake, slice_str("a small message, one of many in its batch"), "k");
		if (i == 250)
			culprit = deliver(fake, slice_of(large, sizeof large), "k");
	}
	check_only(fake, culprit);
	unsigned downs = fake->downs;
	uint64_t again = deliver(fake, slice_of(large, sizeof large), "k"); /* now that the size has been learnt */
	deliver(fake, slice_str("small"), "k");
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(fake_host_delivery(fake, again)->outcome, OUTCOME_REJECTED);
	CU_ASSERT_EQUAL(fake->downs, downs);
	end(fake);
}

static void test_no_key_for_a_compacted_topic(void)
{
	struct fake_host *fake = begin("cleanup.policy", "compact");
	uint64_t culprit = 0;
	for (unsigned i = 0; i < 500; i++) {
		deliver(fake, slice_str("with a key"), "k");
		if (i == 250)
			culprit = deliver(fake, slice_str("without"), NULL);
	}
	check_only(fake, culprit);
	end(fake);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"one message too large for its topic", test_too_large},
		{"one message without a key for a compacted topic", test_no_key_for_a_compacted_topic},
		{NULL, NULL},
	};
	const char *why = getenv("LINKSPAN_TEST_KAFKA") ? kafka_tools_unavailable() : "LINKSPAN_TEST_KAFKA is not set";
	if (why) {
		printf("1..0 # SKIP %s\n", why);
		return 0;
	}
	log_set_level(getenv("V") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	return tap_main("kafka refusals", tests);
}
