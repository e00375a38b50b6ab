/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts users.
 */
#include "runtime/generation.h"

#include <assert.h>
#include <stdlib.h>

struct generation *generation_new(const struct config *config, struct config *owned)
{
	struct generation *generation = calloc(1, sizeof *generation);
	if (!generation)
		return NULL;
	*generation = (struct generation){.config = config, .owned = owned, .users = 1};
	return generation;
}

struct generation *generation_ref(struct generation *generation)
{
	generation->users++;
	return generation;
}

void generation_unref(struct generation *generation)
{
	if (!generation)
		return;
	assert(generation->users > 0);
	if (--generation->users > 0)
		return;
	config_free(generation->owned);
	free(generation);
}
