/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries on their way to a broker.
 */
#include "connectors/mqtt/sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/convert.h"
#include "connectors/mqtt/qos2_out.h"
#include "runtime/log.h"

#define WINDOW_5     1000 /* unless the broker or the user allows less */
#define WINDOW_3_1_1 20 /* a broker has a limit and cannot say so; this is mosquitto's */
#define WINDOW_QOS2  10 /* of these, QoS 2 in 3.1.1: past its limit mosquitto loses messages and yet answers PUBREC */
#define LONG_QUEUE   (256u * 1024) /* bytes to be written beyond which deliveries wait un-encoded */
#define UNANSWERED   5 /* connections, before it is an alarm */
#define BAR_FIRST_MS 1000 /* the first wait after "not authorized"; it doubles up to reconnect_max */

struct flight {
	struct flight *prev, *next; /* in a list */
	struct flight *hash_next;
	uint64_t seq;
	struct message *msg; /* borrowed */
	uint64_t end; /* of its bytes in the session's stream */
	uint64_t written_ms;
	uint16_t packet_id;
	uint8_t qos;
	struct qos2_out out; /* QoS 2 */
	bool maybe_sent;
	bool sent; /* the PUBLISH of this connection is encoded */
	bool hashed;
	enum outcome_kind kind; /* in the list `ended` */
	const char *reason; /* static */
	int64_t shift_ms; /* of the delivery */
};

/* First to last; a circle through the head. */
struct flight_list {
	struct flight head;
};

struct mqtt_sink {
	struct mqtt_sink_options options;
	bool up;
	struct mqtt_session_terms terms;
	struct flight *flights;
	uint32_t window, allocated;
	struct flight *free;
	struct flight_list pending, writing, awaiting, journal, ended;
	uint32_t n_flights, n_qos2; /* QoS 2: those whose PUBLISH this session has or may have */
	struct flight **by_id; /* buckets, n_buckets a power of two */
	uint32_t n_buckets;
	struct cloudevent_writer events;
	uint8_t uuid[16]; /* of the destination */
	struct message_field scratch[MESSAGE_MAX_FIELDS + CLOUDEVENT_MORE_FIELDS + 1];
	struct loop_job job;
	struct loop_timer *timer;
	struct mqtt_sink_counters counters;
	bool resumed,
		answered; /* on this connection: PUBRELs of an earlier one were repeated; any acknowledgement came */
	unsigned unanswered; /* connections in a row that ended resumed and not answered */

	/* Barred: the broker has said that we are not authorized. Nothing is sent until bar_timer. */
	bool barred;
	uint64_t bar_ms;
	struct loop_timer *bar_timer;
};

/* --- lists ----------------------------------------------------------------------------------------------------------------- */

static void list_init(struct flight_list *list)
{
	list->head.prev = list->head.next = &list->head;
}

static struct flight *list_first(struct flight_list *list)
{
	return list->head.next == &list->head ? NULL : list->head.next;
}

static void list_remove(struct flight *flight)
{
	flight->prev->next = flight->next;
	flight->next->prev = flight->prev;
}

static void list_append(struct flight_list *list, struct flight *flight)
{
	flight->prev = list->head.prev;
	flight->next = &list->head;
	flight->prev->next = flight->next->prev = flight;
}

static void list_move(struct flight_list *list, struct flight *flight)
{
	list_remove(flight);
	list_append(list, flight);
}

/* --- flights ------------------------------------------------------------------------------------------------------------------ */

/* The same for a seq in every process, so that a repetition can be known as one. */
static uint16_t mqtt_packet_id(uint64_t seq)
{
	return (uint16_t)(1 + seq % MQTT_SESSION_LAST_ID);
}

static struct flight **sink_bucket(struct mqtt_sink *sink, uint16_t packet_id)
{
	return &sink->by_id[packet_id & (sink->n_buckets - 1)];
}

static struct flight *sink_find(struct mqtt_sink *sink, uint16_t packet_id)
{
	struct flight *flight = sink->n_buckets ? *sink_bucket(sink, packet_id) : NULL;
	while (flight && flight->packet_id != packet_id)
		flight = flight->hash_next;
	return flight;
}

