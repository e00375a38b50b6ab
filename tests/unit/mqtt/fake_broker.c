/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker of the tests.
 */
#include "tests/unit/mqtt/fake_broker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

struct broker_tls {
	SSL_CTX *ctx;
};

struct broker_connection {
	uv_tcp_t tcp;
	struct fake_broker *broker;
	struct broker_connection *next; /* of those that are open */
	unsigned number;
	SSL *ssl;
	BIO *in, *out;
	struct buffer input;
	uint8_t raw[65536];
};

struct broker_write {
	uv_write_t request;
	uint8_t data[];
};

/* --- out -------------------------------------------------------------------------------------------------------------- */

static void broker_on_write(uv_write_t *request, int status)
{
	(void)status;
	free(request->data);
}

static void broker_write_raw(struct broker_connection *conn, const void *data, size_t len)
{
	struct broker_write *write = malloc(sizeof *write + len);
	assert(write);
	memcpy(write->data, data, len);
	write->request.data = write;
	uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)len);
	if (uv_write(&write->request, (uv_stream_t *)&conn->tcp, &buf, 1, broker_on_write) < 0)
		free(write);
}

static void broker_flush_tls(struct broker_connection *conn)
{
	char *data;
	long len = BIO_get_mem_data(conn->out, &data);
	if (len > 0)
		broker_write_raw(conn, data, (size_t)len);
	(void)BIO_reset(conn->out);
}

static void broker_write(struct broker_connection *conn, const void *data, size_t len)
{
	if (uv_is_closing((uv_handle_t *)&conn->tcp))
		return;
	if (!conn->ssl) {
		broker_write_raw(conn, data, len);
		return;
	}
	SSL_write(conn->ssl, data, (int)len);
	broker_flush_tls(conn);
}

void fake_broker_send_bytes(struct fake_broker *broker, const void *data, size_t len)
{
	assert(broker->connection);
	broker_write(broker->connection, data, len);
}

static void broker_send(struct broker_connection *conn, const struct mqtt_packet *packet)
{
	struct buffer out;
	buffer_init(&out, MQTT_MAX_PACKET);
	int r = mqtt_encode(&out, conn->broker->version, MQTT_MAX_PACKET, packet);
	assert(r == 0);
	broker_write(conn, out.data, out.len);
	buffer_free(&out);
}

void fake_broker_send(struct fake_broker *broker, const struct mqtt_packet *packet)
{
	assert(broker->connection);
	broker_send(broker->connection, packet);
}

void fake_broker_publish(
	struct fake_broker *broker, const char *topic, const char *payload, uint8_t qos, uint16_t packet_id)
{
	struct mqtt_packet packet = {
		.type = MQTT_PUBLISH,
		.publish = {.topic = slice_str(topic),
			.payload = slice_str(payload),
			.qos = qos,
			.packet_id = packet_id},
	};
	fake_broker_send(broker, &packet);
}

void fake_broker_answer(struct fake_broker *broker, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
	struct mqtt_packet packet = {.type = type, .ack = {.packet_id = packet_id, .reason = reason}};
	fake_broker_send(broker, &packet);
}

void fake_broker_ack(struct fake_broker *broker, uint16_t packet_id, uint8_t reason)
{
	fake_broker_answer(broker, MQTT_PUBACK, packet_id, reason);
}

