/* SPDX-License-Identifier: Apache-2.0
 *
 * Another configuration for a running bridge (ARCHITECTURE.md, Reload): orders one after the other; a worker thread that reads
 * the file and compiles; the plan, which compares and makes all that can fail; the commit, in the same turn of the loop, which
 * cannot be refused any more. Private to the bridge; bridge.h has what others call.
 *
 * Threads: the loop, but for the worker and one that frees an old router, both of which touch nothing of the bridge.
 */
#ifndef LINKSPAN_RUNTIME_RELOAD_H
#define LINKSPAN_RUNTIME_RELOAD_H

#include <stdio.h>

#include "runtime/bridge.h"

struct generation;
struct reload;
struct router;

int reload_new(struct bridge *bridge, const struct bridge_options *options, struct reload **ret_reload)
	__attribute__((warn_unused_result));
/* The bridge is being stopped: whoever waits hears that nothing comes of it. NULL is allowed, as below. */
void reload_stop(struct reload *reload);
/* Blocks until the worker has ended, which may be in the middle of compiling. */
void reload_free(struct reload *reload);

/* No endpoint is leaving any more: those that are new are started, and the next order is carried out. */
void reload_settled(struct bridge *bridge);

/* --- reload_plan.c --- */

struct reload_input {
	struct config *config;
	struct router *router;
	const struct reload_order *order;
	FILE *why; /* lines: what is refused, and what of the order comes to nothing */
};
struct reload_output {
	struct router *old_router; /* the caller's */
	struct generation *old_generation; /* likewise; has to outlive that */
	char summary[256];
};
/* 0: it holds, and takes config and router. Else nothing has changed but that the journal may know more names, *why says what is
 * wrong, and both are still the caller's: -EINVAL, or another errno when a link or memory could not be had. */
int reload_apply(struct bridge *bridge, const struct reload_input *input, struct reload_output *ret_output)
	__attribute__((warn_unused_result));

#endif