static void sink_hash(struct mqtt_sink *sink, struct flight *flight)
{
	struct flight **bucket = sink_bucket(sink, flight->packet_id);
	flight->hash_next = *bucket;
	flight->hashed = true;
	*bucket = flight;
}

static struct flight *sink_find_seq(struct mqtt_sink *sink, uint64_t seq)
{
	struct flight *flight = sink_find(sink, mqtt_packet_id(seq));
	return flight && flight->seq == seq ? flight : NULL;
}

static void sink_release(struct mqtt_sink *sink, struct flight *flight)
{
	list_remove(flight);
	sink->n_flights--;
	sink->n_qos2 -= flight->qos == 2 && flight->sent;
	if (flight->hashed) {
		struct flight **link = sink_bucket(sink, flight->packet_id);
		while (*link != flight)
			link = &(*link)->hash_next;
		*link = flight->hash_next;
	}
	flight->next = sink->free;
	sink->free = flight;
}

static void sink_reset(struct mqtt_sink *sink)
{
	list_init(&sink->pending);
	list_init(&sink->writing);
	list_init(&sink->awaiting);
	list_init(&sink->journal);
	list_init(&sink->ended);
	sink->n_flights = sink->n_qos2 = 0;
	sink->free = NULL;
	for (uint32_t i = sink->window; i-- > 0;) {
		sink->flights[i].next = sink->free;
		sink->free = &sink->flights[i];
	}
	for (uint32_t i = 0; i < sink->n_buckets; i++)
		sink->by_id[i] = NULL;
}

/* Once nothing is under way any more the wait begins; until then what is may still end well. */
static void sink_arm_bar(struct mqtt_sink *sink)
{
	if (!sink->barred || sink->n_flights > 0 || loop_timer_running(sink->bar_timer))
		return;
	uint64_t max_ms = sink->options.settings->reconnect_max_ms;
	sink->bar_ms = sink->bar_ms ? sink->bar_ms * 2 : BAR_FIRST_MS;
	if (sink->bar_ms > max_ms)
		sink->bar_ms = max_ms;
	loop_timer_start(sink->bar_timer, sink->bar_ms);
}

/* Ends a delivery. The host may send the next one from inside. */
static void sink_outcome(struct mqtt_sink *sink, struct flight *flight, enum outcome_kind kind, const char *reason)
{
	uint64_t seq = flight->seq;
	sink_release(sink, flight);
	/* LINK_DOWN is given here for an answer of the broker's alone: a refusal. */
	struct outcome outcome = {.kind = kind, .reason = reason, .not_taken = kind == OUTCOME_LINK_DOWN};
	sink->options.host->ops->outcome(sink->options.host, seq, &outcome);
	if (sink->up && list_first(&sink->pending))
		loop_post(sink->options.loop, &sink->job); /* it may have waited for this one */
	sink_arm_bar(sink);
}

/* The same, from the loop. */
static void sink_end_later(struct mqtt_sink *sink, struct flight *flight, enum outcome_kind kind, const char *reason)
{
	flight->kind = kind;
	flight->reason = reason;
	list_move(&sink->ended, flight);
	loop_post(sink->options.loop, &sink->job);
}

static enum outcome_kind sink_outcome_of(uint8_t reason)
{
	switch (reason) {
	case MQTT_SUCCESS:
	case MQTT_NO_MATCHING_SUBSCRIBERS:
		return OUTCOME_DELIVERED;
	case MQTT_TOPIC_NAME_INVALID:
	case MQTT_PACKET_TOO_LARGE:
	case MQTT_PAYLOAD_FORMAT_INVALID:
		return OUTCOME_REJECTED;
	default:
		return reason < MQTT_UNSPECIFIED_ERROR ? OUTCOME_DELIVERED : OUTCOME_RETRY;
	}
}

