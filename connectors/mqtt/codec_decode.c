/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of the packets, one function for each form, in the order of chapter 3. Each consumes its body to
 * the last byte or sets the error. Runs under mqtt_decode, which has checked the fixed header and the sender.
 */
#include "connectors/mqtt/codec_internal.h"

static bool in_5_0(const struct mqtt_in *in)
{
	return in->decoder->version == MQTT_5_0;
}

static unsigned sender_of(const struct mqtt_in *in)
{
	return in->decoder->sender == MQTT_CLIENT ? MQTT_BY_CLIENT : MQTT_BY_SERVER;
}

static bool in_reason_check(struct mqtt_in *in, uint8_t reason)
{
	return mqtt_reason_legal(in->decoder->version, in->packet->type, sender_of(in), reason) ||
	       mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "a reason code that this packet cannot have (§2.4)");
}

static bool in_reason(struct mqtt_in *in, uint8_t *ret_reason)
{
	return mqtt_in_u8(in, ret_reason) && in_reason_check(in, *ret_reason);
}

/* The properties of the packet itself; 3.1.1 has none. */
static bool in_own_properties(struct mqtt_in *in)
{
	return !in_5_0(in) || mqtt_in_properties(in, MQTT_IN(in->packet->type), &in->packet->props);
}

/* --- CONNECT, §3.1 --- */

enum connect_flag { RESERVED = 1, CLEAN = 2, WILL = 4, WILL_QOS = 8 | 16, WILL_RETAIN = 32, PASSWORD = 64, USER = 128 };

static bool in_protocol(struct mqtt_in *in, struct mqtt_connect *connect)
{
	struct slice name;
	uint8_t level = 0;
	if (!mqtt_in_binary(in, &name) || !mqtt_in_u8(in, &level))
		return false;
	if (!slice_equal(name, slice_str("MQTT")))
		return mqtt_in_fail(
			in, MQTT_UNSUPPORTED_PROTOCOL_VERSION, "the protocol name is not MQTT [MQTT-3.1.2-1]");
	if (level != MQTT_3_1_1 && level != MQTT_5_0)
		return mqtt_in_fail(
			in, MQTT_UNSUPPORTED_PROTOCOL_VERSION, "the protocol version is not 4 or 5 [MQTT-3.1.2-2]");
	connect->version = level;
	return true;
}

static bool connect_flags_check(struct mqtt_in *in, enum mqtt_version version, uint8_t flags)
{
	if (flags & RESERVED)
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "the reserved connect flag is set [MQTT-3.1.2-3]");
	if ((flags & WILL_QOS) == WILL_QOS)
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "a will with QoS 3 [MQTT-3.1.2-12]");
	if (!(flags & WILL) && (flags & (WILL_QOS | WILL_RETAIN)))
		return mqtt_in_fail(
			in, MQTT_MALFORMED_PACKET, "will QoS or retain without a will [MQTT-3.1.2-11] [MQTT-3.1.2-13]");
	if (version == MQTT_3_1_1 && (flags & PASSWORD) && !(flags & USER))
		return mqtt_in_fail(
			in, MQTT_MALFORMED_PACKET, "a password without a user name (3.1.1 [MQTT-3.1.2-22])");
	return true;
}

static bool in_will(struct mqtt_in *in, uint8_t flags, struct mqtt_connect *connect)
{
	struct mqtt_will *will = &connect->will;
	if (!(flags & WILL))
		return true;
	will->qos = flags >> 3 & 3;
	will->retain = flags & WILL_RETAIN;
	if (connect->version == MQTT_5_0 && !mqtt_in_properties(in, MQTT_IN_WILL, &will->props))
		return false;
	if (!mqtt_in_binary(in, &will->topic) || !mqtt_in_binary(in, &will->payload))
		return false;
	return mqtt_topic_name_valid(will->topic) ||
	       mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "the will topic is not a topic name [MQTT-3.1.3-11]");
}

static bool connect_check(struct mqtt_in *in, const struct mqtt_connect *connect)
{
	const struct mqtt_properties *props = &in->packet->props;
	if (connect->version == MQTT_3_1_1 && connect->client_id.len == 0 && !connect->clean_start)
		return mqtt_in_fail(in, MQTT_CLIENT_IDENTIFIER_NOT_VALID,
			"an empty client identifier without clean session (3.1.1 [MQTT-3.1.3-8])");
	if (props->authentication_data.data && !props->authentication_method.data)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "authentication data without a method (§3.1.2.11.10)");
	return true;
}

