/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters: dead/<destination>/<20 digits>.dead, each file a short header and then frames of type DEAD
 * (seq, time, attempts, reason, the encoded message), checksummed like the journal's, with salt 0. A letter
 * is durable before its DEAD frame is appended; if the process dies in between, the message is still undone
 * and the letter may be there twice.
 *
 * The reader thread writes, the loop asks and hears. All letters of one destination that wait for the thread are stored
 * with one write and one fdatasync. Each process begins files of its own and never appends
 * to a file that an earlier one may have left torn.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/folder.h"
#include "journal/journal_impl.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define DEAD_FILE_BYTES (8u * 1024 * 1024)
#define GROUP_BYTES     (1024u * 1024) /* stored together, about */

static const uint8_t dead_header[DEAD_HEADER_LEN] = "LNKSPAND\1";

struct dead_folder {
	struct dead_folder *next;
	char *name; /* of the destination */
	uint64_t file; /* 0: none of this process yet */
	uint64_t next_file;
	uint64_t offset; /* in the file */
	uint64_t total_bytes;
};

struct dead_job {
	struct reader_job base;
	char *name;
	uint32_t dest, bytes, attempts;
	uint64_t seq, time_ms, max_bytes;
	struct message *msg; /* the thread only reads it */
	char *reason;
	int error;
	uint64_t lsn; /* of the DEAD frame */
	void (*fn)(int error, void *arg);
	void *arg;
};

/* --- the reader thread's half
 * ------------------------------------------------------------------------------------------ */

static void file_path(const struct dead_folder *folder, char *path, size_t size)
{
	size_t at = folder_path("dead", folder->name, path, size - 32);
	snprintf(path + at, size - at, "/%020" PRIu64 ".dead", folder->file);
}

struct survey {
	struct journal *j;
	const char *folder;
	uint64_t last, bytes;
};

static int survey_file(const char *name, void *arg)
{
	struct survey *survey = arg;
	struct disk *disk = survey->j->disk;
	char path[FOLDER_PATH_LEN + 300];
	snprintf(path, sizeof path, "%s/%s", survey->folder, name);
	uint64_t file = strtoull(name, NULL, 10);
	if (file > survey->last)
		survey->last = file;
	int handle = disk->ops->open(disk, path, DISK_READ);
	if (handle < 0)
		return 0;
	int64_t size = disk->ops->size(disk, handle);
	survey->bytes += size > 0 ? (uint64_t)size : 0;
	disk->ops->close(disk, handle);
	return 0;
}

static int survey_folder(struct survey *survey)
{
	survey->last = survey->bytes = 0;
	return survey->j->disk->ops->list(survey->j->disk, survey->folder, survey_file, survey);
}

static int open_folder(struct journal *j, const char *name, struct dead_folder **ret_folder)
{
	for (struct dead_folder *folder = j->dead_folders; folder; folder = folder->next) {
		if (strcmp(folder->name, name) == 0) {
			*ret_folder = folder;
			return 0;
		}
	}
	char path[FOLDER_PATH_LEN];
	folder_path("dead", name, path, sizeof path);
	struct survey survey = {.j = j, .folder = path};
	int r = j->disk->ops->mkdir(j->disk, path);
	if (r == 0)
		r = j->disk->ops->sync_dir(j->disk, "dead");
	if (r == 0)
		r = survey_folder(&survey);
	struct dead_folder *folder = r < 0 ? NULL : calloc(1, sizeof *folder);
	char *copy = folder ? strdup(name) : NULL;
	if (!copy) {
		free(folder);
		return r < 0 ? r : -ENOMEM;
	}
	*folder = (struct dead_folder){
		.next = j->dead_folders, .name = copy, .next_file = survey.last + 1, .total_bytes = survey.bytes};
	j->dead_folders = folder;
	*ret_folder = folder;
	return 0;
}

static int open_dead_file(struct journal *j, struct dead_folder *folder, int *ret_handle)
{
	bool fresh = folder->file == 0 || folder->offset >= DEAD_FILE_BYTES;
	if (fresh) {
		folder->file = folder->next_file++;
		folder->offset = 0;
	}
	char path[FOLDER_PATH_LEN];
	file_path(folder, path, sizeof path);
	int handle = j->disk->ops->open(j->disk, path, fresh ? DISK_WRITE | DISK_CREATE : DISK_WRITE);
	if (handle < 0)
		folder->file = 0;
	else
		*ret_handle = handle;
	return handle < 0 ? handle : 0;
}