/* --- recording ---------------------------------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, struct slice text)
{
	snprintf(to, size, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
}

static void record_publish(struct broker_packet *rec, const struct mqtt_packet *packet)
{
	const struct mqtt_publish *publish = &packet->publish;
	rec->packet_id = publish->packet_id;
	rec->qos = publish->qos;
	rec->dup = publish->dup;
	rec->retain = publish->retain;
	rec->payload_len = publish->payload.len;
	copy_text(rec->topic, sizeof rec->topic, publish->topic);
	copy_text(rec->payload, sizeof rec->payload, publish->payload);
}

static void copy_user(char *to, size_t size, const struct mqtt_properties *props)
{
	size_t len = 0;
	for (size_t i = 0; i < props->n_user && len < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%.*s=%.*s;", (int)props->user[i].name.len,
			(const char *)props->user[i].name.data, (int)props->user[i].value.len,
			(const char *)props->user[i].value.data);
}

static void record_will(struct broker_will *rec, const struct mqtt_will *will)
{
	copy_text(rec->topic, sizeof rec->topic, will->topic);
	copy_text(rec->payload, sizeof rec->payload, will->payload);
	copy_text(rec->content_type, sizeof rec->content_type, will->props.content_type);
	copy_text(rec->response_topic, sizeof rec->response_topic, will->props.response_topic);
	copy_text(rec->correlation, sizeof rec->correlation, will->props.correlation_data);
	copy_user(rec->user, sizeof rec->user, &will->props);
	rec->qos = will->qos;
	rec->retain = will->retain;
	rec->delay = will->props.will_delay_interval;
	rec->expiry = will->props.message_expiry_interval;
	rec->payload_format = will->props.payload_format_indicator;
}

static void record_connect(struct broker_packet *rec, const struct mqtt_packet *packet)
{
	const struct mqtt_connect *connect = &packet->connect;
	rec->clean_start = connect->clean_start;
	rec->keep_alive = connect->keep_alive;
	rec->has_will = connect->will.topic.data != NULL;
	record_will(&rec->will, &connect->will);
	copy_text(rec->topic, sizeof rec->topic, connect->client_id);
	rec->payload_len = connect->user_name.len + 1 + connect->password.len;
	snprintf(rec->payload, sizeof rec->payload, "%.*s:%.*s", (int)connect->user_name.len,
		connect->user_name.len ? (const char *)connect->user_name.data : "", (int)connect->password.len,
		connect->password.len ? (const char *)connect->password.data : "");
}

static void record_subscribe(struct broker_packet *rec, const struct mqtt_packet *packet)
{
	const struct mqtt_subscribe *subscribe = &packet->subscribe;
	rec->packet_id = subscribe->packet_id;
	rec->entry_qos = subscribe->entries[0].qos;
	rec->entry_retain_handling = subscribe->entries[0].retain_handling;
	rec->entry_retain_as_published = subscribe->entries[0].retain_as_published;
	rec->entry_no_local = subscribe->entries[0].no_local;
	rec->identifier = packet->props.n_subscription_identifiers ? packet->props.subscription_identifiers[0] : 0;
	size_t len = 0;
	for (size_t i = 0; i < subscribe->n_entries && len < sizeof rec->topic; i++)
		len += (size_t)snprintf(rec->topic + len, sizeof rec->topic - len, "%.*s,",
			(int)subscribe->entries[i].filter.len, (const char *)subscribe->entries[i].filter.data);
}

static void record_props(struct broker_packet *rec, const struct mqtt_properties *props)
{
	rec->session_expiry = props->session_expiry_interval;
	rec->receive_maximum = props->receive_maximum;
	rec->message_expiry = props->message_expiry_interval;
	rec->payload_format = props->payload_format_indicator;
	rec->topic_alias = props->topic_alias;
	rec->topic_alias_maximum = props->topic_alias_maximum;
	rec->maximum_packet_size = props->maximum_packet_size;
	copy_text(rec->content_type, sizeof rec->content_type, props->content_type);
	copy_text(rec->response_topic, sizeof rec->response_topic, props->response_topic);
	copy_text(rec->correlation, sizeof rec->correlation, props->correlation_data);
	copy_user(rec->user, sizeof rec->user, props);
}

static void record(struct broker_connection *conn, const struct mqtt_packet *packet)
{
	struct fake_broker *broker = conn->broker;
	if ((broker->n_packets & (broker->n_packets - 1)) == 0) { /* none, or a power of two: all places are taken */
		size_t places = broker->n_packets ? 2 * broker->n_packets : 1;
		broker->packets = realloc(broker->packets, places * sizeof *broker->packets);
		assert(broker->packets);
	}
	struct broker_packet *rec = &broker->packets[broker->n_packets++];
	*rec = (struct broker_packet){.connection = conn->number, .read = broker->reads, .type = packet->type};
	record_props(rec, &packet->props);
	if (packet->type == MQTT_PUBLISH) {
		record_publish(rec, packet);
	} else if (packet->type == MQTT_CONNECT) {
		record_connect(rec, packet);
	} else if (packet->type == MQTT_SUBSCRIBE || packet->type == MQTT_UNSUBSCRIBE) {
		record_subscribe(rec, packet);
	} else if (packet->type >= MQTT_PUBACK && packet->type <= MQTT_PUBCOMP) {
		rec->packet_id = packet->ack.packet_id;
		rec->reason = packet->ack.reason;
	} else if (packet->type == MQTT_DISCONNECT) {
		rec->reason = packet->reason;
	}
}

