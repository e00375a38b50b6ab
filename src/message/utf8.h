/* SPDX-License-Identifier: Apache-2.0
 *
 * Well-formed UTF-8 as MQTT 5 §1.5.4 and RFC 3629 ask for it: no surrogates, no overlong forms, nothing past
 * U+10FFFF. Pure functions, any thread.
 */
#ifndef LINKSPAN_MESSAGE_UTF8_H
#define LINKSPAN_MESSAGE_UTF8_H

#include "message/slice.h"

/* Bytes of the well-formed character at the start of the text, 1 to 4; 0 if there is none. U+0000 counts as
 * one. */
size_t utf8_char_len(struct slice text);
bool utf8_valid(struct slice text);

/* Writes a code point (not a surrogate, at most U+10FFFF) and returns its 1 to 4 bytes. */
size_t utf8_put(uint8_t *out, uint32_t code);

#endif
