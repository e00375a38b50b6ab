/* SPDX-License-Identifier: Apache-2.0
 *
 * Files are arrays of reference-counted sectors (NULL = zeros), twice: as read, and as on the medium. Name operations are
 * kept in order until their folder is synced.
 */
#include "journal/disk_simulated.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HANDLES    256
#define MAX_PATH_BYTES 256

struct sector {
	unsigned refs;
	uint8_t bytes[SIM_SECTOR];
};

struct image {
	struct sector **sectors;
	size_t n_sectors;
	uint64_t size;
};

struct inode {
	bool ignore_sync; /* its contents never become durable */
	struct image cache, medium;
	unsigned refs; /* names and handles, in both name spaces */
};

struct name {
	char path[MAX_PATH_BYTES];
	struct inode *inode; /* NULL for a folder */
};

struct names {
	struct name *items;
	size_t n;
};

enum op_kind { OP_LINK, OP_UNLINK, OP_RENAME };

struct name_op {
	enum op_kind kind;
	char path[MAX_PATH_BYTES], to[MAX_PATH_BYTES];
	struct inode *inode;
};

struct sim_disk {
	struct disk base;
	struct names cache, medium;
	struct name_op *ops; /* not yet synced, in order */
	size_t n_ops;
	struct inode *handles[MAX_HANDLES];
	uint64_t space;
	unsigned fail_at, fail_count;
	const struct inode *bad_inode; /* its sector at bad_offset cannot be read; NULL: none */
	uint64_t bad_offset;
	bool ignore_sync;
	const char *ignore_below; /* files created below it never become durable; NULL: none */
};

uint64_t sim_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void *must(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static struct sector *sector_ref(struct sector *sector)
{
	if (sector)
		sector->refs++;
	return sector;
}

static void sector_unref(struct sector *sector)
{
	if (sector && --sector->refs == 0)
		free(sector);
}

static void image_resize(struct image *image, uint64_t size)
{
	size_t n = (size_t)((size + SIM_SECTOR - 1) / SIM_SECTOR);
	for (size_t i = n; i < image->n_sectors; i++)
		sector_unref(image->sectors[i]);
	if (n != image->n_sectors) {
		image->sectors = must(realloc(image->sectors, (n + 1) * sizeof *image->sectors));
		for (size_t i = image->n_sectors; i < n; i++)
			image->sectors[i] = NULL;
		image->n_sectors = n;
	}
	image->size = size;
}

static void image_free(struct image *image)
{
	image_resize(image, 0);
	free(image->sectors);
	*image = (struct image){0};
}

static void image_copy(struct image *to, const struct image *from)
{
	image_resize(to, from->size);
	for (size_t i = 0; i < from->n_sectors; i++) {
		if (to->sectors[i] == from->sectors[i])
			continue;
		sector_unref(to->sectors[i]);
		to->sectors[i] = sector_ref(from->sectors[i]);
	}
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* A sector of the image that is its own, to be written. */
static struct sector *image_own(struct image *image, size_t i)
{
	struct sector *old = image->sectors[i];
	if (old && old->refs == 1)
		return old;
	struct sector *own = must(calloc(1, sizeof *own));
	own->refs = 1;
	if (old)
		memcpy(own->bytes, old->bytes, SIM_SECTOR);
	sector_unref(old);
	return image->sectors[i] = own;
}

static void image_write(struct image *image, const uint8_t *bytes, size_t len, uint64_t offset)
{
	if (offset + len > image->size)
		image_resize(image, offset + len);
	while (len) {
		size_t i = (size_t)(offset / SIM_SECTOR), at = (size_t)(offset % SIM_SECTOR);
		size_t part = SIM_SECTOR - at < len ? SIM_SECTOR - at : len;
		if (image->sectors[i] || !all_zero(bytes, part))
			memcpy(image_own(image, i)->bytes + at, bytes, part);
		bytes += part, offset += part, len -= part;
	}
}

static size_t image_read(const struct image *image, uint8_t *bytes, size_t len, uint64_t offset)
{
	if (offset >= image->size)
		return 0;
	if (len > image->size - offset)
		len = (size_t)(image->size - offset);
	for (size_t left = len; left;) {
		size_t i = (size_t)(offset / SIM_SECTOR), at = (size_t)(offset % SIM_SECTOR);
		size_t part = SIM_SECTOR - at < left ? SIM_SECTOR - at : left;
		if (image->sectors[i])
			memcpy(bytes, image->sectors[i]->bytes + at, part);
		else
			memset(bytes, 0, part);
		bytes += part, offset += part, left -= part;
	}
	return len;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static struct inode *inode_ref(struct inode *inode)
{
	if (inode)
		inode->refs++;
	return inode;
}

static void inode_unref(struct inode *inode)
{
	if (inode && --inode->refs == 0) {
		image_free(&inode->cache);
		image_free(&inode->medium);
		free(inode);
	}
}

static struct name *names_find(const struct names *names, const char *path)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->items[i].path, path) == 0)
			return &names->items[i];
	return NULL;
}

