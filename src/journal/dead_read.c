/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters looked at again: reading them some at a time, and taking letters out of their files. Both run on the
 * reader thread, which is the one that writes letters, so nothing is read half written and nothing is rewritten while
 * it grows.
 *
 * Taking letters out of a file writes what stays to <file>.tmp, makes that durable, renames it over the file and syncs
 * the folder; when nothing stays the file is unlinked. Crash windows: before the rename (unlink) is durable the old file
 * is there whole and the letters will be seen again, after it they are gone; there is no state between. A .tmp that is
 * left over is not read and is replaced by the next one. Bytes that cannot be read as letters (a letter that was being
 * written when a process ended, or damage) stay as they are, unless all is to go.
 *
 * A rewrite moves what stands behind it: a cursor into the middle of a file is then refused (-ESTALE).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define PATH_LEN 1000u

struct dead_read_job {
	struct reader_job base;
	struct journal_dead_query query; /* its name is ours */
	char *name;
	struct journal_dead_result result;
	struct journal_dead_item *items;
	size_t capacity;
	size_t bytes;
	void (*fn)(const struct journal_dead_result *result, void *arg); /* the loop's own; NULL: cancelled */
	void *arg;
};

struct dead_remove_job {
	struct reader_job base;
	char *name;
	uint64_t file;
	uint64_t *offsets; /* ascending */
	size_t n_offsets;
	uint64_t drop_size;
	int error;
	void (*fn)(int error, void *arg); /* the loop's own; NULL: cancelled */
	void *arg;
};

/* --- files --------------------------------------------------------------------------------------------------------- */

static int parse_name(const char *name, uint64_t *ret_file)
{
	char *end;
	*ret_file = strtoull(name, &end, 10);
	return end == name + 20 && strcmp(end, ".dead") == 0 && *ret_file ? 0 : -EINVAL;
}

static void file_path(const char *name, uint64_t file, const char *ending, char path[PATH_LEN])
{
	size_t at = folder_path("dead", name, path, PATH_LEN - 40);
	snprintf(path + at, PATH_LEN - at, "/%020" PRIu64 "%s", file, ending);
}

struct next_file {
	uint64_t from, found, newest;
};

static int look_at_name(const char *name, void *arg)
{
	struct next_file *next = arg;
	uint64_t file;
	if (parse_name(name, &file) < 0)
		return 0;
	if (file >= next->from && (!next->found || file < next->found))
		next->found = file;
	if (file > next->newest)
		next->newest = file;
	return 0;
}

/* The oldest file from `from` on, 0 if there is none. */
static int find_file(struct journal *j, const char *name, uint64_t from, struct next_file *ret_next)
{
	char path[PATH_LEN];
	folder_path("dead", name, path, sizeof path);
	*ret_next = (struct next_file){.from = from};
	int r = j->disk->ops->list(j->disk, path, look_at_name, ret_next);
	return r == -ENOENT ? 0 : r;
}

static int open_scan(struct journal *j, const char *name, uint64_t file, struct scan *scan, int *ret_handle)
{
	char path[PATH_LEN];
	file_path(name, file, ".dead", path);
	int handle = j->disk->ops->open(j->disk, path, DISK_READ);
	if (handle < 0)
		return handle;
	int64_t size = j->disk->ops->size(j->disk, handle);
	if (size < 0) {
		j->disk->ops->close(j->disk, handle);
		return (int)size;
	}
	scan_begin(scan, j->disk, handle, 0, (uint64_t)size);
	*ret_handle = handle;
	return 0;
}

/* --- reading: the thread's half ------------------------------------------------------------------------------------ */

static int add_item(struct dead_read_job *job, const struct frame *frame, uint64_t offset)
{
	if (job->result.n_items == job->capacity) {
		size_t capacity = job->capacity ? job->capacity * 2 : 16;
		struct journal_dead_item *items = realloc(job->items, capacity * sizeof *items);
		if (!items)
			return -ENOMEM;
		job->items = items;
		job->capacity = capacity;
	}
	struct journal_dead_item item = {.offset = offset,
		.seq = frame->seq,
		.time_ms = frame->time_ms,
		.attempts = frame->count < UINT32_MAX ? (uint32_t)frame->count : UINT32_MAX};
	if (frame->name.len)
		memcpy(item.reason, frame->name.data, frame->name.len);
	int r = message_decode(frame->body, &item.msg);
	if (r == -EBADMSG) { /* a whole frame around no message: it stays where it is */
		job->result.unreadable += frame->length;
		return 0;
	}
	if (r < 0)
		return r;
	job->items[job->result.n_items++] = item;
	return 0;
}

static bool is_full(const struct dead_read_job *job, size_t more)
{
	const struct journal_dead_query *query = &job->query;
	size_t n = job->result.n_counted;
	return n >= query->max_messages || (n && job->bytes + more > query->max_bytes);
}

