/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mapping's transform costs: nothing, templates, a condition in jq, an object made by jq; and the same object made by
 * bare libjq (parse, run, dump) in the same process. In µs a message of the thread's processor time, the median of five runs;
 * ratio: us_object to bare libjq. ms_1000: processor time in which a router with 1,000 jq mappings is compiled.
 */
#define _GNU_SOURCE
#include "routing/router.h"

#include <jq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/routing/a_config.h"

#define N_MESSAGES 20000u
#define N_RUNS     5
#define N_MAPPINGS 1000u
#define OBJECT     "{line: .line, value: (.value * 1.8 + 32), unit: \"F\", good: (.quality == \"good\")}"

static const char payload[] = "{\"ts\":1700000000123,\"line\":\"l7\",\"value\":21.5,\"unit\":\"C\",\"quality\":"
			      "\"good\",\"tags\":[\"a\",\"b\"]}";

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* --- ours --------------------------------------------------------------------------------------------------------- */

static double run(struct router *router)
{
	struct message_view view = {.topic = slice_str("plant/l7/t"), .payload = slice_str(payload), .qos = 1};
	struct route_result result;
	uint64_t start_ns = now_ns();
	for (unsigned i = 0; i < N_MESSAGES; i++)
		if (router_route(router, 0, -1, &view, &result) != 0 || result.n_outputs != 1)
			abort();
	return (double)(now_ns() - start_ns) / 1000.0 / N_MESSAGES;
}

static double measure(const char *target, const char *key, const char *when, const char *object)
{
	double us[N_RUNS];
	struct config *config = a_config(2, NULL);
	struct mapping_config *map = a_mapping(config, "transform", "plant/{line}/t");
	struct target_config *to = a_target(map, 1, target);
	to->key = key ? a_text(key) : NULL;
	map->when = when ? a_text(when) : NULL;
	map->payload = object ? a_text(object) : NULL;
	struct router *router = router_new(config);
	if (!router)
		abort();
	run(router);
	for (int i = 0; i < N_RUNS; i++)
		us[i] = run(router);
	router_free(router);
	a_config_free(config);
	qsort(us, N_RUNS, sizeof us[0], by_size);
	return us[N_RUNS / 2];
}

/* --- bare libjq ----------------------------------------------------------------------------------------------------- */

static double run_bare(jq_state *jq)
{
	uint64_t start_ns = now_ns();
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		jq_start(jq, jv_parse_sized(payload, (int)sizeof payload - 1), 0);
		jv made = jq_next(jq);
		if (!jv_is_valid(made))
			abort();
		jv text = jv_dump_string(made, 0);
		if (jv_string_length_bytes(text) < 10) /* takes it */
			abort();
	}
	return (double)(now_ns() - start_ns) / 1000.0 / N_MESSAGES;
}

static double measure_bare(void)
{
	double us[N_RUNS];
	jq_state *jq = jq_init();
	if (!jq || !jq_compile(jq, OBJECT))
		abort();
	run_bare(jq);
	for (int i = 0; i < N_RUNS; i++)
		us[i] = run_bare(jq);
	jq_teardown(&jq);
	qsort(us, N_RUNS, sizeof us[0], by_size);
	return us[N_RUNS / 2];
}

/* --- many programs -------------------------------------------------------------------------------------------------- */

static double compile_many(void)
{
	static char *filters[N_MAPPINGS], *programs[N_MAPPINGS];
	struct config *config = a_config(2, NULL);
	for (size_t i = 0; i < N_MAPPINGS; i++) {
		if (asprintf(&filters[i], "plant/l%zu/t", i) < 0 ||
			asprintf(&programs[i], "{line: %zu, v: (.value * %zu)}", i, i + 1) < 0)
			abort();
		struct mapping_config *map = a_mapping(config, "many", filters[i]);
		a_target(map, 1, "out");
		map->payload = a_text(programs[i]);
	}
	uint64_t start_ns = now_ns();
	struct router *router = router_new(config);
	double ms = (double)(now_ns() - start_ns) / 1e6;
	if (!router)
		abort();
	router_free(router);
	a_config_free(config);
	for (size_t i = 0; i < N_MAPPINGS; i++) {
		free(filters[i]);
		free(programs[i]);
	}
	return ms;
}

int main(void)
{
	double passthrough = measure("out", NULL, NULL, NULL);
	double with_template = measure("scada.{line}", "{.line}", NULL, NULL);
	double when = measure("out", NULL, ".quality == \"good\" and .value > 20", NULL);
	double bare = measure_bare();
	double object = measure("out", NULL, NULL, OBJECT);
	printf("bench transform us_passthrough=%.3f us_template=%.3f us_when=%.3f us_object=%.3f us_libjq=%.3f "
	       "ratio=%.2f "
	       "ms_1000=%.0f\n",
		passthrough, with_template, when, object, bare, object / bare, compile_many());
	return 0;
}
