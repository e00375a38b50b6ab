/* SPDX-License-Identifier: Apache-2.0
 *
 * jq programs (`when`, `payload`) over libjq 1.6, its hazards closed: no environment, no modules, no input/debug
 * side effects; outputs and input size bounded.
 */
#ifndef LINKSPAN_ROUTING_TRANSFORM_H
#define LINKSPAN_ROUTING_TRANSFORM_H

#include <stddef.h>

/* Compiles and throws away. NULL if the program compiles with these captures as $variables, else libjq's sentence (in a
 * thread-local buffer) and *ret_line (may be NULL) the line within the program, from 1. About 15 ms. */
const char *transform_check(const char *program, const char *const *captures, size_t n_captures, int *ret_line);

#endif
