/* SPDX-License-Identifier: Apache-2.0
 *
 * A borrowed run of bytes: pointer and length, never a C string. A slice owns nothing; whoever hands one
 * out says how long it lives. `data == NULL` means "absent", which differs from "present and empty".
 */
#ifndef LINKSPAN_MESSAGE_SLICE_H
#define LINKSPAN_MESSAGE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t len;
};

static inline struct slice slice_of(const void *data, size_t len)
{
	return (struct slice){(const uint8_t *)data, len};
}

/* The bytes of a C string without its NUL; an absent slice for NULL. */
static inline struct slice slice_str(const char *text)
{
	return (struct slice){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
