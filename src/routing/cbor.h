/* SPDX-License-Identifier: Apache-2.0
 *
 * CBOR (RFC 8949) as JSON text and back, by its sections 6.1 and 6.2; libcbor reads and writes the items.
 *
 * What JSON has no form for: byte strings become base64url (after tag 22 base64, after 23 base16); bignums (tags 2, 3) base64url, the
 * negative ones with ~ before; undefined, other simple values, NaN and infinities become null; integers as keys of maps become their
 * digits; other tags are left out. A key that is neither text nor an integer is refused. Integers keep all their digits both ways, as
 * far as CBOR has them (-2^64 to 2^64 - 1).
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_ROUTING_CBOR_H
#define LINKSPAN_ROUTING_CBOR_H

#include "message/slice.h"

struct arena;

/* One item and nothing after it, nested JSON_MAX_DEPTH deep at most, as JSON text of at most max_bytes in the arena. 0; -EINVAL and one
 * static sentence why; -ENOMEM. */
int cbor_to_json(struct slice cbor, size_t max_bytes, struct arena *arena, struct slice *ret_json,
	const char **ret_reason) __attribute__((warn_unused_result));

/* json: well-formed. Definite lengths, the shortest form of each number. 0; -EINVAL and one static sentence (half a surrogate pair);
 * -ENOMEM. */
int cbor_from_json(struct slice json, struct arena *arena, struct slice *ret_cbor, const char **ret_reason)
	__attribute__((warn_unused_result));

#endif
