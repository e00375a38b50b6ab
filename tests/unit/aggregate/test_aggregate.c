/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate: windows by time, over crashes, with more in them than fits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/aggregate/aggregate_rig.h"

#define ALL "    aggregate: {window: 10s, value: .v, as: [min, max, mean, count, last, list]}\n"

/* --- windows ------------------------------------------------------------------------------------------------------ */

/* One result of each window and key, when it is over and not before. */
static void test_windows(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: [mean, count, start, end]}\n");
	bench_wait(2000);
	CU_ASSERT_EQUAL(bench_offer("in/a", "{\"v\":1}", 0), OFFER_TAKEN);
	CU_ASSERT_EQUAL(bench_offer("in/b", "{\"v\":10}", 2), OFFER_TAKEN);
	bench_wait(2000);
	CU_ASSERT_EQUAL(bench_offer("in/a", "{\"v\":4}", 1), OFFER_TAKEN);
	bench_wait(5999);
	CU_ASSERT_STRING_EQUAL(bench_results(), "");
	CU_ASSERT_EQUAL(bench_waiting(), 3);
	bench_wait(1);
	CU_ASSERT_STRING_EQUAL(bench_results(),
		"out/a {\"mean\":2.5,\"count\":2,\"start\":1700000000000,\"end\":1700000010000}|"
		"out/b {\"mean\":10,\"count\":1,\"start\":1700000000000,\"end\":1700000010000}");
	CU_ASSERT_EQUAL(bench_waiting(), 0);
	CU_ASSERT_EQUAL(bench.qos, 2);
	CU_ASSERT_EQUAL(bench_offer("in/a", "{\"v\":7}", 0), OFFER_TAKEN); /* the first moment of the next one */
	bench_wait(20000);
	CU_ASSERT_EQUAL(bench.n_results, 3); /* none where nothing came */
	CU_ASSERT_PTR_NOT_NULL(strstr(bench_results(), "{\"mean\":7,\"count\":1,\"start\":1700000010000,"));
	bench_end();
}

