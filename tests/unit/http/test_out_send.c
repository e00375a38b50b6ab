/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries and their outcomes, as far as nobody has to answer: a batch goes out whole or not at all.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/http/http.h"
#include "connectors/http/settings.h"
#include "tests/unit/tap.h"

#define LAST 3u /* of the batch that begins with 1 */

static const uint8_t uuid[16] = {0};
static char url[] = "http://127.0.0.1:9/";

static struct {
	struct link_host host;
	struct loop *loop;
	struct link *link;
	struct http_settings settings;
	unsigned ups, retries, others;
} rig;

static void on_up(struct link_host *host, const struct sink_traits *traits)
{
	(void)host, (void)traits;
	rig.ups++;
}

static void on_outcome(struct link_host *host, uint64_t seq, const struct outcome *outcome)
{
	(void)host, (void)seq;
	rig.retries += outcome->kind == OUTCOME_RETRY;
	rig.others += outcome->kind != OUTCOME_RETRY;
}

static void on_stopped(struct link_host *host)
{
	(void)host;
	loop_stop(rig.loop);
}

static void begin(void)
{
	static const struct link_host_ops ops = {.link_up = on_up, .outcome = on_outcome, .stopped = on_stopped};
	static const struct link_recovery recovery = {.destination_uuid = uuid};
	memset(&rig, 0, sizeof rig);
	rig.host.ops = &ops;
	rig.loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig.loop);
	rig.settings = (struct http_settings){.url = url,
		.out = {.timeout_ms = 30000,
			.connect_timeout_ms = 10000,
			.concurrency = 1,
			.batch = {.max = LAST, .max_bytes = 1000},
			.breaker = {.failures = 5, .min_ms = 1000, .max_ms = 1000}}};
	struct link_spec spec = {.name = "hook", .settings = &rig.settings, .loop = rig.loop, .is_sink = true};
	CU_ASSERT_EQUAL_FATAL(http_connector.create(&spec, &rig.host, &rig.link), 0);
	http_connector.start(rig.link, &recovery);
	CU_ASSERT_EQUAL_FATAL(rig.ups, 1);
}

static void end(void)
{
	http_connector.stop(rig.link, 0);
	loop_run(rig.loop); /* until it has stopped */
	http_connector.destroy(rig.link);
	loop_free(rig.loop);
}

static void send(uint64_t seq)
{
	struct message_view view = {.topic = slice_str(""), .order_key = slice_str("k"), .payload = slice_str("1")};
	struct message *msg = message_new(&view);
	CU_ASSERT_PTR_NOT_NULL_FATAL(msg);
	struct delivery delivery = {
		.destination_uuid = uuid, .seq = seq, .attempt = 1, .msg = msg, .batch_first = 1, .batch_last = LAST};
	http_connector.send(rig.link, &delivery);
	message_unref(msg);
}

static void note_requests(const char *name, uint64_t value, void *arg)
{
	if (strcmp(name, "requests") == 0)
		*(uint64_t *)arg = value;
}

static uint64_t requests(void)
{
	uint64_t n = 0;
	http_connector.counters(rig.link, note_requests, &n);
	return n;
}

/* As when there was no memory for the one in the middle. */
static void test_part_of_a_batch(void)
{
	begin();
	send(1);
	send(3);
	http_connector.send_end(rig.link);
	CU_ASSERT_EQUAL(requests(), 0);
	CU_ASSERT_EQUAL(rig.retries, 2);
	send(1);
	send(2);
	send(3);
	http_connector.send_end(rig.link);
	CU_ASSERT_EQUAL(requests(), 1);
	CU_ASSERT_EQUAL(rig.others, 0);
	end();
}

/* What is under way is forgotten, without an outcome. */
static void test_stop(void)
{
	begin();
	send(1);
	send(2);
	send(3);
	http_connector.send_end(rig.link);
	unsigned told = rig.retries + rig.others;
	end();
	CU_ASSERT_EQUAL(rig.retries + rig.others, told);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a batch of which a part is missing", test_part_of_a_batch},
		{"a stop while a request is under way", test_stop},
		{NULL, NULL},
	};
	return tap_main("http out send", tests);
}
