/* SPDX-License-Identifier: Apache-2.0
 *
 * The transport over libuv. Legal moves: RESOLVING → CONNECTING → PROXY (only through one) → HANDSHAKE (TLS only)
 * → OPEN; any of these → FAILED; any → CLOSING → memory gone. What fails inside a call of the owner is told from a posted job.
 */
#include "connectors/mqtt/transport.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MAX_ADDRESSES 16
#define HEAD_START_MS 250 /* RFC 8305 §5: connection attempt delay */
#define INPUT_LIMIT   (256u * 1024 * 1024 + 2 * TRANSPORT_INPUT_BYTES)
#define READ_ROOM     (16u * 1024) /* less is not worth a system call */
#define OUTPUT_KEPT   (256u * 1024) /* memory that a drained output may keep */

enum transport_state {
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_PROXY,
	STATE_HANDSHAKE,
	STATE_OPEN,
	STATE_FAILED,
	STATE_CLOSING,
};

/* One socket on its way to one address. The winner becomes transport.stream. */
struct attempt {
	uv_tcp_t tcp;
	uv_connect_t request;
	struct transport *transport;
	struct attempt *next;
};

/* A look-up cannot always be cancelled, so it outlives its transport when it must. */
struct lookup {
	uv_getaddrinfo_t request;
	struct transport *transport; /* NULL: nobody waits for it any more */
};

struct transport {
	struct loop *loop;
	char host[256];
	uint16_t port;
	const struct transport_events *events;
	void *ctx;
	enum transport_state state;

	struct lookup *lookup;
	struct sockaddr_storage addresses[MAX_ADDRESSES];
	size_t n_addresses, next_address;
	struct attempt *attempts;
	unsigned sockets; /* not yet closed */
	struct attempt *stream;
	struct loop_timer *timer; /* head start, then linger */

	struct buffer proxy_request; /* empty: no proxy */
	struct tls *tls;
	struct buffer input, output, flight, cipher;
	size_t consumed; /* of input */
	size_t turn_bytes;
	uint64_t handed; /* bytes of the owner that have left `output` */
	uint64_t written;
	bool writing, write_broken, reading, held, shutting, closing_sockets;
	uv_write_t write;
	uv_shutdown_t shutdown;

	struct loop_job job;
	bool start_due, read_due, fail_due, lasts;
	bool heard; /* the broker has said something, behind a proxy */
	char reason[640];
};

static void transport_job(void *arg);
static void transport_send(struct transport *t);
static void transport_try_next(struct transport *t);

/* --- ending
 * ----------------------------------------------------------------------------------------------------- */

