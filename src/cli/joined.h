/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration as it stands in the file: a mapping with `aggregate`, of which the loader has made two with a destination
 * between them, is one again, from its source to its targets. For those who explain it; nothing can be run by it.
 *
 * Pure functions, any thread; they end the process when memory is out, as config/ does.
 */
#ifndef LINKSPAN_CLI_JOINED_H
#define LINKSPAN_CLI_JOINED_H

#include "config/config.h"

struct joined {
	struct config config; /* borrows everything from the one that it was made of, but for the array of mappings */
	struct mapping_config *mappings;
};

void joined_make(const struct config *config, struct joined *ret_joined);
void joined_free(struct joined *joined);

/* The mapping that makes messages of the results of an aggregator. */
const struct mapping_config *joined_results_of(const struct config *config, size_t aggregator);

#endif
