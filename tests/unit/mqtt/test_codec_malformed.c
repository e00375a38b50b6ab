/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec on bytes that the specification forbids: one row for each rule, with the reason code that it gives; and
 * bytes that only chance forbids: every prefix, every flipped bit, every cut length of the samples, in memory of exactly
 * their size.
 */
#include "tests/unit/mqtt/codec_samples.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static struct mqtt_decoder decoder;

#define V3     MQTT_3_1_1
#define V5     MQTT_5_0
#define CLIENT MQTT_CLIENT
#define SERVER MQTT_SERVER

struct bad {
	enum mqtt_version version;
	enum mqtt_role sender;
	uint8_t reason;
	const char *hex;
	const char *why;
};

static const struct bad bad_headers[] = {
	{V5, SERVER, 0x81, "00 00", "packet type 0"},
	{V5, SERVER, 0x81, "21 03 00 00 00", "flags in CONNACK"},
	{V5, CLIENT, 0x81, "60 02 0001", "PUBREL without flags 2 [MQTT-3.6.1-1]"},
	{V5, CLIENT, 0x81, "80 07 0001 00 0001 61 00", "SUBSCRIBE without flags 2 [MQTT-3.8.1-1]"},
	{V5, CLIENT, 0x81, "a3 06 0001 00 0001 61", "UNSUBSCRIBE with flags 3 [MQTT-3.10.1-1]"},
	{V5, SERVER, 0x81, "36 06 0001 74 0001 00", "PUBLISH with QoS 3 [MQTT-3.3.1-4]"},
	{V5, SERVER, 0x81, "38 04 0001 74 00", "DUP with QoS 0 [MQTT-3.3.1-2]"},
	{V5, SERVER, 0x81, "30 05 0001 74 00", "remaining length above the packet"},
	{V5, SERVER, 0x81, "30 03 0001 74 00", "remaining length below the packet"},
	{V5, SERVER, 0x81, "30 8080808001", "remaining length of five bytes"},
	{V5, SERVER, 0x81, "", "nothing"},
	{V5, SERVER, 0x81, "d0", "half a header"},
};