static void sink_alarm_of_rights(struct mqtt_sink *sink, struct slice topic)
{
	char name[201], what[300];
	size_t len = topic.len < sizeof name ? topic.len : sizeof name - 1;
	while (len < topic.len && len && ((uint8_t)topic.data[len] & 0xc0) == 0x80) /* not within a character */
		len--;
	for (size_t i = 0; i < len; i++)
		name[i] = topic.data[i] == '"' ? '\'' : (char)topic.data[i];
	name[len] = '\0';
	snprintf(
		what, sizeof what, "the broker does not let linkspan publish to %s; grant it, the messages wait", name);
	sink->options.host->ops->alarm(sink->options.host, what);
}

/* Not about this message alone: whoever may not publish it may as little publish the next one. The courier pauses; what
 * is in flight ends as it may, and after a while it is tried again. */
static void sink_bar(struct mqtt_sink *sink, struct flight *flight, const char *why)
{
	if (!sink->barred)
		sink_alarm_of_rights(sink, message_view(flight->msg)->topic);
	sink->barred = true;
	sink_outcome(sink, flight, OUTCOME_LINK_DOWN, why);
}

static void sink_on_bar_timer(void *arg)
{
	struct mqtt_sink *sink = arg;
	struct sink_traits traits = {.max_in_flight = sink->window};
	sink->barred = false;
	sink->options.host->ops->link_up(sink->options.host, &traits);
}

/* --- sending ------------------------------------------------------------------------------------------------------------------- */

/* Waits for the broker's next word. */
static void sink_await(struct mqtt_sink *sink, struct flight *flight)
{
	flight->written_ms = loop_now_ms(sink->options.loop);
	list_move(&sink->awaiting, flight);
	loop_post(sink->options.loop, &sink->job); /* what was appended goes out, and the timer is armed */
}

static void sink_count_ambiguous(struct mqtt_sink *sink, const char *what)
{
	sink->counters.ambiguous++;
	log_warn("mqtt_delivery_ambiguous",
		"connection=%s what=\"the broker has lost the session; what may have been delivered in it is %s\"",
		sink->options.name, what);
}

static void sink_ask_stage(struct mqtt_sink *sink, struct flight *flight, uint8_t stage)
{
	if (flight->out.state == QOS2_OUT_CLEARING) {
		sink->counters.identifiers_in_use++;
		log_warn("mqtt_identifier_in_use",
			"connection=%s id=%u what=\"the broker has it from another message, which is released first\"",
			sink->options.name, flight->packet_id);
	}
	if (flight->out.state == QOS2_OUT_REOPENING) {
		/* To be published once more; its place in the order is behind what was sent meanwhile. */
		flight->sent = false;
		sink->n_qos2--;
		list_move(&sink->pending, flight);
	} else {
		list_move(&sink->journal, flight);
	}
	sink->options.host->ops->stage(sink->options.host, flight->seq, stage);
}

static void sink_bury(struct mqtt_sink *sink, struct flight *flight)
{
	char why[320];
	snprintf(why, sizeof why, "cannot be sent again, and may have been delivered before: %s",
		flight->reason ? flight->reason
			       : "an earlier connection found that it has no form that the broker takes");
	sink_outcome(sink, flight, OUTCOME_REJECTED, why);
}

static void sink_step(struct mqtt_sink *sink, struct flight *flight, enum qos2_out_step step, uint8_t stage)
{
	switch (step) {
	case QOS2_OUT_WAIT:
	case QOS2_OUT_PUBLISH: /* it is pending */
		break;
	case QOS2_OUT_PUBREL:
		if (!flight->sent)
			sink->n_qos2++;
		flight->sent = true;
		mqtt_session_ack(sink->options.session, MQTT_PUBREL, flight->packet_id, MQTT_SUCCESS);
		sink_await(sink, flight);
		break;
	case QOS2_OUT_STAGE:
		sink_ask_stage(sink, flight, stage);
		break;
	case QOS2_OUT_DELIVERED:
		sink->bar_ms = 0;
		sink_outcome(sink, flight, OUTCOME_DELIVERED, NULL);
		break;
	case QOS2_OUT_REFUSED: /* sink_answered */
		break;
	case QOS2_OUT_PARK:
		/* At once: if the connection ended first, it would be sent again on the next one. */
		sink_outcome(sink, flight, OUTCOME_REJECTED,
			"the broker lost the session; the message may have been delivered in it (on_session_loss: "
			"park)");
		break;
	case QOS2_OUT_BURY:
		sink_bury(sink, flight);
		break;
	}
}