static bool in_connect(struct mqtt_in *in)
{
	struct mqtt_connect *connect = &in->packet->connect;
	uint8_t flags = 0;
	*connect = (struct mqtt_connect){0};
	mqtt_properties_reset(&connect->will.props);
	if (!in_protocol(in, connect) || !mqtt_in_u8(in, &flags) || !connect_flags_check(in, connect->version, flags))
		return false;
	connect->clean_start = flags & CLEAN;
	if (!mqtt_in_u16(in, &connect->keep_alive))
		return false;
	if (connect->version == MQTT_5_0 && !mqtt_in_properties(in, MQTT_IN(MQTT_CONNECT), &in->packet->props))
		return false;
	if (!mqtt_in_text(in, &connect->client_id) || !in_will(in, flags, connect))
		return false;
	if ((flags & USER) && !mqtt_in_text(in, &connect->user_name))
		return false;
	if ((flags & PASSWORD) && !mqtt_in_binary(in, &connect->password))
		return false;
	return mqtt_in_end(in) && connect_check(in, connect);
}

/* --- CONNACK, §3.2 --- */

static bool in_connack(struct mqtt_in *in)
{
	struct mqtt_connack *connack = &in->packet->connack;
	uint8_t flags = 0;
	/* What a server of 3.1.1 answers to a CONNECT of 5.0 (3.1.1 §3.2.2.3, return code 1). */
	if (in_5_0(in) && mqtt_in_left(in) == 2 && in->at[0] == 0 && in->at[1] == 1)
		return mqtt_in_fail(in, MQTT_UNSUPPORTED_PROTOCOL_VERSION,
			"the server answers as 3.1.1: unacceptable protocol version");
	if (!mqtt_in_u8(in, &flags) || !in_reason(in, &connack->reason) || !in_own_properties(in))
		return false;
	connack->session_present = flags & 1;
	if (flags & ~1u)
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "reserved bits in the acknowledge flags [MQTT-3.2.2-1]");
	if (connack->session_present && connack->reason != MQTT_SUCCESS)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "session present in a refusal [MQTT-3.2.2-6]");
	return mqtt_in_end(in);
}

/* --- PUBLISH, §3.3 --- */

static bool publish_topic_check(struct mqtt_in *in, const struct mqtt_publish *publish)
{
	const struct mqtt_properties *props = &in->packet->props;
	if (props->topic_alias > in->decoder->topic_alias_maximum)
		return mqtt_in_fail(
			in, MQTT_TOPIC_ALIAS_INVALID, "a topic alias above the maximum [MQTT-3.3.2-9] [MQTT-3.3.2-11]");
	if (publish->topic.len > 0)
		return mqtt_topic_name_valid(publish->topic) ||
		       mqtt_in_refuse(in, MQTT_MALFORMED_PACKET, MQTT_TOPIC_NAME_INVALID,
			       "the topic is not a topic name [MQTT-3.3.2-1] [MQTT-3.3.2-2]");
	if (!in_5_0(in))
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "an empty topic (3.1.1 [MQTT-4.7.3-1])");
	return props->topic_alias > 0 ||
	       mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "an empty topic without a topic alias (§3.3.2.1)");
}

static bool in_publish(struct mqtt_in *in)
{
	struct mqtt_publish *publish = &in->packet->publish;
	publish->dup = in->flags & 8;
	publish->qos = in->flags >> 1 & 3;
	publish->retain = in->flags & 1;
	publish->packet_id = 0;
	if (!mqtt_in_binary(in, &publish->topic))
		return false;
	if (publish->qos > 0 && !mqtt_in_packet_id(in, &publish->packet_id))
		return false;
	if (!in_own_properties(in) || !publish_topic_check(in, publish))
		return false;
	if (in->decoder->sender == MQTT_CLIENT && in->packet->props.n_subscription_identifiers)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "a subscription identifier from a client [MQTT-3.3.4-6]");
	publish->payload = slice_of(in->at, mqtt_in_left(in));
	if (!in->refused)
		return true;
	in->error->qos = publish->qos;
	in->error->packet_id = publish->packet_id;
	return false;
}

/* --- PUBACK, PUBREC, PUBREL, PUBCOMP, §3.4 to §3.7 --- */

static bool in_ack(struct mqtt_in *in)
{
	struct mqtt_ack *ack = &in->packet->ack;
	ack->reason = MQTT_SUCCESS;
	if (!mqtt_in_packet_id(in, &ack->packet_id))
		return false;
	if (in_5_0(in) && mqtt_in_left(in) >= 1 && !in_reason(in, &ack->reason))
		return false;
	if (in_5_0(in) && mqtt_in_left(in) >= 1 && !in_own_properties(in))
		return false;
	return mqtt_in_end(in);
}

/* --- SUBSCRIBE, UNSUBSCRIBE, §3.8, §3.10 --- */

