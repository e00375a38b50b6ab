/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment file: its name, its header, and the reading of frames and groups out of it. All of it stateless
 * towards the rest of the journal, so that the daemon's recovery and reader and `linkspan journal dump` share
 * it.
 */
#ifndef LINKSPAN_JOURNAL_SEGMENT_H
#define LINKSPAN_JOURNAL_SEGMENT_H

#include "journal/pages.h"
#include "journal/disk.h"
#include "journal/frame.h"
#include "journal/journal.h"

#define SEGMENT_BLOCK    4096u /* groups begin at multiples of it; the header fills the first */
#define SEGMENT_VERSION  1u
#define SEGMENT_PATH_LEN 40u /* "journal/<20 digits>.log" */

/* The last letter of the magic. */
enum segment_kind { SEGMENT_JOURNAL = 'J', SEGMENT_OVERFLOW = 'O' };

struct segment_header {
	enum segment_kind kind;
	uint8_t uuid[JOURNAL_UUID_LEN]; /* of the instance; overflow: of the destination */
	uint64_t number;
	uint64_t base_lsn; /* of the first frame in it; overflow: the first seq */
	uint64_t salt;
	uint64_t bytes; /* size of the file; overflow: 0 */
};

static inline uint64_t segment_pad(uint64_t bytes)
{
	return (bytes + SEGMENT_BLOCK - 1) / SEGMENT_BLOCK * SEGMENT_BLOCK;
}

void segment_path(char path[SEGMENT_PATH_LEN], uint64_t file);
/* The number in a file name "<20 digits>.log", or -EINVAL if the name is none. */
int segment_parse_name(const char *name, uint64_t *ret_file) __attribute__((warn_unused_result));

/* The header is written twice into its block, so that one bad sector does not hide a segment. */
void segment_encode_header(const struct segment_header *header, uint8_t block[SEGMENT_BLOCK]);
/* 0; -ENODATA: all zero, a spare; -EBADMSG: neither copy is whole, or of another kind; -ENOTSUP: a version that we do
 * not know. */
int segment_decode_header(const uint8_t block[SEGMENT_BLOCK], enum segment_kind kind, struct segment_header *ret_header)
	__attribute__((warn_unused_result));
/* Reads it from an open file; also the errnos of pread, and -EBADMSG when the file is shorter. */
int segment_read_header(struct disk *disk, int handle, enum segment_kind kind, struct segment_header *ret_header)
	__attribute__((warn_unused_result));

/* --- reading
 * ------------------------------------------------------------------------------------------------------ */

/* A window over one file. Memory: the window and the largest frame asked for. */
struct scan {
	struct disk *disk;
	int handle;
	uint64_t salt;
	uint64_t limit; /* nothing at or behind this offset is looked at */
	struct pages window; /* bytes of the file from window_at on */
	uint64_t window_at;
};

/* Begins with another file; the window's memory is kept. */
void scan_begin(struct scan *scan, struct disk *disk, int handle, uint64_t salt, uint64_t limit);
void scan_end(struct scan *scan); /* frees */

/* The frame at offset, its checksum verified. Slices are good until the next call. -EBADMSG: no whole frame
 * there, or a sector of it cannot be read (-EIO); what else pread says as it is. */
int scan_frame(struct scan *scan, uint64_t offset, struct frame *ret_frame) __attribute__((warn_unused_result));
/* The bytes of the frame that scan_frame has just read at offset. */
const uint8_t *scan_bytes(const struct scan *scan, uint64_t offset);
/* The lsn field and length of what may be a frame, nothing verified. -EBADMSG when the limit is too near. */
int scan_peek(struct scan *scan, uint64_t offset, uint64_t *ret_lsn, uint32_t *ret_length)
	__attribute__((warn_unused_result));

/* Behind what is no whole frame at offset: where its length leads, if a whole frame of that type stands there, else the
 * limit. -ENOMEM and what pread says are the limit, too. */
uint64_t scan_past_damage(struct scan *scan, uint64_t offset, uint8_t type);

struct scan_group {
	uint64_t offset;
	uint64_t end; /* padded: where the next one begins */
	uint64_t first_lsn, last_lsn;
	uint64_t frames; /* without the commit frame */
};
/* Verifies the whole group at offset (a multiple of SEGMENT_BLOCK). -EBADMSG: there is no whole group. */
int scan_group(struct scan *scan, uint64_t offset, struct scan_group *ret_group) __attribute__((warn_unused_result));

/* The first multiple of SEGMENT_BLOCK from offset on where a frame stands that begins a group and has an lsn
 * in [min_lsn, end_lsn). -ENOENT: none. */
int scan_resync(struct scan *scan, uint64_t offset, uint64_t min_lsn, uint64_t end_lsn, uint64_t *ret_offset)
	__attribute__((warn_unused_result));

#endif
