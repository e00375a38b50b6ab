/* SPDX-License-Identifier: Apache-2.0
 *
 * The first exchange on a connection: the CONNECT, with credentials that are read at this moment, and what the broker
 * answers to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/credentials.h"
#include "connectors/mqtt/engine.h"
#include "runtime/log.h"

struct mqtt_publish engine_own_publish(const struct mqtt_own_message *own, uint16_t packet_id)
{
	return (struct mqtt_publish){
		.qos = (uint8_t)own->qos,
		.retain = own->retain,
		.packet_id = own->qos > 0 ? packet_id : 0,
		.topic = slice_str(own->topic),
		.payload = slice_str(own->payload ? own->payload : ""),
	};
}

static int engine_fields_of(const struct config_list *list, struct message_field **ret_fields)
{
	struct message_field *fields = calloc(list->n + 1, sizeof *fields);
	if (!fields)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		fields[i].name = slice_str(list->items[i].name);
		fields[i].value = slice_str(list->items[i].value);
	}
	*ret_fields = fields;
	return 0;
}

int engine_make_user_properties(struct mqtt_engine *s)
{
	int r = engine_fields_of(&s->settings->connect_headers, &s->connect_user);
	return r < 0 ? r : engine_fields_of(&s->settings->will.headers, &s->will_user);
}

static uint32_t engine_seconds(uint64_t ms)
{
	return (uint32_t)((ms + 999) / 1000);
}

static struct mqtt_will engine_will(const struct mqtt_engine *s)
{
	const struct mqtt_own_message *own = &s->settings->will;
	if (!own->topic)
		return (struct mqtt_will){0};
	struct mqtt_publish publish = engine_own_publish(own, 1);
	struct mqtt_will will = {
		.topic = publish.topic, .payload = publish.payload, .qos = publish.qos, .retain = publish.retain};
	if (s->version == MQTT_3_1_1)
		return will;
	will.props = (struct mqtt_properties){
		.content_type = slice_str(own->content_type),
		.response_topic = slice_str(own->response_topic),
		.correlation_data = slice_str(own->correlation),
		.user = s->will_user,
		.n_user = own->headers.n,
	};
	if (own->delay_ms > 0)
		mqtt_set_number(&will.props, MQTT_WILL_DELAY_INTERVAL, engine_seconds(own->delay_ms));
	if (own->expiry_ms > 0)
		mqtt_set_number(&will.props, MQTT_MESSAGE_EXPIRY_INTERVAL, engine_seconds(own->expiry_ms));
	if (own->utf8)
		mqtt_set_number(&will.props, MQTT_PAYLOAD_FORMAT_INDICATOR, 1);
	return will;
}

static struct mqtt_properties engine_connect_properties(const struct mqtt_engine *s)
{
	const struct mqtt_settings *settings = s->settings;
	struct mqtt_properties props = {.user = s->connect_user, .n_user = settings->connect_headers.n};
	if (!settings->clean_start && settings->session_expiry_ms > 0)
		mqtt_set_number(&props, MQTT_SESSION_EXPIRY_INTERVAL, engine_seconds(settings->session_expiry_ms));
	mqtt_set_number(&props, MQTT_RECEIVE_MAXIMUM, (uint32_t)settings->receive_maximum);
	if (settings->max_packet_size > 0)
		mqtt_set_number(&props, MQTT_MAXIMUM_PACKET_SIZE, (uint32_t)settings->max_packet_size);
	if (s->aliases_in.max > 0)
		mqtt_set_number(&props, MQTT_TOPIC_ALIAS_MAXIMUM, s->aliases_in.max);
	return props;
}

/* Without a session to keep nobody needs to know the name beforehand, so the broker gives one that is free (§3.1.3.1), and
 * gets it back on each later connection. */
static const char *engine_client_id(const struct mqtt_engine *s)
{
	if (!s->asks_for_id)
		return s->options.client_id;
	return s->assigned_id ? s->assigned_id : "";
}

static void engine_take_client_id(struct mqtt_engine *s, struct slice id)
{
	if (!s->asks_for_id || s->assigned_id || !id.data)
		return;
	s->assigned_id = strndup((const char *)id.data, id.len); /* without memory it is asked for again */
	log_info("mqtt_client_id_assigned", "connection=%s client_id=\"%.*s\"", s->options.name, (int)id.len,
		(const char *)id.data);
}

/* A broker may demand a name all the same, though not all find the right word for it: mosquitto 2.0 says "unspecified
 * error". Then the one that was made up is used. Returns whether there is another to try. */
static bool engine_next_client_id(struct mqtt_engine *s, uint8_t refusal)
{
	bool vague = refusal == MQTT_UNSPECIFIED_ERROR || refusal == MQTT_PROTOCOL_ERROR ||
		     refusal == MQTT_IMPLEMENTATION_SPECIFIC_ERROR;
	bool meant = refusal == MQTT_CLIENT_IDENTIFIER_NOT_VALID || (vague && !s->assigned_id);
	if (!s->asks_for_id || !meant)
		return false;
	s->asks_for_id = s->assigned_id != NULL;
	free(s->assigned_id);
	s->assigned_id = NULL;
	return true;
}

static struct mqtt_packet engine_connect_packet(const struct mqtt_engine *s, const struct credentials *credentials)
{
	const struct mqtt_settings *settings = s->settings;
	struct mqtt_packet packet = {.type = MQTT_CONNECT};
	packet.connect = (struct mqtt_connect){
		.version = s->version,
		.clean_start = settings->clean_start,
		.keep_alive = (uint16_t)engine_seconds(settings->keep_alive_ms),
		.client_id = slice_str(engine_client_id(s)),
		.user_name = credentials->user_name,
		.password = credentials->password,
		.will = engine_will(s),
	};
	if (s->version == MQTT_5_0)
		packet.props = engine_connect_properties(s);
	return packet;
}

