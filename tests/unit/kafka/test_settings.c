/* SPDX-License-Identifier: Apache-2.0
 *
 * Which settings are complained about and where, and what the accepted ones become in the library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/settings.h"
#include "connectors/kafka/topic_names.h"
#include "tests/conformance/kafka_tools.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal; /* the settings own their strings elsewhere; here nobody frees them */
}

static struct config_text broker = {.value = NULL};

static struct kafka_settings plain_settings(void)
{
	broker.value = text("127.0.0.1:9092");
	return (struct kafka_settings){
		.brokers = {&broker, 1},
		.client_id = text("linkspan"),
		.linger_ms = 5,
		.max_in_flight = 10000,
		.tls = {.verify = true},
	};
}

static struct config_scope complaints_of(const struct kafka_settings *settings)
{
	struct config_scope scope = {.n = 0};
	kafka_settings_check(settings, &scope);
	return scope;
}

static struct config_scope complaints_of_property(const char *name, const char *value)
{
	struct kafka_settings settings = plain_settings();
	struct config_text item = {.name = text(name), .value = text(value)};
	settings.properties = (struct config_list){&item, 1};
	return complaints_of(&settings);
}

static void test_plain_is_good(void)
{
	struct kafka_settings settings = plain_settings();
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
}

static void test_brokers(void)
{
	static const char *const good[] = {
		"k1", "k1:9092", "k1.example.org:1", "10.0.0.1:65535", "[::1]", "[::1]:9092"};
	static const char *const bad[] = {"", ":9092", "k1:", "k1:0", "k1:65536", "k1:x", "k1,k2", "k1 k2",
		"kafka://k1:9092", "ssl://k1", "::1", "[::1", "[]:1", "[::1]x", "k1:90 92"};
	struct kafka_settings settings = plain_settings();
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		broker.value = text(good[i]);
		CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		broker.value = text(bad[i]);
		struct config_scope scope = complaints_of(&settings);
		CU_ASSERT_EQUAL(scope.n, 1);
		CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "brokers");
		CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "0");
	}
	settings.brokers.n = 0;
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0); /* the table of keys has said it */
}

static void test_half_credentials(void)
{
	struct kafka_settings settings = plain_settings();
	settings.sasl.username = text("u");
	settings.tls.cert = text("/etc/hostname");
	struct config_scope scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n, 2);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "sasl");
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "username");
	CU_ASSERT_STRING_EQUAL(scope.complaints[1].key, "tls");
	CU_ASSERT_STRING_EQUAL(scope.complaints[1].item, "cert");
}

static void test_property_is_passed_on(void)
{
	CU_ASSERT_EQUAL(complaints_of_property("compression.type", "zstd").n, 0);
	CU_ASSERT_EQUAL(complaints_of_property("partitioner", "consistent").n, 0); /* a topic property */
	CU_ASSERT_EQUAL(complaints_of_property("acks", "all").n, 0);
	CU_ASSERT_EQUAL(complaints_of_property("acks", "-1").n, 0);
	CU_ASSERT_EQUAL(complaints_of_property("enable.idempotence", "true").n, 0);
}

static void test_property_of_the_library_is_checked(void)
{
	struct config_scope scope = complaints_of_property("compresion.type", "zstd");
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "properties");
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "compresion.type");
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "did you mean 'compression.type'?"));
	scope = complaints_of_property("compression.type", "zip");
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "zip"));
	CU_ASSERT_EQUAL(complaints_of_property("linger.ms", "-5").n, 1);
	CU_ASSERT_EQUAL(complaints_of_property("sasl.oauthbearer.method", "oidc").n, 1); /* Debian's build has none */
}

static void test_promise_cannot_be_broken(void)
{
	static const char *const bad[][2] = {{"acks", "1"}, {"request.required.acks", "0"},
		{"enable.idempotence", "false"}, {"message.timeout.ms", "1000"}, {"delivery.timeout.ms", "1000"},
		{"transactional.id", "x"}, {"dr_msg_cb", "0x1"}, {"error_cb", "0x1"}, {"opaque", "0x1"},
		{"queuing.strategy", "lifo"}, {"delivery.report.only.error", "true"}, {"log.queue", "false"},
		{"enable.gapless.guarantee", "true"}, {"bootstrap.servers", "k9"}, {"metadata.broker.list", "k9"},
		{"default_topic_conf", "x"}, {"interceptors", "x"}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct config_scope scope = complaints_of_property(bad[i][0], bad[i][1]);
		CU_ASSERT_EQUAL(scope.n, 1);
		CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, bad[i][0]);
	}
}

