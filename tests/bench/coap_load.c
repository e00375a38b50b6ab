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
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/bench/coap_request.h"
#include "tests/bench/pace.h"

#define MAX_PEERS 16384u
#define EVENTS    256

struct peer {
	int fd;
	struct coap_request request;
};

static struct peer *peers;
static size_t n_peers;
static const char *path;
static size_t size;
static struct coap_samples samples;
static unsigned long n_again;

static void transmit(struct peer *peer)
{
	if (send(peer->fd, peer->request.sent, peer->request.len, 0) < 0 && errno != EAGAIN)
		coap_wire_die("coap_load: send");
	coap_request_goes_out(&peer->request);
}

static void send_one(struct peer *peer, uint64_t due_us)
{
	coap_request_write(&peer->request, path, size, due_us);
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
	return coap_request_take(&peer->request, msg, &samples);
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
		coap_request_init(&peer->request);
		if (peer->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
			coap_wire_die("coap_load: socket");
	}
}

static struct peer *free_peer(void)
{
	static size_t next;
	for (size_t i = 0; i < n_peers; i++) {
		struct peer *peer = &peers[next++ % n_peers];
		if (!peer->request.busy)
			return peer;
	}
	return NULL;
}

static void send_again(void)
{
	uint64_t now_us;
	if (!coap_request_time_to_look(&now_us))
		return;
	for (size_t i = 0; i < n_peers; i++)
		if (coap_request_is_to_be_sent_again(&peers[i].request, now_us)) {
			n_again++;
			transmit(&peers[i]);
		}
}

static void run(int epoll_fd, struct pace *pace)
{
	struct epoll_event events[EVENTS];
	struct peer *peer;
	for (size_t i = 0; i < n_peers && pace->rate == 0; i++)
		send_one(&peers[i], coap_wire_now_us());
	while (!pace_is_over(pace, samples.n)) {
		bool due;
		while ((due = pace_is_due(pace)) && (peer = free_peer()) != NULL)
			send_one(peer, pace_take(pace));
		int n = pace_wait(pace, due, epoll_fd, events, EVENTS);
		for (int i = 0; i < n; i++) {
			peer = events[i].data.ptr;
			if (receive(peer) && pace->rate == 0)
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
	struct pace pace;
	path = argv[2];
	size = strtoul(argv[5], NULL, 10);
	if (epoll_fd < 0 || n == 0 || n > MAX_PEERS || size > COAP_WIRE_MAX)
		coap_wire_die("coap_load: start");
	srandom((unsigned)coap_wire_now_us());
	connect_all(epoll_fd, (uint16_t)strtoul(argv[1], NULL, 10), n);
	pace_begin(&pace, argc > 6 ? strtod(argv[6], NULL) : 0, seconds);
	run(epoll_fd, &pace);
	double per_second = pace_per_second(&pace, samples.n);
	if (samples.n == 0) {
		fprintf(stderr, "coap_load: no answer\n");
		return 1;
	}
	printf("%.0f %u %u %lu\n", per_second, coap_samples_percentile(&samples, 50),
		coap_samples_percentile(&samples, 99), n_again);
	return 0;
}
