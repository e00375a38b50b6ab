/* SPDX-License-Identifier: Apache-2.0
 *
 * Life of a Paho session and of its connections, on the loop. Legal moves: IDLE → CONNECTING → UP → WAITING or PAUSED →
 * CONNECTING …; CONNECTING → WAITING; any → IDLE by stop. paho_end is the only way out of CONNECTING and UP but for stop.
 */
#include "connectors/mqtt/paho.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/engine.h"
#include "runtime/log.h"

static struct paho_session *session_of(struct mqtt_session *session)
{
	return (struct paho_session *)session;
}

/* --- ending -------------------------------------------------------------------------------------------------------------- */

void paho_alarm(struct paho_session *s, const char *format, ...)
{
	char what[800];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	s->options.events->alarm(s->options.ctx, what);
}

/* Lets go of the connection. Returns whether it had been up. */
static bool session_drop(struct paho_session *s, int disconnect)
{
	struct paho_connection *conn = s->conn;
	bool was_up = s->state == PAHO_UP;
	s->conn = NULL;
	s->end_due = false;
	loop_cancel(s->options.loop, &s->end_job);
	loop_cancel(s->options.loop, &s->written_job);
	loop_timer_stop(s->timer);
	paho_subscriptions_down(s);
	paho_connection_end(conn, disconnect);
	return was_up;
}

void paho_end(struct paho_session *s, enum mqtt_session_again again, int disconnect, const char *reason)
{
	if (!s->conn)
		return;
	char kept[900]; /* it may stand in the connection */
	snprintf(kept, sizeof kept, "%s", reason);
	bool was_up = session_drop(s, disconnect);
	uint64_t delay_ms = 0;
	if (again != MQTT_AGAIN_SOON) {
		uint64_t up_ms = was_up ? loop_now_ms(s->options.loop) - s->up_since_ms : 0;
		reconnect_ended(&s->reconnect, up_ms, s->progress);
		delay_ms = reconnect_delay_ms(&s->reconnect, again == MQTT_AGAIN_SLOWLY);
	}
	s->state = s->intake == MQTT_INTAKE_ON ? PAHO_WAITING : PAHO_PAUSED;
	if (s->state == PAHO_WAITING)
		loop_timer_start(s->timer, delay_ms);
	log_warn(was_up ? "mqtt_disconnected" : "mqtt_connect_failed", "connection=%s reason=\"%s\"", s->options.name,
		kept);
	log_debug("mqtt_wait", "connection=%s ms=%llu", s->options.name, (unsigned long long)delay_ms);
	if (was_up)
		s->options.events->down(s->options.ctx, kept);
}

static void session_on_end_job(void *arg)
{
	struct paho_session *s = arg;
	struct paho_connection *conn = s->conn;
	if (!s->end_due || !conn)
		return;
	s->end_due = false;
	if (s->end_is_pause && conn->arrival && !conn->untaken)
		return; /* its acknowledgement asks again */
	if (s->end_is_pause && s->intake == MQTT_INTAKE_ON && !(conn->arrival && conn->left_alone))
		return; /* there is room again */
	char reason[sizeof s->end_reason];
	memcpy(reason, s->end_reason, sizeof reason);
	paho_end(s, s->end_again, s->end_again == MQTT_AGAIN_SOON ? MQTT_SUCCESS : MQTT_UNSPECIFIED_ERROR, reason);
}

void paho_reconnect(struct paho_session *s, enum mqtt_session_again again, const char *reason)
{
	if (!s->conn || (s->end_due && !s->end_is_pause))
		return;
	s->end_due = true;
	s->end_is_pause = false;
	s->end_again = again;
	snprintf(s->end_reason, sizeof s->end_reason, "%s", reason);
	loop_post(s->options.loop, &s->end_job);
}

void paho_pause(struct paho_session *s)
{
	if (!s->conn || s->state != PAHO_UP || s->end_due)
		return;
	paho_reconnect(
		s, MQTT_AGAIN_SOON, "the destinations have no room; the broker keeps the messages until they have");
	s->end_is_pause = true;
}