/* Brokers would abort each transaction before it ends. */
static void test_interval_within_timeout(void)
{
	struct kafka_settings settings = plain_settings();
	settings.transaction = (struct kafka_transaction){.interval_ms = 15000, .timeout_ms = 30000};
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
	settings.transaction.interval_ms = 15001;
	struct config_scope scope = complaints_of(&settings);
	CU_ASSERT_EQUAL_FATAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "transaction");
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "interval");
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "half of timeout (30000 ms)"));
}

/* Found only when the properties are seen together. */
static void test_properties_that_disagree(void)
{
	struct config_scope scope = complaints_of_property("max.in.flight", "6");
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "max.in.flight"));
	CU_ASSERT_EQUAL(complaints_of_property("retries", "0").n, 1);
	CU_ASSERT_EQUAL(complaints_of_property("max.in.flight", "5").n, 0);
}

static void write_file(const char *path, const char *what)
{
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(what, file);
	fclose(file);
}

static void test_tls_files_are_tried(void)
{
	struct kafka_settings settings = plain_settings();
	char path[512];
	snprintf(path, sizeof path, "%s/no.pem", tap_tempdir());
	write_file(path, "this is no certificate\n");
	settings.tls.ca = path;
	struct config_scope scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "ca");
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "no certificate"));
}

static void test_passwords(void)
{
	struct kafka_settings settings = plain_settings();
	settings.sasl = (struct kafka_sasl){.username = text("u"), .password = text("p")};
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
	CU_ASSERT_EQUAL(complaints_of(&settings).n_warnings, 0); /* on loopback nobody reads along */
	broker.value = text("127.example.org:9092");
	struct config_scope scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n_warnings, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.warning, "the password"));
	settings.sasl.mechanism = 1; /* SCRAM sends no password */
	CU_ASSERT_EQUAL(complaints_of(&settings).n_warnings, 0);
	settings.sasl.username = settings.sasl.password = NULL;
	scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].item, "mechanism");
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "SCRAM-SHA-256 needs a username"));
}

static void test_tokens(void)
{
	struct kafka_settings settings = plain_settings();
	settings.sasl.mechanism = 3;
	struct config_scope scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "token_url is missing"));
	settings.sasl.oauth.token_url = text("https://id.example.org/token");
	settings.sasl.oauth.client_id = text("edge-7");
	scope = complaints_of(&settings);
	CU_ASSERT_EQUAL(scope.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(scope.complaints[0].text, "client_secret is missing"));
	settings.sasl.oauth.client_secret = text("s");
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0); /* the library takes it too */
	struct config_text extensions[] = {{.name = text("logicalCluster"), .value = text("lkc-1")},
		{.name = text("auth"), .value = text("x")}, {.name = text("a-b"), .value = text("x")}};
	settings.sasl.extensions = (struct config_list){extensions, 1};
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
	settings.sasl.extensions.n = 3;
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 2);
	settings.sasl.extensions.n = 0;
	settings.sasl.username = text("u");
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 1);
	settings.sasl.username = NULL;
	broker.value = text("k1:9092");
	CU_ASSERT_EQUAL(complaints_of(&settings).n_warnings, 1);
	settings.sasl.mechanism = 0; /* tokens for PLAIN */
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 1);
}

