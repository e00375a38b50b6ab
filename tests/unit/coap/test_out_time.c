/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a client keeps its sessions: with a real socket and clocks that stand still but for the test (tests/fuzz/coap/play.h). A
 * session is told by the port that its messages come from.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/settings.h"
#include "runtime/log.h"
#include "tests/fuzz/coap/play.h"
#include "tests/unit/tap.h"

#define MINUTE_MS 60000u
#define MOST      60000u /* messages of a session: README.md */
#define MAX_TURNS 1000

static struct {
	struct link_host host; /* first */
	struct link *link;
	struct coap_settings settings;
	char url[40];
	int device;
	uint64_t seq;
	bool is_up, is_stopped, is_delivered;
} scene;

static void no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void on_link_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host, (void)traits;
	scene.is_up = true;
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	(void)host, (void)seq;
	scene.is_delivered = outcome->kind == OUTCOME_DELIVERED;
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	scene.is_stopped = true;
}

static const struct link_host_ops ops = {.link_up = on_link_up, .outcome = on_outcome, .stopped = on_stopped};

static void begin(void)
{
	static const struct link_recovery recovery = {.destination_uuid = (const uint8_t *)"0123456789abcdef"};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	log_set_sink(no_log, NULL);
	memset(&scene, 0, sizeof scene);
	scene.host.ops = &ops;
	(void)play_port(); /* libcoap's numbers */
	scene.device = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(scene.device >= 0 && bind(scene.device, (struct sockaddr *)&at, sizeof at) == 0);
	CU_ASSERT_FATAL(getsockname(scene.device, (struct sockaddr *)&at, &len) == 0);
	snprintf(scene.url, sizeof scene.url, "coap://127.0.0.1:%u", ntohs(at.sin_port));
	scene.settings = (struct coap_settings){.url = scene.url,
		.out = {.timeout_ms = 100000,
			.concurrency = 4,
			.block_size = 6,
			.transmission = {.ack_timeout_ms = 2000, .max_retransmit = 4, .nstart = 1},
			.max_response = 65536,
			.max_peers = 10,
			.allow_private = true}};
	struct link_spec spec = {.name = "device", .settings = &scene.settings, .loop = play_begin(), .is_sink = true};
	CU_ASSERT_EQUAL_FATAL(coap_connector.create(&spec, &scene.host, &scene.link), 0);
	coap_connector.start(scene.link, &recovery);
	play_run();
	CU_ASSERT_FATAL(scene.is_up);
}

static void end(void)
{
	coap_connector.stop(scene.link, 1000);
	for (int i = 0; i < MAX_TURNS && !scene.is_stopped; i++)
		play_run();
	CU_ASSERT_FATAL(scene.is_stopped);
	coap_connector.destroy(scene.link);
	play_end();
	close(scene.device);
}

/* The device takes it, and answers what is confirmable. */
static struct sockaddr_in take(void)
{
	struct play_message msg;
	struct play_datagram d;
	struct sockaddr_in from = {.sin_port = 0};
	uint8_t in[2000];
	socklen_t len = sizeof from;
	ssize_t n = -1;
	for (int i = 0; i < MAX_TURNS && n < 0; i++) {
		n = recvfrom(scene.device, in, sizeof in, 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			play_run();
	}
	CU_ASSERT_FATAL(n > 0);
	play_parse(in, (size_t)n, &msg);
	if (msg.type != PLAY_CON)
		return from;
	play_head(&d, PLAY_ACK, 0x44, msg.mid, msg.token, msg.token_len);
	CU_ASSERT_FATAL(sendto(scene.device, d.data, d.len, 0, (struct sockaddr *)&from, len) == (ssize_t)d.len);
	return from;
}

/* Delivers a message; the port that it came from. */
static unsigned deliver(uint8_t qos)
{
	struct message_view view = {.topic = slice_str("/x"),
		.payload = slice_str("x"),
		.order_key = slice_str("k"),
		.origin_ms = 1,
		.qos = qos};
	struct delivery delivery = {.destination_uuid = (const uint8_t *)"0123456789abcdef",
		.seq = ++scene.seq,
		.attempt = 1,
		.msg = message_new(&view)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(delivery.msg);
	scene.is_delivered = false;
	coap_connector.send(scene.link, &delivery);
	coap_connector.send_end(scene.link);
	struct sockaddr_in from = take();
	for (int i = 0; i < MAX_TURNS && !scene.is_delivered; i++)
		play_run();
	CU_ASSERT_FATAL(scene.is_delivered);
	message_unref(delivery.msg);
	return from.sin_port;
}

static void test_idle(void)
{
	begin();
	unsigned first = deliver(1);
	play_advance(9 * MINUTE_MS);
	CU_ASSERT_EQUAL(deliver(1), first);
	play_advance(9 * MINUTE_MS); /* it counts from the last one */
	CU_ASSERT_EQUAL(deliver(1), first);
	play_advance(11 * MINUTE_MS);
	CU_ASSERT_NOT_EQUAL(deliver(1), first);
	end();
}

/* However fast they follow, no message id comes again within EXCHANGE_LIFETIME. */
static void test_many_messages(void)
{
	begin();
	unsigned first = deliver(1), n = 1;
	while (n < MOST && deliver(n % 100 == 0) == first)
		n++;
	CU_ASSERT_EQUAL(n, MOST);
	unsigned second = deliver(1);
	CU_ASSERT_NOT_EQUAL(second, first);
	CU_ASSERT_EQUAL(deliver(1), second);
	end();
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"an idle session ends after ten minutes", test_idle},
		{"a session gives way to another one after 60,000 messages", test_many_messages},
		{NULL, NULL},
	};
	return tap_main("coap client in time", tests);
}
