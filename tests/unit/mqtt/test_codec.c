/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec on legal packets: each sample is written as its bytes and read back from them; framing; what
 * writing refuses.
 */
#include "tests/unit/mqtt/codec_samples.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static struct mqtt_decoder decoder;

static void decoder_for(const struct codec_sample *sample)
{
	mqtt_decoder_init(&decoder, sample->version, sample->sender);
	decoder.topic_alias_maximum = 65535;
}

static void test_decode_samples(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		const struct codec_sample *sample = &codec_samples[i];
		size_t len = 0;
		uint8_t *bytes = codec_bytes(sample->hex, &len);
		struct mqtt_packet packet;
		struct mqtt_error error = {0};
		decoder_for(sample);
		int err = mqtt_decode(&decoder, slice_of(bytes, len), &packet, &error);
		if (err || !codec_packets_equal(&packet, &sample->packet)) {
			fprintf(stderr, "# %s: %s\n", sample->name, err ? error.text : "not the same packet");
			CU_FAIL("a sample is not read as what it is");
		}
		free(bytes);
	}
}

static void test_encode_samples(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		const struct codec_sample *sample = &codec_samples[i];
		size_t len = 0;
		uint8_t *bytes = codec_bytes(sample->hex, &len);
		struct buffer out;
		buffer_init(&out, len); /* exactly enough */
		int err = mqtt_encode(&out, sample->version, (uint32_t)len, &sample->packet);
		if (err || !slice_equal(buffer_slice(&out), slice_of(bytes, len))) {
			fprintf(stderr, "# %s: %d, %zu of %zu bytes:", sample->name, err, out.len, len);
			for (size_t k = 0; k < out.len; k++)
				fprintf(stderr, " %02x", out.data[k]);
			fprintf(stderr, "\n");
			CU_FAIL("a sample is not written as its bytes");
		}
		buffer_free(&out);
		free(bytes);
	}
}

static void test_every_type_is_sampled(void)
{
	unsigned seen[2] = {0, 0};
	for (size_t i = 0; i < n_codec_samples; i++)
		seen[codec_samples[i].version == MQTT_5_0] |= 1u << codec_samples[i].packet.type;
	CU_ASSERT_EQUAL(seen[0], 0x7ffe); /* 3.1.1 has no AUTH */
	CU_ASSERT_EQUAL(seen[1], 0xfffe);
}

static void test_encode_is_whole_or_nothing(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		const struct codec_sample *sample = &codec_samples[i];
		size_t len = 0;
		free(codec_bytes(sample->hex, &len));
		struct buffer out;
		buffer_init(&out, len + 3);
		CU_ASSERT_EQUAL(buffer_append(&out, slice_str("four")), 0);
		CU_ASSERT_EQUAL(mqtt_encode(&out, sample->version, MQTT_MAX_PACKET, &sample->packet), -ENOBUFS);
		CU_ASSERT_EQUAL(mqtt_encode(&out, sample->version, (uint32_t)len - 1, &sample->packet), -EMSGSIZE);
		CU_ASSERT(slice_equal(buffer_slice(&out), slice_str("four")));
		buffer_free(&out);
	}
}

/* Absent numbers read as what the specification gives for their absence. */
static void test_defaults(void)
{
	struct mqtt_packet packet;
	struct mqtt_error error;
	mqtt_decoder_init(&decoder, MQTT_5_0, MQTT_SERVER);
	CU_ASSERT_EQUAL_FATAL(mqtt_decode(&decoder, slice_of("\x20\x03\0\0\0", 5), &packet, &error), 0);
	CU_ASSERT_EQUAL(packet.props.present, 0);
	CU_ASSERT_EQUAL(packet.props.receive_maximum, 65535);
	CU_ASSERT_EQUAL(packet.props.maximum_qos, 2);
	CU_ASSERT_EQUAL(packet.props.retain_available, 1);
	CU_ASSERT_EQUAL(packet.props.wildcard_subscription_available, 1);
	CU_ASSERT_EQUAL(packet.props.subscription_identifiers_available, 1);
	CU_ASSERT_EQUAL(packet.props.shared_subscription_available, 1);
	CU_ASSERT_EQUAL(packet.props.maximum_packet_size, 0);
	CU_ASSERT_EQUAL(packet.props.topic_alias_maximum, 0);
}

