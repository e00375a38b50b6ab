/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec's entrance for reading: the fixed header (§2.1), who may send what, and the reader that every
 * body and property is taken apart with. It never reads past the slice that it was given, whatever the
 * lengths inside say.
 */
#include "connectors/mqtt/codec_internal.h"

#include <errno.h>

/* --- the fixed header --- */

/* §2.1.3: what the low half of the first byte must be; PUBLISH has flags of its own. */
static const char *first_byte_wrong(uint8_t first)
{
	uint8_t flags = first & 15;
	switch (first >> 4) {
	case 0:
		return "packet type 0 is reserved (§2.1.2)";
	case MQTT_PUBLISH:
		if ((flags & 6) == 6)
			return "a PUBLISH with QoS 3 [MQTT-3.3.1-4]";
		if ((flags & 14) == 8)
			return "a PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]";
		return NULL;
	case MQTT_PUBREL:
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return flags == 2 ? NULL : "reserved flags must be 2 in PUBREL, SUBSCRIBE, UNSUBSCRIBE [MQTT-2.1.3-1]";
	default:
		return flags == 0 ? NULL : "reserved flags must be 0 [MQTT-2.1.3-1]";
	}
}

static enum mqtt_frame_state frame_bad(struct mqtt_error *error, uint8_t reason, const char *text)
{
	*error = (struct mqtt_error){.reason = reason, .text = text};
	return MQTT_FRAME_BAD;
}

/* A variable byte integer (§1.5.5). Returns its length, 0 if it is not whole yet, -1 if it goes on after four
 * bytes. */
static int varint(const uint8_t *at, size_t left, uint32_t *ret_value)
{
	uint32_t value = 0;
	for (unsigned i = 0; i < 4 && i < left; i++) {
		value |= (uint32_t)(at[i] & 0x7f) << (7 * i);
		if (at[i] & 0x80)
			continue;
		*ret_value = value;
		return (int)i + 1;
	}
	return left < 4 ? 0 : -1;
}

#define VARINT_LONG   "a variable byte integer of more than four bytes (§1.5.5)"
#define VARINT_PADDED "a variable byte integer of more bytes than it needs [MQTT-1.5.5-1]"

enum mqtt_frame_state mqtt_frame(struct slice bytes, uint32_t max_packet, size_t *ret_len, struct mqtt_error *ret_error)
{
	uint32_t remaining = 0;
	int size = 0;
	if (bytes.len > 0) {
		const char *wrong = first_byte_wrong(bytes.data[0]);
		if (wrong)
			return frame_bad(ret_error, MQTT_MALFORMED_PACKET, wrong);
		size = varint(bytes.data + 1, bytes.len - 1, &remaining);
	}
	if (size < 0)
		return frame_bad(ret_error, MQTT_MALFORMED_PACKET, VARINT_LONG);
	if (size == 0) {
		*ret_len = 0;
		return MQTT_FRAME_MORE;
	}
	size_t len = 1 + (size_t)size + remaining;
	if (len > max_packet)
		return frame_bad(
			ret_error, MQTT_PACKET_TOO_LARGE, "larger than the Maximum Packet Size [MQTT-3.1.2-24]");
	*ret_len = len;
	return bytes.len < len ? MQTT_FRAME_MORE : MQTT_FRAME_WHOLE;
}

/* --- the reader --- */

bool mqtt_in_fail(struct mqtt_in *in, uint8_t reason, const char *text)
{
	*in->error = (struct mqtt_error){.reason = reason, .text = text};
	return false;
}

bool mqtt_in_refuse(struct mqtt_in *in, uint8_t reason, uint8_t refusal, const char *text)
{
	if (in->packet->type != MQTT_PUBLISH)
		return mqtt_in_fail(in, reason, text);
	if (!in->refused)
		*in->error = (struct mqtt_error){.reason = reason, .text = text, .refusal = refusal};
	in->refused = true;
	return true;
}

static bool in_short(struct mqtt_in *in)
{
	return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "the packet ends inside a field (§1.2 Malformed Packet)");
}

bool mqtt_in_u8(struct mqtt_in *in, uint8_t *ret_value)
{
	if (mqtt_in_left(in) < 1)
		return in_short(in);
	*ret_value = *in->at++;
	return true;
}

bool mqtt_in_u16(struct mqtt_in *in, uint16_t *ret_value)
{
	if (mqtt_in_left(in) < 2)
		return in_short(in);
	*ret_value = (uint16_t)(in->at[0] << 8 | in->at[1]);
	in->at += 2;
	return true;
}

