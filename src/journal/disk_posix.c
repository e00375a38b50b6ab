/* SPDX-License-Identifier: Apache-2.0
 *
 * The real file system: paths below one folder, which is held open, so that nothing changes when the
 * process's working folder or the name of the data folder does. Handles are file descriptors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "journal/disk.h"

struct disk_posix {
	struct disk base;
	int root;
	int lock; /* -1 until locked; held until disk_posix_free */
};

static int root_of(const struct disk *disk)
{
	return ((const struct disk_posix *)disk)->root;
}

static int result(int r)
{
	return r < 0 ? -errno : r;
}

static int posix_open(struct disk *disk, const char *path, int flags)
{
	int mode = O_CLOEXEC | (flags & DISK_WRITE ? O_RDWR : O_RDONLY);
	if (flags & DISK_CREATE)
		mode |= O_CREAT | O_EXCL;
	return result(openat(root_of(disk), path, mode, 0600));
}

static int posix_close(struct disk *disk, int handle)
{
	(void)disk;
	return result(close(handle));
}

static ssize_t posix_pread(struct disk *disk, int handle, void *buf, size_t len, uint64_t offset)
{
	(void)disk;
	size_t got = 0;
	while (got < len) {
		ssize_t n = pread(handle, (char *)buf + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int posix_pwrite(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset)
{
	__atomic_fetch_add(&disk->bytes_written, len, __ATOMIC_RELAXED);
	size_t put = 0;
	while (put < len) {
		ssize_t n = pwrite(handle, (const char *)buf + put, len - put, (off_t)(offset + put));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		put += (size_t)n;
	}
	return 0;
}

static int posix_fdatasync(struct disk *disk, int handle)
{
	(void)disk;
	return result(fdatasync(handle));
}

static int64_t posix_size(struct disk *disk, int handle)
{
	(void)disk;
	struct stat st;
	return fstat(handle, &st) < 0 ? -errno : st.st_size;
}

static int posix_truncate(struct disk *disk, int handle, uint64_t size)
{
	(void)disk;
	return result(ftruncate(handle, (off_t)size));
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
	return result(renameat(root_of(disk), from, root_of(disk), to));
}

static int posix_unlink(struct disk *disk, const char *path)
{
	return result(unlinkat(root_of(disk), path, 0));
}

static int posix_mkdir(struct disk *disk, const char *path)
{
	int r = result(mkdirat(root_of(disk), path, 0700));
	return r == -EEXIST ? 0 : r;
}

static int open_dir(struct disk *disk, const char *path)
{
	return result(openat(root_of(disk), *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int posix_sync_dir(struct disk *disk, const char *path)
{
	int fd = open_dir(disk, path);
	if (fd < 0)
		return fd;
	int r = result(fsync(fd));
	close(fd);
	return r;
}

static int posix_list(struct disk *disk, const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	int fd = open_dir(disk, path);
	if (fd < 0)
		return fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int r = -errno;
		close(fd);
		return r;
	}
	int r = 0;
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry) {
			r = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = fn(entry->d_name, arg);
		if (r)
			break;
	}
	closedir(dir);
	return r;
}

static int posix_lock(struct disk *disk, const char *path)
{
	struct disk_posix *self = (struct disk_posix *)disk;
	if (self->lock >= 0)
		return 0; /* ours already: a journal that is opened again in this process */
	int fd = openat(self->root, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	self->lock = fd;
	return 0;
}

static int64_t posix_free_bytes(struct disk *disk)
{
	struct statvfs st;
	if (fstatvfs(root_of(disk), &st) < 0)
		return -errno;
	return (int64_t)(st.f_bavail * st.f_frsize);
}

static const struct disk_ops posix_ops = {
	.open = posix_open,
	.close = posix_close,
	.pread = posix_pread,
	.pwrite = posix_pwrite,
	.fdatasync = posix_fdatasync,
	.size = posix_size,
	.truncate = posix_truncate,
	.rename = posix_rename,
	.unlink = posix_unlink,
	.mkdir = posix_mkdir,
	.sync_dir = posix_sync_dir,
	.list = posix_list,
	.lock = posix_lock,
	.free_bytes = posix_free_bytes,
};

struct disk *disk_posix_new(const char *root)
{
	if (mkdir(root, 0700) < 0 && errno != EEXIST)
		return NULL;
	struct disk_posix *self = calloc(1, sizeof *self);
	if (!self)
		return NULL;
	self->base.ops = &posix_ops;
	self->lock = -1;
	self->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self->root < 0) {
		int error = errno;
		free(self);
		errno = error;
		return NULL;
	}
	return &self->base;
}

void disk_posix_free(struct disk *disk)
{
	struct disk_posix *self = (struct disk_posix *)disk;
	if (!self)
		return;
	if (self->lock >= 0)
		close(self->lock);
	close(self->root);
	free(self);
}
