/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames, the unit of the journal: encoding, checksum, decoding (doc/journal-format.md). The records inside a
 * CHECKPOINT are frames too, without lsn and checksum of their own. Nothing here touches a disk or keeps
 * state.
 *
 * Numbers of types and tags are on disk: never reuse one.
 */
#ifndef LINKSPAN_JOURNAL_FRAME_H
#define LINKSPAN_JOURNAL_FRAME_H

#include "message/slice.h"

#define FRAME_HEADER_LEN 20u /* u32 length, u32 crc32c, u64 lsn, u8 type, u8 flags, u16 bytes of TLVs */
#define FRAME_MAX_NAME   255u /* bytes in name and uuid */

enum frame_type {
	FRAME_MSG = 1, /* dest, seq, time_ms; body = encoded message */
	FRAME_OPEN = 2, /* source, id, hash */
	FRAME_REL = 3, /* source, id */
	FRAME_SESSION_RESET = 4, /* source */
	FRAME_SUBSCRIPTIONS = 5, /* source; body opaque */
	FRAME_POSITION = 6, /* source, position, hash; body = partition name */
	FRAME_STAGE = 7, /* dest, seq, stage */
	FRAME_BATCH = 8, /* dest, seq = first, last */
	FRAME_DONE = 9, /* dest, bytes, stage = enum journal_total; body = ranges of u64 first, u64 last */
	FRAME_DEAD = 10, /* dest, seq, bytes; body = reason */
	FRAME_FINISHED = 11, /* dest, seq, bytes */
	FRAME_REGISTER = 12, /* dest or source by flag, name, uuid */
	FRAME_DROP = 13, /* dest */
	FRAME_CHECKPOINT = 14, /* body = records */
	FRAME_SEAL = 15,
	FRAME_COMMIT =
		16, /* seq = first lsn, count = frames, hash = 2^32 + crc32c of the group; lsn = the last frame's */
	/* Records of a CHECKPOINT only. */
	FRAME_BASE = 17, /* dest, source = next numbers to give; time_ms = newest origin time */
	FRAME_OUTBOX = 18, /* dest, seq = next, last = oldest undone, count = waiting, bytes; body = done ranges */
	FRAME_STAGES = 19, /* dest; body = (u64 seq, u8 stage) … */
	FRAME_BATCHES = 20, /* dest; body = (u64 first, u64 last) … */
	FRAME_OPEN_IDS = 21, /* source; body = (u16 id, u64 hash) … */
	FRAME_OVERFLOW = 22, /* dest, seq = end; body = (u64 file, u64 first seq, u64 bytes) …; a record as well */
	FRAME_PAUSE = 27, /* dest, count = 1: delivery is paused by order, 0: no longer; alone and in a CHECKPOINT */
	FRAME_TOTALS = 23, /* of a CHECKPOINT only: dest; body = u64 … by enum journal_total */
	FRAME_DROPPED = 24, /* dest, stage = JOURNAL_DROPPED_NEWEST, count, bytes */
	FRAME_CLOCK = 28, /* body = entries of clocks.h; in a CHECKPOINT time_ms = newest time since the last boot */
	FRAME_SEQUENCE = 25, /* position = last number given; body = the stream. Not in a CHECKPOINT */
	FRAME_SEQUENCES = 26, /* in a CHECKPOINT; body = (16 bytes of stream, u64 last number) … */
	FRAME_KEY =
		29, /* hash, position = ms when it expires, time_ms = when it was written; body = the key. Not in a CHECKPOINT */
	FRAME_KEYS =
		30, /* in a CHECKPOINT; time_ms = when it was written; body = (16 bytes of key, u64 hash, u64 expires) … */
	FRAME_VALUE = 31, /* dest; body = the encoded message: the last value of its topic; alone and in a CHECKPOINT */
};

enum frame_flags {
	FRAME_GROUP_START = 1, /* first frame of its group, at a multiple of 4 KiB */
	FRAME_SET_END = 2, /* last frame of an atomic set */
	FRAME_IS_SOURCE = 4, /* REGISTER: of a source, not a destination */
};

struct frame {
	uint64_t lsn;
	uint8_t type, flags;
	uint32_t length; /* of the whole frame on disk: out, by frame_decode */
	uint64_t dest, source, seq, last, position, hash, bytes, id, stage, time_ms, count;
	struct slice name, uuid;
	struct slice body;
};

size_t frame_size(const struct frame *frame);
/* Writes frame_size() bytes, without checksum, and returns where the body stands. A body without data is left
 * for the caller to write there. */
uint8_t *frame_encode(const struct frame *frame, uint8_t *out);
/* Fills in the checksum; salt is that of the segment. */
void frame_seal(uint8_t *bytes, uint64_t salt);
bool frame_check(const uint8_t *bytes, size_t len, uint64_t salt);

/* The length that a frame header gives, 0 if it cannot be one within `max` bytes. */
uint32_t frame_peek_length(const uint8_t *bytes, size_t max);
/* Untrusted bytes; unknown tags are skipped. 0 or -EBADMSG. Slices point into `bytes`. */
int frame_decode(const uint8_t *bytes, size_t len, struct frame *ret_frame) __attribute__((warn_unused_result));
/* Takes the next record off a CHECKPOINT's body: 1, 0 at the end, -EBADMSG. */
int frame_next_record(struct slice *rest, struct frame *ret_frame) __attribute__((warn_unused_result));

const char *frame_type_name(uint8_t type);

#endif
