/* SPDX-License-Identifier: Apache-2.0
 *
 * The commit thread: takes the oldest batch, fills in the checksums, writes it as one group and fdatasyncs
 * it; only then the next. So what gathers while the disk works becomes the next group, and no group is ever
 * written before the one before it is durable.
 *
 * A failed fdatasync is never tried again: the pages may be marked clean though they are not on the disk. The
 * group goes again, from memory, into a fresh segment, whose base lsn ends the old one. If that fails too,
 * the journal has failed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/crc32c.h"
#include "journal/journal_impl.h"
#include "message/endian.h"
#include "runtime/failpoint.h"
#include "runtime/log.h"

#define CRC_MARK (UINT64_C(1) << 32) /* makes the commit frame's length independent of the checksum */

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- batches
 * -------------------------------------------------------------------------------------------------------- */

struct batch *commit_new_batch(struct journal *j)
{
	struct batch *batch = j->free_batches;
	if (batch) {
		j->free_batches = batch->next;
		*batch = (struct batch){.bytes = batch->bytes};
	} else {
		batch = calloc(1, sizeof *batch);
		if (!batch)
			return NULL;
	}
	if (j->options.linger_ms)
		batch->opened_ns = now_ns();
	if (j->tail)
		j->tail->next = batch;
	else
		j->head = batch;
	j->tail = batch;
	return batch;
}

static void encode_commit(struct batch *batch, uint32_t crc)
{
	struct frame commit = {.type = FRAME_COMMIT,
		.lsn = batch->last_lsn,
		.seq = batch->first_lsn,
		.count = batch->n_frames,
		.hash = CRC_MARK | crc};
	frame_encode(&commit, batch->bytes.data + batch->commit_at);
}

/* The place of the group in its segment is settled here: appends after this one reckon with it. */
void commit_close_batch(struct journal *j, struct batch *batch)
{
	struct pages *bytes = &batch->bytes;
	batch->closed = true;
	batch->commit_at = bytes->len;
	encode_commit(batch, 0);
	size_t end = batch->commit_at + get_u32(bytes->data + batch->commit_at);
	bytes->len = (size_t)segment_pad(end);
	memset(bytes->data + end, 0, bytes->len - end);
	j->queued_bytes += bytes->len - batch->commit_at;
	j->tail_offset = (batch->starts_segment ? SEGMENT_BLOCK : j->tail_offset) + bytes->len;
}

static void seal_batch(struct batch *batch, uint64_t salt)
{
	uint8_t *bytes = batch->bytes.data;
	for (size_t at = 0; at < batch->commit_at; at += get_u32(bytes + at))
		frame_seal(bytes + at, salt);
	encode_commit(batch, crc32c(0, bytes, batch->commit_at));
	frame_seal(bytes + batch->commit_at, salt);
}

/* Lock held. */
static void recycle_batch(struct journal *j, struct batch *batch)
{
	free(batch->starts);
	batch->starts = NULL;
	if (j->free_batches && j->free_batches->next) {
		pages_free(&batch->bytes);
		free(batch);
		return;
	}
	/* Under load the pages are needed again at once; an idle daemon gives them back. */
	pages_reset(&batch->bytes, j->head ? BATCH_BYTES : IDLE_BUFFER);
	batch->next = j->free_batches;
	j->free_batches = batch;
	if (!j->head)
		for (struct batch *other = batch->next; other; other = other->next)
			pages_reset(&other->bytes, IDLE_BUFFER);
}

/* --- writing
 * ---------------------------------------------------------------------------------------------------------
 */

/* With the first group, and durable with it. */
static int write_header(struct journal *j)
{
	const struct segment *seg = j->current;
	uint8_t block[SEGMENT_BLOCK];
	struct segment_header header = {.kind = SEGMENT_JOURNAL,
		.number = seg->number,
		.base_lsn = seg->base_lsn,
		.salt = seg->salt,
		.bytes = seg->bytes};
	memcpy(header.uuid, j->uuid, JOURNAL_UUID_LEN);
	segment_encode_header(&header, block);
	FAILPOINT("journal.before_segment_header_write");
	int r = j->disk->ops->pwrite(j->disk, j->current_handle, block, sizeof block, 0);
	FAILPOINT("journal.after_segment_header_write");
	return r;
}

