/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648): bytes as text. Reading is strict: what writing gives and nothing else, so that one text stands for one run of
 * bytes.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_MESSAGE_BASE64_H
#define LINKSPAN_MESSAGE_BASE64_H

#include "message/slice.h"

/* What base64_encode writes of n bytes; base64url_encode writes no more. */
static inline size_t base64_encoded_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* §4, padded. Returns the number of characters written; no NUL. */
size_t base64_encode(struct slice bytes, char *out);
/* §5, without padding. */
size_t base64url_encode(struct slice bytes, char *out);

/* §4. Writes text.len / 4 * 3 bytes at most, and returns their number; SIZE_MAX if the text is not what base64_encode gives. */
size_t base64_decode(struct slice text, uint8_t *out) __attribute__((warn_unused_result));

#endif
