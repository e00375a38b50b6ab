/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration says of one way of a message, from a mapping to one of its targets, in words: for `linkspan explain`
 * and `linkspan trace`. Texts are the caller's; what is secret in them is shown as ***.
 *
 * Pure functions, any thread; they end the process when memory is out, as config/ does.
 */
#ifndef LINKSPAN_CLI_ROUTE_WORDS_H
#define LINKSPAN_CLI_ROUTE_WORDS_H

#include "config/config.h"
#include "config/guarantee.h"

struct route {
	const struct config *config;
	const struct mapping_config *map;
	const struct target_config *target;
};

/* Which part decides the guarantee. */
enum route_bound { BOUND_BY_BOTH, BOUND_BY_SOURCE, BOUND_BY_DESTINATION, BOUND_BY_OUTBOX };
enum route_bound route_bound(const struct route *route);
const char *route_bound_name(enum route_bound bound); /* "source" … */

const char *route_meaning(enum guarantee guarantee); /* what it means for who reads there */
char *route_why(const struct route *route); /* why it is that guarantee and no other */
char *route_order(const struct route *route);
char *route_when_full(const struct route *route);
char *route_window(const struct route *route); /* what its windows do; of a mapping with aggregate */

/* ", qos 1" where that makes a difference, else "". */
const char *route_source_qos(const struct route *route);
const char *route_target_qos(const struct route *route);
/* The target as written, or what stands in for it. */
char *route_target(const struct route *route);
/* Filter number i as written. */
char *route_filter(const struct route *route, size_t i);
/* `text` without secrets; NULL gives NULL. */
char *route_shown(const struct route *route, const char *text);

void route_put_duration(FILE *out, uint64_t ms); /* "30s" */

/* Calls fn for each key of the mapping that has another value than without it, but for its name: `value` as one would
 * write it on one line. Borrowed by fn. */
void route_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg);
/* The same for its target, but for the connection and the target itself. */
void route_target_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg);
/* The same for what a connector has of its own under `from`. */
void route_from_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg);

#endif
