/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties (§2.2.2): one table says for each its form, its legal values, the packets that may carry it and
 * the field that holds it; reading, checking, measuring and writing all go by that table.
 */
#include "connectors/mqtt/codec_internal.h"

#include <assert.h>
#include <errno.h>

enum form { NONE, NUMBER, TEXT, TOPIC, BINARY, IDENTIFIER, PAIR };

struct rule {
	uint8_t form; /* enum form */
	uint8_t width; /* NUMBER: bytes on the wire */
	uint16_t offset; /* of the field in struct mqtt_properties */
	uint16_t packets; /* mask of MQTT_IN */
	uint32_t min, max; /* NUMBER */
};

#define IN_ALL_ACKS (MQTT_IN(MQTT_PUBACK) | MQTT_IN(MQTT_PUBREC) | MQTT_IN(MQTT_PUBREL) | MQTT_IN(MQTT_PUBCOMP))
#define IN_MESSAGE  (MQTT_IN(MQTT_PUBLISH) | MQTT_IN_WILL)
#define IN_CONNECTS (MQTT_IN(MQTT_CONNECT) | MQTT_IN(MQTT_CONNACK))
#define IN_REASONS                                                                                                     \
	(MQTT_IN(MQTT_CONNACK) | IN_ALL_ACKS | MQTT_IN(MQTT_SUBACK) | MQTT_IN(MQTT_UNSUBACK) |                         \
		MQTT_IN(MQTT_DISCONNECT) | MQTT_IN(MQTT_AUTH))
#define IN_ALL      (IN_MESSAGE | IN_CONNECTS | IN_REASONS | MQTT_IN(MQTT_SUBSCRIBE) | MQTT_IN(MQTT_UNSUBSCRIBE))
#define FIELD(name) offsetof(struct mqtt_properties, name)

/* Table 2-4. */
static const struct rule rules[] = {
	[MQTT_PAYLOAD_FORMAT_INDICATOR] = {NUMBER, 1, FIELD(payload_format_indicator), IN_MESSAGE, 0, 1},
	[MQTT_MESSAGE_EXPIRY_INTERVAL] = {NUMBER, 4, FIELD(message_expiry_interval), IN_MESSAGE, 0, UINT32_MAX},
	[MQTT_CONTENT_TYPE] = {TEXT, 0, FIELD(content_type), IN_MESSAGE, 0, 0},
	[MQTT_RESPONSE_TOPIC] = {TOPIC, 0, FIELD(response_topic), IN_MESSAGE, 0, 0},
	[MQTT_CORRELATION_DATA] = {BINARY, 0, FIELD(correlation_data), IN_MESSAGE, 0, 0},
	[MQTT_SUBSCRIPTION_IDENTIFIER] = {IDENTIFIER, 0, 0, MQTT_IN(MQTT_PUBLISH) | MQTT_IN(MQTT_SUBSCRIBE), 0, 0},
	[MQTT_SESSION_EXPIRY_INTERVAL] = {NUMBER, 4, FIELD(session_expiry_interval),
		IN_CONNECTS | MQTT_IN(MQTT_DISCONNECT), 0, UINT32_MAX},
	[MQTT_ASSIGNED_CLIENT_IDENTIFIER] = {TEXT, 0, FIELD(assigned_client_identifier), MQTT_IN(MQTT_CONNACK), 0, 0},
	[MQTT_SERVER_KEEP_ALIVE] = {NUMBER, 2, FIELD(server_keep_alive), MQTT_IN(MQTT_CONNACK), 0, 65535},
	[MQTT_AUTHENTICATION_METHOD] = {TEXT, 0, FIELD(authentication_method), IN_CONNECTS | MQTT_IN(MQTT_AUTH), 0, 0},
	[MQTT_AUTHENTICATION_DATA] = {BINARY, 0, FIELD(authentication_data), IN_CONNECTS | MQTT_IN(MQTT_AUTH), 0, 0},
	[MQTT_REQUEST_PROBLEM_INFORMATION] = {NUMBER, 1, FIELD(request_problem_information), MQTT_IN(MQTT_CONNECT), 0,
		1},
	[MQTT_WILL_DELAY_INTERVAL] = {NUMBER, 4, FIELD(will_delay_interval), MQTT_IN_WILL, 0, UINT32_MAX},
	[MQTT_REQUEST_RESPONSE_INFORMATION] = {NUMBER, 1, FIELD(request_response_information), MQTT_IN(MQTT_CONNECT), 0,
		1},
	[MQTT_RESPONSE_INFORMATION] = {TEXT, 0, FIELD(response_information), MQTT_IN(MQTT_CONNACK), 0, 0},
	[MQTT_SERVER_REFERENCE] = {TEXT, 0, FIELD(server_reference), MQTT_IN(MQTT_CONNACK) | MQTT_IN(MQTT_DISCONNECT),
		0, 0},
	[MQTT_REASON_STRING] = {TEXT, 0, FIELD(reason_string), IN_REASONS, 0, 0},
	[MQTT_RECEIVE_MAXIMUM] = {NUMBER, 2, FIELD(receive_maximum), IN_CONNECTS, 1, 65535},
	[MQTT_TOPIC_ALIAS_MAXIMUM] = {NUMBER, 2, FIELD(topic_alias_maximum), IN_CONNECTS, 0, 65535},
	[MQTT_TOPIC_ALIAS] = {NUMBER, 2, FIELD(topic_alias), MQTT_IN(MQTT_PUBLISH), 1, 65535},
	[MQTT_MAXIMUM_QOS] = {NUMBER, 1, FIELD(maximum_qos), MQTT_IN(MQTT_CONNACK), 0, 1},
	[MQTT_RETAIN_AVAILABLE] = {NUMBER, 1, FIELD(retain_available), MQTT_IN(MQTT_CONNACK), 0, 1},
	[MQTT_USER_PROPERTY] = {PAIR, 0, 0, IN_ALL, 0, 0},
	[MQTT_MAXIMUM_PACKET_SIZE] = {NUMBER, 4, FIELD(maximum_packet_size), IN_CONNECTS, 1, UINT32_MAX},
	[MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE] = {NUMBER, 1, FIELD(wildcard_subscription_available),
		MQTT_IN(MQTT_CONNACK), 0, 1},
	[MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE] = {NUMBER, 1, FIELD(subscription_identifiers_available),
		MQTT_IN(MQTT_CONNACK), 0, 1},
	[MQTT_SHARED_SUBSCRIPTION_AVAILABLE] = {NUMBER, 1, FIELD(shared_subscription_available), MQTT_IN(MQTT_CONNACK),
		0, 1},
};
#define N_RULES (sizeof rules / sizeof rules[0])