static void transport_fail(struct transport *t, bool lasts, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void transport_fail(struct transport *t, bool lasts, const char *format, ...)
{
	if (t->state >= STATE_FAILED)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(t->reason, sizeof t->reason, format, args);
	va_end(args);
	t->state = STATE_FAILED;
	t->lasts = lasts;
	t->fail_due = true;
	loop_post(t->loop, &t->job);
}

/* With the reason that is there already. */
static void transport_fail_noted(struct transport *t)
{
	char reason[sizeof t->reason];
	memcpy(reason, t->reason, sizeof reason);
	transport_fail(t, false, "%s", reason);
}

static void transport_free(struct transport *t)
{
	loop_cancel(t->loop, &t->job);
	loop_timer_free(t->timer);
	tls_free(t->tls);
	buffer_free(&t->input);
	buffer_free(&t->output);
	buffer_free(&t->flight);
	buffer_free(&t->cipher);
	buffer_free(&t->proxy_request);
	free(t);
}

static void transport_on_socket_closed(uv_handle_t *handle)
{
	struct attempt *attempt = handle->data;
	struct transport *t = attempt->transport;
	free(attempt);
	if (--t->sockets == 0 && t->closing_sockets)
		loop_post(t->loop, &t->job);
}

static void transport_close_attempt(struct attempt *attempt)
{
	if (!uv_is_closing((uv_handle_t *)&attempt->tcp))
		uv_close((uv_handle_t *)&attempt->tcp, transport_on_socket_closed);
}

static void transport_close_attempts(struct transport *t)
{
	while (t->attempts) {
		struct attempt *attempt = t->attempts;
		t->attempts = attempt->next;
		transport_close_attempt(attempt);
	}
}

static void transport_close_sockets(struct transport *t)
{
	if (t->closing_sockets)
		return;
	t->closing_sockets = true;
	loop_timer_stop(t->timer);
	transport_close_attempts(t);
	if (t->stream)
		transport_close_attempt(t->stream);
	if (t->sockets == 0)
		loop_post(t->loop, &t->job);
}

static void transport_on_shutdown(uv_shutdown_t *request, int status)
{
	struct transport *t = request->data;
	if (status < 0)
		transport_close_sockets(t);
}

/* FIN, and then until the peer's: closing a socket with unread input would reset the connection and could
 * take the last packet with it. */
static void transport_begin_linger(struct transport *t)
{
	if (t->shutting)
		return;
	t->shutting = true;
	if (t->tls)
		tls_shutdown(t->tls);
	transport_send(t);
	t->shutdown.data = t;
	if (uv_shutdown(&t->shutdown, (uv_stream_t *)&t->stream->tcp, transport_on_shutdown) < 0)
		transport_close_sockets(t);
}

void transport_close(struct transport *t, uint64_t linger_ms)
{
	bool linger = t->state == STATE_OPEN && linger_ms > 0;
	if (linger)
		transport_send(t);
	linger = linger && t->state == STATE_OPEN;
	t->state = STATE_CLOSING;
	t->fail_due = t->start_due = false;
	if (t->lookup) {
		t->lookup->transport = NULL;
		uv_cancel((uv_req_t *)&t->lookup->request);
		t->lookup = NULL;
	}
	if (!linger) {
		transport_close_sockets(t);
		return;
	}
	loop_timer_start(t->timer, linger_ms);
	t->read_due = !t->reading;
	if (t->read_due)
		loop_post(t->loop, &t->job);
	if (!t->writing)
		transport_begin_linger(t);
}

/* --- output
 * ----------------------------------------------------------------------------------------------------- */

static void transport_flight_done(struct transport *t)
{
	t->written = t->handed;
	buffer_clear(&t->flight);
	if (t->flight.capacity > OUTPUT_KEPT)
		buffer_free(&t->flight);
}

/* The peer is gone, but what it said before may still be readable, such as a DISCONNECT with the reason:
 * reading meets the end by itself, and the timer is for when it does not. */
static void transport_write_failed(struct transport *t, int error)
{
	if (t->state == STATE_CLOSING) {
		transport_close_sockets(t);
		return;
	}
	t->write_broken = true;
	snprintf(t->reason, sizeof t->reason, "writing to the broker failed: %s", uv_strerror(error));
	loop_timer_start(t->timer, HEAD_START_MS);
}

static void transport_on_write(uv_write_t *request, int status)
{
	struct transport *t = request->data;
	t->writing = false;
	if (status < 0) {
		transport_write_failed(t, status);
		return;
	}
	transport_flight_done(t);
	if (t->state == STATE_OPEN) {
		t->events->written(t->ctx);
		if (t->state == STATE_OPEN)
			transport_send(t);
	} else if (t->state == STATE_HANDSHAKE || t->state == STATE_PROXY) {
		transport_send(t);
	} else if (t->state == STATE_CLOSING && !t->closing_sockets) {
		transport_begin_linger(t);
	}
}

/* Moves what is to be sent into flight. */
static int transport_load_flight(struct transport *t)
{
	size_t bytes = t->output.len;
	if (t->tls && t->state != STATE_PROXY) {
		if (bytes > 0 && tls_write(t->tls, t->output.data, bytes) < 0) {
			transport_fail(t, false, "%s", tls_error(t->tls));
			return -EPROTO;
		}
		if (tls_take_output(t->tls, &t->flight) < 0) {
			transport_fail(t, false, "out of memory");
			return -ENOMEM;
		}
		buffer_clear(&t->output);
	} else {
		struct buffer swap = t->flight;
		t->flight = t->output;
		t->output = swap;
	}
	t->handed += bytes;
	return 0;
}

static void transport_send(struct transport *t)
{
	if (t->writing || t->write_broken || !t->stream || t->state == STATE_FAILED || t->closing_sockets)
		return;
	if (transport_load_flight(t) < 0 || t->flight.len == 0)
		return;
	uv_stream_t *stream = (uv_stream_t *)&t->stream->tcp;
	uv_buf_t rest = uv_buf_init((char *)t->flight.data, (unsigned)t->flight.len);
	int n = uv_try_write(stream, &rest, 1);
	if (n < 0 && n != UV_EAGAIN) {
		transport_write_failed(t, n);
		return;
	}
	if (n == (int)t->flight.len) {
		transport_flight_done(t);
		return;
	}
	if (n > 0)
		rest = uv_buf_init((char *)t->flight.data + n, (unsigned)(t->flight.len - (size_t)n));
	t->write.data = t;
	int r = uv_write(&t->write, stream, &rest, 1, transport_on_write);
	if (r < 0)
		transport_write_failed(t, r);
	else
		t->writing = true;
}

struct buffer *transport_output(struct transport *t)
{
	return &t->output;
}

void transport_flush(struct transport *t)
{
	if (t->state == STATE_OPEN)
		transport_send(t);
}

uint64_t transport_appended(const struct transport *t)
{
	return t->handed + t->output.len;
}

uint64_t transport_written(const struct transport *t)
{
	return t->written;
}

/* --- input
 * ------------------------------------------------------------------------------------------------------- */

struct slice transport_input(const struct transport *t)
{
	return t->input.len ? slice_of(t->input.data + t->consumed, t->input.len - t->consumed) : slice_of(NULL, 0);
}

void transport_consume(struct transport *t, size_t count)
{
	assert(count <= t->input.len - t->consumed);
	t->consumed += count;
	if (t->consumed < t->input.len)
		return;
	t->consumed = 0;
	buffer_clear(&t->input);
	if (t->input.capacity > 4 * TRANSPORT_INPUT_BYTES)
		buffer_free(&t->input);
}

static void transport_compact(struct transport *t)
{
	buffer_consume(&t->input, t->consumed);
	t->consumed = 0;
}

int transport_expect(struct transport *t, size_t bytes)
{
	transport_compact(t);
	if (bytes <= t->input.len)
		return 0;
	/* With the room that the last read asks for: a large buffer is not to be moved for a few bytes. */
	return buffer_reserve(&t->input, bytes - t->input.len + READ_ROOM) < 0 ? -ENOMEM : 0;
}

/* Room behind what the owner has not consumed yet. */
static int transport_make_room(struct transport *t)
{
	if (t->input.capacity - t->input.len >= READ_ROOM)
		return 0;
	transport_compact(t);
	if (t->input.capacity - t->input.len >= READ_ROOM)
		return 0;
	return buffer_reserve(&t->input, t->input.capacity ? READ_ROOM : TRANSPORT_INPUT_BYTES);
}

static void transport_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	(void)suggested;
	struct transport *t = ((struct attempt *)handle->data)->transport;
	struct buffer *target = t->tls && t->state != STATE_PROXY ? &t->cipher : &t->input;
	if (t->state == STATE_CLOSING)
		target = &t->cipher;
	*ret_buf = uv_buf_init(NULL, 0); /* libuv then reports UV_ENOBUFS */
	if (target == &t->cipher) {
		buffer_clear(target);
		if (buffer_reserve(target, TRANSPORT_INPUT_BYTES) < 0)
			return;
	} else if (transport_make_room(t) < 0) {
		return;
	}
	*ret_buf = uv_buf_init((char *)target->data + target->len, (unsigned)(target->capacity - target->len));
}