bool mqtt_in_varint(struct mqtt_in *in, uint32_t *ret_value)
{
	int size = varint(in->at, mqtt_in_left(in), ret_value);
	if (size < 0)
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, VARINT_LONG);
	if (size == 0)
		return in_short(in);
	if ((size_t)size != mqtt_varint_size(*ret_value))
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, VARINT_PADDED);
	in->at += size;
	return true;
}

bool mqtt_in_binary(struct mqtt_in *in, struct slice *ret_bytes)
{
	uint16_t len = 0;
	if (!mqtt_in_u16(in, &len))
		return false;
	if (mqtt_in_left(in) < len)
		return in_short(in);
	*ret_bytes = slice_of(in->at, len);
	in->at += len;
	return true;
}

bool mqtt_in_text(struct mqtt_in *in, struct slice *ret_text)
{
	if (!mqtt_in_binary(in, ret_text))
		return false;
	return mqtt_text_valid(*ret_text) ||
	       mqtt_in_refuse(in, MQTT_MALFORMED_PACKET, MQTT_IMPLEMENTATION_SPECIFIC_ERROR,
		       "text is not UTF-8, or has U+0000 or a surrogate [MQTT-1.5.4-1] [MQTT-1.5.4-2]");
}

bool mqtt_in_packet_id(struct mqtt_in *in, uint16_t *ret_id)
{
	if (!mqtt_in_u16(in, ret_id))
		return false;
	return *ret_id != 0 ||
	       mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "packet identifier 0 [MQTT-2.2.1-3] [MQTT-2.2.1-4]");
}

bool mqtt_in_end(struct mqtt_in *in)
{
	return in->at == in->end ||
	       mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "bytes are left behind the last field (§1.2 Malformed Packet)");
}

/* --- decoding --- */

void mqtt_decoder_init(struct mqtt_decoder *decoder, enum mqtt_version version, enum mqtt_role sender)
{
	decoder->version = version;
	decoder->sender = sender;
	decoder->topic_alias_maximum = 0;
	decoder->n_user = 0;
}

/* Who may send it, §2.1.2; 3.1.1 has no AUTH, and DISCONNECT from clients only. */
static bool may_send(const struct mqtt_decoder *decoder, enum mqtt_type type)
{
	switch (type) {
	case MQTT_CONNECT:
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
	case MQTT_PINGREQ:
		return decoder->sender == MQTT_CLIENT;
	case MQTT_CONNACK:
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
	case MQTT_PINGRESP:
		return decoder->sender == MQTT_SERVER;
	case MQTT_DISCONNECT:
		return decoder->sender == MQTT_CLIENT || decoder->version == MQTT_5_0;
	case MQTT_AUTH:
		return decoder->version == MQTT_5_0;
	default:
		return true;
	}
}

/* The fixed header, which mqtt_frame has found well formed, and the body. 3.1.1 §2.2.3 does not ask for the
 * shortest remaining length, so only 5.0 does here. */
static bool in_packet(struct mqtt_in *in, struct slice bytes)
{
	const uint8_t *at = bytes.data + 1;
	while (*at & 0x80)
		at++;
	in->flags = bytes.data[0] & 15;
	in->at = at + 1;
	in->end = bytes.data + bytes.len;
	bool shortest = (size_t)(in->at - bytes.data) - 1 == mqtt_varint_size((uint32_t)mqtt_in_left(in));
	if (!mqtt_in_body(in))
		return false;
	enum mqtt_type type = in->packet->type;
	enum mqtt_version version = type == MQTT_CONNECT ? in->packet->connect.version : in->decoder->version;
	return shortest || version == MQTT_3_1_1 || mqtt_in_fail(in, MQTT_MALFORMED_PACKET, VARINT_PADDED);
}

int mqtt_decode(
	struct mqtt_decoder *decoder, struct slice bytes, struct mqtt_packet *ret_packet, struct mqtt_error *ret_error)
{
	struct mqtt_in in = {.decoder = decoder, .packet = ret_packet, .error = ret_error};
	size_t len = 0;
	enum mqtt_frame_state state = mqtt_frame(bytes, MQTT_MAX_PACKET, &len, ret_error);
	if (state == MQTT_FRAME_BAD)
		return -EBADMSG;
	if (state == MQTT_FRAME_MORE || len != bytes.len) {
		mqtt_in_fail(&in, MQTT_MALFORMED_PACKET, "the remaining length is not that of the packet (§2.1.4)");
		return -EBADMSG;
	}
	ret_packet->type = bytes.data[0] >> 4;
	if (!may_send(decoder, ret_packet->type)) {
		mqtt_in_fail(
			&in, MQTT_PROTOCOL_ERROR, "a packet that this side of the connection may not send (§2.1.2)");
		return -EBADMSG;
	}
	mqtt_properties_reset(&ret_packet->props);
	decoder->n_user = 0;
	return in_packet(&in, bytes) ? 0 : -EBADMSG;
}
