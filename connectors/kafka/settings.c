/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, checks and the way into rd_kafka_conf_t. Order of precedence: our defaults, our own keys,
 * `properties:`, and last what the promise needs, which nothing overrides.
 */
#include "connectors/kafka/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/suggest.h"
#include "connectors/kafka/consumer_conf.h"
#include "connectors/kafka/topic_names.h"

static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};
static const char *const mqtt_headers[] = {"none", "properties", "all", NULL};
static const char *const topic_characters[] = {"refuse", "escape", NULL};

/* In flight. Without transactions no more than what is on its way through a quick link: what is written and read back from far apart
 * is no longer in the caches. A transaction is the quicker the larger it is. */
#define WINDOW              16000u
#define EXACT_WINDOW        120000u
#define EXACT_MAX_LINGER_MS 1000u
#define EXACT_LINGERS       10u /* in an interval, if `linger` is not longer */

#define TRANSACTION(member) offsetof(struct kafka_transaction, member)

static const struct config_key transaction_keys[] = {
	{.name = "interval",
		.type = CONFIG_DURATION,
		.offset = TRANSACTION(interval_ms),
		.fallback = "100ms",
		.min = 1,
		.max = 60000,
		.help = "How long a transaction gathers messages before it is committed: so much later do readers see "
			"them. Not more "
			"than half of `timeout`."},
	{.name = "max_messages",
		.type = CONFIG_INT,
		.offset = TRANSACTION(max_messages),
		.fallback = "100000",
		.min = 1,
		.max = 1000000,
		.help = "With that many messages it is committed at once, and with three quarters of max_in_flight "
			"once the one "
			"before it is."},
	{.name = "max_bytes",
		.type = CONFIG_SIZE,
		.offset = TRANSACTION(max_bytes),
		.fallback = "64MiB",
		.min = 1,
		.max = 1 << 30,
		.help = "With that many bytes of memory it is committed at once, and with 48 MiB (3 MiB with a "
			"max_in_flight below "
			"4096) once the one before it is."},
	{.name = "timeout",
		.type = CONFIG_DURATION,
		.offset = TRANSACTION(timeout_ms),
		.fallback = "30s",
		.min = 1000,
		.max = 900000,
		.help = "When linkspan vanishes in the middle of a transaction, the cluster gives that up after so "
			"long; until then "
			"readers wait. Not more than the brokers' transaction.max.timeout.ms."},
	{.name = NULL},
};

