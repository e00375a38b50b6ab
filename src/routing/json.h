/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads JSON text in place (RFC 8259): is it well formed, and where is the value at this path. Numbers keep
 * their digits, which libjq's doubles would not; nothing is allocated. Stricter than libjq 1.6, so that what
 * it would bend (NaN, invalid UTF-8, leading zeros, a second value) never reaches it.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_ROUTING_JSON_H
#define LINKSPAN_ROUTING_JSON_H

#include "message/slice.h"

/* Nesting that is accepted: libjq 1.6 parses 256 levels. */
#define JSON_MAX_DEPTH 256

/* NULL if the text is one JSON value (white space around it allowed), else one static sentence, and
 * *ret_offset (may be NULL) is the byte where. */
const char *json_check(struct slice text, size_t *ret_offset);

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
/* Of a value as json_find gives it. */
enum json_kind json_kind(struct slice raw);

/* One step of a path: the key of an object, or, with an absent key, the index in an array. */
struct json_step {
	struct slice key;
	size_t index;
};
/* The value at the path, as written, in well-formed text; absent if there is none. Of equal keys the last one
 * counts, as in jq. */
struct slice json_find(struct slice text, const struct json_step *steps, size_t n_steps);

/* One after the other, the members of an object or the elements of an array (as json_find gives it). */
struct json_walk {
	const uint8_t *at, *end;
};
struct json_walk json_walk(struct slice container);
/* False: there is no more. The key as written, quotes included; absent for an element. */
bool json_walk_next(struct json_walk *walk, struct slice *ret_key, struct slice *ret_value);

/* Writes the characters that a string (as json_find gives it, quotes included) stands for, at most raw.len
 * bytes, and returns their number. SIZE_MAX if it holds half a surrogate pair, which no text can. */
size_t json_unescape(struct slice raw, uint8_t *out);
/* Has it no escapes? Then the characters are the bytes between the quotes. */
bool json_is_plain(struct slice raw);

/* A message's payload as JSON, looked at once, when first asked for. */
struct json_payload {
	struct slice text;
	size_t limit_bytes; /* longer is refused */
	bool checked;
	bool long_integer; /* once checked: it holds an integer of 16 digits or more, which a double may not keep */
	const char *wrong;
};
/* NULL if it is JSON within the limit, else one static sentence. */
const char *json_payload_check(struct json_payload *json);

#endif
