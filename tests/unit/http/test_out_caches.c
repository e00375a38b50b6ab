/* SPDX-License-Identifier: Apache-2.0
 *
 * Which connections a client keeps and uses again: counted at a receiver that answers each request with 204.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/http/out_client.h"
#include "tests/unit/tap.h"

#define MOST_LINKS 16

static struct receiver {
	pthread_t thread;
	struct pollfd fds[2 + MOST_LINKS]; /* what ends it, the listening socket, connections */
	nfds_t n;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned made, open; /* guarded by mutex */
	char url[40];
} receiver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct loop *loop;
static struct http_client *client;
static unsigned n_done, n_good;

/* --- receiver -------------------------------------------------------------------------------------------------------- */

static void note_links(unsigned made)
{
	pthread_mutex_lock(&receiver.mutex);
	receiver.made += made;
	receiver.open = (unsigned)receiver.n - 2;
	pthread_cond_broadcast(&receiver.changed);
	pthread_mutex_unlock(&receiver.mutex);
}

static void take_link(void)
{
	int fd = accept4(receiver.fds[1].fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (receiver.n == 2 + MOST_LINKS) {
		close(fd);
		return;
	}
	receiver.fds[receiver.n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	note_links(1);
}

/* The requests are short: each comes in one piece. */
static bool answer(int fd)
{
	static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";
	char request[4096];
	return recv(fd, request, sizeof request, 0) > 0 &&
	       send(fd, text, sizeof text - 1, MSG_NOSIGNAL) == (ssize_t)sizeof text - 1;
}

static void *receive(void *arg)
{
	(void)arg;
	while (poll(receiver.fds, receiver.n, -1) > 0 && !receiver.fds[0].revents) {
		for (nfds_t i = receiver.n; i-- > 2;) {
			if (!receiver.fds[i].revents || answer(receiver.fds[i].fd))
				continue;
			close(receiver.fds[i].fd);
			receiver.fds[i] = receiver.fds[--receiver.n];
			note_links(0);
		}
		if (receiver.fds[1].revents)
			take_link();
	}
	for (nfds_t i = 0; i < receiver.n; i++)
		close(receiver.fds[i].fd);
	return NULL;
}

static void receiver_start(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, MOST_LINKS), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(receiver.url, sizeof receiver.url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	receiver.fds[0] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
	receiver.fds[1] = (struct pollfd){.fd = fd, .events = POLLIN};
	receiver.n = 2;
	receiver.made = receiver.open = 0;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

static void receiver_end(void)
{
	uint64_t one = 1;
	CU_ASSERT_EQUAL(write(receiver.fds[0].fd, &one, sizeof one), (ssize_t)sizeof one);
	pthread_join(receiver.thread, NULL);
}

static void wait_open(unsigned n)
{
	pthread_mutex_lock(&receiver.mutex);
	while (receiver.open != n)
		pthread_cond_wait(&receiver.changed, &receiver.mutex);
	pthread_mutex_unlock(&receiver.mutex);
}

static unsigned made(void)
{
	pthread_mutex_lock(&receiver.mutex);
	unsigned n = receiver.made;
	pthread_mutex_unlock(&receiver.mutex);
	return n;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static void on_done(struct http_call *call, void *arg)
{
	(void)arg;
	n_good += call->code == CURLE_OK && call->status == 204;
	http_client_give_back(call);
	if (--n_done == 0)
		loop_stop(loop);
}

static void start(bool roams)
{
	struct http_call *call = http_client_take(client);
	CU_ASSERT_PTR_NOT_NULL_FATAL(call);
	call->method = "POST";
	call->roams = roams;
	call->body = slice_str("x");
	CU_ASSERT_EQUAL(buffer_append(&call->url, slice_of(receiver.url, strlen(receiver.url) + 1)), 0);
	CU_ASSERT_EQUAL(http_client_begin(call), 0);
}

/* n requests at once, until all have ended. */
static void ask(unsigned n, bool roams)
{
	n_done = n;
	n_good = 0;
	for (unsigned i = 0; i < n; i++)
		start(roams);
	http_client_run(client);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_good, n);
}

static void begin(unsigned connections)
{
	alarm(300); /* instead of a wait that never ends */
	receiver_start();
	loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	struct http_client_options options = {.loop = loop,
		.calls = connections + 1,
		.connections = connections,
		.timeout_ms = 30000,
		.connect_timeout_ms = 30000,
		.on_done = on_done};
	client = http_client_new(&options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
}

static void end(void)
{
	http_client_free(client);
	wait_open(0);
	receiver_end();
	loop_free(loop);
}

static void test_kept(void)
{
	begin(4);
	for (int i = 0; i < 10; i++)
		ask(1, false);
	CU_ASSERT_EQUAL(made(), 1);
	ask(4, false);
	CU_ASSERT_EQUAL(made(), 4);
	for (int i = 0; i < 10; i++)
		ask(4, false);
	CU_ASSERT_EQUAL(made(), 4);
	CU_ASSERT_EQUAL(http_client_connections(client), 4);
	end();
}

/* To other places: as many, together. */
static void test_roaming(void)
{
	begin(3);
	for (int i = 0; i < 5; i++)
		ask(3, true);
	CU_ASSERT_EQUAL(made(), 3);
	for (int i = 0; i < 5; i++)
		ask(1, false);
	CU_ASSERT_EQUAL(made(), 4);
	end();
}

/* What was made with other files goes: at once what is idle, and at its end what is under way. */
static void test_renewed(void)
{
	struct http_client_tls tls = {.ca = slice_of(NULL, 0)};
	begin(2);
	ask(2, false);
	CU_ASSERT_EQUAL(http_client_set_tls(client, &tls), 0);
	wait_open(0);
	ask(1, false);
	CU_ASSERT_EQUAL(made(), 3);
	n_done = 1;
	start(false);
	CU_ASSERT_EQUAL(http_client_set_tls(client, &tls), 0);
	http_client_run(client);
	loop_run(loop);
	wait_open(0);
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"one after the other by one connection, and no more than asked for at once", test_kept},
		{"what goes to other places keeps its connections apart", test_roaming},
		{"connections made with other files end", test_renewed},
		{NULL, NULL},
	};
	return tap_main("http out caches", tests);
}
