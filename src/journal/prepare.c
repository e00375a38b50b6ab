/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments that are not being written: spares made ready before they are needed, zero-filled so that a later
 * fdatasync has no metadata to write; segments that nobody needs any more, which become spares again; files
 * that go away. The list of segments in use lives here too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/journal_impl.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define FILL_BYTES      (256u * 1024)
#define FILL_SYNC_BYTES (4u * 1024 * 1024) /* so that a filling disk delays no group for long */

static uint8_t zeros[FILL_BYTES]; /* never written: costs no memory */

/* --- the list of segments
 * -------------------------------------------------------------------------------------------- */

void prepare_add_segment(struct journal *j, struct segment *segment)
{
	if (j->newest) {
		j->newest->next = segment;
		j->newest->end_lsn = segment->base_lsn;
	} else {
		j->segments = segment;
	}
	j->newest = segment;
	j->n_segments++;
}

struct segment *prepare_find_segment(const struct journal *j, uint64_t number)
{
	struct segment *seg = j->segments;
	while (seg && seg->number < number)
		seg = seg->next;
	return seg;
}

static bool add_file(struct spare **list, uint64_t file)
{
	struct spare *spare = calloc(1, sizeof *spare);
	if (!spare)
		return false; /* the file is found again at the next start */
	spare->file = file;
	/* To the end: files take turns, as a flash's wear levelling likes it. */
	while (*list)
		list = &(*list)->next;
	*list = spare;
	return true;
}

void prepare_add_spare(struct journal *j, uint64_t file)
{
	j->n_spares += add_file(&j->spares, file);
}

void prepare_add_trash(struct journal *j, uint64_t file)
{
	add_file(&j->trash, file);
	pthread_cond_signal(&j->prepare_wake);
}

/* --- spares
 * -----------------------------------------------------------------------------------------------------------
 */

static int fill(struct journal *j, int handle)
{
	int r = 0;
	for (uint64_t at = 0; r == 0 && at < j->segment_bytes; at += FILL_BYTES) {
		uint64_t left = j->segment_bytes - at;
		FAILPOINT("journal.before_spare_write");
		r = j->disk->ops->pwrite(j->disk, handle, zeros, left < FILL_BYTES ? left : FILL_BYTES, at);
		FAILPOINT("journal.after_spare_write");
		if (r == 0 && (at + FILL_BYTES) % FILL_SYNC_BYTES == 0)
			r = j->disk->ops->fdatasync(j->disk, handle);
	}
	FAILPOINT("journal.before_spare_fdatasync");
	if (r == 0)
		r = j->disk->ops->fdatasync(j->disk, handle);
	FAILPOINT("journal.after_spare_fdatasync");
	return r;
}

static int make_file(struct journal *j, const char *temporary, const char *path)
{
	const struct disk_ops *ops = j->disk->ops;
	int handle = ops->open(j->disk, temporary, DISK_WRITE | DISK_CREATE);
	if (handle < 0)
		return handle;
	int r = fill(j, handle);
	ops->close(j->disk, handle);
	if (r == 0) {
		FAILPOINT("journal.before_spare_rename");
		r = ops->rename(j->disk, temporary, path);
		FAILPOINT("journal.after_spare_rename");
	}
	if (r == 0)
		r = ops->sync_dir(j->disk, "journal");
	FAILPOINT("journal.after_spare_sync_dir");
	if (r < 0)
		ops->unlink(j->disk, temporary);
	return r;
}

static void log_full(struct journal *j, int r)
{
	if (r == 0)
		log_info("journal_spare", "what=\"there is room for new segments again\"");
	else
		log_warn("journal_no_spare",
			"error=\"%s\" free=%lld bytes=%llu what=\"no new segment can be made; messages are refused "
			"when the "
			"last one is full, until there is room\"",
			strerror(-r), (long long)j->disk->ops->free_bytes(j->disk),
			(unsigned long long)j->segment_bytes);
}

