/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal does not grow because one destination is away: when more segments are in use than it may have, the oldest
 * that is still needed is spilled. What is undone in it is copied, packed, to the overflow log of its destination; once
 * the copies are durable an OVERFLOW frame says so, and once that is durable too the segment is used again.
 *
 * The loop decides and settles; the prepare thread copies. One spill at a time. A crash before the OVERFLOW frame is
 * durable leaves files that no frame names: they are removed at the next start, the segment still has everything. An
 * overflow file is removed when all that is in it is done by frames that are durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "journal/overflow.h"
#include "journal/walk.h"
#include "message/endian.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

/* What one destination has in the segments of a spill. */
struct spill_dest {
	char *name;
	uint8_t uuid[JOURNAL_UUID_LEN];
	uint64_t first, end; /* undone seqs in [first, end) are copied */
	struct ranges done; /* between */
	uint64_t next_file; /* number for a fresh one */
	struct state_overflow_file append_to; /* file 0: none */
	struct overflow_writer writer;
	struct state_overflow_file *files; /* written, by number; the first may be append_to with more bytes */
	size_t n_files, capacity;
	bool fresh_names; /* files were created */
};

struct spill_segment {
	uint64_t file, number, salt, base_lsn, end_lsn, limit;
	struct segment *pinned;
	bool hole; /* behind it: it may end before end_lsn */
};

struct spill {
	struct journal *j;
	uint64_t file_bytes; /* a file is full at this size */
	struct spill_segment *segments;
	size_t n_segments;
	struct spill_dest *dests; /* by number; name NULL: nothing to copy */
	size_t n_dests;
	struct scan scan;
	uint64_t messages, bytes;
	int error;
};

/* --- the prepare thread's half
 * ---------------------------------------------------------------------------------------- */

static int make_folder(struct spill *spill, const struct spill_dest *dest)
{
	struct disk *disk = spill->j->disk;
	char path[FOLDER_PATH_LEN];
	folder_path(OVERFLOW_ROOT, dest->name, path, sizeof path);
	int r = disk->ops->mkdir(disk, path);
	return r < 0 ? r : disk->ops->sync_dir(disk, OVERFLOW_ROOT);
}

static int note_file(struct spill_dest *dest, struct state_overflow_file file)
{
	if (dest->n_files == dest->capacity) {
		size_t capacity = dest->capacity ? 2 * dest->capacity : 4;
		struct state_overflow_file *files = realloc(dest->files, capacity * sizeof *files);
		if (!files)
			return -ENOMEM;
		dest->files = files;
		dest->capacity = capacity;
	}
	dest->files[dest->n_files++] = file;
	return 0;
}

static int begin_file(struct spill *spill, struct spill_dest *dest, uint64_t seq)
{
	struct disk *disk = spill->j->disk;
	if (dest->append_to.file && dest->n_files == 0) {
		int r = note_file(dest, dest->append_to);
		return r < 0 ? r
			     : overflow_append(
				       &dest->writer, disk, dest->name, dest->append_to.file, dest->append_to.bytes);
	}
	int r = dest->fresh_names ? 0 : make_folder(spill, dest);
	if (r == 0)
		r = note_file(dest, (struct state_overflow_file){.first_seq = seq});
	if (r < 0)
		return r;
	dest->fresh_names = true;
	do { /* a name that is there belongs to what was dropped, and goes soon */
		dest->files[dest->n_files - 1].file = dest->next_file;
		r = overflow_create(&dest->writer, disk, dest->name, dest->uuid, dest->next_file++, seq);
	} while (r == -EEXIST);
	return r;
}

static int end_file(struct spill_dest *dest)
{
	if (dest->writer.handle < 0)
		return 0;
	int r = overflow_finish(&dest->writer, &dest->files[dest->n_files - 1].bytes);
	overflow_close(&dest->writer);
	return r;
}

