/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers that answer every request with 204 as fast as they can, each on a port of its own, in one thread; a port with a
 * minus sign before it takes connections and never answers. How many requests each has answered stands in a file, as numbers of 64 bits
 * in the order of the ports, for whoever maps it. Only for clients of ours: requests with Content-Length, on loopback.
 *
 *     http_sinks FILE [-]PORT...
 */
#define _GNU_SOURCE /* accept4, memmem */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PORTS    64
#define BUFFER_BYTES (256u * 1024)
#define ANSWER       "HTTP/1.1 204 No Content\r\n\r\n"

/* What an event points to: a listening socket or a connection. */
struct peer {
	int fd;
	bool listens, silent;
	volatile uint64_t *answered;
	size_t n; /* bytes in buffer */
	char *buffer;
};

static void fail(const char *what)
{
	fprintf(stderr, "http_sinks: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int epoll, struct peer *peer)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0)
		fail("epoll_ctl");
}

static struct peer *new_peer(int fd, bool listens, bool silent, volatile uint64_t *answered)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		fail("memory");
	peer->buffer = listens ? NULL : malloc(BUFFER_BYTES);
	if (!listens && !peer->buffer)
		fail("memory");
	peer->fd = fd;
	peer->listens = listens;
	peer->silent = silent;
	peer->answered = answered;
	return peer;
}

static void listen_at(int epoll, const char *text, volatile uint64_t *answered)
{
	bool silent = text[0] == '-';
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	address.sin_port = htons((uint16_t)strtoul(text + silent, NULL, 10));
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 512) != 0)
		fail(text);
	watch(epoll, new_peer(fd, true, silent, answered));
}

static void take_connections(int epoll, const struct peer *listener)
{
	int fd;
	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(epoll, new_peer(fd, false, listener->silent, listener->answered));
}

/* Length of the whole request at the beginning of `text`, 0 if it is not all there. */
static size_t request_length(const char *text, size_t n)
{
	const char *end = memmem(text, n, "\r\n\r\n", 4);
	if (!end)
		return 0;
	size_t length = (size_t)(end - text) + 4;
	for (const char *line = memchr(text, '\n', n); line && line < end; line = memchr(line + 1, '\n', n)) {
		if (strncasecmp(line + 1, "content-length:", 15) == 0)
			length += strtoul(line + 16, NULL, 10);
	}
	return length <= n ? length : 0;
}

/* False: the connection is over. */
static bool serve(struct peer *peer)
{
	ssize_t got = read(peer->fd, peer->buffer + peer->n, BUFFER_BYTES - 1 - peer->n);
	if (got < 0)
		return errno == EAGAIN;
	if (got == 0)
		return false;
	if (peer->silent)
		return true;
	peer->n += (size_t)got;
	peer->buffer[peer->n] = '\0';
	size_t at = 0, length;
	while ((length = request_length(peer->buffer + at, peer->n - at)) > 0) {
		at += length;
		++*peer->answered;
		if (write(peer->fd, ANSWER, sizeof(ANSWER) - 1) != (ssize_t)sizeof(ANSWER) - 1)
			return false;
	}
	peer->n -= at;
	memmove(peer->buffer, peer->buffer + at, peer->n);
	return peer->n < BUFFER_BYTES - 1;
}

static void drop(struct peer *peer)
{
	close(peer->fd);
	free(peer->buffer);
	free(peer);
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 2 + MAX_PORTS) {
		fprintf(stderr, "usage: http_sinks FILE [-]PORT...\n");
		return 2;
	}
	size_t size = (size_t)(argc - 2) * sizeof(uint64_t);
	int file = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file < 0 || ftruncate(file, (off_t)size) != 0)
		fail(argv[1]);
	volatile uint64_t *answered = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (answered == MAP_FAILED || epoll < 0)
		fail("start");
	for (int i = 2; i < argc; i++)
		listen_at(epoll, argv[i], &answered[i - 2]);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			struct peer *peer = events[i].data.ptr;
			if (peer->listens)
				take_connections(epoll, peer);
			else if (!serve(peer))
				drop(peer);
		}
	}
}
