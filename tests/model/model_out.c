/* SPDX-License-Identifier: Apache-2.0
 *
 * QoS 2 outwards: messages that are durable in our journal, the sender's half (connectors/mqtt/qos2_out.c, the very code
 * that runs), the courier and the journal around it, and a broker. What may happen at any step: the connection is cut and
 * with it all that was on its way; our process ends and any part of what was not yet durable is on the disk; the broker
 * loses the session; it refuses a message. Rules: no message is delivered twice or never, but for what a lost session
 * makes ambiguous.
 */
#include "tests/model/model.h"

#include <string.h>

#include "connectors/mqtt/codec.h"
#include "connectors/mqtt/qos2_out.h"

#define MAX_MSGS    3
#define IDS         2 /* seq + IDS has the identifier of seq */
#define MAX_CHANNEL 3
#define MAX_TAIL    4

enum { WAITING, IN_FLIGHT, DONE, PARKED };
enum { FRAME_STAGE, FRAME_DONE, FRAME_VOID };

struct packet {
	uint8_t type, id, msg, reason;
};

struct channel {
	struct packet packets[MAX_CHANNEL];
	uint8_t n;
};

struct frame {
	uint8_t type, msg, stage;
	uint8_t current; /* of FRAME_IS_… */
};

/* Asked for on the connection that still is, on an earlier one, on one before the session was lost. */
enum { FRAME_IS_OLD, FRAME_IS_CURRENT, FRAME_IS_VOID };

struct message_state {
	uint8_t state, held_stage, maybe_sent, sent; /* sent: the PUBLISH of this connection */
	uint8_t session_lost;
	struct qos2_out out;
	uint8_t durable_stage, durable_done;
	uint8_t delivered, ever_sent;
	uint8_t ambiguous; /* was under way when the session was lost */
	uint8_t unwritten; /* the journal does not know of the loss of its session yet */
	uint8_t excused; /* our process ended in that moment: to the next one the session seems to have been kept */
};

struct out_state {
	struct message_state msgs[MAX_MSGS];
	struct channel to_broker, to_us;
	struct frame tail[MAX_TAIL]; /* appended, not durable */
	uint8_t n_tail;
	uint8_t known[IDS]; /* the broker's open identifiers: message + 1, 0xff for one of others */
	uint8_t session, connected;
	uint8_t cuts, crashes, losses, refusals; /* left */
};

static void send_packet(struct channel *channel, enum mqtt_type type, uint8_t id, uint8_t msg, uint8_t reason)
{
	channel->packets[channel->n++] = (struct packet){(uint8_t)type, id, msg, reason};
}

static struct packet take_packet(struct channel *channel)
{
	struct packet first = channel->packets[0];
	memmove(channel->packets, channel->packets + 1, sizeof channel->packets - sizeof first);
	memset(&channel->packets[--channel->n], 0, sizeof first);
	return first;
}

static void append(struct out_state *s, uint8_t type, uint8_t msg, uint8_t stage)
{
	s->tail[s->n_tail++] = (struct frame){type, msg, stage, 1};
}

/* --- our side ------------------------------------------------------------------------------------------------------- */

static void finish(struct out_state *s, uint8_t msg, uint8_t state)
{
	s->msgs[msg].state = state;
	s->msgs[msg].sent = 0;
	memset(&s->msgs[msg].out, 0, sizeof s->msgs[msg].out);
	append(s, FRAME_DONE, msg, 0);
}

static void step(struct out_state *s, uint8_t msg, enum qos2_out_step what, uint8_t stage, const struct out_options *o)
{
	struct message_state *m = &s->msgs[msg];
	switch (what) {
	case QOS2_OUT_WAIT:
	case QOS2_OUT_PUBLISH:
		break;
	case QOS2_OUT_PUBREL:
		m->sent = 1;
		send_packet(&s->to_broker, MQTT_PUBREL, msg % IDS, msg, 0);
		break;
	case QOS2_OUT_STAGE:
		if (m->out.state == QOS2_OUT_REOPENING)
			m->sent = 0;
		append(s, FRAME_STAGE, msg, stage);
		if ((o->wrong == OUT_STAGE_NOT_DURABLE && stage == QOS2_STAGE_RECEIVED) ||
			(o->wrong == OUT_GIVEN_UP_AT_ONCE && stage == QOS2_STAGE_GIVEN_UP))
			step(s, msg, qos2_out_stage_durable(&m->out, stage), 0, o);
		break;
	case QOS2_OUT_DELIVERED:
		finish(s, msg, DONE);
		break;
	case QOS2_OUT_REFUSED:
		m->state = WAITING;
		m->sent = 0;
		memset(&m->out, 0, sizeof m->out);
		break;
	case QOS2_OUT_PARK:
	case QOS2_OUT_BURY:
		finish(s, msg, PARKED);
		break;
	}
}

