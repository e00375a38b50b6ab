/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of connectors that do nothing, and those of real ones whose keys have files of their own in broken/.
 */
#include "tests/unit/config/connectors.h"

#include <string.h>

#include "connectors/coap/coap.h"
#include "routing/topic_filter.h"

#define MQTT(member)  offsetof(struct test_mqtt, member)
#define KAFKA(member) offsetof(struct test_kafka, member)

static const char *const version_choices[] = {"5", "3.1.1", NULL};

static const struct config_key tls_keys[] = {
	{.name = "ca", .type = CONFIG_PATH, .offset = MQTT(tls.ca) - MQTT(tls), .help = "Authorities."},
	{.name = "cert", .type = CONFIG_PATH, .offset = MQTT(tls.cert) - MQTT(tls), .help = "Certificate."},
	{0},
};
static const struct config_key mqtt_keys[] = {
	{.name = "url",
		.type = CONFIG_STRING,
		.offset = MQTT(url),
		.required = true,
		.pattern = "mqtts?://.*",
		.example = "mqtt://localhost",
		.help = "Address of the broker."},
	{.name = "version",
		.type = CONFIG_ENUM,
		.offset = MQTT(version),
		.fallback = "5",
		.choices = version_choices,
		.help = "Version of MQTT."},
	{.name = "client_id", .type = CONFIG_STRING, .offset = MQTT(client_id), .help = "Client identifier."},
	{.name = "username", .type = CONFIG_STRING, .offset = MQTT(username), .help = "User name."},
	{.name = "password", .type = CONFIG_SECRET, .offset = MQTT(password), .help = "Password."},
	{.name = "clean_start",
		.type = CONFIG_BOOL,
		.offset = MQTT(clean_start),
		.fallback = "false",
		.help = "Begin anew."},
	{.name = "keepalive",
		.type = CONFIG_DURATION,
		.offset = MQTT(keepalive_ms),
		.fallback = "60s",
		.min = 1000,
		.max = 65535000,
		.help = "Longest silence."},
	{.name = "tls", .type = CONFIG_SECTION, .offset = MQTT(tls), .children = tls_keys, .help = "Encryption."},
	{0},
};

static void mqtt_check(const void *settings, struct config_scope *scope)
{
	const struct test_mqtt *mqtt = settings;
	if (!mqtt->url)
		return; /* reported by the table */
	if (strncmp(mqtt->url, "mqtt://", 7) != 0 && strncmp(mqtt->url, "mqtts://", 8) != 0)
		config_complain(scope, "url", NULL, "'%s' is not an address; write mqtt://host:port", mqtt->url);
	if (mqtt->tls.ca && strncmp(mqtt->url, "mqtts://", 8) != 0)
		config_complain(scope, "tls", "ca", "the url has no TLS; use mqtts://");
	if (mqtt->password && !mqtt->username)
		config_complain(scope, "password", NULL, "'%s' without a user name; add username", mqtt->password);
}

static const char *mqtt_check_qos(const void *settings, uint8_t qos)
{
	const struct test_mqtt *mqtt = settings;
	return qos > 1 && mqtt->version != 0 ? "this connection carries qos 0 and 1; use 1" : NULL;
}

static const char *mqtt_check_overlap(const void *settings)
{
	const struct test_mqtt *mqtt = settings;
	return mqtt->version != 0 ? "each brings a copy; use version 5" : NULL;
}

static bool mqtt_carries_headers(const void *settings)
{
	const struct test_mqtt *mqtt = settings;
	return mqtt->version == 0;
}

static enum guarantee mqtt_guarantee(const void *settings, uint8_t qos)
{
	(void)settings;
	return (enum guarantee)qos; /* 0, 1, 2: at most, at least, exactly */
}

static enum guarantee mqtt_sink_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)declared;
	return mqtt_guarantee(settings, qos);
}

