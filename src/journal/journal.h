/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: everything that linkspan has promised, in one fdatasync stream (ARCHITECTURE.md,
 * doc/journal-format.md). It owns the segments, the state that outlives the process (per destination: next
 * seq, done ranges, stages; per source: open packet identifiers, subscriptions, positions) and the threads
 * that write and read. It never looks into a message and never decides on delivery.
 *
 * Threads: every function is called on the loop thread unless it says otherwise, and none of them blocks on
 * the disk except journal_open and journal_close. Callbacks run on the loop thread, never from inside a call
 * (but journal_close, see journal_dead_letter).
 *
 * lsn: log sequence number, one per frame, from 1, increasing; given at append, stable over restarts.
 * seq: per destination, from 1, without gaps, given at append and never given again.
 */
#ifndef LINKSPAN_JOURNAL_JOURNAL_H
#define LINKSPAN_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/disk.h"
#include "message/message.h"
#include "runtime/histogram.h"
#include "runtime/loop.h"

#define JOURNAL_SEGMENT_BYTES   (64u * 1024 * 1024) /* default of options.segment_bytes */
#define JOURNAL_MAX_BYTES       (256u * 1024 * 1024) /* default of options.max_bytes */
#define JOURNAL_MAX_DONE_RANGES 4096
#define JOURNAL_UUID_LEN        16
#define JOURNAL_STREAM_LEN      16
#define JOURNAL_KEY_LEN         16
#define JOURNAL_RUN_LEN         16

struct journal;

struct journal_options {
	struct disk *disk; /* borrowed until journal_close */
	struct loop *loop; /* borrowed */
	uint64_t segment_bytes; /* 0 = default; at least 1 MiB, a multiple of 4096 */
	uint64_t max_bytes; /* of segments in use, before the oldest is spilled; 0 = default; at least 3 segments */
	uint32_t linger_ms; /* wait this long for more before a group is written; 0 = no timer (default) */
	bool strict; /* journal_open fails with -EBADMSG when data is damaged, instead of quarantine */
	bool manual; /* simulations: no threads; journal_step does what they would do */
	uint64_t min_free; /* with less than that free on the disk messages are refused (-ENOSPC); 0 = never */
	/* durable_lsn has advanced to lsn: everything appended up to it may be acknowledged and delivered. */
	void (*on_durable)(void *ctx, uint64_t lsn);
	/* journal_append returned -ENOSPC before, and there is room again. */
	void (*on_room)(void *ctx);
	/* A write or fdatasync failed on a fresh segment too: nothing more becomes durable. The daemon must
	 * stop taking anything in and exit non-zero. error is a negative errno. */
	void (*on_failed)(void *ctx, int error);
	void *ctx;
	uint64_t max_sequences; /* streams that are numbered at most; fewer where a CHECKPOINT would pass its share */
	uint64_t max_keys; /* known at a time at most; fewer likewise, see journal_max_keys */
};

/* Opens or creates the journal in the disk's data folder: lock, id, recovery, a fresh segment. Blocks. On
 * return every accepted segment has been fdatasynced. Damage is quarantined and logged (event=journal_damage
 * with segment, offsets, lsns and the seqs missing per destination), a torn tail is logged
 * (event=journal_tail). -EWOULDBLOCK: another process has the folder. -ESTALE: the folder is a copy of
 * another instance's or older than its own lock says (uuid mismatch). -EBADMSG: strict and damaged. Other
 * errnos: as the disk says. Each failure has been logged with what to do. */
int journal_open(const struct journal_options *options, struct journal **ret_journal)
	__attribute__((warn_unused_result));

/* Makes everything appended durable, writes DONEs and a SEAL, stops the threads, frees. Blocks for that long.
 * 0, or the error because of which something is not durable. The journal is gone in either case. */
int journal_close(struct journal *j);

/* --- names -------------------------------------------------------------------------------------------------
 */

/* Destinations and sources are known on disk by a small number and a uuid, made at first use of the name.
 * Returns the number (>= 0) or a negative errno. Call for every configured name right after journal_open. */