/* One read of a large packet must not fill megabytes past it, nor one busy broker starve the rest of the
 * loop. */
static void transport_end_turn(struct transport *t)
{
	if (t->turn_bytes < TRANSPORT_TURN_BYTES || !t->reading)
		return;
	t->turn_bytes = 0;
	uv_read_stop((uv_stream_t *)&t->stream->tcp);
	t->reading = false;
	t->read_due = true;
	loop_post(t->loop, &t->job);
}

/* The broker has hung up, or is no longer there. One that does so before it has said a word perhaps speaks TLS, or does
 * not. */
static void transport_lost(struct transport *t, const char *what)
{
	if (t->state == STATE_HANDSHAKE && !t->heard)
		transport_fail(t, false,
			"%s when TLS began; is this its port for TLS? Take that one, or mqtt:// (ws://) for this one",
			what);
	else if (t->state == STATE_OPEN && !t->tls && !t->heard)
		transport_fail(t, false,
			"%s at the first packet; does this port want TLS? Then write mqtts:// (wss://)", what);
	else
		transport_fail(t, false, "%s", what);
}

static void transport_tls_failed(struct transport *t, int r)
{
	if (r == -EPIPE)
		transport_lost(t, "the broker closed the connection");
	else
		transport_fail(t, tls_error_lasts(t->tls), "%s", tls_error(t->tls));
}

