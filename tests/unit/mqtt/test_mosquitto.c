/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT link against a real mosquitto on a free port: what we send to a topic that we subscribe to comes back, once,
 * in order, over one connection, through a restart of the broker. Only when LINKSPAN_TEST_MOSQUITTO is set (to the
 * program, or to 1); LINKSPAN_TEST_MESSAGES says how many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/log.h"
#include "tests/unit/mqtt/rig.h"

static char config_path[300];
static uint16_t port;
static pid_t broker_pid;

static const char *program(void)
{
	const char *given = getenv("LINKSPAN_TEST_MOSQUITTO");
	return given && strchr(given, '/') ? given : "mosquitto";
}

static void start_mosquitto(void)
{
	broker_pid = fork();
	if (broker_pid == 0) {
		execlp(program(), "mosquitto", "-c", config_path, (char *)NULL);
		execl("/usr/sbin/mosquitto", "mosquitto", "-c", config_path, (char *)NULL);
		_exit(127);
	}
}

static void stop_mosquitto(void)
{
	kill(broker_pid, SIGTERM);
	waitpid(broker_pid, NULL, 0);
}

static void configure(void)
{
	struct loop *loop = loop_new();
	struct fake_broker probe;
	fake_broker_open(&probe, loop, NULL, NULL, NULL);
	port = probe.port;
	fake_broker_close(&probe);
	loop_free(loop);
	const char *folder = tap_tempdir();
	snprintf(config_path, sizeof config_path, "%s/mosquitto.conf", folder);
	FILE *file = fopen(config_path, "w");
	fprintf(file,
		"listener %u 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\n"
		"max_queued_messages 0\nmax_inflight_messages 1000\nlog_type error\nuser root\n",
		port, folder);
	fclose(file);
}

static size_t count(void)
{
	const char *given = getenv("LINKSPAN_TEST_MESSAGES");
	return given ? (size_t)atol(given) : 5000;
}

/* The cookies of offers are given back one turn later, as the journal would. */
struct echo {
	struct rig rig;
	size_t offered, due;
	uint64_t *cookies;
	size_t out_of_order;
	struct message *msg;
	size_t sent, outcomes;
};

static struct echo *echo_of(struct link_host *host)
{
	return (struct echo *)host;
}

static enum offer_result echo_offer(struct link_host *host, const struct offer *offer)
{
	struct echo *echo = echo_of(host);
	if (!offer->view)
		return OFFER_TAKEN;
	char text[32];
	snprintf(text, sizeof text, "%.*s", (int)offer->view->payload.len, (const char *)offer->view->payload.data);
	echo->out_of_order += (size_t)atol(text) != echo->offered;
	echo->cookies[echo->offered++] = offer->cookie;
	return OFFER_TAKEN;
}

static void echo_send(struct echo *echo)
{
	while (echo->sent < count() && echo->sent - echo->outcomes < echo->rig.window) {
		char text[32];
		snprintf(text, sizeof text, "%zu", echo->sent++);
		rig_send(&echo->rig, "in/echo", text, 1);
	}
	rig_send_end(&echo->rig);
}

static void echo_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	struct echo *echo = echo_of(host);
	CU_ASSERT(outcome->kind == OUTCOME_DELIVERED);
	CU_ASSERT(seq == echo->outcomes + 1);
	echo->outcomes++;
}

static void echo_turn(struct echo *echo)
{
	size_t until = echo->offered;
	for (; echo->due < until; echo->due++)
		mqtt_connector.receipt(echo->rig.link, echo->cookies[echo->due], RECEIPT_DURABLE);
	mqtt_connector.receipts_end(echo->rig.link);
	echo_send(echo);
}

static void echo(int version)
{
	struct echo it = {0};
	struct rig *rig = &it.rig;
	rig_open(rig);
	struct link_host_ops ops = *rig->host.ops;
	ops.offer = echo_offer;
	ops.outcome = echo_outcome;
	rig->host.ops = &ops;
	it.cookies = calloc(count() + 1, sizeof *it.cookies);
	snprintf(rig->url, sizeof rig->url, "mqtt://127.0.0.1:%u", port);
	static char ids[][16] = {"five", "three"};
	rig->settings.client_id = ids[version];
	rig->settings.version = version;
	rig->settings.receive_maximum = 1000;
	rig_subscribe(rig, "in/#", 1);
	start_mosquitto();
	rig_connect(rig);
	/* The SUBSCRIBE went out before the first PUBLISH can. */
	uint64_t began_ms = loop_now_ms(rig->loop);
	rig_wait_begin(rig);
	while (it.due < count() && rig_wait_turn(rig)) {
		if (it.offered > it.due || it.sent == 0 || it.sent - it.outcomes < rig->window / 2)
			rig_wait_begin(rig);
		echo_turn(&it);
	}
	uint64_t took_ms = loop_now_ms(rig->loop) - began_ms;
	CU_ASSERT(it.due == count() && it.outcomes == count() && it.out_of_order == 0);
	printf("# version %s: %zu messages out and in, acknowledged, in %llu ms\n", version ? "3.1.1" : "5", count(),
		(unsigned long long)took_ms);
	/* Restarted, the broker still has the session: nothing is subscribed again, and messages flow. */
	stop_mosquitto();
	UNTIL(rig, rig->downs == 1);
	start_mosquitto();
	UNTIL(rig, rig->ups == 2);
	rig_stop_link(rig);
	stop_mosquitto();
	free(it.cookies);
	rig_close(rig);
}

static void test_version_5(void)
{
	echo(0);
}

static void test_version_3_1_1(void)
{
	echo(1);
}

static const struct tap_test tests[] = {
	{"version 5, out and in over one connection", test_version_5},
	{"version 3.1.1, out and in over one connection", test_version_3_1_1},
	{NULL, NULL},
};

int main(void)
{
	if (!getenv("LINKSPAN_TEST_MOSQUITTO")) {
		printf("1..0 # SKIP LINKSPAN_TEST_MOSQUITTO is not set\n");
		return 0;
	}
	configure();
	return tap_main("mqtt mosquitto", tests);
}
