/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker for tests: it lives in the test's own loop, speaks through the codec's server side, records what comes and
 * answers as its fields say. It keeps no session and routes nothing: the test sends what a broker would.
 */
#ifndef LINKSPAN_TESTS_UNIT_MQTT_FAKE_BROKER_H
#define LINKSPAN_TESTS_UNIT_MQTT_FAKE_BROKER_H

#include <uv.h>

#include "connectors/mqtt/codec.h"
#include "runtime/loop.h"

struct broker_tls;

struct broker_will {
	char topic[64], payload[64], content_type[64], response_topic[64], correlation[64], user[256];
	uint8_t qos;
	bool retain;
	uint32_t delay, expiry, payload_format; /* 0: not said */
};

/* A packet that came. The texts are copies. */
struct broker_packet {
	unsigned connection; /* 1 for the first */
	unsigned read; /* number of the read that brought it, so that a test sees what was written together */
	enum mqtt_type type;
	uint16_t packet_id;
	uint8_t qos, reason;
	bool dup, retain, clean_start, has_will;
	char topic[128]; /* PUBLISH; CONNECT: client id; (UN)SUBSCRIBE: the filters, each with a comma behind */
	char payload[128]; /* PUBLISH; CONNECT: user name and password with a colon between */
	size_t payload_len;
	uint16_t keep_alive;
	uint32_t session_expiry, receive_maximum, message_expiry;
	char content_type[64], response_topic[64], correlation[64], user[256]; /* user: name=value; … */
	uint32_t payload_format;
	uint32_t topic_alias, topic_alias_maximum, maximum_packet_size; /* 0: not said */
	uint8_t entry_qos, entry_retain_handling;
	bool entry_retain_as_published, entry_no_local;
	uint32_t identifier; /* SUBSCRIBE; 0: none */
	struct broker_will will;
};

struct fake_broker {
	/* How it answers. */
	enum mqtt_version version;
	bool closes_at_once; /* after accept */
	bool silent; /* reads and never answers */
	bool swallows; /* does not even read */
	bool no_pubacks; /* leaves PUBLISHes to the test */
	bool no_subacks;
	bool session_present;
	uint8_t connack_reason, puback_reason, suback_reason;
	struct mqtt_properties connack_props;
	const char *alpn; /* the protocol that it speaks, and no other; NULL: it does not care */
	const char *only_name; /* SNI: another one, or none, is refused; NULL: it does not care */
	int tls_max; /* highest version, such as TLS1_2_VERSION; 0: all */

	/* What happened. */
	char tls_name[256], tls_offered[256], tls_alpn[64]; /* of the last handshake: SNI, offered and chosen ALPN */
	int tls_version; /* of the last that succeeded */
	unsigned connections, reads;
	struct broker_packet *packets;
	size_t n_packets;

	/* Its own. */
	struct loop *loop;
	uv_tcp_t listener;
	uint16_t port;
	struct broker_connection *connection; /* the newest that is open */
	struct broker_connection *all;
	unsigned open; /* sockets not yet closed */
	struct mqtt_decoder *decoder;
	struct broker_tls *tls;
};

/* Listens on a free port of 127.0.0.1. cert, key, ca: PEM files for TLS, the last for client certificates; or NULL. */
void fake_broker_open(struct fake_broker *broker, struct loop *loop, const char *cert, const char *key, const char *ca);
/* Closes everything; runs the loop until it is. */
void fake_broker_close(struct fake_broker *broker);

/* To the newest connection. */
void fake_broker_send(struct fake_broker *broker, const struct mqtt_packet *packet);
void fake_broker_send_bytes(struct fake_broker *broker, const void *data, size_t len);
void fake_broker_publish(
	struct fake_broker *broker, const char *topic, const char *payload, uint8_t qos, uint16_t packet_id);
void fake_broker_ack(struct fake_broker *broker, uint16_t packet_id, uint8_t reason); /* PUBACK */
/* PUBREC, PUBREL, PUBCOMP */
void fake_broker_answer(struct fake_broker *broker, enum mqtt_type type, uint16_t packet_id, uint8_t reason);
/* Reads no more from the newest connection, or goes on. */
void fake_broker_hold(struct fake_broker *broker, bool hold);
/* Ends the newest connection without a word. */
void fake_broker_drop(struct fake_broker *broker);

/* How many of that type came; the n-th of them (0 the first), or NULL. */
size_t fake_broker_count(const struct fake_broker *broker, enum mqtt_type type);
const struct broker_packet *fake_broker_packet(const struct fake_broker *broker, enum mqtt_type type, size_t n);

#endif
