/* SPDX-License-Identifier: Apache-2.0
 *
 * The link: one session with its source half and its sink half, and the connector's table. Decides nothing but who hears
 * of what first.
 */
#include "connectors/mqtt/mqtt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/from.h"
#include "connectors/mqtt/sink.h"
#include "connectors/mqtt/source.h"
#include "connectors/mqtt/subscription_map.h"
#include "routing/header_text.h"
#include "routing/topic_filter.h"
#include "runtime/log.h"

struct mqtt_link {
	struct link_spec spec;
	struct link_host *host;
	const struct mqtt_settings *settings;
	char client_id[32]; /* made up, when none is given */
	char *broker; /* mqtt_settings_broker */
	struct filter_set wanted;
	struct subscription_map map; /* identifiers to subscriptions */
	struct filter_set_owner owner;
	bool session_lost; /* the broker has forgotten it, or the file names another one; not told yet */
	struct mqtt_session *session;
	struct mqtt_source *source;
	struct mqtt_sink *sink;
};

/* --- from the session ------------------------------------------------------------------------------------------------ */

/* In 3.1.1 `check` has refused it. */
static void mqtt_alarm_overlaps(struct mqtt_link *link)
{
	const struct link_subscription *subs = link->spec.subscriptions;
	if (!link->spec.exactly_once || mqtt_settings_version(link->settings) == MQTT_3_1_1)
		return;
	for (size_t i = 0; i < link->spec.n_subscriptions; i++)
		for (size_t k = i + 1; k < link->spec.n_subscriptions; k++) {
			const char *one = topic_filter_without_share(subs[i].filter);
			const char *other = topic_filter_without_share(subs[k].filter);
			if (!topic_filter_overlaps(one, other))
				continue;
			char what[512];
			snprintf(what, sizeof what,
				"the broker has no subscription identifiers, so a message for \"%.150s\" and "
				"\"%.150s\" may "
				"come twice; exactly-once needs filters that do not overlap",
				one, other);
			link->host->ops->alarm(link->host, what);
			return;
		}
}

