/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged segments are copied to quarantine/ before their file is used again, once each, and never removed by
 * linkspan: somebody may want to look at them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "runtime/log.h"

#define COPY_BYTES (128u * 1024)
#define PATH_LEN   80u

static int copy_bytes(struct disk *disk, int from, int to)
{
	uint8_t *buf = malloc(COPY_BYTES);
	if (!buf)
		return -ENOMEM;
	int r = 0;
	for (uint64_t at = 0; r == 0; at += COPY_BYTES) {
		ssize_t n = disk->ops->pread(disk, from, buf, COPY_BYTES, at);
		if (n == -EIO) { /* a sector that cannot be read stays zero in the copy */
			memset(buf, 0, COPY_BYTES);
			n = disk->ops->size(disk, from) > (int64_t)(at + COPY_BYTES) ? (ssize_t)COPY_BYTES : 0;
		}
		if (n <= 0) {
			r = (int)n;
			break;
		}
		r = disk->ops->pwrite(disk, to, buf, (size_t)n, at);
	}
	free(buf);
	return r < 0 ? r : disk->ops->fdatasync(disk, to);
}

static int copy_file(struct disk *disk, const char *source, const char *target)
{
	int from = disk->ops->open(disk, source, DISK_READ);
	if (from < 0)
		return from;
	char temporary[PATH_LEN + 4];
	snprintf(temporary, sizeof temporary, "%s.tmp", target);
	disk->ops->unlink(disk, temporary);
	int to = disk->ops->open(disk, temporary, DISK_WRITE | DISK_CREATE);
	int r = to < 0 ? to : copy_bytes(disk, from, to);
	if (to >= 0)
		disk->ops->close(disk, to);
	disk->ops->close(disk, from);
	if (r == 0)
		r = disk->ops->rename(disk, temporary, target);
	else
		disk->ops->unlink(disk, temporary);
	return r < 0 ? r : disk->ops->sync_dir(disk, "quarantine");
}

static void copy_aside(struct journal *j, const char *source, const char *target)
{
	int handle = j->disk->ops->open(j->disk, target, DISK_READ);
	if (handle >= 0) { /* copied before */
		j->disk->ops->close(j->disk, handle);
		return;
	}
	int r = copy_file(j->disk, source, target);
	if (r < 0)
		log_error("journal_quarantine",
			"file=%s error=\"%s\" what=\"the damaged file could not be copied aside\"", source,
			strerror(-r));
	else
		log_warn("journal_quarantine", "file=%s copy=%s", source, target);
}

void quarantine_segment(struct journal *j, uint64_t file, uint64_t number)
{
	char source[SEGMENT_PATH_LEN], target[PATH_LEN];
	segment_path(source, file);
	snprintf(target, sizeof target, "quarantine/segment-%020" PRIu64 ".log", number);
	copy_aside(j, source, target);
}

void quarantine_overflow(struct journal *j, const char *path, uint32_t dest, uint64_t file)
{
	char target[PATH_LEN];
	snprintf(target, sizeof target, "quarantine/outbox-%" PRIu32 "-%020" PRIu64 ".log", dest, file);
	copy_aside(j, path, target);
}

int quarantine_move(struct journal *j, uint64_t file)
{
	char source[SEGMENT_PATH_LEN], target[PATH_LEN];
	segment_path(source, file);
	/* File numbers may come again: never over an older one. */
	snprintf(target, sizeof target, "quarantine/file-%020" PRIu64 "-%08x.log", file, (unsigned)journal_random());
	int r = j->disk->ops->rename(j->disk, source, target);
	if (r == 0)
		r = j->disk->ops->sync_dir(j->disk, "quarantine");
	if (r == 0)
		r = j->disk->ops->sync_dir(j->disk, "journal");
	return r;
}
