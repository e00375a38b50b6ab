/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk over both at once. The path grows and shrinks with it.
 */
#include "simulation/json_difference.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "message/buffer.h"
#include "routing/json.h"

#define MAX_PATH (1024u * 1024)

struct comparing {
	void (*fn)(const char *path, struct slice want, struct slice got, void *arg);
	void *arg;
	struct buffer path;
	long n;
	bool no_memory;
};

static void put(struct comparing *comparing, const void *bytes, size_t len)
{
	if (buffer_append(&comparing->path, slice_of(bytes, len)) < 0)
		comparing->no_memory = true;
}

static void differ(struct comparing *comparing, struct slice want, struct slice got)
{
	size_t len = comparing->path.len;
	comparing->n++;
	put(comparing, "", 1);
	if (comparing->no_memory)
		return;
	comparing->fn(len ? (const char *)comparing->path.data : ".", want, got, comparing->arg);
	comparing->path.len = len;
}

/* --- numbers --------------------------------------------------------------------------------------------------------- */

/* 0.digits * 10^exponent, without zeros at either end; no digits: 0. */
struct number {
	bool negative;
	char digits[400];
	size_t n;
	long exponent;
	bool too_long;
};

static struct number read_number(struct slice raw)
{
	struct number number = {.n = 0};
	const char *at = (const char *)raw.data, *end = at + raw.len;
	bool point = false;
	number.negative = at < end && *at == '-';
	for (at += number.negative; at < end && (isdigit((unsigned char)*at) || *at == '.'); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		bool leading = number.n == 0 && *at == '0';
		if (!leading && number.n < sizeof number.digits)
			number.digits[number.n++] = *at;
		else if (!leading)
			number.too_long = true;
		number.exponent += (!point && !leading) - (point && leading);
	}
	if (at < end) /* e or E */
		number.exponent += strtol(at + 1, NULL, 10);
	while (number.n && number.digits[number.n - 1] == '0')
		number.n--;
	if (number.n == 0)
		number = (struct number){.too_long = number.too_long};
	return number;
}

static bool same_number(struct slice want, struct slice got)
{
	if (slice_equal(want, got))
		return true;
	struct number a = read_number(want), b = read_number(got);
	return !a.too_long && !b.too_long && a.negative == b.negative && a.exponent == b.exponent && a.n == b.n &&
	       memcmp(a.digits, b.digits, a.n) == 0;
}

/* --- strings --------------------------------------------------------------------------------------------------------- */

static bool same_string(struct slice want, struct slice got)
{
	if (slice_equal(want, got))
		return true;
	uint8_t *a = malloc(want.len + 1), *b = malloc(got.len + 1);
	size_t n = a ? json_unescape(want, a) : SIZE_MAX, m = b ? json_unescape(got, b) : SIZE_MAX;
	bool same = n != SIZE_MAX && n == m && memcmp(a, b, n) == 0;
	free(a);
	free(b);
	return same;
}

/* --- objects and arrays ---------------------------------------------------------------------------------------------- */

static void compare(struct comparing *comparing, struct slice want, struct slice got);

static bool is_identifier(struct slice name)
{
	if (name.len == 0 || isdigit(name.data[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum(name.data[i]) && name.data[i] != '_')
			return false;
	return true;
}

static void push_key(struct comparing *comparing, struct slice raw)
{
	struct slice inner = slice_of(raw.data + 1, raw.len - 2);
	if (is_identifier(inner)) {
		put(comparing, ".", 1);
		put(comparing, inner.data, inner.len);
		return;
	}
	put(comparing, comparing->path.len ? "[" : ".[", comparing->path.len ? 1 : 2);
	put(comparing, raw.data, raw.len);
	put(comparing, "]", 1);
}

static void push_index(struct comparing *comparing, size_t index)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%s[%zu]", comparing->path.len ? "" : ".", index);
	put(comparing, text, (size_t)len);
}

/* Of equal keys the last one counts. */
static struct slice member(struct slice object, struct slice wanted)
{
	struct json_walk walk = json_walk(object);
	struct slice key, value, found = {NULL, 0};
	while (json_walk_next(&walk, &key, &value))
		if (same_string(wanted, key))
			found = value;
	return found;
}

static void compare_objects(struct comparing *comparing, struct slice want, struct slice got)
{
	size_t len = comparing->path.len;
	struct json_walk walk = json_walk(want);
	struct slice key, value;
	while (json_walk_next(&walk, &key, &value) && !comparing->no_memory) {
		struct slice last = member(want, key);
		if (last.data != value.data)
			continue;
		struct slice other = member(got, key);
		push_key(comparing, key);
		if (other.data)
			compare(comparing, value, other);
		else
			differ(comparing, value, other);
		comparing->path.len = len;
	}
	walk = json_walk(got);
	while (json_walk_next(&walk, &key, &value) && !comparing->no_memory) {
		struct slice last = member(got, key), other = member(want, key);
		if (other.data || last.data != value.data)
			continue;
		push_key(comparing, key);
		differ(comparing, other, value);
		comparing->path.len = len;
	}
}

static void compare_arrays(struct comparing *comparing, struct slice want, struct slice got)
{
	size_t len = comparing->path.len;
	struct json_walk a = json_walk(want), b = json_walk(got);
	struct slice key, mine, other;
	for (size_t i = 0; !comparing->no_memory; i++) {
		bool more = json_walk_next(&a, &key, &mine), others = json_walk_next(&b, &key, &other);
		if (!more && !others)
			return;
		push_index(comparing, i);
		if (more && others)
			compare(comparing, mine, other);
		else
			differ(comparing, more ? mine : (struct slice){NULL, 0},
				others ? other : (struct slice){NULL, 0});
		comparing->path.len = len;
	}
}

static void compare(struct comparing *comparing, struct slice want, struct slice got)
{
	enum json_kind kind = json_kind(want);
	bool same = kind == json_kind(got);
	if (same && kind == JSON_OBJECT) {
		compare_objects(comparing, want, got);
		return;
	}
	if (same && kind == JSON_ARRAY) {
		compare_arrays(comparing, want, got);
		return;
	}
	if (same && kind == JSON_NUMBER)
		same = same_number(want, got);
	else if (same && kind == JSON_STRING)
		same = same_string(want, got);
	if (!same)
		differ(comparing, want, got);
}

long json_difference(struct slice want, struct slice got,
	void (*fn)(const char *path, struct slice want, struct slice got, void *arg), void *arg)
{
	struct comparing comparing = {.fn = fn, .arg = arg};
	buffer_init(&comparing.path, MAX_PATH);
	compare(&comparing, json_find(want, NULL, 0), json_find(got, NULL, 0));
	buffer_free(&comparing.path);
	return comparing.no_memory ? -1 : comparing.n;
}
