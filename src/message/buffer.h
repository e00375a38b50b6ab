/* SPDX-License-Identifier: Apache-2.0
 *
 * A growable run of bytes with a maximum that is fixed when it is made: what a peer or a user can make grow
 * must have an end. Appending either happens whole or not at all. Memory is kept by buffer_clear and
 * buffer_consume, so that a buffer in steady use allocates nothing.
 *
 * Any thread, one at a time.
 */
#ifndef LINKSPAN_MESSAGE_BUFFER_H
#define LINKSPAN_MESSAGE_BUFFER_H

#include "message/slice.h"

/* Fields are read by everybody and written here only, but for `len`, which a writer into buffer_reserve()d
 * room raises. */
struct buffer {
	uint8_t *data;
	size_t len;
	size_t capacity;
	size_t limit; /* bytes; len never passes it */
};

/* Allocates nothing. */
void buffer_init(struct buffer *buf, size_t limit);
/* Gives the memory back; the buffer is then as after buffer_init. */
void buffer_free(struct buffer *buf);

/* Makes room for that many bytes behind data[len]. 0; -ENOBUFS: would pass the limit; -ENOMEM. May move data.
 */
int buffer_reserve(struct buffer *buf, size_t extra) __attribute__((warn_unused_result));
/* Copies bytes to the end. Errors as above; the bytes must not lie inside this buffer. */
int buffer_append(struct buffer *buf, struct slice bytes) __attribute__((warn_unused_result));

/* Forgets everything; keeps the memory. */
static inline void buffer_clear(struct buffer *buf)
{
	buf->len = 0;
}

/* Removes the first `count` (at most len) bytes and moves the rest to the front. */
void buffer_consume(struct buffer *buf, size_t count);

static inline struct slice buffer_slice(const struct buffer *buf)
{
	return slice_of(buf->data, buf->len);
}

#endif
