/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers that libjq does not keep. Its numbers are doubles, so of those above 2^53 many become another one: 9007199254740993
 * comes out as 9007199254740992. Only for payloads that hold such an integer, which is told by json_payload_check.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_ROUTING_ROUNDING_H
#define LINKSPAN_ROUTING_ROUNDING_H

#include <stdbool.h>
#include <stddef.h>

#include "message/slice.h"

/* Does an output hold what libjq makes of an integer of the payload, where that is another number? Both are well-formed
 * JSON. The first 64 such integers are looked for. */
bool rounding_seen(struct slice payload, const struct slice *outputs, size_t n_outputs);

#endif
