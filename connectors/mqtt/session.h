/* SPDX-License-Identifier: Apache-2.0
 *
 * One MQTT session with one broker, kept over any number of network connections: connect, subscribe, publish,
 * acknowledge later. It owns the connection, the keep-alive, the back-off and the subscriptions; it acknowledges
 * nothing by itself but what belongs to the protocol alone. It knows nothing of journals, mappings or couriers.
 *
 * Two implementations stand behind it: our own engine (engine*.c), and Paho MQTT C (paho*.c) for WebSocket, proxies and
 * whoever asks for it. Packet identifiers of what it sends are the caller's, up to
 * MQTT_SESSION_LAST_ID; those above are the session's own, for SUBSCRIBE, UNSUBSCRIBE and the birth message.
 *
 * Life: new → start → (up → … → down)* → stop → stopped → free; free without start is legal. Loop thread only, nothing
 * blocks but the reading of TLS files. Events come from the loop; `stopped` also from inside stop.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SESSION_H
#define LINKSPAN_CONNECTORS_MQTT_SESSION_H

#include "connectors/mqtt/codec.h"
#include "connectors/mqtt/settings.h"
#include "connectors/mqtt/filter_set.h"
#include "runtime/loop.h"

#define MQTT_SESSION_LAST_ID 61440u

struct mqtt_session;

/* What a broker has said in its CONNACK. */
struct mqtt_session_terms {
	bool session_present; /* false: it knows nothing of earlier connections */
	uint32_t receive_maximum; /* 0: not said (3.1.1) */
	uint8_t maximum_qos;
	bool retain_available;
	bool wildcard_subscriptions; /* these three: may be asked for */
	bool shared_subscriptions; /* true in 3.1.1, where a broker that has none refuses the filter, or takes it literally */
	bool subscription_identifiers; /* false in 3.1.1 */
	uint32_t maximum_packet_size; /* bytes; MQTT_MAX_PACKET if not said */
};

struct mqtt_session_events {
	/* Connected and authenticated. The callee may publish from inside. */
	void (*up)(void *ctx, const struct mqtt_session_terms *terms);
	/* The connection that was up has ended: nothing of it will be acknowledged in either direction any more. */
	void (*down)(void *ctx, const char *reason);
	/* Needs a person; the session goes on trying. */
	void (*alarm)(void *ctx, const char *what);
	/* A PUBLISH of qos 0 to 2. Borrowed: topic, payload and properties live until the event returns. The callee owes a
	 * mqtt_session_ack for qos 1 and 2, in the order of these events [MQTT-4.6.0-2]. */
	void (*publish)(void *ctx, const struct mqtt_publish *publish, const struct mqtt_properties *props);
	/* A PUBLISH that cannot be handed on (too large, or content that MQTT forbids), logged by the session; it owes the
	 * same acknowledgement, with that reason. */
	void (*unusable)(void *ctx, uint8_t qos, uint16_t packet_id, uint8_t reason);
	/* PUBACK, PUBREC or PUBCOMP for something published. text: the broker's reason string, may be absent. */
	void (*acked)(void *ctx, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text);
	/* PUBREL: the broker releases an incoming QoS 2 identifier; PUBCOMP is owed. */
	void (*released)(void *ctx, uint16_t packet_id);
	/* mqtt_session_written has advanced, or the write queue has become short again. */
	void (*written)(void *ctx);
	/* What the session at the broker is subscribed to has changed, or the session is a new one; borrowed. To be kept for
	 * the next process. Comes before any PUBLISH with an identifier that is new in it. */
	void (*subscribed)(void *ctx, const struct filter_set *set);
	void (*stopped)(void *ctx);
};

struct mqtt_session_options {
	const char *name; /* of the connection, for the log; borrowed */
	struct loop *loop; /* a libuv loop; borrowed */
	const struct mqtt_settings *settings; /* borrowed; checked */
	const char *client_id; /* borrowed; of version 5 without one in the settings only if the broker assigns none */
	/* What to be subscribed to; borrowed; identifiers are the session's to choose. */
	const struct filter_set *wanted;
	const struct mqtt_session_events *events; /* borrowed */
	void *ctx;
};

/* Ends the connection and connects again: after the usual wait (slow: the long one), or, when it is no failure, at
 * once. */
enum mqtt_session_again { MQTT_AGAIN_SOON, MQTT_AGAIN_BACKOFF, MQTT_AGAIN_SLOWLY };

/* What is done with what comes. PAUSED: there is no room for it. ENDED: nothing is taken any more, stop follows. */
enum mqtt_intake { MQTT_INTAKE_ON, MQTT_INTAKE_PAUSED, MQTT_INTAKE_ENDED };

