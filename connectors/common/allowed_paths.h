/* SPDX-License-Identifier: Apache-2.0
 *
 * Which identity may use which paths of a listener: topic filters as in `from.topic`.
 *
 * Pure; one thread at a time.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_ALLOWED_PATHS_H
#define LINKSPAN_CONNECTORS_COMMON_ALLOWED_PATHS_H

#include "config/schema.h"
#include "message/slice.h"

struct allowed_paths;

/* Of `identity: filters`, separated by white space; each may begin with read: or write:, and the identity * is
 * everybody. An empty list allows everything. 0, -EINVAL (see the check) or -ENOMEM. */
int allowed_paths_new(const struct config_list *list, struct allowed_paths **ret_paths)
	__attribute__((warn_unused_result));
void allowed_paths_free(struct allowed_paths *paths); /* NULL is allowed */
/* NULL, or what is wrong with one entry's filters and what would be right, one static sentence. */
const char *allowed_paths_check(const char *filters);

bool allowed_paths_allow(const struct allowed_paths *paths, const char *identity, struct slice path, bool reads);
/* Is there anything that this identity may do? */
bool allowed_paths_know(const struct allowed_paths *paths, const char *identity);

#endif
