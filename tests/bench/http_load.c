/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends POSTs over kept connections: http_load PORT PATH CONNECTIONS SECONDS SIZE [RATE]. Without a rate each connection sends
 * its next request when it has its answer. With one, requests are due at even intervals, and how long one took counts from when
 * it was due, whether a connection was free then or not. Prints requests a second and the latencies' p50 and p99 in
 * microseconds. Only 202 counts; anything else is an error.
 */
#define _GNU_SOURCE /* memmem */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/pace.h"

#define MAX_CONNECTIONS 4096
#define MAX_SAMPLES     (8u << 20)

struct peer {
	int fd;
	bool busy;
	uint64_t due_us;
	char got[1024];
	size_t len;
};

static struct peer peers[MAX_CONNECTIONS];
static size_t n_peers;
static char *request;
static size_t request_len;
static uint32_t *samples;
static size_t n_samples;

static uint64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void die(const char *what)
{
	fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_request(const char *path, size_t size)
{
	request = malloc(size + 512);
	if (!request)
		die("memory");
	int n = snprintf(request, 512,
		"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		path, size);
	memset(request + n, 'x', size);
	request_len = (size_t)n + size;
}

static void connect_all(int epoll_fd, const char *port, size_t n)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((in_port_t)strtoul(port, NULL, 10))};
	int on = 1;
	for (n_peers = 0; n_peers < n; n_peers++) {
		struct peer *peer = &peers[n_peers];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
		peer->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&at, sizeof at) < 0)
			die("connect");
		setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
			die("epoll");
	}
}

static void send_one(struct peer *peer, uint64_t due_us)
{
	peer->busy = true;
	peer->due_us = due_us;
	peer->len = 0;
	if (send(peer->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
		die("send");
}

/* The answer is whole: its head has come, and as many bytes behind it as that says. */
static bool is_whole(const struct peer *peer)
{
	const char *end = memmem(peer->got, peer->len, "\r\n\r\n", 4);
	const char *length = memmem(peer->got, peer->len, "Content-Length: ", 16);
	return end && length && (size_t)(end + 4 - peer->got) + strtoul(length + 16, NULL, 10) <= peer->len;
}

static bool receive(struct peer *peer)
{
	ssize_t n = recv(peer->fd, peer->got + peer->len, sizeof peer->got - 1 - peer->len, 0);
	if (n <= 0)
		die("the server hung up");
	peer->len += (size_t)n;
	peer->got[peer->len] = '\0';
	if (!is_whole(peer))
		return false;
	if (strncmp(peer->got, "HTTP/1.1 202", 12) != 0) {
		fprintf(stderr, "http_load: %.60s\n", peer->got);
		exit(1);
	}
	if (n_samples < MAX_SAMPLES)
		samples[n_samples++] = (uint32_t)(now_us() - peer->due_us);
	peer->busy = false;
	return true;
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

static void run(int epoll_fd, struct pace *pace)
{
	struct epoll_event events[256];
	struct peer *peer;
	for (size_t i = 0; i < n_peers && pace->rate == 0; i++)
		send_one(&peers[i], now_us());
	while (!pace_is_over(pace, n_samples)) {
		bool due;
		while ((due = pace_is_due(pace)) && (peer = free_peer()) != NULL)
			send_one(peer, pace_take(pace));
		int n = pace_wait(pace, due, epoll_fd, events, 256);
		for (int i = 0; i < n; i++) {
			peer = events[i].data.ptr;
			if (receive(peer) && pace->rate == 0)
				send_one(peer, now_us());
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: http_load PORT PATH CONNECTIONS SECONDS SIZE [RATE]\n");
		return 2;
	}
	size_t n = strtoul(argv[3], NULL, 10);
	uint64_t seconds = strtoull(argv[4], NULL, 10);
	int epoll_fd = epoll_create1(0);
	struct pace pace;
	samples = malloc(MAX_SAMPLES * sizeof *samples);
	if (epoll_fd < 0 || !samples || n > MAX_CONNECTIONS)
		die("start");
	make_request(argv[2], strtoul(argv[5], NULL, 10));
	connect_all(epoll_fd, argv[1], n);
	pace_begin(&pace, argc > 6 ? strtod(argv[6], NULL) : 0, seconds);
	run(epoll_fd, &pace);
	double per_second = pace_per_second(&pace, n_samples);
	if (n_samples == 0)
		die("no answer");
	qsort(samples, n_samples, sizeof *samples, compare);
	printf("%.0f %u %u\n", per_second, samples[n_samples / 2], samples[n_samples * 99 / 100]);
	return 0;
}