/* A result of one kind is the payload itself; payload, key and when have their place. */
static void test_shape(void)
{
	bench_begin("    when: .good\n"
		    "    aggregate: {window: 10s, value: .v, key: \"{.unit}\", as: max}\n"
		    "    payload: \"{line: $k, max: .}\"\n");
	bench_offer("in/a", "{\"v\":1,\"unit\":\"K\",\"good\":true}", 1);
	bench_offer("in/b/c", "{\"v\":3,\"unit\":\"K\",\"good\":true}", 1);
	bench_offer("in/c", "{\"v\":9,\"unit\":\"K\",\"good\":false}", 1);
	bench_offer("in/d", "{\"v\":-0.25,\"unit\":\"m\",\"good\":true}", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(
		bench_results(), "out/b {\"line\":\"b\",\"max\":3}|out/d {\"line\":\"d\",\"max\":-0.25}");
	bench_end();
	bench_begin("    aggregate: {window: 10s, as: count}\n");
	bench_offer("in/a", "no JSON", 1);
	bench_offer("in/a", "", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 2");
	bench_end();
	bench_begin("    aggregate: {window: 10s, as: [list, last]}\n");
	bench_offer("in/a", "\"x\\ny\"", 1);
	bench_offer("in/a", "{\"b\":[1, 2]}", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a {\"last\":{\"b\":[1,2]},\"list\":[\"x\\ny\",{\"b\":[1,2]}]}");
	bench_end();
}

/* on_error decides; what gives nothing is left out. */
static void test_values(void)
{
	bench_begin("    aggregate: {window: 10s, value: \".v // empty\", as: [max, count]}\n");
	bench_offer("in/a", "{\"v\":1e3}", 1);
	bench_offer("in/a", "{}", 1);
	bench_offer("in/a", "{\"v\":\"hot\"}", 1);
	bench_offer("in/a", "bad", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a {\"max\":1000,\"count\":1}");
	bench_wait(2000);
	struct journal_outbox box = journal_outbox(bench.rig.j, bench.endpoints[AGGREGATOR].dest);
	CU_ASSERT_EQUAL(box.totals[JOURNAL_DEAD_LETTERED], 2);
	CU_ASSERT_EQUAL(box.waiting, 0);
	bench_end();
}

/* --- stops -------------------------------------------------------------------------------------------------------- */

/* The same messages, with a crash at one of the steps: the same results. */
static void run_steps(size_t crash_at, bool clean)
{
	size_t step = 0;
	bench_begin(ALL);
	for (unsigned i = 0; i < 12; i++) {
		char payload[32];
		snprintf(payload, sizeof payload, "{\"v\":%u.1}", i);
		CU_ASSERT_EQUAL(bench_offer(i % 3 ? "in/a" : "in/b", payload, 1), OFFER_TAKEN);
		bench_wait(2500);
		if (step++ == crash_at)
			clean ? bench_restart() : bench_crash();
	}
	bench_wait(WINDOW_MS);
	if (step++ == crash_at)
		clean ? bench_restart() : bench_crash();
	bench_wait(WINDOW_MS);
}

static void test_crashes(void)
{
	run_steps(SIZE_MAX, false);
	char *expected = strdup(bench_results());
	CU_ASSERT_EQUAL(bench.n_results, 6);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		expected, "out/a {\"last\":2.1,\"min\":1.1,\"max\":2.1,\"mean\":1.6,\"count\":2,\"list\":[1.1,2.1]}"));
	bench_end();
	for (size_t at = 0; at <= 12; at++)
		for (int clean = 0; clean < 2; clean++) {
			run_steps(at, clean);
			CU_ASSERT_STRING_EQUAL(bench_results(), expected);
			bench_end();
		}
	free(expected);
}

/* A result that is appended but not durable is as if it had not been: the window is given again, and is the same. */
static void test_not_durable(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	for (unsigned i = 0; i < 5; i++)
		bench_offer("in/a", "{\"v\":1}", 1);
	bench_settle();
	loop_sim_advance(bench.rig.loop, WINDOW_MS); /* the journal does nothing */
	CU_ASSERT_EQUAL(bench_waiting(), 0);
	bench_crash();
	CU_ASSERT_EQUAL(bench_waiting(), 5);
	bench_settle();
	loop_sim_advance(bench.rig.loop, 0);
	bench_settle();
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 5");
	bench_end();
}

/* --- more than fits ----------------------------------------------------------------------------------------------- */

static void flood(unsigned n, unsigned n_keys, unsigned crash_every)
{
	for (unsigned i = 0; i < n; i++) {
		char topic[32], payload[48];
		snprintf(topic, sizeof topic, "in/%u", i % n_keys);
		snprintf(payload, sizeof payload, "{\"v\":%u.%u}", i, i % 10);
		CU_ASSERT_EQUAL_FATAL(bench_offer(topic, payload, 1), OFFER_TAKEN);
		if (i % 500 == 499)
			bench_settle();
		if (crash_every && i % crash_every == crash_every - 1)
			bench_crash();
	}
	bench_settle();
}

/* A window of many more messages than are in flight: they are folded, and its result is the same, whatever crashes come. */
static void test_fold(void)
{
	char *expected = NULL;
	for (unsigned crash_every = 0; crash_every <= 12500; crash_every += crash_every ? 9000 : 3500) {
		bench_begin("    aggregate: {window: 10s, value: .v, as: [min, max, mean, count, last]}\n");
		flood(26000, 2, crash_every);
		if (!crash_every) {
			CU_ASSERT(bench_counter("folds") >= 1);
			CU_ASSERT(bench_waiting() < 16384);
		}
		bench_wait(WINDOW_MS);
		bench_wait(WINDOW_MS);
		CU_ASSERT_EQUAL(bench.n_results, 2);
		CU_ASSERT_EQUAL(bench_waiting(), 0);
		if (!expected)
			expected = strdup(bench_results());
		CU_ASSERT_STRING_EQUAL(bench_results(), expected);
		bench_end();
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(expected, "\"count\":13000}"));
	free(expected);
}

/* A list keeps its order when it is folded. */
static void test_fold_list(void)
{
	bench_begin("    aggregate: {window: 10s, value: \".v | floor\", as: list}\n");
	flood(13000, 1, 0);
	bench_crash();
	bench_settle();
	flood(1, 1, 0);
	bench_wait(WINDOW_MS);
	CU_ASSERT_EQUAL(bench.n_results, 1);
	char *at = bench.results[1] ? strchr(bench.results[1], '[') : NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	for (unsigned i = 0; i < 13000; i++) {
		CU_ASSERT_EQUAL_FATAL(strtoul(at + 1, &at, 10), i);
		CU_ASSERT_EQUAL_FATAL(*at, ',');
	}
	CU_ASSERT_STRING_EQUAL(at, ",0]");
	bench_end();
}

/* More keys than one set and turn take. */
static void test_many_keys(void)
{
	for (unsigned crash = 0; crash < 3; crash++) {
		bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
		flood(6000, 2000, 0);
		if (crash == 0)
			bench_wait(WINDOW_MS);
		for (unsigned i = 0; crash && i < 40; i++) { /* in the middle of the results */
			loop_sim_advance(bench.rig.loop, i ? 0 : WINDOW_MS);
			journal_step(bench.rig.j);
			courier_durable(bench.endpoints[AGGREGATOR].courier, journal_durable_lsn(bench.rig.j));
			if (i == 4 * crash)
				bench_crash();
		}
		bench_wait(1000);
		bench_wait(1000);
		CU_ASSERT_EQUAL(bench.n_results, 2000);
		unsigned threes = 0;
		for (size_t i = 0; i < MAX_RESULTS; i++)
			threes += bench.results[i] && strcmp(strchr(bench.results[i], ' '), " 3") == 0;
		CU_ASSERT_EQUAL(threes, 2000);
		CU_ASSERT_EQUAL(bench_waiting(), 0);
		bench_end();
	}
}

static unsigned long sum_of_results(void)
{
	unsigned long sum = 0;
	for (size_t i = 0; i < MAX_RESULTS; i++)
		sum += bench.results[i] ? strtoul(strchr(bench.results[i], ' '), NULL, 10) : 0;
	return sum;
}

/* More keys than are kept: results are given early, and each message counts once. */
static void test_bounds(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	flood(24000, 12000, 0);
	CU_ASSERT(bench_counter("early") >= 1);
	CU_ASSERT(rig_logged("event=aggregate_early") >= 1);
	for (unsigned i = 0; i < 5; i++)
		bench_wait(WINDOW_MS);
	CU_ASSERT_EQUAL(sum_of_results(), 24000);
	CU_ASSERT_EQUAL(bench_waiting(), 0);
	bench_end();
}

/* While the targets have no room the windows wait, and then the source does. */
static void test_blocked(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	bench.target_is_away = true;
	bench.config->connections[LAKE].outbox.max_messages = 1;
	bench_restart();
	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(bench_offer("in/a", "{\"v\":1}", 1), OFFER_TAKEN);
		bench_wait(WINDOW_MS);
	}
	CU_ASSERT_EQUAL(journal_outbox(bench.rig.j, bench.endpoints[LAKE].dest).waiting, 1);
	CU_ASSERT_EQUAL(bench_waiting(), 3);
	bench_crash();
	bench_wait(1000);
	CU_ASSERT_EQUAL(bench_waiting(), 3);
	bench.target_is_away = false;
	courier_link_up(bench.endpoints[LAKE].courier, &(struct sink_traits){.max_in_flight = 1000});
	bench_wait(1000);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 1|out/a 1|out/a 1|out/a 1");
	CU_ASSERT_EQUAL(bench_waiting(), 0);
	bench_end();
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* A window has one result: who comes when it was given counts in the next one. */
static void test_late(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: [count, end]}\n");
	uint64_t began_ms = loop_wall_ms(bench.rig.loop);
	bench_offer("in/a", "{\"v\":1}", 1);
	bench_wait(WINDOW_MS);
	bench_offer_at("in/a", "{\"v\":1}", began_ms + 5);
	bench_wait(1000);
	CU_ASSERT_EQUAL(bench.n_results, 1);
	bench_crash();
	bench_offer("in/a", "{\"v\":1}", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(
		bench_results(), "out/a {\"count\":1,\"end\":1700000010000}|out/a {\"count\":2,\"end\":1700000020000}");
	bench_end();
}

/* What a clock that was far ahead has stamped is not waited for, and does not spoil what comes. */
static void test_wrong_clock(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	uint64_t began_ms = loop_wall_ms(bench.rig.loop);
	bench_offer_at("in/a", "{\"v\":1}", began_ms + 86400000);
	bench_wait(0);
	bench_wait(0);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 1");
	bench_offer("in/b", "{\"v\":1}", 1);
	bench_wait(WINDOW_MS);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 1|out/b 1");
	bench_end();
}

/* With a backlog of many windows each is given as soon as what comes behind it is there. */
static void test_backlog(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	bench.target_is_away = true;
	bench.config->connections[LAKE].outbox.max_messages = 1;
	bench_restart();
	for (unsigned i = 0; i < 40; i++) {
		flood(1000, 10, 0);
		bench_wait(WINDOW_MS);
		if (i % 13 == 12)
			bench_crash();
	}
	bench.target_is_away = false;
	bench.config->connections[LAKE].outbox.max_messages = 0;
	bench_crash();
	for (unsigned i = 0; i < 5; i++)
		bench_wait(1000);
	CU_ASSERT_EQUAL(bench.n_results, 400);
	CU_ASSERT_EQUAL(sum_of_results(), 40000);
	CU_ASSERT_EQUAL(bench_waiting(), 0);
	CU_ASSERT_EQUAL(bench_counter("early"), 0);
	bench_end();
}

/* What stands for folded messages comes behind those of later windows: its window waits for it. */
static void test_backlog_folded(void)
{
	bench_begin("    aggregate: {window: 10s, value: .v, as: count}\n");
	for (unsigned i = 0; i < 14000; i++) {
		if (i == 13000)
			loop_sim_advance(bench.rig.loop, WINDOW_MS);
		CU_ASSERT_EQUAL_FATAL(bench_offer("in/a", "{\"v\":1}", 1), OFFER_TAKEN);
		if (i % 500 == 499)
			rig_run(&bench.rig); /* on the disk, and sent to nobody */
	}
	CU_ASSERT_EQUAL(bench_waiting(), 14000);
	loop_sim_advance(bench.rig.loop, WINDOW_MS);
	bench_crash();
	for (unsigned i = 0; i < 5; i++)
		bench_wait(1000);
	CU_ASSERT(bench_counter("folds") >= 1);
	CU_ASSERT_STRING_EQUAL(bench_results(), "out/a 13000|out/a 1000");
	bench_end();
}

static const struct tap_test tests[] = {
	{"windows by the clock", test_windows},
	{"shapes of results", test_shape},
	{"values that are none", test_values},
	{"a crash or a stop at any step", test_crashes},
	{"a result that is not durable", test_not_durable},
	{"more messages than are in flight", test_fold},
	{"a long list", test_fold_list},
	{"many keys", test_many_keys},
	{"more keys than are kept", test_bounds},
	{"targets without room", test_blocked},
	{"late messages", test_late},
	{"a clock that stood wrong", test_wrong_clock},
	{"a backlog of windows", test_backlog},
	{"a backlog that is folded", test_backlog_folded},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("aggregate", tests);
}