/* What an implementation does; the contract of each stands at the function of that name below. */
struct mqtt_session_ops {
	int (*start)(struct mqtt_session *session, const struct filter_set *known);
	int (*publish)(
		struct mqtt_session *session, const struct mqtt_publish *publish, const struct mqtt_properties *props);
	void (*ack)(struct mqtt_session *session, enum mqtt_type type, uint16_t packet_id, uint8_t reason);
	void (*flush)(struct mqtt_session *session);
	uint64_t (*appended)(const struct mqtt_session *session);
	uint64_t (*written)(const struct mqtt_session *session);
	void (*intake)(struct mqtt_session *session, enum mqtt_intake intake); /* NULL: it makes no difference */
	void (*reconnect)(struct mqtt_session *session, enum mqtt_session_again again, const char *reason);
	void (*resubscribe)(struct mqtt_session *session); /* NULL: it cannot */
	void (*stop)(struct mqtt_session *session, uint64_t linger_ms);
	void (*free)(struct mqtt_session *session);
};

struct mqtt_session { /* the first member of an implementation's own */
	const struct mqtt_session_ops *ops;
};

/* The implementation that the settings ask for. 0, -EINVAL (the url), -ENOMEM, -ENOTSUP (built without it). */
int mqtt_session_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
	__attribute__((warn_unused_result));
/* Our own engine. 0, -EINVAL (the url), -ENOMEM. */
int engine_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
	__attribute__((warn_unused_result));

/* Paho. Likewise, and -EAGAIN (no thread). */
int paho_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
	__attribute__((warn_unused_result));

/* known: what an earlier process was subscribed to in this session; copied. NULL: unknown. -ENOMEM: it is started all the
 * same, with nothing known. */
__attribute__((warn_unused_result)) static inline int mqtt_session_start(
	struct mqtt_session *session, const struct filter_set *known)
{
	return session->ops->start(session, known);
}

/* These four only while up, and seen by the network with the next flush. */

/* 0 or an error of mqtt_encode: nothing is sent then. */
__attribute__((warn_unused_result)) static inline int mqtt_session_publish(
	struct mqtt_session *session, const struct mqtt_publish *publish, const struct mqtt_properties *props)
{
	return session->ops->publish(session, publish, props);
}

/* PUBACK, PUBREC, PUBREL or PUBCOMP. If it cannot be sent, the connection ends. */
static inline void mqtt_session_ack(
	struct mqtt_session *session, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	session->ops->ack(session, type, packet_id, reason);
}

static inline void mqtt_session_flush(struct mqtt_session *session)
{
	session->ops->flush(session);
}

/* Bytes published so far on this connection, and how many of them the kernel has. */
static inline uint64_t mqtt_session_appended(const struct mqtt_session *session)
{
	return session->ops->appended(session);
}

static inline uint64_t mqtt_session_written(const struct mqtt_session *session)
{
	return session->ops->written(session);
}

/* Whether messages are taken. An implementation that cannot leave one unacknowledged while it waits ends the connection
 * (with a `down` event, from the loop), and connects again when they are taken again. Only for a source. */
static inline void mqtt_session_intake(struct mqtt_session *session, enum mqtt_intake intake)
{
	if (session->ops->intake)
		session->ops->intake(session, intake);
}

/* The session at the broker is kept. The `down` event follows from the loop, not from inside. */
static inline void mqtt_session_reconnect(
	struct mqtt_session *session, enum mqtt_session_again again, const char *reason)
{
	session->ops->reconnect(session, again, reason);
}

/* The set of what is wanted is another one, since this turn of the loop: subscribes and unsubscribes by the difference, on the
 * connection that is there or the next one. A `subscribed` event comes from inside. Only if mqtt_session_can_resubscribe. */
static inline void mqtt_session_resubscribe(struct mqtt_session *session)
{
	session->ops->resubscribe(session);
}

static inline bool mqtt_session_can_resubscribe(const struct mqtt_session *session)
{
	return session->ops->resubscribe != NULL;
}

/* DISCONNECT, and close. With a will the broker is asked to publish it (version 5), or it is published (3.1.1). No
 * event follows but `stopped`, once the broker has closed its end too: it has then read everything, or once linger_ms are
 * over. */
static inline void mqtt_session_stop(struct mqtt_session *session, uint64_t linger_ms)
{
	session->ops->stop(session, linger_ms);
}

static inline void mqtt_session_free(struct mqtt_session *session) /* NULL is allowed */
{
	if (session)
		session->ops->free(session);
}

#endif