static const struct config_key kafka_keys[] = {
	{.name = "brokers",
		.type = CONFIG_LIST,
		.offset = KAFKA(brokers),
		.required = true,
		.help = "Addresses of brokers."},
	{.name = "properties", .type = CONFIG_MAP, .offset = KAFKA(properties), .help = "Anything else."},
	{.name = "partitions",
		.type = CONFIG_INT,
		.offset = KAFKA(partitions),
		.fallback = "1",
		.min = 1,
		.max = 1000,
		.help = "Partitions."},
	{.name = "batch",
		.type = CONFIG_SIZE,
		.offset = KAFKA(batch_bytes),
		.fallback = "1MB",
		.min = 1000,
		.max = 10000000,
		.help = "Largest batch."},
	{.name = "transactions",
		.type = CONFIG_BOOL,
		.offset = KAFKA(transactions),
		.help = "Can it keep exactly-once?"},
	{0},
};
static const struct config_key kafka_to_keys[] = {
	{.name = "partition", .type = CONFIG_TEMPLATE, .help = "Partition, else the key's."},
	{0},
};

static void kafka_check(const void *settings, struct config_scope *scope)
{
	const struct test_kafka *kafka = settings;
	for (size_t i = 0; i < kafka->properties.n; i++)
		if (!strchr(kafka->properties.items[i].name, '.'))
			config_complain(scope, "properties", kafka->properties.items[i].name,
				"no such property; see librdkafka's CONFIGURATION.md");
	for (size_t i = 0; i < kafka->brokers.n; i++) {
		char index[2] = {(char)('0' + i), '\0'};
		if (!strchr(kafka->brokers.items[i].value, ':'))
			config_complain(scope, "brokers", index, "the port is missing; write host:port");
	}
}

static const char *kafka_check_target(const void *settings, struct slice target)
{
	(void)settings;
	return memchr(target.data, '/', target.len) ? "a Kafka topic has no slash; use dots" : NULL;
}

static const char *kafka_check_param(const void *settings, const char *name, struct slice value)
{
	(void)settings;
	if (!value.data)
		return NULL;
	bool is_number = value.len > 0 && value.data[0] >= '0' && value.data[0] <= '9';
	return strcmp(name, "partition") == 0 && !is_number ? "a partition is a number" : NULL;
}

static enum guarantee kafka_guarantee(const void *settings, uint8_t qos, bool declared)
{
	const struct test_kafka *kafka = settings;
	(void)qos;
	return kafka->transactions && declared ? EXACTLY_ONCE : AT_LEAST_ONCE;
}

struct mqtt_from {
	bool no_local;
};
static const struct config_key mqtt_from_keys[] = {
	{.name = "no_local",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct mqtt_from, no_local),
		.help = "Not what comes from here."},
	{0},
};

static bool mqtt_ignores_own(const void *settings, const void *from_settings)
{
	(void)settings;
	return ((const struct mqtt_from *)from_settings)->no_local;
}

static bool mqtt_asks_for_replies(const void *settings)
{
	return mqtt_carries_headers(settings);
}

static const char *mqtt_check_received(const void *settings, struct slice header)
{
	if (!header.data)
		return "there are no keys; use {topic}";
	return mqtt_carries_headers(settings) ? NULL : "there are no headers; use version 5";
}

static const char *mqtt_check_target(const void *settings, struct slice target)
{
	(void)settings;
	return topic_name_check(target);
}

