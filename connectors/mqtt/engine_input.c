/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes from the broker: packets are decoded in place in the transport's input and handed on. What a sound broker
 * does not send ends the connection with a DISCONNECT that says why; a message that cannot be carried does not, since the
 * broker would send it again on every connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/engine.h"
#include "runtime/log.h"

static void input_protocol_error(struct mqtt_engine *s, uint8_t reason, const char *text)
{
	char full[320];
	snprintf(full, sizeof full, "the broker broke the protocol: %s", text);
	engine_end(s, MQTT_AGAIN_BACKOFF, reason, full);
}

/* A token that has run out: the file may hold the next one already, which is worth one early try. If it does not help,
 * what is not authorised is something else. */
static bool input_token_renews(struct mqtt_engine *s)
{
	bool before = s->token_retried && engine_up_ms(s) < RECONNECT_SOUND_MS;
	s->token_retried = s->settings->username_file || s->settings->password_file;
	return s->token_retried && !before;
}

const char *engine_disconnect_advice(uint8_t code)
{
	if (code == MQTT_SESSION_TAKEN_OVER)
		return "another client uses the same client_id; give each its own";
	if (code == MQTT_NOT_AUTHORIZED || code == MQTT_ADMINISTRATIVE_ACTION || code == MQTT_BANNED)
		return "ask who runs the broker";
	if (code == MQTT_USE_ANOTHER_SERVER || code == MQTT_SERVER_MOVED)
		return "correct the url";
	return NULL;
}

static void input_disconnected(struct mqtt_engine *s, uint8_t code, const struct mqtt_properties *props)
{
	char reason[512];
	engine_explain(reason, sizeof reason, "the broker ended the connection", mqtt_reason_name(code), props);
	if (code == MQTT_USE_ANOTHER_SERVER || code == MQTT_SERVER_MOVED) {
		engine_refer(s, code, props, reason);
		return;
	}
	const char *advice = NULL;
	if (code != MQTT_NOT_AUTHORIZED || !input_token_renews(s))
		advice = engine_disconnect_advice(code);
	if (advice)
		engine_alarm(s, "%s; %s", reason, advice);
	engine_end(s, advice ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, reason);
}

/* More than Receive Maximum is against [MQTT-3.3.4-9], but mosquitto 2.0.11 does it when it resumes a session whose
 * in-flight messages were chosen by its own limit. Leaving would meet the same again on every connection, and what is
 * held is bounded anyway; so only more than there are packet identifiers ends the connection. */
static bool input_count(struct mqtt_engine *s, uint8_t qos)
{
	s->progress = true;
	if (qos == 0)
		return true;
	if (s->unacked == UINT16_MAX) {
		input_protocol_error(s, MQTT_RECEIVE_MAXIMUM_EXCEEDED, "more unacknowledged messages than identifiers");
		return false;
	}
	s->unacked++;
	if (s->version == MQTT_5_0 && s->unacked == (uint32_t)s->settings->receive_maximum + 1)
		log_debug("mqtt_receive_maximum_exceeded", "connection=%s", s->options.name);
	return true;
}

static void input_unusable(struct mqtt_engine *s, uint8_t qos, uint16_t packet_id, uint8_t reason, const char *text)
{
	if (!input_count(s, qos))
		return;
	log_error("mqtt_message_unusable", "connection=%s qos=%u what=\"%s\"", s->options.name, qos, text);
	s->options.events->unusable(s->options.ctx, qos, packet_id, reason);
}

/* Puts the topic in the place of its alias, and notes the alias of a topic. A refused PUBLISH may set one too, and the
 * broker goes on to use it. Returns false when the connection has ended. */
static bool input_alias(struct mqtt_engine *s, struct mqtt_packet *packet, bool refused, bool *ret_illegal)
{
	struct slice *topic = &packet->publish.topic;
	if (!mqtt_has(&packet->props, MQTT_TOPIC_ALIAS))
		return true;
	uint16_t alias = (uint16_t)packet->props.topic_alias;
	if (topic->len > 0) {
		if (alias_set(&s->aliases_in, alias, *topic, refused && !mqtt_topic_name_valid(*topic)) == 0)
			return true;
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_QUOTA_EXCEEDED, "out of memory for a topic alias");
		return false;
	}
	const struct alias_entry *entry = alias_get(&s->aliases_in, alias);
	if (!entry) { /* §3.3.2.3.4 */
		input_protocol_error(s, MQTT_PROTOCOL_ERROR, "a topic alias that was not set (§3.3.2.3.4)");
		return false;
	}
	*topic = slice_of(entry->topic, entry->len);
	*ret_illegal = entry->illegal;
	return true;
}