static void test_frame_prefixes(void)
{
	for (size_t i = 0; i < n_codec_samples; i++) {
		size_t len = 0, ret = 0;
		uint8_t *bytes = codec_bytes(codec_samples[i].hex, &len);
		struct mqtt_error error;
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);
			memcpy(copy, bytes, cut);
			ret = 77;
			CU_ASSERT_EQUAL(
				mqtt_frame(slice_of(copy, cut), MQTT_MAX_PACKET, &ret, &error), MQTT_FRAME_MORE);
			CU_ASSERT_EQUAL(ret, cut < 2 ? 0 : len);
			free(copy);
		}
		CU_ASSERT_EQUAL(mqtt_frame(slice_of(bytes, len), (uint32_t)len, &ret, &error), MQTT_FRAME_WHOLE);
		CU_ASSERT_EQUAL(ret, len);
		free(bytes);
	}
}

/* Table 1-1 of §1.5.5: the borders of variable byte integers. */
static void test_frame_lengths(void)
{
	static const struct {
		const char *hex;
		size_t remaining;
	} rows[] = {
		{"30 00", 0},
		{"30 7f", 127},
		{"30 8001", 128},
		{"30 ff7f", 16383},
		{"30 808001", 16384},
		{"30 ffff7f", 2097151},
		{"30 80808001", 2097152},
		{"30 ffffff7f", 268435455},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t header = 0, len = 0;
		uint8_t *bytes = codec_bytes(rows[i].hex, &header);
		struct mqtt_error error;
		enum mqtt_frame_state whole = rows[i].remaining ? MQTT_FRAME_MORE : MQTT_FRAME_WHOLE;
		CU_ASSERT_EQUAL(mqtt_frame(slice_of(bytes, header), MQTT_MAX_PACKET, &len, &error), whole);
		CU_ASSERT_EQUAL(len, header + rows[i].remaining);
		CU_ASSERT_EQUAL(mqtt_frame(slice_of(bytes, header), (uint32_t)len, &len, &error), whole);
		CU_ASSERT_EQUAL(mqtt_frame(slice_of(bytes, header), (uint32_t)len - 1, &len, &error), MQTT_FRAME_BAD);
		CU_ASSERT_EQUAL(error.reason, MQTT_PACKET_TOO_LARGE);
		for (size_t cut = 0; cut < header; cut++)
			CU_ASSERT_EQUAL(mqtt_frame(slice_of(bytes, cut), 2, &len, &error), MQTT_FRAME_MORE);
		free(bytes);
	}
}

static void test_frame_refuses_early(void)
{
	size_t len = 0;
	struct mqtt_error error = {0};
	CU_ASSERT_EQUAL(mqtt_frame(slice_of("\x30\x80\x80\x80\x80", 5), MQTT_MAX_PACKET, &len, &error), MQTT_FRAME_BAD);
	CU_ASSERT_EQUAL(error.reason, MQTT_MALFORMED_PACKET);
	CU_ASSERT_EQUAL(mqtt_frame(slice_of("\x30\x80\x80\x80", 4), MQTT_MAX_PACKET, &len, &error), MQTT_FRAME_MORE);
	/* What first byte is legal: §2.1.3. */
	for (unsigned first = 0; first < 256; first++) {
		unsigned type = first >> 4, flags = first & 15;
		bool legal = type == 3 ? (flags >> 1 & 3) != 3 && !((flags & 8) && !(flags & 6))
				       : type != 0 && flags == (type == 6 || type == 8 || type == 10 ? 2 : 0);
		uint8_t byte = (uint8_t)first;
		enum mqtt_frame_state state = mqtt_frame(slice_of(&byte, 1), MQTT_MAX_PACKET, &len, &error);
		CU_ASSERT_EQUAL(state, legal ? MQTT_FRAME_MORE : MQTT_FRAME_BAD);
	}
}