static bool transport_tls_connected(struct transport *t)
{
	int r = tls_handshake(t->tls);
	transport_send(t); /* also the alert that says why we refuse */
	if (r == -EAGAIN || t->state != STATE_HANDSHAKE)
		return false;
	if (r < 0) {
		transport_tls_failed(t, r);
		return false;
	}
	t->state = STATE_OPEN;
	t->events->connected(t->ctx);
	return t->state == STATE_OPEN;
}

static void transport_tls_readable(struct transport *t, size_t nread)
{
	if (tls_feed(t->tls, t->cipher.data, nread) < 0) {
		transport_fail(t, false, "out of memory");
		return;
	}
	if (t->state == STATE_HANDSHAKE && !transport_tls_connected(t))
		return;
	int r;
	do {
		r = transport_make_room(t) < 0 ? -ENOMEM : tls_read(t->tls, &t->input);
		if (r > 0)
			t->events->readable(t->ctx);
	} while (r > 0 && t->state == STATE_OPEN);
	if (t->state != STATE_OPEN)
		return;
	if (r == -ENOMEM)
		transport_fail(t, false, "out of memory");
	else if (r < 0)
		transport_tls_failed(t, r);
	else
		transport_send(t); /* TLS may have something to say of its own */
}

/* The way to the broker is there: TLS, or it is open. */
static void transport_begin(struct transport *t)
{
	if (t->tls) {
		t->state = STATE_HANDSHAKE;
		transport_tls_connected(t);
	} else {
		t->state = STATE_OPEN;
		t->events->connected(t->ctx);
	}
}

static void transport_proxy_readable(struct transport *t)
{
	char error[256];
	bool lasts;
	int r = mqtt_proxy_answer(transport_input(t), error, sizeof error, &lasts);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		transport_fail(t, lasts, "%s", error);
		return;
	}
	transport_consume(t, t->input.len - t->consumed); /* nothing follows before we speak */
	transport_begin(t);
}

static void transport_on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	(void)buf;
	struct transport *t = ((struct attempt *)stream->data)->transport;
	if (nread == 0)
		return;
	if (t->state == STATE_CLOSING) {
		if (nread < 0)
			transport_close_sockets(t);
		return;
	}
	if (nread < 0) {
		uv_read_stop(stream);
		t->reading = false;
		char what[128];
		snprintf(what, sizeof what, "reading from the broker failed: %s", uv_strerror((int)nread));
		transport_lost(t, nread == UV_EOF ? "the broker closed the connection" : what);
		return;
	}
	if (t->state == STATE_FAILED)
		return;
	t->turn_bytes += (size_t)nread;
	if (t->state != STATE_PROXY)
		t->heard = true;
	if (t->state == STATE_PROXY) {
		t->input.len += (size_t)nread;
		transport_proxy_readable(t);
	} else if (t->tls) {
		transport_tls_readable(t, (size_t)nread);
	} else {
		t->input.len += (size_t)nread;
		t->events->readable(t->ctx);
	}
	if (t->state == STATE_OPEN)
		transport_end_turn(t);
}

