/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes between Paho's socket and a transport. Each direction stops reading when the other side's queue is long.
 */
#define _GNU_SOURCE
#include "connectors/mqtt/relay.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#define QUEUE_LIMIT   (256u * 1024) /* bytes towards one side beyond which the other is not read */
#define READ_BYTES    (64u * 1024)
#define LINGER_MS     1000 /* for what is to reach the broker yet */
#define REQUEST_LIMIT 4096u /* of Paho's CONNECT */

static const char relay_answer[] = "HTTP/1.1 200 OK\r\n\r\n";

enum relay_state { RELAY_LISTENING, RELAY_OPENING, RELAY_OPEN, RELAY_CLOSING };

/* Bytes on their way to Paho. */
struct relay_write {
	uv_write_t request;
	struct relay *relay;
	size_t bytes;
	uint8_t data[];
};

struct relay {
	struct relay_options options;
	char host[256], proxy_url[128], authorization[128];
	enum relay_state state;
	uv_tcp_t listener, paho;
	bool waiting; /* a connection is to be accepted, once `paho` is free */
	bool broken; /* the broker's end has failed */
	bool listening, accepted, reading; /* which handles are open; whether `paho` is read */
	unsigned handles; /* not yet closed */
	struct transport *transport;
	bool transport_open; /* not yet closed */
	struct buffer request; /* Paho's CONNECT, and what follows it before the broker's end is there */
	bool request_seen, paho_ended;
	size_t queued; /* bytes to Paho that the kernel has not taken */
	uv_shutdown_t shutdown;
	bool shutting;
	uint8_t *chunk;
	struct loop_job job;
};

/* --- closing -------------------------------------------------------------------------------------------------------- */

static void relay_job(void *arg)
{
	struct relay *relay = arg;
	if (relay->state != RELAY_CLOSING || relay->handles > 0 || relay->transport_open)
		return;
	const struct relay_events *events = relay->options.events;
	void *ctx = relay->options.ctx;
	loop_cancel(relay->options.loop, &relay->job);
	buffer_free(&relay->request);
	free(relay->chunk);
	free(relay);
	events->closed(ctx);
}

static void relay_accept(struct relay *relay);

static void relay_on_handle_closed(uv_handle_t *handle)
{
	struct relay *relay = handle->data;
	relay->handles--;
	if (relay->waiting && relay->listening)
		relay_accept(relay);
	loop_post(relay->options.loop, &relay->job);
}

static void relay_stop_listening(struct relay *relay)
{
	if (relay->listening)
		uv_close((uv_handle_t *)&relay->listener, relay_on_handle_closed);
	relay->listening = false;
}

static void relay_close_paho(struct relay *relay)
{
	if (relay->accepted)
		uv_close((uv_handle_t *)&relay->paho, relay_on_handle_closed);
	relay->accepted = relay->reading = false;
}

void relay_close(struct relay *relay, uint64_t linger_ms)
{
	if (relay->state == RELAY_CLOSING)
		return;
	relay->state = RELAY_CLOSING;
	/* Both sockets are closed inside uv_close, at once: what Paho writes from now on has nowhere to go. */
	relay_stop_listening(relay);
	relay_close_paho(relay);
	if (relay->transport)
		transport_close(relay->transport, linger_ms);
	relay->transport = NULL;
	loop_post(relay->options.loop, &relay->job);
}

static bool relay_queue_is_long(const struct relay *relay)
{
	return transport_appended(relay->transport) - transport_written(relay->transport) >= QUEUE_LIMIT;
}

/* Paho's socket has Nagle's algorithm on: what it writes while a segment is not acknowledged stays in its kernel buffer.
 * This acknowledges at once; the kernel forgets the wish, so it is made at each read. */
