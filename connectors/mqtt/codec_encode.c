/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing packets. Each form is first measured, which also refuses what may not be written, and then written
 * into room that was reserved for exactly that many bytes; so a packet is in the buffer whole or not at all.
 */
#include "connectors/mqtt/codec_internal.h"

#include <assert.h>
#include <errno.h>

uint8_t *mqtt_put_varint(uint8_t *out, uint32_t value)
{
	for (; value >= 128; value >>= 7)
		*out++ = (uint8_t)(value | 128);
	*out++ = (uint8_t)value;
	return out;
}

static const struct slice no_bytes = {NULL, 0};

static uint8_t *put_own_properties(uint8_t *out, const struct mqtt_draft *draft)
{
	if (draft->version == MQTT_3_1_1)
		return out;
	return mqtt_properties_put(out, &draft->packet->props, draft->props_len);
}

static uint8_t connect_flags(const struct mqtt_connect *connect)
{
	unsigned flags = (connect->clean_start ? 2u : 0) | (connect->password.data ? 64u : 0) |
			 (connect->user_name.data ? 128u : 0);
	if (connect->will.topic.data)
		flags |= 4u | (unsigned)connect->will.qos << 3 | (connect->will.retain ? 32u : 0);
	return (uint8_t)flags;
}

static uint8_t *put_connect(uint8_t *out, const struct mqtt_draft *draft)
{
	const struct mqtt_connect *connect = &draft->packet->connect;
	out = mqtt_put_binary(out, slice_str("MQTT"));
	*out++ = (uint8_t)connect->version;
	*out++ = connect_flags(connect);
	out = mqtt_put_u16(out, connect->keep_alive);
	out = put_own_properties(out, draft);
	out = mqtt_put_binary(out, connect->client_id);
	if (connect->will.topic.data) {
		if (draft->version == MQTT_5_0)
			out = mqtt_properties_put(out, &connect->will.props, draft->will_len);
		out = mqtt_put_binary(out, connect->will.topic);
		out = mqtt_put_binary(out, connect->will.payload);
	}
	if (connect->user_name.data)
		out = mqtt_put_binary(out, connect->user_name);
	if (connect->password.data)
		out = mqtt_put_binary(out, connect->password);
	return out;
}

static uint8_t *put_publish(uint8_t *out, const struct mqtt_draft *draft)
{
	const struct mqtt_publish *publish = &draft->packet->publish;
	out = mqtt_put_binary(out, publish->topic);
	if (publish->qos > 0)
		out = mqtt_put_u16(out, publish->packet_id);
	return put_own_properties(out, draft);
}

static uint8_t *put_reason(uint8_t *out, const struct mqtt_draft *draft, uint8_t reason)
{
	if (draft->version == MQTT_3_1_1 || (draft->short_form && reason == MQTT_SUCCESS))
		return out;
	*out++ = reason;
	return draft->short_form ? out : put_own_properties(out, draft);
}

static uint8_t *put_subscribe(uint8_t *out, const struct mqtt_draft *draft)
{
	const struct mqtt_subscribe *subscribe = &draft->packet->subscribe;
	out = put_own_properties(mqtt_put_u16(out, subscribe->packet_id), draft);
	for (size_t i = 0; i < subscribe->n_entries; i++) {
		const struct mqtt_subscription *entry = &subscribe->entries[i];
		out = mqtt_put_binary(out, entry->filter);
		if (draft->packet->type == MQTT_SUBSCRIBE)
			*out++ = (uint8_t)(entry->qos | (entry->no_local ? 4 : 0) |
					   (entry->retain_as_published ? 8 : 0) | entry->retain_handling << 4);
	}
	return out;
}

static uint8_t *put_suback(uint8_t *out, const struct mqtt_draft *draft)
{
	const struct mqtt_suback *suback = &draft->packet->suback;
	bool without = draft->packet->type == MQTT_UNSUBACK && draft->version == MQTT_3_1_1;
	out = put_own_properties(mqtt_put_u16(out, suback->packet_id), draft);
	return mqtt_put_raw(out, without ? no_bytes : suback->reasons);
}

