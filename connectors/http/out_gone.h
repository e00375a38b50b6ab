/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept of a receiver that has answered 410 Gone: a hash of the settings that it was reached with. As long as they
 * are the same nothing more is sent to it, over restarts too.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_GONE_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_GONE_H

#include "connectors/http/settings.h"

#define HTTP_GONE_SIZE 17

/* All keys of the connection as they are in the file, secrets too, hashed with the destination's own key. 0 or -ENOMEM. */
int http_gone_blob(const struct http_settings *settings, const uint8_t uuid[16], uint8_t ret_blob[HTTP_GONE_SIZE])
	__attribute__((warn_unused_result));

#endif
