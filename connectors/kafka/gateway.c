/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads: one per connection, which ends when either side does; joined when the next one is made, or at the end. All poll
 * stop_fd, which becomes readable once and for ever.
 */
#include "connectors/kafka/gateway.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/kafka/sasl_login.h"

#define FIRST_GOOD_VERSION 0x02060100 /* librdkafka 2.6.1 */
#define OPEN_TIMEOUT_MS    10000u
#define FLOW_BYTES         65536u

/* One direction: what has been read and not been written yet. */
struct flow {
	size_t from, to;
	uint8_t bytes[FLOW_BYTES];
};

struct connection {
	struct gateway *gateway;
	struct connection *next;
	int library_fd; /* the library's end: its name until the connection begins */
	int near_fd; /* ours */
	struct sockaddr_storage address;
	socklen_t address_len;
	char broker[300];
	pthread_t thread;
	bool begun, done;
	struct flow out, in; /* to the broker, from it */
};

struct gateway {
	const struct kafka_settings *settings;
	struct ssl_ctx_st *ctx; /* NULL: no TLS */
	int stop_fd;
	pthread_mutex_t lock; /* guards the rest */
	struct connection *connections;
	bool failed;
	struct channel_failure failure;
};

bool gateway_wanted(const struct kafka_sasl *sasl)
{
	return kafka_sasl_used(sasl) && strncmp(kafka_sasl_mechanism(sasl), "SCRAM-", 6) == 0 &&
	       rd_kafka_version() < FIRST_GOOD_VERSION;
}

/* --- a connection's thread ---------------------------------------------------------------------------------------------- */

/* Each of these: how many bytes went on, 0: none now, -EPIPE: over. *events: what to poll for then. */
static ssize_t near_read(struct connection *conn, short *events)
{
	if (conn->out.from < conn->out.to)
		return 0;
	ssize_t n = recv(conn->near_fd, conn->out.bytes, FLOW_BYTES, MSG_DONTWAIT);
	if (n <= 0) {
		*events |= POLLIN;
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
	}
	conn->out.from = 0;
	conn->out.to = (size_t)n;
	return n;
}

static ssize_t near_write(struct connection *conn, short *events)
{
	if (conn->in.from == conn->in.to)
		return 0;
	ssize_t n = send(conn->near_fd, conn->in.bytes + conn->in.from, conn->in.to - conn->in.from,
		MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		*events |= POLLOUT;
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	}
	conn->in.from += (size_t)n;
	return n;
}

static ssize_t far_write(struct connection *conn, struct channel *channel, short *events)
{
	short wanted = 0;
	if (conn->out.from == conn->out.to)
		return 0;
	ssize_t n =
		channel_try_write(channel, conn->out.bytes + conn->out.from, conn->out.to - conn->out.from, &wanted);
	*events |= wanted;
	if (n > 0)
		conn->out.from += (size_t)n;
	return n == -EAGAIN ? 0 : n;
}

static ssize_t far_read(struct connection *conn, struct channel *channel, short *events)
{
	short wanted = 0;
	if (conn->in.from < conn->in.to)
		return 0;
	ssize_t n = channel_try_read(channel, conn->in.bytes, FLOW_BYTES, &wanted);
	*events |= wanted;
	if (n > 0) {
		conn->in.from = 0;
		conn->in.to = (size_t)n;
	}
	return n == -EAGAIN ? 0 : n;
}

/* Until one side ends; what the other one has said by then is lost with it, as with any connection that is cut. */
static void pass_bytes(struct connection *conn, struct channel *channel)
{
	for (;;) {
		short near = 0, far = 0;
		ssize_t steps[] = {near_read(conn, &near), far_write(conn, channel, &far),
			far_read(conn, channel, &far), near_write(conn, &near)};
		bool moved = false;
		for (size_t i = 0; i < 4; i++) {
			if (steps[i] < 0)
				return;
			moved |= steps[i] > 0;
		}
		if (moved)
			continue;
		struct pollfd fds[] = {
			{.fd = conn->near_fd, .events = near},
			{.fd = far ? channel_fd(channel) : -1, .events = far}, /* a hang-up would be told for ever */
			{.fd = conn->gateway->stop_fd, .events = POLLIN},
		};
		if ((poll(fds, 3, -1) < 0 && errno != EINTR) || fds[2].revents || (fds[0].revents & POLLHUP))
			return;
	}
}

static void note_failure(struct gateway *gateway, const struct channel_failure *failure)
{
	pthread_mutex_lock(&gateway->lock);
	gateway->failed = failure != NULL;
	if (failure)
		gateway->failure = *failure;
	pthread_mutex_unlock(&gateway->lock);
}

