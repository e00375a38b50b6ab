/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding (RFC 3986 §2.1).
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_PERCENT_H
#define LINKSPAN_CONNECTORS_COMMON_PERCENT_H

#include "message/slice.h"

struct arena; /* routing/arena.h */

/* The value of a hexadecimal digit; -1: it is none. */
int percent_digit(uint8_t c);
/* RFC 3986 §2.3: means the same encoded or not. */
bool percent_is_unreserved(uint8_t c);
/* Writes %XX, 3 bytes. */
void percent_put(uint8_t *out, uint8_t c);
/* Everything but unreserved characters encoded. 0 and a text that lives as long as `text` and the arena, or -ENOMEM. */
int percent_encode(struct slice text, struct arena *arena, struct slice *ret_text) __attribute__((warn_unused_result));

#endif