const struct config_key kafka_connection_keys[] = {
	{.name = "brokers",
		.others = "bootstrap_servers bootstrap servers hosts url host broker metadata_broker_list addresses "
			  "endpoints",
		.type = CONFIG_LIST,
		.offset = offsetof(struct kafka_settings, brokers),
		.required = true,
		.pattern = "[^/,\\s]+",
		.example = "kafka-1.example.org:9092",
		.help = "Some of the cluster's brokers, host:port each (port 9092 if left out); the others "
			"are learnt from "
			"them."},
	{.name = "client_id",
		.type = CONFIG_STRING,
		.offset = offsetof(struct kafka_settings, client_id),
		.fallback = "linkspan",
		.help = "Name under which the brokers log us and count our quota."},
	{.name = "compression",
		.others = "compression_type compression_codec codec",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_settings, compression),
		.fallback = "none",
		.choices = compressions,
		.help = "Codec for batches of messages."},
	{.name = "linger",
		.others = "linger_ms queue_buffering_max_ms",
		.type = CONFIG_DURATION,
		.offset = offsetof(struct kafka_settings, linger_ms),
		.fallback = "5ms",
		.min = 0,
		.max = 10000,
		.help = "How long a message may wait for others to fill a batch; in a transaction for a tenth of "
			"its interval, if that is longer."},
	{.name = "max_in_flight",
		.type = CONFIG_INT,
		.offset = offsetof(struct kafka_settings, max_in_flight),
		.fallback = "0",
		.min = 0,
		.max = 1000000,
		.help = "Messages handed to the cluster and not yet acknowledged, at most. 0: 16000, in transactions "
			"120000."},
	{.name = "transaction",
		.type = CONFIG_SECTION,
		.offset = offsetof(struct kafka_settings, transaction),
		.children = transaction_keys,
		.help = "The transactions with which messages are written where exactly-once is declared."},
	{.name = "cursor_topic",
		.type = CONFIG_STRING,
		.offset = offsetof(struct kafka_settings, cursor_topic),
		.fallback = "linkspan-cursor",
		.help = "Compacted topic in which exactly-once destinations keep how far they are, one record per "
			"destination and "
			"transaction. Made with one partition if it is not there."},
	{.name = "tls",
		.others = "ssl security_protocol",
		.type = CONFIG_SECTION,
		.offset = offsetof(struct kafka_settings, tls),
		.children = kafka_tls_keys,
		.help = "TLS towards the brokers."},
	{.name = "sasl",
		.others = "auth authentication security",
		.type = CONFIG_SECTION,
		.offset = offsetof(struct kafka_settings, sasl),
		.children = kafka_sasl_keys,
		.help = "User name and password. Other mechanisms (GSSAPI) are set up through properties."},
	{.name = "group",
		.others = "group_id consumer_group groupid",
		.type = CONFIG_STRING,
		.offset = offsetof(struct kafka_settings, group),
		.help = "Source: consumer group. Instances with the same group share the partitions of their topics, "
			"and "
			"where they stand is committed to Kafka once it is on disk. Left out: all partitions are read, "
			"and the "
			"journal alone knows where they stand."},
	{.name = "from",
		.others = "auto_offset_reset offset start start_from initial_offset offsets",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_settings, from),
		.fallback = "beginning",
		.choices = kafka_from_choices,
		.help = "Source: where a partition begins of which neither the journal nor the group knows a position. "
			"stored: it is "
			"not read. A partition that comes while linkspan reads begins at its beginning, whatever this "
			"says."},
	{.name = "on_offset_reset",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_settings, on_offset_reset),
		.fallback = "stop",
		.choices = kafka_reset_choices,
		.help = "Source: what to do with a partition whose position is no longer there, because its topic was "
			"made anew, "
			"or its records were deleted before linkspan had them. stop: that partition is not read until "
			"this is changed; "
			"others are. beginning, end: it goes on there, and the log says what was left out."},
	{.name = "hold_messages",
		.type = CONFIG_INT,
		.offset = offsetof(struct kafka_settings, hold_messages),
		.fallback = "10000",
		.min = 1,
		.max = 10000000,
		.help = "Source: records held in memory between the library and the journal, at most, give or take "
			"500."},
	{.name = "hold_bytes",
		.type = CONFIG_SIZE,
		.offset = offsetof(struct kafka_settings, hold_bytes),
		.fallback = "16MiB",
		.min = 65536,
		.max = INT64_C(1) << 40,
		.help = "Source: the same in bytes. The library's own buffer (queued.max.messages.kbytes, 16384) comes "
			"on top."},
	{.name = "topics_allowed",
		.others = "topics allowed_topics allow_topics",
		.type = CONFIG_LIST,
		.offset = offsetof(struct kafka_settings, topics_allowed),
		.help = "Topics that mappings may write to; * stands for any characters, as in scada.*. A message for "
			"another one becomes a dead letter and the topic is not created. Default: every topic, so who "
			"chooses what a template inserts may choose the topic."},
	{.name = "topic_characters",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_settings, topic_characters),
		.fallback = "refuse",
		.choices = topic_characters,
		.help = "What becomes of characters that a Kafka topic cannot have. refuse: the message becomes a dead "
			"letter. escape: what a template inserts into a topic is written with the characters that "
			"there "
			"are, / as a dot; and of what is read, {topic} and captures are turned back."},
	{.name = "mqtt_headers",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_settings, mqtt_headers),
		.fallback = "properties",
		.choices = mqtt_headers,
		.help = "Which fields of a message are headers of the record, both ways, by the table below. none: the "
			"content type alone. properties: what MQTT 5 knows as properties, and that a message is "
			"retained. all: also its QoS."},
	{.name = "cloudevents",
		.type = CONFIG_SECTION,
		.offset = offsetof(struct kafka_settings, events),
		.children = cloudevents_keys,
		.help = "Messages as CloudEvents."},
	{.name = "properties",
		.others = "config options librdkafka producer consumer acks batch_size producer_config consumer_config",
		.type = CONFIG_MAP,
		.offset = offsetof(struct kafka_settings, properties),
		.help = "Any property of librdkafka, by its name there: those of producers for the sink, those of "
			"consumers for the "
			"source. What linkspan's promises rest on cannot be changed."},
	{.name = NULL},
};

