/* SPDX-License-Identifier: Apache-2.0
 *
 * Many that observe one resource: coap_observers PORT WATCHED PUT COUNT ROUNDS. COUNT peers, each with a port of its own, register for
 * WATCHED, at most 64 at a time, and each acknowledges what it gets and answers pings. Prints `registered SECONDS` when all
 * have had an answer with Observe. Then ROUNDS times, at a line of input each, sends a new value to PUT, confirmable, and prints
 * `notified FIRST MEDIAN LAST` in milliseconds from the sending until the first of them, half of them and all of them have that value.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tests/bench/coap_wire.h"

#define MAX_PEERS     16384u
#define MAX_UNDER_WAY 64u
#define AGAIN_US      1000000u
#define PATIENCE_US   120000000u
#define EVENTS        256

struct peer {
	int fd;
	bool registered;
	uint16_t id;
	uint64_t again_us;
	uint64_t value; /* the newest it has */
};

static struct peer *peers, putter;
static size_t n_peers, n_begun, n_registered, n_have;
static const char *watched, *put;
static uint64_t wanted;
static int epoll_fd;

static void transmit(int fd, const struct coap_wire *msg)
{
	uint8_t out[COAP_WIRE_MAX];
	size_t len = coap_wire_write(msg, out);
	if (send(fd, out, len, 0) < 0 && errno != EAGAIN)
		coap_wire_die("coap_observers: send");
}

static void open_peer(struct peer *peer, uint16_t port)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
	peer->fd = coap_wire_connect(port);
	peer->id = (uint16_t)random();
	if (peer->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
		coap_wire_die("coap_observers: socket");
}

/* Again with the same id: a repetition. */
static void register_peer(struct peer *peer)
{
	struct coap_wire msg = {.type = COAP_WIRE_CON,
		.code = COAP_WIRE_GET,
		.id = peer->id,
		.token = (uint64_t)(peer - peers) + 1,
		.token_len = 4,
		.has_observe = true,
		.path = watched};
	transmit(peer->fd, &msg);
	peer->again_us = coap_wire_now_us() + AGAIN_US;
}

static void put_value(void)
{
	struct coap_wire msg = {.type = COAP_WIRE_CON,
		.code = COAP_WIRE_PUT,
		.id = putter.id,
		.token = putter.id,
		.token_len = 2,
		.path = put,
		.payload = (const uint8_t *)&wanted,
		.payload_len = sizeof wanted};
	transmit(putter.fd, &msg);
	putter.again_us = coap_wire_now_us() + AGAIN_US;
}

/* The value of a notification counts whatever its order: numbers only grow. */
static void take(struct peer *peer, const struct coap_wire *msg)
{
	uint64_t value = 0;
	if (msg->type == COAP_WIRE_CON) {
		enum coap_wire_type type = msg->code == COAP_WIRE_EMPTY ? COAP_WIRE_RST : COAP_WIRE_ACK;
		transmit(peer->fd, &(struct coap_wire){.type = type, .id = msg->id});
	}
	if (peer == &putter || msg->code == COAP_WIRE_EMPTY)
		return;
	if (msg->code == COAP_WIRE_CODE(4, 4) && !peer->registered) {
		peer->id++; /* the first value is still on its way */
		return;
	}
	if (msg->code >> 5 != 2 || !msg->has_observe) {
		fprintf(stderr, "coap_observers: answered %d.%02u, observed: %d\n", msg->code >> 5, msg->code & 31u,
			msg->has_observe);
		exit(1);
	}
	n_registered += !peer->registered;
	peer->registered = true;
	if (msg->payload_len == sizeof value)
		memcpy(&value, msg->payload, sizeof value);
	n_have += value == wanted && peer->value != wanted;
	peer->value = value > peer->value ? value : peer->value;
}

static void turn(void)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(epoll_fd, events, EVENTS, 100);
	for (int i = 0; i < n; i++) {
		struct peer *peer = events[i].data.ptr;
		uint8_t in[COAP_WIRE_MAX];
		struct coap_wire msg;
		for (ssize_t len; (len = recv(peer->fd, in, sizeof in, 0)) >= 0;)
			if (coap_wire_read(in, (size_t)len, &msg))
				take(peer, &msg);
	}
}

static void register_all(uint16_t port)
{
	uint64_t began_us = coap_wire_now_us();
	while (n_registered < n_peers) {
		while (n_begun < n_peers && n_begun - n_registered < MAX_UNDER_WAY) {
			open_peer(&peers[n_begun], port);
			register_peer(&peers[n_begun++]);
		}
		turn();
		for (size_t i = 0; i < n_begun; i++)
			if (!peers[i].registered && peers[i].again_us < coap_wire_now_us())
				register_peer(&peers[i]);
	}
	printf("registered %.3f\n", (double)(coap_wire_now_us() - began_us) / 1e6);
	fflush(stdout);
}

/* Puts a new value and waits until all have it. */
static void notify_all(void)
{
	double first = 0, median = 0;
	uint64_t began_us = coap_wire_now_us();
	wanted++;
	n_have = 0;
	putter.id++;
	put_value();
	while (n_have < n_peers && coap_wire_now_us() - began_us < PATIENCE_US) {
		turn();
		double ms = (double)(coap_wire_now_us() - began_us) / 1e3;
		first = n_have > 0 && first == 0 ? ms : first;
		median = n_have > n_peers / 2 && median == 0 ? ms : median;
		if (n_have == 0 && putter.again_us < coap_wire_now_us())
			put_value();
	}
	if (n_have < n_peers) {
		fprintf(stderr, "coap_observers: %zu of %zu have it\n", n_have, n_peers);
		exit(1);
	}
	printf("notified %.1f %.1f %.1f\n", first, median, (double)(coap_wire_now_us() - began_us) / 1e3);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: coap_observers PORT WATCHED PUT COUNT ROUNDS\n");
		return 2;
	}
	uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
	watched = argv[2];
	put = argv[3];
	n_peers = strtoul(argv[4], NULL, 10);
	epoll_fd = epoll_create1(0);
	peers = calloc(n_peers, sizeof *peers);
	if (epoll_fd < 0 || !peers || n_peers == 0 || n_peers > MAX_PEERS)
		coap_wire_die("coap_observers: start");
	srandom((unsigned)coap_wire_now_us());
	open_peer(&putter, port);
	wanted = 1;
	put_value();
	register_all(port);
	for (unsigned long rounds = strtoul(argv[5], NULL, 10); rounds > 0 && getchar() != EOF; rounds--)
		notify_all();
	return 0;
}
