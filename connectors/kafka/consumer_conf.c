/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of properties, and the way from the settings into rd_kafka_conf_t: our defaults, `properties:`, and last what
 * the promise needs.
 */
#include "connectors/kafka/consumer_conf.h"

#include <string.h>
#include <strings.h>

#include "message/utf8.h"

#define MAX_GROUP 249 /* not Kafka's own limit, which is that of a string, but nobody can read more */

const char *const kafka_from_choices[] = {"beginning", "end", "stored", NULL};
const char *const kafka_reset_choices[] = {"stop", "beginning", "end", NULL};

/* CONFIGURATION.md of librdkafka 2.0.2: C and P in the second column. */
static const char *const of_consumers[] = {"auto.commit.enable", "auto.commit.interval.ms", "auto.offset.reset",
	"check.crcs", "consume.callback.max.messages", "coordinator.query.interval.ms", "enable.auto.commit",
	"enable.auto.offset.store", "enable.partition.eof", "fetch.error.backoff.ms", "fetch.max.bytes",
	"fetch.message.max.bytes", "fetch.min.bytes", "fetch.wait.max.ms", "group.id", "group.instance.id",
	"group.protocol.type", "heartbeat.interval.ms", "isolation.level", "max.partition.fetch.bytes",
	"max.poll.interval.ms", "offset.store.method", "offset.store.path", "offset.store.sync.interval.ms",
	"partition.assignment.strategy", "queued.max.messages.kbytes", "queued.min.messages", "session.timeout.ms"};
static const char *const of_producers[] = {"acks", "batch.num.messages", "batch.size", "compression.codec",
	"compression.level", "compression.type", "delivery.report.only.error", "delivery.timeout.ms",
	"enable.gapless.guarantee", "enable.idempotence", "linger.ms", "message.send.max.retries", "message.timeout.ms",
	"partitioner", "produce.offset.report", "queue.buffering.backpressure.threshold", "queue.buffering.max.kbytes",
	"queue.buffering.max.messages", "queue.buffering.max.ms", "queuing.strategy", "request.required.acks",
	"request.timeout.ms", "retries", "retry.backoff.ms", "sticky.partitioning.linger.ms", "transaction.timeout.ms",
	"transactional.id"};

#define HAS(list, name) has(list, sizeof(list) / sizeof(list)[0], name)

static bool has(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

bool kafka_is_consumer_property(const char *name)
{
	return HAS(of_consumers, name);
}

bool kafka_is_producer_property(const char *name)
{
	return HAS(of_producers, name);
}

/* --- what may not be said ------------------------------------------------------------------------------------- */

struct reserved {
	const char *name;
	const char *only, *same; /* the one value that is allowed, and another way to write it; NULL: none */
	const char *why;
};

static const struct reserved reserved[] = {
	{"group.id", NULL, NULL, "the group is given by `group`. Leave it out"},
	{"enable.auto.commit", "false", "0",
		"offsets are committed once what they stand for is on disk. Leave it out, or write false"},
	{"auto.commit.enable", "false", "0",
		"offsets are committed once what they stand for is on disk. Leave it out, or write false"},
	{"enable.auto.offset.store", "false", "0",
		"offsets are committed once what they stand for is on disk. Leave it out, or write false"},
	{"auto.offset.reset", "error", NULL,
		"where a partition begins is given by `from` and `on_offset_reset`. Leave it out, or write error"},
	{"enable.partition.eof", "true", "1",
		"the end of a partition tells whether its topic was made anew. Leave it out, or write true"},
	{"offset.store.method", "broker", NULL, "offsets are kept by the journal. Leave it out, or write broker"},
	{"group.protocol.type", "consumer", NULL, "the others of the group would not know us. Leave it out"},
};

/* Cooperative rebalancing loses and repeats records in librdkafka before 2.6 (facts of the field: its changelog). */
static bool is_eager(const char *strategies)
{
	for (const char *at = strategies; *at;) {
		size_t len = strcspn(at, ",");
		if ((len != 5 || strncmp(at, "range", len) != 0) && (len != 10 || strncmp(at, "roundrobin", len) != 0))
			return false;
		at += len + (at[len] == ',');
	}
	return *strategies;
}

const char *kafka_consumer_property_check(const char *name, const char *value)
{
	if (strcmp(name, "partition.assignment.strategy") == 0 && !is_eager(value))
		return "the library loses and repeats records with cooperative assignors. Write range, roundrobin, or "
		       "both with a comma between them";
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
		const struct reserved *property = &reserved[i];
		if (strcmp(property->name, name) == 0 && (!property->only || strcasecmp(value, property->only) != 0) &&
			(!property->same || strcasecmp(value, property->same) != 0))
			return property->why;
	}
	return NULL;
}

