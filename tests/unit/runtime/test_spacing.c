/* SPDX-License-Identifier: Apache-2.0 */
/* spacing: what changes_only, sample and min_interval let pass, with the real router and the journal's memory of it. */
#include "runtime/spacing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/connector.h"
#include "runtime/endpoint.h"
#include "runtime/log.h"
#include "tests/unit/journal/rig.h"
#include "tests/unit/routing/a_config.h"
#include "tests/unit/tap.h"

#define EVERY_MS 30000u

static bool carries_headers(const void *settings)
{
	(void)settings;
	return true;
}

static const struct connector fake = {
	.name = "fake", .can_source = true, .can_sink = true, .carries_headers = carries_headers};

static struct {
	struct rig rig;
	struct config *config;
	struct router *router;
	struct bridge bridge;
	struct endpoint endpoint;
	struct route_result routed;
} bench;

static void open_journal(void)
{
	rig_open(&bench.rig);
	bench.bridge.journal = bench.rig.j;
	bench.bridge.loop = bench.rig.loop;
}

static void begin(uint64_t max_keys)
{
	memset(&bench, 0, sizeof bench);
	rig_init(&bench.rig);
	bench.rig.max_keys = max_keys;
	bench.config = a_config(3, &fake);
	for (size_t i = 0; i < 3; i++)
		bench.config->connections[i].name = a_text("fake");
	bench.bridge.config = bench.config;
	bench.endpoint = (struct endpoint){.bridge = &bench.bridge, .config = &bench.config->connections[0]};
	open_journal();
}

static void end(void)
{
	spacing_free(&bench.bridge.spacing);
	router_free(bench.router);
	a_config_free(bench.config);
	rig_fini(&bench.rig);
}

static struct mapping_config *spaced(const char *name, const char *filter, const char *key)
{
	struct mapping_config *map = a_mapping(bench.config, name, filter);
	map->min_interval.every_ms = EVERY_MS;
	map->min_interval.key = key ? a_text(key) : NULL;
	return map;
}

/* Offers these together; returns what passes as "connection:payload" words. `append`: the journal takes it. */
static const char *offer_views(const struct message_view *views, size_t n, bool append)
{
	static char text[500];
	size_t len = 0;
	if (!bench.router)
		bench.router = router_new(bench.config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench.router);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(
			(i ? router_route_more : router_route)(bench.router, 0, -1, &views[i], &bench.routed), 0);
	CU_ASSERT_EQUAL_FATAL(spacing_run(&bench.bridge.spacing, &bench.endpoint, &bench.routed), 0);
	text[0] = '\0';
	for (size_t i = 0; i < bench.routed.n_outputs; i++) {
		struct slice payload = bench.routed.outputs[i].view.payload;
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%zu:%.*s", i ? " " : "",
			bench.routed.outputs[i].connection, (int)payload.len, (const char *)payload.data);
	}
	struct journal_entry entries[32];
	CU_ASSERT_FATAL(bench.routed.n_outputs <= 32);
	for (size_t i = 0; i < bench.routed.n_outputs; i++)
		entries[i] =
			(struct journal_entry){.dest = (uint32_t)bench.rig.dest, .view = &bench.routed.outputs[i].view};
	uint64_t lsn;
	if (append)
		CU_ASSERT_EQUAL(journal_append(bench.rig.j, entries, bench.routed.n_outputs,
					bench.bridge.spacing.changes, bench.bridge.spacing.n_changes, &lsn),
			0);
	return text;
}

static struct message_view message(const char *topic, const char *payload)
{
	return (struct message_view){
		.topic = slice_str(topic), .payload = slice_str(payload), .origin_ms = 1700000000000};
}

static const char *offer(const char *topic, const char *payload)
{
	struct message_view view = message(topic, payload);
	return offer_views(&view, 1, true);
}

static void wait_ms(uint64_t ms)
{
	rig_run(&bench.rig);
	loop_sim_advance(bench.rig.loop, ms);
}