static void mqtt_on_up(void *ctx, const struct mqtt_session_terms *terms)
{
	struct mqtt_link *link = ctx;
	link->session_lost |= !terms->session_present;
	struct sink_traits traits = {.session_lost = link->session_lost};
	if (mqtt_sink_up(link->sink, terms, &traits.max_in_flight) < 0) {
		mqtt_source_up(link->source, link->session_lost); /* more may come in this turn */
		mqtt_session_reconnect(link->session, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	link->session_lost = false;
	link->host->ops->link_up(link->host, &traits);
	if (!terms->subscription_identifiers)
		mqtt_alarm_overlaps(link);
	mqtt_source_up(link->source, traits.session_lost);
}

static void mqtt_on_down(void *ctx, const char *reason)
{
	struct mqtt_link *link = ctx;
	mqtt_source_down(link->source);
	mqtt_sink_down(link->sink);
	link->host->ops->link_down(link->host, reason);
}

static void mqtt_on_alarm(void *ctx, const char *what)
{
	struct mqtt_link *link = ctx;
	link->host->ops->alarm(link->host, what);
}

static void mqtt_on_publish(void *ctx, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct mqtt_link *link = ctx;
	mqtt_source_publish(link->source, publish, props);
}

static void mqtt_on_unusable(void *ctx, uint8_t qos, uint16_t packet_id, uint8_t reason)
{
	struct mqtt_link *link = ctx;
	mqtt_source_unusable(link->source, qos, packet_id, reason);
}

static void mqtt_on_acked(void *ctx, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text)
{
	struct mqtt_link *link = ctx;
	mqtt_sink_acked(link->sink, type, packet_id, reason, text);
}

static void mqtt_on_released(void *ctx, uint16_t packet_id)
{
	struct mqtt_link *link = ctx;
	mqtt_source_released(link->source, packet_id);
}

static void mqtt_on_written(void *ctx)
{
	struct mqtt_link *link = ctx;
	mqtt_sink_written(link->sink);
}

static void mqtt_on_subscribed(void *ctx, const struct filter_set *set)
{
	struct mqtt_link *link = ctx;
	subscription_map_fill(&link->map, set, &link->wanted);
	mqtt_source_subscribed(link->source, set);
}

static void mqtt_on_stopped(void *ctx)
{
	struct mqtt_link *link = ctx;
	link->host->ops->stopped(link->host);
}

static const struct mqtt_session_events session_events = {
	.up = mqtt_on_up,
	.down = mqtt_on_down,
	.alarm = mqtt_on_alarm,
	.publish = mqtt_on_publish,
	.unusable = mqtt_on_unusable,
	.acked = mqtt_on_acked,
	.released = mqtt_on_released,
	.written = mqtt_on_written,
	.subscribed = mqtt_on_subscribed,
	.stopped = mqtt_on_stopped,
};

/* --- life ---------------------------------------------------------------------------------------------------------------- */

static struct mqtt_link *mqtt_of(struct link *link)
{
	return (struct mqtt_link *)link;
}

static void mqtt_destroy(struct link *base)
{
	struct mqtt_link *link = mqtt_of(base);
	mqtt_source_free(link->source);
	mqtt_sink_free(link->sink);
	mqtt_session_free(link->session);
	filter_set_free(&link->wanted);
	free(link->broker);
	subscription_map_free(&link->map);
	free(link);
}

static int mqtt_collect_wanted(
	const struct mqtt_settings *settings, const struct link_spec *spec, struct filter_set *wanted)
{
	enum mqtt_version version = mqtt_settings_version(settings);
	for (size_t i = 0; i < spec->n_subscriptions; i++) {
		const struct link_subscription *sub = &spec->subscriptions[i];
		struct filter_entry entry = {
			.filter = (char *)(uintptr_t)sub->filter, /* copied */
			.qos = sub->qos,
			.options = mqtt_from_options(sub->from_settings, version),
			.subscription = (int)i,
		};
		if (filter_set_put(wanted, &entry) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int mqtt_make_halves(struct mqtt_link *link)
{
	const struct mqtt_settings *settings = link->settings;
	struct mqtt_session_options session = {
		.name = link->spec.name,
		.loop = link->spec.loop,
		.settings = settings,
		.client_id = link->owner.client_id,
		.wanted = &link->wanted,
		.events = &session_events,
		.ctx = link,
	};
	int r = mqtt_session_new(&session, &link->session);
	if (r < 0)
		return r;
	struct mqtt_source_options source = {
		.name = link->spec.name,
		.loop = link->spec.loop,
		.host = link->host,
		.session = link->session,
		.map = &link->map,
		.hold_bytes = settings->hold_bytes,
		.settings = settings,
		.owner = settings->clean_start ? NULL : &link->owner,
		.active = link->spec.n_subscriptions > 0,
	};
	struct mqtt_sink_options sink = {
		.name = link->spec.name,
		.loop = link->spec.loop,
		.host = link->host,
		.session = link->session,
		.settings = settings,
	};
	link->source = mqtt_source_new(&source);
	link->sink = mqtt_sink_new(&sink);
	return link->source && link->sink ? 0 : -ENOMEM;
}

static int mqtt_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	struct mqtt_link *link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->spec = *spec;
	link->host = host;
	link->settings = spec->settings;
	snprintf(link->client_id, sizeof link->client_id, "linkspan-%08x%08x", arc4random(), arc4random());
	link->owner.client_id = link->settings->client_id ? link->settings->client_id : link->client_id;
	link->broker = mqtt_settings_broker(link->settings);
	link->owner.url = link->broker;
	int r = link->broker ? mqtt_collect_wanted(link->settings, spec, &link->wanted) : -ENOMEM;
	if (r == 0)
		r = mqtt_make_halves(link);
	if (r < 0)
		mqtt_destroy((struct link *)link);
	else
		*ret_link = (struct link *)link;
	return r;
}

struct open_ids {
	struct mqtt_source *source;
	int error;
};

static void mqtt_on_open_id(uint16_t id, uint64_t hash, void *arg)
{
	struct open_ids *ids = arg;
	mqtt_source_expect_session(ids->source);
	if (ids->error == 0)
		ids->error = mqtt_source_recover_id(ids->source, id, hash);
}

static void mqtt_start(struct link *base, const struct link_recovery *recovery)
{
	struct mqtt_link *link = mqtt_of(base);
	struct filter_set known = {0};
	if (recovery->subscriptions.data)
		mqtt_source_expect_session(link->source);
	struct open_ids ids = {.source = link->source};
	int r = filter_set_decode(recovery->subscriptions, &link->owner, &known);
	link->session_lost = r == -ENOENT && recovery->subscriptions.data;
	if (recovery->open_ids && !link->session_lost)
		recovery->open_ids(recovery, mqtt_on_open_id, &ids);
	if (ids.error < 0) {
		/* To take a repetition for a new message would be worse. */
		link->host->ops->alarm(
			link->host, "out of memory for the open packet identifiers; start linkspan again");
		filter_set_free(&known);
		return;
	}
	if (r == -EBADMSG)
		log_warn("mqtt_subscriptions_damaged", "connection=%s what=\"subscribing to everything again\"",
			link->spec.name);
	subscription_map_fill(&link->map, &known, &link->wanted);
	if (mqtt_session_start(link->session, r == 0 ? &known : NULL) < 0)
		log_warn("mqtt_subscriptions_unknown", "connection=%s what=\"out of memory; subscribing again\"",
			link->spec.name);
	filter_set_free(&known);
}

static void mqtt_pause(struct link *link)
{
	mqtt_source_pause(mqtt_of(link)->source);
	mqtt_session_intake(mqtt_of(link)->session, MQTT_INTAKE_PAUSED);
}

static void mqtt_resume(struct link *link)
{
	mqtt_session_intake(mqtt_of(link)->session, MQTT_INTAKE_ON);
	mqtt_source_resume(mqtt_of(link)->source); /* which may be paused again from inside */
}

static void mqtt_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	mqtt_source_receipt(mqtt_of(link)->source, cookie, receipt);
}

static void mqtt_receipts_end(struct link *link)
{
	mqtt_source_receipts_end(mqtt_of(link)->source);
}

static void mqtt_send(struct link *link, const struct delivery *delivery)
{
	mqtt_sink_send(mqtt_of(link)->sink, delivery);
}

static void mqtt_send_end(struct link *link)
{
	mqtt_sink_send_end(mqtt_of(link)->sink);
}

static void mqtt_stage_durable(struct link *link, uint64_t seq, uint8_t stage)
{
	mqtt_sink_stage_durable(mqtt_of(link)->sink, seq, stage);
}

static void mqtt_counters(const struct link *base, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	const struct mqtt_link *link = (const struct mqtt_link *)base;
	struct mqtt_source_counters in = mqtt_source_counters(link->source);
	struct mqtt_sink_counters out = mqtt_sink_counters(link->sink);
	fn("sessions_lost", in.sessions_lost, arg);
	fn("qos0_dropped", in.qos0_dropped, arg);
	fn("identifiers_reused", in.identifiers_reused, arg);
	if (link->settings->events.read)
		fn("events_broken", in.events_broken, arg);
	fn("ambiguous", out.ambiguous, arg);
	fn("identifiers_in_use", out.identifiers_in_use, arg);
}

/* new_of: for each subscription of today its index among those to come, or -1. */
static void mqtt_match_subscriptions(const struct mqtt_link *link, const struct filter_set *wanted, int *new_of)
{
	for (size_t i = 0; i < link->spec.n_subscriptions; i++) {
		const struct filter_entry *entry = filter_set_find(wanted, link->spec.subscriptions[i].filter);
		new_of[i] = entry ? entry->subscription : -1;
	}
}

static int mqtt_retarget(struct link *base, const struct link_spec *spec)
{
	struct mqtt_link *link = mqtt_of(base);
	if (!mqtt_session_can_resubscribe(link->session))
		return -ENOTSUP;
	struct filter_set wanted = {0};
	int *new_of = calloc(link->spec.n_subscriptions + 1, sizeof *new_of);
	if (!new_of || mqtt_collect_wanted(link->settings, spec, &wanted) < 0) {
		free(new_of);
		filter_set_free(&wanted);
		return -ENOMEM;
	}
	mqtt_match_subscriptions(link, &wanted, new_of);
	filter_set_free(&link->wanted);
	link->wanted = wanted;
	link->spec = *spec;
	mqtt_source_retarget(link->source, spec->n_subscriptions > 0, new_of);
	free(new_of);
	mqtt_session_resubscribe(link->session);
	return 0;
}

static void mqtt_stop_intake(struct link *base)
{
	struct mqtt_link *link = mqtt_of(base);
	mqtt_source_stop_intake(link->source);
	if (link->spec.n_subscriptions > 0)
		mqtt_session_intake(link->session, MQTT_INTAKE_ENDED);
}

static void mqtt_stop(struct link *base, uint64_t linger_ms)
{
	struct mqtt_link *link = mqtt_of(base);
	mqtt_source_stop_intake(link->source);
	mqtt_sink_down(link->sink);
	mqtt_session_stop(link->session, linger_ms);
}

static const char *mqtt_check_roles(const void *settings, bool source, bool sink)
{
#define WHY                                                                                                            \
	" disconnects while there is no room for what it reads, and so must not be the one that makes room by "        \
	"writing; "                                                                                                    \
	"read through this connection and write through a second one with another client_id"
	static const char *const words[] = {"client: paho" WHY, "a connection through a proxy" WHY, "a WebSocket" WHY};
#undef WHY
	return source && sink && mqtt_settings_use_paho(settings) ? mqtt_settings_pick(settings, words) : NULL;
}

/* --- the table --------------------------------------------------------------------------------------------------------- */

/* A session that ends with the connection loses what comes while it is down, and forgets what was under way. */
static bool mqtt_keeps_session(const struct mqtt_settings *settings)
{
	return !settings->clean_start &&
	       (mqtt_settings_version(settings) == MQTT_3_1_1 || settings->session_expiry_ms > 0);
}

static const char *mqtt_check_qos(const void *settings, uint8_t qos)
{
	static const char *const words[] = {
		"with client: paho QoS 0 and 1 only are used; use qos: 1, or another client",
		"through a proxy QoS 0 and 1 only are used; use qos: 1, or no proxy",
		"over WebSocket QoS 0 and 1 only are used; use qos: 1, or mqtt:// or mqtts://"};
	return qos > 1 && mqtt_settings_use_paho(settings) ? mqtt_settings_pick(settings, words) : NULL;
}

static bool mqtt_carries_headers(const void *settings)
{
	return mqtt_settings_version(settings) == MQTT_5_0; /* User Properties */
}

static const char *mqtt_check_received(const void *settings, struct slice header)
{
	if (!header.data)
		return "a message of MQTT has no key; use {topic}, {topic[0]}, a capture such as {line}, or "
		       "{.json.path}";
	return mqtt_settings_version(settings) == MQTT_5_0
		       ? NULL
		       : "MQTT 3.1.1 has no headers; read with version: 5, or use {topic}, a capture or {.json.path}";
}

/* Paho reads or writes, not both. */
static bool mqtt_asks_for_replies(const void *settings)
{
	return mqtt_settings_version(settings) == MQTT_5_0 && !mqtt_settings_use_paho(settings);
}

static enum guarantee mqtt_source_guarantee(const void *settings, uint8_t qos)
{
	if (qos == 0 || !mqtt_keeps_session(settings))
		return AT_MOST_ONCE;
	return qos == 2 ? EXACTLY_ONCE : AT_LEAST_ONCE;
}

/* A 3.1.1 broker has a limit of unreleased messages that it cannot say, and mosquitto throws away what is beyond it and
 * yet answers PUBREC: only who knows the limit can promise more. */
static bool mqtt_limit_known(const struct mqtt_settings *settings)
{
	return mqtt_settings_version(settings) == MQTT_5_0 || settings->max_in_flight > 0;
}

static enum guarantee mqtt_sink_guarantee(const void *arg, uint8_t qos, bool declared)
{
	(void)declared;
	const struct mqtt_settings *settings = arg;
	if (qos == 0)
		return AT_MOST_ONCE;
	return qos == 2 && mqtt_keeps_session(settings) && mqtt_limit_known(settings) ? EXACTLY_ONCE : AT_LEAST_ONCE;
}

static void mqtt_add_reason(char *why, size_t size, const char *reason)
{
	size_t len = strlen(why);
	snprintf(why + len, size - len, "%s%s", len ? ", and " : "", reason);
}

static void mqtt_explain_guarantee(
	const void *arg, bool source, uint8_t qos, enum guarantee wished, char *ret_why, size_t size)
{
	const struct mqtt_settings *settings = arg;
	bool exactly = wished == EXACTLY_ONCE;
	*ret_why = '\0';
	static const char *const no_qos_2[] = {
		"exactly-once needs qos: 2, which client: paho is not used with (leave client out)",
		"exactly-once needs qos: 2, which is not used through a proxy (go without one)",
		"exactly-once needs qos: 2, which is not used over WebSocket (say mqtt:// or mqtts://)"};
	if (qos < 2 && exactly && mqtt_settings_use_paho(settings))
		mqtt_add_reason(ret_why, size, mqtt_settings_pick(settings, no_qos_2));
	else if (qos < 2 && exactly)
		mqtt_add_reason(ret_why, size, "exactly-once needs qos: 2");
	else if (qos == 0)
		mqtt_add_reason(ret_why, size, "QoS 0 is not acknowledged (say qos: 1)");
	if ((source || exactly) && settings->clean_start)
		mqtt_add_reason(ret_why, size, "clean_start forgets the session at each connect (leave it out)");
	else if ((source || exactly) && !mqtt_keeps_session(settings))
		mqtt_add_reason(ret_why, size,
			"session_expiry: 0s ends the session with the connection (give it more than an outage lasts)");
	if (!source && exactly && !mqtt_limit_known(settings))
		mqtt_add_reason(ret_why, size,
			"a 3.1.1 broker cannot say how many messages of QoS 2 it takes at once (set max_in_flight to "
			"what it is known to allow, or use version 5)");
}

/* User properties are text; a broker cuts who sends others (MQTT 5 §1.5.4). */
static int mqtt_fit_header(const void *arg, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason)
{
	const struct mqtt_settings *settings = arg;
	const char *wrong =
		set_by_mapping ? cloudevents_check_header(&settings->events, &cloudevent_mqtt, field->name) : NULL;
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	int err = header_text_encode(field, arena, ret_field);
	if (err == -EINVAL)
		*ret_reason = "a header's name is not UTF-8, so it cannot be a User Property of MQTT";
	return err;
}

static const char *mqtt_check_header(const void *arg, struct slice name)
{
	const struct mqtt_settings *settings = arg;
	return cloudevents_check_header(&settings->events, &cloudevent_mqtt, name);
}

static const char *mqtt_check_param(const void *arg, const char *name, struct slice value)
{
	const struct mqtt_settings *settings = arg;
	(void)value;
	return cloudevents_check_param(&settings->events, name);
}

static const char *mqtt_check_target(const void *settings, struct slice topic)
{
	(void)settings;
	return topic_name_check(topic);
}

const struct connector mqtt_connector = {
	.name = "mqtt",
	.help = "An MQTT 3.1.1 or 5 broker, over TCP, TLS or WebSocket, as source and as destination.",
	.connection_keys = mqtt_connection_keys,
	.settings_size = sizeof(struct mqtt_settings),
	.from_keys = mqtt_from_keys,
	.from_size = sizeof(struct mqtt_from),
	.target_key = "topic",
	.to_keys = mqtt_to_keys,
	.can_source = true,
	.can_sink = true,
	.keeps_session = true,
	.packet_ids = true,
	.pipelined_order = true,
	.one_per_filter = true,
	.check = mqtt_settings_check,
	.check_from = mqtt_from_check,
	.share_group = mqtt_from_group,
	.check_overlap = mqtt_from_check_overlap,
	.carries_headers = mqtt_carries_headers,
	.asks_for_replies = mqtt_asks_for_replies,
	.ignores_own = mqtt_from_ignores_own,
	.fit_header = mqtt_fit_header,
	.check_header = mqtt_check_header,
	.check_param = mqtt_check_param,
	.check_received = mqtt_check_received,
	.check_target = mqtt_check_target,
	.check_qos = mqtt_check_qos,
	.check_roles = mqtt_check_roles,
	.check_pair = mqtt_settings_check_pair,
	.source_guarantee = mqtt_source_guarantee,
	.sink_guarantee = mqtt_sink_guarantee,
	.explain_guarantee = mqtt_explain_guarantee,
	.create = mqtt_create,
	.start = mqtt_start,
	.pause = mqtt_pause,
	.resume = mqtt_resume,
	.receipt = mqtt_receipt,
	.receipts_end = mqtt_receipts_end,
	.send = mqtt_send,
	.send_end = mqtt_send_end,
	.stage_durable = mqtt_stage_durable,
	.counters = mqtt_counters,
	.retarget = mqtt_retarget,
	.stop_intake = mqtt_stop_intake,
	.stop = mqtt_stop,
	.destroy = mqtt_destroy,
};
