/* SPDX-License-Identifier: Apache-2.0
 *
 * What libjq makes of a number is asked of libjq, whose later versions keep the digits of what a program does not touch.
 */
#define _GNU_SOURCE /* memmem */
#include "routing/rounding.h"

#include <jv.h>
#include <string.h>

#define LONG_DIGITS  16
#define MAX_DIGITS   400
#define MAX_INTEGERS 64

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Part of a number, or what would make it another one. */
static bool continues(uint8_t c)
{
	return is_digit(c) || c == '.' || c == 'e' || c == 'E';
}

/* The next integer of that many digits outside of strings, without its sign; absent when there is none. */
static struct slice next_integer(struct slice *rest)
{
	bool string = false;
	const uint8_t *at = rest->data, *end = at + rest->len;
	struct slice found = {NULL, 0};
	while (at < end && !found.data) {
		if (string && *at == '\\') {
			at += 2;
		} else if (*at == '"' || string || !is_digit(*at)) {
			string ^= *at++ == '"';
		} else {
			const uint8_t *begin = at;
			bool integer = true;
			for (; at < end && (continues(*at) || *at == '+' || *at == '-'); at++)
				integer = integer && is_digit(*at);
			if (integer && at - begin >= LONG_DIGITS && at - begin <= MAX_DIGITS)
				found = slice_of(begin, (size_t)(at - begin));
		}
	}
	*rest = at < end ? slice_of(at, (size_t)(end - at)) : slice_of(end, 0);
	return found;
}

static bool holds(struct slice text, struct slice number)
{
	const uint8_t *at = text.data, *end = at + text.len;
	while ((at = memmem(at, (size_t)(end - at), number.data, number.len))) {
		const uint8_t *behind = at + number.len;
		if ((at == text.data || !continues(at[-1])) && (behind == end || !continues(*behind)))
			return true;
		at++;
	}
	return false;
}

static bool is_changed(struct slice integer, const struct slice *outputs, size_t n_outputs)
{
	jv text = jv_dump_string(jv_parse_sized((const char *)integer.data, (int)integer.len), 0);
	struct slice number = slice_of(jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)));
	bool seen = false;
	for (size_t i = 0; i < n_outputs && !seen && !slice_equal(number, integer); i++)
		seen = holds(outputs[i], number);
	jv_free(text);
	return seen;
}

bool rounding_seen(struct slice payload, const struct slice *outputs, size_t n_outputs)
{
	struct slice rest = payload, integer;
	for (size_t n = 0; n < MAX_INTEGERS && (integer = next_integer(&rest)).data; n++)
		if (is_changed(integer, outputs, n_outputs))
			return true;
	return false;
}