static bool names_consumer_property(const struct kafka_settings *settings)
{
	for (size_t i = 0; i < settings->properties.n; i++)
		if (kafka_is_consumer_property(settings->properties.items[i].name))
			return true;
	return false;
}

bool kafka_consumer_check(const struct kafka_settings *settings, struct config_scope *scope)
{
	const char *group = settings->group;
	if (!group || (*group && strlen(group) <= MAX_GROUP && utf8_valid(slice_str(group))))
		return true;
	config_complain(scope, "group", NULL,
		"this is no name for a group. Write 1 to 249 bytes of UTF-8, or leave group out to read all "
		"partitions.");
	return false;
}

/* A consumer without brokers has nobody to connect to. What is wrong apart from consumers' properties is found with the
 * producer. */
void kafka_consumer_check_whole(const struct kafka_settings *settings, struct config_scope *scope)
{
	if (!names_consumer_property(settings))
		return;
	char errstr[512];
	struct kafka_settings alone = *settings;
	alone.brokers = (struct config_list){NULL, 0};
	rd_kafka_conf_t *conf = kafka_consumer_conf(&alone, errstr, sizeof errstr);
	rd_kafka_t *rk = conf ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof errstr) : NULL;
	if (rk)
		rd_kafka_destroy(rk);
	else
		config_complain(scope, NULL, NULL, "librdkafka does not take these settings for a source: %s.", errstr);
	if (!rk && conf)
		rd_kafka_conf_destroy(conf);
}

/* --- into the library ------------------------------------------------------------------------------------------- */

static const char *const defaults[][2] = {
	{"socket.nagle.disable", "true"}, /* off by default in this version, and our small requests suffer from it */
	{"socket.keepalive.enable", "true"},
	/* At first a broker hanging up is all that tells of TLS or SASL that do not fit (kafka_client_error). */
	{"log.connection.close", "true"},
	{"topic.metadata.refresh.interval.ms", "10000"}, /* also how often we look for new topics (consumer_topics.c) */
	{"fetch.error.backoff.ms", "100"}, /* the shorter, the sooner is it seen that a topic was made anew */
	{"queued.max.messages.kbytes", "16384"}, /* 64 MiB otherwise, and a sensor gateway has little memory */
	{"check.crcs", "true"},
	{"partition.assignment.strategy", "range,roundrobin"},
};

static const char *const promise[][2] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},
	{"enable.partition.eof", "true"},
	{"log.queue", "true"},
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, char *errstr, size_t errstr_size)
{
	return rd_kafka_conf_set(conf, name, value, errstr, errstr_size) == RD_KAFKA_CONF_OK;
}

static bool set_all(const struct kafka_settings *settings, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
	bool good = true;
	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0] && good; i++)
		good = set(conf, defaults[i][0], defaults[i][1], errstr, errstr_size);
	good = good && kafka_settings_brokers(settings, conf, errstr, errstr_size) == 0 &&
	       kafka_security_conf(&settings->tls, &settings->sasl, conf, errstr, errstr_size) == 0;
	for (size_t i = 0; i < settings->properties.n && good; i++)
		if (!kafka_is_producer_property(settings->properties.items[i].name))
			good = set(conf, settings->properties.items[i].name, settings->properties.items[i].value,
				errstr, errstr_size);
	for (size_t i = 0; i < sizeof promise / sizeof promise[0] && good; i++)
		good = set(conf, promise[i][0], promise[i][1], errstr, errstr_size);
	return good && (!settings->group || set(conf, "group.id", settings->group, errstr, errstr_size));
}

rd_kafka_conf_t *kafka_consumer_conf(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (!set_all(settings, conf, errstr, errstr_size)) {
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
					       RD_KAFKA_EVENT_STATS | RD_KAFKA_EVENT_REBALANCE |
					       RD_KAFKA_EVENT_OFFSET_COMMIT);
	return conf;
}