static int copy_message(struct spill *spill, struct spill_dest *dest, const struct frame *frame, const uint8_t *bytes)
{
	if (dest->writer.handle >= 0 && dest->writer.offset + dest->writer.chunk.len >= spill->file_bytes) {
		int r = end_file(dest);
		if (r < 0)
			return r;
	}
	if (dest->writer.handle < 0) {
		int r = begin_file(spill, dest, frame->seq);
		if (r < 0)
			return r;
	}
	spill->messages++;
	spill->bytes += frame->length;
	return overflow_put(&dest->writer, bytes, frame->length);
}

static struct spill_dest *wants(const struct spill *spill, const struct frame *frame)
{
	if (frame->type != FRAME_MSG || frame->dest >= spill->n_dests)
		return NULL;
	struct spill_dest *dest = &spill->dests[frame->dest];
	bool undone = dest->name && frame->seq >= dest->first && frame->seq < dest->end &&
		      !ranges_has(&dest->done, frame->seq);
	return undone ? dest : NULL;
}

static int copy_segment(struct spill *spill, const struct spill_segment *seg)
{
	struct disk *disk = spill->j->disk;
	char path[SEGMENT_PATH_LEN];
	segment_path(path, seg->file);
	int handle = disk->ops->open(disk, path, DISK_READ);
	if (handle == -ENOENT)
		log_error("journal_damage",
			"segment=%" PRIu64 " file=%s what=\"the file of a segment is missing; what waited in it is "
			"reported when it is read\"",
			seg->number, path);
	if (handle < 0)
		return handle == -ENOENT ? 0 : handle;
	scan_begin(&spill->scan, disk, handle, seg->salt, seg->limit);
	struct walk walk = {
		.scan = &spill->scan, .offset = SEGMENT_BLOCK, .lsn = seg->base_lsn, .end_lsn = seg->end_lsn};
	struct frame frame;
	int r;
	while ((r = walk_next(&walk, &frame)) != 0) {
		struct spill_dest *dest = r > 0 ? wants(spill, &frame) : NULL;
		if (r < 0 && r != -EBADMSG)
			break;
		/* What is missing is noticed when it is read; the segment goes, so a copy stays. */
		if (r < 0 && !(seg->hole && walk_ended(&walk)))
			quarantine_segment(spill->j, seg->file, seg->number);
		r = dest ? copy_message(spill, dest, &frame, scan_bytes(&spill->scan, walk.offset - frame.length)) : 0;
		if (r < 0)
			break;
	}
	disk->ops->close(disk, handle);
	return r;
}

static int sync_names(struct spill *spill, const struct spill_dest *dest)
{
	char path[FOLDER_PATH_LEN];
	folder_path(OVERFLOW_ROOT, dest->name, path, sizeof path);
	FAILPOINT("journal.before_overflow_sync_dir");
	int r = spill->j->disk->ops->sync_dir(spill->j->disk, path);
	FAILPOINT("journal.after_overflow_sync_dir");
	return r;
}

void spill_work(struct spill *spill)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < spill->n_segments; i++)
		r = copy_segment(spill, &spill->segments[i]);
	for (size_t i = 0; r == 0 && i < spill->n_dests; i++) {
		struct spill_dest *dest = &spill->dests[i];
		if (!dest->n_files)
			continue;
		r = end_file(dest);
		if (r == 0 && dest->fresh_names)
			r = sync_names(spill, dest);
	}
	for (size_t i = 0; i < spill->n_dests; i++)
		overflow_close(&spill->dests[i].writer);
	scan_end(&spill->scan);
	spill->error = r;
}

/* --- the loop's half: deciding
 * ---------------------------------------------------------------------------------------- */

void spill_free(struct spill *spill)
{
	if (!spill)
		return;
	for (size_t i = 0; i < spill->n_dests; i++) {
		free(spill->dests[i].name);
		ranges_clear(&spill->dests[i].done);
		free(spill->dests[i].files);
	}
	free(spill->dests);
	free(spill->segments);
	free(spill);
}

/* Nothing of the destination below it is wanted from the segments. */
static uint64_t floor_of(const struct state_dest *dest)
{
	return dest->oldest_undone > dest->overflow_end ? dest->oldest_undone : dest->overflow_end;
}

