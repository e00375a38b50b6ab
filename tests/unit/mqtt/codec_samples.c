/* SPDX-License-Identifier: Apache-2.0
 *
 * The samples: each type in both versions, the examples of the specification, and one packet of each type
 * with all properties that it can have.
 */
#include "tests/unit/mqtt/codec_samples.h"

#include <stdlib.h>

#define S(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}
#define BIT(id)  (1ull << (id))
#define PAIRS(x) .user = (x), .n_user = sizeof(x) / sizeof((x)[0])

static const struct message_field one_pair[] = {{S("k"), S("v")}};
static const struct message_field two_pairs[] = {{S("k"), S("v")}, {S("k"), S("")}};
static const uint32_t one_identifier[] = {10};
static const uint32_t identifiers[] = {1, 127, 128, 268435455};
static const struct mqtt_subscription example_filters[] = {
	{.filter = S("a/b"), .qos = 1}, {.filter = S("c/d"), .qos = 2}};
static const struct mqtt_subscription full_filters[] = {
	{.filter = S("#"), .qos = 2, .no_local = true, .retain_as_published = true, .retain_handling = 2},
	{.filter = S("$share/g/+"), .retain_handling = 1}};

const struct codec_sample codec_samples[] = {
	{"CONNECT 3.1.1, smallest", MQTT_3_1_1, MQTT_CLIENT, "10 0c 0004 4d515454 04 02 0000 0000",
		{.type = MQTT_CONNECT, .connect = {.version = MQTT_3_1_1, .clean_start = true, .client_id = S("")}}},
	{"CONNECT 3.1.1, figure 3.6 with a payload", MQTT_3_1_1, MQTT_CLIENT,
		"10 1b 0004 4d515454 04 ce 000a 0001 69 0001 74 0002 0077 0001 75 0002 7000",
		{.type = MQTT_CONNECT,
			.connect = {.version = MQTT_3_1_1,
				.clean_start = true,
				.keep_alive = 10,
				.client_id = S("i"),
				.user_name = S("u"),
				.password = S("p\0"),
				.will = {.topic = S("t"), .payload = S("\0w"), .qos = 1}}}},
	{"CONNECT 3.1.1, retained empty will of QoS 2, session kept", MQTT_3_1_1, MQTT_CLIENT,
		"10 12 0004 4d515454 04 34 ffff 0001 69 0001 74 0000",
		{.type = MQTT_CONNECT,
			.connect = {.version = MQTT_3_1_1,
				.keep_alive = 65535,
				.client_id = S("i"),
				.will = {.topic = S("t"), .payload = S(""), .qos = 2, .retain = true}}}},
	{"CONNECT 5.0, §3.1.2.12 with a payload", MQTT_5_0, MQTT_CLIENT,
		"10 20 0004 4d515454 05 ce 000a 05 11 0000000a 0001 69 00 0001 74 0001 77 0001 75 0001 70",
		{.type = MQTT_CONNECT,
			.connect = {.version = MQTT_5_0,
				.clean_start = true,
				.keep_alive = 10,
				.client_id = S("i"),
				.user_name = S("u"),
				.password = S("p"),
				.will = {.topic = S("t"), .payload = S("w"), .qos = 1}},
			.props = {.present = BIT(MQTT_SESSION_EXPIRY_INTERVAL), .session_expiry_interval = 10}}},
	{"CONNECT 5.0, password alone", MQTT_5_0, MQTT_CLIENT, "10 10 0004 4d515454 05 40 0000 00 0000 0001 70",
		{.type = MQTT_CONNECT, .connect = {.version = MQTT_5_0, .client_id = S(""), .password = S("p")}}},
	{"CONNECT 5.0, all properties", MQTT_5_0, MQTT_CLIENT,
		"10 65 0004 4d515454 05 04 0000"
		"29 11 ffffffff 17 00 19 01 21 0100 22 0005 27 00010000 15 0001 6d 16 0001 64"
		"   26 0001 6b 0001 76 26 0001 6b 0000"
		"0001 69"
		"28 01 01 02 0000003c 18 0000001e 03 0002 6374 08 0002 7274 09 0002 00ff 26 0001 6b 0001 76"
		"   26 0001 6b 0000"
		"0001 74 0000",
		{.type = MQTT_CONNECT,
			.connect = {.version = MQTT_5_0,
				.client_id = S("i"),
				.will = {.topic = S("t"),
					.payload = S(""),
					.props = {.present = BIT(MQTT_PAYLOAD_FORMAT_INDICATOR) |
							     BIT(MQTT_MESSAGE_EXPIRY_INTERVAL) |
							     BIT(MQTT_WILL_DELAY_INTERVAL),
						.payload_format_indicator = 1,
						.message_expiry_interval = 60,
						.will_delay_interval = 30,
						.content_type = S("ct"),
						.response_topic = S("rt"),
						.correlation_data = S("\0\xff"),
						PAIRS(two_pairs)}}},
			.props = {.present = BIT(MQTT_SESSION_EXPIRY_INTERVAL) | BIT(MQTT_REQUEST_PROBLEM_INFORMATION) |
					     BIT(MQTT_REQUEST_RESPONSE_INFORMATION) | BIT(MQTT_RECEIVE_MAXIMUM) |
					     BIT(MQTT_TOPIC_ALIAS_MAXIMUM) | BIT(MQTT_MAXIMUM_PACKET_SIZE),
				.session_expiry_interval = 0xffffffff,
				.request_problem_information = 0,
				.request_response_information = 1,
				.receive_maximum = 256,
				.topic_alias_maximum = 5,
				.maximum_packet_size = 65536,
				.authentication_method = S("m"),
				.authentication_data = S("d"),
				PAIRS(two_pairs)}}},

	{"CONNACK 3.1.1, session present", MQTT_3_1_1, MQTT_SERVER, "20 02 01 00",
		{.type = MQTT_CONNACK, .connack = {.session_present = true}}},
	{"CONNACK 3.1.1, not authorized", MQTT_3_1_1, MQTT_SERVER, "20 02 00 05",
		{.type = MQTT_CONNACK, .connack = {.reason = 5}}},
	{"CONNACK 5.0, smallest", MQTT_5_0, MQTT_SERVER, "20 03 00 00 00", {.type = MQTT_CONNACK}},
	{"CONNACK 5.0, refused", MQTT_5_0, MQTT_SERVER, "20 0d 00 9d 0a 1c 0002 683a 1f 0002 6e6f",
		{.type = MQTT_CONNACK,
			.connack = {.reason = MQTT_SERVER_MOVED},
			.props = {.server_reference = S("h:"), .reason_string = S("no")}}},
	{"CONNACK 5.0, all properties", MQTT_5_0, MQTT_SERVER,
		"20 43 01 00 40"
		"11 00000e10 13 003c 21 000a 22 0002 24 01 25 00 27 00001000 28 00 29 00 2a 00"
		"12 0002 6964 15 0001 6d 16 0001 64 1a 0002 7269 1c 0002 7372 1f 0002 6f6b 26 0001 6b 0001 "
		"76",
		{.type = MQTT_CONNACK,
			.connack = {.session_present = true},
			.props = {.present = BIT(MQTT_SESSION_EXPIRY_INTERVAL) | BIT(MQTT_SERVER_KEEP_ALIVE) |
					     BIT(MQTT_RECEIVE_MAXIMUM) | BIT(MQTT_TOPIC_ALIAS_MAXIMUM) |
					     BIT(MQTT_MAXIMUM_QOS) | BIT(MQTT_RETAIN_AVAILABLE) |
					     BIT(MQTT_MAXIMUM_PACKET_SIZE) | BIT(MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE) |
					     BIT(MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE) |
					     BIT(MQTT_SHARED_SUBSCRIPTION_AVAILABLE),
				.session_expiry_interval = 3600,
				.server_keep_alive = 60,
				.receive_maximum = 10,
				.topic_alias_maximum = 2,
				.maximum_qos = 1,
				.maximum_packet_size = 4096,
				.assigned_client_identifier = S("id"),
				.authentication_method = S("m"),
				.authentication_data = S("d"),
				.response_information = S("ri"),
				.server_reference = S("sr"),
				.reason_string = S("ok"),
				PAIRS(one_pair)}}},

	{"PUBLISH 3.1.1, QoS 0, empty", MQTT_3_1_1, MQTT_SERVER, "30 03 0001 74",
		{.type = MQTT_PUBLISH, .publish = {.topic = S("t"), .payload = S("")}}},
	{"PUBLISH 3.1.1, figure 3.11", MQTT_3_1_1, MQTT_CLIENT, "32 09 0003 612f62 000a 6869",
		{.type = MQTT_PUBLISH, .publish = {.qos = 1, .packet_id = 10, .topic = S("a/b"), .payload = S("hi")}}},
	{"PUBLISH 3.1.1, DUP, QoS 2, retain", MQTT_3_1_1, MQTT_SERVER, "3d 08 0001 74 ffff 000a00",
		{.type = MQTT_PUBLISH,
			.publish = {.dup = true,
				.qos = 2,
				.retain = true,
				.packet_id = 65535,
				.topic = S("t"),
				.payload = S("\0\n\0")}}},
	{"PUBLISH 3.1.1, the UTF-8 example of §1.5.3", MQTT_3_1_1, MQTT_SERVER, "30 07 0005 41f0aa9b94",
		{.type = MQTT_PUBLISH, .publish = {.topic = S("A\xf0\xaa\x9b\x94"), .payload = S("")}}},
	{"PUBLISH 5.0, no properties", MQTT_5_0, MQTT_CLIENT, "32 0a 0003 612f62 000a 00 6869",
		{.type = MQTT_PUBLISH, .publish = {.qos = 1, .packet_id = 10, .topic = S("a/b"), .payload = S("hi")}}},
	{"PUBLISH 5.0, alias instead of a topic", MQTT_5_0, MQTT_SERVER, "30 07 0000 03 23 0007 78",
		{.type = MQTT_PUBLISH,
			.publish = {.topic = S(""), .payload = S("x")},
			.props = {.present = BIT(MQTT_TOPIC_ALIAS), .topic_alias = 7}}},
	{"PUBLISH 5.0, all properties", MQTT_5_0, MQTT_SERVER,
		"3b 3b 0001 74 0001 33"
		"01 01 02 00000010 23 ffff 03 0002 6374 08 0003 722f74 09 0002 0001"
		"0b 01 0b 7f 0b 8001 0b ffffff7f 26 0001 6b 0001 76 26 0001 6b 0000"
		"00ff",
		{.type = MQTT_PUBLISH,
			.publish = {.dup = true,
				.qos = 1,
				.retain = true,
				.packet_id = 1,
				.topic = S("t"),
				.payload = S("\0\xff")},
			.props = {.present = BIT(MQTT_PAYLOAD_FORMAT_INDICATOR) | BIT(MQTT_MESSAGE_EXPIRY_INTERVAL) |
					     BIT(MQTT_TOPIC_ALIAS),
				.payload_format_indicator = 1,
				.message_expiry_interval = 16,
				.topic_alias = 65535,
				.content_type = S("ct"),
				.response_topic = S("r/t"),
				.correlation_data = S("\0\1"),
				.subscription_identifiers = identifiers,
				.n_subscription_identifiers = 4,
				PAIRS(two_pairs)}}},

	{"PUBACK 3.1.1", MQTT_3_1_1, MQTT_SERVER, "40 02 0102", {.type = MQTT_PUBACK, .ack = {.packet_id = 258}}},
	{"PUBREC 3.1.1", MQTT_3_1_1, MQTT_CLIENT, "50 02 0102", {.type = MQTT_PUBREC, .ack = {.packet_id = 258}}},
	{"PUBREL 3.1.1", MQTT_3_1_1, MQTT_CLIENT, "62 02 0102", {.type = MQTT_PUBREL, .ack = {.packet_id = 258}}},
	{"PUBCOMP 3.1.1", MQTT_3_1_1, MQTT_SERVER, "70 02 0102", {.type = MQTT_PUBCOMP, .ack = {.packet_id = 258}}},
	{"PUBACK 5.0, success", MQTT_5_0, MQTT_CLIENT, "40 02 ffff",
		{.type = MQTT_PUBACK, .ack = {.packet_id = 65535}}},
	{"PUBACK 5.0, reason", MQTT_5_0, MQTT_SERVER, "40 03 0001 10",
		{.type = MQTT_PUBACK, .ack = {.packet_id = 1, .reason = MQTT_NO_MATCHING_SUBSCRIBERS}}},
	{"PUBACK 5.0, properties", MQTT_5_0, MQTT_SERVER, "40 10 0001 87 0c 1f 0002 6e6f 26 0001 6b 0001 76",
		{.type = MQTT_PUBACK,
			.ack = {.packet_id = 1, .reason = MQTT_NOT_AUTHORIZED},
			.props = {.reason_string = S("no"), PAIRS(one_pair)}}},
	{"PUBREC 5.0, success with properties", MQTT_5_0, MQTT_SERVER, "50 07 0001 00 03 1f 0000",
		{.type = MQTT_PUBREC, .ack = {.packet_id = 1}, .props = {.reason_string = S("")}}},
	{"PUBREL 5.0, reason", MQTT_5_0, MQTT_CLIENT, "62 03 0001 92",
		{.type = MQTT_PUBREL, .ack = {.packet_id = 1, .reason = MQTT_PACKET_IDENTIFIER_NOT_FOUND}}},
	{"PUBCOMP 5.0, success", MQTT_5_0, MQTT_SERVER, "70 02 0001", {.type = MQTT_PUBCOMP, .ack = {.packet_id = 1}}},

	{"SUBSCRIBE 3.1.1, figure 3.23", MQTT_3_1_1, MQTT_CLIENT, "82 0e 000a 0003 612f62 01 0003 632f64 02",
		{.type = MQTT_SUBSCRIBE, .subscribe = {.packet_id = 10, .entries = example_filters, .n_entries = 2}}},
	{"SUBSCRIBE 5.0, §3.8.3.2", MQTT_5_0, MQTT_CLIENT, "82 0f 000a 00 0003 612f62 01 0003 632f64 02",
		{.type = MQTT_SUBSCRIBE, .subscribe = {.packet_id = 10, .entries = example_filters, .n_entries = 2}}},
	{"SUBSCRIBE 5.0, all options and properties", MQTT_5_0, MQTT_CLIENT,
		"82 1d 0001 09 0b 0a 26 0001 6b 0001 76 0001 23 2e 000a 2473686172652f672f2b 10",
		{.type = MQTT_SUBSCRIBE,
			.subscribe = {.packet_id = 1, .entries = full_filters, .n_entries = 2},
			.props = {.subscription_identifiers = one_identifier,
				.n_subscription_identifiers = 1,
				PAIRS(one_pair)}}},
	{"SUBACK 3.1.1, figure 3.26", MQTT_3_1_1, MQTT_SERVER, "90 05 000a 00 02 80",
		{.type = MQTT_SUBACK, .suback = {.packet_id = 10, .reasons = S("\0\2\x80")}}},
	{"SUBACK 5.0", MQTT_5_0, MQTT_SERVER, "90 0a 000a 05 1f 0002 6f6b 01 a2",
		{.type = MQTT_SUBACK,
			.suback = {.packet_id = 10, .reasons = S("\1\xa2")},
			.props = {.reason_string = S("ok")}}},
	{"UNSUBSCRIBE 3.1.1, figure 3.28", MQTT_3_1_1, MQTT_CLIENT, "a2 0c 000a 0003 612f62 0003 632f64",
		{.type = MQTT_UNSUBSCRIBE, .subscribe = {.packet_id = 10, .entries = example_filters, .n_entries = 2}}},
	{"UNSUBSCRIBE 5.0", MQTT_5_0, MQTT_CLIENT, "a2 14 000a 07 26 0001 6b 0001 76 0003 612f62 0003 632f64",
		{.type = MQTT_UNSUBSCRIBE,
			.subscribe = {.packet_id = 10, .entries = example_filters, .n_entries = 2},
			.props = {PAIRS(one_pair)}}},
	{"UNSUBACK 3.1.1", MQTT_3_1_1, MQTT_SERVER, "b0 02 000a", {.type = MQTT_UNSUBACK, .suback = {.packet_id = 10}}},
	{"UNSUBACK 5.0", MQTT_5_0, MQTT_SERVER, "b0 05 000a 00 00 11",
		{.type = MQTT_UNSUBACK, .suback = {.packet_id = 10, .reasons = S("\0\x11")}}},

	{"PINGREQ 3.1.1", MQTT_3_1_1, MQTT_CLIENT, "c0 00", {.type = MQTT_PINGREQ}},
	{"PINGREQ 5.0", MQTT_5_0, MQTT_CLIENT, "c0 00", {.type = MQTT_PINGREQ}},
	{"PINGRESP 3.1.1", MQTT_3_1_1, MQTT_SERVER, "d0 00", {.type = MQTT_PINGRESP}},
	{"PINGRESP 5.0", MQTT_5_0, MQTT_SERVER, "d0 00", {.type = MQTT_PINGRESP}},
	{"DISCONNECT 3.1.1", MQTT_3_1_1, MQTT_CLIENT, "e0 00", {.type = MQTT_DISCONNECT}},
	{"DISCONNECT 5.0, normal", MQTT_5_0, MQTT_CLIENT, "e0 00", {.type = MQTT_DISCONNECT}},
	{"DISCONNECT 5.0, with will", MQTT_5_0, MQTT_CLIENT, "e0 01 04",
		{.type = MQTT_DISCONNECT, .reason = MQTT_DISCONNECT_WITH_WILL}},
	{"DISCONNECT 5.0, session expiry", MQTT_5_0, MQTT_CLIENT, "e0 07 00 05 11 00000000",
		{.type = MQTT_DISCONNECT, .props = {.present = BIT(MQTT_SESSION_EXPIRY_INTERVAL)}}},
	{"DISCONNECT 5.0, from a server", MQTT_5_0, MQTT_SERVER,
		"e0 13 9c 11 1c 0002 683a 1f 0002 676f 26 0001 6b 0001 76",
		{.type = MQTT_DISCONNECT,
			.reason = MQTT_USE_ANOTHER_SERVER,
			.props = {.server_reference = S("h:"), .reason_string = S("go"), PAIRS(one_pair)}}},
	{"AUTH 5.0, success", MQTT_5_0, MQTT_SERVER, "f0 00", {.type = MQTT_AUTH}},
	{"AUTH 5.0, continue", MQTT_5_0, MQTT_SERVER,
		"f0 16 18 14 15 0001 6d 16 0001 64 1f 0002 6f6b 26 0001 6b 0001 76",
		{.type = MQTT_AUTH,
			.reason = MQTT_CONTINUE_AUTHENTICATION,
			.props = {.authentication_method = S("m"),
				.authentication_data = S("d"),
				.reason_string = S("ok"),
				PAIRS(one_pair)}}},
	{"AUTH 5.0, again", MQTT_5_0, MQTT_CLIENT, "f0 06 19 04 15 0001 6d",
		{.type = MQTT_AUTH, .reason = MQTT_REAUTHENTICATE, .props = {.authentication_method = S("m")}}},
};
const size_t n_codec_samples = sizeof codec_samples / sizeof codec_samples[0];

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint8_t *codec_bytes(const char *hex, size_t *ret_len)
{
	size_t digits = 0;
	for (const char *at = hex; *at; at++)
		digits += nibble(*at) >= 0;
	uint8_t *bytes = calloc(1, digits / 2 ? digits / 2 : 1);
	if (!bytes)
		abort();
	size_t i = 0;
	for (const char *at = hex; *at; at++)
		if (nibble(*at) >= 0) {
			bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | nibble(*at));
			i++;
		}
	*ret_len = digits / 2;
	return bytes;
}