int journal_destination(struct journal *j, const char *name) __attribute__((warn_unused_result));
int journal_source(struct journal *j, const char *name) __attribute__((warn_unused_result));
const uint8_t *journal_destination_uuid(const struct journal *j, uint32_t dest); /* JOURNAL_UUID_LEN bytes */
const uint8_t *journal_uuid(const struct journal *j); /* of the instance */
/* What has become of a destination's messages: one total for each way to end. They count for ever, over restarts and
 * crashes, and are exact: next_seq - 1 == waiting + all totals but DROPPED_NEWEST. What was offered to the destination
 * is next_seq - 1 + DROPPED_NEWEST. (In a data folder from before there were totals, what had ended until then counts
 * as DELIVERED.) The numbers are on disk: never reuse one. */
enum journal_total {
	JOURNAL_DELIVERED,
	JOURNAL_EXPIRED, /* too old: by its own wish or by the outbox's ttl */
	JOURNAL_DROPPED_OLDEST, /* to make room for a newer one */
	JOURNAL_DROPPED_NEWEST, /* found no room, and never got a seq */
	JOURNAL_DEAD_LETTERED,
	JOURNAL_PURGED, /* thrown away by hand */
	JOURNAL_LOST, /* damaged on disk */
	JOURNAL_N_TOTALS
};
const char *journal_total_name(enum journal_total total); /* "delivered" … */

/* Calls fn for every destination known on disk, so that the caller finds those with waiting messages that the
 * configuration no longer names. */
struct journal_outbox {
	const char *name; /* until the destination is dropped */
	uint32_t dest;
	uint64_t next_seq; /* the seq that the next message will get */
	uint64_t oldest_undone; /* == next_seq when nothing waits */
	uint64_t waiting; /* messages neither done nor dead */
	uint64_t waiting_bytes; /* their encoded bytes on disk */
	size_t done_ranges; /* above oldest_undone */
	uint64_t totals[JOURNAL_N_TOTALS];
	bool paused; /* see journal_pause */
};
void journal_outboxes(const struct journal *j, void (*fn)(const struct journal_outbox *box, void *arg), void *arg);
struct journal_outbox journal_outbox(const struct journal *j, uint32_t dest);
/* The bytes of its overflow log, its files as a whole. */
uint64_t journal_overflow_bytes(const struct journal *j, uint32_t dest);
/* Marks every waiting message of the destination done, and forgets its name ("--drop"). */
int journal_drop_destination(struct journal *j, uint32_t dest) __attribute__((warn_unused_result));
/* Writes down that nothing is to be sent to the destination, or that it may be again; it says so in journal_outbox, also
 * after a restart. The journal itself goes on as before. *ret_lsn: durable with it. */
int journal_pause(struct journal *j, uint32_t dest, bool paused, uint64_t *ret_lsn) __attribute__((warn_unused_result));

/* --- append ------------------------------------------------------------------------------------------------
 */

/* One message for one destination. */
struct journal_entry {
	uint32_t dest;
	const struct message_view *view; /* borrowed until journal_append returns */
	uint64_t seq; /* out */
	uint32_t bytes; /* out: what it counts for in waiting_bytes; give it back in journal_finish */
};

/* State changes that may accompany messages or come alone. */
enum journal_change_type {
	JOURNAL_OPEN = 1, /* source, id, hash: packet identifier open (MQTT QoS 2 before PUBREC) */
	JOURNAL_REL, /* source, id: packet identifier released */
	JOURNAL_SESSION_RESET, /* source: all its open packet identifiers and subscriptions are void */
	JOURNAL_SUBSCRIPTIONS, /* source, blob: replaces what is kept for the session, opaque to the journal
				*/
	JOURNAL_POSITION, /* source, blob = partition name, position: e.g. a Kafka offset; hash: what stands there, or 0.
			   * Replaces the last one, also a higher one */
	JOURNAL_STAGE, /* dest, seq, stage: the sink has moved a delivery on (PUBREC seen); seq 0: all stages are void */
	JOURNAL_BATCH, /* dest, seq = first, last: bounds of a batch, never changed */
	JOURNAL_DEAD, /* dest, seq, bytes, blob = reason: its copy is durable in dead/; final like DONE */
	JOURNAL_FINISHED, /* dest, seq, bytes: DONE in this very group, e.g. with the reply it caused */
	JOURNAL_DROPPED, /* dest, count, bytes: so many found no room and get no seq (JOURNAL_DROPPED_NEWEST) */
	JOURNAL_SEQUENCE, /* blob = stream (JOURNAL_STREAM_LEN bytes), position = the last number given in it */
	JOURNAL_VALUE, /* dest, blob = encoded message: the last value of its topic there; with a null payload there is none */
	JOURNAL_KEY, /* blob = key (JOURNAL_KEY_LEN bytes), hash of what came with it, position = until when it is known, by
		      * loop_wall_ms. Replaces what was known of it. Ask journal_key_room first */
	JOURNAL_FINISHED_RUNS, /* dest, blob = JOURNAL_RUN_LEN bytes for each run (u64 first, u64 last, little endian), ascending,
				* count = bytes of all: these are DONE in this very group, as with FINISHED */
};
struct journal_change {
	enum journal_change_type type;
	uint32_t source;
	uint32_t dest;
	uint64_t seq;
	uint64_t last;
	uint64_t position;
	uint64_t hash;
	uint32_t bytes;
	uint16_t id;
	uint8_t stage;
	struct slice blob;
	uint64_t count;
};

