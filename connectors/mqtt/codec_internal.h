/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the codec share, and nobody else includes: the reader with its bounds and its error, the
 * writer's helpers, the property table and the lists of legal reason codes. Integers on the wire are big
 * endian (§1.5.2).
 */
#ifndef LINKSPAN_MQTT_CODEC_INTERNAL_H
#define LINKSPAN_MQTT_CODEC_INTERNAL_H

#include "connectors/mqtt/codec.h"

/* Properties may stand in a packet, or in the will of a CONNECT: bits of a mask. */
#define MQTT_IN(type) (1u << (type))
#define MQTT_IN_WILL  1u

/* --- reading --- */

/* What is left of a packet's body. The mqtt_in_* functions advance it and return false after they have set
 * the error. */
struct mqtt_in {
	const uint8_t *at;
	const uint8_t *end;
	struct mqtt_decoder *decoder;
	struct mqtt_packet *packet;
	struct mqtt_error *error;
	uint8_t flags; /* the low half of the first byte */
	bool refused; /* a PUBLISH with bad content: *error is set, the rest is still read for its structure
			*/
};

static inline size_t mqtt_in_left(const struct mqtt_in *in)
{
	return (size_t)(in->end - in->at);
}

/* Sets the error; false. */
bool mqtt_in_fail(struct mqtt_in *in, uint8_t reason, const char *text);
/* Bad content in a PUBLISH: notes it and goes on (true); in another packet as mqtt_in_fail. */
bool mqtt_in_refuse(struct mqtt_in *in, uint8_t reason, uint8_t refusal, const char *text);

bool mqtt_in_u8(struct mqtt_in *in, uint8_t *ret_value);
bool mqtt_in_u16(struct mqtt_in *in, uint16_t *ret_value);
bool mqtt_in_varint(struct mqtt_in *in, uint32_t *ret_value);
/* A two-byte length and that many bytes, unchecked. */
bool mqtt_in_binary(struct mqtt_in *in, struct slice *ret_bytes);
/* The same, checked as §1.5.4 says. */
bool mqtt_in_text(struct mqtt_in *in, struct slice *ret_text);
/* A packet identifier, not 0 [MQTT-2.2.1-3]. */
bool mqtt_in_packet_id(struct mqtt_in *in, uint16_t *ret_id);
/* Nothing may be left. */
bool mqtt_in_end(struct mqtt_in *in);

/* Property length and properties; `where` is one bit of MQTT_IN. Expects *props as mqtt_properties_reset left
 * it. */
bool mqtt_in_properties(struct mqtt_in *in, unsigned where, struct mqtt_properties *props);
/* No properties: absent texts, and the numbers that stand for absence. */
void mqtt_properties_reset(struct mqtt_properties *props);

/* The body of each type; in->packet->type is set, its properties are reset. */
bool mqtt_in_body(struct mqtt_in *in);

/* --- writing --- */

static inline size_t mqtt_varint_size(uint32_t value)
{
	return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

uint8_t *mqtt_put_varint(uint8_t *out, uint32_t value);

static inline uint8_t *mqtt_put_u16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
	return out + 2;
}

static inline uint8_t *mqtt_put_raw(uint8_t *out, struct slice bytes)
{
	if (bytes.len)
		memcpy(out, bytes.data, bytes.len);
	return out + bytes.len;
}

static inline uint8_t *mqtt_put_binary(uint8_t *out, struct slice bytes)
{
	return mqtt_put_raw(mqtt_put_u16(out, (uint16_t)bytes.len), bytes);
}

/* Does it begin with $share/ (§4.8.2)? */
bool mqtt_filter_is_shared(struct slice filter);

/* 0, -EMSGSIZE or -EILSEQ for one string. */
int mqtt_text_check(struct slice text);

/* Checks the properties for `where` and tells their length, without the property length's own bytes. 0,
 * -EINVAL, -EILSEQ or -EMSGSIZE. */
int mqtt_properties_measure(const struct mqtt_properties *props, unsigned where, uint32_t *ret_len);
/* Writes the property length and the properties, which have been measured. */
uint8_t *mqtt_properties_put(uint8_t *out, const struct mqtt_properties *props, uint32_t len);

/* A packet on its way out. */
struct mqtt_draft {
	const struct mqtt_packet *packet;
	enum mqtt_version version;
	size_t remaining; /* the remaining length, payload included */
	uint32_t props_len; /* 5.0: of the packet's own properties */
	uint32_t will_len; /* of the will's */
	bool short_form; /* 5.0: ends before the property length (§3.4.2.2.1, §3.14.2.1, §3.15.2.1) */
};

/* Fills in the lengths of a draft whose packet and version are set; the rest is 0. Errors of mqtt_encode. */
int mqtt_draft_measure(struct mqtt_draft *draft);

/* --- reason codes --- */

#define MQTT_BY_CLIENT 1u
#define MQTT_BY_SERVER 2u

/* May that packet, of one of those senders (a mask), carry that reason? §3.2.2.2, §3.4.2.1, … and 3.1.1
 * §3.2.2.3, §3.9.3. */
bool mqtt_reason_legal(enum mqtt_version version, enum mqtt_type type, unsigned senders, uint8_t reason);

#endif
