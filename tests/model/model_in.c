/* SPDX-License-Identifier: Apache-2.0
 *
 * QoS 2 inwards: a broker that sends, the receiver's half (connectors/mqtt/qos2_in.c, the very code that runs), and the
 * source and the journal around it. What may happen at any step: there is no room for a message, which is then held; the
 * connection is cut and with it all that was on its way; our process ends and any part of what was not yet durable is on
 * the disk; the broker loses the session, or forgets that it waits for a PUBCOMP and gives the identifier again. Rules:
 * nothing is acknowledged before it is durable, no message is journalled twice or, unless the broker lost it, never.
 */
#include "tests/model/model.h"

#include <string.h>

#include "connectors/mqtt/qos2_in.h"

#define MAX_MSGS    3
#define IDS         2
#define MAX_CHANNEL 3
#define MAX_TAIL    3
#define MAX_HELD    2

enum { SLOT_FREE, SLOT_PUBLISHED, SLOT_RELEASED }; /* of the broker's identifiers */
enum { CHANGE_OPEN, CHANGE_REL, CHANGE_RESET, CHANGE_BARRIER };
enum { PROMISE_NOTHING, PROMISE_PUBREC, PROMISE_PUBCOMP };

struct packet {
	uint8_t type, id, msg;
};

struct channel {
	struct packet packets[MAX_CHANNEL];
	uint8_t n;
};

struct change {
	uint8_t type, id, msg, promise;
	uint8_t current; /* offered on the connection that still is */
};

struct id_state { /* an entry of struct qos2_in */
	uint8_t state, bytes, answering, releasing; /* bytes: which payload */
	uint8_t journalled, journalled_bytes;
};

struct in_state {
	/* The broker. */
	struct {
		uint8_t state, msg;
	} slots[IDS];
	uint8_t next_msg; /* to be sent */
	uint8_t session;
	struct channel to_us, to_broker;
	/* We. */
	struct id_state ids[IDS];
	uint8_t owner[IDS]; /* message + 1 for which the identifier was opened last */
	struct change held[MAX_HELD]; /* not taken: no room */
	struct change tail[MAX_TAIL]; /* appended, not durable */
	uint8_t n_held, n_tail;
	uint8_t open[IDS]; /* durable: message + 1 */
	uint8_t stored[MAX_MSGS]; /* durable, how often */
	uint8_t excused[MAX_MSGS]; /* the broker lost it with its session */
	uint8_t connected, early; /* early: acknowledged before it was durable */
	uint8_t cuts, crashes, losses, forgets; /* left */
	uint8_t same_bytes;
	uint8_t unnoticed; /* our process ended before the loss of a session was durable: to the next one it seems kept */
};

/* What distinguishes the payloads of two messages. */
static uint64_t hash_of(const struct in_state *s, uint8_t msg)
{
	return 1000u + (s->same_bytes ? 0 : msg);
}

static void send_packet(struct channel *channel, enum mqtt_type type, uint8_t id, uint8_t msg)
{
	channel->packets[channel->n++] = (struct packet){(uint8_t)type, id, msg};
}

static struct packet take_packet(struct channel *channel)
{
	struct packet first = channel->packets[0];
	memmove(channel->packets, channel->packets + 1, sizeof channel->packets - sizeof first);
	memset(&channel->packets[--channel->n], 0, sizeof first);
	return first;
}

/* --- the real table, made of the state and back -------------------------------------------------------------------- */

static struct qos2_in table_of(const struct in_state *s)
{
	struct qos2_in in = {0};
	for (uint16_t id = 0; id < IDS; id++) {
		if (s->ids[id].state == QOS2_IN_FREE)
			continue;
		enum qos2_in_verdict verdict = qos2_in_publish(&in, id + 1, 1000u + s->ids[id].bytes);
		if (verdict == QOS2_IN_NEW && s->ids[id].state == QOS2_IN_OPEN)
			qos2_in_taken(&in, id + 1, 1000u + s->ids[id].bytes);
		if (!s->ids[id].answering)
			qos2_in_answered(&in, id + 1);
	}
	for (uint32_t i = 0; i < in.capacity; i++) { /* what only a history of calls would set */
		struct qos2_in_id *slot = &in.slots[i];
		if (slot->state == QOS2_IN_FREE)
			continue;
		const struct id_state *from = &s->ids[slot->id - 1];
		slot->journalled = from->journalled;
		slot->journalled_hash = from->journalled ? 1000u + from->journalled_bytes : 0;
		slot->releasing = from->releasing;
	}
	return in;
}