static const struct bad bad_bodies[] = {
	/* a whole packet of a length that the header forbids */
	{V5, SERVER, 0x81, "30 8400 0001 74 00", "remaining length of two bytes where one does [MQTT-1.5.5-1]"},
	{V5, SERVER, 0x81, "d0 80808000", "remaining length of four bytes where one does"},

	/* who may send what */
	{V5, SERVER, 0x82, "10 0d 0004 4d515454 05 02 0000 00 0000", "CONNECT from a server"},
	{V5, CLIENT, 0x82, "20 03 00 00 00", "CONNACK from a client"},
	{V5, SERVER, 0x82, "82 07 0001 00 0001 61 00", "SUBSCRIBE from a server"},
	{V5, CLIENT, 0x82, "90 04 0001 00 00", "SUBACK from a client"},
	{V5, SERVER, 0x82, "a2 06 0001 00 0001 61", "UNSUBSCRIBE from a server"},
	{V5, CLIENT, 0x82, "b0 04 0001 00 00", "UNSUBACK from a client"},
	{V5, SERVER, 0x82, "c0 00", "PINGREQ from a server"},
	{V5, CLIENT, 0x82, "d0 00", "PINGRESP from a client"},
	{V3, SERVER, 0x82, "e0 00", "DISCONNECT from a server in 3.1.1"},
	{V3, SERVER, 0x82, "f0 00", "AUTH in 3.1.1"},

	/* CONNECT */
	{V5, CLIENT, 0x84, "10 0e 0006 4d5149736470 03 02 0000 0000", "MQIsdp, protocol 3"},
	{V5, CLIENT, 0x84, "10 0d 0004 4d515454 06 02 0000 00 0000", "protocol version 6 [MQTT-3.1.2-2]"},
	{V5, CLIENT, 0x84, "10 0d 0004 6d717474 05 02 0000 00 0000", "a lower-case protocol name"},
	{V5, CLIENT, 0x81, "10 0d 0004 4d515454 05 03 0000 00 0000", "the reserved connect flag [MQTT-3.1.2-3]"},
	{V5, CLIENT, 0x81, "10 13 0004 4d515454 05 1e 0000 00 0000 00 0001 74 0000", "a will of QoS 3"},
	{V5, CLIENT, 0x81, "10 0d 0004 4d515454 05 0a 0000 00 0000", "will QoS without a will [MQTT-3.1.2-11]"},
	{V5, CLIENT, 0x81, "10 0d 0004 4d515454 05 22 0000 00 0000", "will retain without a will [MQTT-3.1.2-13]"},
	{V3, CLIENT, 0x81, "10 0f 0004 4d515454 04 42 0000 0000 0001 70", "3.1.1: a password alone"},
	{V3, CLIENT, 0x85, "10 0c 0004 4d515454 04 00 0000 0000", "3.1.1: no identifier, session kept"},
	{V5, CLIENT, 0x81, "10 13 0004 4d515454 05 06 0000 00 0000 00 0001 2b 0000", "a wildcard in the will topic"},
	{V5, CLIENT, 0x81, "10 12 0004 4d515454 05 06 0000 00 0000 00 0000 0000", "an empty will topic"},
	{V5, CLIENT, 0x81, "10 0e 0004 4d515454 05 02 0000 00 0001 00", "U+0000 in the client identifier"},
	{V5, CLIENT, 0x81, "10 0d 0004 4d515454 05 82 0000 00 0000", "the user name is missing"},
	{V5, CLIENT, 0x81, "10 0e 0004 4d515454 05 02 0000 00 0000 00", "a byte too many"},
	{V5, CLIENT, 0x82, "10 11 0004 4d515454 05 02 0000 04 16 0001 64 0000", "authentication data alone"},
	{V5, CLIENT, 0x82, "10 0f 0004 4d515454 05 02 0000 02 17 02 0000", "request problem information 2"},
	{V5, CLIENT, 0x82, "10 0f 0004 4d515454 05 02 0000 02 19 02 0000", "request response information 2"},
	{V5, CLIENT, 0x82, "10 10 0004 4d515454 05 02 0000 03 21 0000 0000", "receive maximum 0"},
	{V5, CLIENT, 0x82, "10 12 0004 4d515454 05 02 0000 05 27 00000000 0000", "maximum packet size 0"},
	{V5, CLIENT, 0x81, "10 0f 0004 4d515454 05 02 0000 02 01 00 0000", "a will's property in CONNECT"},
	{V5, CLIENT, 0x81, "10 18 0004 4d515454 05 06 0000 00 0000 05 11 00000001 0001 74 0000",
		"CONNECT's property in a will"},

	/* CONNACK */
	{V5, SERVER, 0x81, "20 03 02 00 00", "acknowledge flags 2 [MQTT-3.2.2-1]"},
	{V5, SERVER, 0x82, "20 03 01 87 00", "session present in a refusal [MQTT-3.2.2-6]"},
	{V3, SERVER, 0x82, "20 02 01 05", "the same in 3.1.1"},
	{V5, SERVER, 0x82, "20 03 00 01 00", "reason 0x01"},
	{V5, SERVER, 0x82, "20 03 00 92 00", "reason 0x92"},
	{V5, SERVER, 0x82, "20 03 00 ff 00", "reason 0xff"},
	{V3, SERVER, 0x82, "20 02 00 06", "3.1.1: return code 6"},
	{V5, SERVER, 0x84, "20 02 00 01", "a 3.1.1 server refuses 5.0"},
	{V5, SERVER, 0x81, "20 02 00 00", "no property length"},
	{V3, SERVER, 0x81, "20 03 00 00 00", "3.1.1: a property length"},
	{V5, SERVER, 0x82, "20 05 00 00 02 24 02", "maximum QoS 2"},
	{V5, SERVER, 0x82, "20 05 00 00 02 25 02", "retain available 2"},
	{V5, SERVER, 0x82, "20 05 00 00 02 28 02", "wildcard subscriptions available 2"},
	{V5, SERVER, 0x82, "20 05 00 00 02 29 02", "subscription identifiers available 2"},
	{V5, SERVER, 0x82, "20 05 00 00 02 2a ff", "shared subscriptions available 255"},

	/* PUBLISH */
	{V5, SERVER, 0x82, "32 06 0001 74 0000 00", "packet identifier 0 [MQTT-2.2.1-3]"},
	{V3, SERVER, 0x82, "34 05 0001 74 0000", "the same in 3.1.1"},
	{V5, SERVER, 0x81, "32 04 0001 74 00", "half a packet identifier"},
	{V5, SERVER, 0x81, "30 03 0002 74", "the topic passes the end"},
	{V5, SERVER, 0x81, "30 01 00", "half a topic length"},
	{V5, SERVER, 0x81, "30 03 0001 74", "no property length"},
	{V5, SERVER, 0x81, "30 04 0001 74 01", "the property length passes the end"},
	{V5, SERVER, 0x81, "30 05 0001 74 8000", "a padded property length [MQTT-1.5.5-1]"},
	{V5, SERVER, 0x81, "30 08 0001 74 8080808001", "a property length of five bytes"},
	{V5, SERVER, 0x81, "30 04 0001 74 80", "half a property length"},
	{V5, SERVER, 0x82, "30 03 0000 00", "no topic, no alias"},
	{V3, SERVER, 0x81, "30 02 0000", "3.1.1: no topic"},
	{V5, SERVER, 0x94, "30 07 0001 74 03 23 0000", "alias 0 [MQTT-3.3.2-8]"},
	{V5, SERVER, 0x94, "30 07 0001 74 03 23 0006", "an alias above the maximum [MQTT-3.3.2-9]"},
	{V5, CLIENT, 0x82, "30 06 0001 74 02 0b 01", "a subscription identifier from a client [MQTT-3.3.4-6]"},
	{V5, SERVER, 0x82, "30 06 0001 74 02 0b 00", "subscription identifier 0"},
	{V5, SERVER, 0x81, "30 07 0001 74 03 0b 8100", "a padded subscription identifier"},
	{V5, SERVER, 0x81, "30 0a 0001 74 06 0b ffffffff01", "a subscription identifier of five bytes"},
	{V5, SERVER, 0x82, "30 06 0001 74 02 01 02", "payload format indicator 2"},

	/* properties */
	{V5, SERVER, 0x81, "30 06 0001 74 02 00 00", "property 0"},
	{V5, SERVER, 0x81, "30 06 0001 74 02 04 00", "property 4"},
	{V5, SERVER, 0x81, "30 06 0001 74 02 2b 00", "property 43"},
	{V5, SERVER, 0x81, "30 07 0001 74 03 8101 00", "a padded property identifier"},
	{V5, SERVER, 0x81, "30 07 0001 74 03 21 0001", "receive maximum in PUBLISH"},
	{V5, SERVER, 0x81, "30 05 0001 74 01 01", "a number passes the list"},
	{V5, SERVER, 0x81, "30 09 0001 74 03 02 0000 0000", "a number passes the list into the payload"},
	{V5, SERVER, 0x81, "30 09 0001 74 03 03 0002 6374", "a text passes the list into the payload"},
	{V5, SERVER, 0x81, "30 08 0001 74 04 26 0001 6b", "half a user property"},
	{V5, SERVER, 0x82, "30 08 0001 74 04 01 00 01 00", "two payload format indicators"},
	{V5, SERVER, 0x82, "30 0a 0001 74 06 03 0000 03 0000", "two content types"},
	{V5, SERVER, 0x82, "30 0a 0001 74 06 09 0000 09 0000", "two correlation data"},
	{V5, SERVER, 0x82, "30 0a 0001 74 06 23 0001 23 0001", "two topic aliases"},
	{V5, SERVER, 0x82, "20 09 00 00 06 1f 0000 1f 0000", "two reason strings"},

	/* acks */
	{V5, SERVER, 0x82, "40 02 0000", "packet identifier 0"},
	{V5, SERVER, 0x81, "40 01 00", "half a packet identifier"},
	{V5, SERVER, 0x81, "40 00", "nothing"},
	{V3, SERVER, 0x81, "40 03 0001 00", "3.1.1: a reason"},
	{V5, SERVER, 0x82, "40 03 0001 92", "PUBACK 0x92"},
	{V5, CLIENT, 0x82, "40 03 0001 10", "PUBACK 0x10 from a client"},
	{V5, CLIENT, 0x82, "40 03 0001 95", "PUBACK 0x95 from a client"},
	{V5, SERVER, 0x82, "50 03 0001 82", "PUBREC 0x82"},
	{V5, SERVER, 0x82, "62 03 0001 10", "PUBREL 0x10"},
	{V5, SERVER, 0x82, "70 03 0001 87", "PUBCOMP 0x87"},
	{V5, SERVER, 0x81, "40 05 0001 00 00 00", "a byte too many"},
	{V5, SERVER, 0x81, "40 06 0001 00 02 01 00", "PUBLISH's property in PUBACK"},
	{V5, SERVER, 0x81, "40 07 0001 00 03 1f 0001", "the reason string passes the end"},
	{V5, SERVER, 0x81, "40 08 0001 00 04 1f 0001 ff", "the reason string is no UTF-8"},

	/* SUBSCRIBE, UNSUBSCRIBE */
	{V5, CLIENT, 0x82, "82 07 0000 00 0001 61 00", "packet identifier 0"},
	{V5, CLIENT, 0x82, "82 03 0001 00", "no filter [MQTT-3.8.3-2]"},
	{V3, CLIENT, 0x82, "a2 02 0001", "no filter [MQTT-3.10.3-2]"},
	{V5, CLIENT, 0x81, "82 06 0001 00 0001 61", "no options"},
	{V5, CLIENT, 0x81, "82 07 0001 00 0001 61 40", "reserved option bits [MQTT-3.8.3-5]"},
	{V3, CLIENT, 0x81, "82 06 0001 0001 61 04", "3.1.1: No Local"},
	{V5, CLIENT, 0x82, "82 07 0001 00 0001 61 03", "QoS 3"},
	{V5, CLIENT, 0x82, "82 07 0001 00 0001 61 30", "Retain Handling 3"},
	{V5, CLIENT, 0x82, "82 10 0001 00 000a 2473686172652f672f61 04", "No Local, shared [MQTT-3.8.3-4]"},
	{V5, CLIENT, 0x81, "82 06 0001 00 0000 00", "an empty filter"},
	{V5, CLIENT, 0x81, "82 08 0001 00 0002 612b 00", "a wildcard in a level [MQTT-4.7.1-2]"},
	{V5, CLIENT, 0x81, "82 09 0001 00 0003 232f61 00", "# before the end [MQTT-4.7.1-1]"},
	{V5, CLIENT, 0x81, "82 0e 0001 00 0008 2473686172652f67 00", "$share/g [MQTT-4.8.2-2]"},
	{V5, CLIENT, 0x81, "82 0f 0001 00 0009 2473686172652f2f61 00", "$share//a [MQTT-4.8.2-1]"},
	{V5, CLIENT, 0x81, "a2 07 0001 00 0002 c328", "a filter that is no UTF-8 [MQTT-3.10.3-1]"},
	{V5, CLIENT, 0x82, "82 0b 0001 04 0b 01 0b 02 0001 61 00", "two subscription identifiers"},
	{V5, CLIENT, 0x82, "82 09 0001 02 0b 00 0001 61 00", "subscription identifier 0"},
	{V5, CLIENT, 0x81, "a2 08 0001 02 0b 01 0001 61", "a subscription identifier in UNSUBSCRIBE"},

	/* SUBACK, UNSUBACK */
	{V5, SERVER, 0x82, "90 04 0000 00 00", "packet identifier 0"},
	{V5, SERVER, 0x82, "90 03 0001 00", "no reason"},
	{V5, SERVER, 0x82, "90 05 0001 00 00 03", "SUBACK 0x03"},
	{V3, SERVER, 0x82, "90 03 0001 03", "3.1.1: SUBACK 0x03 [MQTT-3.9.3-2]"},
	{V3, SERVER, 0x82, "90 03 0001 87", "3.1.1: SUBACK 0x87"},
	{V3, SERVER, 0x81, "b0 03 0001 00", "3.1.1: UNSUBACK with a reason"},
	{V5, SERVER, 0x82, "b0 04 0001 00 01", "UNSUBACK 0x01"},
	{V5, SERVER, 0x82, "b0 03 0001 00", "UNSUBACK without a reason"},
	{V5, SERVER, 0x81, "90 01 00", "half a packet identifier"},

	/* PINGREQ, PINGRESP, DISCONNECT, AUTH */
	{V5, CLIENT, 0x81, "c0 01 00", "PINGREQ with a body"},
	{V5, SERVER, 0x81, "d0 01 00", "PINGRESP with a body"},
	{V3, CLIENT, 0x81, "e0 01 00", "3.1.1: DISCONNECT with a reason"},
	{V5, CLIENT, 0x82, "e0 01 01", "DISCONNECT 0x01"},
	{V5, SERVER, 0x82, "e0 01 04", "DISCONNECT with will from a server"},
	{V5, CLIENT, 0x82, "e0 01 8b", "server shutting down from a client"},
	{V5, SERVER, 0x82, "e0 07 00 05 11 00000000", "session expiry from a server [MQTT-3.14.2-2]"},
	{V5, SERVER, 0x81, "e0 03 00 00 00", "a byte too many"},
	{V5, SERVER, 0x81, "e0 02 00 01", "the property length passes the end"},
	{V5, CLIENT, 0x82, "f0 00", "AUTH success from a client"},
	{V5, SERVER, 0x82, "f0 06 19 04 15 0001 6d", "re-authenticate from a server"},
	{V5, SERVER, 0x82, "f0 02 18 00", "AUTH without a method"},
	{V5, SERVER, 0x81, "f0 01 18", "AUTH without a property length"},
	{V5, SERVER, 0x82, "f0 06 87 04 15 0001 6d", "AUTH 0x87"},
};