static void input_publish(struct mqtt_engine *s, struct mqtt_packet *packet)
{
	const struct mqtt_publish *publish = &packet->publish;
	bool illegal = false;
	if (!input_alias(s, packet, false, &illegal))
		return;
	if (illegal)
		input_unusable(s, publish->qos, publish->packet_id, MQTT_TOPIC_NAME_INVALID,
			"the alias stands for what is no topic name");
	else if (input_count(s, publish->qos))
		s->options.events->publish(s->options.ctx, publish, &packet->props);
}

static void input_refused(struct mqtt_engine *s, struct mqtt_packet *packet, const struct mqtt_error *error)
{
	bool illegal = false;
	if (input_alias(s, packet, true, &illegal))
		input_unusable(s, error->qos, error->packet_id, error->refusal, error->text);
}

static void input_acked(struct mqtt_engine *s, const struct mqtt_packet *packet)
{
	s->progress = true;
	if (packet->ack.packet_id == ENGINE_BIRTH_ID) {
		s->birth_unacked = false;
		if (packet->ack.reason >= MQTT_UNSPECIFIED_ERROR)
			engine_alarm(
				s, "the broker refuses the birth message: %s", mqtt_reason_name(packet->ack.reason));
		return;
	}
	s->options.events->acked(
		s->options.ctx, packet->type, packet->ack.packet_id, packet->ack.reason, packet->props.reason_string);
}

static void input_up(struct mqtt_engine *s, struct mqtt_packet *packet)
{
	switch (packet->type) {
	case MQTT_PUBLISH:
		input_publish(s, packet);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBCOMP:
		input_acked(s, packet);
		break;
	case MQTT_PUBREL:
		s->options.events->released(s->options.ctx, packet->ack.packet_id);
		break;
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		subscriber_acked(s, packet->type == MQTT_UNSUBACK, &packet->suback, packet->props.reason_string);
		break;
	case MQTT_PINGRESP:
		break;
	case MQTT_DISCONNECT:
		input_disconnected(s, packet->reason, &packet->props);
		break;
	default:
		input_protocol_error(s, MQTT_PROTOCOL_ERROR, mqtt_type_name(packet->type));
	}
}

static void input_packet(struct mqtt_engine *s, struct slice bytes)
{
	struct mqtt_packet packet;
	struct mqtt_error error;
	if (mqtt_decode(s->decoder, bytes, &packet, &error) < 0) {
		if (error.refusal && s->state == ENGINE_UP)
			input_refused(s, &packet, &error);
		else if (error.reason == MQTT_UNSUPPORTED_PROTOCOL_VERSION) /* a 3.1.1 broker's way to say so */
			engine_accepted(
				s, &(struct mqtt_connack){.reason = error.reason}, &(struct mqtt_properties){0});
		else
			input_protocol_error(s, error.reason, error.text);
	} else if (s->state == ENGINE_UP) {
		input_up(s, &packet);
	} else if (packet.type == MQTT_CONNACK) {
		engine_accepted(s, &packet.connack, &packet.props);
	} else {
		input_protocol_error(s, MQTT_PROTOCOL_ERROR, "the first packet is no CONNACK");
	}
}

/* What stands before the payload of a PUBLISH, behind its fixed header. */
struct input_head {
	size_t props; /* where the properties begin: behind topic and packet identifier */
	size_t len;
};

/* False: more has to come first. */
static bool input_head(const struct mqtt_engine *s, struct slice body, uint8_t qos, struct input_head *ret_head)
{
	uint32_t props_len = 0;
	if (body.len < 2)
		return false;
	size_t props = 2 + ((size_t)body.data[0] << 8 | body.data[1]) + (qos > 0 ? 2 : 0), at = props;
	for (unsigned i = 0; s->version == MQTT_5_0 && i < 4; i++) {
		if (body.len <= at)
			return false;
		props_len |= (uint32_t)(body.data[at] & 0x7f) << 7 * i;
		if (!(body.data[at++] & 0x80))
			break;
	}
	*ret_head = (struct input_head){.props = props, .len = at + props_len};
	return body.len >= (ret_head->len <= ENGINE_MAX_HEAD ? ret_head->len : props);
}