const struct config_key kafka_to_keys[] = {
	{.name = "partition",
		.type = CONFIG_TEMPLATE,
		.help = "Number of the partition to write to. Default: chosen by the key, as Java clients "
			"choose."},
	{.name = "timestamp",
		.others = "time ts record_timestamp",
		.type = CONFIG_TEMPLATE,
		.help = "Time of the record, as in {.ts}: seconds, milliseconds, microseconds or nanoseconds since "
			"1970 (told apart by their size), or RFC 3339. One before 2020 comes from a clock that was not "
			"set: the default is taken. What is no time makes the message a dead letter. Default: when "
			"linkspan received the message."},
	CLOUDEVENT_TO_KEYS,
	{.name = NULL},
};

/* --- what properties may not say
 * ------------------------------------------------------------------------------ */

struct reserved_property {
	const char *name;
	const char *only; /* the one value that is allowed; NULL: none */
	const char *why;
};

static const struct reserved_property reserved[] = {
	{"bootstrap.servers", NULL, "the brokers are given by `brokers`"},
	{"metadata.broker.list", NULL, "the brokers are given by `brokers`"},
	{"acks", "all", "a message counts as delivered once all in-sync replicas have it"},
	{"request.required.acks", "all", "a message counts as delivered once all in-sync replicas have it"},
	{"enable.idempotence", "true", "without it, retries repeat and reorder messages"},
	{"message.timeout.ms", "0", "the journal is the queue: the library must not give up a message"},
	{"delivery.timeout.ms", "0", "the journal is the queue: the library must not give up a message"},
	{"queuing.strategy", "fifo", "messages keep their order"},
	{"delivery.report.only.error", "false", "the delivery report is what marks a message as delivered"},
	{"enable.gapless.guarantee", "false", "one refused message would stop the producer"},
	{"transactional.id", NULL, "linkspan gives it where exactly-once is declared"},
	{"transaction.timeout.ms", NULL, "it is given by `transaction: {timeout: …}`"},
	{"log.queue", "true", "the library's log goes into linkspan's own"},
};

static const struct reserved_property *reserved_find(const char *name)
{
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(reserved[i].name, name) == 0)
			return &reserved[i];
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);
	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Pointers of C programs; the library lists them among its properties. */
static bool is_pointer_property(const char *name)
{
	return ends_with(name, "_cb") || strcmp(name, "opaque") == 0 || strcmp(name, "interceptors") == 0 ||
	       strcmp(name, "default_topic_conf") == 0;
}

/* "all" is -1 for the library. */
static bool is_allowed_value(const struct reserved_property *property, const char *value)
{
	return property->only && (strcasecmp(value, property->only) == 0 ||
					 (strcmp(property->only, "all") == 0 && strcmp(value, "-1") == 0) ||
					 (strcmp(property->only, "true") == 0 && strcmp(value, "1") == 0) ||
					 (strcmp(property->only, "false") == 0 && strcmp(value, "0") == 0));
}

/* The name that was probably meant. */
static bool complain_near(const struct config_text *item, rd_kafka_conf_t *conf, struct config_scope *scope)
{
	size_t n;
	const char **names = rd_kafka_conf_dump(conf, &n); /* names and values in turn */
	static const char *const aliases[] = {
		"linger.ms", "retries", "compression.type", "acks", "delivery.timeout.ms", NULL};
	struct suggestion near = {.word = item->name};
	for (size_t i = 0; aliases[i]; i++)
		suggest_offer(&near, aliases[i]);
	for (size_t i = 0; i + 1 < n; i += 2)
		suggest_offer(&near, names[i]);
	if (near.best)
		config_complain(scope, "properties", item->name, "librdkafka has no property '%s'; did you mean '%s'?",
			item->name, near.best);
	rd_kafka_conf_dump_free(names, n);
	return near.best != NULL;
}