static void *connection_main(void *arg)
{
	struct connection *conn = arg;
	struct gateway *gateway = conn->gateway;
	const struct kafka_settings *settings = gateway->settings;
	struct channel_failure failure;
	struct channel *channel = NULL;
	const struct channel_options options = {
		.ctx = gateway->ctx,
		.verify = settings->tls.verify,
		.has_certificate = settings->tls.cert != NULL,
		.address = (const struct sockaddr *)&conn->address,
		.address_len = conn->address_len,
		.broker = conn->broker,
		.closed_fd = conn->near_fd,
		.stop_fd = gateway->stop_fd,
		.timeout_ms = OPEN_TIMEOUT_MS,
	};
	int r = channel_open(&options, &channel, &failure);
	if (r == 0)
		r = sasl_login(channel, &settings->sasl, gateway->ctx != NULL, settings->client_id, &failure);
	if (r != -ECANCELED)
		note_failure(gateway, r < 0 ? &failure : NULL);
	if (r == 0)
		pass_bytes(conn, channel);
	channel_close(channel);
	pthread_mutex_lock(&gateway->lock);
	close(conn->near_fd); /* the library sees it after the failure was noted */
	conn->near_fd = -1;
	conn->done = true;
	pthread_mutex_unlock(&gateway->lock);
	return NULL;
}

/* --- what the library asks for ------------------------------------------------------------------------------------------ */

/* Under the lock. Joins what has ended, and drops what was never connected and whose socket the library has closed: it
 * then has that number again. */
static void sweep(struct gateway *gateway, int library_fd)
{
	for (struct connection **at = &gateway->connections, *conn; (conn = *at) != NULL;) {
		bool unused = !conn->begun && conn->library_fd == library_fd;
		if (!conn->done && !unused) {
			at = &conn->next;
			continue;
		}
		*at = conn->next;
		if (conn->begun)
			pthread_join(conn->thread, NULL); /* it holds no lock any more, and does nothing else */
		else
			close(conn->near_fd);
		free(conn);
	}
}

int gateway_socket(struct gateway *gateway)
{
	int pair[2];
	struct connection *conn = calloc(1, sizeof *conn);
	if (!conn || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(conn);
		return -1;
	}
	conn->gateway = gateway;
	conn->library_fd = pair[0];
	conn->near_fd = pair[1];
	pthread_mutex_lock(&gateway->lock);
	sweep(gateway, pair[0]);
	conn->next = gateway->connections;
	gateway->connections = conn;
	pthread_mutex_unlock(&gateway->lock);
	return pair[0];
}

int gateway_connect(
	struct gateway *gateway, int fd, const struct sockaddr *address, socklen_t address_len, const char *broker)
{
	int r = EBADF;
	pthread_mutex_lock(&gateway->lock);
	for (struct connection *conn = gateway->connections; conn; conn = conn->next) {
		if (conn->begun || conn->library_fd != fd || address_len > sizeof conn->address)
			continue;
		memcpy(&conn->address, address, address_len);
		conn->address_len = address_len;
		snprintf(conn->broker, sizeof conn->broker, "%s", broker);
		r = pthread_create(&conn->thread, NULL, connection_main, conn);
		conn->begun = r == 0;
		break;
	}
	pthread_mutex_unlock(&gateway->lock);
	return r;
}

bool gateway_failure(struct gateway *gateway, struct channel_failure *ret_failure)
{
	pthread_mutex_lock(&gateway->lock);
	bool failed = gateway->failed;
	if (failed)
		*ret_failure = gateway->failure;
	pthread_mutex_unlock(&gateway->lock);
	return failed;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

struct gateway *gateway_new(const struct kafka_settings *settings, char *errstr, size_t errstr_size)
{
	struct gateway *gateway = calloc(1, sizeof *gateway);
	snprintf(errstr, errstr_size, "out of memory");
	if (!gateway)
		return NULL;
	gateway->settings = settings;
	gateway->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&gateway->lock, NULL);
	if (gateway->stop_fd >= 0 && kafka_tls_used(&settings->tls))
		gateway->ctx = channel_tls_new(&settings->tls, errstr, errstr_size);
	if (gateway->stop_fd >= 0 && (gateway->ctx || !kafka_tls_used(&settings->tls)))
		return gateway;
	gateway_free(gateway);
	return NULL;
}

void gateway_free(struct gateway *gateway)
{
	static const uint64_t one = 1;
	if (!gateway)
		return;
	if (gateway->stop_fd >= 0 && write(gateway->stop_fd, &one, sizeof one) < 0)
		return; /* cannot be: it has never been written to */
	while (gateway->connections) {
		struct connection *conn = gateway->connections;
		gateway->connections = conn->next;
		if (conn->begun)
			pthread_join(conn->thread, NULL);
		else
			close(conn->near_fd);
		free(conn);
	}
	channel_tls_free(gateway->ctx);
	if (gateway->stop_fd >= 0)
		close(gateway->stop_fd);
	pthread_mutex_destroy(&gateway->lock);
	free(gateway);
}