static int write_letters(struct journal *j, struct dead_folder *folder, const struct pages *bytes)
{
	int handle;
	int r = open_dead_file(j, folder, &handle);
	if (r < 0)
		return r;
	bool fresh = folder->offset == 0;
	if (fresh) {
		r = j->disk->ops->pwrite(j->disk, handle, dead_header, DEAD_HEADER_LEN, 0);
		folder->offset = DEAD_HEADER_LEN;
	}
	FAILPOINT("journal.before_dead_write");
	if (r == 0)
		r = j->disk->ops->pwrite(j->disk, handle, bytes->data, bytes->len, folder->offset);
	FAILPOINT("journal.before_dead_fdatasync");
	if (r == 0)
		r = j->disk->ops->fdatasync(j->disk, handle);
	FAILPOINT("journal.after_dead_fdatasync");
	j->disk->ops->close(j->disk, handle);
	if (r == 0 && fresh) {
		char path[FOLDER_PATH_LEN];
		folder_path("dead", folder->name, path, sizeof path);
		r = j->disk->ops->sync_dir(j->disk, path);
		FAILPOINT("journal.after_dead_sync_dir");
	}
	if (r < 0) { /* nothing is known about that file: the next letter goes into a fresh one */
		folder->file = 0;
		return r;
	}
	folder->offset += bytes->len;
	folder->total_bytes += bytes->len + (fresh ? DEAD_HEADER_LEN : 0);
	return 0;
}

void dead_letter_changed(struct journal *j, const char *name)
{
	for (struct dead_folder *folder = j->dead_folders; folder; folder = folder->next) {
		if (strcmp(folder->name, name) != 0)
			continue;
		char path[FOLDER_PATH_LEN];
		folder_path("dead", name, path, sizeof path);
		struct survey survey = {.j = j, .folder = path};
		folder->file = 0;
		if (survey_folder(&survey) == 0)
			folder->total_bytes = survey.bytes;
	}
}

/* Behind those that are in it. */
static int encode_letter(const struct dead_job *job, struct pages *bytes)
{
	const struct message_view *view = message_view(job->msg);
	struct slice reason = slice_str(job->reason);
	if (reason.len > FRAME_MAX_NAME)
		reason.len = FRAME_MAX_NAME;
	struct frame frame = {.type = FRAME_DEAD,
		.dest = job->dest,
		.seq = job->seq,
		.time_ms = job->time_ms,
		.count = job->attempts,
		.name = reason,
		.body = {NULL, message_encoded_size(view)}};
	int r = pages_reserve(bytes, frame_size(&frame));
	if (r < 0)
		return r;
	uint8_t *at = bytes->data + bytes->len;
	message_encode(view, frame_encode(&frame, at));
	frame_seal(at, 0);
	bytes->len += frame_size(&frame);
	return 0;
}

/* Somebody may have removed letters since they were counted: looks again, once for a group, before it says no. */
static int check_limit(
	struct journal *j, const struct dead_job *job, struct dead_folder *folder, uint64_t more, bool *looked)
{
	if (job->max_bytes == 0 || folder->total_bytes + more <= job->max_bytes)
		return 0;
	char path[FOLDER_PATH_LEN];
	folder_path("dead", folder->name, path, sizeof path);
	struct survey survey = {.j = j, .folder = path};
	int r = *looked ? 0 : survey_folder(&survey);
	if (r < 0)
		return r;
	if (!*looked)
		folder->total_bytes = survey.bytes;
	*looked = true;
	return folder->total_bytes + more <= job->max_bytes ? 0 : -ENOSPC;
}

/* Those that find room, in order. */
static void encode_group(struct journal *j, struct dead_job *job, struct dead_folder *folder, struct pages *bytes)
{
	bool looked = false;
	for (; job; job = (struct dead_job *)job->base.group) {
		size_t before = bytes->len;
		job->error = encode_letter(job, bytes);
		if (job->error == 0)
			job->error = check_limit(j, job, folder, bytes->len, &looked);
		if (job->error < 0)
			bytes->len = before;
	}
}