/* From the cursor on, until it is enough or the file ends. */
static int read_file(struct dead_read_job *job, struct scan *scan)
{
	struct journal_dead_cursor *at = &job->result.next;
	while (at->offset < scan->limit) {
		struct frame frame;
		int r = scan_frame(scan, at->offset, &frame);
		if (r == 0 && frame.type != FRAME_DEAD)
			r = -EBADMSG;
		if (r == -EBADMSG) {
			uint64_t next = scan_past_damage(scan, at->offset, FRAME_DEAD);
			job->result.unreadable += next - at->offset;
			at->offset = next;
			continue;
		}
		if (r < 0)
			return r;
		if (is_full(job, frame.length))
			return 0;
		if (!job->query.count_only)
			r = add_item(job, &frame, at->offset);
		if (r < 0)
			return r;
		job->result.n_counted++;
		job->bytes += frame.length;
		at->offset += frame.length;
	}
	job->result.file_ended = true;
	at->offset = 0;
	return 0;
}

static int find_place(struct journal *j, struct dead_read_job *job)
{
	struct journal_dead_cursor *at = &job->result.next;
	struct next_file next;
	int r = find_file(j, job->query.destination, at->offset ? at->file : at->file + 1, &next);
	if (r < 0)
		return r;
	if (at->last_file == 0)
		at->last_file = next.newest;
	if (at->offset && (at->generation != j->dead_generation || next.found != at->file))
		return -ESTALE;
	if (!next.found || next.found > at->last_file) {
		job->result.at_end = true;
		return 0;
	}
	if (!at->offset)
		*at = (struct journal_dead_cursor){next.found, DEAD_HEADER_LEN, at->last_file, j->dead_generation};
	return 0;
}

static int run_read(struct journal *j, struct dead_read_job *job)
{
	struct scan scan = {0};
	int handle;
	int r = find_place(j, job);
	if (r < 0 || job->result.at_end)
		return r;
	job->result.file = job->result.next.file;
	r = open_scan(j, job->query.destination, job->result.file, &scan, &handle);
	if (r < 0)
		return r;
	job->result.file_size = scan.limit;
	r = read_file(job, &scan);
	scan_end(&scan);
	j->disk->ops->close(j->disk, handle);
	return r;
}

/* --- removing: the thread's half ------------------------------------------------------------------------------------ */

struct copy {
	struct disk *disk;
	int handle;
	uint64_t offset; /* in the new file */
};

static int copy_range(struct copy *to, int from, uint64_t offset, uint64_t end)
{
	uint8_t *buffer = malloc(READ_CHUNK);
	if (!buffer)
		return -ENOMEM;
	int r = 0;
	while (r == 0 && offset < end) {
		size_t len = end - offset < READ_CHUNK ? (size_t)(end - offset) : READ_CHUNK;
		ssize_t n = to->disk->ops->pread(to->disk, from, buffer, len, offset);
		if (n <= 0)
			r = n < 0 ? (int)n : -EIO;
		else
			r = to->disk->ops->pwrite(to->disk, to->handle, buffer, (size_t)n, to->offset);
		if (r == 0) {
			offset += (uint64_t)n;
			to->offset += (uint64_t)n;
		}
	}
	free(buffer);
	return r;
}

/* What stays: everything but the letters at the offsets. */
static int copy_rest(const struct dead_remove_job *job, struct scan *scan, struct copy *to)
{
	uint64_t kept_from = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < job->n_offsets; i++) {
		struct frame frame;
		r = job->offsets[i] < kept_from ? -EINVAL : scan_frame(scan, job->offsets[i], &frame);
		if (r == 0)
			r = copy_range(to, scan->handle, kept_from, job->offsets[i]);
		if (r == 0)
			kept_from = job->offsets[i] + frame.length;
	}
	return r < 0 ? r : copy_range(to, scan->handle, kept_from, scan->limit);
}

static int replace(struct journal *j, const struct dead_remove_job *job, const char *path, const char *temporary)
{
	char folder[PATH_LEN];
	folder_path("dead", job->name, folder, sizeof folder);
	FAILPOINT("journal.before_dead_replace");
	int r = temporary ? j->disk->ops->rename(j->disk, temporary, path) : j->disk->ops->unlink(j->disk, path);
	FAILPOINT("journal.after_dead_replace");
	if (r == 0)
		r = j->disk->ops->sync_dir(j->disk, folder);
	return r;
}