static void names_remove(struct names *names, const char *path)
{
	struct name *name = names_find(names, path);
	if (!name)
		return;
	inode_unref(name->inode);
	*name = names->items[--names->n];
}

static void names_put(struct names *names, const char *path, struct inode *inode)
{
	inode_ref(inode);
	names_remove(names, path);
	names->items = must(realloc(names->items, (names->n + 1) * sizeof *names->items));
	struct name *name = &names->items[names->n++];
	snprintf(name->path, sizeof name->path, "%s", path);
	name->inode = inode;
}

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		inode_unref(names->items[i].inode);
	free(names->items);
	*names = (struct names){0};
}

static void names_copy(struct names *to, const struct names *from)
{
	for (size_t i = 0; i < from->n; i++)
		names_put(to, from->items[i].path, from->items[i].inode);
}

static void names_apply(struct names *names, const struct name_op *op)
{
	if (op->kind == OP_LINK)
		names_put(names, op->path, op->inode);
	else
		names_remove(names, op->path);
	if (op->kind == OP_RENAME)
		names_put(names, op->to, op->inode);
}

static void op_note(struct sim_disk *sim, enum op_kind kind, const char *path, const char *to, struct inode *inode)
{
	struct name_op op = {.kind = kind, .inode = inode_ref(inode)};
	snprintf(op.path, sizeof op.path, "%s", path);
	snprintf(op.to, sizeof op.to, "%s", to);
	sim->ops = must(realloc(sim->ops, (sim->n_ops + 1) * sizeof *sim->ops));
	sim->ops[sim->n_ops++] = op;
	names_apply(&sim->cache, &op);
}