void dead_letter_work(struct journal *j, struct reader_job *base)
{
	struct dead_folder *folder = NULL;
	struct pages bytes = {0};
	int r = open_folder(j, ((struct dead_job *)base)->name, &folder);
	if (r == 0)
		encode_group(j, (struct dead_job *)base, folder, &bytes);
	if (r == 0 && bytes.len)
		r = write_letters(j, folder, &bytes);
	pages_free(&bytes);
	for (struct reader_job *at = base; r < 0 && at; at = at->group)
		if (((struct dead_job *)at)->error == 0)
			((struct dead_job *)at)->error = r;
}

void dead_letter_gather(struct journal *j, struct reader_job *base)
{
	struct reader_job *last = base;
	struct job_list rest = {NULL, NULL};
	size_t bytes = message_memory(((struct dead_job *)base)->msg);
	const char *name = ((struct dead_job *)base)->name;
	base->group = NULL;
	for (struct reader_job *at; (at = job_pop(&j->jobs)) != NULL;) {
		const struct dead_job *job = (struct dead_job *)at;
		if (at->type != JOB_DEAD_LETTER || bytes >= GROUP_BYTES || strcmp(job->name, name) != 0) {
			job_push(&rest, at);
			continue;
		}
		bytes += message_memory(job->msg);
		at->group = NULL;
		last->group = at;
		last = at;
	}
	j->jobs = rest;
}

/* --- the loop's half
 * ----------------------------------------------------------------------------------------------------- */

static void finish(struct dead_job *job, int error)
{
	void (*fn)(int, void *) = job->fn;
	void *arg = job->arg;
	message_unref(job->msg);
	free(job->name);
	free(job->reason);
	free(job);
	if (fn)
		fn(error, arg);
}

void dead_letter_discard(struct reader_job *base)
{
	finish((struct dead_job *)base, -ECANCELED);
}

void journal_dead_letter(
	struct journal *j, const struct journal_letter *letter, void (*fn)(int error, void *arg), void *arg)
{
	const struct state_dest *box = state_dest(&j->state, letter->dest);
	struct dead_job *job = calloc(1, sizeof *job);
	if (!job)
		abort(); /* a few hundred bytes */
	*job = (struct dead_job){.base.type = JOB_DEAD_LETTER,
		.dest = letter->dest,
		.seq = letter->seq,
		.bytes = letter->bytes,
		.attempts = letter->attempts,
		.max_bytes = letter->max_bytes,
		.time_ms = loop_wall_ms(j->loop),
		.msg = message_ref(letter->msg),
		.name = strdup(box ? box->name : "?"),
		.reason = strdup(letter->reason),
		.fn = fn,
		.arg = arg};
	if (!job->name || !job->reason)
		abort();
	journal_lock(j);
	job_push(&j->jobs, &job->base);
	pthread_cond_signal(&j->reader_wake);
	journal_unlock(j);
}

void dead_letter_deliver(struct journal *j, struct reader_job *base)
{
	struct dead_job *job = (struct dead_job *)base;
	struct journal_change dead = {.type = JOURNAL_DEAD,
		.dest = job->dest,
		.seq = job->seq,
		.bytes = job->bytes,
		.blob = slice_str(job->reason)};
	int r = job->error;
	if (r < 0)
		log_debug("journal_dead_letter", /* whoever asked says it, once for many */
			"destination=%s seq=%" PRIu64 " error=\"%s\" what=\"could not be stored\"", job->name, job->seq,
			strerror(-r));
	else
		r = journal_append(j, NULL, 0, &dead, 1, &job->lsn);
	if (r < 0)
		finish(job, r);
	else
		job_push(&j->dead_waiting, base);
}

void dead_letter_durable(struct journal *j)
{
	while (j->dead_waiting.head && ((struct dead_job *)j->dead_waiting.head)->lsn <= j->reported_lsn)
		finish((struct dead_job *)job_pop(&j->dead_waiting), 0);
}

void dead_letter_free(struct journal *j)
{
	while (j->dead_folders) {
		struct dead_folder *next = j->dead_folders->next;
		free(j->dead_folders->name);
		free(j->dead_folders);
		j->dead_folders = next;
	}
}
