/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the messages of one destination back from the segments. The loop asks and gets the result; the reader
 * thread walks frame by frame from where the last request ended, looks at nothing that is not durable, and
 * verifies every frame.
 *
 * A seq that does not come is noticed because seqs have no gaps: between two messages, or at the end. Whether
 * it is missing or was done long ago only the loop can say, so the thread reports the gap and the loop looks
 * at the state.
 *
 * A job carries everything that the thread needs; the reader itself is the loop's alone. The segment that a
 * job is in is pinned, so that it is not reused under it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/journal_impl.h"
#include "runtime/log.h"

struct cursor {
	uint64_t segment; /* number; 0: nowhere yet */
	uint64_t offset;
	uint64_t lsn; /* of the next frame */
};

struct gap {
	uint64_t first, last; /* seqs */
	uint64_t segment, offset, lsn; /* where the damage was seen, or where it was noticed */
};

struct read_job {
	struct reader_job base;
	struct journal *j;
	struct journal_reader *reader; /* guarded by the journal's mutex; NULL: cancelled */
	uint32_t dest;
	size_t max_messages, max_bytes;
	/* Every seq below target_seq stands at or below target_lsn. */
	uint64_t target_seq, target_lsn;
	uint64_t next_seq;
	struct cursor cursor;
	struct segment *seg; /* pinned while the job runs */
	int handle;
	uint64_t end_lsn, limit; /* of seg, as last looked at */
	bool damage_seen;
	struct gap damage; /* the last */
	struct journal_read *items;
	size_t n_items, items_capacity, bytes;
	struct gap *gaps;
	size_t n_gaps, gaps_capacity;
	bool at_end;
};

struct journal_reader {
	struct journal *j;
	uint32_t dest;
	uint64_t next_seq;
	struct cursor cursor;
	uint64_t cursor_seq; /* no seq below it stands at or behind the cursor */
	void (*fn)(const struct journal_read_result *result, void *arg);
	void *arg;
	struct read_job *job; /* under way */
	size_t max_messages, max_bytes; /* of the request */
};

/* --- the reader thread's half
 * ------------------------------------------------------------------------------------------ */

static int add_gap(struct read_job *job, uint64_t first, uint64_t last)
{
	if (job->n_gaps == job->gaps_capacity) {
		size_t capacity = job->gaps_capacity ? job->gaps_capacity * 2 : 4;
		struct gap *gaps = realloc(job->gaps, capacity * sizeof *gaps);
		if (!gaps)
			return -ENOMEM;
		job->gaps = gaps;
		job->gaps_capacity = capacity;
	}
	struct gap gap = job->damage_seen ? job->damage
					  : (struct gap){.segment = job->cursor.segment,
						    .offset = job->cursor.offset,
						    .lsn = job->cursor.lsn};
	gap.first = first;
	gap.last = last;
	job->gaps[job->n_gaps++] = gap;
	return 0;
}

static int add_item(struct read_job *job, const struct frame *frame, struct message *msg)
{
	if (job->n_items == job->items_capacity) {
		size_t capacity = job->items_capacity ? job->items_capacity * 2 : 16;
		struct journal_read *items = realloc(job->items, capacity * sizeof *items);
		if (!items)
			return -ENOMEM;
		job->items = items;
		job->items_capacity = capacity;
	}
	job->items[job->n_items++] =
		(struct journal_read){.seq = frame->seq, .lsn = frame->lsn, .bytes = frame->length, .msg = msg};
	job->bytes += frame->length;
	return 0;
}

static int take_message(struct read_job *job, const struct frame *frame)
{
	int r = 0;
	if (frame->seq > job->next_seq)
		r = add_gap(job, job->next_seq, frame->seq - 1);
	if (r < 0)
		return r;
	job->next_seq = frame->seq;
	struct message *msg;
	r = message_decode(frame->body, &msg);
	if (r == -EBADMSG)
		r = add_gap(job, frame->seq, frame->seq);
	else if (r == 0) {
		r = add_item(job, frame, msg);
		if (r < 0)
			message_unref(msg);
	}
	if (r == 0)
		job->next_seq = frame->seq + 1;
	return r;
}

static bool is_full(const struct read_job *job, size_t more)
{
	return job->n_items >= job->max_messages || (job->n_items && job->bytes + more > job->max_bytes);
}

