/* SPDX-License-Identifier: Apache-2.0
 *
 * Two passes over well-formed JSON: one counts what each container holds, the other writes; so every length is definite and the time
 * grows with the text alone, however deep it is nested.
 */
#include <cbor.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/cbor.h"
#include "routing/json.h"

#define MOST_HEAD   9 /* bytes of an item before its content */
#define MOST_DIGITS 309u /* of an integer; a double has no more either */
#define MOST_BYTES  132u
#define LIMB        UINT64_C(1000000000)
#define LIMB_DIGITS 9u
#define MOST_LIMBS  ((MOST_DIGITS + LIMB_DIGITS - 1) / LIMB_DIGITS)

struct writing {
	const uint8_t *at, *end; /* of the text */
	uint8_t *out;
	size_t len, capacity; /* of out */
	const uint32_t *counts; /* of the containers, in the order in which they begin */
	const char *reason;
};

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* From its first quote to behind its last one. */
static const uint8_t *end_of_string(const uint8_t *at)
{
	for (at++; *at != '"'; at++)
		at += *at == '\\';
	return at + 1;
}

/* --- the first pass --------------------------------------------------------------------------------------------------- */

static size_t count_containers(struct slice json)
{
	size_t n = 0;
	for (size_t i = 0; i < json.len; i++)
		n += json.data[i] == '{' || json.data[i] == '['; /* those in strings, too: an upper bound */
	return n;
}

static void count_members(struct slice json, uint32_t *counts)
{
	size_t open[JSON_MAX_DEPTH], depth = 0, n = 0;
	const uint8_t *at = json.data, *end = json.data + json.len;
	while (at < end) {
		uint8_t c = *at;
		bool is_end = c == '}' || c == ']';
		if (depth && !is_space(c) && !is_end && counts[open[depth - 1]] == 0)
			counts[open[depth - 1]] = 1;
		if (c == ',')
			counts[open[depth - 1]]++;
		if (is_end)
			depth--;
		if (c == '{' || c == '[') {
			counts[n] = 0;
			open[depth++] = n++;
		}
		at = c == '"' ? end_of_string(at) : at + 1;
	}
}

/* --- the second ------------------------------------------------------------------------------------------------------- */

static void write_string(struct writing *to)
{
	const uint8_t *end = end_of_string(to->at);
	struct slice raw = slice_of(to->at, (size_t)(end - to->at)), text = slice_of(raw.data + 1, raw.len - 2);
	uint8_t *room = to->out + to->len;
	size_t head = cbor_encode_string_start(text.len, room, to->capacity - to->len);
	to->at = end;
	if (json_is_plain(raw)) {
		memcpy(room + head, text.data, text.len);
		to->len += head + text.len;
		return;
	}
	/* The head may be shorter, once the escapes are gone. */
	size_t len = json_unescape(raw, room + head);
	if (len == SIZE_MAX) {
		to->reason = "a string holds half a surrogate pair, which CBOR cannot hold";
		return;
	}
	size_t shorter = cbor_encode_string_start(len, room, to->capacity - to->len);
	memmove(room + shorter, room + head, len);
	to->len += shorter + len;
}

static bool is_exact(double value)
{
	return value >= -3.4e38 && value <= 3.4e38 && (double)(float)value == value;
}

struct large {
	uint32_t limbs[MOST_LIMBS]; /* of nine decimal digits, the first ones first */
	size_t n;
};

static struct large read_large(const char *digits, size_t n)
{
	struct large number = {.n = (n + LIMB_DIGITS - 1) / LIMB_DIGITS};
	for (size_t i = 0; i < n; i++) {
		uint32_t *limb = &number.limbs[number.n - 1 - (n - 1 - i) / LIMB_DIGITS];
		*limb = *limb * 10 + (uint32_t)(digits[i] - '0');
	}
	return number;
}

static void subtract_one(struct large *number)
{
	size_t at = number->n;
	while (number->limbs[--at] == 0)
		number->limbs[at] = LIMB - 1;
	number->limbs[at]--;
}

/* Divides by 2^32 and gives what is left. */
static uint32_t shift_out(struct large *number)
{
	uint64_t rest = 0;
	for (size_t i = 0; i < number->n; i++) {
		uint64_t value = rest * LIMB + number->limbs[i];
		number->limbs[i] = (uint32_t)(value >> 32);
		rest = value & UINT32_MAX;
	}
	return (uint32_t)rest;
}

/* Its bytes stand at the end of those; returns how many there are. */
static size_t binary_of(struct large *number, uint8_t *bytes)
{
	size_t at = MOST_BYTES;
	while (at > 0) {
		uint32_t word = shift_out(number);
		for (unsigned i = 0; i < 4; i++, word >>= 8)
			bytes[--at] = (uint8_t)word;
	}
	while (at < MOST_BYTES && bytes[at] == 0)
		at++;
	return MOST_BYTES - at;
}

