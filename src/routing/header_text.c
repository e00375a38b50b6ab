/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding takes what encoding gives and nothing else: base64 without a stray bit, of bytes that are no text.
 */
#include "routing/header_text.h"

#include <errno.h>

#include "message/base64.h"
#include "message/utf8.h"

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
	char *text = arena_alloc(arena, base64_encoded_len(field->value.len));
	if (!ret_field->name.data || !text)
		return -ENOMEM;
	if (field->value.data)
		ret_field->value = slice_of(text, base64_encode(field->value, text));
	return 0;
}

static int decode_base64(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
{
	uint8_t *bytes = arena_alloc(arena, field->value.len);
	if (!bytes)
		return -ENOMEM;
	size_t len = base64_decode(field->value, bytes);
	if (len != SIZE_MAX && !is_text(slice_of(bytes, len)))
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
