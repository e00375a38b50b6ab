/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether two configurations, or parts of them, say the same: for who applies a file that has changed.
 */
#ifndef LINKSPAN_CONFIG_DIFFERENCE_H
#define LINKSPAN_CONFIG_DIFFERENCE_H

#include "config/config.h"

/* What of the process itself differs and is only read at the start: "data_dir", "journal.segment_size" … NULL: nothing. The
 * caller frees. */
char *config_fixed_difference(const struct config *before, const struct config *after)
	__attribute__((warn_unused_result));

/* The first key of the connection that differs (its type, one of the core's or of the connector's); NULL: they are equal,
 * whatever their names. Files that settings name by path are compared by that path. */
const char *connection_difference(const struct connection_config *before, const struct connection_config *after);

/* Are two `from` sections of the same connector equal in the connector's own keys? */
bool from_settings_equal(const struct connector *connector, const void *before, const void *after);

#endif
