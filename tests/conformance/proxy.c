/* SPDX-License-Identifier: Apache-2.0
 *
 * poll() over pairs of sockets, with one buffer for each direction.
 */
#define _GNU_SOURCE
#include "tests/conformance/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PAIRS   32
#define BUFFER_SIZE 65536

enum mode { PASS, STALL, CUT, END };

struct half { /* one direction */
	int from, to;
	size_t begin, end;
	bool ended;
	char buffer[BUFFER_SIZE];
};

struct pair {
	bool used;
	struct half halves[2];
};

struct proxy {
	int port, peer_port, listener; /* listener: -1 while cut */
	int control[2];
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	enum mode wanted, mode; /* guarded by mutex */
	struct pair pairs[MAX_PAIRS];
};

static void bail(const char *what)
{
	printf("Bail out! proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* port 0: any. */
static int listen_on(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	if (fd < 0)
		bail("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 16) < 0)
		bail("listen");
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		bail("getsockname");
	return ntohs(address.sin_port);
}

/* --- pairs, on the thread ------------------------------------------------------------------------------------- */

/* In good order when one side has ended so: what it said before still arrives. */
static void pair_close(struct pair *pair)
{
	struct linger reset = {!pair->halves[0].ended && !pair->halves[1].ended, 0};
	for (int i = 0; i < 2; i++) {
		setsockopt(pair->halves[i].from, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(pair->halves[i].from);
	}
	pair->used = false;
}

static void pair_open(struct proxy *proxy, int client)
{
	struct sockaddr_in address = loopback(proxy->peer_port);
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair *pair = NULL;
	for (int i = 0; i < MAX_PAIRS && !pair; i++)
		if (!proxy->pairs[i].used)
			pair = &proxy->pairs[i];
	if (peer < 0 || !pair || connect(peer, (struct sockaddr *)&address, sizeof address) < 0) {
		if (peer >= 0)
			close(peer);
		close(client);
		return;
	}
	fcntl(peer, F_SETFL, O_NONBLOCK);
	pair->used = true;
	for (int i = 0; i < 2; i++) {
		pair->halves[i].from = i ? peer : client;
		pair->halves[i].to = i ? client : peer;
		pair->halves[i].begin = pair->halves[i].end = 0;
		pair->halves[i].ended = false;
	}
}

/* False: this connection is over. */
static bool half_move(struct half *half)
{
	ssize_t n;
	if (half->begin == half->end) {
		n = read(half->from, half->buffer, sizeof half->buffer);
		half->ended = n == 0;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		half->begin = 0;
		half->end = n > 0 ? (size_t)n : 0;
	}
	if (half->begin < half->end) {
		n = send(half->to, half->buffer + half->begin, half->end - half->begin, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return false;
		half->begin += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void apply_mode(struct proxy *proxy, enum mode mode)
{
	if (mode == CUT || mode == END) {
		for (int i = 0; i < MAX_PAIRS; i++)
			if (proxy->pairs[i].used)
				pair_close(&proxy->pairs[i]);
		if (proxy->listener >= 0)
			close(proxy->listener);
		proxy->listener = -1;
	} else if (proxy->listener < 0) {
		proxy->listener = listen_on(proxy->port);
	}
	pthread_mutex_lock(&proxy->mutex);
	proxy->mode = mode;
	pthread_cond_signal(&proxy->changed);
	pthread_mutex_unlock(&proxy->mutex);
}

static enum mode take_command(struct proxy *proxy)
{
	char byte;
	ssize_t n = read(proxy->control[0], &byte, 1);
	(void)n;
	pthread_mutex_lock(&proxy->mutex);
	enum mode mode = proxy->wanted;
	pthread_mutex_unlock(&proxy->mutex);
	apply_mode(proxy, mode);
	return mode;
}

/* What to wait for: a half that is empty waits for input, else for room. */
static nfds_t gather(const struct proxy *proxy, enum mode mode, struct pollfd *fds)
{
	nfds_t n = 0;
	fds[n++] = (struct pollfd){.fd = proxy->control[0], .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
	for (int i = 0; i < MAX_PAIRS && mode == PASS; i++)
		for (int j = 0; j < 2 && proxy->pairs[i].used; j++) {
			const struct half *half = &proxy->pairs[i].halves[j];
			bool empty = half->begin == half->end;
			fds[n++] = (struct pollfd){
				.fd = empty ? half->from : half->to, .events = empty ? POLLIN : POLLOUT};
		}
	return n;
}

static void *proxy_main(void *arg)
{
	struct proxy *proxy = arg;
	enum mode mode = PASS;
	while (mode != END) {
		struct pollfd fds[2 + 2 * MAX_PAIRS];
		nfds_t n = gather(proxy, mode, fds);
		if (poll(fds, n, -1) < 0)
			continue;
		if (fds[0].revents) {
			mode = take_command(proxy);
			continue;
		}
		for (int i = 0; i < MAX_PAIRS && mode == PASS; i++)
			if (proxy->pairs[i].used &&
				(!half_move(&proxy->pairs[i].halves[0]) || !half_move(&proxy->pairs[i].halves[1])))
				pair_close(&proxy->pairs[i]);
		int client = fds[1].revents ? accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
		if (client >= 0)
			pair_open(proxy, client);
	}
	return NULL;
}

/* --- for the test --------------------------------------------------------------------------------------------- */

struct proxy *proxy_new(int peer_port)
{
	struct proxy *proxy = calloc(1, sizeof *proxy);
	if (!proxy || pipe2(proxy->control, O_CLOEXEC) < 0)
		bail("pipe");
	proxy->peer_port = peer_port;
	proxy->listener = listen_on(0);
	proxy->port = port_of(proxy->listener);
	pthread_mutex_init(&proxy->mutex, NULL);
	pthread_cond_init(&proxy->changed, NULL);
	if (pthread_create(&proxy->thread, NULL, proxy_main, proxy) != 0)
		bail("thread");
	return proxy;
}

int proxy_port(const struct proxy *proxy)
{
	return proxy->port;
}

static void command(struct proxy *proxy, enum mode mode)
{
	pthread_mutex_lock(&proxy->mutex);
	proxy->wanted = mode;
	if (write(proxy->control[1], "", 1) != 1)
		bail("control");
	while (proxy->mode != mode)
		pthread_cond_wait(&proxy->changed, &proxy->mutex);
	pthread_mutex_unlock(&proxy->mutex);
}

void proxy_pass(struct proxy *proxy)
{
	command(proxy, PASS);
}

void proxy_stall(struct proxy *proxy)
{
	command(proxy, STALL);
}

void proxy_cut(struct proxy *proxy)
{
	command(proxy, CUT);
}

void proxy_free(struct proxy *proxy)
{
	command(proxy, END);
	pthread_join(proxy->thread, NULL);
	close(proxy->control[0]);
	close(proxy->control[1]);
	pthread_mutex_destroy(&proxy->mutex);
	pthread_cond_destroy(&proxy->changed);
	free(proxy);
}