static int decode(enum mqtt_version version, enum mqtt_role sender, struct slice bytes, struct mqtt_error *ret_error)
{
	struct mqtt_packet packet;
	mqtt_decoder_init(&decoder, version, sender);
	decoder.topic_alias_maximum = 5;
	return mqtt_decode(&decoder, bytes, &packet, ret_error);
}

static void expect_bad(const struct bad *bad, bool framed)
{
	size_t len = 0, whole = 0;
	uint8_t *bytes = codec_bytes(bad->hex, &len);
	struct mqtt_error error = {0}, ignored;
	bool is_framed =
		mqtt_frame(slice_of(bytes, len), MQTT_MAX_PACKET, &whole, &ignored) == MQTT_FRAME_WHOLE && whole == len;
	int err = decode(bad->version, bad->sender, slice_of(bytes, len), &error);
	free(bytes);
	if (is_framed == framed && err == -EBADMSG && error.reason == bad->reason && error.text && !error.refusal)
		return;
	fprintf(stderr, "# %s: %d 0x%02x %s\n", bad->why, err, error.reason, error.text ? error.text : "-");
	CU_FAIL("not refused as it should be");
}

static void test_bad_headers(void)
{
	for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++)
		expect_bad(&bad_headers[i], false);
}

static void test_bad_bodies(void)
{
	for (size_t i = 0; i < sizeof bad_bodies / sizeof bad_bodies[0]; i++)
		expect_bad(&bad_bodies[i], true);
}

