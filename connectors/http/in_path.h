/* SPDX-License-Identifier: Apache-2.0
 *
 * The target of a request (RFC 9112 §3.2.1, origin form) as path and query. What another program could read as another path
 * is refused: dot segments, encoded slashes, control characters, text that is no UTF-8.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_PATH_H
#define LINKSPAN_CONNECTORS_HTTP_IN_PATH_H

#include "message/slice.h"

/* NULL with the decoded path (at most target.len bytes) and the query as it was sent, without its '?', absent if there is
 * none; else what is wrong, one static sentence. */
const char *in_path_parse(struct slice target, uint8_t *ret_path, size_t *ret_len, struct slice *ret_query);

/* Is this rendered path one that can be asked for? NULL, or what is wrong and what would be right. */
const char *in_path_check_target(struct slice path);

#endif
