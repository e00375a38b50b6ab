/* SPDX-License-Identifier: Apache-2.0
 *
 * A recursive-descent reader of untrusted JSON (its depth is bounded), and a path finder for text that has
 * passed it.
 */
#include "routing/json.h"

#include "message/utf8.h"

struct reader {
	const uint8_t *at, *end;
	unsigned depth;
	bool long_integer;
	const char *wrong;
};

#define LONG_DIGITS 16 /* 2^53 is 9007199254740992 */

static bool reader_fail(struct reader *in, const char *wrong)
{
	if (!in->wrong)
		in->wrong = wrong;
	return false;
}

static void skip_space(struct reader *in)
{
	while (in->at < in->end && (*in->at == ' ' || *in->at == '\n' || *in->at == '\t' || *in->at == '\r'))
		in->at++;
}

static bool take(struct reader *in, char c)
{
	if (in->at >= in->end || *in->at != (uint8_t)c)
		return false;
	in->at++;
	return true;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits; -1 if they are not. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
	int32_t code = 0;
	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(at[i]);
		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

static bool read_escape(struct reader *in)
{
	if (in->at < in->end && *in->at == 'u') {
		if (hex4(in->at + 1, in->end) < 0)
			return reader_fail(in, "\\u needs four hexadecimal digits");
		in->at += 5;
		return true;
	}
	if (in->at >= in->end || *in->at == '\0' || !strchr("\"\\/bfnrt", *in->at))
		return reader_fail(in, "a string holds an unknown escape");
	in->at++;
	return true;
}

static bool read_string(struct reader *in)
{
	if (!take(in, '"'))
		return reader_fail(in, "a string was expected");
	while (in->at < in->end) {
		uint8_t c = *in->at;
		if (c == '"') {
			in->at++;
			return true;
		}
		if (c < 0x20)
			return reader_fail(in, "a string holds a control character");
		if (c == '\\') {
			in->at++;
			if (!read_escape(in))
				return false;
			continue;
		}
		size_t len = utf8_char_len(slice_of(in->at, (size_t)(in->end - in->at)));
		if (len == 0)
			return reader_fail(in, "a string is not valid UTF-8");
		in->at += len;
	}
	return reader_fail(in, "a string has no end");
}

static bool read_digits(struct reader *in)
{
	const uint8_t *start = in->at;
	while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
		in->at++;
	return in->at > start || reader_fail(in, "a number lacks a digit");
}

static bool read_number(struct reader *in)
{
	take(in, '-');
	const uint8_t *digits = in->at;
	if (!take(in, '0') && !read_digits(in))
		return false;
	bool is_long = in->at - digits >= LONG_DIGITS;
	if (take(in, '.')) {
		is_long = false;
		if (!read_digits(in))
			return false;
	}
	in->long_integer |= is_long;
	if (take(in, 'e') || take(in, 'E')) {
		if (!take(in, '+'))
			take(in, '-');
		return read_digits(in);
	}
	return true;
}

static bool read_word(struct reader *in, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
		return reader_fail(in, "no JSON value begins here");
	in->at += len;
	return true;
}

static bool read_value(struct reader *in);

static bool read_member(struct reader *in)
{
	skip_space(in);
	if (!read_string(in))
		return false;
	skip_space(in);
	if (!take(in, ':'))
		return reader_fail(in, "a key is not followed by :");
	return read_value(in);
}

/* The inside of [] or {}, after its first bracket. */
static bool read_container(struct reader *in, char close, bool (*read_element)(struct reader *in))
{
	if (++in->depth > JSON_MAX_DEPTH)
		return reader_fail(in, "it is nested deeper than 256 levels");
	skip_space(in);
	if (take(in, close)) {
		in->depth--;
		return true;
	}
	do {
		if (!read_element(in))
			return false;
		skip_space(in);
	} while (take(in, ','));
	in->depth--;
	return take(in, close) || reader_fail(in, close == ']' ? ", or ] was expected" : ", or } was expected");
}

static bool read_value(struct reader *in)
{
	skip_space(in);
	if (in->at >= in->end)
		return reader_fail(in, "it ends before its value does");
	switch (*in->at) {
	case '{':
		in->at++;
		return read_container(in, '}', read_member);
	case '[':
		in->at++;
		return read_container(in, ']', read_value);
	case '"':
		return read_string(in);
	case 't':
		return read_word(in, "true");
	case 'f':
		return read_word(in, "false");
	case 'n':
		return read_word(in, "null");
	default:
		if (*in->at == '-' || (*in->at >= '0' && *in->at <= '9'))
			return read_number(in);
		return reader_fail(in, "no JSON value begins here");
	}
}

static bool read_text(struct reader *in)
{
	if (!read_value(in))
		return false;
	skip_space(in);
	return in->at == in->end || reader_fail(in, "something follows the JSON value");
}

static const char *check(struct slice text, size_t *ret_offset, bool *ret_long_integer)
{
	static const uint8_t nothing[1];
	const uint8_t *start = text.data ? text.data : nothing;
	struct reader in = {.at = start, .end = start + text.len};
	bool good = read_text(&in);
	*ret_long_integer = in.long_integer;
	if (good)
		return NULL;
	if (ret_offset)
		*ret_offset = (size_t)(in.at - start);
	return in.wrong;
}

const char *json_check(struct slice text, size_t *ret_offset)
{
	bool long_integer;
	return check(text, ret_offset, &long_integer);
}

enum json_kind json_kind(struct slice raw)
{
	switch (raw.data[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* --- finding, in well-formed text: what is read here exists --------------------------------------------- */

/* From quote to quote: one that an odd number of backslashes stands before is within. */
static void pass_string(struct reader *in)
{
	const uint8_t *first = ++in->at, *quote;
	size_t backslashes;
	do {
		quote = memchr(in->at, '"', (size_t)(in->end - in->at));
		for (backslashes = 0; quote - backslashes > first && quote[-1 - (ptrdiff_t)backslashes] == '\\';)
			backslashes++;
		in->at = quote + 1;
	} while (backslashes % 2);
}

static void pass_container(struct reader *in)
{
	unsigned depth = 0;
	do {
		uint8_t c = *in->at;
		if (c == '"') {
			pass_string(in);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		in->at++;
	} while (depth);
}

static struct slice pass_value(struct reader *in)
{
	skip_space(in);
	const uint8_t *start = in->at;
	if (*start == '"')
		pass_string(in);
	else if (*start == '{' || *start == '[')
		pass_container(in);
	else
		while (in->at < in->end && !strchr(" \t\r\n,]}", *in->at))
			in->at++;
	return slice_of(start, (size_t)(in->at - start));
}

bool json_is_plain(struct slice raw)
{
	return !memchr(raw.data, '\\', raw.len);
}

static uint32_t unescape_simple(uint8_t c)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *found = strchr(from, c);
	return found ? (uint32_t)to[found - from] : c;
}

/* One \u escape at *at, which stands after the u; UINT32_MAX for half a pair. */
static uint32_t unescape_unicode(const uint8_t **at, const uint8_t *end)
{
	uint32_t code = (uint32_t)hex4(*at, end);
	*at += 4;
	if (code < 0xD800 || code > 0xDFFF)
		return code;
	if (code > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return UINT32_MAX;
	uint32_t low = (uint32_t)hex4(*at + 2, end);
	if (low < 0xDC00 || low > 0xDFFF)
		return UINT32_MAX;
	*at += 6;
	return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

size_t json_unescape(struct slice raw, uint8_t *out)
{
	const uint8_t *at = raw.data + 1, *end = raw.data + raw.len - 1;
	uint8_t *start = out;
	while (at < end) {
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		uint8_t c = at[1];
		at += 2;
		uint32_t code = c == 'u' ? unescape_unicode(&at, end) : unescape_simple(c);
		if (code == UINT32_MAX)
			return SIZE_MAX;
		out += utf8_put(out, code);
	}
	return (size_t)(out - start);
}

/* Compares without a buffer of unbounded size: an escaped key that is longer than six times the wanted one,
 * the longest escape of a byte, cannot be equal. */
static bool key_equal(struct slice raw, struct slice key)
{
	if (json_is_plain(raw))
		return slice_equal(slice_of(raw.data + 1, raw.len - 2), key);
	uint8_t text[1024];
	if (raw.len > sizeof text || raw.len > 6 * key.len + 2)
		return false;
	size_t len = json_unescape(raw, text);
	return len != SIZE_MAX && slice_equal(slice_of(text, len), key);
}

struct json_walk json_walk(struct slice container)
{
	return (struct json_walk){container.data, container.data + container.len};
}

bool json_walk_next(struct json_walk *walk, struct slice *ret_key, struct slice *ret_value)
{
	struct reader in = {.at = walk->at + 1, .end = walk->end}; /* behind the bracket or the comma */
	if (walk->at == walk->end)
		return false;
	skip_space(&in);
	*ret_key = (struct slice){NULL, 0};
	bool any = in.at < in.end && *in.at != '}' && *in.at != ']';
	if (any) {
		*ret_value = pass_value(&in);
		skip_space(&in);
		if (in.at < in.end && *in.at == ':') {
			in.at++;
			*ret_key = *ret_value;
			*ret_value = pass_value(&in);
			skip_space(&in);
		}
	}
	walk->at = any && *in.at == ',' ? in.at : in.end;
	return any;
}

static struct slice find_member(struct slice object, struct slice key)
{
	struct reader in = {.at = object.data + 1, .end = object.data + object.len};
	struct slice found = {NULL, 0};
	skip_space(&in);
	while (*in.at != '}') {
		struct slice name = pass_value(&in);
		skip_space(&in);
		in.at++; /* : */
		struct slice value = pass_value(&in);
		if (key_equal(name, key))
			found = value;
		skip_space(&in);
		if (*in.at == ',')
			in.at++;
		skip_space(&in);
	}
	return found;
}

static struct slice find_element(struct slice array, size_t index)
{
	struct reader in = {.at = array.data + 1, .end = array.data + array.len};
	skip_space(&in);
	while (*in.at != ']') {
		struct slice value = pass_value(&in);
		if (index-- == 0)
			return value;
		skip_space(&in);
		if (*in.at == ',')
			in.at++;
		skip_space(&in);
	}
	return (struct slice){NULL, 0};
}

struct slice json_find(struct slice text, const struct json_step *steps, size_t n_steps)
{
	struct reader in = {.at = text.data, .end = text.data + text.len};
	struct slice value = pass_value(&in);
	for (size_t i = 0; i < n_steps && value.data; i++) {
		enum json_kind kind = json_kind(value);
		if (kind == JSON_OBJECT && steps[i].key.data)
			value = find_member(value, steps[i].key);
		else if (kind == JSON_ARRAY && !steps[i].key.data)
			value = find_element(value, steps[i].index);
		else
			value = (struct slice){NULL, 0};
	}
	return value;
}

const char *json_payload_check(struct json_payload *json)
{
	if (json->checked)
		return json->wrong;
	json->checked = true;
	if (json->text.len > json->limit_bytes)
		json->wrong = "the payload is larger than max_transform_bytes";
	else if (check(json->text, NULL, &json->long_integer))
		json->wrong = "the payload is not JSON";
	return json->wrong;
}
