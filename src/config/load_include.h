/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens the main file and, through `include:`, further ones; gathers connections, mappings and tests of all of them.
 */
#ifndef LINKSPAN_CONFIG_LOAD_INCLUDE_H
#define LINKSPAN_CONFIG_LOAD_INCLUDE_H

#include "config/loader.h"

/* The root of the main file, a map; NULL after reporting that it cannot be had. */
const struct node *loader_open(struct loader *loader, const char *path);

#endif