/* --- what writing refuses --- */

#define S(text)                                                                                                        \
	{                                                                                                              \
		(const uint8_t *)(text), sizeof(text) - 1                                                              \
	}

static int encode(enum mqtt_version version, const struct mqtt_packet *packet)
{
	struct buffer out;
	buffer_init(&out, 1 << 20);
	int err = mqtt_encode(&out, version, MQTT_MAX_PACKET, packet);
	CU_ASSERT(err == 0 || out.len == 0);
	buffer_free(&out);
	return err;
}

static int encode_publish(struct mqtt_publish publish, struct mqtt_properties props)
{
	struct mqtt_packet packet = {.type = MQTT_PUBLISH, .publish = publish, .props = props};
	return encode(MQTT_5_0, &packet);
}

static void test_encode_refuses_publish(void)
{
	static char long_text[65536];
	memset(long_text, 'x', sizeof long_text);
	const struct mqtt_properties none = {0};
	const struct mqtt_publish good = {.topic = S("t")};
	struct mqtt_publish bad = good;
	bad.topic = slice_str("a/+");
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EILSEQ);
	bad.topic = slice_str("");
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EILSEQ);
	bad.topic = slice_of("a\0b", 3);
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EILSEQ);
	bad.topic = slice_of(long_text, 65536);
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EMSGSIZE);
	bad.topic = slice_of(long_text, 65535);
	CU_ASSERT_EQUAL(encode_publish(bad, none), 0);
	bad = (struct mqtt_publish){.topic = S("t"), .qos = 3, .packet_id = 1};
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EINVAL);
	bad.qos = 1;
	bad.packet_id = 0;
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EINVAL);
	bad = (struct mqtt_publish){.topic = S("t"), .packet_id = 1};
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EINVAL);
	bad = (struct mqtt_publish){.topic = S("t"), .dup = true};
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EINVAL);
	bad = (struct mqtt_publish){.topic = S("t"), .payload = {NULL, (size_t)MQTT_MAX_REMAINING + 1}};
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EMSGSIZE);
	bad.payload.len = MQTT_MAX_REMAINING - 3; /* one too many with topic and property length */
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EMSGSIZE);
	bad.payload.len = SIZE_MAX;
	CU_ASSERT_EQUAL(encode_publish(bad, none), -EMSGSIZE);
}

static void test_encode_refuses_properties(void)
{
	const struct mqtt_publish good = {.topic = S("t")};
	const struct message_field latin1[] = {{S("name"), S("caf\xe9")}};
	const uint32_t zero = 0, large = MQTT_MAX_REMAINING + 1;
	CU_ASSERT_EQUAL(encode_publish(good, (struct mqtt_properties){.user = latin1, .n_user = 1}), -EILSEQ);
	CU_ASSERT_EQUAL(
		encode_publish(good, (struct mqtt_properties){.user = latin1, .n_user = MQTT_MAX_LIST + 1}), -EINVAL);
	CU_ASSERT_EQUAL(encode_publish(good, (struct mqtt_properties){.content_type = S("\xc3\x28")}), -EILSEQ);
	CU_ASSERT_EQUAL(encode_publish(good, (struct mqtt_properties){.response_topic = S("a/#")}), -EILSEQ);
	CU_ASSERT_EQUAL(encode_publish(good, (struct mqtt_properties){.reason_string = S("no")}), -EINVAL);
	CU_ASSERT_EQUAL(
		encode_publish(good, (struct mqtt_properties){.correlation_data = {(const uint8_t *)"", 65536}}),
		-EMSGSIZE);
	struct mqtt_properties props = {
		.subscription_identifiers = &zero,
		.n_subscription_identifiers = 1,
	};
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
	props.subscription_identifiers = &large;
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
	props = (struct mqtt_properties){0};
	mqtt_set_number(&props, MQTT_PAYLOAD_FORMAT_INDICATOR, 2);
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
	props = (struct mqtt_properties){0};
	mqtt_set_number(&props, MQTT_RECEIVE_MAXIMUM, 10);
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
	props = (struct mqtt_properties){.present = 1ull << 63};
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
	props.present = 1ull << MQTT_CONTENT_TYPE;
	CU_ASSERT_EQUAL(encode_publish(good, props), -EINVAL);
}

