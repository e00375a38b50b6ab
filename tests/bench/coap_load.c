/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends confirmable POSTs over UDP: coap_load PORT PATH PEERS SECONDS SIZE [RATE]. Each peer is a device of its own with a port of
 * its own and one request under way (NSTART 1, RFC 7252 §4.7): it sends the next one when it has its answer, piggybacked or
 * separate, and sends again what was not acknowledged after 2 to 3 s, then twice that. With a rate, requests are due at even intervals, and how
 * long one took counts from when it was due, whether a peer was free then or not. Prints requests a second, the latencies'
 * p50 and p99 in microseconds, and how many were sent again. Only 2.xx counts; anything else is an error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/bench/coap_wire.h"

#define MAX_PEERS      16384u
#define ACK_TIMEOUT_US 2000000u
#define EVENTS         256

struct peer {
	int fd;
	bool busy, acknowledged;
	uint16_t id;
	uint32_t token;
	uint64_t due_us, again_us; /* again_us: when it is sent again */
	uint64_t patience_us;
	size_t len;
	uint8_t sent[COAP_WIRE_MAX];
};

static struct peer *peers;
static size_t n_peers;
static const char *path;
static size_t size;
static struct coap_samples samples;
static unsigned long n_answers, n_again;

static void transmit(struct peer *peer)
{
	if (send(peer->fd, peer->sent, peer->len, 0) < 0 && errno != EAGAIN)
		coap_wire_die("coap_load: send");
	peer->again_us = coap_wire_now_us() + peer->patience_us;
	peer->patience_us *= 2;
}

/* Every message differs from all others, as a sensor's do: else it would be a repetition. */
static void send_one(struct peer *peer, uint64_t due_us)
{
	static uint8_t payload[COAP_WIRE_MAX];
	static uint64_t number;
	number++;
	memset(payload, 'x', size);
	memcpy(payload, &number, sizeof number < size ? sizeof number : size);
	struct coap_wire msg = {.type = COAP_WIRE_CON,
		.code = COAP_WIRE_POST,
		.id = ++peer->id,
		.token = ++peer->token,
		.token_len = sizeof peer->token,
		.path = path,
		.payload = payload,
		.payload_len = size};
	peer->len = coap_wire_write(&msg, peer->sent);
	if (peer->len == 0)
		coap_wire_die("coap_load: too large");
	peer->busy = true;
	peer->acknowledged = false;
	peer->due_us = due_us;
	peer->patience_us = ACK_TIMEOUT_US + (uint64_t)random() % (ACK_TIMEOUT_US / 2);
	transmit(peer);
}

static void send_empty(struct peer *peer, enum coap_wire_type type, uint16_t id)
{
	uint8_t out[COAP_WIRE_MAX];
	struct coap_wire msg = {.type = type, .id = id};
	size_t len = coap_wire_write(&msg, out);
	if (send(peer->fd, out, len, 0) < 0 && errno != EAGAIN)
		coap_wire_die("coap_load: send");
}

/* True when the request has its answer. */
static bool take(struct peer *peer, const struct coap_wire *msg)
{
	if (msg->type == COAP_WIRE_CON)
		send_empty(peer, msg->code == COAP_WIRE_EMPTY ? COAP_WIRE_RST : COAP_WIRE_ACK, msg->id);
	if (!peer->busy || msg->type == COAP_WIRE_RST)
		return false;
	if (msg->code == COAP_WIRE_EMPTY) {
		peer->acknowledged = peer->acknowledged || (msg->type == COAP_WIRE_ACK && msg->id == peer->id);
		return false;
	}
	if (msg->token != peer->token)
		return false; /* an answer that was repeated */
	if (msg->code >> 5 != 2) {
		fprintf(stderr, "coap_load: answered %d.%02u\n", msg->code >> 5, msg->code & 31u);
		exit(1);
	}
	n_answers++;
	coap_samples_add(&samples, coap_wire_now_us() - peer->due_us);
	peer->busy = false;
	return true;
}