/* Appends all that one input became and its state changes as one atomic set: after a crash either all of it
 * is there or none. Fills seq and bytes of the entries; *ret_lsn is the lsn of its last frame: durable when
 * on_durable has reported that lsn or a later one. An empty set gives the lsn of the last frame appended so
 * far. Nothing is appended on failure: -EMSGSIZE (the set is larger than a segment can take, or a message
 * passes its limits), -ENOSPC (no segment for messages: wait for on_room; sets with neither entries
 * nor JOURNAL_DROPPED may use the reserve), -EIO (after on_failed), -EOVERFLOW (a destination has JOURNAL_MAX_DONE_RANGES ranges or a table
 * is full). */
int journal_append(struct journal *j, struct journal_entry *entries, size_t n_entries,
	const struct journal_change *changes, size_t n_changes, uint64_t *ret_lsn) __attribute__((warn_unused_result));

/* Is that because of the disk? Else segments are being made ready, or spilled. */
bool journal_disk_is_full(const struct journal *j);

uint64_t journal_durable_lsn(const struct journal *j);
uint64_t journal_appended_lsn(const struct journal *j);

/* The message has its final outcome. Kept in memory at once; written as a DONE range with the next group, at
 * latest after one second. `bytes` as journal_append gave it or the reader gave it. `why` is any total but
 * DROPPED_NEWEST and DEAD_LETTERED, which are changes. */
void journal_finish(struct journal *j, uint32_t dest, uint64_t seq, uint32_t bytes, enum journal_total why);
/* The same of all from first to last, of which none is done; bytes: of all together. */
void journal_finish_run(
	struct journal *j, uint32_t dest, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why);
bool journal_is_done(const struct journal *j, uint32_t dest, uint64_t seq);
/* The lsn with which every DONE so far will be durable (for the QoS 2 rule of one undone seq per packet id):
 * writes them now rather than within the second. */
int journal_flush_done(struct journal *j, uint64_t *ret_lsn) __attribute__((warn_unused_result));

/* --- recovered state
 * ---------------------------------------------------------------------------------------- */

void journal_stages(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t seq, uint8_t stage, void *arg), void *arg);
void journal_batches(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t first, uint64_t last, void *arg), void *arg);
void journal_open_ids(
	const struct journal *j, uint32_t source, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg);
bool journal_id_open(const struct journal *j, uint32_t source, uint16_t id, uint64_t *ret_hash);
struct slice journal_subscriptions(const struct journal *j, uint32_t source); /* until the next append */
bool journal_position(const struct journal *j, uint32_t source, struct slice partition, uint64_t *ret_position);
void journal_positions(const struct journal *j, uint32_t source,
	void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg);
/* The last number given in a stream of numbered messages, 0 in a new one. False: it is new, and max_sequences streams are
 * known already. */
bool journal_sequence(const struct journal *j, const uint8_t *stream, uint64_t *ret_last);
size_t journal_sequences(const struct journal *j); /* streams known */
/* Is the key known, and by which hash? Its set is durable with *ret_lsn. Once its time has passed it is not known; until
 * then it is, over restarts and crashes. Each process goes by its own clock (loop_wall_ms), which cannot jump. Over a restart
 * within a boot a key has exactly the time left that it had, wherever the wall clock was set. Over a reboot the wall
 * clock says how long linkspan was away; one that stands before what the last process saw says nothing, and each key has
 * the time left that it had then. */
