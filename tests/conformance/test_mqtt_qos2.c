/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of the MQTT connector with linkspan's own client, version 5, QoS 2 both ways: nothing may come twice,
 * whatever breaks.
 */
#include "tests/conformance/mqtt_peer.h"

int main(void)
{
	static const struct mqtt_peer_options options = {
		.name = "conformance mqtt qos2", .client = MQTT_CLIENT_LINKSPAN, .qos = 2};
	return mqtt_peer_main(&options);
}
