/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener that stops while a request waits for the disk, which takes longer than the stop may: the request has one answer,
 * and the receipts that come after all are of nobody. And one with many requests that wait for room, when there is room.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/http/http.h"
#include "connectors/http/settings.h"
#include "runtime/loop.h"
#include "tests/unit/tap.h"

#define STEP_MS   5
#define MAX_STEPS 4000
#define CROWD     40u /* more than are offered in one turn */

static struct {
	struct link_host host; /* first */
	struct link *link;
	struct loop *loop;
	struct loop_timer *timer;
	struct sockaddr_in address;
	int client;
	int crowd[CROWD];
	enum { ASK, WAIT, READ, END } step;
	unsigned n_steps, n_offers, most_at_once;
	bool full;
	uint64_t cookie;
	bool up, stopped;
	char answer[2048];
	size_t len;
} scene;

/* --- the host --------------------------------------------------------------------------------------------------------- */

static enum offer_result on_offer(struct link_host *host, const struct offer *offer)
{
	(void)host;
	if (scene.full) {
		http_connector.pause(scene.link);
		return OFFER_BUSY;
	}
	scene.n_offers++;
	scene.cookie = offer->cookie;
	return OFFER_TAKEN;
}

static void on_link_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host, (void)traits;
	scene.up = true;
}

static void on_alarm(struct link_host *host, const char *what)
{
	(void)host, (void)what;
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	scene.stopped = true;
}

static const struct link_host_ops ops = {
	.offer = on_offer, .link_up = on_link_up, .alarm = on_alarm, .stopped = on_stopped};

/* --- the client ------------------------------------------------------------------------------------------------------- */

static int ask(void)
{
	static const char text[] = "POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(client, (struct sockaddr *)&scene.address, sizeof scene.address), 0);
	CU_ASSERT_EQUAL(send(client, text, sizeof text - 1, MSG_NOSIGNAL), (ssize_t)sizeof text - 1);
	return client;
}

/* False: the connection has ended. */
static bool read_some(void)
{
	ssize_t n = recv(scene.client, scene.answer + scene.len, sizeof scene.answer - 1 - scene.len, MSG_DONTWAIT);
	if (n > 0)
		scene.len += (size_t)n;
	return n != 0;
}

static void give_receipt(void)
{
	http_connector.receipt(scene.link, scene.cookie, RECEIPT_DURABLE);
	http_connector.receipts_end(scene.link);
}

static void on_step(void *arg)
{
	(void)arg;
	if (scene.step == ASK && scene.up) {
		scene.client = ask();
		scene.step = WAIT;
	} else if (scene.step == WAIT && scene.n_offers) {
		http_connector.stop_intake(scene.link);
		http_connector.stop(scene.link, 5000);
		give_receipt();
		scene.step = READ;
	} else if (scene.step == READ && !read_some()) {
		scene.step = END;
	} else if (scene.step == END && scene.stopped) {
		give_receipt();
		loop_stop(scene.loop);
		return;
	}
	if (++scene.n_steps == MAX_STEPS)
		loop_stop(scene.loop);
	loop_timer_start(scene.timer, STEP_MS);
}

static void note_waiting(const char *name, uint64_t value, void *arg)
{
	if (strcmp(name, "waiting_requests") == 0)
		*(uint64_t *)arg = value;
}

static void on_step_of_crowd(void *arg)
{
	uint64_t waiting = 0;
	(void)arg;
	http_connector.counters(scene.link, note_waiting, &waiting);
	if (scene.step == ASK && scene.up) {
		for (unsigned i = 0; i < CROWD; i++)
			scene.crowd[i] = ask();
		scene.step = WAIT;
	} else if (scene.step == WAIT && waiting == CROWD) {
		scene.full = false;
		http_connector.resume(scene.link);
		scene.most_at_once = scene.n_offers;
		scene.step = READ;
	} else if (scene.step == READ && scene.n_offers == CROWD) {
		for (unsigned i = 0; i < CROWD; i++)
			close(scene.crowd[i]);
		http_connector.stop_intake(scene.link);
		http_connector.stop(scene.link, 5000);
		scene.step = END;
	} else if (scene.step == END && scene.stopped) {
		loop_stop(scene.loop);
		return;
	}
	if (++scene.n_steps == MAX_STEPS)
		loop_stop(scene.loop);
	loop_timer_start(scene.timer, STEP_MS);
}

/* --- together --------------------------------------------------------------------------------------------------------- */

static void find_port(void)
{
	scene.address = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)tap_free_port()),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static void run(loop_fn on_timer)
{
	char listen[32];
	static const struct link_subscription in = {.filter = "/in"};
	find_port();
	snprintf(listen, sizeof listen, "127.0.0.1:%u", ntohs(scene.address.sin_port));
	struct config_text address = {.value = listen};
	const struct http_settings settings = {
		.listen = {&address, 1},
		.in = {.limits = {.max_body = 1000,
			       .max_head = 16384,
			       .max_connections = CROWD,
			       .max_per_address = CROWD,
			       .max_waiting = CROWD,
			       .busy_timeout_ms = 60000,
			       .max_buffered = 100000,
			       .max_split = 1,
			       .head_timeout_ms = 60000,
			       .request_timeout_ms = 60000,
			       .idle_timeout_ms = 60000}},
	};
	scene.host.ops = &ops;
	scene.loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(scene.loop);
	scene.timer = loop_timer_new(scene.loop, on_timer, NULL);
	struct link_spec spec = {
		.name = "api", .settings = &settings, .loop = scene.loop, .subscriptions = &in, .n_subscriptions = 1};
	CU_ASSERT_EQUAL_FATAL(http_connector.create(&spec, &scene.host, &scene.link), 0);
	http_connector.start(scene.link, NULL);
	loop_timer_start(scene.timer, STEP_MS);
	alarm(300); /* instead of a loop that never comes back */
	loop_run(scene.loop);
	CU_ASSERT_TRUE(scene.stopped);
	http_connector.destroy(scene.link);
	loop_timer_free(scene.timer);
	loop_free(scene.loop);
}

static void test_late_receipt(void)
{
	memset(&scene, 0, sizeof scene);
	run(on_step);
	CU_ASSERT_EQUAL(scene.n_offers, 1);
	CU_ASSERT_EQUAL(strncmp(scene.answer, "HTTP/1.1 503 ", 13), 0);
	CU_ASSERT_PTR_NULL(strstr(scene.answer + 1, "HTTP/1.1"));
	close(scene.client);
}

/* All that were held would make one turn of the loop, in which nothing else goes on. */
static void test_held_requests(void)
{
	memset(&scene, 0, sizeof scene);
	scene.full = true;
	run(on_step_of_crowd);
	CU_ASSERT_EQUAL(scene.n_offers, CROWD);
	CU_ASSERT(scene.most_at_once > 0 && scene.most_at_once < CROWD);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a receipt that comes after the stop", test_late_receipt},
		{"many that wait for room are offered in several turns", test_held_requests},
		{NULL, NULL},
	};
	return tap_main("http listener", tests);
}
