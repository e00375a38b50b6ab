/* SPDX-License-Identifier: Apache-2.0
 *
 * libcbor calls back once an item; a stack of open containers says where a comma, a colon or a bracket belongs. Nothing is allocated
 * for a length that a peer has only announced.
 */
#include <cbor.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "message/base64.h"
#include "message/utf8.h"
#include "routing/arena.h"
#include "routing/cbor.h"
#include "routing/json.h"

#define INDEFINITE UINT64_MAX
#define NO_TAG     UINT64_MAX
#define TOO_LARGE  "the payload is larger than max_transform_bytes as JSON"
enum { TAG_BIGNUM = 2, TAG_NEGATIVE_BIGNUM = 3, TAG_BASE64 = 22, TAG_BASE16 = 23 };

enum open_kind { OPEN_ARRAY, OPEN_MAP, OPEN_TEXT, OPEN_BYTES }; /* the last two: strings in chunks */

struct open {
	enum open_kind kind;
	uint64_t left; /* items, a key and its value being two; or INDEFINITE */
	uint64_t n_items; /* so far */
	uint64_t tag; /* of a string */
};

struct reading {
	struct arena *arena;
	char *text;
	size_t len, capacity, max_bytes;
	struct open open[JSON_MAX_DEPTH + 1]; /* and the chunks of one string */
	size_t n_open;
	struct {
		uint8_t *bytes; /* in the arena */
		size_t len, capacity;
	} chunks; /* of the open string, so far */
	uint64_t tag; /* before the item that comes next */
	bool complete;
	int err;
	const char *reason;
};

static void refuse(struct reading *in, const char *reason)
{
	if (in->err)
		return;
	in->err = -EINVAL;
	in->reason = reason;
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static char *room_for(struct reading *in, size_t n)
{
	if (in->err)
		return NULL;
	if (n > in->max_bytes - in->len) {
		refuse(in, TOO_LARGE);
		return NULL;
	}
	if (n > in->capacity - in->len) {
		size_t capacity = 2 * in->capacity > in->len + n ? 2 * in->capacity : in->len + n + 256;
		char *grown = arena_alloc(in->arena, capacity);
		if (!grown) {
			in->err = -ENOMEM;
			return NULL;
		}
		if (in->len)
			memcpy(grown, in->text, in->len);
		in->text = grown;
		in->capacity = capacity;
	}
	return in->text + in->len;
}

static void put(struct reading *in, const char *text, size_t n)
{
	char *room = room_for(in, n);
	if (!room)
		return;
	memcpy(room, text, n);
	in->len += n;
}

static void put_text(struct reading *in, const char *text)
{
	put(in, text, strlen(text));
}

static void put_string(struct reading *in, struct slice text)
{
	size_t plain = 0;
	put(in, "\"", 1);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		char escape[8];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		put(in, (const char *)text.data + plain, i - plain);
		if (c < 0x20)
			snprintf(escape, sizeof escape, "\\u%04x", c);
		else
			snprintf(escape, sizeof escape, "\\%c", c);
		put_text(in, escape);
		plain = i + 1;
	}
	if (text.len > plain)
		put(in, (const char *)text.data + plain, text.len - plain);
	put(in, "\"", 1);
}

static void put_base16(struct reading *in, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len && !in->err; i++) {
		char two[4];
		snprintf(two, sizeof two, "%02X", bytes.data[i]);
		put(in, two, 2);
	}
}

static void put_bytes(struct reading *in, struct slice bytes, uint64_t tag)
{
	put_text(in, tag == TAG_NEGATIVE_BIGNUM ? "\"~" : "\"");
	if (tag == TAG_BASE16) {
		put_base16(in, bytes);
	} else {
		char *room = room_for(in, base64_encoded_len(bytes.len));
		if (room)
			in->len += tag == TAG_BASE64 ? base64_encode(bytes, room) : base64url_encode(bytes, room);
	}
	put(in, "\"", 1);
}