static int open_file(struct read_job *job)
{
	struct disk *disk = job->j->disk;
	char path[SEGMENT_PATH_LEN];
	segment_path(path, job->seg->file);
	job->handle = disk->ops->open(disk, path, DISK_READ);
	scan_begin(&job->j->reader_scan, disk, job->handle, job->seg->salt, job->limit);
	return job->handle < 0 && job->handle != -ENOENT ? job->handle : 0;
}

static void close_file(struct read_job *job)
{
	if (job->handle >= 0)
		job->j->disk->ops->close(job->j->disk, job->handle);
	job->handle = -1;
}

/* What is durable of the segment may have grown. Lock held. */
static void look(struct read_job *job)
{
	job->end_lsn = job->seg->end_lsn;
	job->limit = job->seg->limit;
	job->j->reader_scan.limit = job->limit;
}

/* At the end of what was known of a segment: there may be more by now, or a next one. 1: go on, 0: that is
 * all. */
static int next_segment(struct read_job *job)
{
	struct journal *j = job->j;
	journal_lock(j);
	uint64_t known = job->limit;
	look(job);
	if (job->limit > known && job->cursor.lsn < job->end_lsn && job->cursor.offset < job->limit) {
		journal_unlock(j);
		return 1;
	}
	struct segment *next = job->seg->next;
	if (!next || next->limit == SEGMENT_BLOCK) { /* nothing of the next one is durable */
		bool all = j->durable_lsn >= job->target_lsn;
		journal_unlock(j);
		job->at_end = true;
		return all && job->next_seq < job->target_seq ? add_gap(job, job->next_seq, job->target_seq - 1) : 0;
	}
	job->seg->pins--;
	next->pins++;
	job->seg = next;
	look(job);
	job->cursor = (struct cursor){next->number, SEGMENT_BLOCK, next->base_lsn};
	journal_unlock(j);
	close_file(job);
	int r = open_file(job);
	return r < 0 ? r : 1;
}

/* After a restart the end of a segment is known only from the base of the next one. Where segments between the two were
 * given back, the end comes earlier: nothing that looks like the expected frame is no damage there. */
static bool is_early_end(struct read_job *job)
{
	uint64_t lsn = 0;
	uint32_t length;
	journal_lock(job->j);
	const struct segment *next = job->seg->next;
	bool hole = next && next->number != job->seg->number + 1;
	journal_unlock(job->j);
	return hole &&
	       (scan_peek(&job->j->reader_scan, job->cursor.offset, &lsn, &length) != 0 || lsn != job->cursor.lsn);
}

/* Behind a frame that is not whole: the next frame, if the length leads to it, else the next group. */
static int skip_damage(struct read_job *job)
{
	struct scan *scan = &job->j->reader_scan;
	struct cursor *at = &job->cursor;
	struct frame frame;
	uint64_t ignored, next;
	uint32_t length;
	job->damage = (struct gap){.segment = at->segment, .offset = at->offset, .lsn = at->lsn};
	job->damage_seen = true;
	if (job->handle >= 0 && scan_peek(scan, at->offset, &ignored, &length) == 0 && length >= FRAME_HEADER_LEN &&
		scan_frame(scan, at->offset + length, &frame) == 0 &&
		frame.lsn == at->lsn + (frame.type != FRAME_COMMIT)) {
		at->offset += length;
		at->lsn++;
		return 0;
	}
	bool early_end = job->handle >= 0 && is_early_end(job);
	int r = job->handle < 0 ? -ENOENT : scan_resync(scan, at->offset + 1, at->lsn, job->end_lsn, &next);
	if (r == 0)
		r = scan_frame(scan, next, &frame);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	if (r == 0)
		*at = (struct cursor){at->segment, next, frame.lsn};
	else
		at->offset = job->limit;
	if (!job->seg->quarantined && job->handle >= 0 && job->next_seq < job->target_seq && !(early_end && r < 0)) {
		job->seg->quarantined = true; /* this thread's, once the journal is open */
		quarantine_segment(job->j, job->seg->file, job->seg->number);
	}
	return 0;
}

/* One frame. 1: go on, 0: enough or the end, negative errno. */
static int read_frame(struct read_job *job)
{
	struct cursor *at = &job->cursor;
	struct frame frame;
	if (at->lsn >= job->end_lsn || at->offset >= job->limit)
		return next_segment(job);
	int r = job->handle < 0 ? -EBADMSG : scan_frame(&job->j->reader_scan, at->offset, &frame);
	bool commit = r == 0 && frame.type == FRAME_COMMIT;
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0 || frame.lsn != at->lsn - commit) {
		r = skip_damage(job);
		return r < 0 ? r : 1;
	}
	if (frame.type == FRAME_MSG && frame.dest == job->dest && frame.seq >= job->next_seq) {
		if (is_full(job, frame.length))
			return 0;
		r = take_message(job, &frame);
		if (r < 0)
			return r;
	}
	at->offset = commit ? segment_pad(at->offset + frame.length) : at->offset + frame.length;
	at->lsn += !commit;
	return 1;
}

