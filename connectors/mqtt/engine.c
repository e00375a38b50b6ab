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

#define LINGER_MS 1000 /* for a last packet, before a connection is closed */

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

static int engine_publish(
	struct mqtt_session *session, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->state != ENGINE_UP)
		return -ENOTCONN;
	struct mqtt_packet packet = {.type = MQTT_PUBLISH, .publish = *publish, .props = *props};
	return mqtt_encode(transport_output(s->transport), s->version, s->terms.maximum_packet_size, &packet);
}

static void engine_ack(struct mqtt_session *session, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->state != ENGINE_UP)
		return;
	/* PUBREC leaves the message under way, unless it refuses it (§4.3.3). */
	if (s->unacked > 0 && (type == MQTT_PUBACK || type == MQTT_PUBCOMP || reason >= MQTT_UNSPECIFIED_ERROR))
		s->unacked--;
	if (reason == MQTT_SUCCESS || s->version == MQTT_3_1_1) {
		if (mqtt_encode_acks(transport_output(s->transport), type, &packet_id, 1) < 0)
			engine_reconnect(s, MQTT_AGAIN_BACKOFF, "out of memory");
		return;
	}
	struct mqtt_packet packet = {.type = type, .ack = {.packet_id = packet_id, .reason = reason}};
	int r = engine_send(s, &packet);
	(void)r; /* the connection ends then */
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

static struct mqtt_publish engine_own_publish(const struct mqtt_own_message *own, uint16_t packet_id)
{
	return (struct mqtt_publish){
		.qos = (uint8_t)own->qos,
		.retain = own->retain,
		.packet_id = own->qos > 0 ? packet_id : 0,
		.topic = slice_str(own->topic),
		.payload = slice_str(own->payload ? own->payload : ""),
	};
}

static struct mqtt_packet engine_connect_packet(const struct mqtt_engine *s)
{
	const struct mqtt_settings *settings = s->settings;
	struct mqtt_packet packet = {.type = MQTT_CONNECT};
	packet.connect = (struct mqtt_connect){
		.version = s->version,
		.clean_start = settings->clean_start,
		.keep_alive = (uint16_t)((settings->keep_alive_ms + 999) / 1000),
		.client_id = slice_str(s->options.client_id),
		.user_name = slice_str(settings->username),
		.password = slice_str(settings->password),
	};
	if (settings->will.topic) {
		struct mqtt_publish will = engine_own_publish(&settings->will, 1);
		packet.connect.will = (struct mqtt_will){
			.topic = will.topic, .payload = will.payload, .qos = will.qos, .retain = will.retain};
	}
	if (s->version == MQTT_3_1_1)
		return packet;
	if (!settings->clean_start && settings->session_expiry_ms > 0)
		mqtt_set_number(&packet.props, MQTT_SESSION_EXPIRY_INTERVAL,
			(uint32_t)((settings->session_expiry_ms + 999) / 1000));
	mqtt_set_number(&packet.props, MQTT_RECEIVE_MAXIMUM, (uint32_t)settings->receive_maximum);
	if (settings->will.topic && settings->will.delay_ms > 0)
		mqtt_set_number(&packet.connect.will.props, MQTT_WILL_DELAY_INTERVAL,
			(uint32_t)((settings->will.delay_ms + 999) / 1000));
	return packet;
}

/* --- ending ---------------------------------------------------------------------------------------------------------- */

