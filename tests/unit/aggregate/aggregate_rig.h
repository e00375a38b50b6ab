/* SPDX-License-Identifier: Apache-2.0
 *
 * A mapping with `aggregate` between a source and a target that are scripts: the real configuration, router, intake, journal,
 * couriers and aggregator, by a simulated clock, on a simulated disk. The process may die between any two steps.
 */
#ifndef LINKSPAN_TESTS_UNIT_AGGREGATE_RIG_H
#define LINKSPAN_TESTS_UNIT_AGGREGATE_RIG_H

#include "runtime/endpoint.h"
#include "tests/unit/journal/rig.h"

#define WINDOW_MS   10000u
#define MAX_RESULTS 30000u

enum { PLANT, LAKE, AGGREGATOR, ENDPOINTS };

struct bench {
	struct rig rig;
	struct config *config;
	struct bridge bridge;
	struct endpoint endpoints[ENDPOINTS], *of_bridge[ENDPOINTS];
	bool target_is_away;
	/* What the target has, by seq, and how often an equal one came again. */
	char *results[MAX_RESULTS];
	size_t n_results;
	uint8_t qos; /* of the last one */
	unsigned repeated, different;
};
extern struct bench bench;

/* rules: keys of the mapping, `aggregate` among them. */
void bench_begin(const char *rules);
void bench_end(void);
/* Offers one message now, or as one that came at that time; the answer of the host. It is not yet durable. */
enum offer_result bench_offer(const char *topic, const char *payload, uint8_t qos);
enum offer_result bench_offer_at(const char *topic, const char *payload, uint64_t origin_ms);
/* Lets everything happen that is to happen now, or as time goes on. */
void bench_settle(void);
void bench_wait(uint64_t ms);
void bench_crash(void);
void bench_restart(void); /* a clean stop */
/* "topic payload|topic payload|…" in the order of seq. */
const char *bench_results(void);
uint64_t bench_waiting(void); /* for the aggregator */
uint64_t bench_counter(const char *name); /* of the aggregator */

#endif
