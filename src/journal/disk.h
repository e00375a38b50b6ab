/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk as the journal sees it: a small table of file operations, so that a test can put a disk in its
 * place that loses unsynced sectors, fails, or is full. The real one is disk_posix.
 *
 * Paths are relative to the data folder. All functions return 0 (or a count, or a handle) or a negative
 * errno. They may be called from any thread, but one handle is used by one thread at a time, except that
 * pread may run beside a pwrite to another range.
 */
#ifndef LINKSPAN_JOURNAL_DISK_H
#define LINKSPAN_JOURNAL_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum disk_open_flags {
	DISK_READ = 0,
	DISK_WRITE = 1, /* read and write */
	DISK_CREATE = 2, /* create; -EEXIST if it exists */
};

struct disk;

struct disk_ops {
	/* May block, all of them. */
	int (*open)(struct disk *disk, const char *path, int flags);
	int (*close)(struct disk *disk, int handle);
	/* Short only at the end of the file. */
	ssize_t (*pread)(struct disk *disk, int handle, void *buf, size_t len, uint64_t offset);
	/* Writes all or fails. After a failure any part may have been written. */
	int (*pwrite)(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset);
	/* After a failure nothing is known about any write since the last success: never retried. */
	int (*fdatasync)(struct disk *disk, int handle);
	int64_t (*size)(struct disk *disk, int handle);
	int (*truncate)(struct disk *disk, int handle, uint64_t size);
	int (*rename)(struct disk *disk, const char *from, const char *to); /* replaces `to` */
	int (*unlink)(struct disk *disk, const char *path);
	int (*mkdir)(struct disk *disk, const char *path); /* 0 if it exists */
	int (*sync_dir)(struct disk *disk, const char *path); /* makes names in it durable; "" is the data folder */
	/* Calls fn for each name in a folder (not . and ..); stops when fn returns non-zero and returns that.
	 */
	int (*list)(struct disk *disk, const char *path, int (*fn)(const char *name, void *arg), void *arg);
	/* Exclusive lock on a file for the life of the process (flock): -EWOULDBLOCK if another process holds
	 * it. */
	int (*lock)(struct disk *disk, const char *path);
	/* Free bytes of the file system, for messages. */
	int64_t (*free_bytes)(struct disk *disk);
};

/* Implementations embed this as their first member. */
struct disk {
	const struct disk_ops *ops;
	uint64_t bytes_written; /* by this process; atomic */
};

/* The real file system below `root` (created with mode 0700 if absent). NULL with errno set on failure. */
struct disk *disk_posix_new(const char *root) __attribute__((warn_unused_result));
void disk_posix_free(struct disk *disk);

#endif