static const char *sink_encode_problem(int error)
{
	switch (error) {
	case -EMSGSIZE:
		return "larger than the broker's Maximum Packet Size, or a text longer than 65535 bytes";
	case -EILSEQ:
		return "topic or a header is not UTF-8 that MQTT allows, or the topic is no topic name";
	default:
		return "the message has no form that MQTT allows";
	}
}

/* Can never be sent. A QoS 2 message that the broker may hold from an earlier connection is brought to its end there first. */
static void sink_reject(struct mqtt_sink *sink, struct flight *flight, const char *why)
{
	uint8_t stage = 0;
	if (flight->qos < 2 || !flight->out.repeated) {
		sink_end_later(sink, flight, OUTCOME_REJECTED, why);
		return;
	}
	flight->reason = why;
	enum qos2_out_step step = qos2_out_give_up(&flight->out, &stage);
	sink_step(sink, flight, step, stage);
}

/* True when the broker has said that it does not take such a message. */
static bool sink_refuses_terms(struct mqtt_sink *sink, struct flight *flight, const struct message_view *view)
{
	if (flight->qos > sink->terms.maximum_qos) {
		const char *what =
			sink->terms.maximum_qos == 0
				? "the broker takes only QoS 0; give `to` qos: 0 or use another broker"
				: "the broker takes only QoS 0 and 1; give `to` qos: 1 or use another broker";
		sink->options.host->ops->alarm(sink->options.host, what);
		mqtt_session_reconnect(sink->options.session, MQTT_AGAIN_SLOWLY, what);
		return true; /* it ends with the connection */
	}
	if (view->retain && !sink->terms.retain_available) {
		sink_reject(sink, flight, "the broker does not support retained messages");
		return true;
	}
	return false;
}

/* In 3.1.1 the broker's limit of QoS 2 messages is not known, and to pass it loses them. */
static bool sink_qos2_is_full(const struct mqtt_sink *sink)
{
	uint32_t limit = sink->options.settings->max_in_flight > 0 ? sink->window : WINDOW_QOS2;
	return sink->terms.receive_maximum == 0 && sink->n_qos2 >= limit;
}

static bool sink_is_repetition(const struct mqtt_sink *sink, const struct flight *flight)
{
	if (flight->qos == 2)
		return flight->out.repeated;
	return flight->qos > 0 && flight->maybe_sent && sink->terms.session_present;
}

/* For its stage to be durable, or for another one to end: both post the job. */
static bool sink_has_to_wait(const struct mqtt_sink *sink, const struct flight *flight)
{
	return flight->qos == 2 && (flight->out.state != QOS2_OUT_PUBLISHED || sink_qos2_is_full(sink));
}

static void sink_cannot(struct mqtt_sink *sink, struct flight *flight, int error, const char *why)
{
	if (error == -ENOMEM) /* no fault of the message, so no attempt of it */
		mqtt_session_reconnect(sink->options.session, MQTT_AGAIN_BACKOFF, "out of memory");
	else
		sink_reject(sink, flight, why);
}

/* Encodes a delivery that is PENDING. False when it has to wait, and what follows with it. */
static bool sink_encode(struct mqtt_sink *sink, struct flight *flight)
{
	struct message_view out;
	const char *wrong = NULL;
	if (sink_has_to_wait(sink, flight))
		return false;
	if (sink_refuses_terms(sink, flight, message_view(flight->msg)))
		return true;
	int r = cloudevent_writer_make(&sink->events, sink->uuid, flight->seq, message_view(flight->msg), &out, &wrong);
	if (r < 0) {
		sink_cannot(sink, flight, r, wrong);
		return true;
	}
	struct mqtt_publish publish;
	struct mqtt_properties props;
	uint64_t now_ms = loop_wall_ms(sink->options.loop) - (uint64_t)flight->shift_ms;
	char waited[MARKERS_WAITED_SIZE];
	convert_to_publish(&out, now_ms, flight->qos, sink->scratch, &publish, &props);
	convert_add_waited(&out, now_ms, sink->scratch, waited, &props);
	publish.packet_id = flight->packet_id;
	publish.dup = sink_is_repetition(sink, flight);
	r = mqtt_session_publish(sink->options.session, &publish, &props);
	if (r == -ENOBUFS || r == -ENOTCONN)
		return false;
	if (r < 0) {
		sink_cannot(sink, flight, r, sink_encode_problem(r));
	} else {
		flight->sent = true;
		sink->n_qos2 += flight->qos == 2;
		flight->end = mqtt_session_appended(sink->options.session);
		list_move(&sink->writing, flight);
	}
	return true;
}

