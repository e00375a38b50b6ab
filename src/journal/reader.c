/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the messages of one destination back: from its overflow log what is undone below overflow_end, file by file,
 * then from the segments. The loop asks and gets the result; the reader thread walks frame by frame from where the last
 * request ended, looks at nothing that is not durable, and verifies every frame.
 *
 * A seq that does not come is noticed because seqs have no gaps: between two messages, or at the end. Whether
 * it is missing or was done long ago only the loop can say, so the thread reports the gap and the loop looks
 * at the state.
 *
 * A job carries everything that the thread needs; the reader itself is the loop's alone. The segment that a
 * job is in is pinned, so that it is not reused under it. The ones before and after may go while it waits or runs, once
 * what they held of the destination stands in the overflow log: then the loop lets it read again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal/journal_impl.h"
#include "journal/overflow.h"
#include "journal/walk.h"
#include "runtime/log.h"

#define MAX_FIRST_ITEMS 2048u
#define WINDOW_MS       100u

struct cursor {
	uint64_t segment; /* number; 0: nowhere yet */
	uint64_t offset;
	uint64_t lsn; /* of the next frame */
};

/* A file of the overflow log. */
struct place {
	uint64_t file; /* 0: none, the journal is meant */
	uint64_t bytes; /* durable */
	uint64_t end_seq; /* the first behind it */
	uint64_t offset; /* of the next frame; 0: at the beginning */
};

struct gap {
	uint64_t first, last; /* seqs */
	uint64_t segment, offset, lsn; /* where the damage was seen, or where it was noticed; lsn 0: an overflow file */
};

struct read_job {
	struct reader_job base;
	struct journal *j;
	struct journal_reader *reader; /* guarded by the journal's mutex; NULL: cancelled */
	uint32_t dest;
	size_t max_messages, max_bytes;
	/* Every seq below target_seq stands at or below target_lsn. */
	uint64_t target_seq, target_lsn;
	uint64_t start_seq, next_seq;
	uint64_t overflow_end; /* when it was asked */
	struct place place;
	char *name; /* of the destination, with a place */
	struct cursor cursor;
	struct segment *seg; /* pinned while the job runs */
	int handle;
	uint64_t end_lsn, limit; /* of seg, as last looked at */
	bool damage_seen;
	struct gap damage; /* the last */
	struct message_decoder decoder; /* ends with the run */
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
	struct place place;
	uint64_t cursor_seq; /* no seq that is at or above it stands before the cursor (the place) */
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
	struct gap gap = {.segment = job->cursor.segment, .offset = job->cursor.offset, .lsn = job->cursor.lsn};
	if (job->place.file)
		gap = (struct gap){.segment = job->place.file, .offset = job->place.offset};
	if (job->damage_seen)
		gap = job->damage;
	gap.first = first;
	gap.last = last;
	job->gaps[job->n_gaps++] = gap;
	return 0;
}

/* What was asked for will mostly be there. */
static size_t first_capacity(const struct read_job *job)
{
	return job->max_messages < MAX_FIRST_ITEMS ? job->max_messages : MAX_FIRST_ITEMS;
}

