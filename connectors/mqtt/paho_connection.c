/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of a Paho session: its relay, its events, its end. An ended connection lives on until Paho has let go of
 * it and its relay is closed. It leaves in good order (a DISCONNECT through Paho) only when no arrival waits; else, and
 * when one comes meanwhile, it is cut: first the relay, then the callback returns, so that its PUBACK does not reach the
 * broker. Loop thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/paho.h"

#define LINGER_MS 1000 /* for the last words: ours, or those that the broker has sent before it closed */

/* --- a connection's end ------------------------------------------------------------------------------------------------ */

static void connection_free_if_over(struct paho_connection *conn)
{
	struct paho_session *s = conn->session;
	if (!conn->is_destroyed || conn->relay)
		return;
	while (conn->requests.next != &conn->requests)
		paho_request_free(conn->requests.next);
	loop_cancel(conn->loop, &conn->job);
	loop_cancel(conn->loop, &conn->destroyed_job);
	loop_timer_free(conn->timer);
	pthread_cond_destroy(&conn->released);
	pthread_mutex_destroy(&conn->lock);
	credentials_wipe(&conn->credentials);
	free(conn);
	s->connections--;
	if (s->stopping && s->connections == 0)
		s->options.events->stopped(s->options.ctx);
}

/* Arrivals that wait in the queue may return; the other events stay. With the lock held. */
static void connection_release_queued(struct paho_connection *conn)
{
	struct paho_event **link = &conn->first;
	while (*link) {
		struct paho_event *event = *link;
		if (event->type != PAHO_ARRIVED) {
			link = &event->next;
			continue;
		}
		*link = event->next;
		((struct paho_arrival *)event)->done = true;
	}
	conn->last = link;
}

static void connection_cut(struct paho_connection *conn)
{
	/* In this order. */
	if (conn->relay)
		relay_cut(conn->relay);
	pthread_mutex_lock(&conn->lock);
	conn->cut = true;
	connection_release_queued(conn);
	if (conn->arrival)
		conn->arrival->done = true;
	pthread_cond_broadcast(&conn->released);
	pthread_mutex_unlock(&conn->lock);
	conn->arrival = NULL;
}

static void connection_destroy(struct paho_connection *conn)
{
	loop_timer_stop(conn->timer);
	if (conn->destroying)
		return;
	conn->destroying = true;
	paho_thread_order(&conn->destroy_order);
}

/* disconnect: as in paho_end. */
void paho_connection_end(struct paho_connection *conn, int disconnect)
{
	if (disconnect >= 0 && !conn->arrival && !conn->leaving) {
		conn->leaving = true;
		conn->leave_reason = (uint8_t)disconnect;
		paho_thread_order(&conn->leave_order);
		loop_timer_start(conn->timer, conn->linger_ms);
		return;
	}
	connection_cut(conn);
	connection_destroy(conn);
}

static void connection_on_destroyed(void *arg)
{
	struct paho_connection *conn = arg;
	conn->is_destroyed = true;
	if (conn->relay)
		relay_close(conn->relay, conn->linger_ms);
	connection_free_if_over(conn);
}

static void connection_on_timer(void *arg)
{
	struct paho_connection *conn = arg;
	struct paho_session *s = conn->session;
	if (conn == s->conn) {
		paho_end(s, MQTT_AGAIN_BACKOFF, -1, conn->failure[0] ? conn->failure : "Paho closed the connection");
	} else {
		connection_cut(conn);
		connection_destroy(conn);
	}
}

/* --- what Paho's threads say --------------------------------------------------------------------------------------------- */

/* Of one that has ended. */
static void connection_on_late_event(struct paho_connection *conn, struct paho_event *event)
{
	if (event->type == PAHO_ARRIVED) { /* while leaving */
		conn->arrival = (struct paho_arrival *)event;
		connection_cut(conn);
		connection_destroy(conn);
	} else if (event->type == PAHO_LEFT || event->type == PAHO_LOST) {
		connection_destroy(conn);
	}
}

static void connection_on_events(void *arg)
{
	struct paho_connection *conn = arg;
	struct paho_session *s = conn->session;
	for (;;) {
		pthread_mutex_lock(&conn->lock);
		struct paho_event *event = conn->first;
		if (event) {
			conn->first = event->next;
			event->queued = false;
			if (!conn->first)
				conn->last = &conn->first;
		}
		pthread_mutex_unlock(&conn->lock);
		if (!event)
			return;
		if (conn == s->conn && !conn->leaving)
			paho_on_event(s, event);
		else
			connection_on_late_event(conn, event);
	}
}

/* --- the relay's events -------------------------------------------------------------------------------------------------- */

static void connection_on_relay_connected(void *ctx)
{
	struct paho_connection *conn = ctx;
	conn->broker_up = true;
}

