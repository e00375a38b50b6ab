/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a Paho session, on the loop. Out: a PUBLISH is encoded when it is given, which finds all that is wrong with
 * it, and handed to the thread while what Paho has unanswered is little; a QoS 1 message counts as written when it is
 * handed over, a QoS 0 message when Paho has sent it. In: one arrival at a time, whose callback waits for paho_release.
 */
#include <errno.h>
#include <stdlib.h>

#include "connectors/mqtt/paho.h"
#include "runtime/log.h"

#define UNANSWERED_LIMIT (1024u * 1024) /* bytes of messages that Paho may hold; a single one may have more */

/* --- requests --------------------------------------------------------------------------------------------------------- */

struct paho_request *paho_request_new(struct paho_connection *conn, enum mqtt_type type)
{
	struct paho_request *request = calloc(1, sizeof *request);
	if (!request)
		return NULL;
	request->conn = conn;
	request->type = type;
	buffer_init(&request->packet, MQTT_MAX_PACKET);
	request->prev = conn->requests.prev;
	request->next = &conn->requests;
	request->prev->next = request->next->prev = request;
	return request;
}

void paho_request_free(struct paho_request *request)
{
	request->prev->next = request->next;
	request->next->prev = request->prev;
	buffer_free(&request->packet);
	free(request->filter);
	free(request);
}

void paho_request_hand(struct paho_request *request)
{
	request->handed = true;
	request->order.type = PAHO_REQUEST;
	request->order.conn = request->conn;
	request->order.request = request;
	paho_thread_order(&request->order);
}

/* --- out ---------------------------------------------------------------------------------------------------------------- */

int paho_publish_packet(struct paho_session *s, const struct mqtt_packet *packet, bool own)
{
	struct paho_connection *conn = s->conn;
	struct paho_request *request = paho_request_new(conn, MQTT_PUBLISH);
	if (!request)
		return -ENOMEM;
	int r = mqtt_encode(&request->packet, s->version, s->terms.maximum_packet_size, packet);
	if (r < 0) {
		paho_request_free(request);
		return r;
	}
	request->own = own;
	request->qos = packet->publish.qos;
	request->packet_id = packet->publish.packet_id;
	conn->appended += request->packet.len;
	request->end = conn->appended;
	return 0;
}

void paho_publish_own(struct paho_session *s, const struct mqtt_own_message *own)
{
	struct mqtt_packet packet = {.type = MQTT_PUBLISH};
	packet.publish = (struct mqtt_publish){
		.qos = (uint8_t)own->qos,
		.retain = own->retain,
		.packet_id = own->qos > 0 ? MQTT_SESSION_LAST_ID + 1 : 0, /* Paho gives it another one */
		.topic = slice_str(own->topic),
		.payload = slice_str(own->payload ? own->payload : ""),
	};
	if (paho_publish_packet(s, &packet, true) < 0)
		paho_alarm(s, "the message to \"%s\" cannot be sent", own->topic);
}

static size_t request_bytes(const struct paho_request *request)
{
	return request->type == MQTT_PUBLISH ? request->packet.len : 0;
}

/* Hands over what there is room for, and moves `written`. */
void paho_pump(struct paho_connection *conn)
{
	bool in_order = true; /* everything before is written */
	uint64_t written = conn->written;
	struct paho_request *head = &conn->requests, *next;
	for (struct paho_request *request = head->next; request != head; request = next) {
		next = request->next;
		if (request->type != MQTT_PUBLISH)
			continue;
		if (!request->handed && conn->unanswered > 0 &&
			conn->unanswered + request_bytes(request) > UNANSWERED_LIMIT)
			break;
		if (!request->handed) {
			conn->unanswered += request_bytes(request);
			paho_request_hand(request);
		}
		in_order = in_order && (request->qos > 0 || request->settled);
		if (in_order && request->end > written)
			written = request->end;
		if (request->settled && in_order)
			paho_request_free(request);
	}
	if (written == conn->written)
		return;
	conn->written = written;
	loop_post(conn->loop, &conn->session->written_job);
}

