/* SPDX-License-Identifier: Apache-2.0
 *
 * One compiled jq program: the user's text inside a wrapper of ours that binds the $variables from the input
 * and shadows what must not be reached. Nothing outside of src/routing/transform.c and this pair sees libjq.
 *
 * Threads: one at a time. Compiling takes about 15 ms.
 */
#ifndef LINKSPAN_ROUTING_JQ_PROGRAM_H
#define LINKSPAN_ROUTING_JQ_PROGRAM_H

#include <jq.h>

#include "routing/jq_scan.h"

struct jq_complaint {
	char text[400]; /* one sentence */
	int line; /* within the program, from 1 */
};

/* The program's input is an array: the payload, then the values of `names` in that order; just the payload
 * when there are no names. 0 and a state for jq_teardown, -EINVAL with the complaint filled in, or -ENOMEM.
 */
int jq_program_compile(const char *program, const struct slice *names, size_t n_names, jq_state **ret_state,
	struct jq_complaint *ret_complaint) __attribute__((warn_unused_result));

#endif