static void connection_on_relay_failed(void *ctx, const char *reason, bool lasts)
{
	struct paho_connection *conn = ctx;
	struct paho_session *s = conn->session;
	snprintf(conn->failure, sizeof conn->failure, "%s", reason);
	conn->failure_lasts = lasts;
	if (conn != s->conn)
		return;
	if (conn->broker_up) {
		loop_timer_start(conn->timer, LINGER_MS); /* Paho reads the rest, and may know a better reason */
		return;
	}
	if (lasts)
		paho_alarm(s, "%s", conn->failure);
	paho_end(s, lasts ? MQTT_AGAIN_SLOWLY : MQTT_AGAIN_BACKOFF, -1, conn->failure);
}

static void connection_on_relay_ended(void *ctx)
{
	struct paho_connection *conn = ctx;
	if (conn != conn->session->conn)
		relay_close(conn->relay, conn->linger_ms);
	else
		loop_timer_start(conn->timer, LINGER_MS); /* Paho says why */
}

static void connection_on_relay_closed(void *ctx)
{
	struct paho_connection *conn = ctx;
	conn->relay = NULL;
	connection_free_if_over(conn);
}

static const struct relay_events connection_relay_events = {
	.connected = connection_on_relay_connected,
	.failed = connection_on_relay_failed,
	.ended = connection_on_relay_ended,
	.closed = connection_on_relay_closed,
};

/* --- a connection's begin --------------------------------------------------------------------------------------------------- */

static struct paho_connection *connection_new(struct paho_session *s)
{
	struct paho_connection *conn = calloc(1, sizeof *conn);
	if (!conn)
		return NULL;
	const struct mqtt_settings *settings = s->settings;
	conn->session = s;
	conn->loop = s->options.loop;
	conn->settings = settings;
	conn->client_id = s->options.client_id;
	conn->version = s->version;
	conn->linger_ms = LINGER_MS;
	conn->keep_alive_s = (uint16_t)((settings->keep_alive_ms + 999) / 1000);
	if (s->keep_alive_s >= 0)
		conn->keep_alive_s = (uint16_t)s->keep_alive_s;
	conn->timer = loop_timer_new(conn->loop, connection_on_timer, conn);
	if (!conn->timer) {
		free(conn);
		return NULL;
	}
	bool bracket = strchr(s->url.host, ':') != NULL;
	snprintf(conn->server_uri, sizeof conn->server_uri, "%s%s%s%s:%u%s", s->url.websocket ? "ws://" : "tcp://",
		bracket ? "[" : "", s->url.host, bracket ? "]" : "", s->url.port, s->url.websocket ? s->url.path : "");
	conn->last = &conn->first;
	pthread_mutex_init(&conn->lock, NULL);
	pthread_cond_init(&conn->released, NULL);
	conn->requests.prev = conn->requests.next = &conn->requests;
	loop_job_init(&conn->job, connection_on_events, conn);
	loop_job_init(&conn->destroyed_job, connection_on_destroyed, conn);
	conn->connect_order = (struct paho_order){.type = PAHO_CONNECT, .conn = conn};
	conn->leave_order = (struct paho_order){.type = PAHO_DISCONNECT, .conn = conn};
	conn->destroy_order = (struct paho_order){.type = PAHO_DESTROY, .conn = conn};
	conn->disconnected.type = PAHO_DISCONNECTED;
	conn->lost.type = PAHO_LOST;
	conn->left.type = PAHO_LEFT;
	s->connections++;
	return conn;
}

static int connection_open_relay(struct paho_session *s, struct paho_connection *conn, char *error, size_t error_size)
{
	const struct mqtt_settings *settings = s->settings;
	conn->tls = mqtt_settings_tls(settings, s->url.host);
	const char *wrong = settings->proxy ? mqtt_proxy_parse(settings->proxy, &conn->proxy) : NULL;
	if (wrong) {
		snprintf(error, error_size, "%s", wrong);
		return -EINVAL;
	}
	struct relay_options options = {
		.loop = s->options.loop,
		.host = s->url.host,
		.port = s->url.port,
		.proxy = settings->proxy ? &conn->proxy : NULL,
		.tls = s->url.tls ? &conn->tls : NULL,
		.events = &connection_relay_events,
		.ctx = conn,
	};
	int r = relay_open(&options, &conn->relay, error, error_size);
	if (r == 0)
		snprintf(conn->proxy_url, sizeof conn->proxy_url, "%s", relay_proxy_url(conn->relay));
	return r;
}

int paho_connection_open(struct paho_session *s, struct paho_connection **ret_conn, char *error, size_t error_size)
{
	snprintf(error, error_size, "out of memory");
	struct paho_connection *conn = connection_new(s);
	if (!conn)
		return -ENOMEM;
	int r = credentials_read(s->settings, &conn->credentials, error, error_size);
	if (r == -EINVAL)
		paho_alarm(s, "%s", error);
	if (r == 0)
		r = connection_open_relay(s, conn, error, error_size);
	if (r == 0) {
		paho_thread_order(&conn->connect_order);
		*ret_conn = conn;
		return 0;
	}
	conn->is_destroyed = true; /* Paho has never had it */
	if (conn->relay)
		relay_cut(conn->relay);
	else
		connection_free_if_over(conn);
	return r;
}