static void put_table(struct in_state *s, struct qos2_in *in)
{
	memset(s->ids, 0, sizeof s->ids);
	for (uint32_t i = 0; i < in->capacity; i++) {
		const struct qos2_in_id *slot = &in->slots[i];
		if (slot->state != QOS2_IN_FREE)
			s->ids[slot->id - 1] = (struct id_state){slot->state, (uint8_t)(slot->hash - 1000),
				slot->answering, slot->releasing, slot->journalled,
				slot->journalled ? (uint8_t)(slot->journalled_hash - 1000) : 0};
	}
	qos2_in_free(in);
}

/* --- our side ------------------------------------------------------------------------------------------------------- */

static void answer(struct in_state *s, const struct change *change)
{
	struct qos2_in in = table_of(s);
	if (change->promise == PROMISE_PUBREC) {
		if (s->open[change->id] != change->msg + 1)
			s->early = 1;
		qos2_in_answered(&in, change->id + 1u);
	} else if (s->open[change->id]) {
		s->early = 1;
	}
	put_table(s, &in);
	send_packet(&s->to_broker, change->promise == PROMISE_PUBREC ? MQTT_PUBREC : MQTT_PUBCOMP, change->id, 0);
}

/* One frame of the tail is durable. */
static void harden(struct in_state *s, const struct in_options *o, bool tell)
{
	struct change change = s->tail[0];
	memmove(s->tail, s->tail + 1, sizeof s->tail - sizeof change);
	memset(&s->tail[--s->n_tail], 0, sizeof change);
	switch (change.type) {
	case CHANGE_OPEN:
		s->open[change.id] = change.msg + 1;
		s->stored[change.msg]++;
		break;
	case CHANGE_REL:
		s->open[change.id] = 0;
		break;
	case CHANGE_RESET:
		memset(s->open, 0, sizeof s->open);
		break;
	case CHANGE_BARRIER:
		break;
	}
	bool answered = (change.promise == PROMISE_PUBREC && o->wrong == IN_PUBREC_NOT_DURABLE) ||
			(change.promise == PROMISE_PUBCOMP && o->wrong == IN_PUBCOMP_NOT_DURABLE);
	if (tell && change.current && change.promise && !answered)
		answer(s, &change);
}

static void append(struct in_state *s, struct change change, const struct in_options *o)
{
	s->tail[s->n_tail++] = change;
	if ((change.promise == PROMISE_PUBREC && o->wrong == IN_PUBREC_NOT_DURABLE) ||
		(change.promise == PROMISE_PUBCOMP && o->wrong == IN_PUBCOMP_NOT_DURABLE)) {
		answer(s, &change);
		s->early = 0; /* the search is to find what comes of it */
	}
}

/* The host takes it. */
static void take(struct in_state *s, struct change change, const struct in_options *o)
{
	struct qos2_in in = table_of(s);
	if (change.type == CHANGE_OPEN)
		qos2_in_taken(&in, change.id + 1u, hash_of(s, change.msg));
	else if (change.type == CHANGE_REL)
		qos2_in_released(&in, change.id + 1u);
	put_table(s, &in);
	append(s, change, o);
}

static void hold(struct in_state *s, struct change change)
{
	s->held[s->n_held++] = change;
}

/* A message of the new session that looks like an open one of the lost session. */
static void excuse(struct in_state *s, struct packet packet)
{
	if (s->owner[packet.id] == packet.msg + 1)
		return;
	s->excused[packet.msg] = 1;
	s->tail[s->n_tail - 1].msg = s->owner[packet.id] - 1;
}

/* room: for messages; a release or a barrier needs none. */
static void from_broker(struct in_state *s, bool room, const struct in_options *o)
{
	struct packet packet = take_packet(&s->to_us);
	struct qos2_in in = table_of(s);
	struct change change = {.id = packet.id, .msg = packet.msg, .current = 1};
	if (packet.type == MQTT_PUBLISH) {
		uint64_t hash = hash_of(s, packet.msg);
		if (o->wrong == IN_HASH_IGNORED && s->ids[packet.id].state != QOS2_IN_FREE)
			hash = 1000u + s->ids[packet.id].bytes;
		enum qos2_in_verdict verdict = qos2_in_publish(&in, packet.id + 1u, hash);
		put_table(s, &in);
		change.promise = PROMISE_PUBREC;
		change.type = verdict == QOS2_IN_NEW ? CHANGE_OPEN : CHANGE_BARRIER;
		if (verdict == QOS2_IN_NEW)
			s->owner[packet.id] = packet.msg + 1;
		if (verdict == QOS2_IN_NEW && !room)
			hold(s, change);
		else if (verdict == QOS2_IN_NEW)
			take(s, change, o);
		else if (verdict == QOS2_IN_AGAIN)
			append(s, change, o);
		if (verdict == QOS2_IN_AGAIN && s->unnoticed && s->same_bytes)
			excuse(s, packet);
		return;
	}
	enum qos2_in_release release = qos2_in_pubrel(&in, packet.id + 1u);
	put_table(s, &in);
	if (release == QOS2_IN_WAITS_ALREADY)
		return;
	change.promise = PROMISE_PUBCOMP;
	change.type = release == QOS2_IN_UNKNOWN ? CHANGE_BARRIER : CHANGE_REL;
	if (release == QOS2_IN_WAITS)
		hold(s, change);
	else
		take(s, change, o);
}

