/* SPDX-License-Identifier: Apache-2.0
 *
 * The overflow logs at a start: what the recovered state names against what is there. A file that is missing is damage:
 * what it held is lost, said so and marked done, never forgotten in silence. A file that no frame names is the rest of a
 * spill that a crash cut short and goes away, unless the journal no longer has those messages: then the frame that named
 * it was damaged, and it is taken back.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "journal/overflow.h"
#include "runtime/log.h"

struct numbers {
	uint64_t *v;
	size_t n, capacity;
};

struct recovery {
	struct journal *j;
	struct state_dest *dest; /* in turn */
	uint32_t number;
	struct numbers files; /* in its folder, sorted */
	bool damaged;
};

static int note_file(const char *name, void *arg)
{
	struct numbers *files = arg;
	uint64_t file;
	if (segment_parse_name(name, &file) < 0)
		return 0;
	if (files->n == files->capacity) {
		size_t capacity = files->capacity ? files->capacity * 2 : 16;
		uint64_t *v = realloc(files->v, capacity * sizeof *v);
		if (!v)
			return -ENOMEM;
		files->v = v;
		files->capacity = capacity;
	}
	files->v[files->n++] = file;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* Only what is there can be removed; later, by the prepare thread. */
static void remove_later(struct journal *j, const char path[FOLDER_PATH_LEN])
{
	struct doomed *doomed = calloc(1, sizeof *doomed);
	if (!doomed)
		return;
	memcpy(doomed->path, path, sizeof doomed->path);
	doomed->next = j->doomed_files;
	j->doomed_files = doomed;
}

static int open_file(struct recovery *rec, uint64_t file, struct segment_header *header, int *ret_handle)
{
	struct disk *disk = rec->j->disk;
	char path[FOLDER_PATH_LEN];
	overflow_path(rec->dest->name, file, path);
	int handle = disk->ops->open(disk, path, DISK_READ);
	if (handle < 0)
		return handle;
	int r = segment_read_header(disk, handle, SEGMENT_OVERFLOW, header);
	if (r == 0 && (header->number != file || memcmp(header->uuid, rec->dest->uuid, JOURNAL_UUID_LEN) != 0))
		r = -EBADMSG;
	if (r < 0)
		disk->ops->close(disk, handle);
	else
		*ret_handle = handle;
	return r;
}

/* --- what the state names
 * ---------------------------------------------------------------------------------------------- */

static void on_missing(void *arg, uint32_t dest, uint64_t first, uint64_t last)
{
	struct recovery *rec = arg;
	(void)dest;
	rec->j->damaged_messages += last - first + 1;
	log_error("journal_damage",
		"destination=%s first_seq=%" PRIu64 " last_seq=%" PRIu64 " what=\"these messages are lost\"",
		rec->dest->name, first, last);
}

static int lose_file(struct recovery *rec, uint64_t file, uint64_t first, uint64_t end, int error)
{
	struct state *state = &rec->j->state;
	char path[FOLDER_PATH_LEN];
	rec->damaged = true;
	overflow_path(rec->dest->name, file, path);
	log_error("journal_damage", "file=%s error=\"%s\" what=\"an overflow file is missing or not one\"", path,
		error == -EBADMSG || error == -ENODATA ? "its header is not whole" : strerror(-error));
	if (error != -ENOENT)
		quarantine_overflow(rec->j, path, rec->number, file);
	state->on_missing = on_missing;
	state->arg = rec;
	int r = state_mark_missing(state, rec->number, first, end);
	state->on_missing = NULL;
	return r;
}

static bool is_of_file(int error)
{
	return error == -ENOENT || error == -EBADMSG || error == -ENODATA || error == -ENOTSUP || error == -EIO;
}

static int check_named(struct recovery *rec, const struct state_overflow_file *file, uint64_t end)
{
	struct disk *disk = rec->j->disk;
	struct segment_header header;
	int handle;
	int r = open_file(rec, file->file, &header, &handle);
	if (r < 0)
		return is_of_file(r) ? lose_file(rec, file->file, file->first_seq, end, r) : r;
	int64_t size = disk->ops->size(disk, handle);
	disk->ops->close(disk, handle);
	if (size >= 0 && (uint64_t)size < file->bytes) {
		rec->damaged = true;
		log_error("journal_damage",
			"destination=%s overflow_file=%" PRIu64 " bytes=%" PRIi64 " expected=%" PRIu64
			" what=\"an overflow file has been cut; what is missing is reported when it is read\"",
			rec->dest->name, file->file, size, file->bytes);
	}
	return size < 0 ? (int)size : 0;
}

static bool is_named(const struct state_dest *dest, uint64_t file)
{
	for (size_t i = 0; i < dest->overflow.n; i++)
		if (dest->overflow.v[i].file == file)
			return true;
	return false;
}

/* --- what it does not name
 * --------------------------------------------------------------------------------------------- */

/* The first seq of the destination that the segments still have. */
static uint64_t journal_begins(const struct recovery *rec)
{
	for (const struct segment *seg = rec->j->segments; seg; seg = seg->next)
		if (seg->starts)
			return rec->number < seg->n_starts ? seg->starts[rec->number] : 1;
	return 1;
}

/* The seq behind the last whole frame, 0 if there is none. */
static int find_end(
	struct recovery *rec, int handle, const struct segment_header *header, uint64_t size, uint64_t *ret_end)
{
	struct scan scan = {0};
	struct frame frame;
	uint64_t offset = SEGMENT_BLOCK, end = 0;
	scan_begin(&scan, rec->j->disk, handle, header->salt, size);
	int r;
	while ((r = overflow_next(&scan, &offset, &frame)) == 1 || r == -EBADMSG)
		if (r == 1 && frame.type == FRAME_MSG && frame.dest == rec->number && frame.seq >= end)
			end = frame.seq + 1;
	scan_end(&scan);
	*ret_end = end;
	return r;
}

static int add_named(struct state_dest *dest, struct state_overflow_file file, uint64_t end)
{
	size_t n = dest->overflow.n;
	struct state_overflow_file *v = realloc(dest->overflow.v, (n + 1) * sizeof *v);
	if (!v)
		return -ENOMEM;
	v[n] = file;
	dest->overflow = (struct state_overflow){v, n + 1, n + 1};
	dest->overflow_end = end;
	return 0;
}

/* 1: taken back; 0: it has nothing that is wanted. */
static int take_back(struct recovery *rec, uint64_t file, uint64_t begins)
{
	struct state_dest *dest = rec->dest;
	struct segment_header header;
	int handle;
	uint64_t floor = dest->oldest_undone > dest->overflow_end ? dest->oldest_undone : dest->overflow_end;
	if (floor >= begins || !state_undone_in(dest, floor, begins))
		return 0;
	int r = open_file(rec, file, &header, &handle);
	if (r < 0 && r != -ENOENT && is_of_file(r)) {
		char path[FOLDER_PATH_LEN];
		overflow_path(dest->name, file, path);
		quarantine_overflow(rec->j, path, rec->number, file);
	}
	if (r < 0)
		return is_of_file(r) ? 0 : r;
	int64_t size = rec->j->disk->ops->size(rec->j->disk, handle);
	uint64_t end = 0;
	r = size < 0 ? (int)size : find_end(rec, handle, &header, (uint64_t)size, &end);
	rec->j->disk->ops->close(rec->j->disk, handle);
	if (r < 0 || end <= floor || header.base_lsn >= begins)
		return r;
	rec->damaged = true;
	log_error("journal_damage",
		"destination=%s overflow_file=%" PRIu64 " first_seq=%" PRIu64 " last_seq=%" PRIu64
		" what=\"the frame that named this overflow file is lost; the file is taken back\"",
		dest->name, file, header.base_lsn, end - 1);
	if (end > dest->next_seq)
		end = dest->next_seq;
	r = add_named(dest, (struct state_overflow_file){file, header.base_lsn, (uint64_t)size}, end);
	return r < 0 ? r : 1;
}

static int check_unnamed(struct recovery *rec, uint64_t file, uint64_t begins)
{
	/* Also when no damage was seen: the last group of the journal may be missing without a trace. */
	const struct segment *oldest = rec->j->segments;
	int r = rec->damaged || (oldest && oldest->starts) ? take_back(rec, file, begins) : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	char path[FOLDER_PATH_LEN];
	overflow_path(rec->dest->name, file, path);
	log_debug("journal_overflow_unnamed", "file=%s", path);
	remove_later(rec->j, path);
	return 0;
}

static int recover_dest(struct recovery *rec)
{
	struct state_dest *dest = rec->dest;
	char path[FOLDER_PATH_LEN];
	uint64_t released;
	while (state_release_overflow(dest, &released))
		;
	folder_path(OVERFLOW_ROOT, dest->name, path, sizeof path);
	rec->files.n = 0;
	int r = rec->j->disk->ops->list(rec->j->disk, path, note_file, &rec->files);
	if (r == -ENOENT)
		r = 0;
	if (rec->files.n)
		qsort(rec->files.v, rec->files.n, sizeof *rec->files.v, compare);
	for (size_t i = 0; r == 0 && i < dest->overflow.n; i++) {
		uint64_t end = i + 1 < dest->overflow.n ? dest->overflow.v[i + 1].first_seq : dest->overflow_end;
		r = check_named(rec, &dest->overflow.v[i], end);
		dest->overflow_next_file = dest->overflow.v[i].file + 1;
	}
	uint64_t begins = journal_begins(rec);
	for (size_t i = 0; r == 0 && i < rec->files.n; i++) {
		if (!is_named(dest, rec->files.v[i]))
			r = check_unnamed(rec, rec->files.v[i], begins);
		if (rec->files.v[i] >= dest->overflow_next_file)
			dest->overflow_next_file = rec->files.v[i] + 1;
	}
	return r;
}

/* --- folders of no destination
 * ------------------------------------------------------------------------------------------ */

struct stray {
	struct recovery *rec;
	const char *folder;
};

static int remove_stray_file(const char *name, void *arg)
{
	const struct stray *stray = arg;
	char path[FOLDER_PATH_LEN];
	uint64_t file;
	if (segment_parse_name(name, &file) < 0)
		return 0;
	if (snprintf(path, sizeof path, "%s/%s/%s", OVERFLOW_ROOT, stray->folder, name) < (int)sizeof path)
		remove_later(stray->rec->j, path);
	return 0;
}

/* The destination was dropped; or what told of it is lost: then its files stay for whoever looks after the damage. */
static int check_folder(const char *name, void *arg)
{
	struct recovery *rec = arg;
	const struct state *state = &rec->j->state;
	char path[FOLDER_PATH_LEN];
	for (size_t i = 0; i < state->n_dests; i++) {
		if (!state->dests[i].name)
			continue;
		folder_path(OVERFLOW_ROOT, state->dests[i].name, path, sizeof path);
		if (strcmp(path + strlen(OVERFLOW_ROOT) + 1, name) == 0)
			return 0;
	}
	if (rec->damaged) {
		log_warn("journal_overflow_stray",
			"folder=%s/%s what=\"no destination has this overflow log; it is left alone\"", OVERFLOW_ROOT,
			name);
		return 0;
	}
	struct stray stray = {rec, name};
	snprintf(path, sizeof path, "%s/%s", OVERFLOW_ROOT, name);
	int r = rec->j->disk->ops->list(rec->j->disk, path, remove_stray_file, &stray);
	return r == -ENOTDIR ? 0 : r;
}

int overflow_recover(struct journal *j, bool *damaged)
{
	struct recovery rec = {.j = j, .damaged = *damaged};
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < j->state.n_dests; i++) {
		rec.number = i;
		rec.dest = &j->state.dests[i];
		if (rec.dest->name)
			r = recover_dest(&rec);
	}
	if (r == 0)
		r = j->disk->ops->list(j->disk, OVERFLOW_ROOT, check_folder, &rec);
	free(rec.files.v);
	*damaged = rec.damaged;
	return r;
}