static bool sink_queue_is_long(const struct mqtt_sink *sink)
{
	const struct mqtt_session *session = sink->options.session;
	return mqtt_session_appended(session) - mqtt_session_written(session) >= LONG_QUEUE;
}

static void sink_encode_pending(struct mqtt_sink *sink)
{
	struct flight *flight;
	while ((flight = list_first(&sink->pending)) && !sink_queue_is_long(sink)) {
		if (!sink_encode(sink, flight) || list_first(&sink->pending) == flight)
			break;
	}
}

static void sink_begin_qos2(struct mqtt_sink *sink, struct flight *flight, const struct delivery *delivery)
{
	bool park = sink->options.settings->on_session_loss == MQTT_SESSION_LOSS_PARK;
	sink->resumed |= delivery->stage != QOS2_STAGE_PUBLISH;
	if (delivery->session_lost)
		sink_count_ambiguous(sink, park ? "parked in the dead letters" : "sent again");
	sink_step(sink, flight,
		qos2_out_begin(&flight->out, delivery->stage, delivery->maybe_sent, delivery->session_lost, park), 0);
}

void mqtt_sink_send(struct mqtt_sink *sink, const struct delivery *delivery)
{
	struct flight *flight = sink->free;
	uint16_t packet_id = mqtt_packet_id(delivery->seq);
	uint8_t qos = message_view(delivery->msg)->qos;
	memcpy(sink->uuid, delivery->destination_uuid, sizeof sink->uuid);
	if (!flight) {
		/* Past the window: nothing that a sound host does. */
		struct outcome outcome = {.kind = OUTCOME_RETRY, .reason = "too many in flight"};
		sink->options.host->ops->outcome(sink->options.host, delivery->seq, &outcome);
		return;
	}
	sink->free = flight->next;
	sink->n_flights++;
	*flight = (struct flight){
		.seq = delivery->seq,
		.msg = delivery->msg,
		.packet_id = packet_id,
		.qos = qos,
		.maybe_sent = delivery->maybe_sent,
		.shift_ms = delivery->shift_ms,
	};
	list_append(&sink->pending, flight);
	if (flight->qos == 0) {
		flight->packet_id = 0;
	} else if (sink_find(sink, packet_id)) {
		sink_end_later(sink, flight, OUTCOME_RETRY, "an older message has the same packet identifier");
		return;
	} else {
		sink_hash(sink, flight);
	}
	if (flight->qos == 2)
		sink_begin_qos2(sink, flight, delivery);
	sink_encode_pending(sink);
}

/* --- what the kernel has ------------------------------------------------------------------------------------------------------------ */

