/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes from the broker: packets are decoded in place in the transport's input and handed on. What a sound broker
 * does not send ends the connection with a DISCONNECT that says why; a message that cannot be carried does not, since the
 * broker would send it again on every connection.
 */
#include <errno.h>
#include <stdio.h>

#include "connectors/mqtt/engine.h"
#include "runtime/log.h"

static void input_protocol_error(struct mqtt_engine *s, uint8_t reason, const char *text)
{
	char full[320];
	snprintf(full, sizeof full, "the broker broke the protocol: %s", text);
	engine_end(s, MQTT_AGAIN_BACKOFF, reason, full);
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
	char reason[384];
	int text_len = props->reason_string.len < 200 ? (int)props->reason_string.len : 200;
	snprintf(reason, sizeof reason, "the broker ended the connection: %s%s%.*s", mqtt_reason_name(code),
		text_len ? ": " : "", text_len, text_len ? (const char *)props->reason_string.data : "");
	const char *advice = engine_disconnect_advice(code);
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

static void input_up(struct mqtt_engine *s, const struct mqtt_packet *packet)
{
	switch (packet->type) {
	case MQTT_PUBLISH:
		if (input_count(s, packet->publish.qos))
			s->options.events->publish(s->options.ctx, &packet->publish, &packet->props);
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
			input_unusable(s, error.qos, error.packet_id, error.refusal, error.text);
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

/* A packet above ENGINE_MAX_PACKET. A PUBLISH is refused by its identifier, and its bytes are let pass. Returns false
 * when more has to come first. */
static bool input_oversized(struct mqtt_engine *s, struct slice bytes, size_t len)
{
	uint8_t qos = bytes.data[0] >> 1 & 3;
	size_t at = 1; /* behind the remaining length */
	while (bytes.data[at++] & 0x80)
		;
	if (bytes.data[0] >> 4 != MQTT_PUBLISH || s->state != ENGINE_UP) {
		input_protocol_error(s, MQTT_PACKET_TOO_LARGE, "a packet is too large");
		return true;
	}
	if (bytes.len < at + 2)
		return false;
	at += 2 + ((size_t)bytes.data[at] << 8 | bytes.data[at + 1]);
	if (bytes.len < at + 2)
		return false;
	uint16_t packet_id = qos > 0 ? (uint16_t)(bytes.data[at] << 8 | bytes.data[at + 1]) : 0;
	if (qos == 3 || (qos > 0 && packet_id == 0)) {
		input_protocol_error(s, MQTT_MALFORMED_PACKET, "a PUBLISH has no legal qos or packet identifier");
		return true;
	}
	s->skip_bytes = len;
	input_unusable(
		s, qos, packet_id, MQTT_IMPLEMENTATION_SPECIFIC_ERROR, "the message is larger than linkspan takes");
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
	enum mqtt_frame_state state = mqtt_frame(bytes, MQTT_MAX_PACKET, &len, &error);
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