/* Makes a spare the current segment, beginning at the batch's first lsn. */
static int open_segment(struct journal *j, struct batch *batch)
{
	uint64_t file;
	int r = prepare_take(j, &file);
	if (r < 0)
		return r;
	char path[SEGMENT_PATH_LEN];
	segment_path(path, file);
	struct segment *seg = calloc(1, sizeof *seg);
	int handle = seg ? j->disk->ops->open(j->disk, path, DISK_WRITE) : -ENOMEM;
	if (handle < 0) {
		free(seg);
		return handle;
	}
	*seg = (struct segment){.file = file,
		.base_lsn = batch->first_lsn,
		.salt = journal_random(),
		.bytes = j->segment_bytes,
		.end_lsn = UINT64_MAX,
		.limit = SEGMENT_BLOCK};
	journal_lock(j);
	seg->number = j->next_number++;
	if (batch->starts_segment) {
		/* A segment that failed before its first group was durable leaves them to this one. */
		struct segment *failed = batch->starts ? NULL : j->current;
		seg->starts = failed ? failed->starts : batch->starts;
		seg->n_starts = batch->n_starts;
		*(failed ? &failed->starts : &batch->starts) = NULL;
	}
	prepare_add_segment(j, seg);
	journal_unlock(j);
	if (j->current_handle >= 0)
		j->disk->ops->close(j->disk, j->current_handle);
	j->current = seg;
	j->current_handle = handle;
	j->current_offset = SEGMENT_BLOCK;
	return 0;
}

static int sync_group(struct journal *j)
{
	uint64_t began_ns = now_ns();
	FAILPOINT("journal.before_group_fdatasync");
	int r = j->disk->ops->fdatasync(j->disk, j->current_handle);
	FAILPOINT("journal.after_group_fdatasync");
	uint64_t took_us = (now_ns() - began_ns) / 1000;
	journal_lock(j);
	j->stats.fdatasyncs++;
	j->stats.fdatasync_last_us = took_us;
	histogram_add(&j->stats.fdatasync_us, took_us, 1);
	if (took_us > j->stats.fdatasync_max_us)
		j->stats.fdatasync_max_us = took_us;
	journal_unlock(j);
	return r;
}

static int write_group(struct journal *j, struct batch *batch)
{
	int r = j->current_offset == SEGMENT_BLOCK ? write_header(j) : 0;
	if (r < 0)
		return r;
	seal_batch(batch, j->current->salt);
	FAILPOINT("journal.before_group_write");
	r = j->disk->ops->pwrite(j->disk, j->current_handle, batch->bytes.data, batch->bytes.len, j->current_offset);
	FAILPOINT("journal.after_group_write");
	return r;
}

/* After an unplanned segment: what waits in the queue stands behind a group that has moved. Lock held. */
static void recount_tail(struct journal *j, size_t written)
{
	j->tail_offset = SEGMENT_BLOCK + written;
	for (const struct batch *batch = j->head; batch; batch = batch->next)
		if (batch->closed)
			j->tail_offset = (batch->starts_segment ? SEGMENT_BLOCK : j->tail_offset) + batch->bytes.len;
}