/* Bad content of a whole PUBLISH: refused, but so that it can be acknowledged and dropped. */
static void test_refusals(void)
{
	static const struct {
		enum mqtt_version version;
		uint8_t refusal, qos;
		uint16_t packet_id;
		const char *hex, *why;
	} rows[] = {
		{V3, MQTT_TOPIC_NAME_INVALID, 1, 7, "32 05 0001 23 0007", "# as topic"},
		{V5, MQTT_TOPIC_NAME_INVALID, 1, 7, "32 06 0001 2b 0007 00", "+ as topic"},
		{V5, MQTT_TOPIC_NAME_INVALID, 0, 0, "30 04 0001 00 00", "U+0000 as topic [MQTT-1.5.4-2]"},
		{V3, MQTT_TOPIC_NAME_INVALID, 2, 7, "34 06 0002 c080 0007", "overlong U+0000"},
		{V3, MQTT_TOPIC_NAME_INVALID, 2, 7, "34 07 0003 eda080 0007", "a surrogate [MQTT-1.5.4-1]"},
		{V5, MQTT_IMPLEMENTATION_SPECIFIC_ERROR, 1, 7, "32 0a 0001 74 0007 04 03 0001 ff", "content type"},
		{V5, MQTT_IMPLEMENTATION_SPECIFIC_ERROR, 1, 7, "32 0d 0001 74 0007 07 26 0001 6b 0001 80",
			"user property"},
		{V5, MQTT_TOPIC_NAME_INVALID, 1, 7, "32 0a 0001 74 0007 04 08 0001 23", "response topic #"},
		{V5, MQTT_TOPIC_NAME_INVALID, 1, 7, "32 09 0001 74 0007 03 08 0000", "empty response topic"},
		/* What comes behind is still read for its structure, and that counts more. */
		{V5, 0, 0, 0, "32 0c 0001 74 0007 06 03 0001 ff 01 02", "content type, then a bad number"},
		{V5, 0, 0, 0, "32 0b 0001 74 0007 05 03 0001 ff 01", "content type, then a cut number"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t len = 0;
		uint8_t *bytes = codec_bytes(rows[i].hex, &len);
		struct mqtt_error error = {0};
		int err = decode(rows[i].version, MQTT_SERVER, slice_of(bytes, len), &error);
		free(bytes);
		if (err == -EBADMSG && error.reason >= 0x81 && error.refusal == rows[i].refusal &&
			error.qos == rows[i].qos && error.packet_id == rows[i].packet_id)
			continue;
		fprintf(stderr, "# %s: %d 0x%02x %s\n", rows[i].why, err, error.refusal, error.text);
		CU_FAIL("not refused as it should be");
	}
}

/* More than a decoder holds. `unit` repeated count times as properties of a PUBLISH. */
static int decode_many(const char *unit, size_t unit_len, size_t count, struct mqtt_error *ret_error)
{
	static uint8_t bytes[16 + 8 * (MQTT_MAX_LIST + 1)];
	uint8_t head[] = {0x32, 0, 0, 0, 1, 't', 0, 7, 0, 0};
	size_t props = unit_len * count, remaining = 7 + props;
	head[1] = (uint8_t)(128 | (remaining & 127));
	head[2] = (uint8_t)(remaining >> 7);
	head[8] = (uint8_t)(128 | (props & 127));
	head[9] = (uint8_t)(props >> 7);
	memcpy(bytes, head, 10);
	for (size_t i = 0; i < count; i++)
		memcpy(bytes + 10 + i * unit_len, unit, unit_len);
	return decode(MQTT_5_0, MQTT_SERVER, slice_of(bytes, 10 + props), ret_error);
}

static void test_lists_are_capped(void)
{
	struct mqtt_error error = {0};
	CU_ASSERT_EQUAL(decode_many("\x26\0\1k\0\1v", 7, MQTT_MAX_LIST, &error), 0);
	CU_ASSERT_EQUAL(decode_many("\x26\0\1k\0\1v", 7, MQTT_MAX_LIST + 1, &error), -EBADMSG);
	CU_ASSERT(error.refusal == MQTT_QUOTA_EXCEEDED && error.packet_id == 7);
	CU_ASSERT_EQUAL(decode_many("\x0b\1", 2, MQTT_MAX_LIST, &error), 0);
	CU_ASSERT_EQUAL(decode_many("\x0b\1", 2, MQTT_MAX_LIST + 1, &error), -EBADMSG);
	CU_ASSERT(error.refusal == MQTT_QUOTA_EXCEEDED && error.packet_id == 7);

	static uint8_t subscribe[6 + 4 * (MQTT_MAX_LIST + 1)] = {0x82, 0, 0, 0, 1, 0};
	for (size_t count = MQTT_MAX_LIST; count <= MQTT_MAX_LIST + 1; count++) {
		size_t remaining = 3 + 4 * count;
		subscribe[1] = (uint8_t)(128 | (remaining & 127));
		subscribe[2] = (uint8_t)(remaining >> 7);
		for (size_t i = 0; i < count; i++)
			memcpy(subscribe + 6 + 4 * i, "\0\1a\0", 4);
		int err = decode(MQTT_5_0, MQTT_CLIENT, slice_of(subscribe, 6 + 4 * count), &error);
		CU_ASSERT_EQUAL(err, count > MQTT_MAX_LIST ? -EBADMSG : 0);
	}
	CU_ASSERT_EQUAL(error.reason, MQTT_QUOTA_EXCEEDED);
}

/* 3.1.1 §2.2.3 asks for no shortest form. */
static void test_padded_length_in_3_1_1(void)
{
	struct mqtt_error error = {0};
	CU_ASSERT_EQUAL(decode(MQTT_3_1_1, MQTT_SERVER, slice_of("\x30\x83\0\0\1t", 6), &error), 0);
	CU_ASSERT_EQUAL(decode(MQTT_3_1_1, MQTT_SERVER, slice_of("\xd0\x80\x80\x80\0", 5), &error), 0);
}

/* --- chance --- */

/* Decodes a copy of exactly that size in all four roles. Whatever is taken can be written and read back the same. */
static void decode_copy(const uint8_t *bytes, size_t len)
{
	static struct mqtt_decoder again;
	uint8_t *copy = malloc(len ? len : 1);
	memcpy(copy, bytes, len);
	for (int role = 0; role < 4; role++) {
		struct mqtt_packet packet, second;
		struct mqtt_error error = {0};
		enum mqtt_version version = role & 1 ? MQTT_5_0 : MQTT_3_1_1;
		mqtt_decoder_init(&decoder, version, role & 2 ? MQTT_CLIENT : MQTT_SERVER);
		decoder.topic_alias_maximum = 65535;
		if (mqtt_decode(&decoder, slice_of(copy, len), &packet, &error)) {
			CU_ASSERT(error.reason >= 0x80 && error.text);
			continue;
		}
		struct buffer out;
		buffer_init(&out, 1 << 16);
		CU_ASSERT_EQUAL(mqtt_encode(&out, version, MQTT_MAX_PACKET, &packet), 0);
		mqtt_decoder_init(&again, version, decoder.sender);
		again.topic_alias_maximum = 65535;
		CU_ASSERT_EQUAL(mqtt_decode(&again, buffer_slice(&out), &second, &error), 0);
		CU_ASSERT(codec_packets_equal(&packet, &second));
		buffer_free(&out);
	}
	free(copy);
}

static void test_every_prefix(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		size_t len = 0;
		uint8_t *bytes = codec_bytes(codec_samples[i].hex, &len);
		for (size_t cut = 0; cut < len; cut++) {
			decode_copy(bytes, cut);
			if (cut < 2)
				continue;
			/* With a length that fits: fields end early. */
			uint8_t whole = bytes[1];
			bytes[1] = (uint8_t)(cut - 2);
			decode_copy(bytes, cut);
			bytes[1] = whole;
		}
		free(bytes);
	}
}

