/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding takes what encoding gives and nothing else: base64 without a stray bit, of bytes that are no text.
 */
#include "routing/header_text.h"

#include <errno.h>

#include "message/utf8.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_text(struct slice bytes)
{
	return bytes.data && utf8_valid(bytes) && (bytes.len == 0 || !memchr(bytes.data, 0, bytes.len));
}

static bool begins_with(struct slice name, const char *prefix)
{
	return name.len >= strlen(prefix) && memcmp(name.data, prefix, strlen(prefix)) == 0;
}

static struct slice prefixed(struct arena *arena, const char *prefix, struct slice name)
{
	size_t len = strlen(prefix);
	char *text = arena_alloc(arena, len + name.len);
	if (!text)
		return (struct slice){NULL, 0};
	memcpy(text, prefix, len);
	if (name.len)
		memcpy(text + len, name.data, name.len);
	return slice_of(text, len + name.len);
}

static struct slice without(const char *prefix, struct slice name)
{
	return slice_of(name.data + strlen(prefix), name.len - strlen(prefix));
}

/* --- base64 ---------------------------------------------------------------------------------------------------------- */

static size_t base64_write(struct slice bytes, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		uint32_t group = (uint32_t)bytes.data[i] << 16 | (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
				 (left > 2 ? bytes.data[i + 2] : 0);
		out[n++] = digits[group >> 18];
		out[n++] = digits[group >> 12 & 63];
		out[n++] = left > 1 ? digits[group >> 6 & 63] : '=';
		out[n++] = left > 2 ? digits[group & 63] : '=';
	}
	return n;
}

/* SIZE_MAX if it is none. Stray bits are left to the caller, who writes it again. */
static size_t base64_read(struct slice text, uint8_t *out)
{
	size_t n = 0;
	if (text.len % 4 != 0)
		return SIZE_MAX;
	for (size_t i = 0; i < text.len; i += 4) {
		uint32_t group = 0, pad = 0;
		for (size_t k = 0; k < 4; k++) {
			const char *digit = text.data[i + k] ? strchr(digits, text.data[i + k]) : NULL;
			bool is_pad = text.data[i + k] == '=' && i + 4 == text.len && k >= 2;
			if (!is_pad && (!digit || pad))
				return SIZE_MAX;
			pad += is_pad;
			group = group << 6 | (is_pad ? 0 : (uint32_t)(digit - digits));
		}
		for (uint32_t k = 0; k < 3 - pad; k++)
			out[n++] = (uint8_t)(group >> (16 - 8 * k));
	}
	return n;
}

/* --- headers --------------------------------------------------------------------------------------------------------- */

int header_text_encode(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
{
	*ret_field = *field;
	if (!is_text(field->name))
		return -EINVAL;
	if (is_text(field->value))
		return 0;
	ret_field->name = prefixed(arena, field->value.data ? HEADER_TEXT_BASE64 : HEADER_TEXT_NULL, field->name);
	ret_field->value = slice_str("");
	char *text = arena_alloc(arena, (field->value.len + 2) / 3 * 4);
	if (!ret_field->name.data || !text)
		return -ENOMEM;
	if (field->value.data)
		ret_field->value = slice_of(text, base64_write(field->value, text));
	return 0;
}

static int decode_base64(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
{
	uint8_t *bytes = arena_alloc(arena, field->value.len);
	char *again = arena_alloc(arena, field->value.len);
	if (!bytes || !again)
		return -ENOMEM;
	size_t len = base64_read(field->value, bytes);
	if (len == SIZE_MAX || is_text(slice_of(bytes, len)))
		return 0;
	if (!slice_equal(slice_of(again, base64_write(slice_of(bytes, len), again)), field->value))
		return 0;
	*ret_field = (struct message_field){without(HEADER_TEXT_BASE64, field->name), slice_of(bytes, len)};
	return 0;
}

int header_text_decode(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
{
	*ret_field = *field;
	if (begins_with(field->name, HEADER_TEXT_BASE64) && field->value.len > 0)
		return decode_base64(field, arena, ret_field);
	if (begins_with(field->name, HEADER_TEXT_NULL) && field->value.data && field->value.len == 0)
		*ret_field = (struct message_field){without(HEADER_TEXT_NULL, field->name), {NULL, 0}};
	return 0;
}
