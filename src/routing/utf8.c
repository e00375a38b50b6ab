/* SPDX-License-Identifier: Apache-2.0
 *
 * Well-formed UTF-8 by the table of RFC 3629 §4: the second byte's range depends on the first, all later ones
 * are 0x80 to 0xBF.
 */
#include "routing/utf8.h"

static const struct {
	uint8_t first, last; /* of the lead byte */
	uint8_t len;
	uint8_t second_min, second_max;
} lead[] = {
	{0xC2, 0xDF, 2, 0x80, 0xBF},
	{0xE0, 0xE0, 3, 0xA0, 0xBF},
	{0xE1, 0xEC, 3, 0x80, 0xBF},
	{0xED, 0xED, 3, 0x80, 0x9F},
	{0xEE, 0xEF, 3, 0x80, 0xBF},
	{0xF0, 0xF0, 4, 0x90, 0xBF},
	{0xF1, 0xF3, 4, 0x80, 0xBF},
	{0xF4, 0xF4, 4, 0x80, 0x8F},
};

static bool utf8_tail_valid(const uint8_t *data, size_t len)
{
	for (size_t i = 2; i < len; i++)
		if ((data[i] & 0xC0) != 0x80)
			return false;
	return true;
}

size_t utf8_char_len(struct slice text)
{
	if (text.len == 0)
		return 0;
	if (text.data[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof lead / sizeof lead[0]; i++) {
		if (text.data[0] < lead[i].first || text.data[0] > lead[i].last)
			continue;
		bool good = text.len >= lead[i].len && text.data[1] >= lead[i].second_min &&
			    text.data[1] <= lead[i].second_max && utf8_tail_valid(text.data, lead[i].len);
		return good ? lead[i].len : 0;
	}
	return 0;
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