static void transport_read_start(struct transport *t)
{
	if (t->held && t->state != STATE_CLOSING)
		return;
	int r = uv_read_start((uv_stream_t *)&t->stream->tcp, transport_on_alloc, transport_on_read);
	t->reading = r == 0;
	if (r < 0)
		transport_fail(t, false, "reading from the broker failed: %s", uv_strerror(r));
}

void transport_hold(struct transport *t, bool hold)
{
	if (t->held == hold)
		return;
	t->held = hold;
	if (t->state != STATE_OPEN)
		return;
	if (hold) {
		uv_read_stop((uv_stream_t *)&t->stream->tcp);
		t->reading = false;
	} else if (!t->reading && !t->read_due) {
		t->read_due = true;
		loop_post(t->loop, &t->job);
	}
}

/* --- connecting
 * ---------------------------------------------------------------------------------------------------- */

static void transport_win(struct transport *t, struct attempt *winner)
{
	t->stream = winner;
	loop_timer_stop(t->timer);
	transport_close_attempts(t);
	uv_tcp_nodelay(&winner->tcp, 1);
	transport_read_start(t);
	if (t->state == STATE_FAILED)
		return;
	if (t->proxy_request.len == 0) {
		transport_begin(t);
		return;
	}
	t->state = STATE_PROXY;
	if (buffer_append(&t->output, buffer_slice(&t->proxy_request)) < 0)
		transport_fail(t, false, "out of memory");
	transport_send(t);
}

static void transport_forget_attempt(struct attempt *attempt)
{
	struct attempt **link = &attempt->transport->attempts;
	while (*link && *link != attempt)
		link = &(*link)->next;
	if (*link)
		*link = attempt->next;
}

static void transport_note_connect_error(struct transport *t, int error)
{
	snprintf(t->reason, sizeof t->reason, "cannot connect to %s:%u: %s", t->host, t->port, uv_strerror(error));
}

static void transport_on_connect(uv_connect_t *request, int status)
{
	struct attempt *attempt = request->data;
	struct transport *t = attempt->transport;
	if (t->state != STATE_CONNECTING || status == UV_ECANCELED)
		return;
	transport_forget_attempt(attempt);
	if (status == 0) {
		transport_win(t, attempt);
		return;
	}
	transport_note_connect_error(t, status);
	transport_close_attempt(attempt);
	transport_try_next(t);
}

static int transport_attempt(struct transport *t, const struct sockaddr_storage *address)
{
	struct attempt *attempt = calloc(1, sizeof *attempt);
	if (!attempt)
		return UV_ENOMEM;
	attempt->transport = t;
	attempt->request.data = attempt;
	int r = uv_tcp_init(loop_uv(t->loop), &attempt->tcp);
	if (r < 0) {
		free(attempt);
		return r;
	}
	attempt->tcp.data = attempt;
	t->sockets++;
	r = uv_tcp_connect(&attempt->request, &attempt->tcp, (const struct sockaddr *)address, transport_on_connect);
	if (r < 0) {
		transport_close_attempt(attempt);
		return r;
	}
	attempt->next = t->attempts;
	t->attempts = attempt;
	return 0;
}

static void transport_try_next(struct transport *t)
{
	while (t->next_address < t->n_addresses) {
		int r = transport_attempt(t, &t->addresses[t->next_address++]);
		if (r == 0) {
			if (t->next_address < t->n_addresses)
				loop_timer_start(t->timer, HEAD_START_MS);
			return;
		}
		transport_note_connect_error(t, r);
	}
	if (!t->attempts)
		transport_fail_noted(t);
}

static void transport_on_timer(void *arg)
{
	struct transport *t = arg;
	if (t->state == STATE_CONNECTING)
		transport_try_next(t);
	else if (t->state == STATE_CLOSING)
		transport_close_sockets(t);
	else if (t->write_broken)
		transport_fail_noted(t);
}