static bool in_subscription_options(struct mqtt_in *in, struct mqtt_subscription *entry)
{
	uint8_t options = 0;
	if (!mqtt_in_u8(in, &options))
		return false;
	if (options & (in_5_0(in) ? 0xc0 : 0xfc))
		return mqtt_in_fail(
			in, MQTT_MALFORMED_PACKET, "reserved bits in the subscription options [MQTT-3.8.3-5]");
	entry->qos = options & 3;
	entry->no_local = options & 4;
	entry->retain_as_published = options & 8;
	entry->retain_handling = options >> 4;
	if (entry->qos == 3)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "a subscription with QoS 3 (§3.8.3.1)");
	if (entry->retain_handling == 3)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "Retain Handling 3 (§3.8.3.1)");
	if (entry->no_local && mqtt_filter_is_shared(entry->filter))
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "No Local on a shared subscription [MQTT-3.8.3-4]");
	return true;
}

static bool in_filter(struct mqtt_in *in, struct mqtt_subscription *entry)
{
	*entry = (struct mqtt_subscription){0};
	if (!mqtt_in_binary(in, &entry->filter))
		return false;
	return mqtt_topic_filter_valid(entry->filter) ||
	       mqtt_in_fail(
		       in, MQTT_MALFORMED_PACKET, "not a topic filter [MQTT-3.8.3-1] [MQTT-3.10.3-1] [MQTT-4.8.2-1]");
}

static bool in_subscribe(struct mqtt_in *in)
{
	struct mqtt_subscribe *subscribe = &in->packet->subscribe;
	struct mqtt_subscription *entries = in->decoder->entries;
	*subscribe = (struct mqtt_subscribe){.entries = entries};
	if (!mqtt_in_packet_id(in, &subscribe->packet_id) || !in_own_properties(in))
		return false;
	if (mqtt_in_left(in) == 0)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "no topic filter [MQTT-3.8.3-2] [MQTT-3.10.3-2]");
	while (mqtt_in_left(in) > 0) {
		if (subscribe->n_entries == MQTT_MAX_LIST)
			return mqtt_in_fail(in, MQTT_QUOTA_EXCEEDED, "more topic filters than are taken here");
		struct mqtt_subscription *entry = &entries[subscribe->n_entries++];
		if (!in_filter(in, entry))
			return false;
		if (in->packet->type == MQTT_SUBSCRIBE && !in_subscription_options(in, entry))
			return false;
	}
	return true;
}

/* --- SUBACK, UNSUBACK, §3.9, §3.11 --- */

static bool in_suback(struct mqtt_in *in)
{
	struct mqtt_suback *suback = &in->packet->suback;
	if (!mqtt_in_packet_id(in, &suback->packet_id) || !in_own_properties(in))
		return false;
	suback->reasons = slice_of(in->at, mqtt_in_left(in));
	if (in->packet->type == MQTT_UNSUBACK && !in_5_0(in))
		return mqtt_in_end(in);
	if (suback->reasons.len == 0)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "no reason code [MQTT-3.9.3-1] [MQTT-3.11.3-1]");
	for (size_t i = 0; i < suback->reasons.len; i++)
		if (!in_reason_check(in, suback->reasons.data[i]))
			return false;
	return true;
}

/* --- DISCONNECT, §3.14 --- */

static bool in_disconnect(struct mqtt_in *in)
{
	in->packet->reason = MQTT_SUCCESS;
	if (!in_5_0(in))
		return mqtt_in_end(in);
	if (mqtt_in_left(in) >= 1 && !in_reason(in, &in->packet->reason))
		return false;
	if (mqtt_in_left(in) >= 1 && !in_own_properties(in))
		return false;
	if (in->decoder->sender == MQTT_SERVER && mqtt_has(&in->packet->props, MQTT_SESSION_EXPIRY_INTERVAL))
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "session expiry from a server [MQTT-3.14.2-2]");
	return mqtt_in_end(in);
}

/* --- AUTH, §3.15 --- */

static bool in_auth(struct mqtt_in *in)
{
	in->packet->reason = MQTT_SUCCESS;
	if (mqtt_in_left(in) == 0) /* §3.15.2.1: success without properties */
		return in_reason_check(in, MQTT_SUCCESS);
	if (!in_reason(in, &in->packet->reason) || !in_own_properties(in))
		return false;
	if (!in->packet->props.authentication_method.data)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "no authentication method (§3.15.2.2.2)");
	return mqtt_in_end(in);
}

bool mqtt_in_body(struct mqtt_in *in)
{
	switch (in->packet->type) {
	case MQTT_CONNECT:
		return in_connect(in);
	case MQTT_CONNACK:
		return in_connack(in);
	case MQTT_PUBLISH:
		return in_publish(in);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return in_ack(in);
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return in_subscribe(in);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return in_suback(in);
	case MQTT_DISCONNECT:
		return in_disconnect(in);
	case MQTT_AUTH:
		return in_auth(in);
	default: /* PINGREQ, PINGRESP: §3.12, §3.13 */
		return mqtt_in_end(in);
	}
}
