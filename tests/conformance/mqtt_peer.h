/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer that the conformance programs of the MQTT connector share: a real mosquitto, reached in one way or another.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_MQTT_PEER_H
#define LINKSPAN_TESTS_CONFORMANCE_MQTT_PEER_H

#include "connectors/mqtt/settings.h"
#include "tests/conformance/peer.h"

struct mqtt_peer_options {
	const char *name; /* of the program, for the report */
	enum mqtt_client client;
	int version; /* index into the choices of the key `version` */
	bool websocket; /* the connector under test comes over ws:// */
	uint8_t qos; /* 1 or 2, both ways, all the way; at 2 nothing may come twice, whatever breaks */
};

/* The whole program. */
int mqtt_peer_main(const struct mqtt_peer_options *options);

#endif
