/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the MQTT connector with the Paho client, version 5, over TCP.
 */
#include "tests/conformance/mqtt_peer.h"

int main(void)
{
	static const struct mqtt_peer_options options = {
		.name = "conformance mqtt paho", .client = MQTT_CLIENT_PAHO, .qos = 1};
	return mqtt_peer_main(&options);
}
