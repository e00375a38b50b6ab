/* SPDX-License-Identifier: Apache-2.0
 *
 * A walk over the frames of one segment, by lsn without gaps, past what is not whole. Any thread; no state but its own.
 */
#ifndef LINKSPAN_JOURNAL_WALK_H
#define LINKSPAN_JOURNAL_WALK_H

#include "journal/segment.h"

struct walk {
	struct scan *scan; /* begun with the segment's salt and limit */
	uint64_t offset;
	uint64_t lsn; /* of the next frame */
	uint64_t end_lsn; /* where the segment ends */
	/* After -EBADMSG: where the damage begins, and whether nothing whole is behind it. */
	uint64_t damage_offset, damage_lsn;
	bool damage_ends_it;
};

/* 1: a frame (no COMMIT); 0: the end of what is durable or of the segment; -EBADMSG: something is not whole, the walk
 * stands behind it; other errnos: as pread says, the walk stands where it stood. */
int walk_next(struct walk *walk, struct frame *ret_frame) __attribute__((warn_unused_result));

/* After -EBADMSG, in a segment that may end before end_lsn: is this only its end? Nothing looks like the next frame. */
bool walk_ended(const struct walk *walk);

#endif