static bool check_property(const struct config_text *item, rd_kafka_conf_t *conf, struct config_scope *scope)
{
	const char *wrong = kafka_consumer_property_check(item->name, item->value);
	if (wrong) {
		config_complain(scope, "properties", item->name, "%s cannot be set to this: %s.", item->name, wrong);
		return false;
	}
	const struct reserved_property *property = reserved_find(item->name);
	char errstr[512];
	if (property && !is_allowed_value(property, item->value)) {
		config_complain(scope, "properties", item->name, "%s cannot be set to this: %s. %s%s%s.", item->name,
			property->why, property->only ? "Leave it out, or write " : "Leave it out",
			property->only ? property->only : "", property->only ? " (the default here)" : "");
		return false;
	}
	if (is_pointer_property(item->name)) {
		config_complain(scope, "properties", item->name,
			"%s is for C programs and cannot be set by a file. Leave it out.", item->name);
		return false;
	}
	rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, item->name, item->value, errstr, sizeof errstr);
	if (result == RD_KAFKA_CONF_UNKNOWN && complain_near(item, conf, scope))
		return false;
	if (result != RD_KAFKA_CONF_OK) {
		config_complain(scope, "properties", item->name,
			"librdkafka does not take this: %s. See CONFIGURATION.md of librdkafka for the names "
			"and values.",
			errstr);
		return false;
	}
	return true;
}

/* --- other checks
 * --------------------------------------------------------------------------------------------- */

/* host, host:port, [v6] or [v6]:port; librdkafka would read a comma as a second broker and a scheme as a
 * protocol. */
static bool is_broker(const char *text)
{
	const char *colon = strrchr(text, ':');
	if (*text == '[') {
		const char *bracket = strchr(text, ']');
		if (!bracket || bracket == text + 1 || (bracket[1] && bracket[1] != ':'))
			return false;
		colon = bracket[1] ? bracket + 1 : NULL;
	} else if (strcspn(text, ", \t/[]") != strlen(text) || text[0] == '\0' || colon == text ||
		   colon != strchr(text, ':')) {
		return false;
	}
	if (!colon)
		return true;
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	return colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port >= 1 && port <= 65535;
}

static void complain_broker(const char *text, const char *index, struct config_scope *scope)
{
	const char *colon = strchr(text, ':');
	const char *right = "Write host:port, the port a number up to 65535.";
	if (strchr(text, ','))
		right = "Write a list: [k1:9092, k2:9092].";
	else if (strstr(text, "://"))
		right = "Write host:port without a scheme; TLS and SASL have sections of their own.";
	else if (strchr(text, '/') || strpbrk(text, " \t"))
		right = "Write host:port and nothing more.";
	else if (colon && strchr(colon + 1, ':') && text[0] != '[')
		right = "An IPv6 address stands in brackets: \"[::1]:9092\".";
	config_complain(scope, "brokers", index, "\"%s\" is not a broker. %s", text, right);
}

static bool check_brokers(const struct kafka_settings *settings, struct config_scope *scope)
{
	bool good = true;
	for (size_t i = 0; i < settings->brokers.n; i++) { /* that there is one, the table has seen to */
		if (is_broker(settings->brokers.items[i].value))
			continue;
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		complain_broker(settings->brokers.items[i].value, index, scope);
		good = false;
	}
	return good;
}

static bool check_cursor_topic(const struct kafka_settings *settings, struct config_scope *scope)
{
	const char *wrong = settings->cursor_topic ? kafka_topic_check(slice_str(settings->cursor_topic)) : NULL;
	if (wrong && !config_failed(scope, "cursor_topic", NULL))
		config_complain(scope, "cursor_topic", NULL, "%s", wrong);
	return !wrong;
}

/* Brokers abort what is open for longer, so no transaction would ever end. */
static bool check_transaction(const struct kafka_settings *settings, struct config_scope *scope)
{
	const struct kafka_transaction *transaction = &settings->transaction;
	if (transaction->interval_ms <= transaction->timeout_ms / 2 || config_failed(scope, "transaction", NULL))
		return true;
	config_complain(scope, "transaction", "interval",
		"interval must not be more than half of timeout (%" PRIu64
		" ms): brokers abort transactions that are open for longer than that. Make interval shorter or timeout "
		"longer.",
		transaction->timeout_ms);
	return false;
}

static void check_allowed(const struct kafka_settings *settings, struct config_scope *scope)
{
	for (size_t i = 0; i < settings->topics_allowed.n; i++) {
		const char *wrong = kafka_pattern_check(settings->topics_allowed.items[i].value);
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		if (wrong)
			config_complain(scope, "topics_allowed", index, "%s", wrong);
	}
}

/* What only the library can say: whether the properties agree with each other, and whether the TLS files can
 * be used. A producer without brokers has nobody to connect to. */
