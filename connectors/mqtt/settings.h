/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user writes under `connections.<name>` with `type: mqtt`: the table of keys, the struct that it
 * fills, and the checks that a table cannot express. No I/O but the reading of TLS files by the
 * check. Any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SETTINGS_H
#define LINKSPAN_CONNECTORS_MQTT_SETTINGS_H

#include "config/schema.h"
#include "connectors/common/cloudevent_out.h"
#include "connectors/mqtt/codec.h"

/* A message of the connection itself: `will` and `birth`. No topic: none. */
struct mqtt_own_message {
	char *topic, *payload;
	int64_t qos;
	bool retain;
	/* The will's, MQTT 5 §3.1.3.2. */
	uint64_t delay_ms, expiry_ms; /* 0: none */
	char *content_type, *response_topic, *correlation;
	bool utf8;
	struct config_list headers;
};

enum mqtt_session_loss { MQTT_SESSION_LOSS_RESEND, MQTT_SESSION_LOSS_PARK };
enum mqtt_server_reference { SERVER_REFERENCE_IGNORE, SERVER_REFERENCE_FOLLOW };

enum mqtt_client { MQTT_CLIENT_AUTO, MQTT_CLIENT_LINKSPAN, MQTT_CLIENT_PAHO }; /* the choices of `client` */

struct mqtt_settings {
	int client; /* enum mqtt_client; see mqtt_settings_use_paho */
	char *proxy; /* see mqtt_proxy_parse; NULL: none. Never log it. */
	struct config_list urls; /* in the order of preference */
	char *client_id, *username, *password;
	char *username_file, *password_file; /* read at each connect; see credentials.h */
	int version; /* index into the choices of the key; see mqtt_settings_version */
	bool clean_start;
	uint64_t session_expiry_ms, keep_alive_ms, connect_timeout_ms, ack_timeout_ms;
	uint64_t reconnect_min_ms, reconnect_max_ms;
	int64_t receive_maximum;
	int64_t topic_alias_maximum; /* of what comes; announced */
	int64_t topic_aliases; /* of what goes, if the broker allows as many */
	int64_t max_in_flight; /* 0: what the broker allows */
	int on_session_loss; /* enum mqtt_session_loss */
	uint64_t hold_bytes;
	uint64_t max_packet_size; /* of what comes; 0: not announced */
	struct {
		char *ca, *cert, *key, *server_name;
		struct config_list alpn;
		int min_version; /* index into the choices: 0 is 1.2, 1 is 1.3 */
		bool verify;
	} tls;
	struct config_list connect_headers;
	int server_reference; /* enum mqtt_server_reference, MQTT 5 §4.11 */
	struct mqtt_own_message will, birth;
	struct cloudevents_settings events;
};

/* What is to be said of Paho because the user wrote client: paho, because of a proxy, or of the url, in this order. */
const char *mqtt_settings_pick(const struct mqtt_settings *settings, const char *const words[3]);

extern const struct config_key mqtt_connection_keys[];
extern const struct config_key mqtt_to_keys[];

struct tls_options;

/* For a connection to that host; borrows from both. */
struct tls_options mqtt_settings_tls(const struct mqtt_settings *settings, const char *host);

enum mqtt_version mqtt_settings_version(const struct mqtt_settings *settings);

/* Paho carries this connection: it is asked for, or the url or the proxy needs it. */
bool mqtt_settings_use_paho(const struct mqtt_settings *settings);

/* What names the broker: the url, or of a list all of them in a canonical order, a blank between two. To be freed; NULL:
 * no memory. */
char *mqtt_settings_broker(const struct mqtt_settings *settings);

/* Members of the connector's table. */
void mqtt_settings_check(const void *settings, struct config_scope *scope);
const char *mqtt_settings_check_pair(const void *settings, const void *other);

#endif