size_t fake_broker_count(const struct fake_broker *broker, enum mqtt_type type)
{
	size_t count = 0;
	for (size_t i = 0; i < broker->n_packets; i++)
		count += broker->packets[i].type == type;
	return count;
}

const struct broker_packet *fake_broker_packet(const struct fake_broker *broker, enum mqtt_type type, size_t n)
{
	for (size_t i = 0; i < broker->n_packets; i++)
		if (broker->packets[i].type == type && n-- == 0)
			return &broker->packets[i];
	return NULL;
}

/* --- answers -------------------------------------------------------------------------------------------------------------- */

static void answer_subscribe(struct broker_connection *conn, const struct mqtt_packet *packet, enum mqtt_type type)
{
	uint8_t reasons[64];
	for (size_t i = 0; i < packet->subscribe.n_entries; i++) {
		reasons[i] = conn->broker->suback_reason;
		if (type == MQTT_SUBACK && reasons[i] == 0)
			reasons[i] = packet->subscribe.entries[i].qos;
	}
	struct mqtt_packet answer = {
		.type = type,
		.suback = {.packet_id = packet->subscribe.packet_id,
			.reasons = slice_of(reasons, packet->subscribe.n_entries)},
	};
	if (type == MQTT_UNSUBACK && conn->broker->version == MQTT_3_1_1)
		answer.suback.reasons = (struct slice){NULL, 0};
	broker_send(conn, &answer);
}

static void answer(struct broker_connection *conn, const struct mqtt_packet *packet)
{
	struct fake_broker *broker = conn->broker;
	struct mqtt_packet reply = {0};
	if (broker->silent)
		return;
	switch (packet->type) {
	case MQTT_CONNECT:
		reply.type = MQTT_CONNACK;
		reply.connack.reason = broker->connack_reason;
		reply.connack.session_present = broker->session_present && broker->connack_reason == 0;
		reply.props = broker->connack_props;
		broker_send(conn, &reply);
		break;
	case MQTT_PUBLISH:
		reply.type = MQTT_PUBACK;
		reply.ack = (struct mqtt_ack){.packet_id = packet->publish.packet_id, .reason = broker->puback_reason};
		if (packet->publish.qos == 1 && !broker->no_pubacks)
			broker_send(conn, &reply);
		break;
	case MQTT_SUBSCRIBE:
		if (!broker->no_subacks)
			answer_subscribe(conn, packet, MQTT_SUBACK);
		break;
	case MQTT_UNSUBSCRIBE:
		answer_subscribe(conn, packet, MQTT_UNSUBACK);
		break;
	case MQTT_PINGREQ:
		reply.type = MQTT_PINGRESP;
		broker_send(conn, &reply);
		break;
	default:
		break;
	}
}

/* --- in --------------------------------------------------------------------------------------------------------------------- */

static void broker_on_closed(uv_handle_t *handle)
{
	struct broker_connection *conn = handle->data;
	conn->broker->open--;
	SSL_free(conn->ssl);
	buffer_free(&conn->input);
	free(conn);
}

static void broker_close_connection(struct broker_connection *conn)
{
	struct broker_connection **link = &conn->broker->all;
	if (conn->broker->connection == conn)
		conn->broker->connection = NULL;
	if (uv_is_closing((uv_handle_t *)&conn->tcp))
		return;
	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	uv_close((uv_handle_t *)&conn->tcp, broker_on_closed);
}