/* Those whose field is a slice: presence is a pointer and not a bit. */
static const uint8_t slice_ids[] = {
	MQTT_CONTENT_TYPE,
	MQTT_RESPONSE_TOPIC,
	MQTT_CORRELATION_DATA,
	MQTT_ASSIGNED_CLIENT_IDENTIFIER,
	MQTT_AUTHENTICATION_METHOD,
	MQTT_AUTHENTICATION_DATA,
	MQTT_RESPONSE_INFORMATION,
	MQTT_SERVER_REFERENCE,
	MQTT_REASON_STRING,
};
#define N_SLICES (sizeof slice_ids / sizeof slice_ids[0])

static uint32_t *number_of(struct mqtt_properties *props, const struct rule *rule)
{
	return (uint32_t *)(void *)((char *)props + rule->offset);
}

static uint32_t number_in(const struct mqtt_properties *props, const struct rule *rule)
{
	return *(const uint32_t *)(const void *)((const char *)props + rule->offset);
}

static struct slice *slice_field(struct mqtt_properties *props, const struct rule *rule)
{
	return (struct slice *)(void *)((char *)props + rule->offset);
}

static const struct slice *slice_in(const struct mqtt_properties *props, const struct rule *rule)
{
	return (const struct slice *)(const void *)((const char *)props + rule->offset);
}

void mqtt_set_number(struct mqtt_properties *props, enum mqtt_property id, uint32_t value)
{
	assert(id < N_RULES && rules[id].form == NUMBER);
	*number_of(props, &rules[id]) = value;
	props->present |= 1ull << id;
}

void mqtt_properties_reset(struct mqtt_properties *props)
{
	*props = (struct mqtt_properties){
		.request_problem_information = 1,
		.receive_maximum = 65535,
		.maximum_qos = 2,
		.retain_available = 1,
		.wildcard_subscription_available = 1,
		.subscription_identifiers_available = 1,
		.shared_subscription_available = 1,
	};
}

/* --- reading --- */

static bool read_number(struct mqtt_in *in, uint8_t id, const struct rule *rule, struct mqtt_properties *props)
{
	uint32_t value = 0;
	if (mqtt_in_left(in) < rule->width)
		return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "a property passes the end of its list (§2.2.2)");
	for (uint8_t i = 0; i < rule->width; i++)
		value = value << 8 | *in->at++;
	if (value < rule->min || value > rule->max) {
		if (id == MQTT_TOPIC_ALIAS)
			return mqtt_in_fail(in, MQTT_TOPIC_ALIAS_INVALID, "topic alias 0 [MQTT-3.3.2-8]");
		return mqtt_in_fail(
			in, MQTT_PROTOCOL_ERROR, "a property has a value that its section excludes (§2.2.2.2)");
	}
	*number_of(props, rule) = value;
	return true;
}