/* --- comparing --- */

static bool same(struct slice a, struct slice b)
{
	return (a.data != NULL) == (b.data != NULL) && slice_equal(a, b);
}

static bool numbers_equal(const struct mqtt_properties *a, const struct mqtt_properties *b)
{
	static const struct {
		enum mqtt_property id;
		size_t offset;
	} numbers[] = {
#define N(id, field) {id, offsetof(struct mqtt_properties, field)}
		N(MQTT_PAYLOAD_FORMAT_INDICATOR, payload_format_indicator),
		N(MQTT_MESSAGE_EXPIRY_INTERVAL, message_expiry_interval),
		N(MQTT_SESSION_EXPIRY_INTERVAL, session_expiry_interval),
		N(MQTT_SERVER_KEEP_ALIVE, server_keep_alive),
		N(MQTT_REQUEST_PROBLEM_INFORMATION, request_problem_information),
		N(MQTT_WILL_DELAY_INTERVAL, will_delay_interval),
		N(MQTT_REQUEST_RESPONSE_INFORMATION, request_response_information),
		N(MQTT_RECEIVE_MAXIMUM, receive_maximum),
		N(MQTT_TOPIC_ALIAS_MAXIMUM, topic_alias_maximum),
		N(MQTT_TOPIC_ALIAS, topic_alias),
		N(MQTT_MAXIMUM_QOS, maximum_qos),
		N(MQTT_RETAIN_AVAILABLE, retain_available),
		N(MQTT_MAXIMUM_PACKET_SIZE, maximum_packet_size),
		N(MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, wildcard_subscription_available),
		N(MQTT_SUBSCRIPTION_IDENTIFIERS_AVAILABLE, subscription_identifiers_available),
		N(MQTT_SHARED_SUBSCRIPTION_AVAILABLE, shared_subscription_available),
#undef N
	};
	if (a->present != b->present)
		return false;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (mqtt_has(a, numbers[i].id) &&
			memcmp((const char *)a + numbers[i].offset, (const char *)b + numbers[i].offset, 4) != 0)
			return false;
	return true;
}