/* One frame of the tail is durable. */
static void harden(struct out_state *s, const struct out_options *o, bool tell)
{
	struct frame frame = s->tail[0];
	struct message_state *m = &s->msgs[frame.msg];
	memmove(s->tail, s->tail + 1, sizeof s->tail - sizeof frame);
	memset(&s->tail[--s->n_tail], 0, sizeof frame);
	if (frame.type == FRAME_DONE) {
		m->durable_done = m->state == PARKED ? 2 : 1;
		return;
	}
	if (frame.type == FRAME_VOID) {
		for (uint8_t msg = 0; msg < o->msgs; msg++) {
			if (frame.stage == s->losses) /* of the last loss, not of one before */
				s->msgs[msg].unwritten &= o->park; /* until it is parked */
			if (o->wrong != OUT_LOSS_NOT_WRITTEN)
				s->msgs[msg].durable_stage = 0;
		}
		return;
	}
	m->durable_stage = frame.stage;
	if (frame.current == FRAME_IS_VOID)
		return;
	m->held_stage = frame.stage;
	if (tell && frame.current == FRAME_IS_CURRENT && m->state == IN_FLIGHT)
		step(s, frame.msg, qos2_out_stage_durable(&m->out, frame.stage), 0, o);
}

/* In seq order, within the rule of one undone seq per identifier. */
static bool may_send(const struct out_state *s, uint8_t msg)
{
	if (!s->connected || s->msgs[msg].state != WAITING)
		return false;
	for (uint8_t i = 0; i < msg; i++)
		if (s->msgs[i].state == WAITING || (i + IDS <= msg && !s->msgs[i].durable_done))
			return false;
	return true;
}

static void begin(struct out_state *s, uint8_t msg, const struct out_options *o)
{
	struct message_state *m = &s->msgs[msg];
	m->state = IN_FLIGHT;
	bool lost = m->session_lost;
	m->session_lost = 0;
	step(s, msg, qos2_out_begin(&m->out, m->held_stage, m->maybe_sent, lost, o->park), 0, o);
}

/* What the courier does when the link comes up (courier_link_up, stages_void). */
static void connect(struct out_state *s, const struct out_options *o)
{
	bool lost = !s->session && o->wrong != OUT_LOSS_IGNORED;
	bool any = false;
	s->connected = s->session = 1;
	for (uint8_t i = 0; i < s->n_tail; i++)
		any |= s->tail[i].type == FRAME_STAGE;
	for (uint8_t msg = 0; lost && msg < o->msgs; msg++) {
		struct message_state *m = &s->msgs[msg];
		any |= m->durable_stage != 0;
		m->held_stage = 0;
		m->session_lost |= m->state == WAITING && m->maybe_sent;
	}
	for (uint8_t i = 0; lost && i < s->n_tail; i++)
		s->tail[i].current = FRAME_IS_VOID;
	if (!lost)
		return;
	if (any)
		append(s, FRAME_VOID, 0, s->losses);
	for (uint8_t msg = 0; !any && !o->park && msg < o->msgs; msg++)
		s->msgs[msg].unwritten = 0;
}

/* Deliveries are published in the order in which they were given. */
static bool may_publish(const struct out_state *s, uint8_t msg)
{
	const struct message_state *m = &s->msgs[msg];
	if (!s->connected || m->state != IN_FLIGHT || m->sent || m->out.state != QOS2_OUT_PUBLISHED)
		return false;
	for (uint8_t i = 0; i < msg; i++)
		if (s->msgs[i].state == IN_FLIGHT && !s->msgs[i].sent)
			return false;
	return true;
}