static bool in_folder(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	if (len && (strncmp(path, folder, len) != 0 || path[len] != '/'))
		return false;
	return strchr(path + (len ? len + 1 : 0), '/') == NULL;
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static bool fails_now(struct sim_disk *sim)
{
	if (sim->fail_at == 0 || --sim->fail_at > 0)
		return false;
	if (--sim->fail_count > 0)
		sim->fail_at = 1;
	return true;
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static struct sim_disk *sim_of(struct disk *disk)
{
	return (struct sim_disk *)disk;
}

static int sim_open(struct disk *disk, const char *path, int flags)
{
	struct sim_disk *sim = sim_of(disk);
	struct name *name = names_find(&sim->cache, path);
	struct inode *inode = name ? name->inode : NULL;
	if (flags & DISK_CREATE) {
		if (name)
			return -EEXIST;
		if (sim->space == 0)
			return -ENOSPC;
		inode = must(calloc(1, sizeof *inode));
		inode->ignore_sync =
			sim->ignore_below && strncmp(path, sim->ignore_below, strlen(sim->ignore_below)) == 0;
		op_note(sim, OP_LINK, path, "", inode);
	} else if (!name) {
		return -ENOENT;
	} else if (!inode) {
		return -EISDIR;
	}
	for (int i = 0; i < MAX_HANDLES; i++) {
		if (!sim->handles[i]) {
			sim->handles[i] = inode_ref(inode);
			return i;
		}
	}
	return -EMFILE;
}

static int sim_close(struct disk *disk, int handle)
{
	struct sim_disk *sim = sim_of(disk);
	inode_unref(sim->handles[handle]);
	sim->handles[handle] = NULL;
	return 0;
}

static ssize_t sim_pread(struct disk *disk, int handle, void *buf, size_t len, uint64_t offset)
{
	const struct sim_disk *sim = sim_of(disk);
	if (sim->handles[handle] == sim->bad_inode && offset < sim->bad_offset + SIM_SECTOR &&
		offset + len > sim->bad_offset)
		return -EIO;
	return (ssize_t)image_read(&sim->handles[handle]->cache, buf, len, offset);
}

static int sim_grow(struct sim_disk *sim, struct inode *inode, uint64_t size)
{
	uint64_t more = size > inode->cache.size ? size - inode->cache.size : 0;
	if (sim->space != UINT64_MAX) {
		if (more > sim->space)
			return -ENOSPC;
		sim->space -= more;
	}
	return 0;
}

static int sim_pwrite(struct disk *disk, int handle, const void *buf, size_t len, uint64_t offset)
{
	struct sim_disk *sim = sim_of(disk);
	struct inode *inode = sim->handles[handle];
	if (fails_now(sim)) {
		if (sim_grow(sim, inode, offset + len / 2) == 0)
			image_write(&inode->cache, buf, len / 2, offset);
		return -EIO;
	}
	int r = sim_grow(sim, inode, offset + len);
	if (r < 0)
		return r;
	image_write(&inode->cache, buf, len, offset);
	return 0;
}

static int sim_fdatasync(struct disk *disk, int handle)
{
	struct sim_disk *sim = sim_of(disk);
	struct inode *inode = sim->handles[handle];
	if (fails_now(sim))
		return -EIO;
	if (!sim->ignore_sync && !inode->ignore_sync)
		image_copy(&inode->medium, &inode->cache);
	return 0;
}

static int64_t sim_size(struct disk *disk, int handle)
{
	return (int64_t)sim_of(disk)->handles[handle]->cache.size;
}

static int sim_truncate(struct disk *disk, int handle, uint64_t size)
{
	struct sim_disk *sim = sim_of(disk);
	struct inode *inode = sim->handles[handle];
	int r = sim_grow(sim, inode, size);
	if (r < 0)
		return r;
	if (sim->space != UINT64_MAX && size < inode->cache.size)
		sim->space += inode->cache.size - size;
	image_resize(&inode->cache, size);
	return 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct sim_disk *sim = sim_of(disk);
	struct name *name = names_find(&sim->cache, from);
	if (!name)
		return -ENOENT;
	if (fails_now(sim))
		return -EIO;
	op_note(sim, OP_RENAME, from, to, name->inode);
	return 0;
}

static int sim_unlink(struct disk *disk, const char *path)
{
	struct sim_disk *sim = sim_of(disk);
	struct name *name = names_find(&sim->cache, path);
	if (!name)
		return -ENOENT;
	if (sim->space != UINT64_MAX)
		sim->space += name->inode->cache.size;
	op_note(sim, OP_UNLINK, path, "", NULL);
	return 0;
}

static int sim_mkdir(struct disk *disk, const char *path)
{
	struct sim_disk *sim = sim_of(disk);
	if (!names_find(&sim->cache, path))
		op_note(sim, OP_LINK, path, "", NULL);
	return 0;
}

static int sim_sync_dir(struct disk *disk, const char *path)
{
	struct sim_disk *sim = sim_of(disk);
	if (fails_now(sim))
		return -EIO;
	if (sim->ignore_sync)
		return 0;
	size_t kept = 0;
	for (size_t i = 0; i < sim->n_ops; i++) {
		struct name_op *op = &sim->ops[i];
		bool here = in_folder(op->path, path) || (op->kind == OP_RENAME && in_folder(op->to, path));
		if (here) {
			names_apply(&sim->medium, op);
			inode_unref(op->inode);
		} else {
			sim->ops[kept++] = *op;
		}
	}
	sim->n_ops = kept;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **sim_disk_names(const struct sim_disk *sim, const char *folder)
{
	char **list = must(calloc(sim->cache.n + 1, sizeof *list));
	size_t n = 0, skip = *folder ? strlen(folder) + 1 : 0;
	for (size_t i = 0; i < sim->cache.n; i++)
		if (in_folder(sim->cache.items[i].path, folder))
			list[n++] = must(strdup(sim->cache.items[i].path + skip));
	qsort(list, n, sizeof *list, compare_names);
	return list;
}

void sim_disk_free_names(char **names)
{
	for (size_t i = 0; names[i]; i++)
		free(names[i]);
	free(names);
}

static int sim_list(struct disk *disk, const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	if (*path && !names_find(&sim_of(disk)->cache, path))
		return -ENOENT;
	char **list = sim_disk_names(sim_of(disk), path);
	int r = 0;
	for (size_t i = 0; list[i] && r == 0; i++)
		r = fn(list[i], arg);
	sim_disk_free_names(list);
	return r;
}

static int sim_lock(struct disk *disk, const char *path)
{
	if (!names_find(&sim_of(disk)->cache, path))
		op_note(sim_of(disk), OP_LINK, path, "", must(calloc(1, sizeof(struct inode))));
	return 0;
}

static int64_t sim_free_bytes(struct disk *disk)
{
	uint64_t space = sim_of(disk)->space;
	return space > INT64_MAX ? INT64_MAX : (int64_t)space;
}

static const struct disk_ops sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.fdatasync = sim_fdatasync,
	.size = sim_size,
	.truncate = sim_truncate,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.mkdir = sim_mkdir,
	.sync_dir = sim_sync_dir,
	.list = sim_list,
	.lock = sim_lock,
	.free_bytes = sim_free_bytes,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

struct sim_disk *sim_disk_new(void)
{
	struct sim_disk *sim = must(calloc(1, sizeof *sim));
	sim->base.ops = &sim_ops;
	sim->space = UINT64_MAX;
	return sim;
}

static void drop_ops(struct sim_disk *sim)
{
	for (size_t i = 0; i < sim->n_ops; i++)
		inode_unref(sim->ops[i].inode);
	free(sim->ops);
	sim->ops = NULL;
	sim->n_ops = 0;
}

static void close_handles(struct sim_disk *sim)
{
	for (int i = 0; i < MAX_HANDLES; i++) {
		inode_unref(sim->handles[i]);
		sim->handles[i] = NULL;
	}
}

void sim_disk_free(struct sim_disk *sim)
{
	if (!sim)
		return;
	close_handles(sim);
	drop_ops(sim);
	names_free(&sim->cache);
	names_free(&sim->medium);
	free(sim);
}

struct disk *sim_disk_ops(struct sim_disk *sim)
{
	return &sim->base;
}

static bool keeps(enum sim_loss loss, uint64_t *state)
{
	return loss == SIM_KEEP_ALL || (loss == SIM_KEEP_SOME && sim_random(state) & 1);
}

/* The content of one file after the cut: the medium's, plus those unsynced sectors that made it. */
static struct inode *surviving_inode(const struct inode *inode, enum sim_loss loss, uint64_t *state)
{
	struct inode *kept = must(calloc(1, sizeof *kept));
	image_copy(&kept->cache, &inode->medium);
	if (inode->cache.size != inode->medium.size && keeps(loss, state))
		image_resize(&kept->cache, inode->cache.size);
	for (size_t i = 0; i < kept->cache.n_sectors && i < inode->cache.n_sectors; i++) {
		struct sector *unsynced = inode->cache.sectors[i];
		if (unsynced == kept->cache.sectors[i] || !keeps(loss, state))
			continue;
		sector_unref(kept->cache.sectors[i]);
		kept->cache.sectors[i] = sector_ref(unsynced);
	}
	image_copy(&kept->medium, &kept->cache);
	return kept;
}

struct sim_disk *sim_disk_power_loss(const struct sim_disk *sim, enum sim_loss loss, uint64_t *state)
{
	struct names names = {0};
	names_copy(&names, &sim->medium);
	for (size_t i = 0; i < sim->n_ops; i++)
		if (keeps(loss, state))
			names_apply(&names, &sim->ops[i]);
	struct sim_disk *after = sim_disk_new();
	after->space = sim->space;
	for (size_t i = 0; i < names.n; i++) {
		const struct inode *inode = names.items[i].inode;
		struct inode *kept = inode ? surviving_inode(inode, loss, state) : NULL;
		names_put(&after->cache, names.items[i].path, kept);
		names_put(&after->medium, names.items[i].path, kept);
	}
	names_free(&names);
	return after;
}

static struct inode *fork_inode(struct inode *inode)
{
	if (!inode)
		return NULL;
	struct inode *copy = must(calloc(1, sizeof *copy));
	image_copy(&copy->cache, &inode->cache);
	image_copy(&copy->medium, &inode->medium);
	return copy;
}

/* The copy of an inode, the same one for every name and operation that shares it. */
struct fork_pair {
	struct inode *from, *to;
};

struct fork_map {
	struct fork_pair *pairs;
	size_t n;
};

static struct inode *fork_once(struct fork_map *map, struct inode *inode)
{
	for (size_t i = 0; i < map->n; i++)
		if (map->pairs[i].from == inode)
			return map->pairs[i].to;
	map->pairs = must(realloc(map->pairs, (map->n + 1) * sizeof *map->pairs));
	map->pairs[map->n] = (struct fork_pair){inode, fork_inode(inode)};
	return map->pairs[map->n++].to;
}

static void fork_names(struct names *to, const struct names *from, struct fork_map *map)
{
	for (size_t i = 0; i < from->n; i++)
		names_put(to, from->items[i].path, fork_once(map, from->items[i].inode));
}

struct sim_disk *sim_disk_fork(const struct sim_disk *sim)
{
	struct sim_disk *copy = sim_disk_new();
	struct fork_map map = {0};
	fork_names(&copy->cache, &sim->cache, &map);
	fork_names(&copy->medium, &sim->medium, &map);
	copy->ops = must(calloc(sim->n_ops + 1, sizeof *copy->ops));
	copy->n_ops = sim->n_ops;
	for (size_t i = 0; i < sim->n_ops; i++) {
		copy->ops[i] = sim->ops[i];
		copy->ops[i].inode = inode_ref(fork_once(&map, sim->ops[i].inode));
	}
	copy->space = sim->space;
	copy->ignore_sync = sim->ignore_sync;
	free(map.pairs);
	return copy;
}

void sim_disk_set_space(struct sim_disk *sim, uint64_t bytes)
{
	sim->space = bytes;
}

void sim_disk_ignore_sync_below(struct sim_disk *sim, const char *prefix)
{
	sim->ignore_below = prefix;
}

void sim_disk_ignore_sync(struct sim_disk *sim, bool ignore)
{
	sim->ignore_sync = ignore;
}

void sim_disk_fail(struct sim_disk *sim, unsigned n, unsigned count)
{
	sim->fail_at = n;
	sim->fail_count = count;
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

static struct inode *file_named(const struct sim_disk *sim, const char *path)
{
	struct name *name = names_find(&sim->cache, path);
	return name ? name->inode : NULL;
}

void sim_disk_bad_sector(struct sim_disk *sim, const char *path, uint64_t offset)
{
	sim->bad_inode = file_named(sim, path);
	sim->bad_offset = offset / SIM_SECTOR * SIM_SECTOR;
}

int64_t sim_disk_size(const struct sim_disk *sim, const char *path)
{
	const struct inode *inode = file_named(sim, path);
	return inode ? (int64_t)inode->cache.size : -1;
}

void sim_disk_flip(struct sim_disk *sim, const char *path, uint64_t offset, uint8_t mask)
{
	struct inode *inode = file_named(sim, path);
	assert(inode && offset < inode->cache.size);
	image_own(&inode->cache, (size_t)(offset / SIM_SECTOR))->bytes[offset % SIM_SECTOR] ^= mask;
	image_copy(&inode->medium, &inode->cache);
}

void sim_disk_zero_from(struct sim_disk *sim, const char *path, uint64_t offset)
{
	struct inode *inode = file_named(sim, path);
	assert(inode);
	uint64_t size = inode->cache.size;
	if (offset % SIM_SECTOR && offset < size)
		memset(image_own(&inode->cache, (size_t)(offset / SIM_SECTOR))->bytes + offset % SIM_SECTOR, 0,
			SIM_SECTOR - offset % SIM_SECTOR);
	image_resize(&inode->cache, (offset + SIM_SECTOR - 1) / SIM_SECTOR * SIM_SECTOR);
	image_resize(&inode->cache, size);
	image_copy(&inode->medium, &inode->cache);
}

void sim_disk_read(const struct sim_disk *sim, const char *path, uint64_t offset, void *buf, size_t len)
{
	const struct inode *inode = file_named(sim, path);
	memset(buf, 0, len);
	if (inode)
		image_read(&inode->cache, buf, len, offset);
}
