/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the MQTT connector with linkspan's own client, version 3.1.1, QoS 1.
 */
#include "tests/conformance/mqtt_peer.h"

int main(void)
{
	static const struct mqtt_peer_options options = {
		.name = "conformance mqtt 3.1.1", .client = MQTT_CLIENT_LINKSPAN, .version = 1, .qos = 1};
	return mqtt_peer_main(&options);
}
