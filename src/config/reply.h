/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about a loaded configuration: where replies go, and so who is written to. Pure functions; any thread.
 */
#ifndef LINKSPAN_CONFIG_REPLY_H
#define LINKSPAN_CONFIG_REPLY_H

#include "config/config.h"

/* Does a delivery there end with a reply of its own? Not one that is sent with others. */
bool connection_gives_replies(const struct connection_config *conn);
/* May what is received from there ask for its answer, to a topic of the same connection? */
bool connection_asks_for_replies(const struct connection_config *conn);
/* Where replies of what is written to that target go: index of a connection, or -1: nowhere. */
long target_reply_connection(
	const struct config *config, const struct mapping_config *map, const struct target_config *target);
/* Does the mapping write to that connection, messages or replies? */
bool mapping_writes_to(const struct config *config, const struct mapping_config *map, size_t connection);

#endif
