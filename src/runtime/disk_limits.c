/* SPDX-License-Identifier: Apache-2.0
 *
 * A sum and a comparison. What linkspan uses is found by looking at its folders.
 */
#include "runtime/disk_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "config/reply.h"
#include "journal/journal.h"
#include "runtime/log.h"

#define PATH_LEN       1200u
#define MIN_SEGMENTS   3u /* of the journal, in use */
#define SPARE_SEGMENTS 5u /* at most, on top */

struct usage {
	struct disk *disk;
	const char *folder;
	uint64_t bytes;
	unsigned depth; /* folders below this one that are looked into */
};

static int add_usage(const char *name, void *arg)
{
	struct usage *usage = arg;
	char path[PATH_LEN];
	if ((size_t)snprintf(path, sizeof path, "%s/%s", usage->folder, name) >= sizeof path)
		return 0;
	if (usage->depth) {
		struct usage below = {.disk = usage->disk, .folder = path, .depth = usage->depth - 1};
		(void)!usage->disk->ops->list(usage->disk, path, add_usage, &below);
		usage->bytes += below.bytes;
		return 0;
	}
	int handle = usage->disk->ops->open(usage->disk, path, DISK_READ);
	if (handle < 0)
		return 0;
	int64_t size = usage->disk->ops->size(usage->disk, handle);
	usage->bytes += size > 0 ? (uint64_t)size : 0;
	usage->disk->ops->close(usage->disk, handle);
	return 0;
}

static uint64_t used_bytes(struct disk *disk)
{
	static const struct {
		const char *folder;
		unsigned depth;
	} folders[] = {{"journal", 0}, {"outbox", 1}, {"dead", 1}};
	uint64_t sum = 0;
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct usage usage = {.disk = disk, .folder = folders[i].folder, .depth = folders[i].depth};
		(void)!disk->ops->list(disk, usage.folder, add_usage, &usage);
		sum += usage.bytes;
	}
	return sum;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool is_destination(const struct config *config, size_t connection)
{
	for (size_t m = 0; m < config->n_mappings; m++)
		if (mapping_writes_to(config, &config->mappings[m], connection))
			return true;
	return false;
}

static uint64_t journal_bytes(const struct config *config)
{
	uint64_t segment = config->journal.segment_bytes ? config->journal.segment_bytes : JOURNAL_SEGMENT_BYTES;
	uint64_t most = config->journal.max_bytes ? config->journal.max_bytes : JOURNAL_MAX_BYTES;
	return sum_of(most > MIN_SEGMENTS * segment ? most : MIN_SEGMENTS * segment, SPARE_SEGMENTS * segment);
}

void disk_limits_check(struct disk *disk, const struct config *config)
{
	uint64_t journal = journal_bytes(config), outboxes = 0, dead = 0;
	for (size_t i = 0; i < config->n_connections; i++) {
		const struct outbox_config *outbox = &config->connections[i].outbox;
		if (!is_destination(config, i))
			continue;
		outboxes = sum_of(outboxes, outbox->max_bytes);
		dead = sum_of(dead, outbox->dead_max_bytes);
	}
	int64_t free_bytes = disk->ops->free_bytes(disk);
	if (free_bytes < 0)
		return;
	uint64_t used = used_bytes(disk), limits = sum_of(sum_of(outboxes, dead), journal);
	if (limits <= sum_of((uint64_t)free_bytes, used))
		return;
	log_warn("disk_limits",
		"outboxes=%" PRIu64 " dead_letters=%" PRIu64 " journal=%" PRIu64 " free=%" PRId64 " used=%" PRIu64
		" what=\"the limits of all outboxes (max_bytes, dead_max_bytes) and the journal are more than the disk "
		"of "
		"data_dir has: it can be full before they are reached, and then nothing is taken in, for no "
		"destination\"",
		outboxes, dead, journal, free_bytes, used);
}