/* Puts the head into a packet of its own, without a payload. NULL: out of memory. */
static uint8_t *input_head_packet(uint8_t first, struct slice head, bool no_props, size_t *ret_len)
{
	uint8_t *packet = malloc(head.len + 6), *at = packet;
	if (!packet)
		return NULL;
	*at++ = first;
	for (size_t rest = head.len + no_props, more = 1; more; rest >>= 7) {
		more = rest > 127;
		*at++ = (uint8_t)((rest & 127) | (more ? 128 : 0));
	}
	memcpy(at, head.data, head.len);
	at += head.len;
	if (no_props)
		*at++ = 0;
	*ret_len = (size_t)(at - packet);
	return packet;
}

/* Refuses the PUBLISH with that head. If the properties alone are too large to look for an alias among them, any may have
 * been set, so none is known any more. */
static void input_refuse_head(struct mqtt_engine *s, uint8_t first, struct slice body, const struct input_head *head)
{
	struct mqtt_packet packet;
	struct mqtt_error error = {0};
	bool blind = head->len > ENGINE_MAX_HEAD, illegal = false;
	size_t len;
	uint8_t *bytes = input_head_packet(first, slice_of(body.data, blind ? head->props : head->len), blind, &len);
	if (!bytes) {
		engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_QUOTA_EXCEEDED, "out of memory for a large message");
		return;
	}
	if (blind)
		alias_reset(&s->aliases_in, s->aliases_in.max);
	int r = mqtt_decode(s->decoder, slice_of(bytes, len), &packet, &error);
	if (r < 0 && !error.refusal)
		input_protocol_error(s, error.reason, error.text);
	else if (input_alias(s, &packet, true, &illegal))
		input_unusable(s, packet.publish.qos, packet.publish.packet_id, MQTT_IMPLEMENTATION_SPECIFIC_ERROR,
			"the message is larger than linkspan takes");
	free(bytes);
}

/* A packet above ENGINE_MAX_PACKET. A PUBLISH is refused by its identifier, and its bytes are let pass. Returns false
 * when more has to come first. */
static bool input_oversized(struct mqtt_engine *s, struct slice bytes, size_t len)
{
	uint8_t first = bytes.data[0];
	size_t at = 1; /* behind the remaining length */
	while (bytes.data[at++] & 0x80)
		;
	if (first >> 4 != MQTT_PUBLISH || s->state != ENGINE_UP) {
		input_protocol_error(s, MQTT_PACKET_TOO_LARGE, "a packet is too large");
		return true;
	}
	struct slice body = slice_of(bytes.data + at, bytes.len - at);
	struct input_head head;
	if (!input_head(s, body, first >> 1 & 3, &head))
		return false;
	if (head.len > len - at) {
		input_protocol_error(s, MQTT_MALFORMED_PACKET, "the properties pass the end of the packet (§2.2.2.1)");
		return true;
	}
	s->skip_bytes = len;
	input_refuse_head(s, first, body, &head);
	return true;
}

static void input_skip(struct mqtt_engine *s)
{
	struct slice bytes = transport_input(s->transport);
	size_t n = bytes.len < s->skip_bytes ? bytes.len : (size_t)s->skip_bytes;
	s->skip_bytes -= n;
	transport_consume(s->transport, n);
}

/* Deals with the next packet. Returns whether there may be another one. */
static bool input_next(struct mqtt_engine *s)
{
	struct transport *transport = s->transport;
	struct slice bytes = transport_input(transport);
	size_t len;
	struct mqtt_error error;
	enum mqtt_frame_state state = mqtt_frame(bytes, s->max_packet_in, &len, &error);
	if (state == MQTT_FRAME_BAD) {
		input_protocol_error(s, error.reason, error.text);
		return false;
	}
	if (state != MQTT_FRAME_BAD && len > ENGINE_MAX_PACKET)
		return input_oversized(s, bytes, len) && s->transport == transport;
	if (state == MQTT_FRAME_MORE) {
		if (len > 0 && transport_expect(transport, len) < 0)
			engine_end(s, MQTT_AGAIN_BACKOFF, MQTT_QUOTA_EXCEEDED, "out of memory for a large message");
		return false;
	}
	input_packet(s, slice_of(bytes.data, len));
	if (s->transport != transport)
		return false;
	transport_consume(transport, len);
	return true;
}

void engine_readable(struct mqtt_engine *s)
{
	alive_received(s);
	while (s->transport && transport_input(s->transport).len > 0) {
		if (s->skip_bytes > 0)
			input_skip(s);
		else if (!input_next(s))
			break;
	}
	engine_flush(s);
}
