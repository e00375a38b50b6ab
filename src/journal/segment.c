/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and headers of segments, and the window through which they are read.
 */
#include "journal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/crc32c.h"
#include "message/endian.h"

#define HEADER_LEN  128u /* within one sector, so that it is there or not there */
#define HEADER_COPY 2048u /* where the second copy stands */
#define READ_AHEAD  (128u * 1024)

static const uint8_t magic[7] = {'L', 'N', 'K', 'S', 'P', 'A', 'N'}; /* and the kind */

void segment_path(char path[SEGMENT_PATH_LEN], uint64_t file)
{
	snprintf(path, SEGMENT_PATH_LEN, "journal/%020" PRIu64 ".log", file);
}

int segment_parse_name(const char *name, uint64_t *ret_file)
{
	uint64_t file = 0;
	int i = 0;
	for (; name[i] >= '0' && name[i] <= '9' && i < 20; i++)
		file = file * 10 + (uint64_t)(name[i] - '0');
	if (i != 20 || strcmp(name + i, ".log") != 0)
		return -EINVAL;
	*ret_file = file;
	return 0;
}

/* --- header
 * -------------------------------------------------------------------------------------------------------- */

void segment_encode_header(const struct segment_header *header, uint8_t block[SEGMENT_BLOCK])
{
	memset(block, 0, SEGMENT_BLOCK);
	memcpy(block, magic, sizeof magic);
	block[sizeof magic] = (uint8_t)header->kind;
	put_u32(block + 8, SEGMENT_VERSION);
	put_u64(block + 16, header->number);
	put_u64(block + 24, header->base_lsn);
	put_u64(block + 32, header->salt);
	put_u64(block + 40, header->bytes);
	memcpy(block + 48, header->uuid, JOURNAL_UUID_LEN);
	put_u32(block + HEADER_LEN - 4, crc32c(0, block, HEADER_LEN - 4));
	memcpy(block + HEADER_COPY, block, HEADER_LEN);
}

static int decode_copy(const uint8_t *copy, enum segment_kind kind, struct segment_header *header)
{
	if (memcmp(copy, magic, sizeof magic) != 0 || copy[sizeof magic] != kind ||
		get_u32(copy + HEADER_LEN - 4) != crc32c(0, copy, HEADER_LEN - 4))
		return -EBADMSG;
	if (get_u32(copy + 8) != SEGMENT_VERSION)
		return -ENOTSUP;
	header->kind = kind;
	header->number = get_u64(copy + 16);
	header->base_lsn = get_u64(copy + 24);
	header->salt = get_u64(copy + 32);
	header->bytes = get_u64(copy + 40);
	memcpy(header->uuid, copy + 48, JOURNAL_UUID_LEN);
	return 0;
}

int segment_decode_header(const uint8_t block[SEGMENT_BLOCK], enum segment_kind kind, struct segment_header *ret_header)
{
	struct segment_header one, two;
	int r1 = decode_copy(block, kind, &one), r2 = decode_copy(block + HEADER_COPY, kind, &two);
	if (r1 == -ENOTSUP || r2 == -ENOTSUP)
		return -ENOTSUP;
	if (r1 < 0 && r2 < 0) {
		for (size_t i = 0; i < SEGMENT_BLOCK; i++)
			if (block[i])
				return -EBADMSG;
		return -ENODATA;
	}
	/* A torn write of a recycled segment's header leaves one copy of each: the newer one is meant. */
	*ret_header = r2 < 0 || (r1 == 0 && one.number >= two.number) ? one : two;
	return 0;
}

int segment_read_header(struct disk *disk, int handle, enum segment_kind kind, struct segment_header *ret_header)
{
	uint8_t block[SEGMENT_BLOCK];
	ssize_t n = disk->ops->pread(disk, handle, block, sizeof block, 0);
	if (n < 0)
		return (int)n;
	return n == (ssize_t)sizeof block ? segment_decode_header(block, kind, ret_header) : -EBADMSG;
}

/* --- window
 * -------------------------------------------------------------------------------------------------------- */

void scan_begin(struct scan *scan, struct disk *disk, int handle, uint64_t salt, uint64_t limit)
{
	scan->disk = disk;
	scan->handle = handle;
	scan->salt = salt;
	scan->limit = limit;
	scan->window.len = 0;
	scan->window_at = 0;
}

void scan_end(struct scan *scan)
{
	pages_free(&scan->window);
}

/* Makes [offset, offset + len) readable; *ret_bytes points at it. -EBADMSG when the file or the limit ends
 * before. */