/* The segment in which to begin: where the cursor stands if that is still there, else by seq. Lock held. */
static void find_start(struct read_job *job)
{
	struct journal *j = job->j;
	struct segment *seg = job->cursor.segment ? prepare_find_segment(j, job->cursor.segment) : NULL;
	if (!seg || seg->number != job->cursor.segment) {
		seg = j->segments;
		for (struct segment *later = seg; later; later = later->next) {
			uint64_t start = job->dest < later->n_starts && later->starts ? later->starts[job->dest] : 1;
			if (later->starts && start <= job->next_seq)
				seg = later;
		}
		job->cursor = (struct cursor){seg->number, SEGMENT_BLOCK, seg->base_lsn};
	}
	job->seg = seg;
	seg->pins++;
	look(job);
}

/* Returns a negative errno when it should be tried again later; what was read stays in the job. */
static int run_read(struct read_job *job)
{
	journal_lock(job->j);
	find_start(job);
	journal_unlock(job->j);
	int r = open_file(job);
	if (r == 0)
		r = 1;
	while (r > 0 && !is_full(job, 0))
		r = read_frame(job);
	if (job->at_end && job->n_gaps && job->gaps[job->n_gaps - 1].last >= job->next_seq)
		job->next_seq = job->gaps[job->n_gaps - 1].last + 1;
	close_file(job);
	pages_reset(&job->j->reader_scan.window, IDLE_BUFFER * 4);
	journal_lock(job->j);
	job->seg->pins--;
	job->seg = NULL;
	journal_unlock(job->j);
	return r < 0 ? r : 0;
}

static int work(struct journal *j, struct reader_job *job)
{
	if (job->type == JOB_READ)
		return run_read((struct read_job *)job);
	dead_letter_work(j, job);
	return 0;
}

/* Does the first job. False: there is none, or it must wait. */
static bool do_job(struct journal *j)
{
	journal_lock(j);
	struct reader_job *job = job_pop(&j->jobs);
	j->running = job;
	journal_unlock(j);
	if (!job)
		return false;
	int r = work(j, job);
	if (r < 0)
		log_warn("journal_read", "error=\"%s\" what=\"tried again in a second\"", strerror(-r));
	journal_lock(j);
	j->running = NULL;
	job_push(r < 0 ? &j->jobs : &j->finished, job);
	journal_unlock(j);
	if (r == 0)
		loop_post(j->loop, &j->wake_job);
	return r == 0;
}

bool reader_step(struct journal *j)
{
	return do_job(j);
}

void *reader_main(void *journal)
{
	struct journal *j = journal;
	journal_lock(j);
	while (!j->closing) {
		if (!j->jobs.head) {
			scan_end(&j->reader_scan); /* an idle daemon holds no window */
			pthread_cond_wait(&j->reader_wake, &j->mutex);
			continue;
		}
		journal_unlock(j);
		bool done = do_job(j);
		journal_lock(j);
		if (!done && !j->closing) {
			struct timespec at;
			clock_gettime(CLOCK_MONOTONIC, &at);
			at.tv_sec += RETRY_MS / 1000;
			pthread_cond_timedwait(&j->reader_wake, &j->mutex, &at);
		}
	}
	journal_unlock(j);
	return NULL;
}

/* --- the loop's half
 * ---------------------------------------------------------------------------------------------------- */

void reader_discard(struct reader_job *base)
{
	struct read_job *job = (struct read_job *)base;
	for (size_t i = 0; i < job->n_items; i++)
		message_unref(job->items[i].msg);
	free(job->items);
	free(job->gaps);
	free(job);
}

struct journal_reader *journal_reader_new(struct journal *j, uint32_t dest, uint64_t from_seq,
	void (*fn)(const struct journal_read_result *result, void *arg), void *arg)
{
	struct journal_reader *reader = calloc(1, sizeof *reader);
	if (reader)
		*reader = (struct journal_reader){
			.j = j, .dest = dest, .next_seq = from_seq ? from_seq : 1, .fn = fn, .arg = arg};
	return reader;
}

