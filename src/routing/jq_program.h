/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled jq programs: the users' texts inside a wrapper of ours that binds the $variables from the input
 * and shadows what must not be reached. Nothing outside of src/routing/transform.c, jq_pool.c and this pair sees libjq.
 *
 * Threads: one at a time. Compiling takes about 15 ms, however small the program is, and hardly more for a few dozen of them in one.
 */
#ifndef LINKSPAN_ROUTING_JQ_PROGRAM_H
#define LINKSPAN_ROUTING_JQ_PROGRAM_H

#include <jq.h>

#include "routing/jq_scan.h"

struct jq_source {
	const char *text;
	const struct slice *names; /* of the variables that it is given */
	size_t n_names;
};

/* The program's input is an array: the payload, then the values of `names` in that order; just the payload
 * when there are no names. 0 and a state for jq_teardown, -EINVAL with the complaint filled in, or -ENOMEM.
 */
int jq_program_compile(const struct jq_source *source, jq_state **ret_state, struct jq_complaint *ret_complaint)
	__attribute__((warn_unused_result));

/* Several programs as one, n > 1, each of which jq_scan has passed. The input is always an array, and its last element the number of
 * the program that is to run, from 0. -EINVAL: one of them does not compile; alone each says what is wrong with it. */
int jq_program_compile_group(const struct jq_source *sources, size_t n, jq_state **ret_state)
	__attribute__((warn_unused_result));

#endif