static uint8_t *put_body(uint8_t *out, const struct mqtt_draft *draft)
{
	const struct mqtt_packet *packet = draft->packet;
	switch (packet->type) {
	case MQTT_CONNECT:
		return put_connect(out, draft);
	case MQTT_CONNACK:
		*out++ = packet->connack.session_present;
		*out++ = packet->connack.reason;
		return put_own_properties(out, draft);
	case MQTT_PUBLISH:
		return put_publish(out, draft);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return put_reason(mqtt_put_u16(out, packet->ack.packet_id), draft, packet->ack.reason);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return put_subscribe(out, draft);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return put_suback(out, draft);
	case MQTT_PINGREQ:
	case MQTT_PINGRESP:
		return out;
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return put_reason(out, draft, packet->reason);
	}
	return out;
}

static uint8_t first_byte(const struct mqtt_packet *packet)
{
	unsigned flags = 0;
	if (packet->type == MQTT_PUBLISH)
		flags = (packet->publish.dup ? 8u : 0) | (unsigned)packet->publish.qos << 1 |
			(packet->publish.retain ? 1u : 0);
	else if (packet->type == MQTT_PUBREL || packet->type == MQTT_SUBSCRIBE || packet->type == MQTT_UNSUBSCRIBE)
		flags = 2; /* [MQTT-2.1.3-1] */
	return (uint8_t)((unsigned)packet->type << 4 | flags);
}

/* Everything but the last `left_out` bytes, which are a PUBLISH's payload. */
static int encode(struct buffer *out, const struct mqtt_draft *draft, uint32_t max_packet, size_t left_out)
{
	if (draft->remaining > MQTT_MAX_REMAINING)
		return -EMSGSIZE;
	size_t len = 1 + mqtt_varint_size((uint32_t)draft->remaining) + draft->remaining;
	if (len > max_packet)
		return -EMSGSIZE;
	int err = buffer_reserve(out, len - left_out);
	if (err)
		return err;
	uint8_t *at = out->data + out->len;
	const uint8_t *end = at + len - left_out;
	*at++ = first_byte(draft->packet);
	at = mqtt_put_varint(at, (uint32_t)draft->remaining);
	at = put_body(at, draft);
	if (draft->packet->type == MQTT_PUBLISH && !left_out)
		at = mqtt_put_raw(at, draft->packet->publish.payload);
	assert(at == end);
	out->len += len - left_out;
	return 0;
}

int mqtt_encode(struct buffer *out, enum mqtt_version version, uint32_t max_packet, const struct mqtt_packet *packet)
{
	struct mqtt_draft draft = {
		.packet = packet, .version = packet->type == MQTT_CONNECT ? packet->connect.version : version};
	if (draft.version != MQTT_3_1_1 && draft.version != MQTT_5_0)
		return -EINVAL;
	int err = mqtt_draft_measure(&draft);
	return err ? err : encode(out, &draft, max_packet, 0);
}

int mqtt_encode_publish_head(
	struct buffer *out, enum mqtt_version version, uint32_t max_packet, const struct mqtt_packet *packet)
{
	struct mqtt_draft draft = {.packet = packet, .version = version};
	if (packet->type != MQTT_PUBLISH)
		return -EINVAL;
	int err = mqtt_draft_measure(&draft);
	return err ? err : encode(out, &draft, max_packet, packet->publish.payload.len);
}

int mqtt_encode_acks(struct buffer *out, enum mqtt_type type, const uint16_t *packet_ids, size_t count)
{
	if (type < MQTT_PUBACK || type > MQTT_PUBCOMP)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		if (packet_ids[i] == 0)
			return -EINVAL;
	if (count > SIZE_MAX / 4)
		return -ENOBUFS;
	int err = buffer_reserve(out, count * 4);
	if (err)
		return err;
	uint8_t first = (uint8_t)((unsigned)type << 4 | (type == MQTT_PUBREL ? 2u : 0));
	for (size_t i = 0; i < count; i++) {
		uint8_t *at = out->data + out->len;
		at[0] = first;
		at[1] = 2;
		mqtt_put_u16(at + 2, packet_ids[i]);
		out->len += 4;
	}
	return 0;
}
