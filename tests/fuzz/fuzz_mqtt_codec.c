/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT codec on a stream of hostile bytes. The first byte chooses version, sender and limits; the rest is what comes
 * from the network, framed and decoded packet by packet. What is taken must be written again without an error, and read
 * back as the same packet: so decoding and encoding agree on what is legal.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/mqtt/codec_samples.h"

static struct mqtt_decoder first_decoder, second_decoder;

static void decoder_set(struct mqtt_decoder *decoder, uint8_t choice)
{
	mqtt_decoder_init(decoder, choice & 1 ? MQTT_5_0 : MQTT_3_1_1, choice & 2 ? MQTT_CLIENT : MQTT_SERVER);
	decoder->topic_alias_maximum = choice & 4 ? 65535 : 0;
}

static void check_error(const struct mqtt_error *error)
{
	fuzz_require(error->text && error->reason >= 0x81 && error->reason <= 0x97);
	fuzz_require(error->qos <= 2 && (error->qos == 0) == (error->packet_id == 0));
	fuzz_require(error->refusal || error->qos == 0);
}

static void check_round_trip(const struct mqtt_packet *packet, uint8_t choice)
{
	struct buffer out;
	struct mqtt_packet again;
	struct mqtt_error error;
	size_t len = 0;
	buffer_init(&out, MQTT_MAX_PACKET);
	fuzz_require(mqtt_encode(&out, first_decoder.version, MQTT_MAX_PACKET, packet) == 0);
	fuzz_require(mqtt_frame(buffer_slice(&out), (uint32_t)out.len, &len, &error) == MQTT_FRAME_WHOLE);
	fuzz_require(len == out.len);
	decoder_set(&second_decoder, choice);
	fuzz_require(mqtt_decode(&second_decoder, buffer_slice(&out), &again, &error) == 0);
	fuzz_require(codec_packets_equal(packet, &again));
	buffer_free(&out);
}

/* One packet, in memory of exactly its size. */
static void check_packet(struct slice bytes, uint8_t choice)
{
	struct mqtt_packet packet;
	struct mqtt_error error = {0};
	uint8_t *copy = malloc(bytes.len);
	fuzz_require(copy != NULL);
	memcpy(copy, bytes.data, bytes.len);
	decoder_set(&first_decoder, choice);
	int err = mqtt_decode(&first_decoder, slice_of(copy, bytes.len), &packet, &error);
	fuzz_require(err == 0 || err == -EBADMSG);
	if (err)
		check_error(&error);
	else
		check_round_trip(&packet, choice);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t choice = data[0];
	uint32_t max_packet = choice & 8 ? 64 : MQTT_MAX_PACKET;
	struct slice rest = slice_of(data + 1, size - 1);
	for (;;) {
		size_t len = 0;
		struct mqtt_error error = {0};
		enum mqtt_frame_state state = mqtt_frame(rest, max_packet, &len, &error);
		if (state == MQTT_FRAME_BAD)
			check_error(&error);
		if (state != MQTT_FRAME_WHOLE) {
			fuzz_require(state == MQTT_FRAME_BAD || len == 0 || len > rest.len);
			break;
		}
		fuzz_require(len >= 2 && len <= rest.len && len <= max_packet);
		check_packet(slice_of(rest.data, len), choice);
		rest = slice_of(rest.data + len, rest.len - len);
	}
	return 0;
}