/* The first passes, and again once the time is over since the last one that passed. */
static void test_leading_edge(void)
{
	begin(100);
	a_target(spaced("m", "a/#", NULL), 1, "t");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 1);
	CU_ASSERT_STRING_EQUAL(offer("a/2", "3"), "1:3"); /* another key */
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 0);
	wait_ms(EVERY_MS - 1);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "4"), ""); /* what is left out does not begin the time anew */
	wait_ms(1);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "5"), "1:5");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "6"), "");
	CU_ASSERT_STRING_EQUAL(offer("elsewhere", "7"), "");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 0);
	CU_ASSERT_EQUAL(journal_keys(bench.rig.j), 2);
	end();
}

/* Per mapping, for all its targets and all that the payload makes; other mappings take it anyway. */
static void test_units(void)
{
	begin(100);
	struct mapping_config *map = spaced("both", "a/#", "{.id}");
	map->payload = a_text(".v[]");
	a_target(map, 1, "t");
	a_target(map, 2, "t");
	a_target(a_mapping(bench.config, "free", "a/#"), 1, "all")->content_type = a_text("x");
	map = spaced("other", "a/+", "{.id}");
	a_target(map, 2, "o");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"id\":1,\"v\":[1,2]}"),
		"1:1 1:2 2:1 2:2 1:{\"id\":1,\"v\":[1,2]} 2:{\"id\":1,\"v\":[1,2]}");
	CU_ASSERT_STRING_EQUAL(offer("a/2", "{\"id\":1,\"v\":[3]}"), "1:{\"id\":1,\"v\":[3]}");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 2);
	CU_ASSERT_STRING_EQUAL(offer("a/2", "{\"id\":2,\"v\":[]}"), "1:{\"id\":2,\"v\":[]} 2:{\"id\":2,\"v\":[]}");
	/* What made nothing has not passed. */
	CU_ASSERT_STRING_EQUAL(offer("a/2", "{\"id\":2,\"v\":[4]}"), "1:4 2:4 1:{\"id\":2,\"v\":[4]}");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 1);
	end();
}

/* A dead letter is none that has passed; on_error: pass makes one that has. */
static void test_errors(void)
{
	begin(100);
	struct mapping_config *map = spaced("dead", "a/#", NULL);
	map->payload = a_text(".v");
	a_target(map, 1, "t");
	map = spaced("pass", "b/#", NULL);
	map->payload = a_text(".v");
	map->on_error = ON_ERROR_PASS;
	a_target(map, 1, "t");
	a_target(spaced("key", "c/#", "{.id}"), 1, "t");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	CU_ASSERT(bench.routed.outputs[0].view.reject_reason.data != NULL);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"v\":1}"), "1:1");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"v\":2}"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	CU_ASSERT_STRING_EQUAL(offer("b/1", "bad"), "1:bad");
	CU_ASSERT_STRING_EQUAL(offer("b/1", "bad"), "");
	CU_ASSERT_STRING_EQUAL(offer("b/1", "{\"v\":1}"), "");
	CU_ASSERT_STRING_EQUAL(offer("c/1", "{\"id\":7}"), "1:{\"id\":7}");
	CU_ASSERT_STRING_EQUAL(offer("c/1", "{\"id\":7}"), "");
	CU_ASSERT_STRING_EQUAL(offer("c/1", "{}"), "1:{}"); /* the key cannot be made */
	CU_ASSERT(bench.routed.outputs[0].view.reject_reason.data != NULL);
	end();
}

/* Of a body's many elements each is found among those before it, and is not compared with all of them. */
static void test_many(void)
{
	enum { N = 20000 };
	static char topics[N][16];
	static struct message_view views[N];
	begin(N);
	a_target(spaced("m", "a/#", NULL), 1, "t");
	bench.router = router_new(bench.config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench.router);
	for (int i = 0; i < N; i++) {
		snprintf(topics[i], sizeof topics[i], "a/%d", i / 2);
		views[i] = message(topics[i], i % 2 ? "no" : "yes");
		CU_ASSERT_EQUAL_FATAL(
			(i ? router_route_more : router_route)(bench.router, 0, -1, &views[i], &bench.routed), 0);
	}
	CU_ASSERT_EQUAL_FATAL(spacing_run(&bench.bridge.spacing, &bench.endpoint, &bench.routed), 0);
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_changes, N / 2);
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, N / 2);
	CU_ASSERT_EQUAL_FATAL(bench.routed.n_outputs, N / 2);
	for (int i = 0; i < N / 2; i++)
		CU_ASSERT(slice_equal(bench.routed.outputs[i].view.payload, slice_str("yes")));
	end();
}

