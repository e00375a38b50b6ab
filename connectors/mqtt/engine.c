/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a session and of its connections. Legal moves: IDLE → CONNECTING → UP → WAITING → CONNECTING …;
 * CONNECTING → WAITING; any → IDLE by stop. engine_end is the only way out of CONNECTING and UP but for stop.
 */
#include "connectors/mqtt/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/log.h"

#define LINGER_MS 1000 /* for a last packet, before a connection is closed that another one follows */

static void engine_connect(struct mqtt_engine *s);

static struct mqtt_engine *engine_of(struct mqtt_session *session)
{
	return (struct mqtt_engine *)session;
}

/* --- sending --------------------------------------------------------------------------------------------------------- */

int engine_send(struct mqtt_engine *s, const struct mqtt_packet *packet)
{
	int r = mqtt_encode(transport_output(s->transport), s->version, s->terms.maximum_packet_size, packet);
	if (r < 0) {
		char reason[128];
		snprintf(reason, sizeof reason, "cannot send a %s: %s", mqtt_type_name(packet->type),
			r == -EMSGSIZE ? "larger than the broker takes" : strerror(-r));
		engine_reconnect(s, MQTT_AGAIN_BACKOFF, reason);
	}
	return r;
}

/* With a topic alias instead of the topic, or beside it to set the alias. */
static int engine_publish_aliased(struct mqtt_engine *s, struct mqtt_packet *packet)
{
	struct buffer *out = transport_output(s->transport);
	uint32_t most = s->terms.maximum_packet_size;
	struct slice topic = packet->publish.topic;
	bool known = false;
	uint16_t alias = alias_choose(&s->aliases_out, topic, &known);
	if (alias == 0)
		return mqtt_encode(out, s->version, most, packet);
	mqtt_set_number(&packet->props, MQTT_TOPIC_ALIAS, alias);
	if (known)
		packet->publish.topic = slice_str("");
	int r = mqtt_encode(out, s->version, most, packet);
	if (known)
		return r;
	if (r == 0 && alias_set(&s->aliases_out, alias, topic, false) < 0)
		log_debug("mqtt_alias_forgotten", "connection=%s reason=\"out of memory\"", s->options.name);
	if (r != -EMSGSIZE)
		return r;
	packet->props.present &= ~(1ull << MQTT_TOPIC_ALIAS); /* three bytes may be what is too much */
	return mqtt_encode(out, s->version, most, packet);
}

static int engine_publish(
	struct mqtt_session *session, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->state != ENGINE_UP)
		return -ENOTCONN;
	struct mqtt_packet packet = {.type = MQTT_PUBLISH, .publish = *publish, .props = *props};
	if (s->aliases_out.max > 0)
		return engine_publish_aliased(s, &packet);
	return mqtt_encode(transport_output(s->transport), s->version, s->terms.maximum_packet_size, &packet);
}

/* Acknowledgements keep their order (§4.6): when one could not be appended, the connection is about to end, and what
 * follows in this turn is not to be taken for the answer that the broker waits for. */
static void engine_ack(struct mqtt_session *session, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->state != ENGINE_UP || s->ack_failed)
		return;
	/* PUBREC leaves the message under way, unless it refuses it (§4.3.3). */
	if (s->unacked > 0 && (type == MQTT_PUBACK || type == MQTT_PUBCOMP || reason >= MQTT_UNSPECIFIED_ERROR))
		s->unacked--;
	if (reason == MQTT_SUCCESS || s->version == MQTT_3_1_1) {
		s->ack_failed = mqtt_encode_acks(transport_output(s->transport), type, &packet_id, 1) < 0;
		if (s->ack_failed)
			engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	struct mqtt_packet packet = {.type = type, .ack = {.packet_id = packet_id, .reason = reason}};
	s->ack_failed = engine_send(s, &packet) < 0; /* the connection ends then */
}

void engine_flush(struct mqtt_engine *s)
{
	if (!s->transport)
		return;
	transport_flush(s->transport);
	uint64_t appended = transport_appended(s->transport);
	if (appended != s->sent_mark) {
		s->sent_mark = appended;
		s->sent_ms = loop_now_ms(s->options.loop);
	}
}

static void engine_on_flush(struct mqtt_session *session)
{
	engine_flush(engine_of(session));
}

