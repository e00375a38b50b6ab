/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of `linkspan explain`: the forms in which it draws a configuration. What cannot be written shows in ferror(out).
 */
#ifndef LINKSPAN_CLI_EXPLAIN_H
#define LINKSPAN_CLI_EXPLAIN_H

#include <stdio.h>

#include "config/config.h"

/* As joined_make gives it. */
void explain_json(const struct config *config, FILE *out);
void explain_dot(const struct config *config, FILE *out); /* for Graphviz */

#endif
