/* SPDX-License-Identifier: Apache-2.0
 *
 * The host of an MQTT link for the fuzz target of the session machine, and what must hold whatever the broker and the
 * network do. It plays the journal (receipts, stages and open identifiers become durable when told to) and the courier,
 * reads what the link writes to the broker, and sees which PUBLISH, PUBREL and acknowledgement reaches the source and the
 * sink, and which is taken for a repetition (the linker puts model_*.c between mqtt.c and them). A promise that is broken
 * is a finding (fuzz_require).
 *
 * One link at a time; the thread that calls.
 */
#ifndef LINKSPAN_TESTS_FUZZ_SESSION_MODEL_H
#define LINKSPAN_TESTS_FUZZ_SESSION_MODEL_H

#include "connectors/connector.h"
#include "connectors/mqtt/session.h"
#include "connectors/mqtt/settings.h"

#define MODEL_DELIVERIES 48
#define MODEL_INCOMING   128 /* PUBLISHes above QoS 0 of one connection, and PUBRELs */
#define MODEL_RECEIPTS   256
#define MODEL_STAGES     256

enum incoming_state {
	INCOMING_NEW, /* not offered (yet): held or forgotten */
	INCOMING_PENDING, /* a repetition; the PUBREC of an earlier one answers it, too */
	INCOMING_OFFERED, /* its receipt is to come */
	INCOMING_DURABLE,
	INCOMING_REFUSED, /* never to be taken: acknowledged, in version 5 with a reason */
	INCOMING_UNREAD, /* no mapping reads from this link */
};

/* A PUBLISH or a PUBREL of the present connection. */
struct incoming {
	uint8_t qos; /* 0: a PUBREL */
	uint16_t id;
	uint64_t hash; /* of topic and payload */
	enum incoming_state state;
	bool acked;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_IN_FLIGHT, DELIVERY_ENDED };

struct model_delivery {
	struct message *msg;
	enum delivery_state state;
	uint32_t attempt;
	uint8_t durable_stage;
	bool maybe_sent, session_lost;
	bool published; /* on this connection */
};

struct model_receipt {
	uint64_t cookie;
	struct incoming *incoming; /* NULL: of an earlier connection, or nobody's */
};

struct model {
	struct link_host host; /* first */
	const struct mqtt_settings *settings;
	enum mqtt_version version;
	struct loop *loop;
	struct link *link;
	bool active; /* some mapping reads from it */

	/* The host's moods. */
	bool busy, refuses;

	/* What has been seen. */
	bool up, barred, intake_stopped, stop_asked, stopped;
	uint32_t window;
	struct mqtt_session_terms terms;
	struct incoming incoming[MODEL_INCOMING];
	size_t n_incoming;
	struct incoming *reading; /* a call into the source about it is under way */
	struct model_receipt receipts[MODEL_RECEIPTS];
	size_t n_receipts;
	uint16_t opened[MODEL_RECEIPTS]; /* QoS 2 identifiers that are open in the journal */
	size_t n_opened;
	uint8_t blob[4096];
	size_t blob_len; /* 0: no CHANGE_SUBSCRIPTIONS so far */

	struct model_delivery deliveries[MODEL_DELIVERIES];
	size_t n_deliveries, n_in_flight;
	uint64_t first_seq;
	uint16_t acking; /* the sink is being told of this acknowledgement; 0: of none */
	enum mqtt_type acking_type;
	uint8_t acking_reason;
	bool sending;
	struct {
		uint64_t seq;
		uint8_t stage;
		bool answered; /* its connection is there still: stage_durable() follows */
	} stages[MODEL_STAGES]; /* asked for, not durable */
	size_t n_stages;

	/* The broker's eyes. */
	struct buffer stream;
	unsigned connection; /* the number of the one that `stream` is of */
	bool seen_connect, seen_disconnect;
	uint16_t subscribe_id; /* the last SUBSCRIBE or UNSUBSCRIBE; 0: none */
	bool unsubscribe;
	size_t n_filters;
};

extern struct model model;

void model_begin(const struct mqtt_settings *settings, bool active, uint64_t first_seq);
void model_start_link(void); /* a process starts */
void model_stop_link(bool stages_durable); /* and ends; what was asked of the journal last may be lost */
void model_end(void);

/* One turn of the loop, and the deliveries that may go out. */
void model_turn(uint64_t ms);
void model_deliver(const struct message_view *view);
void model_receipts(size_t n, enum receipt receipt);
void model_stages(size_t n);
void model_resume(void);
void model_stop_intake(void);

uint16_t model_packet_id(uint64_t seq);
/* model_broker.c: bytes that the link has sent. */
void model_sent(unsigned connection, struct slice bytes);
uint64_t model_seq_of(uint16_t packet_id); /* of a delivery in flight; 0: none */
struct model_delivery *model_delivery(uint64_t seq);
uint64_t model_hash(const struct slice *topic, const struct slice *payload);

#endif