static bool is_full(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* The group again into a fresh segment. */
static int write_again(struct journal *j, struct batch *batch, int error)
{
	log_error("journal_write_failed",
		"segment=%llu error=\"%s\" what=\"a write to the journal failed; the group is written again "
		"into a "
		"fresh segment\"",
		(unsigned long long)(j->current ? j->current->number : 0), strerror(-error));
	journal_lock(j);
	if (j->current)
		j->current->failed = true;
	journal_unlock(j);
	int r = open_segment(j, batch);
	if (r == 0)
		r = write_group(j, batch);
	if (r == 0)
		r = sync_group(j);
	journal_lock(j);
	recount_tail(j, batch->bytes.len);
	j->fresh_without_checkpoint = true;
	journal_unlock(j);
	return r;
}

static void group_durable(struct journal *j, struct batch *batch)
{
	j->current_offset += batch->bytes.len;
	journal_lock(j);
	j->durable_lsn = batch->last_lsn;
	j->current->limit = j->current_offset;
	j->current->checkpointed |= batch->starts_segment;
	j->stats.groups++;
	j->stats.frames += batch->n_frames;
	histogram_add(&j->stats.group_frames, batch->n_frames, 1);
	histogram_add(&j->stats.group_bytes, batch->bytes.len, 1);
	j->stats.bytes_written += batch->bytes.len + (batch->starts_segment ? SEGMENT_BLOCK : 0);
	j->stalled = false;
	recycle_batch(j, batch);
	journal_unlock(j);
	loop_post(j->loop, &j->wake_job);
}

static void fail(struct journal *j, struct batch *batch, int error)
{
	journal_lock(j);
	j->failed = error;
	recycle_batch(j, batch);
	journal_unlock(j);
	loop_post(j->loop, &j->wake_job);
}

/* Puts a batch back because the disk is full. Nothing of it was fdatasynced, so writing it again to the same
 * place is allowed. */
static void stall(struct journal *j, struct batch *batch)
{
	journal_lock(j);
	bool first = !j->stalled;
	j->stalled = true;
	batch->next = j->head;
	j->head = batch;
	if (!j->tail)
		j->tail = batch;
	j->queued_bytes += batch->bytes.len;
	journal_unlock(j);
	if (first)
		log_warn("journal_disk_full",
			"free=%lld what=\"the disk is full: nothing is acknowledged until there is room\"",
			(long long)j->disk->ops->free_bytes(j->disk));
}

static struct batch *take_batch(struct journal *j)
{
	journal_lock(j);
	struct batch *batch = j->failed ? NULL : j->head;
	if (batch) {
		j->head = batch->next;
		if (!j->head)
			j->tail = NULL;
		if (!batch->closed)
			commit_close_batch(j, batch);
		j->queued_bytes -= batch->bytes.len;
		batch->next = NULL;
	}
	journal_unlock(j);
	return batch;
}

bool commit_step(struct journal *j)
{
	struct batch *batch = take_batch(j);
	if (!batch)
		return false;
	bool begun = !batch->starts_segment ||
		     (j->current && j->current->base_lsn == batch->first_lsn && j->current_offset == SEGMENT_BLOCK);
	int r = begun ? 0 : open_segment(j, batch);
	if (r == 0)
		r = write_group(j, batch);
	if (is_full(r)) {
		stall(j, batch);
		return false;
	}
	if (r == 0)
		r = sync_group(j);
	if (r < 0)
		r = write_again(j, batch, r);
	if (r < 0)
		fail(j, batch, r);
	else
		group_durable(j, batch);
	return r == 0;
}

/* --- thread
 * -----------------------------------------------------------------------------------------------------------
 */

static void deadline_in(struct timespec *ret_at, uint64_t ns)
{
	clock_gettime(CLOCK_MONOTONIC, ret_at);
	ns += (uint64_t)ret_at->tv_nsec;
	ret_at->tv_sec += (time_t)(ns / 1000000000u);
	ret_at->tv_nsec = (long)(ns % 1000000000u);
}

static void wait_for(struct journal *j, bool *waits, uint64_t ns)
{
	struct timespec at;
	deadline_in(&at, ns);
	*waits = true;
	pthread_cond_timedwait(&j->commit_wake, &j->mutex, &at);
	*waits = false;
}

/* Lock held. Returns when there is something to write; false: the end. */
static bool wait_for_work(struct journal *j)
{
	while (!j->head && !j->closing) {
		j->commit_waits = true;
		pthread_cond_wait(&j->commit_wake, &j->mutex);
		j->commit_waits = false;
	}
	uint64_t linger_ns = (uint64_t)j->options.linger_ms * 1000000u;
	while (linger_ns && j->head && !j->closing && !j->head->closed && j->head->bytes.len < LINGER_BYTES) {
		uint64_t waited_ns = now_ns() - j->head->opened_ns;
		if (waited_ns >= linger_ns)
			break;
		wait_for(j, &j->commit_lingers, linger_ns - waited_ns);
	}
	return j->head != NULL;
}

void *commit_main(void *journal)
{
	struct journal *j = journal;
	journal_lock(j);
	while (wait_for_work(j)) {
		journal_unlock(j);
		bool wrote = commit_step(j);
		journal_lock(j);
		if (!wrote && (j->failed || j->closing))
			break;
		if (!wrote)
			wait_for(j, &j->commit_waits, RETRY_MS * 1000000ull);
	}
	journal_unlock(j);
	return NULL;
}

void commit_free(struct journal *j)
{
	struct batch *lists[] = {j->head, j->free_batches};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		while (lists[i]) {
			struct batch *next = lists[i]->next;
			pages_free(&lists[i]->bytes);
			free(lists[i]->starts);
			free(lists[i]);
			lists[i] = next;
		}
	}
	if (j->current_handle >= 0)
		j->disk->ops->close(j->disk, j->current_handle);
}
