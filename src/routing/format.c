/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings are quoted and unquoted here; what is nested is cbor.h's.
 */
#include "routing/format.h"

#include <errno.h>
#include <stdio.h>

#include "message/base64.h"
#include "message/utf8.h"
#include "routing/arena.h"
#include "routing/cbor.h"
#include "routing/json.h"

static int refuse(const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return -EINVAL;
}

static int too_large(const char **ret_reason)
{
	return refuse("the payload is larger than max_transform_bytes as JSON", ret_reason);
}

/* --- to JSON ---------------------------------------------------------------------------------------------------------- */

static size_t quoted_len(struct slice text)
{
	size_t len = 2;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		len += c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
	}
	return len;
}

static int quote(
	struct slice text, size_t max_bytes, struct arena *arena, struct slice *ret_json, const char **ret_reason)
{
	size_t len = quoted_len(text), n = 0;
	if (len > max_bytes)
		return too_large(ret_reason);
	char *out = arena_alloc(arena, len + 1); /* and snprintf's NUL */
	if (!out)
		return -ENOMEM;
	out[n++] = '"';
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c < 0x20) {
			n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			out[n++] = '\\';
		out[n++] = (char)c;
	}
	out[n++] = '"';
	*ret_json = slice_of(out, n);
	return 0;
}

static int quote_base64(
	struct slice bytes, size_t max_bytes, struct arena *arena, struct slice *ret_json, const char **ret_reason)
{
	size_t len = base64_encoded_len(bytes.len);
	if (len + 2 > max_bytes)
		return too_large(ret_reason);
	char *out = arena_alloc(arena, len + 2);
	if (!out)
		return -ENOMEM;
	out[0] = '"';
	base64_encode(bytes, out + 1);
	out[len + 1] = '"';
	*ret_json = slice_of(out, len + 2);
	return 0;
}

/* The bytes of base64, which is refused if it is none. */
static int decode_base64(struct slice text, struct arena *arena, struct slice *ret_bytes, const char **ret_reason)
{
	uint8_t *bytes = arena_alloc(arena, text.len / 4 * 3);
	if (!bytes)
		return -ENOMEM;
	size_t len = base64_decode(text, bytes);
	if (len == SIZE_MAX)
		return refuse("it is not base64 (RFC 4648, with padding and without line breaks)", ret_reason);
	*ret_bytes = slice_of(bytes, len);
	return 0;
}

static int base64_to_json(
	struct slice payload, size_t max_bytes, struct arena *arena, struct slice *ret_json, const char **ret_reason)
{
	struct slice bytes;
	if (payload.len > max_bytes)
		return too_large(ret_reason);
	int err = decode_base64(payload, arena, &bytes, ret_reason);
	if (err == -EINVAL)
		*ret_reason = arena_printf(arena, "the payload cannot be read as base64: %s", *ret_reason);
	return err ? err : quote(payload, max_bytes, arena, ret_json, ret_reason);
}

int format_to_json(enum format format, struct slice payload, size_t max_bytes, struct arena *arena,
	struct slice *ret_json, const char **ret_reason)
{
	switch (format) {
	case FORMAT_TEXT:
		if (!utf8_valid(payload))
			return refuse("the payload cannot be read as text: it is not valid UTF-8", ret_reason);
		return quote(payload, max_bytes, arena, ret_json, ret_reason);
	case FORMAT_RAW:
		return quote_base64(payload, max_bytes, arena, ret_json, ret_reason);
	case FORMAT_BASE64:
		return base64_to_json(payload, max_bytes, arena, ret_json, ret_reason);
	case FORMAT_CBOR:
		return cbor_to_json(payload, max_bytes, arena, ret_json, ret_reason);
	default:
		*ret_json = payload;
		return 0;
	}
}

/* --- from JSON -------------------------------------------------------------------------------------------------------- */

static struct slice without_space(struct slice json)
{
	while (json.len && strchr(" \t\r\n", json.data[0]))
		json = slice_of(json.data + 1, json.len - 1);
	while (json.len && strchr(" \t\r\n", json.data[json.len - 1]))
		json.len--;
	return json;
}

static int unquote(struct slice raw, struct arena *arena, struct slice *ret_text, const char **ret_reason)
{
	if (json_is_plain(raw)) {
		*ret_text = slice_of(raw.data + 1, raw.len - 2);
		return 0;
	}
	uint8_t *text = arena_alloc(arena, raw.len);
	if (!text)
		return -ENOMEM;
	size_t len = json_unescape(raw, text);
	if (len == SIZE_MAX)
		return refuse("a string holds half a surrogate pair, which no text can", ret_reason);
	*ret_text = slice_of(text, len);
	return 0;
}

static int to_text(struct slice raw, struct arena *arena, struct slice *ret_payload, const char **ret_reason)
{
	switch (json_kind(raw)) {
	case JSON_STRING:
		return unquote(raw, arena, ret_payload, ret_reason);
	case JSON_NUMBER:
	case JSON_TRUE:
	case JSON_FALSE:
		*ret_payload = raw;
		return 0;
	default:
		return refuse("format: text takes a string, a number, true or false, and the value is none of them",
			ret_reason);
	}
}

static int to_bytes(
	enum format format, struct slice raw, struct arena *arena, struct slice *ret_payload, const char **ret_reason)
{
	struct slice text, bytes;
	const char *name = format == FORMAT_RAW ? "raw" : "base64";
	if (json_kind(raw) != JSON_STRING)
		return refuse(
			arena_printf(arena, "format: %s takes a string in base64, and the value is no string", name),
			ret_reason);
	int err = unquote(raw, arena, &text, ret_reason);
	if (!err)
		err = decode_base64(text, arena, &bytes, ret_reason);
	if (err == -EINVAL)
		*ret_reason = arena_printf(arena, "format: %s takes a string in base64: %s", name, *ret_reason);
	if (!err)
		*ret_payload = format == FORMAT_RAW ? bytes : text;
	return err;
}

int format_from_json(
	enum format format, struct slice json, struct arena *arena, struct slice *ret_payload, const char **ret_reason)
{
	struct slice raw = without_space(json);
	switch (format) {
	case FORMAT_TEXT:
		return to_text(raw, arena, ret_payload, ret_reason);
	case FORMAT_RAW:
	case FORMAT_BASE64:
		return to_bytes(format, raw, arena, ret_payload, ret_reason);
	case FORMAT_CBOR:
		return cbor_from_json(raw, arena, ret_payload, ret_reason);
	default:
		*ret_payload = json;
		return 0;
	}
}

/* --- about ------------------------------------------------------------------------------------------------------------- */

struct slice format_content_type(enum format format)
{
	static const char *const types[FORMATS] = {
		[FORMAT_JSON] = "application/json",
		[FORMAT_TEXT] = "text/plain; charset=utf-8",
		[FORMAT_BASE64] = "text/plain; charset=utf-8",
		[FORMAT_CBOR] = "application/cbor",
	};
	return slice_str(types[format]);
}

bool format_is_text(enum format format)
{
	return format == FORMAT_JSON || format == FORMAT_TEXT || format == FORMAT_BASE64;
}