static void test_encode_refuses_others(void)
{
	static const struct mqtt_subscription qos3[] = {{.filter = S("a"), .qos = 3}};
	static const struct mqtt_subscription misplaced[] = {{.filter = S("a#")}};
	static const struct mqtt_subscription options[] = {{.filter = S("a"), .no_local = true}};
	static const struct mqtt_subscription shared[] = {{.filter = S("$share/g/a"), .no_local = true}};
	static const struct {
		enum mqtt_version version;
		int err;
		struct mqtt_packet packet;
	} rows[] = {
		{MQTT_5_0, -EINVAL, {.type = 0}},
		{6, -EINVAL, {.type = MQTT_PINGREQ}},
		{MQTT_3_1_1, -EINVAL, {.type = MQTT_AUTH}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_AUTH, .reason = MQTT_CONTINUE_AUTHENTICATION}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_PUBACK, .ack = {.packet_id = 0}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_PUBREL, .ack = {.packet_id = 1, .reason = 0x80}}},
		{MQTT_3_1_1, 0, {.type = MQTT_PUBACK, .ack = {.packet_id = 1, .reason = 0x80}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_DISCONNECT, .reason = 0x01}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_CONNACK, .connack = {.reason = 1}}},
		{MQTT_3_1_1, -EINVAL, {.type = MQTT_CONNACK, .connack = {.reason = 0x87}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_CONNACK, .connack = {.session_present = true, .reason = 0x87}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_SUBSCRIBE, .subscribe = {.packet_id = 1}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_SUBSCRIBE, .subscribe = {1, qos3, 1}}},
		{MQTT_5_0, -EILSEQ, {.type = MQTT_SUBSCRIBE, .subscribe = {1, misplaced, 1}}},
		{MQTT_5_0, -EILSEQ, {.type = MQTT_UNSUBSCRIBE, .subscribe = {1, misplaced, 1}}},
		{MQTT_3_1_1, -EINVAL, {.type = MQTT_SUBSCRIBE, .subscribe = {1, options, 1}}},
		{MQTT_5_0, 0, {.type = MQTT_SUBSCRIBE, .subscribe = {1, options, 1}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_SUBSCRIBE, .subscribe = {1, shared, 1}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_SUBACK, .suback = {.packet_id = 1}}},
		{MQTT_3_1_1, -EINVAL, {.type = MQTT_SUBACK, .suback = {1, S("\x87")}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_UNSUBACK, .suback = {1, S("\1")}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_CONNECT, .connect = {.version = 3, .client_id = S("i")}}},
		{MQTT_5_0, -EINVAL,
			{.type = MQTT_CONNECT,
				.connect = {.version = MQTT_3_1_1, .client_id = S("i"), .password = S("p")}}},
		{MQTT_5_0, -EINVAL, {.type = MQTT_CONNECT, .connect = {.version = MQTT_3_1_1, .client_id = S("")}}},
		{MQTT_5_0, -EILSEQ, {.type = MQTT_CONNECT, .connect = {.version = MQTT_5_0, .client_id = S("\0")}}},
		{MQTT_5_0, -EILSEQ,
			{.type = MQTT_CONNECT,
				.connect = {.version = MQTT_5_0, .client_id = S("i"), .will = {.topic = S("+")}}}},
		{MQTT_5_0, -EINVAL,
			{.type = MQTT_CONNECT,
				.connect = {.version = MQTT_5_0,
					.client_id = S("i"),
					.will = {.topic = S("w"), .qos = 3}}}},
		{MQTT_5_0, -EINVAL,
			{.type = MQTT_CONNECT,
				.connect = {.version = MQTT_5_0, .client_id = S("i")},
				.props = {.authentication_data = S("d")}}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int err = encode(rows[i].version, &rows[i].packet);
		if (err != rows[i].err)
			fprintf(stderr, "# row %zu: %d instead of %d\n", i, err, rows[i].err);
		CU_ASSERT_EQUAL(err, rows[i].err);
	}
}