static int copy_done(struct spill_dest *to, const struct state_dest *from)
{
	int r = 0;
	for (size_t i = ranges_find(&from->done, to->first); r == 0 && i < from->done.n; i++) {
		uint64_t added;
		if (from->done.v[i].first >= to->end)
			break;
		r = ranges_add(&to->done, from->done.v[i].first, from->done.v[i].last, &added);
	}
	return r;
}

/* What `from` has undone in the segments before the one that begins with its seq `end`. */
static int fill_dest(struct spill_dest *to, const struct state_dest *from, uint64_t end)
{
	to->writer.handle = -1;
	to->first = floor_of(from);
	to->end = end;
	if (!from->name || to->first >= end)
		return 0;
	to->name = strdup(from->name);
	if (!to->name)
		return -ENOMEM;
	memcpy(to->uuid, from->uuid, JOURNAL_UUID_LEN);
	to->next_file = from->overflow_next_file ? from->overflow_next_file : 1;
	if (from->overflow.n && from->overflow.v[from->overflow.n - 1].file == from->overflow_own_file)
		to->append_to = from->overflow.v[from->overflow.n - 1];
	return copy_done(to, from);
}

static int fill_dests(struct spill *spill, const struct segment *later)
{
	const struct state *state = &spill->j->state;
	spill->dests = calloc(later->n_starts + 1, sizeof *spill->dests);
	if (!spill->dests)
		return -ENOMEM;
	spill->n_dests = later->n_starts < state->n_dests ? later->n_starts : state->n_dests;
	int r = 0;
	for (size_t i = 0; r == 0 && i < spill->n_dests; i++) {
		r = fill_dest(&spill->dests[i], &state->dests[i], later->starts[i]);
		if (spill->dests[i].append_to.bytes >= spill->file_bytes)
			spill->dests[i].append_to.file = 0;
	}
	return r;
}

/* Pins the segments from `oldest` to before `later`. */
static int fill_segments(struct spill *spill, struct segment *oldest, const struct segment *later)
{
	size_t n = 0;
	for (const struct segment *seg = oldest; seg != later; seg = seg->next)
		n++;
	spill->segments = calloc(n, sizeof *spill->segments);
	if (!spill->segments)
		return -ENOMEM;
	for (struct segment *seg = oldest; seg != later; seg = seg->next) {
		seg->pins++;
		spill->segments[spill->n_segments++] = (struct spill_segment){.file = seg->file,
			.number = seg->number,
			.salt = seg->salt,
			.base_lsn = seg->base_lsn,
			.end_lsn = seg->end_lsn,
			.limit = seg->limit,
			.pinned = seg,
			.hole = seg->next->number != seg->number + 1};
	}
	return 0;
}

static void unpin(const struct spill *spill)
{
	for (size_t i = 0; i < spill->n_segments; i++)
		spill->segments[i].pinned->pins--;
}

static struct spill *new_spill(struct journal *j, struct segment *oldest, const struct segment *later)
{
	struct spill *spill = calloc(1, sizeof *spill);
	if (!spill)
		return NULL;
	spill->j = j;
	spill->file_bytes = j->segment_bytes / 4;
	int r = fill_dests(spill, later);
	if (r == 0)
		r = fill_segments(spill, oldest, later);
	if (r == 0)
		return spill;
	spill_free(spill);
	return NULL;
}

/* The oldest segment that some destination wants a message from, and the next one whose starts are known: what is between
 * them goes together. Lock held. */
static bool find_oldest(const struct journal *j, struct segment **ret_seg, const struct segment **ret_later)
{
	for (struct segment *seg = j->segments; seg; seg = seg->next) {
		const struct segment *later = prepare_next_known(seg);
		for (size_t i = 0; later && i < later->n_starts && i < j->state.n_dests; i++) {
			const struct state_dest *dest = &j->state.dests[i];
			if (dest->name && prepare_has_any(seg, later, i) && floor_of(dest) < later->starts[i]) {
				*ret_seg = seg;
				*ret_later = later;
				return true;
			}
		}
	}
	return false;
}