static bool lists_equal(const struct mqtt_properties *a, const struct mqtt_properties *b)
{
	if (a->n_user != b->n_user || a->n_subscription_identifiers != b->n_subscription_identifiers)
		return false;
	for (size_t i = 0; i < a->n_user; i++)
		if (!same(a->user[i].name, b->user[i].name) || !same(a->user[i].value, b->user[i].value))
			return false;
	for (size_t i = 0; i < a->n_subscription_identifiers; i++)
		if (a->subscription_identifiers[i] != b->subscription_identifiers[i])
			return false;
	return true;
}

static bool properties_equal(const struct mqtt_properties *a, const struct mqtt_properties *b)
{
	return numbers_equal(a, b) && lists_equal(a, b) && same(a->content_type, b->content_type) &&
	       same(a->response_topic, b->response_topic) && same(a->correlation_data, b->correlation_data) &&
	       same(a->assigned_client_identifier, b->assigned_client_identifier) &&
	       same(a->authentication_method, b->authentication_method) &&
	       same(a->authentication_data, b->authentication_data) &&
	       same(a->response_information, b->response_information) &&
	       same(a->server_reference, b->server_reference) && same(a->reason_string, b->reason_string);
}

static bool connects_equal(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
	return a->version == b->version && a->clean_start == b->clean_start && a->keep_alive == b->keep_alive &&
	       same(a->client_id, b->client_id) && same(a->user_name, b->user_name) && same(a->password, b->password) &&
	       same(a->will.topic, b->will.topic) && same(a->will.payload, b->will.payload) &&
	       a->will.qos == b->will.qos && a->will.retain == b->will.retain &&
	       properties_equal(&a->will.props, &b->will.props);
}

