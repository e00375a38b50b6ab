/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets with the bytes that the specification makes of them, written by hand: for the tests of the codec,
 * and the first inputs of its fuzzing.
 */
#ifndef LINKSPAN_TESTS_UNIT_MQTT_CODEC_SAMPLES_H
#define LINKSPAN_TESTS_UNIT_MQTT_CODEC_SAMPLES_H

#include "connectors/mqtt/codec.h"

struct codec_sample {
	const char *name;
	enum mqtt_version version;
	enum mqtt_role sender;
	const char *hex; /* spaces are for the eye */
	struct mqtt_packet packet;
};

extern const struct codec_sample codec_samples[];
extern const size_t n_codec_samples;

/* The bytes of a hex text in memory of exactly that size (malloc'ed), so that a sanitizer sees every step
 * outside. */
uint8_t *codec_bytes(const char *hex, size_t *ret_len);

/* Do two packets say the same? Numbers of absent properties do not count. */
bool codec_packets_equal(const struct mqtt_packet *a, const struct mqtt_packet *b);

#endif