static void relay_quick_ack(struct relay *relay)
{
	uv_os_fd_t fd;
	int on = 1;
	if (uv_fileno((uv_handle_t *)&relay->paho, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* What Paho has written so far, such as the acknowledgements of earlier messages. */
static void relay_drain_paho(struct relay *relay)
{
	uv_os_fd_t fd;
	ssize_t n;
	if (relay->state != RELAY_OPEN || relay->broken || !relay->accepted ||
		uv_fileno((uv_handle_t *)&relay->paho, &fd) < 0)
		return;
	while (!relay_queue_is_long(relay)) {
		relay_quick_ack(relay);
		n = recv(fd, relay->chunk, READ_BYTES, MSG_DONTWAIT);
		if (n <= 0 || buffer_append(transport_output(relay->transport), slice_of(relay->chunk, (size_t)n)) < 0)
			break; /* what is lost comes again */
	}
}

void relay_cut(struct relay *relay)
{
	relay_drain_paho(relay);
	relay_close(relay, LINGER_MS);
}

/* --- towards Paho --------------------------------------------------------------------------------------------------- */

static void relay_on_shutdown(uv_shutdown_t *request, int status)
{
	(void)request, (void)status;
}

static void relay_end_of_broker(struct relay *relay)
{
	if (relay->shutting || !relay->accepted)
		return;
	relay->shutting = true;
	int r = uv_shutdown(&relay->shutdown, (uv_stream_t *)&relay->paho, relay_on_shutdown);
	(void)r; /* then Paho has closed its end already */
}

static void relay_on_written(uv_write_t *request, int status)
{
	struct relay_write *write = (struct relay_write *)request;
	struct relay *relay = write->relay;
	(void)status; /* a broken socket ends by reading it */
	relay->queued -= write->bytes;
	free(write);
	if (relay->transport && relay->queued < QUEUE_LIMIT / 2)
		transport_hold(relay->transport, false);
}

static int relay_to_paho(struct relay *relay, const void *data, size_t len)
{
	struct relay_write *write = malloc(sizeof *write + len);
	if (!write)
		return -ENOMEM;
	write->relay = relay;
	write->bytes = len;
	memcpy(write->data, data, len);
	uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)len);
	int r = uv_write(&write->request, (uv_stream_t *)&relay->paho, &buf, 1, relay_on_written);
	if (r < 0) {
		free(write);
		return r;
	}
	relay->queued += len;
	return 0;
}

static void relay_failed(struct relay *relay, const char *reason, bool lasts)
{
	if (relay->broken)
		return;
	relay->broken = true;
	relay_end_of_broker(relay);
	relay->options.events->failed(relay->options.ctx, reason, lasts);
}

static void relay_on_readable(void *ctx)
{
	struct relay *relay = ctx;
	struct slice bytes = transport_input(relay->transport);
	if (!relay->accepted || bytes.len == 0)
		return;
	int r = relay_to_paho(relay, bytes.data, bytes.len);
	transport_consume(relay->transport, bytes.len);
	if (r < 0) {
		relay_failed(relay, "out of memory", false);
	} else if (relay->queued >= QUEUE_LIMIT) {
		transport_hold(relay->transport, true);
	}
}

static void relay_on_failed(void *ctx, const char *reason, bool lasts)
{
	relay_failed(ctx, reason, lasts);
}

/* --- towards the broker ----------------------------------------------------------------------------------------------- */

static void relay_read(struct relay *relay, bool on);

static void relay_to_broker(struct relay *relay, const void *data, size_t len)
{
	/* The limit of the output has room for a chunk beyond the queue. */
	if (relay->broken)
		return;
	if (buffer_append(transport_output(relay->transport), slice_of(data, len)) < 0) {
		relay_failed(relay, "out of memory", false);
		return;
	}
	transport_flush(relay->transport);
	if (relay_queue_is_long(relay))
		relay_read(relay, false);
}

static void relay_on_connected(void *ctx)
{
	struct relay *relay = ctx;
	relay->state = RELAY_OPEN;
	if (relay->request.len > 0)
		relay_to_broker(relay, relay->request.data, relay->request.len);
	if (relay->state != RELAY_OPEN || relay->broken)
		return;
	buffer_free(&relay->request);
	relay->options.events->connected(relay->options.ctx);
	if (relay->state == RELAY_OPEN)
		relay_read(relay, true);
}

static void relay_on_broker_written(void *ctx)
{
	struct relay *relay = ctx;
	if (relay->state == RELAY_OPEN && !relay->reading && !relay_queue_is_long(relay))
		relay_read(relay, true);
}

static void relay_on_transport_closed(void *ctx)
{
	struct relay *relay = ctx;
	relay->transport_open = false;
	loop_post(relay->options.loop, &relay->job);
}

static const struct transport_events relay_transport_events = {
	.connected = relay_on_connected,
	.readable = relay_on_readable,
	.written = relay_on_broker_written,
	.failed = relay_on_failed,
	.closed = relay_on_transport_closed,
};

static void relay_open_transport(struct relay *relay)
{
	struct transport_options options = {
		.loop = relay->options.loop,
		.host = relay->host,
		.port = relay->options.port,
		.proxy = relay->options.proxy,
		.tls = relay->options.tls,
		.output_limit = QUEUE_LIMIT + READ_BYTES + REQUEST_LIMIT,
		.events = &relay_transport_events,
		.ctx = relay,
	};
	char error[512];
	int r = transport_open(&options, &relay->transport, error, sizeof error);
	relay->transport_open = r == 0;
	if (r < 0)
		relay_failed(relay, error, r == -EINVAL);
}

/* --- Paho ---------------------------------------------------------------------------------------------------------------- */

static void relay_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	(void)suggested;
	struct relay *relay = handle->data;
	*ret_buf = uv_buf_init((char *)relay->chunk, READ_BYTES);
}

