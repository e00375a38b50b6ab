/* SPDX-License-Identifier: Apache-2.0
 *
 * Four characters for three bytes.
 */
#include "message/base64.h"

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define URL   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static size_t encode(struct slice bytes, const char *digits, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.data[i] << 16 | (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
				 (left > 2 ? bytes.data[i + 2] : 0);
		out[n++] = digits[group >> 18];
		out[n++] = digits[group >> 12 & 63];
		if (left > 1)
			out[n++] = digits[group >> 6 & 63];
		if (left > 2)
			out[n++] = digits[group & 63];
	}
	return n;
}

size_t base64_encode(struct slice bytes, char *out)
{
	size_t n = encode(bytes, PLAIN, out);
	while (n % 4 != 0)
		out[n++] = '=';
	return n;
}

size_t base64url_encode(struct slice bytes, char *out)
{
	return encode(bytes, URL, out);
}

static int digit_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns the bytes that the four characters stand for, 0 if they stand for none. Padding is for the last group alone. */
static size_t decode_group(const uint8_t *text, bool is_last, uint8_t *out)
{
	size_t pads = 0;
	while (is_last && pads < 2 && text[3 - pads] == '=')
		pads++;
	uint32_t group = 0;
	for (size_t k = 0; k < 4; k++) {
		int digit = k < 4 - pads ? digit_value(text[k]) : 0;
		if (digit < 0)
			return 0;
		group = group << 6 | (uint32_t)digit;
	}
	if (group & ((1u << (8 * pads)) - 1)) /* bits that no byte holds */
		return 0;
	for (size_t k = 0; k < 3 - pads; k++)
		out[k] = (uint8_t)(group >> (16 - 8 * k));
	return 3 - pads;
}

size_t base64_decode(struct slice text, uint8_t *out)
{
	size_t n = 0;
	if (text.len % 4 != 0)
		return SIZE_MAX;
	for (size_t i = 0; i < text.len; i += 4) {
		size_t len = decode_group(text.data + i, i + 4 == text.len, out + n);
		if (len == 0)
			return SIZE_MAX;
		n += len;
	}
	return n;
}
