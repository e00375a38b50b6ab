/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of overflow logs: reading and writing.
 */
#include "journal/overflow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "journal/journal_impl.h"
#include "message/endian.h"
#include "runtime/failpoint.h"

#define CHUNK_BYTES (64u * 1024) /* a larger frame makes a larger chunk */

void overflow_path(const char *destination, uint64_t file, char path[FOLDER_PATH_LEN])
{
	size_t at = folder_path(OVERFLOW_ROOT, destination, path, FOLDER_PATH_LEN - 32);
	snprintf(path + at, FOLDER_PATH_LEN - at, "/%020" PRIu64 ".log", file);
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------ */

/* Behind a chunk stand at least four zero bytes. */
static bool is_padding(struct scan *scan, uint64_t offset)
{
	uint64_t ignored;
	uint32_t length = 1;
	if (scan->limit - offset < FRAME_HEADER_LEN)
		return true;
	return scan_peek(scan, offset, &ignored, &length) == 0 && length == 0;
}

/* From a frame that is not whole to one that is: by its length, else at the next chunk. */
static int skip_damage(struct scan *scan, uint64_t *offset)
{
	struct frame frame;
	uint64_t ignored;
	uint32_t length;
	if (scan_peek(scan, *offset, &ignored, &length) == 0 && length >= FRAME_HEADER_LEN &&
		length < scan->limit - *offset &&
		(is_padding(scan, *offset + length) || scan_frame(scan, *offset + length, &frame) == 0)) {
		*offset += length;
		return -EBADMSG;
	}
	uint64_t at = segment_pad(*offset + 1);
	for (; at < scan->limit; at += SEGMENT_BLOCK) {
		int r = scan_frame(scan, at, &frame);
		if (r == 0)
			break;
		if (r != -EBADMSG)
			return r;
	}
	*offset = at < scan->limit ? at : scan->limit;
	return -EBADMSG;
}

int overflow_next(struct scan *scan, uint64_t *offset, struct frame *ret_frame)
{
	while (*offset < scan->limit) {
		int r = scan_frame(scan, *offset, ret_frame);
		if (r == 0) {
			*offset += ret_frame->length;
			return 1;
		}
		if (r != -EBADMSG)
			return r;
		if (!is_padding(scan, *offset))
			return skip_damage(scan, offset);
		*offset = segment_pad(*offset + 1);
	}
	return 0;
}

/* --- writing
 * ------------------------------------------------------------------------------------------------------ */

static int begin(struct overflow_writer *writer, struct disk *disk, const char *destination, uint64_t file, int flags)
{
	char path[FOLDER_PATH_LEN];
	overflow_path(destination, file, path);
	writer->disk = disk;
	writer->chunk.len = 0;
	writer->handle = disk->ops->open(disk, path, flags);
	return writer->handle < 0 ? writer->handle : 0;
}

int overflow_create(struct overflow_writer *writer, struct disk *disk, const char *destination, const uint8_t *uuid,
	uint64_t file, uint64_t first_seq)
{
	int r = begin(writer, disk, destination, file, DISK_WRITE | DISK_CREATE);
	if (r < 0)
		return r;
	uint8_t block[SEGMENT_BLOCK];
	struct segment_header header = {
		.kind = SEGMENT_OVERFLOW, .number = file, .base_lsn = first_seq, .salt = journal_random()};
	memcpy(header.uuid, uuid, JOURNAL_UUID_LEN);
	segment_encode_header(&header, block);
	writer->salt = header.salt;
	writer->offset = SEGMENT_BLOCK;
	return disk->ops->pwrite(disk, writer->handle, block, sizeof block, 0);
}

int overflow_append(
	struct overflow_writer *writer, struct disk *disk, const char *destination, uint64_t file, uint64_t bytes)
{
	int r = begin(writer, disk, destination, file, DISK_WRITE);
	struct segment_header header;
	if (r == 0)
		r = segment_read_header(disk, writer->handle, SEGMENT_OVERFLOW, &header);
	if (r < 0)
		return r;
	writer->salt = header.salt;
	writer->offset = segment_pad(bytes);
	return 0;
}

static int write_chunk(struct overflow_writer *writer)
{
	struct pages *chunk = &writer->chunk;
	if (chunk->len == 0)
		return 0;
	size_t padded = (size_t)segment_pad(chunk->len + 4);
	memset(chunk->data + chunk->len, 0, padded - chunk->len);
	FAILPOINT("journal.before_overflow_write");
	int r = writer->disk->ops->pwrite(writer->disk, writer->handle, chunk->data, padded, writer->offset);
	FAILPOINT("journal.after_overflow_write");
	writer->offset += padded;
	pages_reset(chunk, CHUNK_BYTES * 4);
	return r;
}

int overflow_put(struct overflow_writer *writer, const uint8_t *frame, uint32_t length)
{
	struct pages *chunk = &writer->chunk;
	int r = chunk->len && chunk->len + length > CHUNK_BYTES ? write_chunk(writer) : 0;
	if (r == 0)
		r = pages_reserve(chunk, length + 2 * SEGMENT_BLOCK);
	if (r < 0)
		return r;
	memcpy(chunk->data + chunk->len, frame, length);
	frame_seal(chunk->data + chunk->len, writer->salt);
	chunk->len += length;
	return 0;
}

int overflow_finish(struct overflow_writer *writer, uint64_t *ret_bytes)
{
	int r = write_chunk(writer);
	FAILPOINT("journal.before_overflow_fdatasync");
	if (r == 0)
		r = writer->disk->ops->fdatasync(writer->disk, writer->handle);
	FAILPOINT("journal.after_overflow_fdatasync");
	if (r == 0)
		*ret_bytes = writer->offset;
	return r;
}

void overflow_close(struct overflow_writer *writer)
{
	if (writer->handle >= 0)
		writer->disk->ops->close(writer->disk, writer->handle);
	writer->handle = -1;
	pages_free(&writer->chunk);
}
