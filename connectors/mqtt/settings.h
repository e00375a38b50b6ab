/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user writes under `connections.<name>` with `type: mqtt`: the table of keys, the struct that it
 * fills, the url, and the checks that a table cannot express. No I/O but the reading of TLS files by the
 * check. Any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SETTINGS_H
#define LINKSPAN_CONNECTORS_MQTT_SETTINGS_H

#include "config/schema.h"
#include "connectors/mqtt/codec.h"

/* A message of the connection itself: `will` and `birth`. No topic: none. */
struct mqtt_own_message {
	char *topic, *payload;
	int64_t qos;
	bool retain;
	uint64_t delay_ms; /* the will's, MQTT 5 §3.1.3.2.2 */
};

enum mqtt_client { MQTT_CLIENT_AUTO, MQTT_CLIENT_LINKSPAN, MQTT_CLIENT_PAHO }; /* the choices of `client` */

struct mqtt_settings {
	int client; /* enum mqtt_client; see mqtt_settings_use_paho */
	char *proxy; /* see mqtt_proxy_parse; NULL: none. Never log it. */
	char *url, *client_id, *username, *password;
	int version; /* index into the choices of the key; see mqtt_settings_version */
	bool clean_start;
	uint64_t session_expiry_ms, keep_alive_ms, connect_timeout_ms, ack_timeout_ms;
	uint64_t reconnect_min_ms, reconnect_max_ms;
	int64_t receive_maximum;
	int64_t max_in_flight; /* 0: what the broker allows */
	uint64_t hold_bytes;
	struct {
		char *ca, *cert, *key;
		bool verify;
	} tls;
	struct mqtt_own_message will, birth;
};

extern const struct config_key mqtt_connection_keys[];

enum mqtt_version mqtt_settings_version(const struct mqtt_settings *settings);

/* Paho carries this connection: it is asked for, or the url or the proxy needs it. */
bool mqtt_settings_use_paho(const struct mqtt_settings *settings);

struct mqtt_url {
	bool tls, websocket;
	char host[256]; /* without brackets */
	uint16_t port;
	char path[256]; /* of the WebSocket, with its query */
};

/* NULL, or what is wrong and what would be right, one static sentence. */
const char *mqtt_url_parse(const char *url, struct mqtt_url *ret_url);

/* The `check` of the connector: complains about all that is wrong. */
void mqtt_settings_check(const void *settings, struct config_scope *scope);

#endif
