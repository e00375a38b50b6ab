/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the session engine share: engine.c (life and connection), engine_input.c (packets that come),
 * engine_subscribe.c (subscriptions) and engine_alive.c (keep-alive). Private to them.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_ENGINE_H
#define LINKSPAN_CONNECTORS_MQTT_ENGINE_H

#include "connectors/mqtt/reconnect.h"
#include "connectors/mqtt/session.h"
#include "connectors/mqtt/transport.h"

/* The largest packet that is taken in whole; a larger PUBLISH is skipped without being held in memory. */
#define ENGINE_MAX_PACKET MESSAGE_MAX_ENCODED
/* Packet identifiers of our own. */
#define ENGINE_BIRTH_ID     (MQTT_SESSION_LAST_ID + 1)
#define ENGINE_SUBSCRIBE_ID (MQTT_SESSION_LAST_ID + 2) /* the first of what remains */
/* What may gather between two writes: the largest packet, and acknowledgements beside it. */
#define ENGINE_OUTPUT_LIMIT (ENGINE_MAX_PACKET + 1024u * 1024)

enum engine_state {
	ENGINE_IDLE, /* not started, or stopped */
	ENGINE_WAITING, /* for the next attempt */
	ENGINE_CONNECTING, /* until the CONNACK */
	ENGINE_UP,
};

/* SUBSCRIBE or UNSUBSCRIBE: one packet at a time is under way. */
struct engine_subscriber {
	struct filter_set known; /* at the broker, as far as we know */
	struct loop_timer *timer; /* the acknowledgement's time-out, or the next try of what was refused */
	size_t next; /* index into wanted (subscribing) or known (unsubscribing) */
	uint16_t packet_id; /* of the packet under way; 0: none */
	uint16_t packets; /* so far, for the next identifier */
	bool unsubscribing;
	bool round_failed; /* something was refused in this round */
	unsigned failed_rounds;
	char **filters; /* of the packet under way, in order; owned */
	size_t n_filters;
};

struct mqtt_engine {
	struct mqtt_session base; /* first */
	struct mqtt_session_options options;
	const struct mqtt_settings *settings;
	enum mqtt_version version;
	struct mqtt_url url;
	enum engine_state state;
	bool started, stopping;

	struct transport *transport; /* NULL but while CONNECTING and UP */
	unsigned transports; /* not yet closed */
	struct loop_timer *timer; /* connect time-out, then the wait for the next attempt */
	struct reconnect reconnect;
	struct loop_job end_job; /* ends the connection from the loop, when asked for from inside a call */
	bool end_due;
	enum mqtt_session_again end_again;
	char end_reason[256];
	uint64_t up_since_ms;
	bool progress; /* something useful came on this connection */
	bool birth_unacked;

	struct mqtt_session_terms terms;
	struct mqtt_decoder *decoder;
	uint32_t unacked; /* PUBLISHes of QoS 1 and 2 that came and are not finished */
	uint64_t skip_bytes; /* of the input: the rest of a PUBLISH that is too large */

	struct loop_timer *alive_timer;
	uint64_t keep_alive_ms; /* 0: off */
	uint64_t received_ms, sent_ms; /* when bytes last came and went */
	uint64_t ping_end; /* bytes appended when the outstanding PINGREQ was; 0: none outstanding */
	uint64_t ping_ms; /* when the kernel had taken it, or took something before it */
	bool ping_expired; /* its time was over a turn ago */
	uint64_t sent_mark; /* transport_appended at the last flush */

	struct engine_subscriber subscriber;
};

/* engine.c. disconnect: the reason of the DISCONNECT to send first (5 only, MQTT_SUCCESS: both), or -1 for none. */
void engine_end(struct mqtt_engine *engine, enum mqtt_session_again again, int disconnect, const char *reason);
void engine_alarm(struct mqtt_engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Encodes; -errno after the connection has been asked to end. */
int engine_send(struct mqtt_engine *engine, const struct mqtt_packet *packet) __attribute__((warn_unused_result));
void engine_flush(struct mqtt_engine *engine);
void engine_reconnect(struct mqtt_engine *engine, enum mqtt_session_again again, const char *reason);
void engine_accepted(
	struct mqtt_engine *engine, const struct mqtt_connack *connack, const struct mqtt_properties *props);

/* What a person can do about a CONNACK or a DISCONNECT with that code; NULL: waiting mends it. For every client. */
const char *engine_refusal_advice(enum mqtt_version version, uint8_t reason);
const char *engine_disconnect_advice(uint8_t reason);

/* engine_input.c */
void engine_readable(struct mqtt_engine *engine);

/* engine_subscribe.c */
int subscriber_init(struct mqtt_engine *engine) __attribute__((warn_unused_result));
void subscriber_free(struct mqtt_engine *engine);
void subscriber_up(struct mqtt_engine *engine);
void subscriber_down(struct mqtt_engine *engine);
void subscriber_acked(struct mqtt_engine *engine, bool unsuback, const struct mqtt_suback *suback, struct slice text);

/* engine_alive.c */
void alive_begin(struct mqtt_engine *engine);
void alive_end(struct mqtt_engine *engine);
void alive_on_timer(void *arg);
void alive_received(struct mqtt_engine *engine);
void alive_written(struct mqtt_engine *engine);

#endif