static void end_connection(struct in_state *s)
{
	struct qos2_in in = table_of(s);
	qos2_in_cut(&in);
	put_table(s, &in);
	s->connected = 0;
	memset(&s->to_broker, 0, sizeof s->to_broker);
	memset(&s->to_us, 0, sizeof s->to_us);
	for (uint8_t i = 0; i < s->n_tail; i++)
		s->tail[i].current = 0;
	/* What is held dies, but for the news of a lost session. */
	uint8_t n = 0;
	for (uint8_t i = 0; i < s->n_held; i++)
		if (s->held[i].type == CHANGE_RESET)
			s->held[n++] = s->held[i];
	memset(&s->held[n], 0, (MAX_HELD - n) * sizeof s->held[0]);
	s->n_held = n;
}

static void crash(struct in_state *s, uint8_t kept, const struct in_options *o)
{
	end_connection(s);
	for (uint8_t i = 0; i < s->n_held; i++)
		s->unnoticed |= s->held[i].type == CHANGE_RESET && s->session;
	for (uint8_t i = kept; i < s->n_tail; i++)
		s->unnoticed |= s->tail[i].type == CHANGE_RESET && s->session;
	for (uint8_t i = 0; i < kept; i++)
		harden(s, o, false);
	memset(s->tail, 0, sizeof s->tail);
	memset(s->held, 0, sizeof s->held);
	s->n_tail = s->n_held = 0;
	struct qos2_in in = {0};
	memcpy(s->owner, s->open, sizeof s->owner);
	for (uint16_t id = 0; id < IDS; id++)
		if (s->open[id] && qos2_in_recover(&in, id + 1, hash_of(s, s->open[id] - 1)) < 0)
			s->early = 1;
	put_table(s, &in);
}

/* --- the broker ----------------------------------------------------------------------------------------------------- */

static void to_broker(struct in_state *s)
{
	struct packet packet = take_packet(&s->to_broker);
	if (packet.type == MQTT_PUBREC && s->slots[packet.id].state == SLOT_PUBLISHED) {
		s->slots[packet.id].state = SLOT_RELEASED;
		send_packet(&s->to_us, MQTT_PUBREL, packet.id, 0);
	} else if (packet.type == MQTT_PUBCOMP && s->slots[packet.id].state == SLOT_RELEASED) {
		memset(&s->slots[packet.id], 0, sizeof s->slots[0]);
	}
}

static void connect(struct in_state *s, bool room, const struct in_options *o)
{
	bool present = s->session;
	s->connected = s->session = 1;
	if (!present) {
		struct qos2_in in = table_of(s);
		struct change reset = {.type = CHANGE_RESET};
		if (o->wrong == IN_RESET_FORGOTTEN) {
			put_table(s, &in);
		} else {
			qos2_in_reset(&in);
			put_table(s, &in);
			/* A newer one makes the older one void. */
			s->n_held = 0;
			memset(s->held, 0, sizeof s->held);
			if (room)
				append(s, reset, o);
			else
				hold(s, reset);
		}
	}
	for (uint8_t id = 0; id < IDS; id++)
		if (s->slots[id].state != SLOT_FREE)
			send_packet(&s->to_us, s->slots[id].state == SLOT_PUBLISHED ? MQTT_PUBLISH : MQTT_PUBREL, id,
				s->slots[id].state == SLOT_PUBLISHED ? s->slots[id].msg : 0);
}

static void lose_session(struct in_state *s)
{
	end_connection(s);
	s->session = 0;
	for (uint8_t id = 0; id < IDS; id++)
		if (s->slots[id].state != SLOT_FREE)
			s->excused[s->slots[id].msg] = 1;
	memset(s->slots, 0, sizeof s->slots);
}

/* --- the model ------------------------------------------------------------------------------------------------------ */

static void in_init(void *state, const void *options)
{
	const struct in_options *o = options;
	struct in_state *s = state;
	s->cuts = o->cuts;
	s->crashes = o->crashes;
	s->losses = o->losses;
	s->forgets = o->forgets;
	s->same_bytes = o->same_bytes;
}

