/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "journal/disk.h"
#include "tests/unit/tap.h"

static int count(const char *name, void *arg)
{
	(void)name;
	return ++*(int *)arg == 100 ? 7 : 0;
}

static void test_files(void)
{
	struct disk *disk = disk_posix_new(tap_tempdir());
	CU_ASSERT_PTR_NOT_NULL_FATAL(disk);
	const struct disk_ops *ops = disk->ops;
	CU_ASSERT_EQUAL(ops->mkdir(disk, "a"), 0);
	CU_ASSERT_EQUAL(ops->mkdir(disk, "a"), 0);
	CU_ASSERT_EQUAL(ops->open(disk, "a/f", DISK_READ), -ENOENT);
	int handle = ops->open(disk, "a/f", DISK_WRITE | DISK_CREATE);
	CU_ASSERT_FATAL(handle >= 0);
	CU_ASSERT_EQUAL(ops->open(disk, "a/f", DISK_WRITE | DISK_CREATE), -EEXIST);
	CU_ASSERT_EQUAL(ops->pwrite(disk, handle, "hello", 5, 10), 0);
	CU_ASSERT_EQUAL(ops->fdatasync(disk, handle), 0);
	CU_ASSERT_EQUAL(ops->size(disk, handle), 15);
	char buf[16];
	CU_ASSERT_EQUAL(ops->pread(disk, handle, buf, sizeof buf, 10), 5);
	CU_ASSERT_EQUAL(memcmp(buf, "hello", 5), 0);
	CU_ASSERT_EQUAL(ops->truncate(disk, handle, 12), 0);
	CU_ASSERT_EQUAL(ops->size(disk, handle), 12);
	CU_ASSERT_EQUAL(ops->close(disk, handle), 0);
	CU_ASSERT_EQUAL(ops->rename(disk, "a/f", "a/g"), 0);
	CU_ASSERT_EQUAL(ops->sync_dir(disk, "a"), 0);
	CU_ASSERT_EQUAL(ops->sync_dir(disk, ""), 0);
	int n = 0;
	CU_ASSERT_EQUAL(ops->list(disk, "a", count, &n), 0);
	CU_ASSERT_EQUAL(n, 1);
	n = 99;
	CU_ASSERT_EQUAL(ops->list(disk, "a", count, &n), 7);
	CU_ASSERT_EQUAL(ops->list(disk, "none", count, &n), -ENOENT);
	CU_ASSERT_EQUAL(ops->unlink(disk, "a/g"), 0);
	CU_ASSERT_EQUAL(ops->unlink(disk, "a/g"), -ENOENT);
	CU_ASSERT(ops->free_bytes(disk) > 0);
	disk_posix_free(disk);
}

static void test_lock(void)
{
	const char *path = tap_tempdir();
	struct disk *one = disk_posix_new(path), *two = disk_posix_new(path);
	CU_ASSERT_EQUAL(one->ops->lock(one, "lock"), 0);
	CU_ASSERT_EQUAL(one->ops->lock(one, "lock"), 0);
	CU_ASSERT_EQUAL(two->ops->lock(two, "lock"), -EWOULDBLOCK);
	disk_posix_free(one);
	CU_ASSERT_EQUAL(two->ops->lock(two, "lock"), 0);
	disk_posix_free(two);
}

static void test_no_folder(void)
{
	CU_ASSERT_PTR_NULL(disk_posix_new("/proc/none/here"));
	CU_ASSERT_EQUAL(errno, ENOENT);
}

static const struct tap_test tests[] = {
	{"files and folders", test_files},
	{"lock", test_lock},
	{"a folder that cannot be made", test_no_folder},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("disk_posix", tests);
}
