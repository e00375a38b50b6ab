/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of an overflow log, outbox/<destination>/<20 digits>.log (doc/journal-format.md): messages of one
 * destination that were still undone when their segment was to be used again, packed. A header block like a
 * segment's, then chunks of frames, each chunk at a multiple of SEGMENT_BLOCK, so that a durable sector is never
 * written again and damage costs one chunk at most. Frames are those of the segment, sealed with the file's salt.
 *
 * Here: names, the reading of frames, the writing of one file. No state beyond that; any thread.
 */
#ifndef LINKSPAN_JOURNAL_OVERFLOW_H
#define LINKSPAN_JOURNAL_OVERFLOW_H

#include "journal/folder.h"
#include "journal/segment.h"

#define OVERFLOW_ROOT "outbox"

void overflow_path(const char *destination, uint64_t file, char path[FOLDER_PATH_LEN]);

/* --- reading: by a scan that was begun with the file's salt and the bytes that are durable ------------------------ */

/* The frame at or behind *offset; moves *offset on. 1: a frame; 0: the end; -EBADMSG: something is not whole there,
 * *offset stands where it goes on; other errnos: as pread says, *offset unchanged. */
int overflow_next(struct scan *scan, uint64_t *offset, struct frame *ret_frame) __attribute__((warn_unused_result));

/* --- writing ------------------------------------------------------------------------------------------------------ */

struct overflow_writer {
	struct disk *disk;
	int handle;
	uint64_t salt;
	uint64_t offset; /* of the chunk */
	struct pages chunk; /* frames that are not written yet; kept from file to file */
};

/* Begins a new file whose first frame will be first_seq. -EEXIST: there is one of that number. */
int overflow_create(struct overflow_writer *writer, struct disk *disk, const char *destination, const uint8_t *uuid,
	uint64_t file, uint64_t first_seq) __attribute__((warn_unused_result));
/* Goes on with a file of which `bytes` are durable. */
int overflow_append(struct overflow_writer *writer, struct disk *disk, const char *destination, uint64_t file,
	uint64_t bytes) __attribute__((warn_unused_result));
/* Adds a frame; writes a chunk when there is one. */
int overflow_put(struct overflow_writer *writer, const uint8_t *frame, uint32_t length)
	__attribute__((warn_unused_result));
/* Writes what is left and makes the file durable (its name is the caller's); *ret_bytes is its size. */
int overflow_finish(struct overflow_writer *writer, uint64_t *ret_bytes) __attribute__((warn_unused_result));
/* After any failure, or overflow_finish. */
void overflow_close(struct overflow_writer *writer);

#endif