void spill_consider(struct journal *j)
{
	if (loop_timer_running(j->spill_timer) || j->spilled_lsn > j->reported_lsn)
		return;
	journal_lock(j);
	struct segment *oldest;
	const struct segment *later;
	if (!j->spill && !j->spill_done && j->n_segments > j->max_segments && find_oldest(j, &oldest, &later)) {
		j->spill = new_spill(j, oldest, later);
		if (j->spill)
			pthread_cond_signal(&j->prepare_wake);
	}
	journal_unlock(j);
}

/* --- the loop's half: settling
 * ---------------------------------------------------------------------------------------- */

/* A file that no frame names, or will name any more; it goes when everything appended so far is durable. */
static void discard_file(struct journal *j, const char *destination, uint64_t file)
{
	struct doomed *doomed = calloc(1, sizeof *doomed);
	if (!doomed)
		return; /* found again at the next start */
	overflow_path(destination, file, doomed->path);
	doomed->lsn = j->appended_lsn;
	struct doomed **link = &j->doomed;
	while (*link)
		link = &(*link)->next;
	*link = doomed;
}

void spill_durable(struct journal *j)
{
	while (j->doomed && j->doomed->lsn <= j->reported_lsn) {
		struct doomed *doomed = j->doomed;
		j->doomed = doomed->next;
		journal_lock(j);
		doomed->next = j->doomed_files;
		j->doomed_files = doomed;
		pthread_cond_signal(&j->prepare_wake);
		journal_unlock(j);
	}
}

/* A file that a spill goes on writing is not released: it will have something undone again. */
static bool is_written(const struct spill *spill, size_t dest, uint64_t file)
{
	return spill && dest < spill->n_dests && spill->dests[dest].append_to.file == file;
}

void spill_release_files(struct journal *j)
{
	journal_lock(j);
	const struct spill *spill = j->spill ? j->spill : j->spill_done;
	journal_unlock(j);
	for (size_t i = 0; i < j->state.n_dests; i++) {
		struct state_dest *dest = &j->state.dests[i];
		uint64_t file;
		while (dest->name && dest->overflow.n && !is_written(spill, i, dest->overflow.v[0].file) &&
			state_release_overflow(dest, &file))
			discard_file(j, dest->name, file);
	}
}

int spill_files_of(const struct journal *j, uint32_t number, struct spill_files *ret_files)
{
	const struct state_dest *dest = state_dest(&j->state, number);
	size_t n = dest->overflow.n;
	*ret_files = (struct spill_files){
		.name = strdup(dest->name), .v = malloc((n + 1) * sizeof *dest->overflow.v), .n = n};
	if (!ret_files->name || !ret_files->v)
		return -ENOMEM;
	if (n)
		memcpy(ret_files->v, dest->overflow.v, n * sizeof *ret_files->v);
	return 0;
}

void spill_files_end(struct journal *j, struct spill_files *files, bool dropped)
{
	for (size_t i = 0; dropped && i < files->n; i++)
		discard_file(j, files->name, files->v[i].file);
	free(files->name);
	free(files->v);
}

static void discard_files(struct journal *j, const struct spill_dest *from)
{
	for (size_t k = 0; k < from->n_files; k++)
		if (from->files[k].file != from->append_to.file)
			discard_file(j, from->name, from->files[k].file);
}

/* What could not be used of it. Of a file that was appended to only the durable part counts: nothing is appended to it
 * again. */
static void discard(struct journal *j, const struct spill *spill)
{
	for (size_t i = 0; i < spill->n_dests; i++) {
		const struct spill_dest *from = &spill->dests[i];
		struct state_dest *dest = state_dest(&j->state, i);
		if (dest && from->next_file > dest->overflow_next_file)
			dest->overflow_next_file = from->next_file;
		if (dest && from->n_files)
			dest->overflow_own_file = 0;
		discard_files(j, from);
	}
}

