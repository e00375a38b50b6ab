/* SPDX-License-Identifier: Apache-2.0
 *
 * One test of a configuration, run: its steps in a simulation, and in words what is not as it is expected.
 *
 * Threads: as simulation.h.
 */
#ifndef LINKSPAN_SIMULATION_TRIAL_H
#define LINKSPAN_SIMULATION_TRIAL_H

#include "config/config.h"
#include "config/test_config.h"

struct trial_failure {
	const char *file; /* of the configuration */
	int line;
	char *text; /* the first line says what, those behind it begin with two spaces */
};

struct trial {
	struct trial_failure *failures;
	size_t n_failures;
	uint64_t simulated_ms; /* that have passed */
};

/* 0: it has run, and has passed when there are no failures. A negative errno: it could not be run, which is told as a failure,
 * too, where there is memory left. */
int trial_run(const struct config *config, const struct test_config *test, struct trial *ret_trial)
	__attribute__((warn_unused_result));
void trial_free(struct trial *trial); /* what it holds */

#endif
