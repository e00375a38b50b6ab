/* SPDX-License-Identifier: Apache-2.0
 *
 * `linkspan journal dump DATA_DIR`: prints what is in a journal, segment by segment, group by group, frame by frame, and
 * where it is damaged; then overflow logs and dead letters. It takes no lock and writes nothing, so it can look at the journal of a running daemon; the last
 * groups may then be half written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "journal/clocks.h"
#include "journal/identity.h"
#include "journal/journal.h"
#include "journal/keys.h"
#include "journal/overflow.h"
#include "journal/segment.h"
#include "message/endian.h"

#define DEAD_HEADER_LEN 16u

struct dump_segment {
	uint64_t file;
	struct segment_header header;
	uint64_t size;
};

struct dump {
	struct disk *disk;
	struct dump_segment *segments;
	size_t n, capacity;
	bool damaged;
};

/* --- frames --------------------------------------------------------------------------------------------------------- */

static void print_text(const char *key, struct slice text)
{
	if (!text.data)
		return;
	printf(" %s=\"", key);
	for (size_t i = 0; i < text.len && i < 200; i++) {
		uint8_t c = text.data[i];
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
	printf("\"");
}

static void print_number(const char *key, uint64_t value)
{
	if (value)
		printf(" %s=%" PRIu64, key, value);
}

static bool is_of_source(const struct frame *frame)
{
	return (frame->type >= FRAME_OPEN && frame->type <= FRAME_POSITION) || frame->type == FRAME_OPEN_IDS ||
	       (frame->type == FRAME_REGISTER && frame->flags & FRAME_IS_SOURCE);
}

static bool is_of_dest(const struct frame *frame)
{
	static const uint8_t types[] = {FRAME_MSG, FRAME_STAGE, FRAME_BATCH, FRAME_DONE, FRAME_DEAD, FRAME_FINISHED,
		FRAME_REGISTER, FRAME_DROP, FRAME_OUTBOX, FRAME_STAGES, FRAME_BATCHES, FRAME_TOTALS, FRAME_DROPPED,
		FRAME_PAUSE, FRAME_OVERFLOW, FRAME_VALUE};
	return !is_of_source(frame) && memchr(types, frame->type, sizeof types);
}

static void print_ranges(struct slice body)
{
	printf(" ranges=");
	for (size_t at = 0; at + 16 <= body.len; at += 16) {
		struct slice range = slice_of(body.data + at, 16);
		uint64_t first = 0, last = 0;
		for (size_t i = 8; i; i--) {
			first = first << 8 | range.data[i - 1];
			last = last << 8 | range.data[i + 7];
		}
		printf("%s%" PRIu64 "-%" PRIu64, at ? "," : "", first, last);
	}
}

static void print_hex(const char *key, struct slice bytes)
{
	printf(" %s=", key);
	for (size_t i = 0; i < bytes.len; i++)
		printf("%02x", bytes.data[i]);
}

static void print_totals(struct slice body)
{
	for (size_t i = 0; i < JOURNAL_N_TOTALS && i < body.len / 8; i++)
		print_number(journal_total_name((enum journal_total)i), get_u64(body.data + i * 8));
}

/* What a DONE or a DROPPED says of what has become of the messages. */
static bool has_reason(const struct frame *frame)
{
	return frame->type == FRAME_DROPPED || (frame->type == FRAME_DONE && frame->stage);
}

static void print_clocks(struct slice body)
{
	struct clocks_entry entry;
	for (size_t at = 0; at + CLOCKS_ENTRY_LEN <= body.len; at += CLOCKS_ENTRY_LEN) {
		if (clocks_decode(body.data + at, &entry) < 0)
			continue;
		printf(" boot=");
		for (size_t i = 0; i < CLOCKS_BOOT_LEN; i++)
			printf("%02x", entry.boot[i]);
		printf(" first_lsn=%" PRIu64 " offset_ms=%" PRId64 " last_ms=%" PRId64 " most_ms=%" PRId64,
			entry.first_lsn, entry.offset_ms, entry.last_ms, entry.most_ms);
	}
}

static void print_files(struct slice body)
{
	for (size_t at = 0; at + 24 <= body.len; at += 24)
		printf(" file=%" PRIu64 " first_seq=%" PRIu64 " bytes=%" PRIu64, get_u64(body.data + at),
			get_u64(body.data + at + 8), get_u64(body.data + at + 16));
}

static void print_value(struct slice body)
{
	struct message *msg;
	printf(" body=%zu", body.len);
	if (message_decode(body, &msg) < 0)
		return;
	print_text("topic", message_view(msg)->topic);
	printf("%s", message_view(msg)->payload.data ? "" : " removed");
	message_unref(msg);
}

static const char *seq_key(const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_OUTBOX:
		return "next_seq";
	case FRAME_BATCH:
		return "first";
	case FRAME_OVERFLOW:
		return "end_seq";
	default:
		return "seq";
	}
}