int prepare_spare(struct journal *j)
{
	journal_lock(j);
	uint64_t file = j->next_file++;
	journal_unlock(j);
	char path[SEGMENT_PATH_LEN], temporary[SEGMENT_PATH_LEN];
	segment_path(path, file);
	snprintf(temporary, sizeof temporary, "journal/%020" PRIu64 ".tmp", file);
	int r = make_file(j, temporary, path);
	journal_lock(j);
	bool changed = j->disk_full != (r < 0);
	j->disk_full = r < 0;
	if (r == 0)
		prepare_add_spare(j, file);
	bool tell = r == 0 && j->spares_wanted;
	journal_unlock(j);
	if (changed)
		log_full(j, r);
	if (tell)
		loop_post(j->loop, &j->wake_job);
	return r;
}

int prepare_take(struct journal *j, uint64_t *ret_file)
{
	journal_lock(j);
	if (!j->spares) {
		journal_unlock(j);
		int r = prepare_spare(j);
		if (r < 0)
			return r;
		journal_lock(j);
	}
	struct spare *spare = j->spares;
	if (!spare) {
		journal_unlock(j);
		return -ENOMEM;
	}
	j->spares = spare->next;
	j->n_spares--;
	if (j->promised)
		j->promised--;
	pthread_cond_signal(&j->prepare_wake);
	journal_unlock(j);
	*ret_file = spare->file;
	free(spare);
	return 0;
}

/* --- free space
 * -------------------------------------------------------------------------------------------------------- */

void prepare_check_space(struct journal *j)
{
	uint64_t least = j->options.min_free;
	int64_t bytes = least ? j->disk->ops->free_bytes(j->disk) : -1;
	if (bytes < 0)
		return; /* off, or nobody knows */
	journal_lock(j);
	bool was_low = j->low_space;
	/* A little more than that before it is over, so that it does not begin again at once. */
	j->low_space = (uint64_t)bytes < (was_low ? least + least / 16 : least);
	bool low = j->low_space;
	journal_unlock(j);
	if (low == was_low)
		return;
	if (low) {
		log_warn("low_space",
			"free=%lld min_free=%llu what=\"no messages are taken in until more of the disk is free; what "
			"waits is delivered\"",
			(long long)bytes, (unsigned long long)least);
		return;
	}
	log_info("space_again", "free=%lld min_free=%llu", (long long)bytes, (unsigned long long)least);
	loop_post(j->loop, &j->wake_job);
}

/* --- recycling
 * ----------------------------------------------------------------------------------------------------------
 */

static uint64_t start_of(const struct segment *seg, size_t dest)
{
	return dest < seg->n_starts ? seg->starts[dest] : 1;
}

bool prepare_has_any(const struct segment *seg, const struct segment *later, size_t dest)
{
	return !seg->starts || start_of(seg, dest) < start_of(later, dest);
}

/* May any destination still want a message from seg? `later` is the next segment whose starts are known. */
static bool is_needed(const struct journal *j, const struct segment *seg, const struct segment *later)
{
	for (size_t i = 0; i < later->n_starts; i++) {
		uint64_t oldest = i < j->durable_undone.n ? j->durable_undone.oldest[i] : 1;
		if (prepare_has_any(seg, later, i) && oldest < start_of(later, i))
			return true;
	}
	return false;
}

const struct segment *prepare_next_known(const struct segment *seg)
{
	do
		seg = seg->next;
	while (seg && !seg->starts);
	return seg;
}

/* Lock held. A segment goes when nobody wants a message from it and a later CHECKPOINT is durable. */
static void release(struct journal *j, struct segment *seg)
{
	bool reuse = !seg->failed && seg->bytes == j->segment_bytes && j->n_spares < MAX_SPARES;
	log_debug("journal_recycled", "segment=%llu reuse=%d", (unsigned long long)seg->number, reuse);
	if (reuse)
		prepare_add_spare(j, seg->file);
	else
		prepare_add_trash(j, seg->file);
	j->n_segments--;
	free(seg->starts);
	free(seg);
}

void prepare_recycle(struct journal *j)
{
	journal_lock(j);
	uint64_t checkpointed = 0;
	for (const struct segment *seg = j->segments; seg; seg = seg->next)
		if (seg->checkpointed)
			checkpointed = seg->number;
	j->recycle_again = false;
	j->recycled_at = j->newest->number;
	struct segment **link = &j->segments;
	while (*link && (*link)->number < checkpointed) {
		struct segment *seg = *link;
		const struct segment *later = prepare_next_known(seg);
		bool needed = !later || is_needed(j, seg, later);
		j->recycle_again |= !needed && seg->pins;
		if (needed || seg->pins) {
			link = &seg->next;
			continue;
		}
		*link = seg->next;
		release(j, seg);
	}
	journal_unlock(j);
}