static int add_item(struct read_job *job, const struct frame *frame, struct message *msg)
{
	if (job->n_items == job->items_capacity) {
		size_t capacity = job->items_capacity ? job->items_capacity * 2 : first_capacity(job);
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
	r = message_decoder_next(&job->decoder, frame->body, &msg);
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
static bool is_early_end(const struct read_job *job, const struct walk *walk)
{
	journal_lock(job->j);
	const struct segment *next = job->seg->next;
	bool hole = next && next->number != job->seg->number + 1;
	journal_unlock(job->j);
	return hole && walk_ended(walk);
}

/* What could not be read is copied aside, once for a segment. */
static void note_damage(struct read_job *job, const struct walk *walk)
{
	job->damage =
		(struct gap){.segment = job->cursor.segment, .offset = walk->damage_offset, .lsn = walk->damage_lsn};
	job->damage_seen = true;
	if (job->seg->quarantined || job->handle < 0 || job->next_seq >= job->target_seq || is_early_end(job, walk))
		return;
	job->seg->quarantined = true; /* this thread's, once the journal is open */
	quarantine_segment(job->j, job->seg->file, job->seg->number);
}

/* Without its file all of a segment is lost. */
static int step(struct read_job *job, struct walk *walk, struct frame *frame)
{
	if (job->handle >= 0 || walk->offset >= job->limit)
		return walk_next(walk, frame);
	walk->damage_offset = walk->offset;
	walk->damage_lsn = walk->lsn;
	walk->damage_ends_it = true;
	walk->offset = job->limit;
	return -EBADMSG;
}

/* One frame. 1: go on, 0: enough or the end, negative errno. */
static int read_frame(struct read_job *job)
{
	struct frame frame;
	struct walk walk = {.scan = &job->j->reader_scan,
		.offset = job->cursor.offset,
		.lsn = job->cursor.lsn,
		.end_lsn = job->end_lsn};
	int r = step(job, &walk, &frame);
	if (r == 0) {
		job->cursor.offset = walk.offset;
		return next_segment(job);
	}
	if (r < 0 && r != -EBADMSG)
		return r;
	if (r < 0) {
		note_damage(job, &walk);
	} else if (frame.type == FRAME_MSG && frame.dest == job->dest && frame.seq >= job->next_seq) {
		if (is_full(job, frame.length))
			return 0;
		r = take_message(job, &frame);
		if (r < 0)
			return r;
	}
	job->cursor.offset = walk.offset;
	job->cursor.lsn = walk.lsn;
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

/* --- the overflow log
 * --------------------------------------------------------------------------------------------- */

/* The scan of the job's file; job->handle stays -1 when there is no such file, or not a whole header. */
static int open_overflow(struct read_job *job)
{
	struct disk *disk = job->j->disk;
	char path[FOLDER_PATH_LEN];
	struct segment_header header = {.salt = 0};
	overflow_path(job->name, job->place.file, path);
	job->handle = disk->ops->open(disk, path, DISK_READ);
	int r = job->handle < 0 ? job->handle : segment_read_header(disk, job->handle, SEGMENT_OVERFLOW, &header);
	scan_begin(&job->j->reader_scan, disk, job->handle, header.salt, job->place.bytes);
	if (r < 0)
		close_file(job);
	return r == -ENOENT || r == -EBADMSG || r == -ENODATA || r == -ENOTSUP || r == -EIO ? 0 : r;
}

static void note_overflow_damage(struct read_job *job, uint64_t offset)
{
	char source[FOLDER_PATH_LEN];
	job->damage = (struct gap){.segment = job->place.file, .offset = offset};
	job->damage_seen = true;
	overflow_path(job->name, job->place.file, source);
	quarantine_overflow(job->j, source, job->dest, job->place.file);
}

/* One frame. 1: go on, 0: enough or the end, negative errno. */
static int read_overflow_frame(struct read_job *job)
{
	struct frame frame;
	uint64_t offset = job->place.offset;
	int r = job->handle < 0 ? 0 : overflow_next(&job->j->reader_scan, &offset, &frame);
	if (r == 0 && job->next_seq < job->place.end_seq) {
		r = add_gap(job, job->next_seq, job->place.end_seq - 1);
		job->next_seq = r < 0 ? job->next_seq : job->place.end_seq;
		return r;
	}
	if (r == -EBADMSG)
		note_overflow_damage(job, job->place.offset);
	else if (r <= 0)
		return r;
	else if (frame.type == FRAME_MSG && frame.dest == job->dest && frame.seq >= job->next_seq &&
		 frame.seq < job->place.end_seq) {
		if (is_full(job, frame.length))
			return 0;
		r = take_message(job, &frame);
		if (r < 0)
			return r;
	}
	job->place.offset = offset;
	return 1;
}

static int run_overflow(struct read_job *job)
{
	if (job->place.offset == 0)
		job->place.offset = SEGMENT_BLOCK;
	int r = open_overflow(job);
	if (r == 0 && job->handle < 0)
		job->damage_seen = true, job->damage = (struct gap){.segment = job->place.file};
	if (r == 0)
		r = 1;
	while (r > 0 && !is_full(job, 0))
		r = read_overflow_frame(job);
	close_file(job);
	pages_reset(&job->j->reader_scan.window, IDLE_BUFFER * 4);
	return r < 0 ? r : 0;
}

/* Returns a negative errno when it should be tried again later; what was read stays in the job. */
static int run_read(struct read_job *job)
{
	if (job->place.file)
		return run_overflow(job);
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
	if (job->type == JOB_READ) {
		struct read_job *read = (struct read_job *)job;
		int r = run_read(read);
		message_decoder_end(&read->decoder);
		return r;
	}
	if (job->type == JOB_DEAD_LETTER)
		dead_letter_work(j, job);
	else
		dead_read_work(j, job);
	return 0;
}

/* Does the first job. False: there is none, or it must wait. */
static bool do_job(struct journal *j)
{
	journal_lock(j);
	struct reader_job *job = job_pop(&j->jobs);
	if (job && job->type == JOB_DEAD_LETTER)
		dead_letter_gather(j, job);
	j->running = job;
	journal_unlock(j);
	if (!job)
		return false;
	int r = work(j, job);
	if (r < 0)
		log_warn("journal_read", "error=\"%s\" what=\"tried again in a second\"", strerror(-r));
	journal_lock(j);
	j->running = NULL;
	for (struct reader_job *at = job, *more; at; at = more) {
		more = at->group;
		job_push(r < 0 ? &j->jobs : &j->finished, at);
	}
	journal_unlock(j);
	if (r == 0)
		loop_post(j->loop, &j->wake_job);
	return r == 0;
}

bool reader_step(struct journal *j)
{
	return do_job(j);
}

/* Lock held. */
static void wait_a_while(struct journal *j, unsigned ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&j->reader_wake, &j->mutex, &at);
}

/* Lock held. An idle daemon holds no window, but one that reads back waits for the next request with its own. */
static void wait_for_job(struct journal *j)
{
	if (j->reader_scan.window.data)
		wait_a_while(j, WINDOW_MS);
	if (j->jobs.head || j->closing)
		return;
	scan_end(&j->reader_scan);
	pthread_cond_wait(&j->reader_wake, &j->mutex);
}

void *reader_main(void *journal)
{
	struct journal *j = journal;
	journal_lock(j);
	while (!j->closing) {
		if (!j->jobs.head) {
			wait_for_job(j);
			continue;
		}
		journal_unlock(j);
		bool done = do_job(j);
		journal_lock(j);
		if (!done && !j->closing)
			wait_a_while(j, RETRY_MS);
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
	free(job->name);
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

/* Where the message of next_seq stands, if that is in the overflow log. */
static void find_place(const struct journal_reader *reader, struct read_job *job)
{
	const struct state_dest *dest = state_dest(&reader->j->state, reader->dest);
	if (!dest)
		return;
	job->overflow_end = dest->overflow_end;
	uint64_t end_seq;
	const struct state_overflow_file *file = state_overflow_of(dest, job->next_seq, &end_seq);
	if (!file)
		return;
	job->name = strdup(dest->name);
	if (!job->name)
		abort(); /* a name */
	job->place = (struct place){.file = file->file, .bytes = file->bytes, .end_seq = end_seq};
	if (reader->place.file == file->file)
		job->place.offset = reader->place.offset;
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
		.start_seq = reader->next_seq,
		.next_seq = reader->next_seq,
		.cursor = reader->cursor,
		.handle = -1};
	find_place(reader, job);
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
	if (seq < reader->cursor_seq) {
		reader->cursor = (struct cursor){0};
		reader->place = (struct place){0};
	}
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
		"%s=%" PRIu64 " offset=%" PRIu64 " lsn=%" PRIu64 " destination=%s first_seq=%" PRIu64
		" last_seq=%" PRIu64 " what=\"these messages cannot be read any more and are lost\"",
		missing->gap->lsn ? "segment" : "overflow_file", missing->gap->segment, missing->gap->offset,
		missing->gap->lsn, journal_outbox(j, dest).name, first, last);
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
	bool is_gone = !state_dest(&j->state, job->dest);
	for (size_t i = 0; i < job->n_items; i++) {
		if (is_gone || journal_is_done(j, job->dest, job->items[i].seq))
			message_unref(job->items[i].msg);
		else
			job->items[n++] = job->items[i];
	}
	return n;
}

/* Has what it did not find gone to the overflow log meanwhile? */
static bool has_moved(const struct journal *j, const struct read_job *job)
{
	const struct state_dest *dest = state_dest(&j->state, job->dest);
	return !job->place.file && dest && dest->overflow_end > job->overflow_end && job->n_gaps &&
	       job->gaps[0].first < dest->overflow_end;
}

void reader_deliver(struct journal *j, struct reader_job *base)
{
	struct read_job *job = (struct read_job *)base;
	struct journal_reader *reader = job->reader; /* written by the loop only */
	if (!reader) {
		reader_discard(base);
		return;
	}
	reader->job = NULL;
	if (has_moved(j, job)) {
		reader->cursor = (struct cursor){0};
		reader->next_seq = job->start_seq;
		journal_reader_request(reader, reader->max_messages, reader->max_bytes);
		reader_discard(base);
		return;
	}
	settle_gaps(j, job);
	size_t n = keep_undone(j, job);
	reader->cursor = job->cursor; /* still nowhere after a file of the overflow log */
	reader->place = job->place;
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
