/* SPDX-License-Identifier: Apache-2.0
 *
 * What was probably meant where a file is not YAML. libyaml says what it did not find; the mistake is often something else
 * and somewhere else: a quote that ends too early, a # that begins a comment, a colon without its space. This looks at the
 * lines around the place. Pure.
 */
#ifndef LINKSPAN_CONFIG_YAML_HINT_H
#define LINKSPAN_CONFIG_YAML_HINT_H

#include "config/source.h"

struct yaml_problem {
	const char *problem, *context; /* libyaml's words; context may be NULL */
	int line, column; /* where it is said, from 1 */
	int context_line, context_column; /* where what it was reading begins */
};

/* One sentence of what would be right; static. May move line and column of the problem to where the mistake is. */
const char *yaml_hint(const struct source *source, struct yaml_problem *problem);

#endif
