/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal's own files share. One mutex guards everything that more than one thread touches; it is
 * never held across a disk operation or a callback. Who runs what: loop            append.c, journal.c, the
 * asking halves of reader.c and dead_letter.c, recovery.c at open commit thread   commit.c: takes batches off
 * the queue, writes, fdatasyncs prepare thread  prepare.c: keeps zero-filled spare segments ready, removes
 * files that nobody needs reader thread   the working halves of reader.c and dead_letter.c With
 * options.manual there are no threads; journal_step calls the same units of work.
 */
#ifndef LINKSPAN_JOURNAL_JOURNAL_IMPL_H
#define LINKSPAN_JOURNAL_JOURNAL_IMPL_H

#include <pthread.h>

#include "journal/folder.h"
#include "journal/pages.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/state.h"

/* Spare segments that only sets without messages may use, two, so that they can take turns. */
#define RESERVE_SEGMENTS 2u
#define MAX_SPARES       5u
#define MIN_SEGMENTS     3u /* in use, before the oldest is spilled */
/* A batch is closed at this size; more than MAX_QUEUED waiting to be written and messages are refused for a
 * while. */
#define BATCH_BYTES   (4u * 1024 * 1024)
#define LINGER_BYTES  (256u * 1024)
#define MAX_QUEUED    (32u * 1024 * 1024)
#define COMMIT_ROOM   (128u + SEGMENT_BLOCK) /* behind the frames of a batch: the commit frame and the padding */
#define DONE_DELAY_MS 1000u
#define RETRY_MS      1000u /* until a full disk is tried again */
#define SPACE_MS      5000u /* until the free space is looked at again */
#define IDLE_BUFFER   (64u * 1024)

/* --- segments
 * ---------------------------------------------------------------------------------------------------- */

struct segment {
	struct segment *next; /* in the order of their numbers */
	uint64_t number, base_lsn, salt, bytes;
	uint64_t file; /* the number in its name */
	uint64_t end_lsn; /* base of the one after it; UINT64_MAX: the newest */
	uint64_t limit; /* nothing at or behind this offset is durable */
	uint64_t *starts; /* per destination the next seq at its CHECKPOINT; NULL: not known */
	size_t n_starts;
	bool checkpointed; /* its CHECKPOINT is durable */
	bool failed; /* a write or fdatasync failed: never used again */
	bool quarantined;
	unsigned pins; /* readers in it: not to be reused */
};

struct spare {
	struct spare *next;
	uint64_t file;
};

/* --- batches
 * ------------------------------------------------------------------------------------------------------- */

/* What becomes one group. The loop fills the last of the queue until it is closed or taken. */
struct batch {
	struct batch *next;
	struct pages bytes; /* frames, checksums still open; once closed the commit frame and padding too */
	size_t commit_at;
	uint64_t first_lsn, last_lsn, n_frames;
	bool starts_segment, closed;
	uint64_t *starts; /* for the segment that it starts */
	size_t n_starts;
	uint64_t opened_ns; /* CLOCK_MONOTONIC, for linger */
};

/* --- work for the reader thread
 * ------------------------------------------------------------------------------------ */

enum job_type { JOB_READ, JOB_DEAD_LETTER, JOB_DEAD_READ, JOB_DEAD_REMOVE };
struct reader_job { /* first member of the jobs in reader.c and dead_letter.c */
	struct reader_job *next;
	enum job_type type;
	struct reader_job *group; /* dead letters: the next of those that are stored together */
};
struct job_list {
	struct reader_job *head, *tail;
};
void job_push(struct job_list *list, struct reader_job *job);
struct reader_job *job_pop(struct job_list *list); /* NULL: empty */
bool job_remove(struct job_list *list, struct reader_job *job); /* false: it was not in it */

/* What is durable in the destinations at some lsn: what frees segments. */
struct undone_snapshot {
	uint64_t lsn; /* 0: none */
	uint64_t *oldest; /* per destination: below it nothing in the segments is wanted */
	size_t n;
};

/* A file of an overflow log that goes when lsn is durable. */
struct doomed {
	struct doomed *next;
	uint64_t lsn;
	char path[FOLDER_PATH_LEN];
};

struct dead_folder;
struct spill;

struct journal {
	struct journal_options options;
	struct disk *disk;
	struct loop *loop;
	uint8_t uuid[JOURNAL_UUID_LEN];
	uint64_t segment_bytes;