static void check_whole(const struct kafka_settings *settings, struct config_scope *scope)
{
	char errstr[512];
	struct kafka_settings alone = *settings;
	alone.brokers = (struct config_list){NULL, 0};
	rd_kafka_conf_t *conf = kafka_settings_conf(&alone, NULL, errstr, sizeof errstr);
	rd_kafka_t *rk = conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof errstr) : NULL;
	if (rk)
		rd_kafka_destroy(rk);
	else
		config_complain(scope, NULL, NULL, "librdkafka does not take these settings: %s.", errstr);
	if (!rk && conf)
		rd_kafka_conf_destroy(conf);
}

static bool check_effect(
	const struct kafka_settings *settings, const struct config_text *item, struct config_scope *scope)
{
	const char *why = kafka_security_refuses_property(&settings->sasl, item->name);
	if (why)
		config_complain(scope, "properties", item->name, "%s has no effect: %s.", item->name, why);
	return !why;
}

void kafka_settings_check(const void *arg, struct config_scope *scope)
{
	const struct kafka_settings *settings = arg;
	bool good = check_brokers(settings, scope);
	good &= check_cursor_topic(settings, scope);
	good &= check_transaction(settings, scope);
	good &= kafka_consumer_check(settings, scope);
	good &= kafka_security_check(&settings->tls, &settings->sasl, &settings->brokers, scope);
	check_allowed(settings, scope);
	cloudevents_check(&settings->events, scope);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	for (size_t i = 0; i < settings->properties.n; i++)
		good &= check_effect(settings, &settings->properties.items[i], scope) &&
			check_property(&settings->properties.items[i], conf, scope);
	rd_kafka_conf_destroy(conf);
	if (!good || config_failed(scope, NULL, NULL))
		return;
	check_whole(settings, scope);
	kafka_consumer_check_whole(settings, scope);
}

/* --- into the library
 * ----------------------------------------------------------------------------------------- */

struct conf_builder {
	rd_kafka_conf_t *conf;
	char *errstr;
	size_t errstr_size;
	bool failed;
};

static void conf_set(struct conf_builder *builder, const char *name, const char *value)
{
	if (!builder->failed && value)
		builder->failed = rd_kafka_conf_set(builder->conf, name, value, builder->errstr,
					  builder->errstr_size) != RD_KAFKA_CONF_OK;
}

static void conf_set_number(struct conf_builder *builder, const char *name, unsigned long long value)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", value);
	conf_set(builder, name, text);
}

static void conf_set_brokers(struct conf_builder *builder, const struct config_list *brokers)
{
	size_t size = 1;
	for (size_t i = 0; i < brokers->n; i++)
		size += strlen(brokers->items[i].value) + 1;
	char *joined = calloc(1, size);
	if (!joined) {
		snprintf(builder->errstr, builder->errstr_size, "out of memory");
		builder->failed = true;
		return;
	}
	for (size_t i = 0, used = 0; i < brokers->n; i++)
		used += (size_t)snprintf(joined + used, size - used, "%s%s", i ? "," : "", brokers->items[i].value);
	if (brokers->n)
		conf_set(builder, "bootstrap.servers", joined);
	free(joined);
}

uint32_t kafka_settings_window(const struct kafka_settings *settings, bool exactly_once)
{
	if (settings->max_in_flight > 0)
		return (uint32_t)settings->max_in_flight;
	return exactly_once ? EXACT_WINDOW : WINDOW;
}

static void conf_set_defaults(struct conf_builder *builder, uint32_t window)
{
	/* Off by default in this version, and our small requests suffer from it. */
	conf_set(builder, "socket.nagle.disable", "true");
	conf_set(builder, "socket.keepalive.enable", "true");
	/* At first a broker's hanging up is all that tells us of TLS or SASL that do not fit (kafka_client_error). */
	conf_set(builder, "log.connection.close", "true");
	conf_set(builder, "partitioner", "murmur2_random"); /* as Java clients */
	/* A topic that is not there (yet) is reported by an outcome, not waited for: others share the window.
	 */
	conf_set(builder, "topic.metadata.propagation.max.ms", "5000");
	/* The courier's window bounds us. A message counts here until its report is freed, which is after its
	 * outcome. */
	conf_set_number(builder, "queue.buffering.max.messages", 2ULL * window + 10000);
	conf_set(builder, "queue.buffering.max.kbytes", "2097151");
}