static void broker_parse(struct broker_connection *conn)
{
	struct fake_broker *broker = conn->broker;
	size_t len;
	struct mqtt_error error;
	struct mqtt_packet packet;
	while (mqtt_frame(buffer_slice(&conn->input), MQTT_MAX_PACKET, &len, &error) == MQTT_FRAME_WHOLE) {
		int r = mqtt_decode(broker->decoder, slice_of(conn->input.data, len), &packet, &error);
		if (r < 0)
			fprintf(stderr, "# fake broker: %s\n", error.text);
		assert(r == 0);
		record(conn, &packet);
		answer(conn, &packet);
		buffer_consume(&conn->input, len);
	}
}

static void broker_take(struct broker_connection *conn, const void *data, size_t len)
{
	int r = buffer_append(&conn->input, slice_of(data, len));
	assert(r == 0);
}

static void broker_handshake(struct broker_connection *conn)
{
	struct fake_broker *broker = conn->broker;
	if (SSL_do_handshake(conn->ssl) != 1)
		return;
	const unsigned char *name;
	unsigned len;
	SSL_get0_alpn_selected(conn->ssl, &name, &len);
	snprintf(broker->tls_alpn, sizeof broker->tls_alpn, "%.*s", (int)len, len ? (const char *)name : "");
	broker->tls_version = SSL_version(conn->ssl);
}

static int broker_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *offered,
	unsigned len, void *arg)
{
	struct fake_broker *broker = arg;
	size_t at = 0;
	int answer = broker->alpn ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
	(void)ssl;
	for (unsigned i = 0; i < len; i += 1u + offered[i]) {
		const char *name = (const char *)offered + i + 1;
		at += (size_t)snprintf(
			broker->tls_offered + at, sizeof broker->tls_offered - at, "%.*s,", offered[i], name);
		assert(at < sizeof broker->tls_offered);
		if (!broker->alpn || strlen(broker->alpn) != offered[i] || memcmp(name, broker->alpn, offered[i]) != 0)
			continue;
		*out = offered + i + 1;
		*out_len = offered[i];
		answer = SSL_TLSEXT_ERR_OK;
	}
	return answer;
}

static int broker_on_name(SSL *ssl, int *alert, void *arg)
{
	struct fake_broker *broker = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	snprintf(broker->tls_name, sizeof broker->tls_name, "%s", name ? name : "");
	if (!broker->only_name || strcmp(broker->tls_name, broker->only_name) == 0)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void broker_take_tls(struct broker_connection *conn, size_t len)
{
	uint8_t plain[16384];
	int n;
	BIO_write(conn->in, conn->raw, (int)len);
	if (!SSL_is_init_finished(conn->ssl))
		broker_handshake(conn);
	while (SSL_is_init_finished(conn->ssl) && (n = SSL_read(conn->ssl, plain, sizeof plain)) > 0)
		broker_take(conn, plain, (size_t)n);
	broker_flush_tls(conn);
}

static void broker_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	struct broker_connection *conn = handle->data;
	*buf = uv_buf_init((char *)conn->raw, sizeof conn->raw);
}

static void broker_on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	(void)buf;
	struct broker_connection *conn = stream->data;
	if (nread < 0) {
		broker_close_connection(conn);
		return;
	}
	conn->broker->reads++;
	if (conn->ssl)
		broker_take_tls(conn, (size_t)nread);
	else
		broker_take(conn, conn->raw, (size_t)nread);
	broker_parse(conn);
}

static void broker_begin_tls(struct broker_connection *conn)
{
	conn->ssl = SSL_new(conn->broker->tls->ctx);
	conn->in = BIO_new(BIO_s_mem());
	conn->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(conn->in, -1);
	SSL_set_bio(conn->ssl, conn->in, conn->out);
	SSL_set_accept_state(conn->ssl);
	SSL_set_max_proto_version(conn->ssl, conn->broker->tls_max);
	conn->broker->tls_name[0] = conn->broker->tls_offered[0] = conn->broker->tls_alpn[0] = '\0';
	conn->broker->tls_version = 0;
}

