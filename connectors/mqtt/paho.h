/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the Paho session share: paho.c (life, on the loop), paho_connection.c (one connection,
 * on the loop), paho_flow.c (messages, on the loop),
 * paho_subscribe.c (subscriptions, on the loop), paho_thread.c (every call into Paho), paho_callbacks.c (Paho's own
 * threads) and paho_convert.c. Private to them; the last two alone include Paho's headers.
 *
 * Threads. The loop owns the session and makes no MQTTAsync_* call: Paho has one lock for the process, held while a
 * callback waits. One thread of ours per process makes them all, in the order in which the loop asked. Paho's threads
 * run the callbacks, which only put an event into their connection's queue and post its job. What more than one thread
 * touches stands in struct paho_connection under `lock`; it is held for a few instructions and never while calling out.
 *
 * The arrival callback waits until the loop has done with its message: for QoS 1 until it is durable. Paho sends the
 * PUBACK when it returns, whatever it returns. So it returns early only after the relay has been cut: the PUBACK then
 * goes into a socket that is closed.
 *
 * A connection is one MQTTAsync handle, made and destroyed with it: Paho keeps nothing from one to the next.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_PAHO_H
#define LINKSPAN_CONNECTORS_MQTT_PAHO_H

#include <pthread.h>

#include "connectors/mqtt/credentials.h"
#include "connectors/mqtt/reconnect.h"
#include "connectors/mqtt/relay.h"
#include "connectors/mqtt/session.h"
#include "connectors/mqtt/url.h"

struct paho_session;
struct paho_connection;
struct paho_request;

/* --- what Paho's threads tell the loop --------------------------------------------------------------------------------- */

enum paho_event_type {
	PAHO_CONNECTED,
	PAHO_REFUSED, /* reason: of the CONNACK, 0: none came; also for a call that failed */
	PAHO_DISCONNECTED, /* by the broker, with `reason` */
	PAHO_LOST,
	PAHO_LEFT, /* our DISCONNECT is out */
	PAHO_ANSWERED, /* a request has its answer */
	PAHO_ARRIVED,
};

struct paho_event {
	struct paho_event *next;
	enum paho_event_type type;
	bool queued;
	uint8_t reason;
	char text[200]; /* the broker's reason string, or Paho's words */
};

/* A PUBLISH that waits in its callback, and on whose stack this lives. */
struct paho_arrival {
	struct paho_event event; /* first */
	struct mqtt_publish publish;
	struct mqtt_properties props;
	bool broken; /* no memory for its properties: it cannot be taken now */
	bool done; /* guarded by the connection's lock: the callback may return */
};

/* --- what the loop asks of the thread ----------------------------------------------------------------------------------- */

enum paho_order_type { PAHO_CONNECT, PAHO_REQUEST, PAHO_DISCONNECT, PAHO_DESTROY };

struct paho_order { /* lives until its effect is known */
	struct paho_order *next;
	enum paho_order_type type;
	struct paho_connection *conn;
	struct paho_request *request; /* PAHO_REQUEST */
};

/* What was asked of Paho and has an answer of its own. The loop makes and frees it; in between it is Paho's. */
struct paho_request {
	struct paho_event event; /* first */
	struct paho_order order;
	struct paho_request *prev, *next; /* the connection's, in the order in which they were made */
	struct paho_connection *conn;
	enum mqtt_type type; /* PUBLISH, SUBSCRIBE, UNSUBSCRIBE */
	bool own; /* a birth message or a will */
	uint16_t packet_id; /* the caller's; 0: QoS 0 */
	uint8_t qos;
	bool handed, settled; /* given to Paho; answered */
	uint64_t end; /* of its bytes in the session's stream */
	char *filter; /* (UN)SUBSCRIBE; owned */
	uint8_t options; /* as in struct filter_entry */
	bool answered; /* guarded by the connection's lock: only the first answer counts */
	bool failed; /* no broker has answered */
	struct buffer packet; /* PUBLISH: encoded, from which the Paho thread takes it */
};

/* Starts the thread at the first call in the process; it stays. -EAGAIN, -ENOMEM. */
int paho_thread_start(void) __attribute__((warn_unused_result));
/* Any thread. */
void paho_thread_order(struct paho_order *order);

/* --- one connection ------------------------------------------------------------------------------------------------------ */

struct paho_connection {
	struct paho_session *session;
	struct loop *loop;
	void *handle; /* MQTTAsync; the thread's */

	/* For the thread, unchanged once it has been ordered to connect. */
	const struct mqtt_settings *settings;
	const char *client_id;
	enum mqtt_version version;
	char server_uri[600], proxy_url[128];
	uint16_t keep_alive_s;
	uint8_t leave_reason; /* set before PAHO_DISCONNECT */
	struct credentials credentials; /* until they are handed over */

	pthread_mutex_t lock;
	pthread_cond_t released; /* an arrival is done, or the connection is cut */
	/* Guarded by lock: */
	struct paho_event *first, **last;
	bool cut;
	struct mqtt_session_terms terms; /* of PAHO_CONNECTED, with the next two */
	bool keep_alive_given;
	uint16_t server_keep_alive_s;
	uint32_t server_expiry_s; /* UINT32_MAX: as asked */

