/* SPDX-License-Identifier: Apache-2.0
 *
 * What a consumer is configured with, and which properties may not be changed.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/client.h"
#include "connectors/kafka/consumer_conf.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static struct config_text broker, items[4];

static struct kafka_settings settings_of(size_t n_properties)
{
	broker.value = text("127.0.0.1:9092");
	return (struct kafka_settings){.brokers = {&broker, 1},
		.client_id = text("linkspan"),
		.max_in_flight = 1,
		.cursor_topic = text("cursor"),
		.transaction = {.timeout_ms = 10000},
		.tls = {.verify = true},
		.properties = {items, n_properties}};
}

static void check_value(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
	char value[256] = "?";
	size_t size = sizeof value;
	if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK || strcmp(value, wanted) != 0)
		printf("# %s is %s\n", name, value);
	CU_ASSERT_STRING_EQUAL(value, wanted);
}

/* Credentials that come as properties, or none. */
static void check_woken(size_t n_properties)
{
	char errstr[256];
	items[0] = (struct config_text){.name = text("sasl.username"), .value = text("u")};
	items[1] = (struct config_text){.name = text("sasl.password"), .value = text("p")};
	struct kafka_settings settings = settings_of(n_properties);
	rd_kafka_conf_t *conf = kafka_consumer_conf(&settings, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	rd_kafka_t *rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, &settings, NULL, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rk);
	kafka_client_wake(rk);
	check_value(rd_kafka_conf(rk), "sasl.username", n_properties ? "u" : "");
	check_value(rd_kafka_conf(rk), "sasl.password", n_properties ? "p" : "");
	kafka_client_destroy(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void test_woken(void)
{
	check_woken(2);
	check_woken(0);
}

static void test_into_the_library(void)
{
	char errstr[256];
	items[0] = (struct config_text){.name = text("isolation.level"), .value = text("read_uncommitted")};
	items[1] = (struct config_text){.name = text("batch.size"), .value = text("12345")}; /* not for a consumer */
	items[2] = (struct config_text){.name = text("client.rack"), .value = text("r1")};
	struct kafka_settings settings = settings_of(3);
	rd_kafka_conf_t *conf = kafka_consumer_conf(&settings, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "bootstrap.servers", "127.0.0.1:9092");
	check_value(conf, "isolation.level", "read_uncommitted");
	check_value(conf, "batch.size", "1000000");
	check_value(conf, "client.rack", "r1");
	check_value(conf, "enable.auto.commit", "false");
	check_value(conf, "enable.auto.offset.store", "false");
	check_value(conf, "auto.offset.reset", "error");
	check_value(conf, "enable.partition.eof", "true");
	check_value(conf, "socket.nagle.disable", "true");
	check_value(conf, "check.crcs", "true");
	check_value(conf, "partition.assignment.strategy", "range,roundrobin");
	rd_kafka_conf_destroy(conf);
	settings = settings_of(0);
	settings.group = text("g");
	conf = kafka_consumer_conf(&settings, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "isolation.level", "read_committed");
	check_value(conf, "group.id", "g");
	rd_kafka_conf_destroy(conf);
}

/* Nor do they reach the other side: a producer that is given a consumer's property says so in its log. */
static void test_each_its_own(void)
{
	char errstr[256];
	items[0] = (struct config_text){.name = text("session.timeout.ms"), .value = text("7777")};
	struct kafka_settings settings = settings_of(1);
	rd_kafka_conf_t *conf = kafka_settings_conf(&settings, NULL, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "session.timeout.ms", "45000");
	rd_kafka_conf_destroy(conf);
}

static unsigned complaints_of(const char *name, const char *value)
{
	struct config_scope scope = {.n = 0};
	items[0] = (struct config_text){.name = text(name), .value = text(value)};
	struct kafka_settings settings = settings_of(1);
	kafka_settings_check(&settings, &scope);
	if (scope.n && scope.complaints[0].item[0])
		CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, name);
	return scope.n;
}

static void test_the_promise(void)
{
	static const char *const bad[][2] = {{"group.id", "g"}, {"enable.auto.commit", "true"},
		{"auto.commit.enable", "true"}, {"enable.auto.offset.store", "true"}, {"auto.offset.reset", "earliest"},
		{"enable.partition.eof", "false"}, {"offset.store.method", "file"}, {"group.protocol.type", "x"},
		{"partition.assignment.strategy", "cooperative-sticky"},
		{"partition.assignment.strategy", "range,cooperative-sticky"}, {"partition.assignment.strategy", ""},
		{"isolation.level", "serializable"}, {"fetch.max.bytes", "1"}};
	static const char *const good[][2] = {{"enable.auto.commit", "false"}, {"enable.auto.offset.store", "0"},
		{"auto.offset.reset", "error"}, {"enable.partition.eof", "true"},
		{"partition.assignment.strategy", "roundrobin"}, {"partition.assignment.strategy", "range,roundrobin"},
		{"isolation.level", "read_uncommitted"}, {"session.timeout.ms", "10000"}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		unsigned n = complaints_of(bad[i][0], bad[i][1]);
		if (n != 1)
			printf("# %s=%s: %u complaints\n", bad[i][0], bad[i][1], n);
		CU_ASSERT_EQUAL(n, 1);
	}
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_EQUAL(complaints_of(good[i][0], good[i][1]), 0);
}

static void test_group(void)
{
	struct config_scope scope = {.n = 0};
	struct kafka_settings settings = settings_of(0);
	settings.group = text("");
	CU_ASSERT_FALSE(kafka_consumer_check(&settings, &scope));
	settings.group = text("\xff");
	CU_ASSERT_FALSE(kafka_consumer_check(&settings, &scope));
	settings.group = text("gr\xc3\xbcppe 1");
	CU_ASSERT_TRUE(kafka_consumer_check(&settings, &scope));
	CU_ASSERT_EQUAL(scope.n, 2);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "group");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"into the library", test_into_the_library},
		{"a client that is woken logs in as before", test_woken},
		{"a producer is not given a consumer's properties", test_each_its_own},
		{"the promise cannot be broken", test_the_promise},
		{"names of groups", test_group},
		{NULL, NULL},
	};
	if (kafka_tools_unavailable()) {
		printf("1..0 # SKIP %s\n", kafka_tools_unavailable());
		return 0;
	}
	return tap_main("kafka consumer conf", tests);
}