/* Of messages that come together the first passes. */
static void test_several(void)
{
	struct message_view views[] = {message("a/1", "1"), message("a/1", "2"), message("a/2", "3"),
		message("b/1", "4"), message("a/1", "5")};
	begin(100);
	struct mapping_config *map = spaced("m", "a/#", NULL);
	map->markers = true;
	a_target(map, 1, "t");
	a_target(a_mapping(bench.config, "free", "b/#"), 1, "t");
	CU_ASSERT_STRING_EQUAL(offer_views(views, 5, true), "1:1 1:3 1:4");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 2);
	CU_ASSERT(bench.routed.outputs[1].input == 2 && bench.routed.n_marked == 2);
	CU_ASSERT_STRING_EQUAL(offer_views(views, 5, true), "1:4");
	CU_ASSERT_EQUAL(bench.routed.n_marked, 0);
	end();
}

/* What is not appended has not passed; what is durable has, after a crash too. */
static void test_restart(void)
{
	struct message_view view = message("a/1", "1");
	begin(100);
	a_target(spaced("m", "a/#", NULL), 1, "t");
	CU_ASSERT_STRING_EQUAL(offer_views(&view, 1, false), "1:1");
	CU_ASSERT_STRING_EQUAL(offer_views(&view, 1, true), "1:1"); /* appended, not durable */
	CU_ASSERT_STRING_EQUAL(offer_views(&view, 1, true), "");
	rig_crash(&bench.rig);
	open_journal();
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "1:2");
	rig_run(&bench.rig);
	rig_crash(&bench.rig);
	open_journal();
	CU_ASSERT_STRING_EQUAL(offer("a/1", "3"), "");
	wait_ms(EVERY_MS);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "4"), "1:4");
	end();
}

/* Without room for a key all passes that is not known. */
static void test_no_room(void)
{
	begin(2);
	a_target(spaced("m", "a/#", NULL), 1, "t");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	CU_ASSERT_STRING_EQUAL(offer("a/2", "1"), "1:1");
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_STRING_EQUAL(offer("a/3", "1"), "1:1");
		CU_ASSERT_EQUAL(bench.bridge.spacing.n_unlimited, 1);
	}
	CU_ASSERT_STRING_EQUAL(offer("a/2", "2"), "");
	CU_ASSERT_EQUAL(rig_logged("event=keys_full"), 1);
	wait_ms(EVERY_MS);
	CU_ASSERT_STRING_EQUAL(offer("a/3", "2"), "1:2"); /* room comes back */
	CU_ASSERT_STRING_EQUAL(offer("a/3", "3"), "");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_unlimited, 0);
	end();
}

/* --- changes_only ------------------------------------------------------------------------------------------------- */

#define REFRESH_MS 3600000u

static struct mapping_config *changing(const char *filter, const char *value, double dead_band)
{
	struct mapping_config *map = a_mapping(bench.config, "changing", filter);
	map->changes_only.enabled = true;
	map->changes_only.value = value ? a_text(value) : NULL;
	map->changes_only.dead_band = dead_band;
	map->changes_only.refresh_ms = REFRESH_MS;
	a_target(map, 1, "t");
	return map;
}

static const char *offer_null(const char *topic)
{
	struct message_view view = message(topic, "");
	view.payload = (struct slice){NULL, 0};
	return offer_views(&view, 1, true)[0] ? "passed" : "";
}