static void print_fields(const struct frame *frame)
{
	if (is_of_dest(frame))
		printf(" destination=%" PRIu64, frame->dest);
	if (is_of_source(frame))
		printf(" source=%" PRIu64, frame->source);
	bool outbox = frame->type == FRAME_OUTBOX, base = frame->type == FRAME_BASE;
	if (base)
		printf(" destinations=%" PRIu64 " sources=%" PRIu64, frame->dest, frame->source);
	print_number(seq_key(frame), frame->seq);
	print_number(outbox ? "oldest_undone" : "last", frame->last);
	print_number(frame->type == FRAME_KEY ? "expires_ms" : "position", frame->position);
	print_number("id", frame->id);
	print_number("hash", frame->hash);
	if (has_reason(frame))
		printf(" why=%s", journal_total_name((enum journal_total)frame->stage));
	else
		print_number("stage", frame->stage);
	if (frame->type == FRAME_PAUSE)
		printf(" paused=%s", frame->count ? "yes" : "no");
	else
		print_number(outbox ? "waiting" : frame->type == FRAME_DROPPED ? "count" : "attempts", frame->count);
	print_number("bytes", frame->bytes);
	print_number("time_ms", frame->time_ms);
	print_text(frame->type == FRAME_DEAD ? "reason" : "name", frame->name);
	if (frame->uuid.data)
		print_hex("uuid", frame->uuid);
	if (frame->type == FRAME_DONE || outbox || frame->type == FRAME_BATCHES)
		print_ranges(frame->body);
	else if (frame->type == FRAME_TOTALS)
		print_totals(frame->body);
	else if (frame->type == FRAME_POSITION)
		print_text("partition", frame->body);
	else if (frame->type == FRAME_DEAD && !frame->name.data)
		print_text("reason", frame->body);
	else if (frame->type == FRAME_CLOCK)
		print_clocks(frame->body);
	else if (frame->type == FRAME_OVERFLOW)
		print_files(frame->body);
	else if (frame->type == FRAME_SEQUENCE)
		print_hex("stream", frame->body);
	else if (frame->type == FRAME_KEY)
		print_hex("key", frame->body);
	else if (frame->type == FRAME_VALUE)
		print_value(frame->body);
	else if (frame->type == FRAME_KEYS)
		print_number("keys", frame->body.len / KEYS_ENTRY_LEN);
	else if (frame->body.len)
		printf(" body=%zu", frame->body.len);
}

static void print_frame(const struct frame *frame, uint64_t offset)
{
	printf("    %10" PRIu64 " lsn=%" PRIu64 " %s length=%" PRIu32, offset, frame->lsn, frame_type_name(frame->type),
		frame->length);
	print_fields(frame);
	printf("%s\n", frame->flags & FRAME_SET_END ? " ." : "");
	struct slice records = frame->body;
	struct frame record;
	while (frame->type == FRAME_CHECKPOINT && frame_next_record(&records, &record) > 0) {
		printf("               %s", frame_type_name(record.type));
		print_fields(&record);
		printf("\n");
	}
}