static const struct connector mqtt = {
	.name = "mqtt",
	.help = "An MQTT broker.",
	.connection_keys = mqtt_keys,
	.settings_size = sizeof(struct test_mqtt),
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.check = mqtt_check,
	.from_keys = mqtt_from_keys,
	.from_size = sizeof(struct mqtt_from),
	.one_per_filter = true,
	.ignores_own = mqtt_ignores_own,
	.check_overlap = mqtt_check_overlap,
	.carries_headers = mqtt_carries_headers,
	.check_received = mqtt_check_received,
	.asks_for_replies = mqtt_asks_for_replies,
	.check_target = mqtt_check_target,
	.check_qos = mqtt_check_qos,
	.source_guarantee = mqtt_guarantee,
	.sink_guarantee = mqtt_sink_guarantee,
};
static const struct connector kafka = {
	.name = "kafka",
	.help = "A Kafka cluster.",
	.connection_keys = kafka_keys,
	.settings_size = sizeof(struct test_kafka),
	.target_key = "topic",
	.to_keys = kafka_to_keys,
	.can_sink = true,
	.check = kafka_check,
	.check_target = kafka_check_target,
	.check_param = kafka_check_param,
	.sink_guarantee = kafka_guarantee,
	.exactly_once_in_order = true,
};

static enum guarantee feed_guarantee(const void *settings, uint8_t qos)
{
	(void)settings, (void)qos;
	return AT_LEAST_ONCE;
}

struct feed_from {
	char *after;
	int64_t limit;
};
static const struct config_key feed_from_keys[] = {
	{.name = "after",
		.type = CONFIG_STRING,
		.offset = offsetof(struct feed_from, after),
		.fallback = "start",
		.help = "Where to begin."},
	{.name = "limit", .type = CONFIG_INT, .offset = offsetof(struct feed_from, limit), .help = "How many at once."},
	{0},
};
static const struct config_key feed_keys[] = {
	{.name = "path", .type = CONFIG_PATH, .offset = 0, .required = true, .help = "File to read."},
	{0},
};
static const struct connector feed = {
	.name = "feed",
	.help = "A file that grows.",
	.connection_keys = feed_keys,
	.settings_size = sizeof(char *),
	.from_keys = feed_from_keys,
	.from_size = sizeof(struct feed_from),
	.target_key = "path",
	.can_source = true,
	.source_guarantee = feed_guarantee,
};

struct test_hook {
	int64_t batch;
};
static const struct config_key hook_keys[] = {
	{.name = "per_request",
		.type = CONFIG_INT,
		.offset = offsetof(struct test_hook, batch),
		.help = "Messages of one request."},
	{0},
};

static struct batching hook_batching(const void *settings)
{
	return (struct batching){.max_messages = (uint32_t)((const struct test_hook *)settings)->batch};
}

static enum guarantee hook_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)settings, (void)qos, (void)declared;
	return AT_LEAST_ONCE;
}

static bool gives_replies(const void *settings)
{
	(void)settings;
	return true;
}

static const struct connector hook = {
	.name = "hook",
	.help = "A server that answers.",
	.connection_keys = hook_keys,
	.settings_size = sizeof(struct test_hook),
	.target_key = "path",
	.can_sink = true,
	.gives_replies = gives_replies,
	.batching = hook_batching,
	.sink_guarantee = hook_guarantee,
};

static const char *log_warn_open_target(const void *settings)
{
	return *(char *const *)settings ? NULL : "anybody may choose it; set topics";
}

static const struct config_key log_keys[] = {
	{.name = "topics", .type = CONFIG_STRING, .offset = 0, .help = "Which."},
	{0},
};
static enum guarantee log_guarantee(const void *settings, uint8_t qos, bool declared)
{
	(void)settings, (void)qos, (void)declared;
	return AT_LEAST_ONCE;
}

static const struct connector topic_log = {
	.name = "log",
	.help = "Topics whose levels end with a dot.",
	.connection_keys = log_keys,
	.settings_size = sizeof(char *),
	.target_key = "topic",
	.can_source = true,
	.can_sink = true,
	.level_separator = '.',
	.warn_open_target = log_warn_open_target,
	.source_guarantee = feed_guarantee,
	.sink_guarantee = log_guarantee,
};

const struct connector *const test_connectors[] = {&mqtt, &kafka, &feed, &topic_log, &hook, NULL};
const struct connector *const file_connectors[] = {&mqtt, &kafka, &feed, &topic_log, &hook, &coap_connector, NULL};