static int fetch(struct scan *scan, uint64_t offset, size_t len, const uint8_t **ret_bytes)
{
	struct pages *window = &scan->window;
	if (offset > scan->limit || len > scan->limit - offset)
		return -EBADMSG;
	if (offset < scan->window_at || offset + len > scan->window_at + window->len) {
		size_t wanted = len < READ_AHEAD ? READ_AHEAD : len;
		if (wanted > scan->limit - offset)
			wanted = (size_t)(scan->limit - offset);
		/* A large frame's buffer does not stay. */
		pages_reset(window, wanted < READ_AHEAD * 2 ? READ_AHEAD * 2 : SIZE_MAX);
		int r = pages_reserve(window, wanted);
		if (r < 0)
			return r;
		ssize_t n = scan->disk->ops->pread(scan->disk, scan->handle, window->data, wanted, offset);
		if (n == -EIO && wanted > len) /* a bad sector ahead is not to hide what is before it */
			n = scan->disk->ops->pread(scan->disk, scan->handle, window->data, len, offset);
		if (n < 0)
			return n == -EIO ? -EBADMSG : (int)n;
		scan->window_at = offset;
		window->len = (size_t)n;
		if ((size_t)n < len)
			return -EBADMSG;
	}
	*ret_bytes = window->data + (offset - scan->window_at);
	return 0;
}

int scan_peek(struct scan *scan, uint64_t offset, uint64_t *ret_lsn, uint32_t *ret_length)
{
	const uint8_t *head;
	int r = fetch(scan, offset, FRAME_HEADER_LEN, &head);
	if (r < 0)
		return r;
	*ret_length = get_u32(head);
	*ret_lsn = get_u64(head + 8);
	return 0;
}

/* Like scan_frame; *ret_bytes is the whole frame. */
static int fetch_frame(struct scan *scan, uint64_t offset, struct frame *frame, const uint8_t **ret_bytes)
{
	const uint8_t *bytes;
	int r = fetch(scan, offset, FRAME_HEADER_LEN, &bytes);
	if (r < 0)
		return r;
	uint32_t len = frame_peek_length(bytes, (size_t)(scan->limit - offset));
	if (len == 0)
		return -EBADMSG;
	r = fetch(scan, offset, len, &bytes);
	if (r < 0)
		return r;
	if (!frame_check(bytes, len, scan->salt))
		return -EBADMSG;
	*ret_bytes = bytes;
	return frame_decode(bytes, len, frame);
}

int scan_frame(struct scan *scan, uint64_t offset, struct frame *ret_frame)
{
	const uint8_t *bytes;
	return fetch_frame(scan, offset, ret_frame, &bytes);
}

const uint8_t *scan_bytes(const struct scan *scan, uint64_t offset)
{
	return scan->window.data + (offset - scan->window_at);
}

uint64_t scan_past_damage(struct scan *scan, uint64_t offset, uint8_t type)
{
	struct frame frame;
	uint64_t lsn;
	uint32_t length;
	if (scan_peek(scan, offset, &lsn, &length) < 0 || length < FRAME_HEADER_LEN ||
		scan_frame(scan, offset + length, &frame) < 0 || frame.type != type)
		return scan->limit;
	return offset + length;
}

int scan_group(struct scan *scan, uint64_t offset, struct scan_group *ret_group)
{
	struct scan_group group = {.offset = offset};
	uint32_t crc = 0;
	for (uint64_t at = offset;;) {
		struct frame frame;
		const uint8_t *bytes;
		int r = fetch_frame(scan, at, &frame, &bytes);
		if (r < 0)
			return r;
		bool first = at == offset;
		if (frame.type == FRAME_COMMIT) {
			if (first || (uint32_t)frame.hash != crc || frame.count != group.frames ||
				frame.seq != group.first_lsn || frame.lsn != group.last_lsn)
				return -EBADMSG;
			group.end = segment_pad(at + frame.length);
			*ret_group = group;
			return 0;
		}
		if (first != ((frame.flags & FRAME_GROUP_START) != 0) || (!first && frame.lsn != group.last_lsn + 1))
			return -EBADMSG;
		if (first)
			group.first_lsn = frame.lsn;
		group.last_lsn = frame.lsn;
		group.frames++;
		crc = crc32c(crc, bytes, frame.length);
		at += frame.length;
	}
}

int scan_resync(struct scan *scan, uint64_t offset, uint64_t min_lsn, uint64_t end_lsn, uint64_t *ret_offset)
{
	for (offset = segment_pad(offset); offset < scan->limit; offset += SEGMENT_BLOCK) {
		uint64_t lsn;
		uint32_t length;
		struct frame frame;
		int r = scan_peek(scan, offset, &lsn, &length);
		if (r == 0 && (lsn < min_lsn || lsn >= end_lsn))
			continue;
		if (r == 0)
			r = scan_frame(scan, offset, &frame);
		if (r == 0 && frame.flags & FRAME_GROUP_START && frame.type != FRAME_COMMIT) {
			*ret_offset = offset;
			return 0;
		}
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return -ENOENT;
}
