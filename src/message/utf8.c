/* SPDX-License-Identifier: Apache-2.0
 *
 * Well-formed UTF-8 by the table of RFC 3629 §4: the second byte's range depends on the first, all later ones
 * are 0x80 to 0xBF.
 */
#include "message/utf8.h"

static bool is_tail(uint8_t byte)
{
	return (byte & 0xC0) == 0x80;
}

/* Narrower than a tail: behind E0 and F0 against overlong forms, ED against surrogates, F4 against what is beyond
 * U+10FFFF. */
static bool second_fits(uint8_t lead, uint8_t second)
{
	switch (lead) {
	case 0xE0:
		return second >= 0xA0;
	case 0xED:
		return second <= 0x9F;
	case 0xF0:
		return second >= 0x90;
	case 0xF4:
		return second <= 0x8F;
	default:
		return true;
	}
}

size_t utf8_char_len(struct slice text)
{
	if (text.len == 0)
		return 0;
	uint8_t lead = text.data[0];
	if (lead < 0x80)
		return 1;
	if (lead < 0xC2 || lead > 0xF4) /* a stray tail, an overlong pair, beyond U+10FFFF */
		return 0;
	size_t len = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
	if (text.len < len || !second_fits(lead, text.data[1]))
		return 0;
	for (size_t i = 1; i < len; i++)
		if (!is_tail(text.data[i]))
			return 0;
	return len;
}

bool utf8_valid(struct slice text)
{
	while (text.len) {
		size_t len = utf8_char_len(text);
		if (len == 0)
			return false;
		text.data += len;
		text.len -= len;
	}
	return true;
}

size_t utf8_put(uint8_t *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (uint8_t)code;
		return 1;
	}
	size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const uint8_t mark[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = len - 1; i > 0; i--, code >>= 6)
		out[i] = (uint8_t)(0x80 | (code & 0x3F));
	out[0] = (uint8_t)(mark[len] | code);
	return len;
}
