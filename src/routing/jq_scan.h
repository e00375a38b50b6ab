/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a jq program as tokens, before libjq does: refuses what has side effects or shows secrets, and lists
 * the $variables that are used, so that only those are bound per message. Knows strings, their \( ) and
 * comments as the lexer of jq 1.6 does; knows no grammar beyond brackets.
 *
 * Pure function, any thread.
 */
#ifndef LINKSPAN_ROUTING_JQ_SCAN_H
#define LINKSPAN_ROUTING_JQ_SCAN_H

#include "message/slice.h"

#define JQ_SCAN_MAX_VARIABLES 64

/* About a program, by jq_scan or by libjq. */
struct jq_complaint {
	char text[400]; /* one sentence */
	int line; /* within the program, from 1 */
};

struct jq_scan {
	struct slice variables[JQ_SCAN_MAX_VARIABLES]; /* distinct, without $, into the program */
	size_t n_variables;
	char wrong[200]; /* empty: nothing is */
	int line; /* of what is wrong, from 1 */
};

/* 0, or -EINVAL with wrong and line filled in. */
int jq_scan(const char *program, struct jq_scan *ret_scan) __attribute__((warn_unused_result));

#endif