/* What all clients of a connection have in common. */
static void conf_begin(struct conf_builder *builder, const struct kafka_settings *settings, bool is_producer)
{
	conf_set_brokers(builder, &settings->brokers);
	conf_set(builder, "client.id", settings->client_id);
	if (!builder->failed)
		builder->failed = kafka_security_conf(&settings->tls, &settings->sasl, builder->conf, builder->errstr,
					  builder->errstr_size) < 0;
	for (size_t i = 0; i < settings->properties.n; i++) {
		const struct config_text *property = &settings->properties.items[i];
		if (is_producer ? !kafka_is_consumer_property(property->name)
				: !kafka_is_producer_property(property->name))
			conf_set(builder, property->name, property->value);
	}
	conf_set(builder, "log.queue", "true");
}

static void conf_begin_producer(struct conf_builder *builder, const struct kafka_settings *settings,
	const struct kafka_limits *limits, uint64_t linger_ms, uint32_t window)
{
	conf_set_defaults(builder, window);
	conf_set(builder, "compression.type", compressions[settings->compression]);
	conf_set_number(builder, "linger.ms", linger_ms);
	conf_begin(builder, settings, true);
	if (limits && limits->batch_bytes)
		conf_set_number(builder, "batch.size", limits->batch_bytes);
	if (limits && limits->one_by_one)
		conf_set(builder, "batch.num.messages", "1");
	conf_set(builder, "enable.idempotence", "true"); /* and with it acks=all, retries without end */
	conf_set(builder, "acks", "all");
}

static rd_kafka_conf_t *conf_end(struct conf_builder *builder)
{
	if (!builder->failed)
		return builder->conf;
	rd_kafka_conf_destroy(builder->conf);
	return NULL;
}

int kafka_settings_brokers(
	const struct kafka_settings *settings, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
	struct conf_builder builder = {conf, errstr, errstr_size, false};
	conf_set_brokers(&builder, &settings->brokers);
	conf_set(&builder, "client.id", settings->client_id);
	return builder.failed ? -EINVAL : 0;
}

rd_kafka_conf_t *kafka_settings_conf(
	const struct kafka_settings *settings, const struct kafka_limits *limits, char *errstr, size_t errstr_size)
{
	struct conf_builder builder = {rd_kafka_conf_new(), errstr, errstr_size, false};
	conf_begin_producer(&builder, settings, limits, settings->linger_ms, kafka_settings_window(settings, false));
	conf_set(&builder, "message.timeout.ms", "0");
	return conf_end(&builder);
}

/* Nobody can read a record before the commit, which has all sent at once; but until then brokers should not be without work. */
static uint64_t exact_linger_ms(const struct kafka_settings *settings)
{
	uint64_t ms = settings->transaction.interval_ms / EXACT_LINGERS;
	if (ms > EXACT_MAX_LINGER_MS)
		ms = EXACT_MAX_LINGER_MS;
	return ms > settings->linger_ms ? ms : settings->linger_ms;
}

rd_kafka_conf_t *kafka_settings_conf_exact(const struct kafka_settings *settings, const struct kafka_limits *limits,
	const char *transactional_id, char *errstr, size_t errstr_size)
{
	struct conf_builder builder = {rd_kafka_conf_new(), errstr, errstr_size, false};
	conf_begin_producer(
		&builder, settings, limits, exact_linger_ms(settings), kafka_settings_window(settings, true));
	conf_set(&builder, "transactional.id", transactional_id);
	/* With it come limits for a message and for an answer: message.timeout.ms, socket.timeout.ms. */
	conf_set_number(&builder, "transaction.timeout.ms", settings->transaction.timeout_ms);
	conf_set(&builder, "delivery.report.only.error", "true"); /* the commit says all else */
	return conf_end(&builder);
}

rd_kafka_conf_t *kafka_settings_conf_cursor(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
{
	struct conf_builder builder = {rd_kafka_conf_new(), errstr, errstr_size, false};
	conf_set(&builder, "socket.nagle.disable", "true");
	conf_set(&builder, "log.connection.close", "false");
	conf_begin(&builder, settings, false);
	conf_set(&builder, "isolation.level", "read_committed");
	conf_set(&builder, "enable.partition.eof", "true");
	conf_set(&builder, "allow.auto.create.topics", "false"); /* it must be a compacted one */
	/* What was deleted under us is asked for again, not skipped to the end: the cursor would seem not to be there. */
	conf_set(&builder, "auto.offset.reset", "error");
	return conf_end(&builder);
}
