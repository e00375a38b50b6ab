/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounded growable buffer: grows by doubling, never past its limit, and never shrinks until it is freed.
 */
#include "message/buffer.h"

#include <errno.h>
#include <stdlib.h>

#define SMALLEST_CAPACITY 256u

void buffer_init(struct buffer *buf, size_t limit)
{
	*buf = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *buf)
{
	free(buf->data);
	buffer_init(buf, buf->limit);
}

/* The next capacity that holds `needed`, which is within the limit. */
static size_t grown_capacity(const struct buffer *buf, size_t needed)
{
	size_t capacity = buf->capacity > buf->limit / 2 ? buf->limit : buf->capacity * 2;
	if (capacity < SMALLEST_CAPACITY)
		capacity = SMALLEST_CAPACITY;
	if (capacity < needed)
		capacity = needed;
	return capacity < buf->limit ? capacity : buf->limit;
}

int buffer_reserve(struct buffer *buf, size_t extra)
{
	if (extra > buf->limit - buf->len)
		return -ENOBUFS;
	size_t needed = buf->len + extra;
	if (needed <= buf->capacity)
		return 0;
	size_t capacity = grown_capacity(buf, needed);
	uint8_t *data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *buf, struct slice bytes)
{
	int err = buffer_reserve(buf, bytes.len);
	if (err)
		return err;
	if (bytes.len)
		memcpy(buf->data + buf->len, bytes.data, bytes.len);
	buf->len += bytes.len;
	return 0;
}

void buffer_consume(struct buffer *buf, size_t count)
{
	if (count > buf->len)
		count = buf->len;
	buf->len -= count;
	if (count && buf->len)
		memmove(buf->data, buf->data + count, buf->len);
}