/* --- what Paho's threads say --------------------------------------------------------------------------------------------- */

static void session_refused(struct paho_session *s, uint8_t code)
{
	char reason[256];
	snprintf(reason, sizeof reason, "the broker refused the connection: %s",
		s->version == MQTT_5_0 ? mqtt_reason_name(code) : mqtt_return_code_name(code));
	const char *advice = engine_refusal_advice(s->version, code);
	if (advice)
		paho_alarm(s, "%s; %s", reason, advice);
	paho_end(s, advice ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

static void session_not_connected(struct paho_session *s)
{
	struct paho_connection *conn = s->conn;
	char reason[900];
	if (conn->connected.reason != 0) {
		session_refused(s, conn->connected.reason);
		return;
	}
	if (!conn->broker_up)
		snprintf(reason, sizeof reason, "%s", conn->failure[0] ? conn->failure : "Paho could not connect");
	else
		snprintf(reason, sizeof reason, "the broker did not answer in MQTT%s%s%s%s",
			s->url.websocket ? " over WebSocket at " : "", s->url.websocket ? s->url.path : "",
			conn->failure[0] ? ": " : "", conn->failure);
	/* With TLS 1.3 a certificate is refused when the way is open already. */
	if (conn->failure_lasts)
		paho_alarm(s, "%s", reason);
	paho_end(s, conn->failure_lasts ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

static void session_disconnected(struct paho_session *s)
{
	const struct paho_event *event = &s->conn->disconnected;
	char reason[384];
	snprintf(reason, sizeof reason, "the broker ended the connection: %s%s%s", mqtt_reason_name(event->reason),
		event->text[0] ? ": " : "", event->text);
	const char *advice = engine_disconnect_advice(event->reason);
	if (advice)
		paho_alarm(s, "%s; %s", reason, advice);
	paho_end(s, advice ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

/* Paho 1.3.12 does not heed the broker's keep-alive [MQTT-3.2.2-21]: a shorter one needs a new connection, which asks for
 * it. */
static bool session_heeds_keep_alive(struct paho_session *s, bool given, uint16_t wanted_s)
{
	uint16_t ours_s = s->conn->keep_alive_s;
	if (!given || wanted_s == 0 || (ours_s > 0 && ours_s <= wanted_s))
		return true;
	s->keep_alive_s = wanted_s;
	paho_end(s, MQTT_AGAIN_SOON, MQTT_SUCCESS, "the broker wants a shorter keep_alive: connecting with it");
	return false;
}

static void session_accepted(struct paho_session *s)
{
	struct paho_connection *conn = s->conn;
	pthread_mutex_lock(&conn->lock);
	s->terms = conn->terms;
	bool given = conn->keep_alive_given;
	uint16_t wanted_s = conn->server_keep_alive_s;
	uint32_t expiry_s = conn->server_expiry_s;
	pthread_mutex_unlock(&conn->lock);
	if (s->terms.session_present && s->settings->clean_start) { /* [MQTT-3.2.2-4] */
		paho_end(s, MQTT_AGAIN_BACKOFF, -1, "the broker kept a session that was to be forgotten");
		return;
	}
	if (!session_heeds_keep_alive(s, given, wanted_s))
		return;
	if (!s->settings->clean_start && (uint64_t)expiry_s * 1000 < s->settings->session_expiry_ms)
		log_warn("mqtt_session_shortened",
			"connection=%s seconds=%u what=\"the broker keeps the session for less than session_expiry\"",
			s->options.name, expiry_s);
	s->state = PAHO_UP;
	s->up_since_ms = loop_now_ms(s->options.loop);
	s->progress = false;
	loop_timer_stop(s->timer);
	log_info("mqtt_connected",
		"connection=%s host=%s port=%u version=%s client_id=\"%s\" session_present=%d client=paho",
		s->options.name, s->url.host, s->url.port, s->version == MQTT_5_0 ? "5" : "3.1.1", s->options.client_id,
		s->terms.session_present);
	if (s->settings->birth.topic) {
		if (s->settings->birth.qos > 0 && s->terms.receive_maximum > 1)
			s->terms.receive_maximum--; /* it counts too [MQTT-3.3.4-7] */
		paho_publish_own(s, &s->settings->birth);
	}
	s->options.events->up(s->options.ctx, &s->terms);
	if (s->conn != conn)
		return; /* stopped from inside */
	paho_subscriptions_up(s);
	paho_pump(conn);
}

/* Of the connection that counts. */
void paho_on_event(struct paho_session *s, struct paho_event *event)
{
	switch (event->type) {
	case PAHO_CONNECTED:
		session_accepted(s);
		break;
	case PAHO_REFUSED:
		session_not_connected(s);
		break;
	case PAHO_DISCONNECTED:
		session_disconnected(s);
		break;
	case PAHO_LOST:
		paho_end(s, MQTT_AGAIN_BACKOFF, -1,
			s->conn->failure[0] ? s->conn->failure
					    : "Paho gave the connection up: the broker has been silent for longer than "
					      "keep_alive, or broke the protocol");
		break;
	case PAHO_ANSWERED:
		paho_answered(s, (struct paho_request *)event);
		break;
	case PAHO_ARRIVED:
		paho_arrived(s, (struct paho_arrival *)event);
		break;
	case PAHO_LEFT:
		break;
	}
}

static void session_wait(struct paho_session *s, const char *error)
{
	log_warn("mqtt_connect_failed", "connection=%s reason=\"%s\"", s->options.name, error);
	s->state = PAHO_WAITING;
	reconnect_ended(&s->reconnect, 0, false);
	loop_timer_start(s->timer, reconnect_delay_ms(&s->reconnect, false));
}

static void session_connect(struct paho_session *s)
{
	char error[512];
	if (paho_connection_open(s, &s->conn, error, sizeof error) < 0) {
		session_wait(s, error);
		return;
	}
	s->state = PAHO_CONNECTING;
	s->progress = false;
	loop_timer_start(s->timer, s->settings->connect_timeout_ms);
}

static void session_on_timer(void *arg)
{
	struct paho_session *s = arg;
	if (s->state == PAHO_WAITING)
		session_connect(s);
	else if (s->state == PAHO_CONNECTING)
		paho_end(s, MQTT_AGAIN_BACKOFF, -1, "the broker did not answer within connect_timeout");
}

/* --- the session's table -------------------------------------------------------------------------------------------------- */

static int session_start(struct mqtt_session *session, const struct filter_set *known)
{
	struct paho_session *s = session_of(session);
	int r = 0;
	for (size_t i = 0; r == 0 && known && i < known->n; i++)
		r = filter_set_put(&s->known, &known->items[i]);
	s->reported = known != NULL;
	if (s->intake == MQTT_INTAKE_ON)
		session_connect(s);
	else
		s->state = PAHO_PAUSED;
	return r;
}

static int session_publish(
	struct mqtt_session *session, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	struct paho_session *s = session_of(session);
	if (s->state != PAHO_UP)
		return -ENOTCONN;
	if (publish->qos > 1)
		return -EINVAL;
	struct mqtt_packet packet = {.type = MQTT_PUBLISH, .publish = *publish, .props = *props};
	return paho_publish_packet(s, &packet, false);
}

static void session_ack(struct mqtt_session *session, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	(void)reason; /* Paho always says success */
	if (type == MQTT_PUBACK || type == MQTT_PUBREC)
		paho_ack(session_of(session), packet_id);
}

static void session_flush(struct mqtt_session *session)
{
	struct paho_session *s = session_of(session);
	if (s->state == PAHO_UP)
		paho_pump(s->conn);
}

static uint64_t session_appended(const struct mqtt_session *session)
{
	const struct paho_session *s = (const struct paho_session *)session;
	return s->conn ? s->conn->appended : 0;
}

static uint64_t session_written(const struct mqtt_session *session)
{
	const struct paho_session *s = (const struct paho_session *)session;
	return s->conn ? s->conn->written : 0;
}

static void session_intake(struct mqtt_session *session, enum mqtt_intake intake)
{
	struct paho_session *s = session_of(session);
	if (s->intake == MQTT_INTAKE_ENDED)
		return;
	s->intake = intake;
	if (intake == MQTT_INTAKE_PAUSED) {
		paho_pause(s);
	} else if (intake == MQTT_INTAKE_ON && s->state == PAHO_PAUSED) {
		s->state = PAHO_WAITING;
		loop_timer_start(s->timer, 0);
	}
}

static void session_reconnect(struct mqtt_session *session, enum mqtt_session_again again, const char *reason)
{
	paho_reconnect(session_of(session), again, reason);
}

/* Who watches the will's topic is to learn that we are gone, also when we leave in good order. */
static void session_say_goodbye(struct paho_session *s)
{
	uint8_t reason = MQTT_SUCCESS;
	if (s->settings->will.topic && s->version == MQTT_5_0)
		reason = MQTT_DISCONNECT_WITH_WILL;
	if (s->settings->will.topic && s->version == MQTT_3_1_1) {
		paho_publish_own(s, &s->settings->will);
		paho_pump(s->conn);
	}
	session_drop(s, reason);
}

static void session_stop(struct mqtt_session *session, uint64_t linger_ms)
{
	struct paho_session *s = session_of(session);
	if (s->stopping)
		return;
	s->stopping = true;
	if (s->conn)
		s->conn->linger_ms = linger_ms;
	if (s->state == PAHO_UP)
		session_say_goodbye(s);
	else if (s->conn)
		session_drop(s, -1);
	loop_timer_stop(s->timer);
	s->state = PAHO_IDLE;
	if (s->connections == 0)
		s->options.events->stopped(s->options.ctx);
}

static void session_free(struct mqtt_session *session)
{
	struct paho_session *s = session_of(session);
	loop_cancel(s->options.loop, &s->end_job);
	loop_cancel(s->options.loop, &s->written_job);
	loop_timer_free(s->timer);
	loop_timer_free(s->subscribe_timer);
	filter_set_free(&s->known);
	free(s);
}

static const struct mqtt_session_ops paho_ops = {
	.start = session_start,
	.publish = session_publish,
	.ack = session_ack,
	.flush = session_flush,
	.appended = session_appended,
	.written = session_written,
	.intake = session_intake,
	.reconnect = session_reconnect,
	.stop = session_stop,
	.free = session_free,
};

int paho_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
{
	struct paho_session *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->base.ops = &paho_ops;
	s->options = *options;
	s->settings = options->settings;
	s->version = mqtt_settings_version(options->settings);
	s->keep_alive_s = -1;
	s->reconnect = (struct reconnect){
		.min_ms = s->settings->reconnect_min_ms,
		.max_ms = s->settings->reconnect_max_ms,
		.random = arc4random_uniform,
	};
	loop_job_init(&s->end_job, session_on_end_job, s);
	loop_job_init(&s->written_job, paho_on_written_job, s);
	s->timer = loop_timer_new(options->loop, session_on_timer, s);
	s->subscribe_timer = loop_timer_new(options->loop, paho_on_subscribe_timer, s);
	int r = s->timer && s->subscribe_timer ? paho_thread_start() : -ENOMEM;
	/* `check` allows one. */
	const char *wrong =
		s->settings->urls.n > 0 ? mqtt_url_parse(s->settings->urls.items[0].value, &s->url) : "there is no url";
	if (r == 0 && wrong) {
		log_error("mqtt_url", "connection=%s what=\"%s\"", options->name, wrong);
		r = -EINVAL;
	}
	if (r < 0)
		session_free(&s->base);
	else
		*ret_session = &s->base;
	return r;
}
