/* SPDX-License-Identifier: Apache-2.0
 *
 * ${env:NAME} and ${file:PATH} inside scalars; $${ is a literal ${. A path is relative to the file that names it; the
 * newline at the end of such a file is left out. What was inserted is secret (report_add_secret) and is not looked at
 * again. May block on files.
 */
#ifndef LINKSPAN_CONFIG_INTERPOLATE_H
#define LINKSPAN_CONFIG_INTERPOLATE_H

#include "config/yaml_tree.h"

#define INTERPOLATE_MAX_FILE (1024u * 1024)

/* Replaces node->text and sets node->interpolated; mistakes are reported at the `${`. */
void interpolate(struct node *node, struct report *report);

#endif