/* --- segments -------------------------------------------------------------------------------------------------------- */

/* Prints the frames from offset until one is not whole. Returns where it stopped. */
static uint64_t print_frames(struct scan *scan, uint64_t offset, uint64_t end)
{
	struct frame frame;
	while (offset < end && scan_frame(scan, offset, &frame) == 0) {
		if (frame.type == FRAME_COMMIT)
			return offset;
		print_frame(&frame, offset);
		offset += frame.length;
	}
	return offset;
}

static void print_group(struct scan *scan, const struct scan_group *group)
{
	printf("  %10" PRIu64 " group lsn=%" PRIu64 "-%" PRIu64 " frames=%" PRIu64 " bytes=%" PRIu64 "\n",
		group->offset, group->first_lsn, group->last_lsn, group->frames, group->end - group->offset);
	print_frames(scan, group->offset, group->end);
}

/* followed: the segment with the next number is there too. */
static void print_groups(
	struct dump *dump, struct scan *scan, const struct dump_segment *seg, uint64_t end_lsn, bool followed)
{
	uint64_t offset = SEGMENT_BLOCK, expected = seg->header.base_lsn;
	while (expected < end_lsn) {
		struct scan_group group;
		int r = scan_group(scan, offset, &group);
		if (r == 0 && group.first_lsn == expected && group.last_lsn < end_lsn) {
			print_group(scan, &group);
			offset = group.end;
			expected = group.last_lsn + 1;
			continue;
		}
		uint64_t next;
		bool more = scan_resync(scan, offset + 1, expected + 1, end_lsn, &next) == 0;
		if (!more && end_lsn == UINT64_MAX) {
			printf("  %10" PRIu64 " end of the journal, after lsn %" PRIu64 "\n", offset, expected - 1);
			return;
		}
		if (!more && !followed) {
			printf("  %10" PRIu64 " end, after lsn %" PRIu64 "; the segments after it were used again\n",
				offset, expected - 1);
			return;
		}
		dump->damaged = true;
		printf("  %10" PRIu64 " DAMAGE: no whole group with lsn %" PRIu64 "; what is readable of it:\n", offset,
			expected);
		print_frames(scan, offset, more ? next : seg->size);
		if (!more)
			return;
		struct frame frame;
		if (scan_frame(scan, next, &frame) < 0)
			return;
		offset = next;
		expected = frame.lsn;
	}
	printf("  %10" PRIu64 " end of the segment, after lsn %" PRIu64 "\n", offset, expected - 1);
}

static int print_segment(struct dump *dump, const struct dump_segment *seg, const struct dump_segment *next)
{
	char path[SEGMENT_PATH_LEN];
	segment_path(path, seg->file);
	printf("%s: segment %" PRIu64 " base_lsn=%" PRIu64 " bytes=%" PRIu64 " salt=%016" PRIx64 "\n", path,
		seg->header.number, seg->header.base_lsn, seg->size, seg->header.salt);
	int handle = dump->disk->ops->open(dump->disk, path, DISK_READ);
	if (handle < 0)
		return handle;
	struct scan scan = {0};
	scan_begin(&scan, dump->disk, handle, seg->header.salt, seg->size);
	print_groups(dump, &scan, seg, next ? next->header.base_lsn : UINT64_MAX,
		next && next->header.number == seg->header.number + 1);
	scan_end(&scan);
	dump->disk->ops->close(dump->disk, handle);
	return 0;
}

static int compare_segments(const void *a, const void *b)
{
	const struct dump_segment *one = a, *two = b;
	return one->header.number < two->header.number ? -1 : one->header.number > two->header.number;
}