	/* The loop's: */
	struct loop_job job; /* there are events */
	struct loop_job destroyed_job; /* Paho has let go: no event comes any more, and nobody else touches this */
	struct paho_order connect_order, leave_order, destroy_order;
	struct paho_event connected, disconnected, lost, left; /* each at most once */
	struct relay *relay; /* NULL: closed */
	struct tls_options tls;
	struct mqtt_proxy proxy;
	struct loop_timer *timer; /* how long the broker's last words, or ours, may take */
	uint64_t linger_ms; /* the latter */
	struct paho_arrival *arrival; /* given to the session's user, its acknowledgement owed */
	bool untaken; /* that one was not taken: there is no room */
	bool left_alone; /* and not even handed on, so that nobody will acknowledge it */
	bool broker_up; /* the relay has reached the broker */
	bool leaving, destroying, is_destroyed;
	char failure[512]; /* why the broker's end failed; empty: it has not */
	bool failure_lasts; /* waiting will not mend it */
	struct paho_request requests; /* head of a circle */
	uint64_t appended, written, unanswered; /* bytes */
};

/* Any thread: queues the event, unless it is queued, and wakes the loop. */
void paho_post(struct paho_connection *conn, struct paho_event *event);

/* --- the session ----------------------------------------------------------------------------------------------------------- */

enum paho_state { PAHO_IDLE, PAHO_WAITING, PAHO_PAUSED, PAHO_CONNECTING, PAHO_UP };

struct paho_session {
	struct mqtt_session base; /* first */
	struct mqtt_session_options options;
	const struct mqtt_settings *settings;
	enum mqtt_version version;
	struct mqtt_url url;
	enum paho_state state;
	bool stopping;
	enum mqtt_intake intake;
	struct paho_connection *conn; /* NULL but while CONNECTING and UP */
	unsigned connections; /* not yet freed */
	struct loop_timer *timer; /* connect time-out, then the wait for the next attempt */
	struct reconnect reconnect;
	struct loop_job end_job; /* ends the connection from the loop, when asked for from inside a call */
	bool end_due, end_is_pause;
	enum mqtt_session_again end_again;
	char end_reason[256];
	struct loop_job written_job;
	uint64_t up_since_ms;
	bool progress;
	struct mqtt_session_terms terms;
	int keep_alive_s; /* what the broker wants; -1: what the settings say */

	/* Subscriptions. */
	struct filter_set known; /* at the broker, as far as we know */
	bool reported; /* the caller has heard of it in this session */
	struct loop_timer *subscribe_timer; /* the answers' time-out, or the next try of what was refused */
	size_t unanswered; /* SUBSCRIBEs or UNSUBSCRIBEs of this round */
	bool unsubscribing, round_failed;
	unsigned failed_rounds;
};

/* paho.c. disconnect: the reason of the DISCONNECT to send first, or -1 for none. */
void paho_end(struct paho_session *s, enum mqtt_session_again again, int disconnect, const char *reason);
void paho_reconnect(struct paho_session *s, enum mqtt_session_again again, const char *reason);
/* Ends the connection, from the loop, unless there is room again by then or a message is still becoming durable. */
void paho_pause(struct paho_session *s);
void paho_alarm(struct paho_session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void paho_on_event(struct paho_session *s, struct paho_event *event); /* of the connection that counts */

/* paho_connection.c. Begins to connect; or a negative errno with what is wrong in `error`. */
int paho_connection_open(struct paho_session *s, struct paho_connection **ret_conn, char *error, size_t error_size)
	__attribute__((warn_unused_result));
/* The session has let go of it. disconnect: as in paho_end. */
void paho_connection_end(struct paho_connection *conn, int disconnect);

/* paho_flow.c: the loop's side of messages. */
struct paho_request *paho_request_new(struct paho_connection *conn, enum mqtt_type type);
void paho_request_free(struct paho_request *request);
void paho_request_hand(struct paho_request *request); /* to the thread */
int paho_publish_packet(struct paho_session *s, const struct mqtt_packet *packet, bool own)
	__attribute__((warn_unused_result));
void paho_publish_own(struct paho_session *s, const struct mqtt_own_message *own);
void paho_pump(struct paho_connection *conn);
void paho_on_written_job(void *session);
void paho_arrived(struct paho_session *s, struct paho_arrival *arrival);
void paho_answered(struct paho_session *s, struct paho_request *request);
void paho_release(struct paho_connection *conn, struct paho_arrival *arrival); /* its callback may return */
void paho_ack(struct paho_session *s, uint16_t packet_id);

/* paho_subscribe.c */
void paho_subscriptions_up(struct paho_session *s);
void paho_subscriptions_down(struct paho_session *s);
void paho_subscription_answered(struct paho_session *s, struct paho_request *request);
void paho_on_subscribe_timer(void *session);

/* paho_callbacks.c, for the thread: the options' callbacks, whose types are Paho's, are set there. */
int paho_call_connect(struct paho_connection *conn) __attribute__((warn_unused_result)); /* a code of Paho's */
int paho_call_disconnect(struct paho_connection *conn) __attribute__((warn_unused_result));
int paho_call_publish(struct paho_request *request, const struct mqtt_packet *packet)
	__attribute__((warn_unused_result));
int paho_call_subscribe(struct paho_request *request) __attribute__((warn_unused_result));
void paho_call_destroy(struct paho_connection *conn);
/* Keeps Paho's threads alive between connections, whose end would otherwise take a second each time. */
int paho_call_anchor(void) __attribute__((warn_unused_result));
/* The request has its answer: once. failed: not from the broker. */
void paho_answer(struct paho_request *request, bool failed, uint8_t reason, const char *text, size_t text_len);

#endif