bool journal_key(const struct journal *j, const uint8_t *key, uint64_t *ret_hash, uint64_t *ret_lsn);
/* Is there room for one more that is not known? Looks for expired ones if not, once a second at most. */
bool journal_key_room(struct journal *j);
size_t journal_keys(const struct journal *j); /* that have a place now */
uint64_t journal_key_limit(
	const struct journal *j); /* there is room for no more, and for fewer if other tables are large */
/* Most that a journal with segments of that size has room for, whatever max_keys says: an eighth of a segment. */
uint64_t journal_max_keys(uint64_t segment_bytes);
/* The last value of a topic at a destination (JOURNAL_VALUE), borrowed until the next append; NULL: none. All of them, the
 * one that was set least recently first; fn must not append. */
struct message *journal_value(const struct journal *j, uint32_t dest, struct slice topic);
void journal_values(const struct journal *j, uint32_t dest, void (*fn)(struct message *msg, void *arg), void *arg);
/* How many a destination may have and how many encoded bytes; of all destinations together a sixteenth of a segment at most.
 * Beyond that those go that were set least recently, now and whenever one is set; a single one that is larger goes at
 * once. Until it is said there is no limit. A CHECKPOINT holds them all. */
void journal_limit_values(struct journal *j, uint32_t dest, size_t max_values, size_t max_bytes);
struct journal_values_stats {
	size_t n, bytes;
	uint64_t evicted; /* since the start */
};
struct journal_values_stats journal_values_stats(const struct journal *j, uint32_t dest);
/* Can one of that many encoded bytes be kept at all? */
bool journal_value_fits(const struct journal *j, uint32_t dest, size_t bytes);
/* The newest origin time that the journal holds: before the wall clock passes it, nothing may expire. */
uint64_t journal_newest_ms(const struct journal *j);
/* What to add to the times of the message with that lsn (origin, expiry) so that they can be compared with loop_wall_ms.
 * True: exact, it was stamped since the machine has started. False: it was not, or nobody knows: by wall clocks, which may
 * have stood wrong. */
bool journal_clock_shift(const struct journal *j, uint64_t lsn, int64_t *ret_shift_ms);

/* --- reading a backlog back
 * ---------------------------------------------------------------------------------- */

struct journal_read {
	uint64_t seq;
	uint64_t lsn;
	uint32_t bytes; /* for journal_finish */
	struct message *msg; /* the callback takes it */
};
struct journal_read_result {
	struct journal_read *items; /* in seq order, done ones left out; the array is borrowed */
	size_t n_items;
	/* Seqs below this that are neither done nor among the items of this or an earlier result were
	 * damaged: the journal has logged them, counted them and marked them done. The next read goes on
	 * here. */
	uint64_t next_seq;
	bool at_end; /* all that was durable when the read ran has been read */
};
struct journal_reader;
/* Reads the messages of one destination from from_seq on, by the reader thread, memory bounded by what is
 * asked for. One request at a time. fn runs on the loop. journal_reader_free cancels: fn will not run after
 * it. */
struct journal_reader *journal_reader_new(struct journal *j, uint32_t dest, uint64_t from_seq,
	void (*fn)(const struct journal_read_result *result, void *arg), void *arg) __attribute__((warn_unused_result));
void journal_reader_request(struct journal_reader *reader, size_t max_messages, size_t max_bytes);
void journal_reader_seek(struct journal_reader *reader, uint64_t seq); /* no request may be under way */
void journal_reader_free(struct journal_reader *reader);

/* --- dead letters
 * --------------------------------------------------------------------------------------------- */

struct journal_letter {
	uint32_t dest;
	uint32_t bytes; /* as journal_append gave it or the reader gave it */
	uint64_t seq;
	struct message *msg; /* borrowed; the journal takes a reference while it needs it */
	const char *reason; /* borrowed */
	uint32_t attempts;
	uint64_t max_bytes; /* of all files in dead/<destination>/; 0: no limit */
};
/* Copies a message with its reason to dead/<destination>/, durable, on the reader thread; then appends the
 * DEAD change and calls fn(0) when that is durable too; fn(negative errno) when it could not be stored: the
 * message is then still undone. -ENOSPC: max_bytes would be passed. fn is called exactly once, at the latest
 * from inside journal_close (-ECANCELED); it must not call the journal then. fn may be NULL. */