static int rewrite(struct journal *j, const struct dead_remove_job *job, struct scan *scan)
{
	char path[PATH_LEN], temporary[PATH_LEN];
	file_path(job->name, job->file, ".dead", path);
	file_path(job->name, job->file, ".tmp", temporary);
	struct copy to = {.disk = j->disk};
	int r = j->disk->ops->unlink(j->disk, temporary);
	if (r < 0 && r != -ENOENT)
		return r;
	to.handle = j->disk->ops->open(j->disk, temporary, DISK_WRITE | DISK_CREATE);
	if (to.handle < 0)
		return to.handle;
	r = copy_rest(job, scan, &to);
	if (r == 0)
		r = j->disk->ops->fdatasync(j->disk, to.handle);
	j->disk->ops->close(j->disk, to.handle);
	if (r == 0)
		r = replace(j, job, path, to.offset > DEAD_HEADER_LEN ? temporary : NULL);
	if (r < 0 || to.offset <= DEAD_HEADER_LEN)
		j->disk->ops->unlink(j->disk, temporary);
	return r;
}

static int run_remove(struct journal *j, const struct dead_remove_job *job)
{
	struct scan scan = {0};
	int handle;
	int r = open_scan(j, job->name, job->file, &scan, &handle);
	if (r < 0)
		return r;
	char path[PATH_LEN];
	file_path(job->name, job->file, ".dead", path);
	j->dead_generation++;
	r = job->drop_size && job->drop_size == scan.limit ? replace(j, job, path, NULL) : rewrite(j, job, &scan);
	scan_end(&scan);
	j->disk->ops->close(j->disk, handle);
	dead_letter_changed(j, job->name);
	return r;
}

void dead_read_work(struct journal *j, struct reader_job *base)
{
	if (base->type == JOB_DEAD_READ) {
		struct dead_read_job *job = (struct dead_read_job *)base;
		job->result.error = run_read(j, job);
	} else {
		struct dead_remove_job *job = (struct dead_remove_job *)base;
		job->error = run_remove(j, job);
	}
}

/* --- the loop's half --------------------------------------------------------------------------------------------------- */

static void ask(struct journal *j, struct reader_job *job)
{
	journal_lock(j);
	job_push(&j->jobs, job);
	pthread_cond_signal(&j->reader_wake);
	journal_unlock(j);
}

struct dead_read_job *journal_dead_read(struct journal *j, const struct journal_dead_query *query,
	void (*fn)(const struct journal_dead_result *result, void *arg), void *arg)
{
	struct dead_read_job *job = calloc(1, sizeof *job);
	if (!job)
		return NULL;
	*job = (struct dead_read_job){
		.base.type = JOB_DEAD_READ,
		.query = *query,
		.name = strdup(query->destination),
		.result.next = query->from,
		.fn = fn,
		.arg = arg,
	};
	if (!job->name) {
		free(job);
		return NULL;
	}
	job->query.destination = job->name;
	ask(j, &job->base);
	return job;
}

void journal_dead_cancel(struct dead_read_job *job)
{
	if (job)
		job->fn = NULL;
}

int journal_dead_remove(
	struct journal *j, const struct journal_dead_removal *removal, void (*fn)(int error, void *arg), void *arg)
{
	struct dead_remove_job *job = calloc(1, sizeof *job);
	if (!job)
		return -ENOMEM;
	*job = (struct dead_remove_job){
		.base.type = JOB_DEAD_REMOVE,
		.name = strdup(removal->destination),
		.file = removal->file,
		.offsets = malloc((removal->n_offsets + 1) * sizeof *job->offsets),
		.n_offsets = removal->n_offsets,
		.drop_size = removal->drop_size,
		.fn = fn,
		.arg = arg,
	};
	if (!job->name || !job->offsets) {
		dead_read_discard(&job->base);
		return -ENOMEM;
	}
	if (removal->n_offsets)
		memcpy(job->offsets, removal->offsets, removal->n_offsets * sizeof *job->offsets);
	ask(j, &job->base);
	return 0;
}

void dead_read_deliver(struct reader_job *base)
{
	if (base->type == JOB_DEAD_READ) {
		struct dead_read_job *job = (struct dead_read_job *)base;
		job->result.items = job->items;
		if (job->fn) {
			job->fn(&job->result, job->arg);
			job->result.n_items = 0; /* the callback takes the messages */
		}
	} else {
		const struct dead_remove_job *job = (struct dead_remove_job *)base;
		if (job->error < 0)
			log_warn("dead_letters_kept", "destination=%s error=\"%s\"", job->name, strerror(-job->error));
		if (job->fn)
			job->fn(job->error, job->arg);
	}
	dead_read_discard(base);
}

void dead_read_discard(struct reader_job *base)
{
	if (base->type == JOB_DEAD_READ) {
		struct dead_read_job *job = (struct dead_read_job *)base;
		for (size_t i = 0; i < job->result.n_items; i++)
			message_unref(job->items[i].msg);
		free(job->items);
		free(job->name);
		free(job);
	} else {
		struct dead_remove_job *job = (struct dead_remove_job *)base;
		free(job->name);
		free(job->offsets);
		free(job);
	}
}
