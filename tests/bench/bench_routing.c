/* SPDX-License-Identifier: Apache-2.0
 *
 * What routing a message costs with 10, 1,000 and 10,000 mappings: topics of a plant, one mapping matches each, its
 * target has a capture and a key. Prints the median of five runs, in µs a message, of the thread's processor time: routing
 * waits for nothing, and what else the machine does is not its cost.
 */
#define _GNU_SOURCE
#include "routing/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/routing/a_config.h"

#define N_MESSAGES  200000u
#define N_RUNS      5
#define TOPIC_BYTES 64

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct bench {
	struct config *config;
	struct router *router;
	char **filters; /* of the mappings */
	char (*topics)[TOPIC_BYTES]; /* of the messages, in the order of the messages */
	size_t n_mappings;
	uint64_t outputs;
};

/* plant/lineNN/cellNN/telemetry/{signal}: ten cells a line, as many lines as it takes. */
static void add_mapping(struct bench *bench, size_t i)
{
	if (asprintf(&bench->filters[i], "plant/line%02zu/cell%02zu/telemetry/{signal}", i / 10, i % 10) < 0)
		abort();
	struct mapping_config *map = a_mapping(bench->config, "telemetry", bench->filters[i]);
	a_target(map, 1, "scada.{signal}")->key = a_text("{topic[1]}-{topic[2]}");
}

/* Messages come in another order than the mappings were added. */
static void add_topic(struct bench *bench, size_t i)
{
	size_t cell = i * 7919 % bench->n_mappings;
	snprintf(
		bench->topics[i], TOPIC_BYTES, "plant/line%02zu/cell%02zu/telemetry/temperature", cell / 10, cell % 10);
}

static void begin(struct bench *bench, size_t n_mappings)
{
	*bench = (struct bench){.config = a_config(2, NULL), .n_mappings = n_mappings};
	bench->filters = calloc(n_mappings, sizeof(char *));
	bench->topics = calloc(n_mappings, TOPIC_BYTES);
	if (!bench->filters || !bench->topics)
		abort();
	for (size_t i = 0; i < n_mappings; i++) {
		add_mapping(bench, i);
		add_topic(bench, i);
	}
	bench->router = router_new(bench->config);
	if (!bench->router)
		abort();
}

static void end(struct bench *bench)
{
	router_free(bench->router);
	a_config_free(bench->config);
	for (size_t i = 0; i < bench->n_mappings; i++)
		free(bench->filters[i]);
	free(bench->filters);
	free(bench->topics);
}

static double run(struct bench *bench)
{
	static const char payload[] = "{\"ts\":1700000000123,\"value\":21.5,\"quality\":\"good\"}";
	struct message_view view = {.payload = slice_of(payload, sizeof payload - 1), .qos = 1};
	struct route_result result;
	uint64_t start_ns = now_ns();
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		view.topic = slice_str(bench->topics[i % bench->n_mappings]);
		if (router_route(bench->router, 0, -1, &view, &result) != 0)
			abort();
		bench->outputs += result.n_outputs;
	}
	return (double)(now_ns() - start_ns) / 1000.0 / N_MESSAGES;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double measure(size_t n_mappings)
{
	struct bench bench;
	double us[N_RUNS];
	begin(&bench, n_mappings);
	run(&bench);
	for (int i = 0; i < N_RUNS; i++)
		us[i] = run(&bench);
	if (bench.outputs != (uint64_t)(N_RUNS + 1) * N_MESSAGES) {
		fprintf(stderr, "expected one match a message\n");
		exit(1);
	}
	end(&bench);
	qsort(us, N_RUNS, sizeof us[0], by_size);
	return us[N_RUNS / 2];
}

int main(void)
{
	double us_10 = measure(10), us_1000 = measure(1000), us_10000 = measure(10000);
	printf("bench routing us_10=%.3f us_1000=%.3f us_10000=%.3f\n", us_10, us_1000, us_10000);
	return 0;
}