/* --- the fast paths --- */

static void test_publish_head(void)
{
	static uint8_t payload[100000];
	for (unsigned i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7);
	struct mqtt_packet packet = {.type = MQTT_PUBLISH,
		.publish = {.qos = 1, .packet_id = 9, .topic = S("a/b"), .payload = slice_of(payload, sizeof payload)}};
	struct buffer whole, head;
	buffer_init(&whole, 200000);
	buffer_init(&head, 200000);
	CU_ASSERT_EQUAL(mqtt_encode(&whole, MQTT_5_0, MQTT_MAX_PACKET, &packet), 0);
	CU_ASSERT_EQUAL(mqtt_encode_publish_head(&head, MQTT_5_0, MQTT_MAX_PACKET, &packet), 0);
	CU_ASSERT_EQUAL(head.len, whole.len - sizeof payload);
	CU_ASSERT_EQUAL(buffer_append(&head, packet.publish.payload), 0);
	CU_ASSERT(slice_equal(buffer_slice(&whole), buffer_slice(&head)));
	CU_ASSERT_EQUAL(mqtt_encode_publish_head(&head, MQTT_5_0, sizeof payload, &packet), -EMSGSIZE);
	packet.publish.payload.len = 0;
	buffer_clear(&whole);
	buffer_clear(&head);
	CU_ASSERT_EQUAL(mqtt_encode(&whole, MQTT_5_0, MQTT_MAX_PACKET, &packet), 0);
	CU_ASSERT_EQUAL(mqtt_encode_publish_head(&head, MQTT_5_0, MQTT_MAX_PACKET, &packet), 0);
	CU_ASSERT(slice_equal(buffer_slice(&whole), buffer_slice(&head)));
	packet.type = MQTT_PINGREQ;
	CU_ASSERT_EQUAL(mqtt_encode_publish_head(&head, MQTT_5_0, MQTT_MAX_PACKET, &packet), -EINVAL);
	buffer_free(&whole);
	buffer_free(&head);
}

static void test_ack_batch(void)
{
	const uint16_t ids[] = {1, 0x1234, 65535};
	const uint16_t zero[] = {1, 0};
	struct buffer out;
	buffer_init(&out, 24);
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_PUBACK, ids, 3), 0);
	CU_ASSERT(slice_equal(buffer_slice(&out), slice_of("\x40\2\0\1\x40\2\x12\x34\x40\2\xff\xff", 12)));
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_PUBREL, ids, 1), 0);
	CU_ASSERT(slice_equal(slice_of(out.data + 12, 4), slice_of("\x62\2\0\1", 4)));
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_PUBACK, ids, 3), -ENOBUFS);
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_PUBACK, zero, 2), -EINVAL);
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_SUBACK, ids, 1), -EINVAL);
	CU_ASSERT_EQUAL(mqtt_encode_acks(&out, MQTT_PUBACK, ids, 0), 0);
	CU_ASSERT_EQUAL(out.len, 16);
	buffer_free(&out);
}

static const struct tap_test tests[] = {
	{"samples are read", test_decode_samples},
	{"samples are written", test_encode_samples},
	{"every type is sampled in both versions", test_every_type_is_sampled},
	{"a packet is written whole or not at all", test_encode_is_whole_or_nothing},
	{"absent numbers read as the specification says", test_defaults},
	{"every prefix of a packet asks for more", test_frame_prefixes},
	{"lengths of one to four bytes", test_frame_lengths},
	{"bad fixed headers are refused at once", test_frame_refuses_early},
	{"a PUBLISH that may not be is not written", test_encode_refuses_publish},
	{"properties that may not be are not written", test_encode_refuses_properties},
	{"other packets that may not be are not written", test_encode_refuses_others},
	{"a PUBLISH without its payload", test_publish_head},
	{"acks in a batch", test_ack_batch},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt codec", tests);
}