static void from_broker(struct out_state *s, const struct out_options *o)
{
	struct packet packet = take_packet(&s->to_us);
	for (uint8_t msg = 0; msg < o->msgs; msg++) {
		struct message_state *m = &s->msgs[msg];
		uint8_t stage = 0;
		if (m->state != IN_FLIGHT || !m->sent || msg % IDS != packet.id)
			continue;
		enum qos2_out_step what = packet.type == MQTT_PUBREC ? qos2_out_pubrec(&m->out, packet.reason, &stage)
								     : qos2_out_pubcomp(&m->out, &stage);
		if (packet.reason == MQTT_PACKET_IDENTIFIER_IN_USE && s->known[packet.id] == 0xff && m->out.repeated)
			m->excused = 1; /* a stale identifier and a repetition: taken for the repetition's */
		step(s, msg, what, stage, o);
		return;
	}
}

static void end_connection(struct out_state *s)
{
	s->connected = 0;
	memset(&s->to_broker, 0, sizeof s->to_broker);
	memset(&s->to_us, 0, sizeof s->to_us);
	for (uint8_t i = 0; i < s->n_tail; i++)
		if (s->tail[i].current == FRAME_IS_CURRENT)
			s->tail[i].current = FRAME_IS_OLD;
	for (uint8_t msg = 0; msg < MAX_MSGS; msg++) {
		struct message_state *m = &s->msgs[msg];
		if (m->state == IN_FLIGHT) {
			m->state = WAITING;
			m->maybe_sent = 1;
		}
		m->sent = 0;
		memset(&m->out, 0, sizeof m->out);
	}
}

/* The process ends with the first `kept` frames of the tail on the disk, and a new one begins. */
static void crash(struct out_state *s, uint8_t kept, const struct out_options *o)
{
	end_connection(s);
	for (uint8_t i = 0; i < kept; i++)
		harden(s, o, false);
	memset(s->tail, 0, sizeof s->tail);
	s->n_tail = 0;
	for (uint8_t msg = 0; msg < o->msgs; msg++) {
		struct message_state *m = &s->msgs[msg];
		m->held_stage = m->durable_stage;
		m->session_lost = 0;
		m->state = m->durable_done == 0 ? WAITING : m->durable_done == 1 ? DONE : PARKED;
		m->maybe_sent = m->state == WAITING;
		if (m->unwritten && s->session)
			m->excused = 1;
	}
}

/* --- the broker ----------------------------------------------------------------------------------------------------- */

static void to_broker(struct out_state *s, bool refuse, const struct out_options *o)
{
	struct packet packet = take_packet(&s->to_broker);
	uint8_t *known = &s->known[packet.id];
	if (packet.type == MQTT_PUBREL) {
		if (!o->at_publish && *known && *known != 0xff)
			s->msgs[*known - 1].delivered++;
		*known = 0;
		send_packet(&s->to_us, MQTT_PUBCOMP, packet.id, 0, 0);
		return;
	}
	if (refuse) {
		send_packet(&s->to_us, MQTT_PUBREC, packet.id, 0, MQTT_QUOTA_EXCEEDED);
		return;
	}
	uint8_t reason = *known && o->by_number ? MQTT_PACKET_IDENTIFIER_IN_USE : 0;
	if (!*known) {
		*known = packet.msg + 1;
		if (o->at_publish)
			s->msgs[packet.msg].delivered++;
	}
	send_packet(&s->to_us, MQTT_PUBREC, packet.id, 0, reason);
}

static void lose_session(struct out_state *s, const struct out_options *o)
{
	end_connection(s);
	s->session = 0;
	memset(s->known, 0, sizeof s->known);
	for (uint8_t msg = 0; msg < o->msgs; msg++) {
		struct message_state *m = &s->msgs[msg];
		if (!m->ever_sent || m->durable_done)
			continue;
		m->ambiguous = 1;
		m->unwritten = 1;
	}
}

/* --- the model ------------------------------------------------------------------------------------------------------ */

static void out_init(void *state, const void *options)
{
	const struct out_options *o = options;
	struct out_state *s = state;
	for (uint8_t msg = o->msgs; msg < MAX_MSGS; msg++)
		s->msgs[msg].state = DONE;
	s->cuts = o->cuts;
	s->crashes = o->crashes;
	s->losses = o->losses;
	s->refusals = o->refusals;
	if (o->stale) { /* our data folder was emptied while the broker kept the session */
		s->session = 1;
		s->known[0] = 0xff;
	}
}