void engine_begin(struct mqtt_engine *s)
{
	struct credentials credentials;
	char error[512];
	mqtt_decoder_init(s->decoder, s->version, MQTT_SERVER);
	s->max_packet_in = MQTT_MAX_PACKET;
	if (s->version == MQTT_5_0 && s->settings->max_packet_size > 0)
		s->max_packet_in = (uint32_t)s->settings->max_packet_size;
	if (s->version == MQTT_5_0)
		alias_reset(&s->aliases_in, (uint16_t)s->settings->topic_alias_maximum);
	s->decoder->topic_alias_maximum = s->aliases_in.max;
	s->skip_bytes = 0;
	s->unacked = 0;
	s->terms.maximum_packet_size = MQTT_MAX_PACKET;
	if (credentials_read(s->settings, &credentials, error, sizeof error) < 0) {
		engine_alarm(s, "%s", error);
		engine_end(s, MQTT_AGAIN_SLOWLY, -1, error);
		return;
	}
	struct mqtt_packet packet = engine_connect_packet(s, &credentials);
	s->doubtful |= s->unanswered;
	s->unanswered = true;
	int r = engine_send(s, &packet);
	credentials_wipe(&credentials);
	if (r == 0)
		engine_flush(s);
}

/* --- the broker's answer ------------------------------------------------------------------------------------------------ */

/* NULL: waiting mends it. */
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
	default:
		return NULL;
	}
}

void engine_refer(struct mqtt_engine *s, uint8_t code, const struct mqtt_properties *props, const char *reason)
{
	struct slice server = props->server_reference;
	const char *advice = "correct the url, or set server_reference: follow";
	if (s->settings->server_reference == SERVER_REFERENCE_FOLLOW) {
		bool sound = engine_up_ms(s) >= RECONNECT_SOUND_MS;
		int r = addresses_follow(&s->addresses, server, code == MQTT_SERVER_MOVED, sound);
		if (r == 0) {
			const struct mqtt_url *to = addresses_current(&s->addresses);
			log_info("mqtt_server_reference", "connection=%s host=%s port=%u moved=%d", s->options.name,
				to->host, to->port, code == MQTT_SERVER_MOVED);
			engine_end(s, MQTT_AGAIN_SOON, -1, reason);
			return;
		}
		advice = r == -ELOOP ? "five servers in a row have said so; ask who runs the broker"
				     : "it names no server that can be understood; correct the url";
	}
	int len = server.len < 200 ? (int)server.len : 200;
	engine_alarm(
		s, "%s%s%.*s; %s", reason, len ? ", namely " : "", len, len ? (const char *)server.data : "", advice);
	engine_end(s, MQTT_AGAIN_SLOWLY, -1, reason);
}

static void engine_refused(struct mqtt_engine *s, uint8_t code, const struct mqtt_properties *props)
{
	char reason[512];
	engine_explain(reason, sizeof reason, "the broker refused the connection",
		s->version == MQTT_5_0 ? mqtt_reason_name(code) : mqtt_return_code_name(code), props);
	if (s->version == MQTT_5_0 && (code == MQTT_USE_ANOTHER_SERVER || code == MQTT_SERVER_MOVED)) {
		engine_refer(s, code, props, reason);
		return;
	}
	const char *advice = engine_refusal_advice(s->version, code);
	if (engine_next_client_id(s, code))
		advice = NULL;
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
		.wildcard_subscriptions = props->wildcard_subscription_available != 0,
		.shared_subscriptions = props->shared_subscription_available != 0,
		.subscription_identifiers = s->version == MQTT_5_0 && props->subscription_identifiers_available != 0,
		.maximum_packet_size = props->maximum_packet_size ? props->maximum_packet_size : MQTT_MAX_PACKET,
	};
	uint32_t aliases = (uint32_t)s->settings->topic_aliases;
	if (aliases > props->topic_alias_maximum)
		aliases = props->topic_alias_maximum;
	alias_reset(&s->aliases_out, (uint16_t)aliases);
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
	s->unanswered = false;
	if (connack->reason != MQTT_SUCCESS) {
		engine_refused(s, connack->reason, props);
		return;
	}
	if (s->doubtful && connack->session_present)
		subscriber_doubt(s);
	s->doubtful = false;
	if (connack->session_present && s->settings->clean_start) { /* [MQTT-3.2.2-4] */
		engine_end(s, MQTT_AGAIN_BACKOFF, -1, "the broker kept a session that was to be forgotten");
		return;
	}
	engine_take_terms(s, connack->session_present, props);
	engine_take_client_id(s, props->assigned_client_identifier);
	s->state = ENGINE_UP;
	s->up_since_ms = loop_now_ms(s->options.loop);
	s->progress = false;
	loop_timer_stop(s->timer);
	log_info("mqtt_connected", "connection=%s host=%s port=%u version=%s client_id=\"%s\" session_present=%d",
		s->options.name, s->url.host, s->url.port, s->version == MQTT_5_0 ? "5" : "3.1.1", engine_client_id(s),
		s->terms.session_present);
	alive_begin(s);
	engine_publish_birth(s);
	s->options.events->up(s->options.ctx, &s->terms);
	if (!s->transport)
		return; /* stopped from inside */
	subscriber_up(s);
	engine_flush(s);
}