static int add_file(const char *name, void *arg)
{
	struct dump *dump = arg;
	struct dump_segment seg;
	if (segment_parse_name(name, &seg.file) < 0)
		return 0;
	char path[SEGMENT_PATH_LEN];
	segment_path(path, seg.file);
	int handle = dump->disk->ops->open(dump->disk, path, DISK_READ);
	if (handle < 0)
		return handle == -ENOENT ? 0 : handle;
	int r = segment_read_header(dump->disk, handle, SEGMENT_JOURNAL, &seg.header);
	int64_t size = dump->disk->ops->size(dump->disk, handle);
	dump->disk->ops->close(dump->disk, handle);
	seg.size = size > 0 ? (uint64_t)size : 0;
	if (r == -ENODATA) {
		printf("%s: spare, %" PRIu64 " bytes\n", path, seg.size);
		return 0;
	}
	if (r < 0) {
		dump->damaged |= r == -EBADMSG;
		printf("%s: %s\n", path,
			r == -EBADMSG   ? "DAMAGE: the header is not readable"
			: r == -ENOTSUP ? "written by a newer linkspan"
					: strerror(-r));
		return 0;
	}
	if (dump->n == dump->capacity) {
		size_t capacity = dump->capacity ? dump->capacity * 2 : 16;
		struct dump_segment *segments = realloc(dump->segments, capacity * sizeof *segments);
		if (!segments)
			return -ENOMEM;
		dump->segments = segments;
		dump->capacity = capacity;
	}
	dump->segments[dump->n++] = seg;
	return 0;
}

static void print_identity(struct dump *dump)
{
	struct identity id;
	int r = identity_read(dump->disk, &id);
	if (r < 0) {
		printf("id: %s\n", r == -EBADMSG ? "DAMAGE: not readable" : strerror(-r));
		dump->damaged |= r == -EBADMSG;
		return;
	}
	printf("id: uuid=");
	for (size_t i = 0; i < JOURNAL_UUID_LEN; i++)
		printf("%02x", id.uuid[i]);
	printf(" segment>=%" PRIu64 "\n", id.segment);
}

/* --- overflow logs ---------------------------------------------------------------------------------------------------- */

/* What destinations have outside of the journal. */
struct folder_dump {
	struct dump *dump;
	const char *folder;
};

/* How much of a file counts only the journal says; behind that may stand the rest of what was never finished. */
static void print_overflow_frames(struct scan *scan)
{
	struct frame frame;
	uint64_t offset = SEGMENT_BLOCK, at = offset;
	int r;
	while ((r = overflow_next(scan, &offset, &frame)) == 1 || r == -EBADMSG) {
		if (r == 1)
			print_frame(&frame, offset - frame.length);
		else
			printf("  %10" PRIu64 " not readable up to %" PRIu64 ": unfinished, or damaged\n", at, offset);
		at = offset;
	}
	if (r < 0)
		printf("  %10" PRIu64 " %s\n", offset, strerror(-r));
}

static int print_overflow_file(const char *name, void *arg)
{
	const struct folder_dump *overflow = arg;
	struct disk *disk = overflow->dump->disk;
	char path[1024];
	snprintf(path, sizeof path, OVERFLOW_ROOT "/%s/%s", overflow->folder, name);
	int handle = disk->ops->open(disk, path, DISK_READ);
	if (handle < 0)
		return 0;
	struct segment_header header;
	int r = segment_read_header(disk, handle, SEGMENT_OVERFLOW, &header);
	int64_t size = disk->ops->size(disk, handle);
	if (r < 0) {
		printf("%s: no whole header: unfinished, or damaged\n", path);
	} else {
		printf("%s: overflow log, file %" PRIu64 " first_seq=%" PRIu64 " bytes=%" PRId64, path, header.number,
			header.base_lsn, size);
		print_hex("destination_uuid", slice_of(header.uuid, JOURNAL_UUID_LEN));
		printf("\n");
		struct scan scan = {0};
		scan_begin(&scan, disk, handle, header.salt, size > 0 ? (uint64_t)size : 0);
		print_overflow_frames(&scan);
		scan_end(&scan);
	}
	disk->ops->close(disk, handle);
	return 0;
}