static bool receive(struct peer *peer)
{
	uint8_t in[COAP_WIRE_MAX];
	bool answered = false;
	for (ssize_t n; (n = recv(peer->fd, in, sizeof in, 0)) >= 0;) {
		struct coap_wire msg;
		if (!coap_wire_read(in, (size_t)n, &msg)) {
			fprintf(stderr, "coap_load: not an answer\n");
			exit(1);
		}
		answered = take(peer, &msg) || answered;
	}
	if (errno != EAGAIN)
		coap_wire_die("coap_load: receive");
	return answered;
}

static void connect_all(int epoll_fd, uint16_t port, size_t n)
{
	peers = calloc(n, sizeof *peers);
	if (!peers)
		coap_wire_die("coap_load: memory");
	for (n_peers = 0; n_peers < n; n_peers++) {
		struct peer *peer = &peers[n_peers];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
		peer->fd = coap_wire_connect(port);
		peer->id = (uint16_t)random();
		peer->token = (uint32_t)random();
		if (peer->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
			coap_wire_die("coap_load: socket");
	}
}

static struct peer *free_peer(void)
{
	static size_t next;
	for (size_t i = 0; i < n_peers; i++) {
		struct peer *peer = &peers[next++ % n_peers];
		if (!peer->busy)
			return peer;
	}
	return NULL;
}

/* Sends what is due; returns how long until the next one is. */
static int pace(uint64_t *due_us, double interval_us, uint64_t began_us, uint64_t *n_due)
{
	struct peer *peer;
	while (*due_us <= coap_wire_now_us() && (peer = free_peer()) != NULL) {
		send_one(peer, *due_us);
		*due_us = began_us + (uint64_t)((double)++*n_due * interval_us);
	}
	uint64_t now = coap_wire_now_us();
	return *due_us > now + 1000 ? (int)((*due_us - now) / 1000) : 0;
}

/* Looked at ten times a second. */
static void send_again(void)
{
	static uint64_t next_us;
	uint64_t now = coap_wire_now_us();
	if (now < next_us)
		return;
	next_us = now + 100000;
	for (size_t i = 0; i < n_peers; i++)
		if (peers[i].busy && !peers[i].acknowledged && peers[i].again_us <= now) {
			n_again++;
			transmit(&peers[i]);
		}
}

static void run(int epoll_fd, uint64_t seconds, double rate)
{
	struct epoll_event events[EVENTS];
	uint64_t began_us = coap_wire_now_us(), due_us = began_us, n_due = 0, end_us = began_us + seconds * 1000000;
	for (size_t i = 0; i < n_peers && rate == 0; i++)
		send_one(&peers[i], coap_wire_now_us());
	while (coap_wire_now_us() < end_us) {
		int wait = rate > 0 ? pace(&due_us, 1e6 / rate, began_us, &n_due) : 100;
		int n = epoll_wait(epoll_fd, events, EVENTS, wait);
		for (int i = 0; i < n; i++) {
			struct peer *peer = events[i].data.ptr;
			if (receive(peer) && rate == 0)
				send_one(peer, coap_wire_now_us());
		}
		send_again();
	}
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: coap_load PORT PATH PEERS SECONDS SIZE [RATE]\n");
		return 2;
	}
	size_t n = strtoul(argv[3], NULL, 10);
	uint64_t seconds = strtoull(argv[4], NULL, 10);
	int epoll_fd = epoll_create1(0);
	path = argv[2];
	size = strtoul(argv[5], NULL, 10);
	if (epoll_fd < 0 || n == 0 || n > MAX_PEERS || size > COAP_WIRE_MAX)
		coap_wire_die("coap_load: start");
	srandom((unsigned)coap_wire_now_us());
	connect_all(epoll_fd, (uint16_t)strtoul(argv[1], NULL, 10), n);
	run(epoll_fd, seconds, argc > 6 ? strtod(argv[6], NULL) : 0);
	if (n_answers == 0) {
		fprintf(stderr, "coap_load: no answer\n");
		return 1;
	}
	printf("%.0f %u %u %lu\n", (double)n_answers / (double)seconds, coap_samples_percentile(&samples, 50),
		coap_samples_percentile(&samples, 99), n_again);
	return 0;
}