void engine_alarm(struct mqtt_engine *s, const char *format, ...)
{
	char what[640];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	s->options.events->alarm(s->options.ctx, what);
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
static bool engine_drop_transport(struct mqtt_engine *s, int disconnect)
{
	bool was_up = s->state == ENGINE_UP;
	bool says_why = was_up && disconnect >= 0;
	if (says_why)
		engine_disconnect_packet(s, (uint8_t)disconnect);
	transport_close(s->transport, says_why ? LINGER_MS : 0);
	s->transport = NULL;
	s->end_due = false;
	loop_cancel(s->options.loop, &s->end_job);
	loop_timer_stop(s->timer);
	alive_end(s);
	subscriber_down(s);
	return was_up;
}

void engine_end(struct mqtt_engine *s, enum mqtt_session_again again, int disconnect, const char *reason)
{
	if (!s->transport)
		return;
	bool was_up = engine_drop_transport(s, disconnect);
	uint64_t delay_ms = 0;
	if (again != MQTT_AGAIN_SOON) {
		uint64_t up_ms = was_up ? loop_now_ms(s->options.loop) - s->up_since_ms : 0;
		reconnect_ended(&s->reconnect, up_ms, s->progress);
		delay_ms = reconnect_delay_ms(&s->reconnect, again == MQTT_AGAIN_SLOWLY);
	}
	s->state = ENGINE_WAITING;
	loop_timer_start(s->timer, delay_ms);
	/* The reason first: the same line again is counted, not repeated. */
	log_warn(was_up ? "mqtt_disconnected" : "mqtt_connect_failed", "connection=%s reason=\"%s\"", s->options.name,
		reason);
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

/* --- the broker's answer ------------------------------------------------------------------------------------------------ */

const char *engine_refusal_advice(enum mqtt_version version, uint8_t reason)
{
	if (version == MQTT_3_1_1) {
		static const char *const advice[] = {
			[1] = "set version: 5, or use another broker",
			[2] = "choose another client_id",
			[4] = "correct username and password",
			[5] = "let the broker accept this client, or correct username and password",
		};
		return reason < sizeof advice / sizeof advice[0] ? advice[reason] : NULL;
	}
	switch (reason) {
	case MQTT_UNSUPPORTED_PROTOCOL_VERSION:
		return "set version: 3.1.1";
	case MQTT_CLIENT_IDENTIFIER_NOT_VALID:
		return "choose another client_id";
	case MQTT_BAD_USER_NAME_OR_PASSWORD:
		return "correct username and password";
	case MQTT_NOT_AUTHORIZED:
	case MQTT_BANNED:
		return "let the broker accept this client, or correct username and password";
	case MQTT_BAD_AUTHENTICATION_METHOD:
		return "the broker demands an authentication that linkspan does not have";
	case MQTT_TOPIC_NAME_INVALID:
	case MQTT_QOS_NOT_SUPPORTED:
	case MQTT_RETAIN_NOT_SUPPORTED:
	case MQTT_PAYLOAD_FORMAT_INVALID:
		return "the broker does not accept the will; change it";
	case MQTT_USE_ANOTHER_SERVER:
	case MQTT_SERVER_MOVED:
		return "correct the url";
	default:
		return NULL;
	}
}

static void engine_refused(struct mqtt_engine *s, uint8_t code, const struct mqtt_properties *props)
{
	char reason[384];
	int text_len = props->reason_string.len < 200 ? (int)props->reason_string.len : 200;
	snprintf(reason, sizeof reason, "the broker refused the connection: %s%s%.*s",
		s->version == MQTT_5_0 ? mqtt_reason_name(code) : mqtt_return_code_name(code), text_len ? ": " : "",
		text_len, text_len ? (const char *)props->reason_string.data : "");
	const char *advice = engine_refusal_advice(s->version, code);
	if (advice)
		engine_alarm(s, "%s; %s", reason, advice);
	engine_end(s, advice ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

static void engine_take_terms(struct mqtt_engine *s, bool session_present, const struct mqtt_properties *props)
{
	s->terms = (struct mqtt_session_terms){
		.session_present = session_present,
		.receive_maximum = s->version == MQTT_5_0 ? props->receive_maximum : 0,
		.maximum_qos = (uint8_t)props->maximum_qos,
		.retain_available = props->retain_available != 0,
		.maximum_packet_size = props->maximum_packet_size ? props->maximum_packet_size : MQTT_MAX_PACKET,
	};
	s->keep_alive_ms = s->settings->keep_alive_ms;
	if (mqtt_has(props, MQTT_SERVER_KEEP_ALIVE))
		s->keep_alive_ms = (uint64_t)props->server_keep_alive * 1000;
	uint64_t asked_ms = s->settings->clean_start ? 0 : s->settings->session_expiry_ms;
	if (mqtt_has(props, MQTT_SESSION_EXPIRY_INTERVAL) && (uint64_t)props->session_expiry_interval * 1000 < asked_ms)
		log_warn("mqtt_session_shortened",
			"connection=%s seconds=%u what=\"the broker keeps the session for less than session_expiry\"",
			s->options.name, props->session_expiry_interval);
}

/* Always under the same identifier: if it was not acknowledged before, this one is its repetition. */
static void engine_publish_birth(struct mqtt_engine *s)
{
	const struct mqtt_own_message *birth = &s->settings->birth;
	if (!birth->topic)
		return;
	struct mqtt_packet packet = {.type = MQTT_PUBLISH, .publish = engine_own_publish(birth, ENGINE_BIRTH_ID)};
	if (packet.publish.qos > s->terms.maximum_qos || (packet.publish.retain && !s->terms.retain_available)) {
		engine_alarm(
			s, "the broker does not support the qos or the retain flag of the birth message; change it");
		return;
	}
	packet.publish.dup = packet.publish.qos > 0 && s->birth_unacked && s->terms.session_present;
	s->birth_unacked = packet.publish.qos > 0;
	/* It counts too [MQTT-3.3.4-7]. A maximum of 1, which would leave nothing, is passed until its PUBACK. */
	if (s->birth_unacked && s->terms.receive_maximum > 1)
		s->terms.receive_maximum--;
	int r = engine_send(s, &packet);
	(void)r; /* the connection ends then */
}

void engine_accepted(struct mqtt_engine *s, const struct mqtt_connack *connack, const struct mqtt_properties *props)
{
	if (connack->reason != MQTT_SUCCESS) {
		engine_refused(s, connack->reason, props);
		return;
	}
	if (connack->session_present && s->settings->clean_start) { /* [MQTT-3.2.2-4] */
		engine_end(s, MQTT_AGAIN_BACKOFF, -1, "the broker kept a session that was to be forgotten");
		return;
	}
	engine_take_terms(s, connack->session_present, props);
	s->state = ENGINE_UP;
	s->up_since_ms = loop_now_ms(s->options.loop);
	s->progress = false;
	loop_timer_stop(s->timer);
	log_info("mqtt_connected", "connection=%s host=%s port=%u version=%s client_id=\"%s\" session_present=%d",
		s->options.name, s->url.host, s->url.port, s->version == MQTT_5_0 ? "5" : "3.1.1", s->options.client_id,
		s->terms.session_present);
	alive_begin(s);
	engine_publish_birth(s);
	s->options.events->up(s->options.ctx, &s->terms);
	if (!s->transport)
		return; /* stopped from inside */
	subscriber_up(s);
	engine_flush(s);
}

/* --- the transport's events ------------------------------------------------------------------------------------------------ */

static void engine_on_connected(void *ctx)
{
	struct mqtt_engine *s = ctx;
	struct mqtt_packet packet = engine_connect_packet(s);
	mqtt_decoder_init(s->decoder, s->version, MQTT_SERVER);
	s->skip_bytes = 0;
	s->unacked = 0;
	s->terms.maximum_packet_size = MQTT_MAX_PACKET;
	if (engine_send(s, &packet) == 0)
		engine_flush(s);
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
	struct tls_options tls = {
		.ca = settings->tls.ca,
		.cert = settings->tls.cert,
		.key = settings->tls.key,
		.insecure = !settings->tls.verify,
	};
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
	log_warn("mqtt_connect_failed", "connection=%s reason=\"%s\"", s->options.name, error);
	if (r == -EINVAL)
		engine_alarm(s, "%s", error);
	s->state = ENGINE_WAITING;
	reconnect_ended(&s->reconnect, 0, false);
	loop_timer_start(s->timer, reconnect_delay_ms(&s->reconnect, r == -EINVAL));
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
	for (size_t i = 0; known && i < known->n; i++) {
		const struct filter_entry *sub = &known->items[i];
		if (filter_set_put(&s->subscriber.known, sub->filter, sub->qos, sub->confirmed) < 0)
			return -ENOMEM;
	}
	s->started = true;
	engine_connect(s);
	return 0;
}

/* Who watches the will's topic is to learn that we are gone, also when we leave in good order. */
static void engine_say_goodbye(struct mqtt_engine *s)
{
	uint8_t reason = MQTT_SUCCESS;
	if (s->settings->will.topic && s->version == MQTT_5_0)
		reason = MQTT_DISCONNECT_WITH_WILL;
	if (s->settings->will.topic && s->version == MQTT_3_1_1) {
		struct mqtt_packet packet = {.type = MQTT_PUBLISH};
		packet.publish = engine_own_publish(&s->settings->will, ENGINE_BIRTH_ID);
		int r = mqtt_encode(transport_output(s->transport), s->version, MQTT_MAX_PACKET, &packet);
		(void)r; /* leaving anyway */
	}
	engine_drop_transport(s, reason);
}

static void engine_stop(struct mqtt_session *session)
{
	struct mqtt_engine *s = engine_of(session);
	if (s->stopping)
		return;
	s->stopping = true;
	if (s->state == ENGINE_UP)
		engine_say_goodbye(s);
	else if (s->transport)
		engine_drop_transport(s, -1);
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
	free(s->decoder);
	free(s);
}

static void engine_on_reconnect(struct mqtt_session *session, enum mqtt_session_again again, const char *reason)
{
	engine_reconnect(engine_of(session), again, reason);
}

static const struct mqtt_session_ops engine_ops = {
	.start = engine_start,
	.publish = engine_publish,
	.ack = engine_ack,
	.flush = engine_on_flush,
	.appended = engine_appended,
	.written = engine_written,
	.reconnect = engine_on_reconnect,
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
	const char *wrong = mqtt_url_parse(s->settings->url, &s->url);
	if (r == 0 && wrong) {
		log_error("mqtt_url", "connection=%s what=\"%s\"", options->name, wrong);
		r = -EINVAL;
	}
	if (r < 0)
		engine_free(&s->base);
	else
		*ret_session = &s->base;
	return r;
}