/* A stranger, or Paho: the header is ours to know. */
static void relay_take_request(struct relay *relay)
{
	struct buffer *request = &relay->request;
	const char *end = memmem(request->data, request->len, "\r\n\r\n", 4);
	if (!end)
		return;
	size_t len = (size_t)(end + 4 - (char *)request->data);
	if (!memmem(request->data, len, relay->authorization, strlen(relay->authorization))) {
		relay_close_paho(relay);
		buffer_clear(request);
		return; /* and listen on */
	}
	buffer_consume(request, len);
	relay->request_seen = true;
	relay->state = RELAY_OPENING;
	relay_stop_listening(relay);
	relay_open_transport(relay);
}

static void relay_paho_ended(struct relay *relay)
{
	relay_read(relay, false);
	if (!relay->request_seen) {
		relay_close_paho(relay);
		buffer_clear(&relay->request);
	} else if (!relay->paho_ended) {
		relay->paho_ended = true;
		relay->options.events->ended(relay->options.ctx);
	}
}

static void relay_on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct relay *relay = stream->data;
	if (nread == 0 || relay->state == RELAY_CLOSING)
		return;
	relay_quick_ack(relay);
	if (nread < 0) {
		relay_paho_ended(relay);
	} else if (relay->state == RELAY_OPEN) {
		relay_to_broker(relay, buf->base, (size_t)nread);
	} else if (buffer_append(&relay->request, slice_of(buf->base, (size_t)nread)) < 0) {
		relay_paho_ended(relay); /* more than Paho says before it has been answered */
	} else if (!relay->request_seen) {
		relay_take_request(relay);
	}
}

static void relay_read(struct relay *relay, bool on)
{
	if (!relay->accepted || relay->paho_ended || relay->reading == on)
		return;
	relay->reading = on && uv_read_start((uv_stream_t *)&relay->paho, relay_on_alloc, relay_on_read) == 0;
	if (!on)
		uv_read_stop((uv_stream_t *)&relay->paho);
}

static void relay_accept(struct relay *relay)
{
	relay->waiting = relay->accepted || relay->handles > 1;
	if (relay->waiting || uv_tcp_init(loop_uv(relay->options.loop), &relay->paho) < 0)
		return;
	relay->paho.data = relay;
	relay->accepted = true;
	relay->handles++;
	/* The answer is there before the question: Paho, which otherwise finds none, sleeps with its lock held. */
	if (uv_accept((uv_stream_t *)&relay->listener, (uv_stream_t *)&relay->paho) < 0 ||
		relay_to_paho(relay, relay_answer, sizeof relay_answer - 1) < 0) {
		relay_close_paho(relay);
		return;
	}
	uv_tcp_nodelay(&relay->paho, 1);
	relay_read(relay, true);
}

static void relay_on_connection(uv_stream_t *listener, int status)
{
	if (status == 0)
		relay_accept(listener->data);
}

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static int relay_listen(struct relay *relay)
{
	struct sockaddr_in address;
	int len = sizeof address;
	int r = uv_tcp_init(loop_uv(relay->options.loop), &relay->listener);
	if (r < 0)
		return r;
	relay->listener.data = relay;
	relay->listening = true;
	relay->handles++;
	r = uv_ip4_addr("127.0.0.1", 0, &address);
	if (r == 0)
		r = uv_tcp_bind(&relay->listener, (const struct sockaddr *)&address, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&relay->listener, 4, relay_on_connection);
	if (r == 0)
		r = uv_tcp_getsockname(&relay->listener, (struct sockaddr *)&address, &len);
	if (r < 0)
		return r;
	char credentials[64];
	snprintf(credentials, sizeof credentials, "linkspan:%08x%08x%08x%08x", arc4random(), arc4random(), arc4random(),
		arc4random());
	snprintf(relay->proxy_url, sizeof relay->proxy_url, "http://%s@127.0.0.1:%u", credentials,
		ntohs(address.sin_port));
	return mqtt_proxy_basic(credentials, relay->authorization, sizeof relay->authorization);
}

int relay_open(const struct relay_options *options, struct relay **ret_relay, char *error, size_t error_size)
{
	snprintf(error, error_size, "out of memory");
	struct relay *relay = calloc(1, sizeof *relay);
	*ret_relay = relay;
	if (!relay)
		return -ENOMEM;
	relay->options = *options;
	snprintf(relay->host, sizeof relay->host, "%s", options->host);
	loop_job_init(&relay->job, relay_job, relay);
	buffer_init(&relay->request, REQUEST_LIMIT + READ_BYTES);
	relay->chunk = malloc(READ_BYTES);
	int r = relay->chunk ? relay_listen(relay) : -ENOMEM;
	if (r < 0 && relay->chunk)
		snprintf(error, error_size, "cannot listen on 127.0.0.1 for Paho: %s", uv_strerror(r));
	return r;
}

const char *relay_proxy_url(const struct relay *relay)
{
	return relay->proxy_url;
}