static void next_faults(struct search *search, const struct in_state *s, const struct in_options *o)
{
	struct in_state t;
	if (s->connected && s->cuts) {
		t = *s;
		t.cuts--;
		end_connection(&t);
		search_emit(search, &t, "cut");
	}
	for (uint8_t kept = 0; s->crashes && kept <= s->n_tail; kept++) {
		t = *s;
		t.crashes--;
		crash(&t, kept, o);
		search_emit(search, &t, "crash, %u frames kept", kept);
	}
	if (s->session && s->losses) {
		t = *s;
		t.losses--;
		lose_session(&t);
		search_emit(search, &t, "the broker loses the session");
	}
	for (uint8_t id = 0; s->forgets && !s->connected && id < IDS; id++) {
		if (s->slots[id].state != SLOT_RELEASED)
			continue;
		t = *s;
		t.forgets--;
		memset(&t.slots[id], 0, sizeof t.slots[0]);
		search_emit(search, &t, "the broker forgets the release of %u", id);
	}
}

static void next_packets(struct search *search, const struct in_state *s, const struct in_options *o)
{
	struct in_state t;
	if (s->to_broker.n && s->to_us.n < MAX_CHANNEL) {
		t = *s;
		to_broker(&t);
		search_emit(search, &t, "the broker takes a %s",
			s->to_broker.packets[0].type == MQTT_PUBREC ? "PUBREC" : "PUBCOMP");
	}
	/* What is held goes first, and holds back what comes behind it. */
	for (unsigned room = 0; room <= 1; room++) {
		if (!s->to_us.n || s->n_tail == MAX_TAIL || s->n_held == MAX_HELD || (room && s->n_held) ||
			s->to_broker.n == MAX_CHANNEL)
			continue;
		t = *s;
		from_broker(&t, room, o);
		search_emit(search, &t, "we take a %s%s",
			s->to_us.packets[0].type == MQTT_PUBREL ? "PUBREL" : "PUBLISH", room ? "" : ", no room");
	}
}

static void in_next(struct search *search, const void *state, const void *options)
{
	const struct in_options *o = options;
	const struct in_state *s = state;
	struct in_state t;
	for (unsigned room = 0; !s->connected && s->n_tail < MAX_TAIL && room <= 1; room++) {
		if (room && s->n_held)
			continue;
		t = *s;
		connect(&t, room, o);
		search_emit(search, &t, "connect, session present: %u", s->session);
	}
	if (s->n_tail && s->to_broker.n < MAX_CHANNEL) {
		t = *s;
		harden(&t, o, true);
		search_emit(search, &t, "durable");
	}
	if (s->n_held && s->n_tail < MAX_TAIL && s->to_broker.n < MAX_CHANNEL) {
		t = *s;
		struct change first = t.held[0];
		memmove(t.held, t.held + 1, sizeof t.held - sizeof first);
		memset(&t.held[--t.n_held], 0, sizeof first);
		take(&t, first, o);
		search_emit(search, &t, "room for what is held");
	}
	for (uint8_t id = 0; s->connected && s->next_msg < o->msgs && s->to_us.n < MAX_CHANNEL && id < IDS; id++) {
		if (s->slots[id].state != SLOT_FREE)
			continue;
		t = *s;
		t.slots[id].state = SLOT_PUBLISHED;
		t.slots[id].msg = t.next_msg++;
		send_packet(&t.to_us, MQTT_PUBLISH, id, t.slots[id].msg);
		search_emit(search, &t, "the broker publishes %u as %u", s->next_msg, id);
	}
	next_packets(search, s, o);
	next_faults(search, s, o);
}

static const char *in_check(const void *state, const void *options)
{
	const struct in_options *o = options;
	const struct in_state *s = state;
	if (s->early)
		return "acknowledged before it was durable";
	for (uint8_t msg = 0; msg < o->msgs; msg++)
		if (s->stored[msg] > 1)
			return "a message is journalled twice";
	for (uint8_t msg = 0; msg < s->next_msg; msg++) {
		bool with_broker = false;
		for (uint8_t id = 0; id < IDS; id++)
			with_broker |= s->slots[id].state == SLOT_PUBLISHED && s->slots[id].msg == msg;
		if (!with_broker && !s->stored[msg] && !s->excused[msg])
			return "a message is neither at the broker nor journalled";
	}
	return NULL;
}

static const char *in_final(const void *state, const void *options)
{
	const struct in_options *o = options;
	const struct in_state *s = state;
	for (uint8_t msg = 0; msg < o->msgs; msg++)
		if (!s->stored[msg] && !s->excused[msg])
			return "a message is stuck";
	for (uint8_t id = 0; id < IDS; id++)
		if (s->slots[id].state != SLOT_FREE)
			return "an exchange is stuck";
	return NULL;
}

const struct model model_in = {
	.name = "QoS 2 in",
	.size = sizeof(struct in_state),
	.init = in_init,
	.next = in_next,
	.check = in_check,
	.final = in_final,
};