/* The shortest digits that give the same number again. */
static void put_double(struct reading *in, double value)
{
	char text[40];
	if (!isfinite(value)) {
		put_text(in, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	put_text(in, text);
}

/* --- structure -------------------------------------------------------------------------------------------------------- */

static struct open *innermost(struct reading *in)
{
	return in->n_open ? &in->open[in->n_open - 1] : NULL;
}

static bool is_key(const struct open *open)
{
	return open && open->kind == OPEN_MAP && open->n_items % 2 == 0;
}

/* Before an item. can_be_key: text or an integer. Returns the tag that stands before it. */
static uint64_t begin_item(struct reading *in, bool can_be_key)
{
	struct open *open = innermost(in);
	uint64_t tag = in->tag;
	in->tag = NO_TAG;
	if (open && (open->kind == OPEN_TEXT || open->kind == OPEN_BYTES))
		refuse(in, "the payload is not CBOR: a string in chunks holds something else");
	else if (is_key(open) && !can_be_key)
		refuse(in, "the payload holds a map with a key that is neither text nor an integer, which JSON cannot "
			   "hold");
	else if (open && open->n_items > 0)
		put_text(in, open->kind == OPEN_MAP && !is_key(open) ? ":" : ",");
	return tag;
}

static void close_innermost(struct reading *in);

static void end_item(struct reading *in)
{
	struct open *open = innermost(in);
	if (!open) {
		in->complete = true;
		return;
	}
	open->n_items++;
	if (open->left != INDEFINITE && --open->left == 0)
		close_innermost(in);
}

/* At most JSON_MAX_DEPTH calls deep. */
static void close_innermost(struct reading *in)
{
	struct open *open = innermost(in);
	put_text(in, open->kind == OPEN_MAP ? "}" : "]");
	in->n_open--;
	end_item(in);
}

static struct open *open_one(struct reading *in, enum open_kind kind, uint64_t left)
{
	size_t deepest = kind == OPEN_TEXT || kind == OPEN_BYTES ? JSON_MAX_DEPTH + 1 : JSON_MAX_DEPTH;
	if (in->n_open >= deepest) {
		refuse(in, "the payload is nested deeper than 256 levels");
		return NULL;
	}
	in->open[in->n_open] = (struct open){.kind = kind, .left = left};
	return &in->open[in->n_open++];
}

static void open_container(struct reading *in, enum open_kind kind, uint64_t n_items)
{
	begin_item(in, false);
	if (in->err || !open_one(in, kind, n_items))
		return;
	put_text(in, kind == OPEN_MAP ? "{" : "[");
	if (n_items == 0)
		close_innermost(in);
}

static void put_item(struct reading *in, const char *text, bool can_be_key)
{
	begin_item(in, can_be_key);
	put_text(in, text);
	end_item(in);
}

static void put_integer(struct reading *in, const char *digits)
{
	char quoted[32];
	snprintf(quoted, sizeof quoted, "\"%s\"", digits);
	put_item(in, is_key(innermost(in)) ? quoted : digits, true);
}

/* --- strings ---------------------------------------------------------------------------------------------------------- */

static void whole_string(struct reading *in, bool is_text, struct slice bytes)
{
	uint64_t tag = begin_item(in, is_text);
	if (is_text && !utf8_valid(bytes))
		refuse(in, "the payload is not CBOR: a text string is not valid UTF-8");
	if (is_text)
		put_string(in, bytes);
	else
		put_bytes(in, bytes, tag);
	end_item(in);
}

static void add_chunk(struct reading *in, struct slice bytes)
{
	size_t len = in->chunks.len + bytes.len;
	if (in->tag != NO_TAG) {
		refuse(in, "the payload is not CBOR: a string in chunks holds something else");
		return;
	}
	if (len > in->max_bytes) {
		refuse(in, TOO_LARGE);
		return;
	}
	if (len > in->chunks.capacity) {
		uint8_t *grown = arena_alloc(in->arena, 2 * len);
		if (!grown) {
			in->err = -ENOMEM;
			return;
		}
		if (in->chunks.len)
			memcpy(grown, in->chunks.bytes, in->chunks.len);
		in->chunks.bytes = grown;
		in->chunks.capacity = 2 * len;
	}
	if (bytes.len)
		memcpy(in->chunks.bytes + in->chunks.len, bytes.data, bytes.len);
	in->chunks.len = len;
}

static void on_string(struct reading *in, bool is_text, const uint8_t *data, size_t len)
{
	struct open *open = innermost(in);
	if (open && open->kind == (is_text ? OPEN_TEXT : OPEN_BYTES))
		add_chunk(in, slice_of(data, len));
	else
		whole_string(in, is_text, slice_of(data, len));
}

static void open_string(struct reading *in, enum open_kind kind)
{
	struct open *open = innermost(in);
	if (open && (open->kind == OPEN_TEXT || open->kind == OPEN_BYTES)) {
		refuse(in, "the payload is not CBOR: a string in chunks holds something else");
		return;
	}
	in->chunks.len = 0;
	open = open_one(in, kind, INDEFINITE);
	if (open)
		open->tag = in->tag;
	in->tag = NO_TAG;
}

/* --- what libcbor calls ----------------------------------------------------------------------------------------------- */

static void on_unsigned(struct reading *in, uint64_t value)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	put_integer(in, digits);
}

static void on_negative(struct reading *in, uint64_t value)
{
	char digits[24];
	if (value == UINT64_MAX)
		snprintf(digits, sizeof digits, "-18446744073709551616");
	else
		snprintf(digits, sizeof digits, "-%llu", (unsigned long long)value + 1);
	put_integer(in, digits);
}

static void on_uint8(void *arg, uint8_t value)
{
	on_unsigned(arg, value);
}

static void on_uint16(void *arg, uint16_t value)
{
	on_unsigned(arg, value);
}

static void on_uint32(void *arg, uint32_t value)
{
	on_unsigned(arg, value);
}

static void on_uint64(void *arg, uint64_t value)
{
	on_unsigned(arg, value);
}

static void on_negint8(void *arg, uint8_t value)
{
	on_negative(arg, value);
}

static void on_negint16(void *arg, uint16_t value)
{
	on_negative(arg, value);
}

static void on_negint32(void *arg, uint32_t value)
{
	on_negative(arg, value);
}

static void on_negint64(void *arg, uint64_t value)
{
	on_negative(arg, value);
}

static void on_bytes(void *arg, cbor_data data, size_t len)
{
	on_string(arg, false, data, len);
}

static void on_text(void *arg, cbor_data data, size_t len)
{
	on_string(arg, true, data, len);
}

static void on_bytes_start(void *arg)
{
	open_string(arg, OPEN_BYTES);
}

static void on_text_start(void *arg)
{
	open_string(arg, OPEN_TEXT);
}

static void on_array(void *arg, size_t n)
{
	open_container(arg, OPEN_ARRAY, n);
}

static void on_array_start(void *arg)
{
	open_container(arg, OPEN_ARRAY, INDEFINITE);
}

static void on_map(void *arg, size_t n)
{
	if (n > SIZE_MAX / 4)
		refuse(arg, "the payload is not CBOR: it ends within an item");
	else
		open_container(arg, OPEN_MAP, 2 * (uint64_t)n);
}

static void on_map_start(void *arg)
{
	open_container(arg, OPEN_MAP, INDEFINITE);
}

static void on_tag(void *arg, uint64_t tag)
{
	struct reading *in = arg;
	in->tag = tag;
}

static void on_double(void *arg, double value)
{
	struct reading *in = arg;
	begin_item(in, false);
	put_double(in, value);
	end_item(in);
}

static void on_float(void *arg, float value)
{
	on_double(arg, value);
}

static void on_null(void *arg)
{
	put_item(arg, "null", false);
}

static void on_bool(void *arg, bool value)
{
	put_item(arg, value ? "true" : "false", false);
}

static void on_break(void *arg)
{
	struct reading *in = arg;
	struct open *open = innermost(in);
	if (!open || open->left != INDEFINITE || in->tag != NO_TAG || (open->kind == OPEN_MAP && open->n_items % 2)) {
		refuse(in, "the payload is not CBOR: a break where none can be");
	} else if (open->kind == OPEN_TEXT || open->kind == OPEN_BYTES) {
		bool is_text = open->kind == OPEN_TEXT;
		in->tag = open->tag;
		in->n_open--;
		whole_string(in, is_text, slice_of(in->chunks.bytes, in->chunks.len));
	} else {
		close_innermost(in);
	}
}

static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string_start = on_bytes_start,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = on_text_start,
	.indef_array_start = on_array_start,
	.array_start = on_array,
	.indef_map_start = on_map_start,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = on_float,
	.float4 = on_float,
	.float8 = on_double,
	.undefined = on_null,
	.null = on_null,
	.boolean = on_bool,
	.indef_break = on_break,
};

int cbor_to_json(
	struct slice cbor, size_t max_bytes, struct arena *arena, struct slice *ret_json, const char **ret_reason)
{
	struct reading in = {.arena = arena, .max_bytes = max_bytes, .tag = NO_TAG};
	size_t at = 0;
	while (!in.complete && !in.err) {
		struct cbor_decoder_result result = cbor_stream_decode(cbor.data + at, cbor.len - at, &callbacks, &in);
		at += result.read;
		if (result.status == CBOR_DECODER_NEDATA)
			refuse(&in, "the payload is not CBOR: it ends within an item");
		else if (result.status == CBOR_DECODER_ERROR)
			refuse(&in, "the payload is not CBOR: it holds an item that has no meaning");
	}
	if (!in.err && at != cbor.len)
		refuse(&in, "the payload is not CBOR: something follows its one item");
	if (in.err) {
		*ret_reason = in.reason;
		return in.err;
	}
	*ret_json = slice_of(in.text, in.len);
	return 0;
}
