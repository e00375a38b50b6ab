/* SPDX-License-Identifier: Apache-2.0
 *
 * The relay between a client and a broker that are both sockets of this test: who may come in, that bytes pass, and what a
 * cut lets through. The client's end is written to between turns of the loop, as another thread would.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "connectors/mqtt/relay.h"
#include "tests/unit/tap.h"

#define DEADLINE_MS 300000

struct rig {
	struct loop *loop;
	struct relay *relay;
	int listener, broker, paho; /* sockets; -1: none */
	unsigned connected, failed, ended, closed;
	char reason[256];
	char request[512]; /* a CONNECT that knows the token */
	uint16_t relay_port;
};

/* --- events ------------------------------------------------------------------------------------------------------- */

static void on_connected(void *ctx)
{
	((struct rig *)ctx)->connected++;
}

static void on_failed(void *ctx, const char *reason, bool lasts)
{
	struct rig *rig = ctx;
	(void)lasts;
	rig->failed++;
	snprintf(rig->reason, sizeof rig->reason, "%s", reason);
}

static void on_ended(void *ctx)
{
	((struct rig *)ctx)->ended++;
}

static void on_closed(void *ctx)
{
	((struct rig *)ctx)->closed++;
}

static const struct relay_events events = {on_connected, on_failed, on_ended, on_closed};

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4) == 0);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void say(int fd, const char *text)
{
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* One turn of the loop, which waits for an event or a short while. */
static void turn(struct rig *rig)
{
	struct pollfd wait = {.fd = uv_backend_fd(loop_uv(rig->loop)), .events = POLLIN};
	poll(&wait, 1, 5);
	uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
}

#define UNTIL(rig, condition)                                                                                          \
	do {                                                                                                           \
		uint64_t deadline = uv_hrtime() / 1000000 + DEADLINE_MS;                                               \
		while (!(condition) && uv_hrtime() / 1000000 < deadline)                                               \
			turn(rig);                                                                                     \
		CU_ASSERT_FATAL(condition);                                                                            \
	} while (0)

/* Turns the loop until the socket has brought `n` bytes more, or its end; how many. */
static size_t hear(struct rig *rig, int fd, char *ret_bytes, size_t n, bool *ret_ended)
{
	size_t got = 0;
	uint64_t deadline = uv_hrtime() / 1000000 + DEADLINE_MS;
	*ret_ended = false;
	while (got < n && !*ret_ended && uv_hrtime() / 1000000 < deadline) {
		ssize_t r = read(fd, ret_bytes + got, n - got);
		if (r > 0)
			got += (size_t)r;
		else if (r == 0 || errno != EAGAIN)
			*ret_ended = true;
		else
			turn(rig);
	}
	return got;
}

static bool hears(struct rig *rig, int fd, const char *text)
{
	char bytes[256];
	bool ended;
	return hear(rig, fd, bytes, strlen(text), &ended) == strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

static bool hears_end(struct rig *rig, int fd)
{
	char byte;
	bool ended;
	return hear(rig, fd, &byte, 1, &ended) == 0 && ended;
}

/* --- the scene ---------------------------------------------------------------------------------------------------- */

static void open_relay(struct rig *rig)
{
	uint16_t port;
	char error[256], credentials[128], basic[256];
	*rig = (struct rig){.loop = loop_new(), .broker = -1, .paho = -1};
	CU_ASSERT_FATAL(rig->loop != NULL);
	rig->listener = listen_on(&port);
	const struct relay_options options = {
		.loop = rig->loop, .host = "127.0.0.1", .port = port, .events = &events, .ctx = rig};
	CU_ASSERT_FATAL(relay_open(&options, &rig->relay, error, sizeof error) == 0);
	unsigned relay_port;
	CU_ASSERT_FATAL(
		sscanf(relay_proxy_url(rig->relay), "http://%127[^@]@127.0.0.1:%u", credentials, &relay_port) == 2);
	rig->relay_port = (uint16_t)relay_port;
	CU_ASSERT_FATAL(mqtt_proxy_basic(credentials, basic, sizeof basic) == 0);
	snprintf(rig->request, sizeof rig->request, "CONNECT broker:1 HTTP/1.1\r\nProxy-Authorization: %s\r\n\r\n",
		basic);
}

static bool accepted(struct rig *rig)
{
	rig->broker = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return rig->broker >= 0;
}

static void open_way(struct rig *rig)
{
	open_relay(rig);
	rig->paho = connect_to(rig->relay_port);
	CU_ASSERT_FATAL(rig->paho >= 0);
	say(rig->paho, rig->request);
	CU_ASSERT(hears(rig, rig->paho, "HTTP/1.1 200 OK\r\n\r\n"));
	UNTIL(rig, rig->broker >= 0 || accepted(rig));
	UNTIL(rig, rig->connected == 1);
}

static void finish(struct rig *rig)
{
	if (rig->broker >= 0)
		close(rig->broker);
	UNTIL(rig, rig->closed == 1);
	if (rig->listener >= 0)
		close(rig->listener);
	if (rig->paho >= 0)
		close(rig->paho);
	turn(rig);
	loop_free(rig->loop);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void test_passes(void)
{
	struct rig rig;
	open_way(&rig);
	say(rig.paho, "up");
	CU_ASSERT(hears(&rig, rig.broker, "up"));
	say(rig.broker, "down");
	CU_ASSERT(hears(&rig, rig.paho, "down"));
	CU_ASSERT_EQUAL(connect_to(rig.relay_port), -1); /* it is for one */
	close(rig.paho);
	rig.paho = -1;
	UNTIL(&rig, rig.ended == 1);
	relay_close(rig.relay, 1000);
	CU_ASSERT(hears_end(&rig, rig.broker));
	CU_ASSERT_EQUAL(rig.failed, 0);
	finish(&rig);
}

/* A stranger is hung up on and the broker hears nothing of it; whoever knows the token is then let in. */
static void test_wrong_token(void)
{
	struct rig rig;
	char answer[64];
	bool ended;
	open_relay(&rig);
	static const char *const strangers[] = {"CONNECT broker:1 HTTP/1.1\r\n\r\n",
		"CONNECT broker:1 HTTP/1.1\r\nProxy-Authorization: Basic bGlua3NwYW46\r\n\r\nCONNECTED"};
	for (size_t i = 0; i < 2; i++) {
		int stranger = connect_to(rig.relay_port);
		CU_ASSERT_FATAL(stranger >= 0);
		say(stranger, strangers[i]);
		hear(&rig, stranger, answer, sizeof answer, &ended); /* the answer to whoever comes, and then the end */
		CU_ASSERT(ended);
		close(stranger);
	}
	CU_ASSERT(!accepted(&rig));
	CU_ASSERT(rig.connected == 0 && rig.failed == 0 && rig.ended == 0);
	rig.paho = connect_to(rig.relay_port);
	CU_ASSERT_FATAL(rig.paho >= 0);
	say(rig.paho, rig.request);
	UNTIL(&rig, rig.broker >= 0 || accepted(&rig));
	UNTIL(&rig, rig.connected == 1);
	say(rig.paho, "mine");
	CU_ASSERT(hears(&rig, rig.broker, "mine"));
	relay_close(rig.relay, 1000);
	finish(&rig);
}

/* What was written before the cut arrives, though no turn has read it, and lingers until it has been sent; nothing that is written after it does. */
static void test_cut(void)
{
	struct rig rig;
	open_way(&rig);
	say(rig.paho, "before");
	relay_cut(rig.relay);
	ssize_t r = send(rig.paho, "after", 5, MSG_NOSIGNAL); /* taken by the kernel or not: it has nowhere to go */
	(void)r;
	char bytes[64];
	bool ended;
	size_t n = hear(&rig, rig.broker, bytes, sizeof bytes, &ended);
	CU_ASSERT(ended && n == 6 && memcmp(bytes, "before", 6) == 0);
	CU_ASSERT(rig.ended == 0 && rig.failed == 0);
	finish(&rig);
}

/* The last words of a broker reach the client, and then the end of the stream. */
static void test_broker_ends(void)
{
	struct rig rig;
	open_way(&rig);
	say(rig.broker, "bye");
	close(rig.broker);
	rig.broker = -1;
	CU_ASSERT(hears(&rig, rig.paho, "bye"));
	CU_ASSERT(hears_end(&rig, rig.paho));
	CU_ASSERT_EQUAL(rig.failed, 1);
	CU_ASSERT(rig.reason[0] != '\0');
	relay_close(rig.relay, 1000);
	finish(&rig);
}

static void test_no_broker(void)
{
	struct rig rig;
	open_relay(&rig);
	close(rig.listener);
	rig.listener = -1;
	rig.paho = connect_to(rig.relay_port);
	CU_ASSERT_FATAL(rig.paho >= 0);
	say(rig.paho, rig.request);
	UNTIL(&rig, rig.failed == 1);
	CU_ASSERT_EQUAL(rig.connected, 0);
	relay_close(rig.relay, 1000);
	finish(&rig);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"bytes pass, for one client", test_passes},
		{"a wrong token is refused, and the next one who knows it is let in", test_wrong_token},
		{"a cut lets through what was written before it, and nothing later", test_cut},
		{"a broker's last words, then the end", test_broker_ends},
		{"a broker that is not there", test_no_broker},
		{NULL, NULL},
	};
	signal(SIGPIPE, SIG_IGN);
	return tap_main("mqtt relay", tests);
}