/* An integer that 64 bits do not hold is a bignum (RFC 8949, 3.4.3). Of a negative one, what is written is one less. */
static void write_large_integer(struct writing *to, const char *text, size_t len)
{
	uint8_t bytes[MOST_BYTES];
	bool negative = *text == '-';
	struct large number = read_large(text + negative, len - negative);
	if (negative)
		subtract_one(&number);
	size_t n = binary_of(&number, bytes);
	if (n <= sizeof(uint64_t)) { /* that one was 2^64 */
		to->len += cbor_encode_negint(UINT64_MAX, to->out + to->len, to->capacity - to->len);
		return;
	}
	to->len += cbor_encode_tag(negative ? 3 : 2, to->out + to->len, to->capacity - to->len);
	to->len += cbor_encode_bytestring_start(n, to->out + to->len, to->capacity - to->len);
	memcpy(to->out + to->len, bytes + MOST_BYTES - n, n);
	to->len += n;
}

static void write_number(struct writing *to)
{
	char text[32], *end;
	size_t len = 0;
	bool is_integer = true;
	const char *from = (const char *)to->at;
	while (to->at < to->end && (*to->at == '-' || *to->at == '+' || *to->at == '.' || (*to->at | 0x20) == 'e' ||
					   (*to->at >= '0' && *to->at <= '9'))) {
		is_integer &= *to->at == '-' || (*to->at >= '0' && *to->at <= '9');
		to->at++;
		len++;
	}
	uint8_t *room = to->out + to->len;
	size_t free_bytes = to->capacity - to->len;
	if (is_integer && len < sizeof text) {
		memcpy(text, from, len);
		text[len] = '\0';
		errno = 0;
		unsigned long long value = strtoull(text + (*text == '-'), &end, 10);
		if (errno == 0 && *text != '-') {
			to->len += cbor_encode_uint(value, room, free_bytes);
			return;
		}
		if (errno == 0 && value > 0) {
			to->len += cbor_encode_negint(value - 1, room, free_bytes);
			return;
		}
	}
	if (is_integer && len > 2 && len - (*from == '-') <= MOST_DIGITS) {
		write_large_integer(to, from, len);
		return;
	}
	double value = strtod(
		from, &end); /* what follows the number ends it: a bracket, a comma, white space, or the copy's NUL */
	if (!isfinite(value)) {
		to->reason = "a number is larger than CBOR's doubles";
		return;
	}
	to->len += is_exact(value) ? cbor_encode_single((float)value, room, free_bytes)
				   : cbor_encode_double(value, room, free_bytes);
}

static void write_word(struct writing *to)
{
	uint8_t *room = to->out + to->len;
	size_t free_bytes = to->capacity - to->len;
	switch (*to->at) {
	case 'n':
		to->len += cbor_encode_null(room, free_bytes);
		to->at += strlen("null");
		break;
	case 't':
		to->len += cbor_encode_bool(true, room, free_bytes);
		to->at += strlen("true");
		break;
	default:
		to->len += cbor_encode_bool(false, room, free_bytes);
		to->at += strlen("false");
	}
}

static void write_item(struct writing *to)
{
	uint8_t *room = to->out + to->len;
	size_t free_bytes = to->capacity - to->len;
	switch (*to->at) {
	case '{':
		to->len += cbor_encode_map_start(*to->counts++, room, free_bytes);
		to->at++;
		break;
	case '[':
		to->len += cbor_encode_array_start(*to->counts++, room, free_bytes);
		to->at++;
		break;
	case '"':
		write_string(to);
		break;
	case 'n':
	case 't':
	case 'f':
		write_word(to);
		break;
	default:
		write_number(to);
	}
}

int cbor_from_json(struct slice json, struct arena *arena, struct slice *ret_cbor, const char **ret_reason)
{
	uint32_t *counts = arena_alloc(arena, count_containers(json) * sizeof *counts);
	char *text = arena_alloc(arena, json.len + 1);
	/* What grows most is a fraction: three characters and what separates them become nine bytes. */
	size_t capacity = 3 * json.len + 2 * MOST_HEAD;
	uint8_t *out = arena_alloc(arena, capacity);
	if (!counts || !text || !out)
		return -ENOMEM;
	memcpy(text, json.data, json.len);
	text[json.len] = '\0';
	count_members(json, counts);
	const uint8_t *at = (const uint8_t *)text;
	struct writing to = {.at = at, .end = at + json.len, .out = out, .capacity = capacity, .counts = counts};
	while (to.at < to.end && !to.reason) {
		if (is_space(*to.at) || strchr(",:}]", *to.at))
			to.at++;
		else
			write_item(&to);
	}
	if (to.reason) {
		*ret_reason = to.reason;
		return -EINVAL;
	}
	*ret_cbor = slice_of(out, to.len);
	return 0;
}