static void test_every_flipped_bit(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		size_t len = 0;
		uint8_t *bytes = codec_bytes(codec_samples[i].hex, &len);
		for (size_t bit = 0; bit < len * 8; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << (bit & 7));
			decode_copy(bytes, len);
			bytes[bit / 8] ^= (uint8_t)(1u << (bit & 7));
		}
		free(bytes);
	}
}

static void test_every_byte_value(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		size_t len = 0;
		uint8_t *bytes = codec_bytes(codec_samples[i].hex, &len);
		for (size_t at = 0; at < len; at++) {
			uint8_t good = bytes[at];
			for (unsigned value = 0; value < 256; value++) {
				bytes[at] = (uint8_t)value;
				decode_copy(bytes, len);
			}
			bytes[at] = good;
		}
		free(bytes);
	}
}

/* --- text --- */

static void test_utf8(void)
{
	static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc3\xa4-12345678"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf",
		"\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe1\x80\x41", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xff", "\xfe", "\xf0\x90\x80", "1234567\x80", "12345678\xe2\x82"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT(mqtt_text_valid(slice_str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!mqtt_text_valid(slice_str(bad[i])));
	/* U+0000 at every place of a text that goes eight bytes at a time. */
	char text[24];
	for (size_t len = 1; len <= sizeof text; len++)
		for (size_t at = 0; at < len; at++) {
			memset(text, 1, sizeof text);
			text[at] = 0;
			CU_ASSERT(!mqtt_text_valid(slice_of(text, len)));
			CU_ASSERT(mqtt_text_valid(slice_of(text, at)));
		}
}