/* The OVERFLOW frame of one destination; its body is *ret_body, to be freed. */
static int make_frame(const struct state_dest *dest, uint64_t number, const struct spill_dest *from,
	struct frame *frame, uint8_t **ret_body)
{
	const struct state_overflow *overflow = &dest->overflow;
	size_t kept = overflow->n;
	if (kept && from->n_files && overflow->v[kept - 1].file == from->files[0].file)
		kept--;
	size_t n = kept + from->n_files;
	uint8_t *body = malloc(n * 24 + 1);
	if (!body)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct state_overflow_file *file = i < kept ? &overflow->v[i] : &from->files[i - kept];
		put_u64(body + i * 24, file->file);
		put_u64(body + i * 24 + 8, file->first_seq);
		put_u64(body + i * 24 + 16, file->bytes);
	}
	*ret_body = body;
	*frame = (struct frame){
		.type = FRAME_OVERFLOW, .dest = number, .seq = from->end, .body = slice_of(body, n * 24)};
	return 0;
}

static int append_frames_of(struct journal *j, const struct spill *spill)
{
	size_t n = 0;
	struct frame *frames = calloc(spill->n_dests + 1, sizeof *frames);
	uint8_t **bodies = calloc(spill->n_dests + 1, sizeof *bodies);
	int r = frames && bodies ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < spill->n_dests; i++) {
		const struct spill_dest *from = &spill->dests[i];
		const struct state_dest *dest = state_dest(&j->state, i);
		if (!from->name || !dest || memcmp(dest->uuid, from->uuid, JOURNAL_UUID_LEN) != 0)
			continue;
		r = make_frame(dest, i, from, &frames[n], &bodies[n]);
		n += r == 0;
	}
	if (r == 0 && n)
		r = append_frames(j, frames, n);
	for (size_t i = 0; bodies && i < n; i++)
		free(bodies[i]);
	free(bodies);
	free(frames);
	return r;
}

static void take_over(struct journal *j, const struct spill *spill)
{
	for (size_t i = 0; i < spill->n_dests; i++) {
		const struct spill_dest *from = &spill->dests[i];
		struct state_dest *dest = state_dest(&j->state, i);
		if (!dest)
			discard_files(j, from); /* it was dropped meanwhile */
		if (!dest || !from->n_files)
			continue;
		dest->overflow_next_file = from->next_file;
		dest->overflow_own_file = from->files[from->n_files - 1].file;
	}
	log_info("journal_spilled", "segment=%" PRIu64 " messages=%" PRIu64 " bytes=%" PRIu64,
		spill->segments[0].number, spill->messages, spill->bytes);
}

void spill_settle(struct journal *j)
{
	journal_lock(j);
	struct spill *spill = j->spill_done;
	j->spill_done = NULL;
	if (spill) {
		unpin(spill);
		j->stats.spilled_messages += spill->error ? 0 : spill->messages;
		j->stats.spilled_bytes += spill->bytes;
		j->stats.bytes_written += spill->bytes;
	}
	journal_unlock(j);
	if (!spill)
		return;
	int r = spill->error ? spill->error : append_frames_of(j, spill);
	if (r == 0) {
		take_over(j, spill);
		j->done_changed = true;
		j->spilled_lsn = j->appended_lsn;
		j->spill_failed = 0;
		append_snapshot(j);
	} else {
		if (!j->spill_failed)
			log_warn("journal_spill_failed",
				"segment=%" PRIu64
				" error=\"%s\" free=%lld what=\"what waits could not be moved to the "
				"overflow logs; the segment stays, tried again later\"",
				spill->segments[0].number, strerror(-r), (long long)j->disk->ops->free_bytes(j->disk));
		discard(j, spill);
		/* A try may write as much as is free: not every second for days. */
		loop_timer_start(j->spill_timer, RETRY_MS << (j->spill_failed < 5 ? j->spill_failed : 5));
		j->spill_failed++;
	}
	spill_free(spill);
}
