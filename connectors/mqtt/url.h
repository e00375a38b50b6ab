/* SPDX-License-Identifier: Apache-2.0
 *
 * The url of a broker: how it is reached, and where. Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_URL_H
#define LINKSPAN_CONNECTORS_MQTT_URL_H

#include <stdbool.h>
#include <stdint.h>

struct mqtt_url {
	bool tls, websocket;
	char host[256]; /* without brackets */
	uint16_t port;
	char path[256]; /* of the WebSocket, with its query */
};

/* NULL, or what is wrong and what would be right, one static sentence. */
const char *mqtt_url_parse(const char *url, struct mqtt_url *ret_url);

#endif