static void test_topics(void)
{
	static const char *const names[] = {"a", "/", "//", "a/b", "$SYS/x", " "};
	static const char *const not_names[] = {"", "#", "+", "a/+", "a#", "\xff"};
	static const char *const filters[] = {"a", "#", "+", "/", "+/+", "/+", "a/#", "+/#", "+/a/#", "$SYS/#",
		"$share/g/#", "$share/g//", "$share", "$sharex/#"};
	static const char *const not_filters[] = {"", "a#", "#/", "a/#/b", "a+", "+a", "a/b+", "a/+b/c", "##",
		"$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/#/a", "$share/g/a#", "\xc0\x80"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		CU_ASSERT(mqtt_topic_name_valid(slice_str(names[i])));
	for (size_t i = 0; i < sizeof not_names / sizeof not_names[0]; i++)
		CU_ASSERT(!mqtt_topic_name_valid(slice_str(not_names[i])));
	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		CU_ASSERT(mqtt_topic_filter_valid(slice_str(filters[i])));
	for (size_t i = 0; i < sizeof not_filters / sizeof not_filters[0]; i++)
		CU_ASSERT(!mqtt_topic_filter_valid(slice_str(not_filters[i])));
}

static void test_names(void)
{
	CU_ASSERT_STRING_EQUAL(mqtt_reason_name(0x87), "not authorized");
	CU_ASSERT_STRING_EQUAL(mqtt_reason_name(0x95), "packet too large");
	CU_ASSERT_STRING_EQUAL(mqtt_reason_name(0xa2), "wildcard subscriptions not supported");
	CU_ASSERT_STRING_EQUAL(mqtt_reason_name(0xa3), "unknown reason code");
	CU_ASSERT_STRING_EQUAL(mqtt_reason_name(0x7f), "unknown reason code");
	CU_ASSERT_STRING_EQUAL(mqtt_return_code_name(5), "not authorized");
	CU_ASSERT_STRING_EQUAL(mqtt_return_code_name(6), "unknown return code");
	CU_ASSERT_STRING_EQUAL(mqtt_type_name(MQTT_AUTH), "AUTH");
}

static const struct tap_test tests[] = {
	{"forbidden fixed headers are refused", test_bad_headers},
	{"forbidden bodies are refused", test_bad_bodies},
	{"bad content of a PUBLISH can be told apart", test_refusals},
	{"lists are capped", test_lists_are_capped},
	{"3.1.1 allows a padded remaining length", test_padded_length_in_3_1_1},
	{"every prefix", test_every_prefix},
	{"every flipped bit", test_every_flipped_bit},
	{"every value of every byte", test_every_byte_value},
	{"UTF-8", test_utf8},
	{"topic names and filters", test_topics},
	{"names for the log", test_names},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt codec, malformed", tests);
}