void journal_reader_request(struct journal_reader *reader, size_t max_messages, size_t max_bytes)
{
	struct journal *j = reader->j;
	if (reader->job)
		return;
	struct journal_outbox box = journal_outbox(j, reader->dest);
	struct read_job *job = calloc(1, sizeof *job);
	if (!job)
		abort(); /* a few hundred bytes: as malloc failures elsewhere in libraries would end */
	if (reader->next_seq < box.oldest_undone)
		reader->next_seq = box.oldest_undone;
	*job = (struct read_job){.base.type = JOB_READ,
		.j = j,
		.reader = reader,
		.dest = reader->dest,
		.max_messages = max_messages ? max_messages : 1,
		.max_bytes = max_bytes,
		.target_seq = box.next_seq,
		.target_lsn = j->appended_lsn,
		.next_seq = reader->next_seq,
		.cursor = reader->cursor,
		.handle = -1};
	reader->job = job;
	reader->max_messages = max_messages;
	reader->max_bytes = max_bytes;
	journal_lock(j);
	job_push(&j->jobs, &job->base);
	pthread_cond_signal(&j->reader_wake);
	journal_unlock(j);
}

void journal_reader_seek(struct journal_reader *reader, uint64_t seq)
{
	/* Forward, the walk goes on from where it is; back, it begins at the head of a segment. */
	if (seq < reader->cursor_seq)
		reader->cursor = (struct cursor){0};
	reader->next_seq = seq ? seq : 1;
}

void journal_reader_free(struct journal_reader *reader)
{
	if (!reader)
		return;
	struct read_job *job = reader->job;
	if (job) {
		journal_lock(reader->j);
		bool removed = job_remove(&reader->j->jobs, &job->base) || job_remove(&reader->j->finished, &job->base);
		job->reader = NULL;
		journal_unlock(reader->j);
		removed = removed || job_remove(&reader->j->delivering, &job->base);
		if (removed)
			reader_discard(&job->base);
	}
	free(reader);
}

struct missing {
	struct journal *j;
	const struct gap *gap;
};

static void on_missing(void *arg, uint32_t dest, uint64_t first, uint64_t last)
{
	const struct missing *missing = arg;
	struct journal *j = missing->j;
	append_note_lost(j, dest, first, last);
	j->damaged_messages += last - first + 1;
	log_error("journal_damage",
		"segment=%" PRIu64 " offset=%" PRIu64 " lsn=%" PRIu64 " destination=%s first_seq=%" PRIu64
		" last_seq=%" PRIu64 " what=\"these messages cannot be read any more and are lost\"",
		missing->gap->segment, missing->gap->offset, missing->gap->lsn, journal_outbox(j, dest).name, first,
		last);
}

static void settle_gaps(struct journal *j, const struct read_job *job)
{
	struct state *state = &j->state;
	if (!state_dest(state, job->dest))
		return;
	for (size_t i = 0; i < job->n_gaps; i++) {
		struct missing missing = {j, &job->gaps[i]};
		state->on_missing = on_missing;
		state->arg = &missing;
		int r = state_mark_missing(state, job->dest, job->gaps[i].first, job->gaps[i].last + 1);
		state->on_missing = NULL;
		if (r < 0)
			log_warn("journal_read", "error=\"%s\"", strerror(-r));
	}
}

/* Leaves out what is done. */
static size_t keep_undone(struct journal *j, struct read_job *job)
{
	size_t n = 0;
	for (size_t i = 0; i < job->n_items; i++) {
		if (!state_dest(&j->state, job->dest) || journal_is_done(j, job->dest, job->items[i].seq))
			message_unref(job->items[i].msg);
		else
			job->items[n++] = job->items[i];
	}
	return n;
}

void reader_deliver(struct journal *j, struct reader_job *base)
{
	struct read_job *job = (struct read_job *)base;
	struct journal_reader *reader = job->reader; /* written by the loop only */
	if (!reader) {
		reader_discard(base);
		return;
	}
	settle_gaps(j, job);
	size_t n = keep_undone(j, job);
	reader->job = NULL;
	reader->cursor = job->cursor;
	reader->next_seq = reader->cursor_seq = job->next_seq;
	struct journal_read_result result = {
		.items = job->items, .n_items = n, .next_seq = job->next_seq, .at_end = job->at_end};
	job->n_items = 0; /* the callback takes the messages */
	if (n == 0 && !job->at_end)
		journal_reader_request(reader, reader->max_messages, reader->max_bytes);
	else
		reader->fn(&result, reader->arg);
	reader_discard(base);
}
