/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON of what need not be JSON.
 */
#include "connectors/http/out_body.h"

#include "message/utf8.h"
#include "routing/json.h"

static int append_text(struct buffer *out, const char *text)
{
	return buffer_append(out, slice_str(text));
}

/* A line break in well-formed JSON stands between tokens, where a blank means the same. */
static int append_json(struct slice payload, bool of_lines, struct buffer *out)
{
	size_t from = out->len;
	int err = buffer_append(out, payload);
	for (size_t i = from; !err && of_lines && i < out->len; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
	return err;
}

static size_t escape(uint8_t c, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	static const char short_names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = c;
		return 2;
	}
	if (c >= ' ') {
		out[0] = c;
		return 1;
	}
	out[0] = '\\';
	if (c < sizeof short_names && short_names[c]) {
		out[1] = (uint8_t)short_names[c];
		return 2;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = (uint8_t)digits[c >> 4];
	out[5] = (uint8_t)digits[c & 15];
	return 6;
}

static int append_string(struct slice text, struct buffer *out)
{
	uint8_t piece[6];
	size_t need = 2;
	for (size_t i = 0; i < text.len; i++)
		need += escape(text.data[i], piece);
	int err = buffer_reserve(out, need);
	if (err)
		return err;
	out->data[out->len++] = '"';
	for (size_t i = 0; i < text.len; i++)
		out->len += escape(text.data[i], out->data + out->len);
	out->data[out->len++] = '"';
	return 0;
}

static int append_base64(struct slice bytes, struct buffer *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	int err = buffer_reserve(out, (bytes.len + 2) / 3 * 4);
	if (err)
		return err;
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t word = (uint32_t)bytes.data[i] << 16;
		word |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
		word |= n > 2 ? bytes.data[i + 2] : 0;
		out->data[out->len++] = (uint8_t)digits[word >> 18];
		out->data[out->len++] = (uint8_t)digits[word >> 12 & 63];
		out->data[out->len++] = n > 1 ? (uint8_t)digits[word >> 6 & 63] : '=';
		out->data[out->len++] = n > 2 ? (uint8_t)digits[word & 63] : '=';
	}
	return 0;
}

static int append_bytes(struct slice payload, struct buffer *out)
{
	int err = append_text(out, "{\"data_base64\":\"");
	if (!err)
		err = append_base64(payload, out);
	return err ? err : append_text(out, "\"}");
}

int http_body_append_value(struct slice payload, bool of_lines, struct buffer *out)
{
	if (!payload.data)
		return append_text(out, "null");
	if (payload.len > 0 && !json_check(payload, NULL))
		return append_json(payload, of_lines, out);
	return utf8_valid(payload) ? append_string(payload, out) : append_bytes(payload, out);
}

int http_body_next(bool of_lines, size_t index, struct buffer *out)
{
	if (of_lines)
		return index > 0 ? append_text(out, "\n") : 0;
	return append_text(out, index > 0 ? "," : "[");
}

int http_body_end(bool of_lines, struct buffer *out)
{
	return append_text(out, of_lines ? "\n" : "]");
}