static bool read_topic(struct mqtt_in *in, struct slice *field)
{
	if (!mqtt_in_binary(in, field))
		return false;
	return mqtt_topic_name_valid(*field) ||
	       mqtt_in_refuse(in, MQTT_MALFORMED_PACKET, MQTT_TOPIC_NAME_INVALID,
		       "the response topic is not a topic name [MQTT-3.3.2-13] [MQTT-3.3.2-14]");
}

static bool read_identifier(struct mqtt_in *in, struct mqtt_properties *props)
{
	uint32_t value = 0;
	if (!mqtt_in_varint(in, &value))
		return false;
	if (value == 0)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "subscription identifier 0 (§3.8.2.1.2)");
	if (props->n_subscription_identifiers > 0 && in->packet->type == MQTT_SUBSCRIBE)
		return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "two subscription identifiers (§3.8.2.1.2)");
	if (props->n_subscription_identifiers == MQTT_MAX_LIST)
		return mqtt_in_refuse(in, MQTT_QUOTA_EXCEEDED, MQTT_QUOTA_EXCEEDED,
			"more subscription identifiers than are taken here");
	in->decoder->subscription_identifiers[props->n_subscription_identifiers++] = value;
	props->subscription_identifiers = in->decoder->subscription_identifiers;
	return true;
}

static bool read_pair(struct mqtt_in *in, struct mqtt_properties *props)
{
	struct message_field field;
	if (!mqtt_in_text(in, &field.name) || !mqtt_in_text(in, &field.value))
		return false;
	struct mqtt_decoder *decoder = in->decoder;
	if (decoder->n_user == MQTT_MAX_LIST)
		return mqtt_in_refuse(
			in, MQTT_QUOTA_EXCEEDED, MQTT_QUOTA_EXCEEDED, "more user properties than are taken here");
	if (!props->user)
		props->user = decoder->user + decoder->n_user;
	decoder->user[decoder->n_user++] = field;
	props->n_user++;
	return true;
}

static bool read_property(struct mqtt_in *in, uint8_t id, const struct rule *rule, struct mqtt_properties *props)
{
	switch ((enum form)rule->form) {
	case NUMBER:
		return read_number(in, id, rule, props);
	case TEXT:
		return mqtt_in_text(in, slice_field(props, rule));
	case TOPIC:
		return read_topic(in, slice_field(props, rule));
	case BINARY:
		return mqtt_in_binary(in, slice_field(props, rule));
	case IDENTIFIER:
		return read_identifier(in, props);
	case PAIR:
		return read_pair(in, props);
	case NONE:
		break;
	}
	return false;
}

/* All bytes of `in` are properties. */
static bool read_list(struct mqtt_in *in, unsigned where, struct mqtt_properties *props)
{
	uint64_t seen = 0;
	while (in->at < in->end) {
		uint8_t id = *in->at++;
		const struct rule *rule = &rules[id < N_RULES ? id : 0];
		if (rule->form == NONE)
			return mqtt_in_fail(in, MQTT_MALFORMED_PACKET, "unknown property (§2.2.2.2)");
		if (!(rule->packets & where))
			return mqtt_in_fail(
				in, MQTT_MALFORMED_PACKET, "a property that this packet cannot have (§2.2.2.2)");
		bool repeats = rule->form == PAIR || rule->form == IDENTIFIER;
		if (!repeats && (seen >> id & 1))
			return mqtt_in_fail(in, MQTT_PROTOCOL_ERROR, "a property stands twice (§2.2.2.2)");
		seen |= 1ull << id;
		if (rule->form == NUMBER)
			props->present |= 1ull << id;
		if (!read_property(in, id, rule, props))
			return false;
	}
	return true;
}

bool mqtt_in_properties(struct mqtt_in *in, unsigned where, struct mqtt_properties *props)
{
	uint32_t len = 0;
	if (!mqtt_in_varint(in, &len))
		return false;
	if (len > mqtt_in_left(in))
		return mqtt_in_fail(
			in, MQTT_MALFORMED_PACKET, "the property length passes the end of the packet (§2.2.2.1)");
	const uint8_t *end = in->end;
	in->end = in->at + len;
	bool good = read_list(in, where, props);
	in->end = end;
	return good;
}

/* --- writing --- */

