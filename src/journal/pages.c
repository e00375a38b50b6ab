/* SPDX-License-Identifier: Apache-2.0
 *
 * Anonymous mappings that double in size.
 */
#define _GNU_SOURCE /* mremap */
#include "journal/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MIN_CAPACITY (16u * 1024)

/* ThreadSanitizer does not see it, and takes a reused address for shared memory. */
#if defined(__SANITIZE_THREAD__)
#define WITHOUT_MREMAP
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_MREMAP
#endif
#endif

static void *move(const struct pages *buf, size_t capacity)
{
#ifdef WITHOUT_MREMAP
	void *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data != MAP_FAILED) {
		memcpy(data, buf->data, buf->len);
		munmap(buf->data, buf->capacity);
	}
	return data;
#else
	return mremap(buf->data, buf->capacity, capacity, MREMAP_MAYMOVE);
#endif
}

int pages_reserve(struct pages *buf, size_t extra)
{
	if (extra <= buf->capacity - buf->len)
		return 0;
	size_t capacity = buf->capacity ? buf->capacity : MIN_CAPACITY;
	while (capacity - buf->len < extra) {
		if (capacity > SIZE_MAX / 4)
			return -ENOMEM;
		capacity *= 2;
	}
	void *data = buf->data ? move(buf, capacity)
			       : mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

void pages_reset(struct pages *buf, size_t keep)
{
	buf->len = 0;
	if (buf->capacity > keep)
		pages_free(buf);
}

void pages_free(struct pages *buf)
{
	if (buf->data)
		munmap(buf->data, buf->capacity);
	*buf = (struct pages){0};
}
