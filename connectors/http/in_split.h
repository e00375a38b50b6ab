/* SPDX-License-Identifier: Apache-2.0
 *
 * Several messages of one body: the elements of a JSON array, each with the bytes that it was written with.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_SPLIT_H
#define LINKSPAN_CONNECTORS_HTTP_IN_SPLIT_H

#include "message/message.h"
#include "routing/arena.h"

/* Makes of a view one for each element, in the arena, with its payload and application/json. 0; -EINVAL and one static
 * sentence when the body is no JSON array; -E2BIG: more than max; -ENOMEM. */
int in_split(struct slice body, const struct message_view *view, size_t max, struct arena *arena,
	struct message_view **ret_views, size_t *ret_n, const char **ret_wrong) __attribute__((warn_unused_result));

#endif
