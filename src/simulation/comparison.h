/* SPDX-License-Identifier: Apache-2.0
 *
 * One message that is expected beside one that is there: are they equal in all that is written, and where not. What is shown
 * is text where it is some, else base64, and is cut.
 *
 * Any thread; blocks only as `out` does.
 */
#ifndef LINKSPAN_SIMULATION_COMPARISON_H
#define LINKSPAN_SIMULATION_COMPARISON_H

#include <stdio.h>

#include "config/config.h"
#include "simulation/simulation.h"

/* Whatever connection and outcome say. out: gets lines for each key that differs, `indent` before them; NULL: none. */
bool comparison_equal(const struct config *config, const struct test_expected *expected,
	const struct simulation_event *event, FILE *out, const char *indent);
/* "topic a/b, key 7, payload {…}": what is expected, or there. */
void comparison_show_expected(const struct config *config, const struct test_expected *expected, FILE *out);
void comparison_show_event(const struct config *config, const struct simulation_event *event, FILE *out);

#endif