/* Byte by byte, for each topic; what is null is not what is empty. */
static void test_changes(void)
{
	begin(100);
	changing("a/#", NULL, 0);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "on"), "1:on");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "on"), "");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, 1);
	CU_ASSERT_STRING_EQUAL(offer("a/2", "on"), "1:on");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "on "), "1:on ");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "on"), "1:on");
	CU_ASSERT_STRING_EQUAL(offer("a/1", ""), "1:");
	CU_ASSERT_STRING_EQUAL(offer("a/1", ""), "");
	CU_ASSERT_STRING_EQUAL(offer_null("a/1"), "passed");
	CU_ASSERT_STRING_EQUAL(offer_null("a/1"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", ""), "1:");
	CU_ASSERT_EQUAL(journal_keys(bench.rig.j), 2);
	end();
}

/* By a value of the message, and by another key than its topic. A value that cannot be had is on_error's. */
static void test_changed_value(void)
{
	begin(100);
	struct mapping_config *map = changing("a/#", ".v | select(. != 7)", 0);
	map->changes_only.key = a_text("{.id}");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"id\":1,\"v\":1,\"t\":1}"), "1:{\"id\":1,\"v\":1,\"t\":1}");
	CU_ASSERT_STRING_EQUAL(offer("a/2", "{\"t\":2, \"v\":1.0, \"id\":1}"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"id\":2,\"v\":1}"), "1:{\"id\":2,\"v\":1}");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"id\":2,\"v\":7}"), "1:{\"id\":2,\"v\":7}"); /* now it has none */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"id\":2,\"v\":7,\"t\":3}"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	CU_ASSERT(bench.routed.outputs[0].view.reject_reason.data != NULL);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad"); /* dead letters are none that have passed */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"v\":7}"), "1:{\"v\":7}"); /* without its key, too */
	CU_ASSERT(bench.routed.outputs[0].view.reject_reason.data != NULL);
	map->on_error = ON_ERROR_PASS;
	router_free(bench.router);
	bench.router = NULL;
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	CU_ASSERT(bench.routed.outputs[0].view.reject_reason.data == NULL);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "bad"), "1:bad");
	end();
}

/* A slow drift adds up: it is compared with what passed. What is no number is compared as it is. */
static void test_dead_band(void)
{
	begin(100);
	changing("a/#", NULL, 0.5);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "20"), "1:20");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "20.5"), ""); /* not more than that */
	CU_ASSERT_STRING_EQUAL(offer("a/1", " 2.025e1\n"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "19.5"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "20.75"), "1:20.75");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "20.5"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "-20.75"), "1:-20.75");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "away"), "1:away");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "away"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "nan"), "1:nan");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1e999"), "1:1e999");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1e999"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "0x10"), "1:0x10");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "0"), "1:0");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "-0.0"), "");
	end();
}

/* Not since the last one that was seen: since the last that passed. */
static void test_refresh(void)
{
	begin(100);
	changing("a/#", NULL, 0);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	wait_ms(REFRESH_MS - 1);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "");
	wait_ms(1);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "");
	end();
}

/* --- sample ------------------------------------------------------------------------------------------------------- */

static struct mapping_config *sampled(int64_t one_in, const char *key)
{
	struct mapping_config *map = a_mapping(bench.config, "sampled", "a/#");
	map->sample.one_in = one_in;
	map->sample.key = key ? a_text(key) : NULL;
	a_target(map, 1, "t");
	return map;
}

static void test_sample(void)
{
	static const char *const payloads[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
	begin(100);
	sampled(3, NULL);
	for (unsigned i = 0; i < 8; i++) {
		if (i == 5) { /* in the middle of the count */
			rig_run(&bench.rig);
			rig_crash(&bench.rig);
			open_journal();
		}
		CU_ASSERT_EQUAL(offer("a/1", payloads[i])[0] != '\0', i % 3 == 0);
		CU_ASSERT_EQUAL(offer("a/2", payloads[i])[0] != '\0', i % 3 == 0);
		CU_ASSERT_EQUAL(bench.bridge.spacing.n_left_out, i % 3 != 0);
	}
	struct message_view view = message("a/1", "8");
	CU_ASSERT_STRING_EQUAL(offer_views(&view, 1, false), ""); /* not appended: not counted */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "8"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "9"), "1:9");
	wait_ms(UINT64_C(30) * 24 * 3600 * 1000);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "10"), "1:10"); /* forgotten */
	end();
}

