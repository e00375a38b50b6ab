/* SPDX-License-Identifier: Apache-2.0
 *
 * Step by step; the way past damage.
 */
#include "journal/walk.h"

#include <errno.h>

/* Behind a frame that is not whole: the next frame, if the length leads to it, else the next group. */
static int skip_damage(struct walk *walk)
{
	struct scan *scan = walk->scan;
	struct frame frame;
	uint64_t ignored, next;
	uint32_t length;
	walk->damage_offset = walk->offset;
	walk->damage_lsn = walk->lsn;
	walk->damage_ends_it = false;
	if (scan_peek(scan, walk->offset, &ignored, &length) == 0 && length >= FRAME_HEADER_LEN &&
		scan_frame(scan, walk->offset + length, &frame) == 0 &&
		frame.lsn == walk->lsn + (frame.type != FRAME_COMMIT)) {
		walk->offset += length;
		walk->lsn++;
		return -EBADMSG;
	}
	int r = scan_resync(scan, walk->offset + 1, walk->lsn, walk->end_lsn, &next);
	if (r == 0)
		r = scan_frame(scan, next, &frame);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	walk->damage_ends_it = r < 0;
	walk->offset = r == 0 ? next : scan->limit;
	if (r == 0)
		walk->lsn = frame.lsn;
	return -EBADMSG;
}

int walk_next(struct walk *walk, struct frame *ret_frame)
{
	while (walk->lsn < walk->end_lsn && walk->offset < walk->scan->limit) {
		int r = scan_frame(walk->scan, walk->offset, ret_frame);
		bool commit = r == 0 && ret_frame->type == FRAME_COMMIT;
		if (r < 0 && r != -EBADMSG)
			return r;
		if (r < 0 || ret_frame->lsn != walk->lsn - commit)
			return skip_damage(walk);
		walk->offset += ret_frame->length;
		if (!commit) {
			walk->lsn++;
			return 1;
		}
		walk->offset = segment_pad(walk->offset);
	}
	return 0;
}

bool walk_ended(const struct walk *walk)
{
	uint64_t lsn = 0;
	uint32_t length;
	return walk->damage_ends_it &&
	       (scan_peek(walk->scan, walk->damage_offset, &lsn, &length) != 0 || lsn != walk->damage_lsn);
}