static void sink_arm(struct mqtt_sink *sink)
{
	const struct flight *oldest = list_first(&sink->awaiting);
	if (!oldest || loop_timer_running(sink->timer))
		return;
	uint64_t due_ms = oldest->written_ms + sink->options.settings->ack_timeout_ms;
	uint64_t now_ms = loop_now_ms(sink->options.loop);
	loop_timer_start(sink->timer, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void sink_on_timer(void *arg)
{
	struct mqtt_sink *sink = arg;
	const struct flight *oldest = list_first(&sink->awaiting);
	uint64_t now_ms = loop_now_ms(sink->options.loop);
	if (oldest && now_ms - oldest->written_ms >= sink->options.settings->ack_timeout_ms)
		mqtt_session_reconnect(sink->options.session, MQTT_AGAIN_BACKOFF,
			"the broker did not acknowledge a message within ack_timeout");
	else
		sink_arm(sink);
}

/* What is written waits for its PUBACK or PUBREC; QoS 0 has ended. */
static void sink_settle_written(struct mqtt_sink *sink)
{
	struct flight *flight;
	uint64_t written = mqtt_session_written(sink->options.session);
	uint64_t now_ms = loop_now_ms(sink->options.loop);
	while (sink->up && (flight = list_first(&sink->writing)) && flight->end <= written) {
		if (flight->qos > 0) {
			flight->written_ms = now_ms;
			list_move(&sink->awaiting, flight);
		} else {
			sink_outcome(sink, flight, OUTCOME_DELIVERED, NULL);
		}
	}
	sink_arm(sink);
}

static void sink_on_job(void *arg)
{
	struct mqtt_sink *sink = arg;
	struct flight *flight;
	/* What is put there meanwhile waits for the next turn. */
	struct flight *last = sink->ended.head.prev;
	while (sink->up && (flight = list_first(&sink->ended))) {
		bool was_last = flight == last;
		sink_outcome(sink, flight, flight->kind, flight->reason);
		if (was_last)
			break;
	}
	if (!sink->up)
		return;
	mqtt_sink_written(sink);
	if (list_first(&sink->ended))
		loop_post(sink->options.loop, &sink->job);
}

void mqtt_sink_written(struct mqtt_sink *sink)
{
	if (!sink->up)
		return;
	sink_settle_written(sink);
	sink_encode_pending(sink);
	mqtt_sink_send_end(sink);
}

void mqtt_sink_send_end(struct mqtt_sink *sink)
{
	mqtt_session_flush(sink->options.session);
	const struct flight *oldest = list_first(&sink->writing);
	bool settled = oldest && oldest->end <= mqtt_session_written(sink->options.session);
	const struct flight *next = list_first(&sink->pending);
	if (settled || (next && !sink_has_to_wait(sink, next) && !sink_queue_is_long(sink)))
		loop_post(sink->options.loop, &sink->job);
}

/* --- acknowledgements ------------------------------------------------------------------------------------------------------------------ */

/* Reason `reason` ends the delivery, or says that the broker has it. */
static void sink_answered(struct mqtt_sink *sink, struct flight *flight, uint8_t reason, const char *why)
{
	if (reason == MQTT_NOT_AUTHORIZED) {
		sink_bar(sink, flight, why);
		return;
	}
	enum outcome_kind kind = sink_outcome_of(reason);
	if (kind == OUTCOME_DELIVERED)
		sink->bar_ms = 0;
	sink_outcome(sink, flight, kind, kind == OUTCOME_DELIVERED ? NULL : why);
}

void mqtt_sink_acked(struct mqtt_sink *sink, enum mqtt_type type, uint16_t packet_id, uint8_t reason, struct slice text)
{
	struct flight *flight = sink_find(sink, packet_id);
	sink->answered = true;
	if (!sink->up || !flight || !flight->sent || (type == MQTT_PUBACK) != (flight->qos == 1)) {
		log_debug("mqtt_unexpected_ack", "connection=%s type=%s id=%u", sink->options.name,
			mqtt_type_name(type), packet_id);
		return;
	}
	char why[320];
	snprintf(why, sizeof why, "the broker answered: %s%s%.*s", mqtt_reason_name(reason), text.len ? ": " : "",
		(int)(text.len < 200 ? text.len : 200), text.len ? (const char *)text.data : "");
	uint8_t stage = 0;
	if (type == MQTT_PUBACK) {
		sink_answered(sink, flight, reason, why);
	} else {
		enum qos2_out_step step = type == MQTT_PUBREC ? qos2_out_pubrec(&flight->out, reason, &stage)
							      : qos2_out_pubcomp(&flight->out, &stage);
		if (step == QOS2_OUT_REFUSED)
			sink_answered(sink, flight, reason, why);
		else
			sink_step(sink, flight, step, stage);
	}
}

void mqtt_sink_stage_durable(struct mqtt_sink *sink, uint64_t seq, uint8_t stage)
{
	struct flight *flight = sink->up ? sink_find_seq(sink, seq) : NULL;
	if (!flight || flight->qos != 2)
		return;
	sink_step(sink, flight, qos2_out_stage_durable(&flight->out, stage), 0);
	loop_post(sink->options.loop, &sink->job); /* it may be publishable now */
}

struct mqtt_sink_counters mqtt_sink_counters(const struct mqtt_sink *sink)
{
	return sink->counters;
}

/* --- life --------------------------------------------------------------------------------------------------------------------------------- */

static uint32_t sink_window(const struct mqtt_sink *sink, const struct mqtt_session_terms *terms)
{
	uint32_t window = terms->receive_maximum ? WINDOW_5 : WINDOW_3_1_1;
	if (sink->options.settings->max_in_flight > 0)
		window = (uint32_t)sink->options.settings->max_in_flight;
	if (terms->receive_maximum && terms->receive_maximum < window)
		window = terms->receive_maximum;
	return window;
}

static int sink_allocate(struct mqtt_sink *sink, uint32_t window)
{
	if (window <= sink->allocated)
		return 0;
	uint32_t n_buckets = 16;
	while (n_buckets < window)
		n_buckets *= 2;
	struct flight *flights = calloc(window, sizeof *flights);
	struct flight **by_id = calloc(n_buckets, sizeof(struct flight *));
	if (!flights || !by_id) {
		free(flights);
		free(by_id);
		return -ENOMEM;
	}
	free(sink->flights);
	free(sink->by_id);
	sink->flights = flights;
	sink->by_id = by_id;
	sink->n_buckets = n_buckets;
	sink->allocated = window;
	return 0;
}

int mqtt_sink_up(struct mqtt_sink *sink, const struct mqtt_session_terms *terms, uint32_t *ret_window)
{
	uint32_t window = sink_window(sink, terms);
	int r = sink_allocate(sink, window);
	if (r < 0)
		return r;
	sink->terms = *terms;
	sink->window = window;
	sink_reset(sink);
	sink->up = true;
	*ret_window = window;
	return 0;
}

/* aedes, for one, ends the connection at a PUBREL for what it has completed, and so at each that is repeated because the
 * PUBCOMP got lost. */
static void sink_note_unanswered(struct mqtt_sink *sink)
{
	sink->unanswered = sink->up && sink->resumed && !sink->answered ? sink->unanswered + 1 : 0;
	if (sink->unanswered == UNANSWERED)
		sink->options.host->ops->alarm(sink->options.host,
			"the broker ends each connection without an answer to the PUBRELs that are repeated; it may "
			"have "
			"completed these messages and forbid to say so again. Nothing moves until it answers: use qos: "
			"1 "
			"with this broker; another client_id sends them again");
	sink->resumed = sink->answered = false;
}

void mqtt_sink_down(struct mqtt_sink *sink)
{
	sink_note_unanswered(sink);
	sink->up = false;
	sink->barred = false;
	loop_timer_stop(sink->timer);
	loop_timer_stop(sink->bar_timer);
	loop_cancel(sink->options.loop, &sink->job);
	sink_reset(sink);
}

struct mqtt_sink *mqtt_sink_new(const struct mqtt_sink_options *options)
{
	struct mqtt_sink *sink = calloc(1, sizeof *sink);
	if (!sink)
		return NULL;
	sink->options = *options;
	cloudevent_writer_init(&sink->events, &options->settings->events, &cloudevent_mqtt, options->name);
	loop_job_init(&sink->job, sink_on_job, sink);
	sink_reset(sink);
	sink->timer = loop_timer_new(options->loop, sink_on_timer, sink);
	sink->bar_timer = loop_timer_new(options->loop, sink_on_bar_timer, sink);
	if (sink->timer && sink->bar_timer)
		return sink;
	mqtt_sink_free(sink);
	return NULL;
}

void mqtt_sink_free(struct mqtt_sink *sink)
{
	if (!sink)
		return;
	loop_cancel(sink->options.loop, &sink->job);
	loop_timer_free(sink->timer);
	loop_timer_free(sink->bar_timer);
	free(sink->flights);
	free(sink->by_id);
	cloudevent_writer_free(&sink->events);
	free(sink);
}