static int print_overflow_folder(const char *name, void *arg)
{
	struct folder_dump overflow = {arg, name};
	char path[1024];
	snprintf(path, sizeof path, OVERFLOW_ROOT "/%s", name);
	overflow.dump->disk->ops->list(overflow.dump->disk, path, print_overflow_file, &overflow);
	return 0;
}

/* --- dead letters ------------------------------------------------------------------------------------------------------ */

static int print_dead_file(const char *name, void *arg)
{
	const struct folder_dump *dead = arg;
	struct disk *disk = dead->dump->disk;
	char path[1024];
	snprintf(path, sizeof path, "dead/%s/%s", dead->folder, name);
	int handle = disk->ops->open(disk, path, DISK_READ);
	if (handle < 0)
		return 0;
	int64_t size = disk->ops->size(disk, handle);
	printf("%s: dead letters, %" PRId64 " bytes\n", path, size);
	struct scan scan = {0};
	scan_begin(&scan, disk, handle, 0, size > 0 ? (uint64_t)size : 0);
	for (uint64_t at = DEAD_HEADER_LEN; (at = print_frames(&scan, at, scan.limit)) < scan.limit;) {
		uint64_t next = scan_past_damage(&scan, at, FRAME_DEAD);
		printf("  %10" PRIu64 " %" PRIu64
		       " bytes are not readable: unfinished when the process ended, or damaged\n",
			at, next - at);
		at = next;
	}
	scan_end(&scan);
	disk->ops->close(disk, handle);
	return 0;
}

static int print_dead_folder(const char *name, void *arg)
{
	struct folder_dump dead = {arg, name};
	char path[1024];
	snprintf(path, sizeof path, "dead/%s", name);
	dead.dump->disk->ops->list(dead.dump->disk, path, print_dead_file, &dead);
	return 0;
}

/* --- command ------------------------------------------------------------------------------------------------------------- */

static int dump_folder(struct disk *disk)
{
	struct dump dump = {.disk = disk};
	print_identity(&dump);
	int r = disk->ops->list(disk, "journal", add_file, &dump);
	if (dump.n)
		qsort(dump.segments, dump.n, sizeof *dump.segments, compare_segments);
	for (size_t i = 0; r == 0 && i < dump.n; i++)
		r = print_segment(&dump, &dump.segments[i], i + 1 < dump.n ? &dump.segments[i + 1] : NULL);
	disk->ops->list(disk, OVERFLOW_ROOT, print_overflow_folder, &dump);
	disk->ops->list(disk, "dead", print_dead_folder, &dump);
	free(dump.segments);
	if (r < 0)
		fprintf(stderr, "linkspan journal dump: %s\n", strerror(-r));
	else if (dump.damaged)
		fprintf(stderr, "linkspan journal dump: the journal is damaged, see the lines with DAMAGE\n");
	return r < 0 || dump.damaged;
}

const struct cli_command cli_journal_commands[] = {
	{.name = "dump", .arguments = "DATA_DIR", .help = "explain what lies in a data folder", .places = {CLI_FOLDER}},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan journal dump DATA_DIR\n\n"
	      "Explains what lies in the journal, the overflow logs and among the dead letters of a data folder,\n"
	      "without changing it.\n"
	      "Exit status 1 when something is damaged or cannot be read.\n",
		out);
}

int cli_journal(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout);
			return 0;
		}
	if (argc != 3 || strcmp(argv[1], "dump") != 0) {
		usage(stderr);
		return 2;
	}
	/* disk_posix_new would make a folder that is not there. */
	struct stat st;
	bool there = stat(argv[2], &st) == 0;
	if (there && !S_ISDIR(st.st_mode)) {
		fprintf(stderr,
			"linkspan journal dump: %s is no folder; name the one that data_dir of a configuration names\n",
			argv[2]);
		return 1;
	}
	struct disk *disk = there ? disk_posix_new(argv[2]) : NULL;
	if (!disk) {
		fprintf(stderr, "linkspan journal dump: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	int status = dump_folder(disk);
	disk_posix_free(disk);
	return status;
}
