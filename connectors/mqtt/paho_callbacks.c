/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls into Paho (run by paho_thread.c alone) and Paho's callbacks (run by Paho's threads, with its lock held). A
 * callback copies what it is told into an event and hands it over; only that of an arrival waits. Which functions a
 * call needs depends on the version: Paho refuses those of version 5 for 3.1.1, and the other way round.
 */
#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/mqtt/paho.h"
#include "connectors/mqtt/paho_convert.h"

#define BUFFERED_MESSAGES 1000000 /* the loop bounds what it hands over, in bytes */

/* --- handing over ----------------------------------------------------------------------------------------------------- */

/* With the lock held. */
static void callback_queue(struct paho_connection *conn, struct paho_event *event)
{
	if (event->queued)
		return;
	event->queued = true;
	event->next = NULL;
	*conn->last = event;
	conn->last = &event->next;
}

void paho_post(struct paho_connection *conn, struct paho_event *event)
{
	pthread_mutex_lock(&conn->lock);
	callback_queue(conn, event);
	pthread_mutex_unlock(&conn->lock);
	loop_post(conn->loop, &conn->job);
}

static void callback_note(struct paho_event *event, uint8_t reason, const char *text, size_t len)
{
	event->reason = reason;
	snprintf(event->text, sizeof event->text, "%.*s",
		(int)(len < sizeof event->text ? len : sizeof event->text - 1), text ? text : "");
}

void paho_answer(struct paho_request *request, bool failed, uint8_t reason, const char *text, size_t text_len)
{
	struct paho_connection *conn = request->conn;
	pthread_mutex_lock(&conn->lock);
	bool first = !request->answered;
	if (first) {
		request->answered = true;
		request->failed = failed;
		request->event.type = PAHO_ANSWERED;
		callback_note(&request->event, reason, text, text_len);
		callback_queue(conn, &request->event);
	}
	pthread_mutex_unlock(&conn->lock);
	if (first)
		loop_post(conn->loop, &conn->job);
}

/* --- arrivals ------------------------------------------------------------------------------------------------------------ */