void journal_dead_letter(
	struct journal *j, const struct journal_letter *letter, void (*fn)(int error, void *arg), void *arg);

/* --- dead letters, looked at again
 * ---------------------------------------------------------------------------------------------- */

/* A place among the dead letters of a destination. All zero: the beginning. */
struct journal_dead_cursor {
	uint64_t file, offset;
	uint64_t last_file; /* those that begin files after it came later and are not read */
	uint64_t generation;
};
struct journal_dead_query {
	const char *destination; /* borrowed; one that the journal does not know any more may have letters, too */
	struct journal_dead_cursor from;
	size_t max_messages, max_bytes; /* of one answer; one letter always fits */
	bool count_only; /* no items, only n_counted and unreadable */
};
struct journal_dead_item {
	uint64_t offset; /* in result->file */
	uint64_t seq, time_ms; /* when it died */
	uint32_t attempts;
	char reason[256];
	struct message *msg; /* the callback takes it */
};
struct journal_dead_result {
	int error; /* -ESTALE: letters were removed since the cursor was got; other negative errnos: of the disk */
	struct journal_dead_item *items; /* in the order of their dying; the array is borrowed */
	size_t n_items;
	uint64_t n_counted; /* letters looked at */
	uint64_t unreadable; /* bytes: unfinished when a process ended, or damaged */
	uint64_t file; /* that all of them are in; 0: none */
	uint64_t file_size;
	bool file_ended; /* nothing of that file comes after them */
	struct journal_dead_cursor next;
	bool at_end;
};
struct dead_read_job;
/* Reads some letters, of one file at most, on the reader thread; fn runs on the loop, but not after
 * journal_dead_cancel, nor once the journal is being closed. NULL: no memory. */
struct dead_read_job *journal_dead_read(struct journal *j, const struct journal_dead_query *query,
	void (*fn)(const struct journal_dead_result *result, void *arg), void *arg) __attribute__((warn_unused_result));
void journal_dead_cancel(struct dead_read_job *job); /* NULL is allowed */

struct journal_dead_removal {
	const char *destination; /* borrowed, like the offsets */
	uint64_t file;
	const uint64_t *offsets; /* of its letters, ascending, got since letters of the destination were last removed */
	size_t n_offsets;
	uint64_t drop_size; /* the whole file goes, readable or not, if it is still of this size; 0: never */
};
/* Takes letters out of one file, durably, on the reader thread. fn(0), or a negative errno: then they are still there, or
 * may be. fn may be NULL; it does not run once the journal is being closed. -ENOMEM. */
int journal_dead_remove(struct journal *j, const struct journal_dead_removal *removal, void (*fn)(int error, void *arg),
	void *arg) __attribute__((warn_unused_result));

/* --- figures, tests
 * -------------------------------------------------------------------------------------------- */

struct journal_stats {
	uint64_t groups, frames, bytes_written, fdatasyncs, segments, segments_spare, damaged_frames, damaged_messages;
	uint64_t fdatasync_last_us, fdatasync_max_us;
	uint64_t appended_messages, appended_bytes; /* since the start; one for each destination */
	uint64_t spilled_messages, spilled_bytes; /* to the overflow logs; the bytes count in bytes_written, too */
	bool takes_messages; /* false: for want of room (or less than min_free is left), or failed */
	struct histogram fdatasync_us, group_frames, group_bytes;
};
struct journal_stats journal_stats(const struct journal *j);

/* options.manual only: does one unit of the threads' work (one group written and synced, one segment
 * prepared, one read). Returns false when there was nothing to do. Callbacks come by the loop
 * (loop_sim_advance(loop, 0)). */
bool journal_step(struct journal *j);
/* Simulations only: from now on identities and salts come from that state, so that everything that depends on them (the
 * spread of a back-off) is the same each time. 0: from the system again. */
void journal_simulate_random(uint64_t state);

#endif