static bool publishes_equal(const struct mqtt_publish *a, const struct mqtt_publish *b)
{
	return a->dup == b->dup && a->qos == b->qos && a->retain == b->retain && a->packet_id == b->packet_id &&
	       same(a->topic, b->topic) && same(a->payload, b->payload);
}

static bool subscribes_equal(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
	if (a->subscribe.packet_id != b->subscribe.packet_id || a->subscribe.n_entries != b->subscribe.n_entries)
		return false;
	for (size_t i = 0; i < a->subscribe.n_entries; i++) {
		const struct mqtt_subscription *x = &a->subscribe.entries[i], *y = &b->subscribe.entries[i];
		if (!same(x->filter, y->filter))
			return false;
		if (a->type == MQTT_SUBSCRIBE && (x->qos != y->qos || x->no_local != y->no_local ||
							 x->retain_as_published != y->retain_as_published ||
							 x->retain_handling != y->retain_handling))
			return false;
	}
	return true;
}

bool codec_packets_equal(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
	if (a->type != b->type || !properties_equal(&a->props, &b->props))
		return false;
	switch (a->type) {
	case MQTT_CONNECT:
		return connects_equal(&a->connect, &b->connect);
	case MQTT_CONNACK:
		return a->connack.session_present == b->connack.session_present &&
		       a->connack.reason == b->connack.reason;
	case MQTT_PUBLISH:
		return publishes_equal(&a->publish, &b->publish);
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		return a->ack.packet_id == b->ack.packet_id && a->ack.reason == b->ack.reason;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE:
		return subscribes_equal(a, b);
	case MQTT_SUBACK:
	case MQTT_UNSUBACK:
		return a->suback.packet_id == b->suback.packet_id && slice_equal(a->suback.reasons, b->suback.reasons);
	case MQTT_DISCONNECT:
	case MQTT_AUTH:
		return a->reason == b->reason;
	default:
		return true;
	}
}