static void broker_on_connection(uv_stream_t *listener, int status)
{
	struct fake_broker *broker = listener->data;
	assert(status == 0);
	struct broker_connection *conn = calloc(1, sizeof *conn);
	assert(conn);
	conn->broker = broker;
	conn->number = ++broker->connections;
	buffer_init(&conn->input, MQTT_MAX_PACKET);
	uv_tcp_init(listener->loop, &conn->tcp);
	conn->tcp.data = conn;
	conn->next = broker->all;
	broker->all = conn;
	broker->open++;
	mqtt_decoder_init(broker->decoder, broker->version, MQTT_CLIENT);
	broker->decoder->topic_alias_maximum = (uint16_t)broker->connack_props.topic_alias_maximum;
	uv_accept(listener, (uv_stream_t *)&conn->tcp);
	uv_tcp_nodelay(&conn->tcp, 1);
	if (broker->closes_at_once) {
		broker_close_connection(conn);
		return;
	}
	broker->connection = conn;
	if (broker->tls)
		broker_begin_tls(conn);
	if (!broker->swallows)
		uv_read_start((uv_stream_t *)&conn->tcp, broker_on_alloc, broker_on_read);
}

void fake_broker_hold(struct fake_broker *broker, bool hold)
{
	uv_stream_t *stream = (uv_stream_t *)&broker->connection->tcp;
	if (hold)
		uv_read_stop(stream);
	else
		uv_read_start(stream, broker_on_alloc, broker_on_read);
}

void fake_broker_drop(struct fake_broker *broker)
{
	assert(broker->connection);
	broker_close_connection(broker->connection);
}

/* --- life --------------------------------------------------------------------------------------------------------------------- */

static void broker_load_tls(struct fake_broker *broker, const char *cert, const char *key, const char *ca)
{
	broker->tls = calloc(1, sizeof *broker->tls);
	assert(broker->tls);
	SSL_CTX *ctx = broker->tls->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_alpn_select_cb(ctx, broker_on_alpn, broker);
	SSL_CTX_set_tlsext_servername_callback(ctx, broker_on_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, broker);
	int r = SSL_CTX_use_certificate_chain_file(ctx, cert);
	assert(r == 1);
	r = SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM);
	assert(r == 1);
	if (ca) {
		r = SSL_CTX_load_verify_file(ctx, ca);
		assert(r == 1);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
}

void fake_broker_open(struct fake_broker *broker, struct loop *loop, const char *cert, const char *key, const char *ca)
{
	*broker = (struct fake_broker){.version = MQTT_5_0, .loop = loop};
	broker->decoder = malloc(sizeof *broker->decoder);
	assert(broker->decoder);
	if (cert)
		broker_load_tls(broker, cert, key, ca);
	struct sockaddr_in address;
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_init(loop_uv(loop), &broker->listener);
	broker->listener.data = broker;
	int r = uv_tcp_bind(&broker->listener, (const struct sockaddr *)&address, 0);
	assert(r == 0);
	r = uv_listen((uv_stream_t *)&broker->listener, 16, broker_on_connection);
	assert(r == 0);
	int len = sizeof address;
	uv_tcp_getsockname(&broker->listener, (struct sockaddr *)&address, &len);
	broker->port = ntohs(address.sin_port);
}

void fake_broker_close(struct fake_broker *broker)
{
	while (broker->all)
		broker_close_connection(broker->all);
	uv_close((uv_handle_t *)&broker->listener, NULL);
	while (broker->open > 0 || uv_is_active((uv_handle_t *)&broker->listener))
		uv_run(loop_uv(broker->loop), UV_RUN_ONCE);
	uv_run(loop_uv(broker->loop), UV_RUN_NOWAIT);
	if (broker->tls)
		SSL_CTX_free(broker->tls->ctx);
	free(broker->tls);
	free(broker->packets);
	free(broker->decoder);
}