/* --- work
 * ---------------------------------------------------------------------------------------------------------------
 */

static void remove_file(struct journal *j, const char *path)
{
	FAILPOINT("journal.before_unlink");
	int r = j->disk->ops->unlink(j->disk, path);
	FAILPOINT("journal.after_unlink");
	if (r < 0 && r != -ENOENT)
		log_warn("journal_unlink", "file=%s error=\"%s\"", path, strerror(-r));
}

/* Lock held. */
static bool spare_due(struct journal *j)
{
	if (j->spares_behind) {
		if (j->spare_target < MAX_SPARES)
			j->spare_target++;
		j->spares_behind = false;
	}
	size_t wanted = j->spare_target + j->promised;
	return j->n_spares < wanted;
}

/* Lock held, given back and taken again. True when there was something to remove. */
static bool remove_one(struct journal *j)
{
	struct spare *trash = j->trash;
	struct doomed *doomed = j->doomed_files;
	char path[FOLDER_PATH_LEN];
	if (trash) {
		j->trash = trash->next;
		segment_path(path, trash->file);
		free(trash);
	} else if (doomed) {
		j->doomed_files = doomed->next;
		memcpy(path, doomed->path, sizeof path);
		free(doomed);
	} else {
		return false;
	}
	journal_unlock(j);
	remove_file(j, path);
	journal_lock(j);
	return true;
}

/* Likewise. */
static bool spill_one(struct journal *j)
{
	struct spill *spill = j->spill;
	if (!spill || j->spill_done)
		return false;
	journal_unlock(j);
	spill_work(spill);
	journal_lock(j);
	j->spill = NULL;
	j->spill_done = spill;
	loop_post(j->loop, &j->wake_job);
	return true;
}

bool prepare_step(struct journal *j)
{
	prepare_check_space(j);
	journal_lock(j);
	/* A spill makes a segment free, which is cheaper than a fresh one. */
	bool done = remove_one(j) || spill_one(j);
	bool due = !done && spare_due(j);
	journal_unlock(j);
	return done || (due && prepare_spare(j) == 0);
}

/* For something to do, but not longer than until the free space is to be looked at. Lock held. */
static void wait_idle(struct journal *j)
{
	struct timespec at;
	if (!j->options.min_free) {
		pthread_cond_wait(&j->prepare_wake, &j->mutex);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += SPACE_MS / 1000;
	pthread_cond_timedwait(&j->prepare_wake, &j->mutex, &at);
	journal_unlock(j);
	prepare_check_space(j);
	journal_lock(j);
}

void *prepare_main(void *journal)
{
	struct journal *j = journal;
	journal_lock(j);
	while (!j->closing) {
		if (!j->trash && !j->doomed_files && !j->spill && !spare_due(j)) {
			wait_idle(j);
			continue;
		}
		journal_unlock(j);
		bool done = prepare_step(j);
		journal_lock(j);
		if (!done && !j->closing && !j->trash && !j->doomed_files && !j->spill) {
			struct timespec at;
			clock_gettime(CLOCK_MONOTONIC, &at);
			at.tv_sec += RETRY_MS / 1000;
			pthread_cond_timedwait(&j->prepare_wake, &j->mutex, &at);
		}
	}
	journal_unlock(j);
	return NULL;
}

static void free_doomed(struct doomed *doomed)
{
	while (doomed) {
		struct doomed *next = doomed->next;
		free(doomed);
		doomed = next;
	}
}

void prepare_free(struct journal *j)
{
	free_doomed(j->doomed);
	free_doomed(j->doomed_files);
	spill_free(j->spill);
	spill_free(j->spill_done);
	struct spare *lists[] = {j->spares, j->trash};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		while (lists[i]) {
			struct spare *next = lists[i]->next;
			free(lists[i]);
			lists[i] = next;
		}
	}
	while (j->segments) {
		struct segment *next = j->segments->next;
		free(j->segments->starts);
		free(j->segments);
		j->segments = next;
	}
}