static void test_sample_together(void)
{
	struct message_view views[] = {message("a/1", "1"), message("a/2", "2"), message("a/1", "3"),
		message("a/1", "4"), message("a/1", "5")};
	begin(100);
	sampled(2, NULL);
	CU_ASSERT_STRING_EQUAL(offer_views(views, 5, true), "1:1 1:2 1:4");
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_changes, 2);
	CU_ASSERT_STRING_EQUAL(offer_views(views, 5, true), "1:1 1:4");
	end();
}

/* --- together ----------------------------------------------------------------------------------------------------- */

/* What does not pass all of them has not changed: the next message brings it. */
static void test_all_rules(void)
{
	begin(100);
	struct mapping_config *map = changing("a/#", NULL, 0);
	map->min_interval.every_ms = EVERY_MS;
	CU_ASSERT_STRING_EQUAL(offer("a/1", "closed"), "1:closed");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "open"), ""); /* too soon */
	wait_ms(EVERY_MS);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "closed"), ""); /* as it was told */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "open"), "1:open");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "open"), "");
	end();
	begin(100);
	map = changing("a/#", NULL, 0);
	map->sample.one_in = 2;
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), ""); /* not counted by sample */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "1:2");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "");
	end();
}

/* Each rule's keys are its own, and the mapping's. */
/* When a door opens: what it has closed to is remembered without a message, over a restart too. */
static void test_changes_to(void)
{
	begin(100);
	struct mapping_config *map = changing("a/{door}", ".open", 0);
	map->changes_only.when = a_text(".open");
	map->payload = a_text("$door"); /* fails of what is no object only where it would go out */
	map->min_interval.every_ms = EVERY_MS;
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": true}"), "1:\"1\"");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": true}"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": false}"), "");
	CU_ASSERT(bench.bridge.spacing.n_changes == 1 && bench.bridge.spacing.n_left_out == 1);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": false}"), "");
	CU_ASSERT(bench.bridge.spacing.n_changes == 0 && bench.bridge.spacing.n_left_out == 1);
	wait_ms(EVERY_MS);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": true}"), "1:\"1\"");
	CU_ASSERT_STRING_EQUAL(offer("a/2", "{\"open\": false}"), "");
	CU_ASSERT_STRING_EQUAL(
		offer("a/2", "{\"open\": true}"), "1:\"2\""); /* min_interval knows nothing of the first */
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": false}"), "");
	wait_ms(EVERY_MS);
	rig_crash(&bench.rig);
	open_journal();
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": false}"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "{\"open\": true}"), "1:\"1\"");
	end();
}

static void test_changes_no_room(void)
{
	begin(1);
	changing("a/#", NULL, 0);
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "1:1");
	for (unsigned i = 0; i < 2; i++) {
		CU_ASSERT_STRING_EQUAL(offer("a/2", "1"), "1:1");
		CU_ASSERT_EQUAL(bench.bridge.spacing.n_unlimited, 1);
	}
	CU_ASSERT_STRING_EQUAL(offer("a/1", "1"), "");
	CU_ASSERT_STRING_EQUAL(offer("a/1", "2"), "1:2"); /* it is known, so there is room for it */
	CU_ASSERT_EQUAL(bench.bridge.spacing.n_unlimited, 0);
	CU_ASSERT_EQUAL(rig_logged("event=keys_full"), 1);
	end();
}

static const struct tap_test tests[] = {
	{"the first one passes", test_leading_edge},
	{"per mapping, not per target", test_units},
	{"errors", test_errors},
	{"several messages in one offer", test_several},
	{"thousands of messages in one offer", test_many},
	{"over a crash", test_restart},
	{"no room for keys", test_no_room},
	{"changes only", test_changes},
	{"changes of a value", test_changed_value},
	{"changes beyond a dead band", test_dead_band},
	{"unchanged, and due again", test_refresh},
	{"one of so many", test_sample},
	{"one of so many that come together", test_sample_together},
	{"all rules together", test_all_rules},
	{"some of the changes only", test_changes_to},
	{"changes without room for keys", test_changes_no_room},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("spacing", tests);
}