static int callback_arrived(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
	struct paho_connection *conn = context;
	struct message_field *user = NULL;
	struct paho_arrival arrival = {
		.event.type = PAHO_ARRIVED,
		.publish =
			{
				.dup = message->dup,
				.qos = (uint8_t)message->qos,
				.retain = message->retained,
				.packet_id = message->qos > 0 ? (uint16_t)message->msgid : 0,
				.topic = slice_of(topic, topic_len > 0 ? (size_t)topic_len : strlen(topic)),
				.payload =
					slice_of(message->payload ? message->payload : "", (size_t)message->payloadlen),
			},
	};
	if (conn->version == MQTT_5_0)
		user = convert_from_paho(&message->properties, &arrival.props);
	arrival.broken = message->properties.count > 0 && !user;
	pthread_mutex_lock(&conn->lock);
	bool handed = !conn->cut;
	if (handed)
		callback_queue(conn, &arrival.event);
	pthread_mutex_unlock(&conn->lock);
	if (handed) {
		loop_post(conn->loop, &conn->job);
		pthread_mutex_lock(&conn->lock);
		while (!arrival.done)
			pthread_cond_wait(&conn->released, &conn->lock);
		pthread_mutex_unlock(&conn->lock);
	}
	free(user);
	MQTTAsync_freeMessage(&message);
	MQTTAsync_free(topic);
	return 1; /* 0 would keep it in memory, and be acknowledged all the same */
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static void callback_success(void *context, MQTTAsync_successData *data)
{
	struct paho_request *request = context;
	int qos = request->type == MQTT_SUBSCRIBE && data ? data->alt.qos : 0;
	paho_answer(request, false, (uint8_t)qos, NULL, 0);
}

static void callback_failure(void *context, MQTTAsync_failureData *data)
{
	int code = data ? data->code : -1;
	bool answered = code == MQTT_UNSPECIFIED_ERROR; /* the one refusal that a SUBACK of 3.1.1 knows */
	paho_answer(context, !answered, answered ? (uint8_t)code : 0, NULL, 0);
}

static void callback_success5(void *context, MQTTAsync_successData5 *data)
{
	struct paho_request *request = context;
	/* Of a PUBLISH Paho does not tell the reason, only that it is none that refuses. */
	uint8_t reason = request->type == MQTT_PUBLISH || !data ? MQTT_SUCCESS : (uint8_t)data->reasonCode;
	paho_answer(request, false, reason, NULL, 0);
}

static void callback_failure5(void *context, MQTTAsync_failureData5 *data)
{
	bool answered = data && data->code == 0 && (int)data->reasonCode >= (int)MQTT_UNSPECIFIED_ERROR;
	struct slice text = answered ? convert_reason_string(&data->properties) : slice_of("", 0);
	paho_answer(context, !answered, answered ? (uint8_t)data->reasonCode : 0, (const char *)text.data, text.len);
}

static MQTTAsync_responseOptions call_response(struct paho_request *request)
{
	MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
	response.context = request;
	if (request->conn->version == MQTT_5_0) {
		response.onSuccess5 = callback_success5;
		response.onFailure5 = callback_failure5;
	} else {
		response.onSuccess = callback_success;
		response.onFailure = callback_failure;
	}
	return response;
}

/* --- the connection ----------------------------------------------------------------------------------------------------------- */

static void callback_lost(void *context, char *cause)
{
	struct paho_connection *conn = context;
	(void)cause; /* always NULL */
	paho_post(conn, &conn->lost);
}

static void callback_disconnected(void *context, MQTTProperties *props, enum MQTTReasonCodes reason)
{
	struct paho_connection *conn = context;
	struct slice text = convert_reason_string(props);
	callback_note(&conn->disconnected, (uint8_t)reason, (const char *)text.data, text.len);
	paho_post(conn, &conn->disconnected);
}

static void callback_up(struct paho_connection *conn)
{
	conn->connected.type = PAHO_CONNECTED;
	paho_post(conn, &conn->connected);
}

static void callback_connected(void *context, MQTTAsync_successData *data)
{
	struct paho_connection *conn = context;
	pthread_mutex_lock(&conn->lock);
	conn->terms = (struct mqtt_session_terms){
		.session_present = data->alt.connect.sessionPresent,
		.maximum_qos = 2,
		.retain_available = true,
		.maximum_packet_size = MQTT_MAX_PACKET,
	};
	pthread_mutex_unlock(&conn->lock);
	callback_up(conn);
}

static void callback_connected5(void *context, MQTTAsync_successData5 *data)
{
	struct paho_connection *conn = context;
	pthread_mutex_lock(&conn->lock);
	convert_terms(&data->properties, data->alt.connect.sessionPresent, conn);
	pthread_mutex_unlock(&conn->lock);
	callback_up(conn);
}

static void callback_refuse(struct paho_connection *conn, int code, const char *message)
{
	/* Both a CONNACK's code and an error of Paho's come as the same number; the words tell which it is. */
	bool refused = message && strcmp(message, "CONNACK return code") == 0;
	callback_note(&conn->connected, refused ? (uint8_t)code : 0, message, message ? strlen(message) : 0);
	conn->connected.type = PAHO_REFUSED;
	paho_post(conn, &conn->connected);
}

static void callback_refused(void *context, MQTTAsync_failureData *data)
{
	callback_refuse(context, data ? data->code : 0, data ? data->message : NULL);
}

static void callback_refused5(void *context, MQTTAsync_failureData5 *data)
{
	int code = data && data->reasonCode ? (int)data->reasonCode : data ? data->code : 0;
	callback_refuse(context, code, data ? data->message : NULL);
}

static void callback_left(void *context, MQTTAsync_successData *data)
{
	struct paho_connection *conn = context;
	(void)data;
	paho_post(conn, &conn->left);
}

static void callback_left5(void *context, MQTTAsync_successData5 *data)
{
	(void)data;
	callback_left(context, NULL);
}

/* --- calls ----------------------------------------------------------------------------------------------------------------------- */

static int call_create(struct paho_connection *conn)
{
	MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
	options.MQTTVersion = conn->version == MQTT_5_0 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	options.maxBufferedMessages = BUFFERED_MESSAGES;
	int r = MQTTAsync_createWithOptions(
		&conn->handle, conn->server_uri, conn->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
	if (r == 0)
		r = MQTTAsync_setCallbacks(conn->handle, conn, callback_lost, callback_arrived, NULL);
	if (r == 0 && conn->version == MQTT_5_0)
		r = MQTTAsync_setDisconnected(conn->handle, conn, callback_disconnected);
	return r;
}

static void call_options(struct paho_connection *conn, MQTTAsync_connectOptions *options)
{
	const struct mqtt_settings *settings = conn->settings;
	options->context = conn;
	options->keepAliveInterval = conn->keep_alive_s;
	options->connectTimeout = (int)(settings->connect_timeout_ms / 1000) + 10; /* the loop has its own, shorter */
	options->automaticReconnect = 0;
	options->maxInflight = 65535; /* 1.3.12 stalls when it is reached; the sink's window is what counts */
	options->binarypwd.data = conn->credentials.password.data;
	options->binarypwd.len = (int)conn->credentials.password.len;
	options->httpProxy = options->httpsProxy = conn->proxy_url;
	if (conn->version == MQTT_5_0) {
		options->cleanstart = settings->clean_start;
		options->onSuccess5 = callback_connected5;
		options->onFailure5 = callback_refused5;
	} else {
		options->MQTTVersion = MQTTVERSION_3_1_1;
		options->cleansession = settings->clean_start;
		options->onSuccess = callback_connected;
		options->onFailure = callback_refused;
	}
}

int paho_call_connect(struct paho_connection *conn)
{
	const struct mqtt_settings *settings = conn->settings;
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
	MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
	MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
	MQTTProperties props = MQTTProperties_initializer, will_props = MQTTProperties_initializer;
	if (conn->version == MQTT_5_0)
		options = options5;
	call_options(conn, &options);
	if (settings->will.topic) {
		will.topicName = settings->will.topic;
		will.message = settings->will.payload ? settings->will.payload : "";
		will.qos = (int)settings->will.qos;
		will.retained = settings->will.retain;
		options.will = &will;
	}
	struct slice user_name = conn->credentials.user_name;
	char *user = user_name.data ? strndup((const char *)user_name.data, user_name.len) : NULL;
	options.username = user;
	int r = user_name.data && !user ? MQTTASYNC_FAILURE : call_create(conn);
	if (r == 0 && conn->version == MQTT_5_0) {
		r = convert_connect_properties(settings, &props, &will_props);
		options.connectProperties = &props;
		options.willProperties = settings->will.topic ? &will_props : NULL;
	}
	if (r == 0)
		r = MQTTAsync_connect(conn->handle, &options); /* copies all of them */
	if (user)
		explicit_bzero(user, strlen(user));
	free(user);
	credentials_wipe(&conn->credentials);
	MQTTProperties_free(&props);
	MQTTProperties_free(&will_props);
	return r;
}

int paho_call_disconnect(struct paho_connection *conn)
{
	MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
	MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
	options5.reasonCode = (enum MQTTReasonCodes)conn->leave_reason;
	options5.onSuccess5 = callback_left5;
	options.onSuccess = callback_left;
	options.context = options5.context = conn;
	return MQTTAsync_disconnect(conn->handle, conn->version == MQTT_5_0 ? &options5 : &options);
}

int paho_call_publish(struct paho_request *request, const struct mqtt_packet *packet)
{
	const struct mqtt_publish *publish = &packet->publish;
	MQTTAsync_responseOptions response = call_response(request);
	char *topic = strndup((const char *)publish->topic.data, publish->topic.len);
	int r = topic ? 0 : MQTTASYNC_FAILURE;
	if (r == 0 && request->conn->version == MQTT_5_0)
		r = convert_to_paho(&packet->props, &response.properties);
	if (r == 0)
		r = MQTTAsync_send(request->conn->handle, topic, (int)publish->payload.len,
			publish->payload.len ? (const void *)publish->payload.data : "", publish->qos, publish->retain,
			&response);
	MQTTProperties_free(&response.properties);
	free(topic);
	return r;
}

int paho_call_subscribe(struct paho_request *request)
{
	/* One filter in a packet: of several, Paho reports refusals as a success. */
	MQTTAsync_responseOptions response = call_response(request);
	if (request->type == MQTT_UNSUBSCRIBE)
		return MQTTAsync_unsubscribe(request->conn->handle, request->filter, &response);
	if (request->conn->version == MQTT_5_0) {
		/* MQTT 5 §3.8.3.1 */
		response.subscribeOptions.noLocal = request->options >> 2 & 1;
		response.subscribeOptions.retainAsPublished = request->options >> 3 & 1;
		response.subscribeOptions.retainHandling = request->options >> 4 & 3;
	}
	return MQTTAsync_subscribe(request->conn->handle, request->filter, request->qos, &response);
}

void paho_call_destroy(struct paho_connection *conn)
{
	if (conn->handle)
		MQTTAsync_destroy(&conn->handle);
}

int paho_call_anchor(void)
{
	static MQTTAsync anchor; /* the thread's */
	if (anchor)
		return 0;
	return MQTTAsync_create(&anchor, "tcp://127.0.0.1:1", "anchor", MQTTCLIENT_PERSISTENCE_NONE, NULL);
}