	/* The loop's own. */
	struct state state;
	uint64_t appended_lsn, reported_lsn;
	struct loop_timer *done_timer;
	uint64_t pending_since_ms;
	bool any_pending;
	bool done_changed; /* since the last snapshot */
	struct undone_snapshot snapshot; /* waiting to be durable */
	struct undone_snapshot durable_undone;
	bool want_room; /* an append was refused */
	bool refused_for_ranges; /* because a destination has too many done ranges */
	bool recycle_again; /* a segment could have gone, but for a reader in it */
	uint64_t recycled_at; /* number of the newest segment when that was last tried */
	bool want_checkpoint; /* after a failed write: start a proper segment soon */
	bool told_failed;
	int64_t growth_left; /* what tables may grow before a CHECKPOINT's size is looked at again */
	struct job_list delivering; /* finished jobs whose turn it is */
	struct job_list dead_waiting; /* for their DEAD frames to be durable */
	uint64_t damaged_messages;
	struct loop_job wake_job;
	struct loop_timer *spill_timer; /* runs while a spill that failed waits to be tried again */
	unsigned spill_failed; /* so many in a row */
	uint64_t spilled_lsn; /* when that is durable, what the last spill moved is given back */
	struct doomed *doomed; /* by lsn */
	struct loop_timer *clock_timer;
	struct clocks_entry clock; /* of this process */
	uint64_t keys_expired_ms; /* when they were last looked through; 0: never */

	/* The commit thread's own (the loop's until the threads run). */
	struct segment *current; /* being written; its fields below are */
	int current_handle; /* -1: none */
	uint64_t current_offset;
	struct scan reader_scan; /* the reader thread's own */
	struct dead_folder *dead_folders; /* likewise */
	uint64_t dead_generation; /* likewise: raised when dead letters are removed */

	pthread_mutex_t mutex; /* guards all below */
	pthread_cond_t commit_wake, prepare_wake, reader_wake;
	bool commit_waits; /* for anything to write */
	bool commit_lingers; /* for more to write, until the batch is closed or has LINGER_BYTES */
	bool closing; /* commit: write what is queued and end; the others: end */
	struct batch *head, *tail; /* queue */
	struct batch *free_batches;
	size_t queued_bytes;
	uint64_t tail_offset; /* where the next batch will stand, at most, in the newest segment asked for */
	uint64_t durable_lsn;
	bool stalled; /* a group cannot be written because the disk is full */
	bool fresh_without_checkpoint; /* event for the loop: see want_checkpoint */
	int failed; /* negative errno: nothing more becomes durable */
	struct segment *segments, *newest;
	size_t n_segments;
	struct spare *spares;
	size_t n_spares, promised; /* of the spares, to batches in the queue that start a segment */
	size_t spare_target;
	bool spares_behind; /* a set had to wait for a spare though the disk has room */
	bool disk_full; /* the last try to make a spare said so */
	size_t max_segments; /* in use before the oldest is spilled; constant */
	struct spill *spill, *spill_done; /* for the prepare thread; for the loop */
	struct doomed *doomed_files; /* to remove */
	bool low_space; /* less than options.min_free was free when that was last looked at */
	struct spare *trash; /* segments to remove */
	uint64_t next_file, next_number;
	bool spares_wanted; /* messages were refused for want of a spare: tell the loop when one is ready */
	struct job_list jobs, finished;
	struct reader_job *running; /* the job that the reader thread works on */
	struct journal_stats stats;

	bool threads_run;
	pthread_t commit_thread, prepare_thread, reader_thread;
};

static inline void journal_lock(struct journal *j)
{
	pthread_mutex_lock(&j->mutex);
}

static inline void journal_unlock(struct journal *j)
{
	pthread_mutex_unlock(&j->mutex);
}

uint64_t journal_random(void);

/* --- append.c: loop
 * ------------------------------------------------------------------------------------------------ */

/* Begins a new segment with a CHECKPOINT (lock not held). `messages`: the reserve is not to be touched. */
int append_rotate(struct journal *j, bool messages) __attribute__((warn_unused_result));
/* A set of one frame without messages; frame->lsn is filled in. */
int append_frame(struct journal *j, struct frame *frame) __attribute__((warn_unused_result));
int append_frames(struct journal *j, struct frame *frames, size_t n) __attribute__((warn_unused_result));
/* The state has them done already, as LOST: write that down with the next group. */
void append_note_lost(struct journal *j, uint32_t dest, uint64_t first, uint64_t last);
/* Keys whose time has passed give their places back. */
void append_expire_keys(struct journal *j);
/* The undone snapshot, if one is due. */
void append_snapshot(struct journal *j);
/* Could an append of messages be tried again? */
bool append_has_room(const struct journal *j);

/* --- commit.c
 * ------------------------------------------------------------------------------------------------------ */

void commit_close_batch(struct journal *j, struct batch *batch); /* lock held */
struct batch *commit_new_batch(struct journal *j); /* lock held; the queue's new tail; NULL: no memory */
/* Writes one group. False: nothing was queued, or nothing could be done. */
bool commit_step(struct journal *j);
void *commit_main(void *journal);
void commit_free(struct journal *j);

/* --- prepare.c
 * ------------------------------------------------------------------------------------------------------ */

