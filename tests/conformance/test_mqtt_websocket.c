/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the MQTT connector over WebSocket (and so with the Paho client), version 3.1.1.
 */
#include "tests/conformance/mqtt_peer.h"

int main(void)
{
	static const struct mqtt_peer_options options = {
		.name = "conformance mqtt websocket", .version = 1, .websocket = true, .qos = 1};
	return mqtt_peer_main(&options);
}