static uint64_t engine_appended(const struct mqtt_session *session)
{
	const struct mqtt_engine *s = (const struct mqtt_engine *)session;
	return s->transport ? transport_appended(s->transport) : 0;
}

static uint64_t engine_written(const struct mqtt_session *session)
{
	const struct mqtt_engine *s = (const struct mqtt_engine *)session;
	return s->transport ? transport_written(s->transport) : 0;
}

/* --- ending ---------------------------------------------------------------------------------------------------------- */

void engine_alarm(struct mqtt_engine *s, const char *format, ...)
{
	char what[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	s->options.events->alarm(s->options.ctx, what);
}

#define EXPLAIN_TEXT 200 /* bytes of the reason string, and of a user property's name or value */
#define EXPLAIN_USER 8 /* user properties */

void engine_explain(char *text, size_t size, const char *what, const char *name, const struct mqtt_properties *props)
{
	int len = snprintf(text, size, "%s: %s", what, name);
	if (props->reason_string.len > 0 && (size_t)len < size)
		len += snprintf(text + len, size - (size_t)len, ": %.*s",
			props->reason_string.len < EXPLAIN_TEXT ? (int)props->reason_string.len : EXPLAIN_TEXT,
			(const char *)props->reason_string.data);
	for (size_t i = 0; i < props->n_user && i < EXPLAIN_USER && (size_t)len < size; i++) {
		const struct message_field *user = &props->user[i];
		len += snprintf(text + len, size - (size_t)len, "%s%.*s=%.*s", i == 0 ? " (" : ", ",
			user->name.len < EXPLAIN_TEXT ? (int)user->name.len : EXPLAIN_TEXT,
			(const char *)user->name.data,
			user->value.len < EXPLAIN_TEXT ? (int)user->value.len : EXPLAIN_TEXT,
			(const char *)user->value.data);
	}
	if (props->n_user > 0 && (size_t)len < size)
		snprintf(text + len, size - (size_t)len, "%s)", props->n_user > EXPLAIN_USER ? ", …" : "");
}

static void engine_disconnect_packet(struct mqtt_engine *s, uint8_t reason)
{
	if (s->version == MQTT_3_1_1 && reason != MQTT_SUCCESS)
		return; /* §3.14 of 3.1.1: a DISCONNECT is a clean one, which would throw the will away */
	struct mqtt_packet packet = {.type = MQTT_DISCONNECT, .reason = reason};
	int r = mqtt_encode(transport_output(s->transport), s->version, MQTT_MAX_PACKET, &packet);
	(void)r; /* without memory the broker sees the connection close */
}

/* Lets go of the connection. Returns whether it had been up. */
static bool engine_drop_transport(struct mqtt_engine *s, int disconnect, uint64_t linger_ms)
{
	bool was_up = s->state == ENGINE_UP;
	bool says_why = was_up && disconnect >= 0;
	if (says_why)
		engine_disconnect_packet(s, (uint8_t)disconnect);
	transport_close(s->transport, says_why ? linger_ms : 0);
	s->transport = NULL;
	s->end_due = s->ack_failed = false;
	loop_cancel(s->options.loop, &s->end_job);
	loop_timer_stop(s->timer);
	alias_reset(&s->aliases_in, 0);
	alias_reset(&s->aliases_out, 0);
	alive_end(s);
	subscriber_down(s);
	return was_up;
}

/* Chooses the address of the next attempt, and the wait before it. Between two addresses of one round it is short, and
 * yet not the same for a thousand gateways. */
static uint64_t engine_next_delay_ms(struct mqtt_engine *s, uint64_t up_ms, bool slow)
{
	if (!addresses_failed(&s->addresses, up_ms >= RECONNECT_SOUND_MS, slow, &slow))
		return s->reconnect.random((uint32_t)s->reconnect.min_ms + 1);
	reconnect_ended(&s->reconnect, up_ms, s->progress);
	return reconnect_delay_ms(&s->reconnect, slow);
}

uint64_t engine_up_ms(const struct mqtt_engine *s)
{
	return s->state == ENGINE_UP ? loop_now_ms(s->options.loop) - s->up_since_ms : 0;
}

void engine_end(struct mqtt_engine *s, enum mqtt_session_again again, int disconnect, const char *reason)
{
	if (!s->transport)
		return;
	uint64_t up_ms = engine_up_ms(s);
	bool was_up = engine_drop_transport(s, disconnect, LINGER_MS);
	uint64_t delay_ms = 0;
	if (again != MQTT_AGAIN_SOON)
		delay_ms = engine_next_delay_ms(s, up_ms, again == MQTT_AGAIN_SLOWLY);
	s->state = ENGINE_WAITING;
	loop_timer_start(s->timer, delay_ms);
	/* The reason first: the same line again is counted, not repeated. */
	log_warn(was_up ? "mqtt_disconnected" : "mqtt_connect_failed", "connection=%s reason=\"%s\" host=%s port=%u",
		s->options.name, reason, s->url.host, s->url.port);
	log_debug("mqtt_wait", "connection=%s ms=%llu", s->options.name, (unsigned long long)delay_ms);
	if (was_up)
		s->options.events->down(s->options.ctx, reason);
}

static void engine_on_end_job(void *arg)
{
	struct mqtt_engine *s = arg;
	if (!s->end_due)
		return;
	s->end_due = false;
	char reason[sizeof s->end_reason];
	memcpy(reason, s->end_reason, sizeof reason);
	engine_end(s, s->end_again, s->end_again == MQTT_AGAIN_SOON ? MQTT_SUCCESS : MQTT_UNSPECIFIED_ERROR, reason);
}

void engine_reconnect(struct mqtt_engine *s, enum mqtt_session_again again, const char *reason)
{
	if (!s->transport || s->end_due)
		return;
	s->end_due = true;
	s->end_again = again;
	snprintf(s->end_reason, sizeof s->end_reason, "%s", reason);
	loop_post(s->options.loop, &s->end_job);
}

/* --- the transport's events ------------------------------------------------------------------------------------------------ */

static void engine_on_connected(void *ctx)
{
	engine_begin(ctx);
}

static void engine_on_readable(void *ctx)
{
	engine_readable(ctx);
}

static void engine_on_written(void *ctx)
{
	struct mqtt_engine *s = ctx;
	if (s->state != ENGINE_UP)
		return;
	alive_written(s);
	s->options.events->written(s->options.ctx);
}

static void engine_on_failed(void *ctx, const char *reason, bool lasts)
{
	struct mqtt_engine *s = ctx;
	if (lasts)
		engine_alarm(s, "%s", reason);
	engine_end(s, lasts ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

static void engine_on_closed(void *ctx)
{
	struct mqtt_engine *s = ctx;
	s->transports--;
	if (s->stopping && s->transports == 0)
		s->options.events->stopped(s->options.ctx);
}

static const struct transport_events engine_transport_events = {
	.connected = engine_on_connected,
	.readable = engine_on_readable,
	.written = engine_on_written,
	.failed = engine_on_failed,
	.closed = engine_on_closed,
};

/* --- life -------------------------------------------------------------------------------------------------------------------- */

static void engine_connect(struct mqtt_engine *s)
{
	const struct mqtt_settings *settings = s->settings;
	s->url = *addresses_current(&s->addresses);
	struct tls_options tls = mqtt_settings_tls(settings, s->url.host);
	struct transport_options options = {
		.loop = s->options.loop,
		.host = s->url.host,
		.port = s->url.port,
		.tls = s->url.tls ? &tls : NULL,
		.output_limit = ENGINE_OUTPUT_LIMIT,
		.events = &engine_transport_events,
		.ctx = s,
	};
	char error[512];
	int r = transport_open(&options, &s->transport, error, sizeof error);
	if (r == 0) {
		s->transports++;
		s->state = ENGINE_CONNECTING;
		s->progress = false;
		s->sent_mark = 0;
		loop_timer_start(s->timer, settings->connect_timeout_ms);
		return;
	}
	log_warn("mqtt_connect_failed", "connection=%s reason=\"%s\" host=%s port=%u", s->options.name, error,
		s->url.host, s->url.port);
	if (r == -EINVAL)
		engine_alarm(s, "%s", error);
	s->state = ENGINE_WAITING;
	s->progress = false;
	loop_timer_start(s->timer, engine_next_delay_ms(s, 0, r == -EINVAL));
}

static void engine_on_timer(void *arg)
{
	struct mqtt_engine *s = arg;
	if (s->state == ENGINE_WAITING)
		engine_connect(s);
	else if (s->state == ENGINE_CONNECTING)
		engine_end(s, MQTT_AGAIN_BACKOFF, -1, "the broker did not answer within connect_timeout");
}

static int engine_start(struct mqtt_session *session, const struct filter_set *known)
{
	struct mqtt_engine *s = engine_of(session);
	int r = known ? filter_set_copy(known, &s->subscriber.known) : 0;
	s->subscriber.reported = known != NULL && r == 0;
	s->started = true;
	engine_connect(s);
	return r;
}

/* Who watches the will's topic is to learn that we are gone, also when we leave in good order. */
static void engine_say_goodbye(struct mqtt_engine *s, uint64_t linger_ms)
{
	uint8_t reason = MQTT_SUCCESS;
	if (s->settings->will.topic && s->version == MQTT_5_0)
		reason = MQTT_DISCONNECT_WITH_WILL;
	if (s->settings->will.topic && s->version == MQTT_3_1_1) {
		struct mqtt_packet packet = {.type = MQTT_PUBLISH};
		packet.publish = engine_own_publish(&s->settings->will, ENGINE_BIRTH_ID);
		if (packet.publish.qos > 1)
			packet.publish.qos = 1; /* nobody stays for the second half of QoS 2 */
		int r = mqtt_encode(transport_output(s->transport), s->version, MQTT_MAX_PACKET, &packet);
		(void)r; /* leaving anyway */
	}
	engine_drop_transport(s, reason, linger_ms);
}

static void engine_stop(struct mqtt_session *session, uint64_t linger_ms)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->stopping)
		return;
	s->stopping = true;
	if (s->state == ENGINE_UP)
		engine_say_goodbye(s, linger_ms);
	else if (s->transport)
		engine_drop_transport(s, -1, 0);
	loop_timer_stop(s->timer);
	s->state = ENGINE_IDLE;
	if (s->transports == 0)
		s->options.events->stopped(s->options.ctx);
}

static void engine_free(struct mqtt_session *session)
{
	struct mqtt_engine *s = engine_of(session);
	loop_cancel(s->options.loop, &s->end_job);
	loop_timer_free(s->timer);
	loop_timer_free(s->alive_timer);
	subscriber_free(s);
	alias_reset(&s->aliases_in, 0);
	alias_reset(&s->aliases_out, 0);
	addresses_free(&s->addresses);
	free(s->assigned_id);
	free(s->connect_user);
	free(s->will_user);
	free(s->decoder);
	free(s);
}

static void engine_on_reconnect(struct mqtt_session *session, enum mqtt_session_again again, const char *reason)
{
	engine_reconnect(engine_of(session), again, reason);
}

static void engine_resubscribe(struct mqtt_session *session)
{
	struct mqtt_engine *s = engine_of(session);
	subscriber_wanted_changed(s);
	if (s->state == ENGINE_UP)
		engine_flush(s);
}

static const struct mqtt_session_ops engine_ops = {
	.start = engine_start,
	.publish = engine_publish,
	.ack = engine_ack,
	.flush = engine_on_flush,
	.appended = engine_appended,
	.written = engine_written,
	.reconnect = engine_on_reconnect,
	.resubscribe = engine_resubscribe,
	.stop = engine_stop,
	.free = engine_free,
};

int engine_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
{
	struct mqtt_engine *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->base.ops = &engine_ops;
	s->options = *options;
	s->settings = options->settings;
	s->version = mqtt_settings_version(options->settings);
	s->asks_for_id = s->version == MQTT_5_0 && s->settings->clean_start && !s->settings->client_id;
	s->reconnect = (struct reconnect){
		.min_ms = s->settings->reconnect_min_ms,
		.max_ms = s->settings->reconnect_max_ms,
		.random = arc4random_uniform,
	};
	loop_job_init(&s->end_job, engine_on_end_job, s);
	s->decoder = malloc(sizeof *s->decoder);
	s->timer = loop_timer_new(options->loop, engine_on_timer, s);
	s->alive_timer = loop_timer_new(options->loop, alive_on_timer, s);
	int r = s->decoder && s->timer && s->alive_timer ? subscriber_init(s) : -ENOMEM;
	const char *wrong = NULL;
	if (r == 0)
		r = engine_make_user_properties(s);
	if (r == 0)
		r = addresses_init(&s->addresses, s->settings, &wrong);
	if (wrong)
		log_error("mqtt_url", "connection=%s what=\"%s\"", options->name, wrong);
	if (r < 0)
		engine_free(&s->base);
	else
		*ret_session = &s->base;
	return r;
}
