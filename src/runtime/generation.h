/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration that lives as long as somebody uses it: the bridge for what holds now, each link for the settings and
 * subscriptions that it was given, which it borrows. After a reload an old one so lives on for those connections that have
 * not changed: at most two for each connection.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_RUNTIME_GENERATION_H
#define LINKSPAN_RUNTIME_GENERATION_H

#include "config/config.h"

struct generation {
	const struct config *config;
	struct config *owned; /* freed with it; NULL: somebody else's */
	size_t users;
};

/* Has one user. owned: it takes config. NULL: no memory (config is then still the caller's). */
struct generation *generation_new(const struct config *config, struct config *owned)
	__attribute__((warn_unused_result));
struct generation *generation_ref(struct generation *generation);
void generation_unref(struct generation *generation); /* NULL is allowed */

#endif
