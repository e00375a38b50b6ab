/* SPDX-License-Identifier: Apache-2.0
 *
 * What the journal's frames add up to: per destination the next seq, done ranges, stages and batch bounds;
 * per source the open packet identifiers, subscriptions and positions. Frames change it (state_apply), at
 * append and at recovery alike; a CHECKPOINT is all of it written down. Never touches the disk.
 *
 * Threads: the loop only (recovery runs there too).
 */
#ifndef LINKSPAN_JOURNAL_STATE_H
#define LINKSPAN_JOURNAL_STATE_H

#include "journal/pages.h"
#include "journal/clocks.h"
#include "journal/frame.h"
#include "journal/journal.h"
#include "journal/keys.h"
#include "journal/ranges.h"
#include "journal/sequences.h"
#include "lastvalue/store.h"

struct state_stage {
	uint64_t seq;
	uint8_t stage;
};
struct state_open_id {
	uint64_t hash;
	uint16_t id;
};
struct state_position {
	uint8_t *partition;
	size_t partition_len;
	uint64_t position;
	uint64_t hash;
};

/* Sorted arrays. */
struct state_stages {
	struct state_stage *v; /* by seq */
	size_t n, capacity;
};
struct state_batches {
	struct range *v; /* by first */
	size_t n, capacity;
};
struct state_open_ids {
	struct state_open_id *v; /* by id */
	size_t n, capacity; /* counted from v */
	size_t gap; /* unused entries before v: identifiers mostly go in the order in which they came */
};
struct state_positions {
	struct state_position *v; /* by partition */
	size_t n, capacity;
};

/* The files of the overflow log, by number and so by seq: a file holds seqs from its first_seq on and below that of the
 * next, the last one below overflow_end. */
struct state_overflow_file {
	uint64_t file, first_seq;
	uint64_t bytes; /* durable */
};
struct state_overflow {
	struct state_overflow_file *v;
	size_t n, capacity;
};

struct state_dest {
	char *name; /* NULL: a number that is not in use (dropped, or never registered) */
	uint8_t uuid[JOURNAL_UUID_LEN];
	uint64_t next_seq; /* from 1 */
	uint64_t oldest_undone; /* == next_seq: none */
	struct ranges done; /* above oldest_undone */
	uint64_t waiting, waiting_bytes;
	struct state_stages stages;
	struct state_batches batches;
	struct state_overflow overflow;
	uint64_t overflow_end; /* what is undone below it stands in the overflow log, the rest in the journal */
	/* Not part of what a CHECKPOINT says: */
	uint64_t overflow_next_file; /* the number of the next file; 0: 1 */
	uint64_t overflow_own_file; /* the one that this process may go on writing; 0: none */
	/* DONEs that are in memory and not yet in a frame. Not part of what a CHECKPOINT says. */
	struct ranges pending[JOURNAL_N_TOTALS]; /* by what has become of them */
	uint64_t pending_bytes[JOURNAL_N_TOTALS];
	uint64_t totals[JOURNAL_N_TOTALS];
	bool paused; /* by order, see journal_pause */
	struct last_values values;
	/* Not part of what a CHECKPOINT says: */
	size_t max_values, max_value_bytes; /* see journal_limit_values; 0: not told yet */
};

struct state_source {
	char *name;
	uint8_t uuid[JOURNAL_UUID_LEN];
	struct state_open_ids open_ids;
	struct state_positions positions;
	uint8_t *subscriptions; /* NULL: none kept */
	size_t subscriptions_len;
};

struct state {
	struct state_dest *dests; /* by number */
	size_t n_dests;
	struct state_source *sources;
	size_t n_sources;
	/* Set when somebody wants to know: these seqs were given, their MSG frames are gone; they are done
	 * now. */
	void (*on_missing)(void *arg, uint32_t dest, uint64_t first, uint64_t last);
	void *arg;
	struct clocks clocks;
	struct sequences sequences;
	struct keys keys;
};

void state_init(struct state *state);
void state_fini(struct state *state);

/* Changes the state as the frame says. 0; -EBADMSG: the frame makes no sense; -ENOMEM. The state may
 * be half changed after a failure. A CHECKPOINT replaces everything. */
int state_apply(struct state *state, const struct frame *frame) __attribute__((warn_unused_result));

/* The body of a CHECKPOINT. */
size_t state_checkpoint_size(const struct state *state);
void state_checkpoint(const struct state *state, uint8_t *out);
size_t state_values_size(const struct state *state); /* the part of it that last values are */

/* NULL: no such destination (source). */
struct state_dest *state_dest(const struct state *state, uint64_t dest);
struct state_source *state_source(const struct state *state, uint64_t source);
int64_t state_find_dest(const struct state *state, const char *name); /* number or -ENOENT */
int64_t state_find_source(const struct state *state, const char *name);

bool state_is_done(const struct state_dest *dest, uint64_t seq);
/* Marks first to last done and counts those that were not; bytes are taken off when any of them was not.
 * -ENOMEM. */
int state_mark_done(struct state_dest *dest, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why)
	__attribute__((warn_unused_result));
/* Marks what is undone in [first, end) done, as LOST, and calls on_missing for each run of it. -ENOMEM. */
int state_mark_missing(struct state *state, uint32_t dest, uint64_t first, uint64_t end)
	__attribute__((warn_unused_result));
/* Takes the oldest file off the overflow log if nothing undone is in it. */
bool state_release_overflow(struct state_dest *dest, uint64_t *ret_file);
/* The file in which an undone seq below overflow_end stands; *ret_end is the first seq that is behind it. NULL: none. */
const struct state_overflow_file *state_overflow_of(const struct state_dest *dest, uint64_t seq, uint64_t *ret_end);
/* Are there undone seqs in [first, end)? */
bool state_undone_in(const struct state_dest *dest, uint64_t first, uint64_t end);

bool state_open_id(const struct state_source *source, uint16_t id, uint64_t *ret_hash);
bool state_position(const struct state_source *source, struct slice partition, uint64_t *ret_position);

#endif
