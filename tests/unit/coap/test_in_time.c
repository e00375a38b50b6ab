/* SPDX-License-Identifier: Apache-2.0
 *
 * What a listener does as time passes, with real sockets and clocks that stand still but for the test (tests/fuzz/coap/).
 */
#include <stdio.h>
#include <string.h>

#include "connectors/coap/coap.h"
#include "connectors/coap/settings.h"
#include "runtime/log.h"
#include "tests/fuzz/coap/model.h"
#include "tests/unit/tap.h"

#define MINUTE_MS 60000u

static struct coap_settings settings;
static struct config_text address;
static char listen[40];
static struct model model;

static void no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void begin(int64_t max_observers)
{
	static const struct coap_from_settings changed = {0};
	static const struct link_subscription subscription = {.filter = "/in/#", .qos = 1, .from_settings = &changed};
	log_set_sink(no_log, NULL);
	address.value = listen;
	settings = (struct coap_settings){.listen = {&address, 1},
		.in = {.max_age_ms = 60000,
			.limits = {.max_body = 2048,
				.max_buffered = 6000,
				.max_waiting = 6,
				.max_sessions = 100,
				.max_handshakes = 10,
				.session_timeout_ms = 300000,
				.max_observers = max_observers,
				.max_resources = 2,
				.busy_timeout_ms = 10000,
				.max_list = 1024}}};
	snprintf(listen, sizeof listen, "coap://127.0.0.1:%u", play_port());
	model_begin(&model, &settings, &subscription, 1);
}

static void observe(size_t peer, uint16_t mid)
{
	struct play_datagram d;
	uint8_t mark[MODEL_MARK_LEN];
	model_mark(model.n_sent, mark);
	play_head(&d, PLAY_CON, 1, mid, mark, sizeof mark);
	play_number(&d, PLAY_OBSERVE, 0);
	play_path(&d, model_paths[0]);
	(void)model_send(&model, peer, &d, true, model.n_sent, true);
	model_settle(&model);
}

struct wanted {
	const char *name;
	uint64_t value;
};

static void look_for(const char *name, uint64_t value, void *arg)
{
	struct wanted *wanted = arg;
	if (strcmp(name, wanted->name) == 0)
		wanted->value = value;
}

static uint64_t counter(const char *name)
{
	struct wanted wanted = {name, UINT64_MAX};
	coap_connector.counters(model.link, look_for, &wanted);
	return wanted.value;
}

static void pass_minutes(unsigned minutes)
{
	for (unsigned i = 0; i < minutes; i++)
		model_advance(&model, MINUTE_MS);
}

/* An observer of something that does not change is asked every half hour, and goes when it does not answer. */
static void test_quiet(void)
{
	begin(4);
	model_set_value(&model, 0, (const uint8_t *)"x", 1);
	observe(0, 7);
	CU_ASSERT_EQUAL(counter("observers"), 1);
	uint64_t pings = counter("pings"); /* one has validated its address */
	pass_minutes(29);
	CU_ASSERT_EQUAL(counter("pings"), pings);
	pass_minutes(2);
	CU_ASSERT_EQUAL(counter("pings"), pings + 1);
	CU_ASSERT_EQUAL(counter("observers"), 1);
	pass_minutes(30);
	CU_ASSERT_EQUAL(counter("pings"), pings + 2);
	model.peers[0].answers_pings = false;
	pass_minutes(33);
	CU_ASSERT_EQUAL(counter("pings"), pings + 3);
	CU_ASSERT_EQUAL(counter("observers"), 0);
	model_end(&model);
}

/* Where others wait for its place it is asked after a minute. */
static void test_quiet_while_full(void)
{
	begin(1);
	model_set_value(&model, 0, (const uint8_t *)"x", 1);
	observe(0, 7);
	uint64_t pings = counter("pings");
	model.peers[0].answers_pings = false;
	pass_minutes(4);
	CU_ASSERT_EQUAL(counter("pings"), pings + 1);
	CU_ASSERT_EQUAL(counter("observers"), 0);
	model_end(&model);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"observers that say nothing for half an hour are asked whether they are there", test_quiet},
		{"and after a minute where there is no place for more", test_quiet_while_full},
		{NULL, NULL},
	};
	return tap_main("coap listener in time", tests);
}