static void check_value(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
	char value[256] = "";
	size_t size = sizeof value;
	CU_ASSERT_EQUAL(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
	CU_ASSERT_STRING_EQUAL(value, wanted);
}

/* Brokers refuse what this library says in SCRAM: then it says nothing (gateway.h). */
static void test_scram(void)
{
	struct kafka_settings settings = plain_settings();
	char errstr[256];
	settings.tls.enabled = true;
	settings.sasl = (struct kafka_sasl){.mechanism = 2, .username = text("u"), .password = text("p")};
	rd_kafka_conf_t *conf = kafka_settings_conf(&settings, NULL, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "security.protocol", rd_kafka_version() < 0x02060100 ? "plaintext" : "sasl_ssl");
	rd_kafka_conf_destroy(conf);
	struct config_text item = {.name = text("ssl.cipher.suites"), .value = text("DEFAULT")};
	settings.properties = (struct config_list){&item, 1};
	CU_ASSERT_EQUAL(complaints_of(&settings).n, rd_kafka_version() < 0x02060100 ? 1 : 0);
	settings.sasl.mechanism = 0;
	CU_ASSERT_EQUAL(complaints_of(&settings).n, 0);
}

static void test_into_the_library(void)
{
	struct kafka_settings settings = plain_settings();
	struct config_text brokers[] = {{.value = text("k1:9092")}, {.value = text("k2:9093")}};
	settings.brokers = (struct config_list){brokers, 2};
	settings.compression = 4;
	settings.linger_ms = 7;
	settings.tls.enabled = true;
	settings.tls.verify = false;
	settings.sasl = (struct kafka_sasl){.mechanism = 0, .username = text("u"), .password = text("p")};
	struct config_text item = {.name = text("linger.ms"), .value = text("9")};
	settings.properties = (struct config_list){&item, 1};
	char errstr[256];
	const struct kafka_limits limits = {.batch_bytes = 1234, .one_by_one = true};
	rd_kafka_conf_t *conf = kafka_settings_conf(&settings, &limits, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "bootstrap.servers", "k1:9092,k2:9093");
	check_value(conf, "client.id", "linkspan");
	check_value(conf, "compression.type", "zstd");
	check_value(conf, "linger.ms", "9"); /* properties have the last word */
	check_value(conf, "security.protocol", "sasl_ssl");
	check_value(conf, "sasl.mechanism", "PLAIN");
	check_value(conf, "sasl.username", "u");
	check_value(conf, "sasl.password", "p");
	check_value(conf, "enable.ssl.certificate.verification", "false");
	check_value(conf, "socket.nagle.disable", "true");
	check_value(conf, "enable.idempotence", "true");
	check_value(conf, "batch.size", "1234");
	check_value(conf, "batch.num.messages", "1");
	rd_kafka_conf_destroy(conf);
}

static void check_exact_linger(uint64_t linger_ms, uint64_t interval_ms, const char *wanted)
{
	struct kafka_settings settings = plain_settings();
	char errstr[256];
	settings.linger_ms = linger_ms;
	settings.transaction = (struct kafka_transaction){.interval_ms = interval_ms, .timeout_ms = 30000};
	rd_kafka_conf_t *conf = kafka_settings_conf_exact(&settings, NULL, "id", errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	check_value(conf, "linger.ms", wanted);
	rd_kafka_conf_destroy(conf);
	conf = kafka_settings_conf(&settings, NULL, errstr, sizeof errstr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	char own[24];
	snprintf(own, sizeof own, "%llu", (unsigned long long)linger_ms);
	check_value(conf, "linger.ms", own);
	rd_kafka_conf_destroy(conf);
}

/* There batches may fill for a tenth of the interval, a second at most. */
static void test_linger_in_a_transaction(void)
{
	check_exact_linger(5, 100, "10");
	check_exact_linger(250, 100, "250");
	check_exact_linger(5, 60000, "1000");
	check_exact_linger(5, 9, "5");
}

static void test_target(void)
{
	char longest[251];
	memset(longest, 'a', 250);
	longest[250] = '\0';
	CU_ASSERT_PTR_NOT_NULL(kafka_topic_check(slice_str(longest)));
	longest[249] = '\0';
	CU_ASSERT_PTR_NULL(kafka_topic_check(slice_str(longest)));
	CU_ASSERT_PTR_NULL(kafka_topic_check(slice_str("a.B_c-9")));
	CU_ASSERT_PTR_NULL(kafka_topic_check(slice_str("...")));
	static const char *const bad[] = {"", ".", "..", "a/b", "a b", "a#", "é", "a:b"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(kafka_topic_check(slice_str(bad[i])));
	CU_ASSERT_PTR_NOT_NULL(kafka_topic_check(slice_of("a\0b", 3)));
}

static void test_window(void)
{
	struct kafka_settings settings = {.max_in_flight = 0};
	CU_ASSERT_EQUAL(kafka_settings_window(&settings, false), 16000);
	CU_ASSERT_EQUAL(kafka_settings_window(&settings, true), 120000);
	settings.max_in_flight = 7;
	CU_ASSERT_EQUAL(kafka_settings_window(&settings, false), 7);
	CU_ASSERT_EQUAL(kafka_settings_window(&settings, true), 7);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"plain settings are good", test_plain_is_good},
		{"brokers", test_brokers},
		{"half a credential", test_half_credentials},
		{"any property of the library is passed on", test_property_is_passed_on},
		{"the library checks names and values", test_property_of_the_library_is_checked},
		{"the promise cannot be broken", test_promise_cannot_be_broken},
		{"a transaction may not gather for longer than the brokers allow", test_interval_within_timeout},
		{"properties that disagree", test_properties_that_disagree},
		{"TLS files are tried", test_tls_files_are_tried},
		{"passwords: both or neither, and not in the open", test_passwords},
		{"tokens: all or nothing", test_tokens},
		{"into the library", test_into_the_library},
		{"in a transaction a batch may fill for a tenth of the interval", test_linger_in_a_transaction},
		{"how many are in flight", test_window},
		{"SCRAM by ourselves", test_scram},
		{"legal topics", test_target},
		{NULL, NULL},
	};
	if (kafka_tools_unavailable()) {
		printf("1..0 # SKIP %s\n", kafka_tools_unavailable());
		return 0;
	}
	return tap_main("kafka settings", tests);
}
