/* SPDX-License-Identifier: Apache-2.0
 *
 * data/id: who a data folder belongs to (identity.c). Blocks on the disk; any thread.
 */
#ifndef LINKSPAN_JOURNAL_IDENTITY_H
#define LINKSPAN_JOURNAL_IDENTITY_H

#include "journal/disk.h"
#include "journal/journal.h"

struct identity {
	uint8_t uuid[JOURNAL_UUID_LEN];
	uint64_t segment; /* a segment of this number or a later one exists */
};
/* 0; -ENOENT; -EBADMSG: damaged; -ENOTSUP: another format. */
int identity_read(struct disk *disk, struct identity *ret_id) __attribute__((warn_unused_result));
int identity_write(struct disk *disk, const struct identity *id) __attribute__((warn_unused_result));

#endif