static void transport_on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct lookup *lookup = request->data;
	struct transport *t = lookup->transport;
	free(lookup);
	if (t && t->state == STATE_RESOLVING) {
		t->lookup = NULL;
		for (struct addrinfo *info = list; info && t->n_addresses < MAX_ADDRESSES; info = info->ai_next)
			memcpy(&t->addresses[t->n_addresses++], info->ai_addr, info->ai_addrlen);
		if (status < 0 || t->n_addresses == 0) {
			transport_fail(t, false, "cannot resolve %s: %s", t->host,
				status < 0 ? uv_strerror(status) : "no address");
		} else {
			t->state = STATE_CONNECTING;
			transport_try_next(t);
		}
	}
	uv_freeaddrinfo(list);
}

static void transport_resolve(struct transport *t)
{
	struct sockaddr_storage *first = &t->addresses[0];
	if (uv_ip4_addr(t->host, t->port, (struct sockaddr_in *)first) == 0 ||
		uv_ip6_addr(t->host, t->port, (struct sockaddr_in6 *)first) == 0) {
		t->n_addresses = 1;
		t->state = STATE_CONNECTING;
		transport_try_next(t);
		return;
	}
	char service[8];
	snprintf(service, sizeof service, "%u", t->port);
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	t->lookup = calloc(1, sizeof *t->lookup);
	int r = UV_ENOMEM;
	if (t->lookup) {
		*t->lookup = (struct lookup){.request.data = t->lookup, .transport = t};
		r = uv_getaddrinfo(
			loop_uv(t->loop), &t->lookup->request, transport_on_lookup, t->host, service, &hints);
	}
	if (r < 0) {
		free(t->lookup);
		t->lookup = NULL;
		transport_fail(t, false, "cannot resolve %s: %s", t->host, uv_strerror(r));
	}
}

/* --- life
 * -----------------------------------------------------------------------------------------------------------
 */

static void transport_job(void *arg)
{
	struct transport *t = arg;
	if (t->closing_sockets) {
		if (t->sockets > 0)
			return;
		const struct transport_events *events = t->events;
		void *ctx = t->ctx;
		transport_free(t);
		events->closed(ctx);
		return;
	}
	if (t->start_due) {
		t->start_due = false;
		transport_resolve(t);
	}
	if (t->read_due && t->state != STATE_FAILED) {
		t->read_due = false;
		transport_read_start(t);
	}
	if (t->fail_due) {
		t->fail_due = false;
		t->events->failed(t->ctx, t->reason, t->lasts);
	}
}

static int transport_open_tls(
	struct transport *t, const struct tls_options *options, const char *host, char *error, size_t error_size)
{
	if (!options)
		return 0;
	struct tls_options mine = *options;
	if (!mine.host)
		mine.host = host;
	return tls_new(&mine, &t->tls, error, error_size);
}

int transport_open(
	const struct transport_options *options, struct transport **ret_transport, char *error, size_t error_size)
{
	snprintf(error, error_size, "out of memory");
	const char *host = options->proxy ? options->proxy->host : options->host;
	if (strlen(options->host) >= sizeof((struct transport *)0)->host) {
		snprintf(error, error_size, "the host name is too long");
		return -EINVAL;
	}
	struct transport *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->loop = options->loop;
	memcpy(t->host, host, strlen(host) + 1);
	t->port = options->proxy ? options->proxy->port : options->port;
	t->events = options->events;
	t->ctx = options->ctx;
	buffer_init(&t->input, INPUT_LIMIT);
	buffer_init(&t->cipher, TRANSPORT_INPUT_BYTES);
	buffer_init(&t->output, options->output_limit + options->output_limit / 64 + TRANSPORT_INPUT_BYTES);
	buffer_init(&t->proxy_request, MQTT_PROXY_REQUEST);
	buffer_init(&t->flight, t->output.limit); /* the two change places; TLS adds its records */
	loop_job_init(&t->job, transport_job, t);
	int r = -ENOMEM;
	t->timer = loop_timer_new(t->loop, transport_on_timer, t);
	if (t->timer)
		r = transport_open_tls(t, options->tls, options->host, error, error_size);
	if (r == 0 && options->proxy)
		r = mqtt_proxy_request(options->proxy, options->host, options->port, &t->proxy_request);
	if (r < 0) {
		transport_free(t);
		return r;
	}
	t->start_due = true;
	loop_post(t->loop, &t->job);
	*ret_transport = t;
	return 0;
}
