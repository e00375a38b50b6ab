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

enum mqtt_session_loss { MQTT_SESSION_LOSS_RESEND, MQTT_SESSION_LOSS_PARK };

struct mqtt_settings {
	char *url, *client_id, *username, *password;
	int version; /* index into the choices of the key; see mqtt_settings_version */
	bool clean_start;
	uint64_t session_expiry_ms, keep_alive_ms, connect_timeout_ms, ack_timeout_ms;
	uint64_t reconnect_min_ms, reconnect_max_ms;
	int64_t receive_maximum;
	int64_t max_in_flight; /* 0: what the broker allows */
	int on_session_loss; /* enum mqtt_session_loss */
	uint64_t hold_bytes;
	struct {
		char *ca, *cert, *key;
		bool verify;
	} tls;
	struct mqtt_own_message will, birth;
};

extern const struct config_key mqtt_connection_keys[];

enum mqtt_version mqtt_settings_version(const struct mqtt_settings *settings);

struct mqtt_url {
	bool tls;
	char host[256]; /* without brackets */
	uint16_t port;
};

/* NULL, or what is wrong and what would be right, one static sentence. */
const char *mqtt_url_parse(const char *url, struct mqtt_url *ret_url);

/* The `check` of the connector: complains about all that is wrong. */
void mqtt_settings_check(const void *settings, struct config_scope *scope);

#endif
