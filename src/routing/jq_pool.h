/* SPDX-License-Identifier: Apache-2.0
 *
 * All jq programs of a configuration: equal ones are one, and where there are many, several are compiled together. A thousand
 * programs take a second that way, one by one fifteen; a program among others takes about 3 µs more a message than alone, so
 * configurations with few programs do without.
 *
 * Threads: one at a time.
 */
#ifndef LINKSPAN_ROUTING_JQ_POOL_H
#define LINKSPAN_ROUTING_JQ_POOL_H

#include "routing/jq_scan.h"

struct jq_state; /* libjq's */

/* More distinct programs than that are compiled in groups. */
#define JQ_POOL_ALONE 48

struct jq_pool;

struct jq_pool *jq_pool_new(void) __attribute__((warn_unused_result)); /* NULL when memory is out */
void jq_pool_free(struct jq_pool *pool); /* with all its entries; NULL is allowed */

/* A program and the variables that it is given. Lives as long as the pool. */
struct jq_entry {
	size_t n_variables;
	struct jq_state
		*jq; /* after jq_pool_compile, if there is nothing to complain about; may be that of others, too */
	int number; /* among those that share jq, for the end of the input; -1: alone */
	struct jq_complaint complaint; /* an empty text: none */
};

/* Text and names are copied. What jq_scan refuses has its complaint at once. 0 or -ENOMEM. */
int jq_pool_add(struct jq_pool *pool, const char *text, const struct slice *names, size_t n_names,
	struct jq_entry **ret_entry) __attribute__((warn_unused_result));

/* What has been added since the last time. 0; -EINVAL: some entry of the pool has a complaint; -ENOMEM. */
int jq_pool_compile(struct jq_pool *pool) __attribute__((warn_unused_result));

#endif
