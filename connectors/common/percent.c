/* SPDX-License-Identifier: Apache-2.0
 *
 * What needs no encoding is not copied.
 */
#include "connectors/common/percent.h"

#include <errno.h>

#include "routing/arena.h"

int percent_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == '_' || c == '~';
}

void percent_put(uint8_t *out, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";
	out[0] = '%';
	out[1] = (uint8_t)digits[c >> 4];
	out[2] = (uint8_t)digits[c & 15];
}

int percent_encode(struct slice text, struct arena *arena, struct slice *ret_text)
{
	size_t n_encoded = 0;
	for (size_t i = 0; i < text.len; i++)
		n_encoded += !percent_is_unreserved(text.data[i]);
	*ret_text = text;
	if (n_encoded == 0)
		return 0;
	uint8_t *out = arena_alloc(arena, text.len + 2 * n_encoded);
	if (!out)
		return -ENOMEM;
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (percent_is_unreserved(text.data[i])) {
			out[len++] = text.data[i];
			continue;
		}
		percent_put(out + len, text.data[i]);
		len += 3;
	}
	*ret_text = slice_of(out, len);
	return 0;
}