/* Makes one spare: 0 or a negative errno. Any thread. */
int prepare_spare(struct journal *j) __attribute__((warn_unused_result));
/* Takes a spare, makes one if there is none. */
int prepare_take(struct journal *j, uint64_t *ret_file) __attribute__((warn_unused_result));
bool prepare_step(struct journal *j);
/* Looks how much is free on the disk. Any thread. */
void prepare_check_space(struct journal *j);
void *prepare_main(void *journal);
void prepare_add_spare(struct journal *j, uint64_t file); /* lock held */
void prepare_add_trash(struct journal *j, uint64_t file); /* lock held */
/* Gives segments that nobody needs any more back. Loop. */
void prepare_recycle(struct journal *j);
void prepare_add_segment(struct journal *j, struct segment *segment); /* lock held; takes it; it is the newest */
struct segment *prepare_find_segment(const struct journal *j, uint64_t number); /* lock held; first at or after */
/* The next segment after seg whose starts are known; NULL: none. Lock held, as for the next. */
const struct segment *prepare_next_known(const struct segment *seg);
/* May a message of that destination stand in seg, or between it and `later`? */
bool prepare_has_any(const struct segment *seg, const struct segment *later, size_t dest);
void prepare_free(struct journal *j);

/* --- spill.c
 * ------------------------------------------------------------------------------------------------------------- */

void spill_consider(struct journal *j); /* loop: begins one if there is need */
void spill_work(struct spill *spill); /* prepare thread: does it */
void spill_settle(struct journal *j); /* loop: ends it */
void spill_free(struct spill *spill);
/* Loop. Files that nothing names any more go when all that was appended before is durable. */
void spill_durable(struct journal *j);
/* All files of a destination, kept over the frame that drops it: they go with it, or nothing happens. */
struct spill_files {
	char *name;
	struct state_overflow_file *v;
	size_t n;
};
int spill_files_of(const struct journal *j, uint32_t dest, struct spill_files *ret_files)
	__attribute__((warn_unused_result));
void spill_files_end(struct journal *j, struct spill_files *files, bool dropped);
/* Loop, at a snapshot: files in which nothing undone is left. */
void spill_release_files(struct journal *j);

/* --- values.c
 * ------------------------------------------------------------------------------------------ */

/* One was set: what is too much goes. Loop. */
void values_trim(struct journal *j, uint32_t dest);
/* Some that had gone are there again after recovery, and may be too many for a CHECKPOINT. Before the first one. */
void values_begin(struct journal *j);

/* --- recovery.c
 * ------------------------------------------------------------------------------------------ */

/* Finds segments and spares, rebuilds the state, makes durable what it accepted. */
int recovery_run(struct journal *j) __attribute__((warn_unused_result));

/* --- overflow_recovery.c: what the recovered state says of overflow logs against what is there; at open
 * ----- */

int overflow_recover(struct journal *j, bool *damaged) __attribute__((warn_unused_result));

/* --- quarantine.c
 * ----------------------------------------------------------------------------------------------------- */

/* Copies a damaged segment aside, once. Logs when it cannot. Any thread; the segment is pinned or cannot go
 * away. */
void quarantine_segment(struct journal *j, uint64_t file, uint64_t number);
/* The same for a file of an overflow log. */
void quarantine_overflow(struct journal *j, const char *path, uint32_t dest, uint64_t file);
/* Moves a file of which not even the header can be read. */
int quarantine_move(struct journal *j, uint64_t file) __attribute__((warn_unused_result));

/* --- wall_clock.c
 * ----------------------------------------------------------------------------------------------------- */

/* Finds out about the clock of this process; before the first CHECKPOINT, which it prunes. */
void wall_clock_begin(struct journal *j);
/* Writes down what is known about it. 0 or as append_frame. */
int wall_clock_note(struct journal *j) __attribute__((warn_unused_result));
int wall_clock_watch(struct journal *j) __attribute__((warn_unused_result)); /* from now on; 0 or -ENOMEM */
void wall_clock_look(struct journal *j); /* now */

/* --- reader.c, dead_letter.c
 * ------------------------------------------------------------------------------------------ */

bool reader_step(struct journal *j); /* one job */
void *reader_main(void *journal);
void reader_deliver(struct journal *j, struct reader_job *job); /* loop */
void reader_discard(struct reader_job *job); /* at close */
/* Takes what can be stored together with it out of the queue. Lock held. */
void dead_letter_gather(struct journal *j, struct reader_job *job);
void dead_letter_work(struct journal *j, struct reader_job *job);
void dead_letter_deliver(struct journal *j, struct reader_job *job);
void dead_letter_durable(struct journal *j); /* loop: durable_lsn has advanced */
void dead_letter_discard(struct reader_job *job);
void dead_letter_free(struct journal *j);

/* --- dead_letter.c, dead_read.c
 * ------------------------------------------------------------------------------------------ */

#define DEAD_HEADER_LEN 16u /* of a file */
#define READ_CHUNK      (128u * 1024)

/* Letters of that destination were removed: counts anew, and begins a fresh file. Reader thread. */
void dead_letter_changed(struct journal *j, const char *name);
void dead_read_work(struct journal *j, struct reader_job *job);
void dead_read_deliver(struct reader_job *job); /* loop */
void dead_read_discard(struct reader_job *job);

#endif