static void next_faults(struct search *search, const struct out_state *s, const struct out_options *o)
{
	struct out_state t;
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
		lose_session(&t, o);
		search_emit(search, &t, "the broker loses the session");
	}
}

static void next_packets(struct search *search, const struct out_state *s, const struct out_options *o)
{
	struct out_state t;
	/* A packet may bring an answer, and what we hear a frame or a packet. */
	if (s->to_broker.n && s->to_us.n < MAX_CHANNEL) {
		t = *s;
		to_broker(&t, false, o);
		search_emit(search, &t, "the broker takes a %s",
			s->to_broker.packets[0].type == MQTT_PUBREL ? "PUBREL" : "PUBLISH");
		if (s->refusals && s->to_broker.packets[0].type == MQTT_PUBLISH &&
			!s->known[s->to_broker.packets[0].id]) {
			t = *s;
			t.refusals--;
			to_broker(&t, true, o);
			search_emit(search, &t, "the broker refuses");
		}
	}
	if (s->to_us.n && s->n_tail < MAX_TAIL && s->to_broker.n < MAX_CHANNEL) {
		t = *s;
		from_broker(&t, o);
		search_emit(search, &t, "we take a %s", s->to_us.packets[0].type == MQTT_PUBREC ? "PUBREC" : "PUBCOMP");
	}
}

static void out_next(struct search *search, const void *state, const void *options)
{
	const struct out_options *o = options;
	const struct out_state *s = state;
	struct out_state t;
	if (!s->connected && s->n_tail < MAX_TAIL) {
		t = *s;
		connect(&t, o);
		search_emit(search, &t, "connect, session present: %u", s->session);
	}
	if (s->n_tail && s->to_broker.n < MAX_CHANNEL) {
		t = *s;
		harden(&t, o, true);
		search_emit(search, &t, "durable");
	}
	for (uint8_t msg = 0; msg < o->msgs; msg++) {
		t = *s;
		if (may_send(s, msg) && s->n_tail < MAX_TAIL && s->to_broker.n < MAX_CHANNEL) {
			begin(&t, msg, o);
			search_emit(search, &t, "begin %u", msg);
		} else if (may_publish(s, msg) && s->to_broker.n < MAX_CHANNEL) {
			t.msgs[msg].sent = t.msgs[msg].ever_sent = 1;
			send_packet(&t.to_broker, MQTT_PUBLISH, msg % IDS, msg, 0);
			search_emit(search, &t, "publish %u%s", msg, s->msgs[msg].out.repeated ? " again" : "");
		}
		if (o->shrinks && may_publish(s, msg) && s->msgs[msg].out.repeated && s->n_tail < MAX_TAIL) {
			uint8_t stage = 0;
			t = *s;
			t.msgs[msg].sent = 1;
			enum qos2_out_step what = qos2_out_give_up(&t.msgs[msg].out, &stage);
			step(&t, msg, what, stage, o);
			search_emit(search, &t, "give up %u", msg);
		}
	}
	next_packets(search, s, o);
	next_faults(search, s, o);
}

static const char *out_check(const void *state, const void *options)
{
	const struct out_options *o = options;
	const struct out_state *s = state;
	for (uint8_t msg = 0; msg < o->msgs; msg++) {
		const struct message_state *m = &s->msgs[msg];
		if (m->delivered > 1 && !m->ambiguous)
			return "a message is delivered twice";
		if (m->delivered > 1 + o->losses || (m->delivered > 1 && o->park && !m->excused))
			return "a message is delivered more often than sessions were lost";
		if (m->durable_done == 1 && m->delivered == 0 && !m->excused)
			return "a message is done and was never delivered";
	}
	return NULL;
}

static const char *out_final(const void *state, const void *options)
{
	const struct out_options *o = options;
	const struct out_state *s = state;
	for (uint8_t msg = 0; msg < o->msgs; msg++)
		if (!s->msgs[msg].durable_done)
			return "a message is stuck";
	return NULL;
}

const struct model model_out = {
	.name = "QoS 2 out",
	.size = sizeof(struct out_state),
	.init = out_init,
	.next = out_next,
	.check = out_check,
	.final = out_final,
};
