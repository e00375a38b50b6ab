/* SPDX-License-Identifier: Apache-2.0
 *
 * data/id: who this data folder belongs to. Text, so that an operator can read it; replaced as a whole
 * (write, fdatasync, rename, sync of the folder). It also remembers the number of a segment that is known to
 * exist, which tells a folder whose journal was restored from an older copy.
 */
#include "journal/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "journal/crc32c.h"
#include "runtime/failpoint.h"

#define ID_PATH      "id"
#define ID_TEMPORARY "id.tmp"
#define FORMAT       1

/* Everything but the line with the checksum. */
static int format_body(const struct identity *id, char *text, size_t size)
{
	char hex[2 * JOURNAL_UUID_LEN + 1];
	for (size_t i = 0; i < JOURNAL_UUID_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->uuid[i]);
	return snprintf(text, size, "linkspan data folder\nformat %d\nuuid %s\nsegment %" PRIu64 "\n", FORMAT, hex,
		id->segment);
}

static int parse(const char *text, struct identity *id)
{
	int format = 0, at = 0;
	char hex[2 * JOURNAL_UUID_LEN + 1];
	if (sscanf(text, "linkspan data folder\nformat %d\n%n", &format, &at) != 1 || at == 0)
		return -EBADMSG;
	unsigned crc;
	if (sscanf(text + at, "uuid %32[0-9a-f]\nsegment %" SCNu64 "\ncrc32c %x", hex, &id->segment, &crc) != 3 ||
		strlen(hex) != 2 * JOURNAL_UUID_LEN)
		return format > FORMAT && format < 1000 ? -ENOTSUP : -EBADMSG;
	for (size_t i = 0; i < JOURNAL_UUID_LEN; i++) {
		unsigned byte;
		sscanf(hex + 2 * i, "%2x", &byte);
		id->uuid[i] = (uint8_t)byte;
	}
	const char *last = strstr(text, "crc32c ");
	if (crc32c(0, text, (size_t)(last - text)) != crc)
		return -EBADMSG;
	return format == FORMAT ? 0 : -ENOTSUP;
}

int identity_read(struct disk *disk, struct identity *ret_id)
{
	int handle = disk->ops->open(disk, ID_PATH, DISK_READ);
	if (handle < 0)
		return handle;
	char text[512];
	ssize_t n = disk->ops->pread(disk, handle, text, sizeof text - 1, 0);
	disk->ops->close(disk, handle);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	struct identity id;
	int r = parse(text, &id);
	if (r == 0)
		*ret_id = id;
	return r;
}

static int write_text(struct disk *disk, const char *text, size_t len)
{
	FAILPOINT("journal.before_id_unlink");
	disk->ops->unlink(disk, ID_TEMPORARY); /* of an earlier try */
	FAILPOINT("journal.after_id_unlink");
	int handle = disk->ops->open(disk, ID_TEMPORARY, DISK_WRITE | DISK_CREATE);
	if (handle < 0)
		return handle;
	FAILPOINT("journal.before_id_write");
	int r = disk->ops->pwrite(disk, handle, text, len, 0);
	FAILPOINT("journal.before_id_fdatasync");
	if (r == 0)
		r = disk->ops->fdatasync(disk, handle);
	FAILPOINT("journal.after_id_fdatasync");
	disk->ops->close(disk, handle);
	return r;
}

int identity_write(struct disk *disk, const struct identity *id)
{
	char text[512];
	int len = format_body(id, text, sizeof text);
	len += snprintf(text + len, sizeof text - (size_t)len, "crc32c %08x\n", crc32c(0, text, (size_t)len));
	int r = write_text(disk, text, (size_t)len);
	FAILPOINT("journal.before_id_rename");
	if (r == 0)
		r = disk->ops->rename(disk, ID_TEMPORARY, ID_PATH);
	FAILPOINT("journal.after_id_rename");
	if (r == 0)
		r = disk->ops->sync_dir(disk, "");
	FAILPOINT("journal.after_id_sync_dir");
	return r;
}