/* All numbers among the properties that a packet may have: which bits of `present` are legal. */
static int measure_numbers(const struct mqtt_properties *props, unsigned where, size_t *sum)
{
	for (uint64_t rest = props->present; rest; rest &= rest - 1) {
		unsigned id = (unsigned)__builtin_ctzll(rest);
		if (id >= N_RULES || rules[id].form != NUMBER || !(rules[id].packets & where))
			return -EINVAL;
		uint32_t value = number_in(props, &rules[id]);
		if (value < rules[id].min || value > rules[id].max)
			return -EINVAL;
		*sum += 1u + rules[id].width;
	}
	return 0;
}

static int measure_slice(const struct rule *rule, struct slice bytes, size_t *sum)
{
	int err = 0;
	if (rule->form == BINARY)
		err = bytes.len > 65535 ? -EMSGSIZE : 0;
	else
		err = mqtt_text_check(bytes);
	if (!err && rule->form == TOPIC && !mqtt_topic_name_valid(bytes))
		err = -EILSEQ;
	*sum += 3 + bytes.len;
	return err;
}

static int measure_slices(const struct mqtt_properties *props, unsigned where, size_t *sum)
{
	for (size_t i = 0; i < N_SLICES; i++) {
		const struct rule *rule = &rules[slice_ids[i]];
		const struct slice *bytes = slice_in(props, rule);
		if (!bytes->data)
			continue;
		int err = rule->packets & where ? measure_slice(rule, *bytes, sum) : -EINVAL;
		if (err)
			return err;
	}
	return 0;
}

static int measure_identifiers(const struct mqtt_properties *props, unsigned where, size_t *sum)
{
	size_t most = where == MQTT_IN(MQTT_PUBLISH) ? MQTT_MAX_LIST : where == MQTT_IN(MQTT_SUBSCRIBE) ? 1 : 0;
	if (props->n_subscription_identifiers > most)
		return -EINVAL;
	for (size_t i = 0; i < props->n_subscription_identifiers; i++) {
		uint32_t value = props->subscription_identifiers[i];
		if (value == 0 || value > MQTT_MAX_REMAINING)
			return -EINVAL;
		*sum += 1 + mqtt_varint_size(value);
	}
	return 0;
}

static int measure_pairs(const struct mqtt_properties *props, size_t *sum)
{
	if (props->n_user > MQTT_MAX_LIST)
		return -EINVAL;
	for (size_t i = 0; i < props->n_user; i++) {
		int err = mqtt_text_check(props->user[i].name);
		if (!err)
			err = mqtt_text_check(props->user[i].value);
		if (err)
			return err;
		*sum += 5 + props->user[i].name.len + props->user[i].value.len;
	}
	return 0;
}

int mqtt_properties_measure(const struct mqtt_properties *props, unsigned where, uint32_t *ret_len)
{
	size_t sum = 0; /* the limits above keep it below 2^28 */
	int err = measure_numbers(props, where, &sum);
	if (!err)
		err = measure_slices(props, where, &sum);
	if (!err)
		err = measure_identifiers(props, where, &sum);
	if (!err)
		err = measure_pairs(props, &sum);
	if (!err)
		*ret_len = (uint32_t)sum;
	return err;
}

static uint8_t *put_numbers(uint8_t *out, const struct mqtt_properties *props)
{
	for (uint64_t rest = props->present; rest; rest &= rest - 1) {
		unsigned id = (unsigned)__builtin_ctzll(rest);
		uint32_t value = number_in(props, &rules[id]);
		*out++ = (uint8_t)id;
		for (unsigned shift = 8u * rules[id].width; shift > 0; shift -= 8)
			*out++ = (uint8_t)(value >> (shift - 8));
	}
	return out;
}

uint8_t *mqtt_properties_put(uint8_t *out, const struct mqtt_properties *props, uint32_t len)
{
	out = mqtt_put_varint(out, len);
	if (len == 0)
		return out;
	out = put_numbers(out, props);
	for (size_t i = 0; i < N_SLICES; i++) {
		const struct slice *bytes = slice_in(props, &rules[slice_ids[i]]);
		if (!bytes->data)
			continue;
		*out++ = slice_ids[i];
		out = mqtt_put_binary(out, *bytes);
	}
	for (size_t i = 0; i < props->n_subscription_identifiers; i++) {
		*out++ = MQTT_SUBSCRIPTION_IDENTIFIER;
		out = mqtt_put_varint(out, props->subscription_identifiers[i]);
	}
	for (size_t i = 0; i < props->n_user; i++) {
		*out++ = MQTT_USER_PROPERTY;
		out = mqtt_put_binary(out, props->user[i].name);
		out = mqtt_put_binary(out, props->user[i].value);
	}
	return out;
}