void paho_on_written_job(void *arg)
{
	struct paho_session *s = arg;
	if (s->state == PAHO_UP)
		s->options.events->written(s->options.ctx);
}

static void flow_publish_answered(struct paho_session *s, struct paho_request *request)
{
	struct paho_connection *conn = request->conn;
	conn->unanswered -= request_bytes(request);
	request->settled = !request->failed;
	if (request->failed) {
		/* Paho knows no more of it; usually the connection is ending anyway. */
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, "a message could not be sent");
		return;
	}
	s->progress = true;
	bool own = request->own, acked = request->qos > 0;
	uint16_t packet_id = request->packet_id;
	uint8_t reason = request->event.reason;
	struct slice text = slice_str(request->event.text);
	if (own && reason >= MQTT_UNSPECIFIED_ERROR)
		paho_alarm(s, "the broker refuses the birth message: %s", mqtt_reason_name(reason));
	else if (!own && acked)
		s->options.events->acked(s->options.ctx, MQTT_PUBACK, packet_id, reason, text);
	if (s->conn == conn)
		paho_pump(conn);
}

void paho_answered(struct paho_session *s, struct paho_request *request)
{
	if (request->conn != s->conn || s->state != PAHO_UP)
		return; /* freed with its connection */
	if (request->type == MQTT_PUBLISH)
		flow_publish_answered(s, request);
	else
		paho_subscription_answered(s, request);
}

/* --- in ------------------------------------------------------------------------------------------------------------------ */

void paho_release(struct paho_connection *conn, struct paho_arrival *arrival)
{
	if (conn->arrival == arrival)
		conn->arrival = NULL;
	pthread_mutex_lock(&conn->lock);
	arrival->done = true;
	pthread_cond_broadcast(&conn->released);
	pthread_mutex_unlock(&conn->lock);
}

static void flow_leave_arrival(struct paho_session *s, const char *why)
{
	s->conn->untaken = s->conn->left_alone = true;
	if (s->intake == MQTT_INTAKE_ON)
		paho_reconnect(s, MQTT_AGAIN_BACKOFF, why);
	else
		paho_pause(s);
}

static void flow_hand_on(struct paho_session *s, struct paho_arrival *arrival)
{
	const struct mqtt_publish *publish = &arrival->publish;
	s->progress = true;
	if (mqtt_topic_name_valid(publish->topic)) {
		s->options.events->publish(s->options.ctx, publish, &arrival->props);
	} else {
		log_error("mqtt_message_unusable", "connection=%s qos=%u what=\"its topic is no topic name\"",
			s->options.name, publish->qos);
		s->options.events->unusable(s->options.ctx, publish->qos, publish->packet_id, MQTT_TOPIC_NAME_INVALID);
	}
}

void paho_arrived(struct paho_session *s, struct paho_arrival *arrival)
{
	struct paho_connection *conn = s->conn;
	bool acknowledged = arrival->publish.qos > 0;
	conn->arrival = arrival;
	conn->untaken = conn->left_alone = false;
	if (acknowledged && arrival->broken) {
		flow_leave_arrival(s, "out of memory");
		return;
	}
	if (acknowledged && s->intake != MQTT_INTAKE_ON) {
		flow_leave_arrival(s, "paused");
		return;
	}
	if (!arrival->broken)
		flow_hand_on(s, arrival);
	/* The connection may have ended meanwhile, and the arrival with it. */
	if (s->conn != conn || conn->arrival != arrival)
		return;
	if (!acknowledged) {
		paho_release(conn, arrival);
	} else if (s->intake != MQTT_INTAKE_ON) {
		conn->untaken = true;
		paho_pause(s);
	}
}

void paho_ack(struct paho_session *s, uint16_t packet_id)
{
	struct paho_connection *conn = s->conn;
	struct paho_arrival *arrival = conn ? conn->arrival : NULL;
	if (!arrival || arrival->publish.packet_id != packet_id)
		return;
	conn->untaken = false;
	paho_release(conn, arrival);
	if (s->intake == MQTT_INTAKE_PAUSED)
		paho_pause(s);
}
