/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the session engine share: engine.c (life and connection), engine_connect.c (CONNECT
 * and CONNACK), engine_input.c (packets that come),
 * engine_subscribe.c (subscriptions) and engine_alive.c (keep-alive). Private to them.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_ENGINE_H
#define LINKSPAN_CONNECTORS_MQTT_ENGINE_H

#include "connectors/mqtt/addresses.h"
#include "connectors/mqtt/reconnect.h"
#include "connectors/mqtt/session.h"
#include "connectors/mqtt/topic_alias.h"
#include "connectors/mqtt/transport.h"

/* The largest packet that is taken in whole; a larger PUBLISH is skipped without being held in memory. */
#define ENGINE_MAX_PACKET MESSAGE_MAX_ENCODED
/* Of such a PUBLISH, what stands before its payload may be as long; it is looked at for a topic alias. */
#define ENGINE_MAX_HEAD (1024u * 1024)
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

#define ENGINE_SUBSCRIBE_FILTERS 8 /* in one packet: AWS IoT takes no more */
#define ENGINE_SUBSCRIBE_PACKETS 64 /* under way at once */

/* A SUBSCRIBE or UNSUBSCRIBE under way. */
struct engine_subscribe_packet {
	uint16_t packet_id; /* 0: a free place */
	size_t n_filters;
	char *filters[ENGINE_SUBSCRIBE_FILTERS]; /* in order; owned */
};

/* A round subscribes and then unsubscribes. */
struct engine_subscriber {
	struct filter_set known; /* at the broker, as far as we know */
	struct loop_timer *timer; /* the acknowledgements' time-out, or the next try of what was refused */
	char **filters; /* what this half of the round asks for, in order; owned */
	size_t n_filters, next;
	bool in_round, unsubscribing;
	bool round_failed; /* something was refused in this round */
	bool again; /* what is wanted has changed since the round began: another one follows */
	unsigned failed_rounds;
	bool reported; /* the caller has heard of `known` in this session */
	struct engine_subscribe_packet *packets; /* ENGINE_SUBSCRIBE_PACKETS places */
	size_t under_way;
	uint16_t sent; /* packets so far, for the next identifier */
};

struct mqtt_engine {
	struct mqtt_session base; /* first */
	struct mqtt_session_options options;
	const struct mqtt_settings *settings;
	enum mqtt_version version;
	struct addresses addresses;
	struct mqtt_url url; /* of this connection */
	struct message_field *connect_user, *will_user; /* owned arrays; the texts are the settings' */
	bool asks_for_id; /* for the broker to choose the client identifier */
	char *assigned_id; /* by the broker, for all that follows; owned */
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
	bool unanswered; /* the last CONNECT had no CONNACK yet */
	bool doubtful; /* one before it had none: the session that is there may be a new one that it made */
	bool token_retried; /* connected again for a token that might have run out */

	struct mqtt_session_terms terms;
	struct mqtt_decoder *decoder;
	uint32_t unacked; /* PUBLISHes of QoS 1 and 2 that came and are not finished */
	struct alias_table aliases_in, aliases_out; /* of this connection */
	uint32_t max_packet_in; /* that the broker may send */
	uint64_t skip_bytes; /* of the input: the rest of a PUBLISH that is too large */

	struct loop_timer *alive_timer;
	uint64_t keep_alive_ms; /* 0: off */
	uint64_t received_ms, sent_ms; /* when bytes last came and went */
	uint64_t ping_end; /* bytes appended when the outstanding PINGREQ was; 0: none outstanding */
	uint64_t ping_ms; /* when the kernel had taken it, or took something before it */
	bool ping_expired; /* its time was over a turn ago */
	uint64_t sent_mark; /* transport_appended at the last flush */

	struct engine_subscriber subscriber;
	bool ack_failed; /* one could not be appended: none may follow it on this connection */
};

/* engine.c. disconnect: the reason of the DISCONNECT to send first (5 only, MQTT_SUCCESS: both), or -1 for none. */
void engine_end(struct mqtt_engine *engine, enum mqtt_session_again again, int disconnect, const char *reason);
uint64_t engine_up_ms(const struct mqtt_engine *engine); /* 0: it is not up */
void engine_alarm(struct mqtt_engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Encodes; -errno after the connection has been asked to end. */
int engine_send(struct mqtt_engine *engine, const struct mqtt_packet *packet) __attribute__((warn_unused_result));
void engine_flush(struct mqtt_engine *engine);
void engine_reconnect(struct mqtt_engine *engine, enum mqtt_session_again again, const char *reason);

/* "what: name of the code: reason string (name=value, …)": what a broker says in a CONNACK or DISCONNECT, cut short. */
void engine_explain(char *text, size_t size, const char *what, const char *name, const struct mqtt_properties *props);

/* engine_connect.c. begin: the network stands, so say CONNECT. */
int engine_make_user_properties(struct mqtt_engine *engine) __attribute__((warn_unused_result));
void engine_begin(struct mqtt_engine *engine);
struct mqtt_publish engine_own_publish(const struct mqtt_own_message *own, uint16_t packet_id);
/* 0x9C and 0x9D, in a CONNACK or a DISCONNECT: goes where the broker says, or raises an alarm. reason: the whole of it. */
void engine_refer(struct mqtt_engine *engine, uint8_t code, const struct mqtt_properties *props, const char *reason);
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
void subscriber_doubt(struct mqtt_engine *engine); /* what is known may not be there: it is subscribed again */
void subscriber_down(struct mqtt_engine *engine);
void subscriber_wanted_changed(struct mqtt_engine *engine);
void subscriber_acked(struct mqtt_engine *engine, bool unsuback, const struct mqtt_suback *suback, struct slice text);

/* engine_alive.c */
void alive_begin(struct mqtt_engine *engine);
void alive_end(struct mqtt_engine *engine);
void alive_on_timer(void *arg);
void alive_received(struct mqtt_engine *engine);
void alive_written(struct mqtt_engine *engine);

#endif
