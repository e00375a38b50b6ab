/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's half of writing: turns sets into frames in the open batch, changes the state, decides when a
 * segment is full. A new segment's CHECKPOINT is made here, between two sets, so it is exactly the state
 * before the next frame; it is written twice, in two groups, so that one bad sector does not take the state
 * of everything with it.
 *
 * Everything that can fail is done before the first frame is encoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_impl.h"
#include "message/endian.h"
#include "runtime/log.h"

#define NUMBERS_MAX           64u /* bytes of a frame's header and integers, at most, for the frames made here */
#define DONE_RANGES_PER_FRAME JOURNAL_MAX_DONE_RANGES
#define EXPIRE_EVERY_MS       1000u /* keys */

static struct batch *open_batch(const struct journal *j)
{
	return j->tail && !j->tail->closed ? j->tail : NULL;
}

/* Copies a frame into the open batch; lock held, room made. Returns where the body stands. */
static uint8_t *put_frame(struct journal *j, struct frame *frame)
{
	struct batch *batch = j->tail;
	frame->lsn = ++j->appended_lsn;
	if (batch->n_frames++ == 0) {
		batch->first_lsn = frame->lsn;
		frame->flags |= FRAME_GROUP_START;
	}
	batch->last_lsn = frame->lsn;
	frame->length = (uint32_t)frame_size(frame);
	uint8_t *body = frame_encode(frame, batch->bytes.data + batch->bytes.len);
	batch->bytes.len += frame->length;
	j->queued_bytes += frame->length;
	return body;
}

static void wake_commit(struct journal *j)
{
	if (j->commit_waits || (j->commit_lingers && (j->head->closed || j->head->bytes.len >= LINGER_BYTES)))
		pthread_cond_signal(&j->commit_wake);
}

/* Frames that do not fit the state are a bug or memory that is out: either way the state cannot be trusted
 * further. */
static void apply(struct journal *j, const struct frame *frame)
{
	int r = state_apply(&j->state, frame);
	if (r == 0)
		return;
	log_error("journal_state", "frame=%s error=\"%s\" what=\"the journal stops\"", frame_type_name(frame->type),
		strerror(-r));
	journal_lock(j);
	if (!j->failed)
		j->failed = r;
	journal_unlock(j);
	loop_post(j->loop, &j->wake_job);
}

/* --- rotation
 * ------------------------------------------------------------------------------------------------------ */

static size_t checkpoint_frame_size(const struct journal *j)
{
	return FRAME_HEADER_LEN + state_checkpoint_size(&j->state);
}

static uint64_t *next_seqs(const struct state *state)
{
	uint64_t *seqs = malloc((state->n_dests + 1) * sizeof *seqs);
	for (size_t i = 0; seqs && i < state->n_dests; i++)
		seqs[i] = state->dests[i].next_seq;
	return seqs;
}

static void put_checkpoint(struct journal *j, size_t size)
{
	struct frame frame = {
		.type = FRAME_CHECKPOINT, .flags = FRAME_SET_END, .body = {NULL, size - FRAME_HEADER_LEN}};
	state_checkpoint(&j->state, put_frame(j, &frame));
}

/* The CHECKPOINT says all that is done. */
static void forget_pending(struct journal *j)
{
	for (size_t i = 0; j->any_pending && i < j->state.n_dests; i++) {
		struct state_dest *dest = &j->state.dests[i];
		for (size_t why = 0; why < JOURNAL_N_TOTALS; why++)
			ranges_clear(&dest->pending[why]);
		memset(dest->pending_bytes, 0, sizeof dest->pending_bytes);
	}
	j->any_pending = false;
}

/* Not more than once a second: in a large table that takes milliseconds. */
void append_expire_keys(struct journal *j)
{
	uint64_t now_ms = loop_now_ms(j->loop);
	if (j->keys_expired_ms && now_ms - j->keys_expired_ms < EXPIRE_EVERY_MS)
		return;
	j->keys_expired_ms = now_ms ? now_ms : 1;
	keys_expire(&j->state.keys, loop_wall_ms(j->loop));
}

/* May a segment be begun? Lock held. */
static int check_spares(struct journal *j, bool messages)
{
	size_t ready = j->n_spares > j->promised ? j->n_spares - j->promised : 0;
	bool crowded = messages && j->n_segments + j->promised >= 2 * j->max_segments;
	if (ready > (messages ? RESERVE_SEGMENTS : 0) && !crowded)
		return 0;
	j->spares_wanted |= messages;
	if (!j->disk_full && !j->spares_behind && !crowded) {
		j->spares_behind = true;
		pthread_cond_signal(&j->prepare_wake);
	}
	return -ENOSPC;
}

/* Lock held. After it, `bytes` of frames fit into the open batch. */
static int rotate(struct journal *j, bool messages, size_t bytes)
{
	append_expire_keys(j);
	size_t size = checkpoint_frame_size(j);
	uint64_t first = SEGMENT_BLOCK + segment_pad(size + COMMIT_ROOM - SEGMENT_BLOCK);
	if (first + segment_pad(size + bytes + COMMIT_ROOM - SEGMENT_BLOCK) > j->segment_bytes)
		return -EMSGSIZE;
	int r = check_spares(j, messages);
	if (r < 0)
		return r;
	uint64_t *starts = next_seqs(&j->state);
	if (!starts)
		return -ENOMEM;
	if (open_batch(j))
		commit_close_batch(j, j->tail);
	struct batch *one = commit_new_batch(j);
	if (!one || pages_reserve(&one->bytes, size + COMMIT_ROOM) < 0)
		goto no_memory;
	one->starts_segment = true;
	one->starts = starts;
	one->n_starts = j->state.n_dests;
	put_checkpoint(j, size);
	commit_close_batch(j, one);
	j->promised++;
	struct batch *two = commit_new_batch(j);
	if (!two || pages_reserve(&two->bytes, size + bytes + COMMIT_ROOM) < 0) {
		starts = NULL;
		goto no_memory;
	}
	put_checkpoint(j, size);
	forget_pending(j);
	j->want_checkpoint = false;
	return 0;

no_memory:
	/* A queue with a hole in it cannot be mended: fail as for a disk. */
	free(starts);
	j->failed = -ENOMEM;
	loop_post(j->loop, &j->wake_job);
	return -ENOMEM;
}

int append_rotate(struct journal *j, bool messages)
{
	journal_lock(j);
	int r = j->failed ? -EIO : rotate(j, messages, 0);
	if (r == 0)
		wake_commit(j);
	journal_unlock(j);
	return r;
}

/* Lock held. After 0, `bytes` of frames fit into the open batch. */
static int make_room(struct journal *j, size_t bytes, bool messages)
{
	if (j->failed)
		return -EIO;
	if (messages && (j->stalled || j->low_space || j->queued_bytes > MAX_QUEUED))
		return -ENOSPC;
	struct batch *batch = open_batch(j);
	uint64_t begin = batch && batch->starts_segment ? SEGMENT_BLOCK : j->tail_offset;
	uint64_t used = batch ? batch->bytes.len : 0;
	if (begin + segment_pad(used + bytes + COMMIT_ROOM - SEGMENT_BLOCK) > j->segment_bytes)
		return rotate(j, messages, bytes);
	if (batch && used && used + bytes > BATCH_BYTES) {
		commit_close_batch(j, batch);
		batch = NULL;
	}
	if (!batch)
		batch = commit_new_batch(j);
	if (!batch)
		return -ENOMEM;
	int r = pages_reserve(&batch->bytes, bytes + COMMIT_ROOM);
	if (r < 0 && batch->n_frames == 0) { /* an empty batch must not stay in the queue */
		j->failed = r;
		loop_post(j->loop, &j->wake_job);
	}
	return r;
}

/* --- DONE
 * ----------------------------------------------------------------------------------------------------------
 */

static size_t pending_size(const struct journal *j)
{
	size_t size = 0;
	for (size_t i = 0; j->any_pending && i < j->state.n_dests; i++) {
		for (size_t why = 0; why < JOURNAL_N_TOTALS; why++) {
			size_t n = j->state.dests[i].pending[why].n;
			if (n)
				size += n * 16 + (n / DONE_RANGES_PER_FRAME + 1) * NUMBERS_MAX;
		}
	}
	return size;
}

static void put_done(struct journal *j, uint64_t number, struct state_dest *dest, enum journal_total why)
{
	struct ranges *pending = &dest->pending[why];
	uint64_t bytes = dest->pending_bytes[why];
	for (size_t at = 0; at < pending->n; bytes = 0) {
		size_t n = pending->n - at;
		if (n > DONE_RANGES_PER_FRAME)
			n = DONE_RANGES_PER_FRAME;
		struct frame frame = {.type = FRAME_DONE,
			.flags = FRAME_SET_END,
			.dest = number,
			.bytes = bytes,
			.stage = why,
			.body = {NULL, n * 16}};
		uint8_t *body = put_frame(j, &frame);
		for (size_t i = 0; i < n; i++, at++, body += 16) {
			put_u64(body, pending->v[at].first);
			put_u64(body + 8, pending->v[at].last);
		}
	}
	ranges_clear(pending);
	dest->pending_bytes[why] = 0;
}

/* Lock held, room made. */
static void put_pending(struct journal *j)
{
	for (size_t i = 0; j->any_pending && i < j->state.n_dests; i++)
		for (unsigned why = 0; why < JOURNAL_N_TOTALS; why++)
			put_done(j, i, &j->state.dests[i], (enum journal_total)why);
	j->any_pending = false;
}

static int flush_done(struct journal *j)
{
	journal_lock(j);
	int r = j->any_pending ? make_room(j, pending_size(j), false) : 0;
	if (r == 0 && j->any_pending)
		put_pending(j);
	if (r == 0 && j->head)
		wake_commit(j);
	journal_unlock(j);
	if (r == 0)
		append_snapshot(j);
	return r;
}

int journal_flush_done(struct journal *j, uint64_t *ret_lsn)
{
	int r = flush_done(j);
	if (r < 0)
		return r;
	*ret_lsn = j->appended_lsn;
	return 0;
}

static void note_pending(struct journal *j)
{
	j->done_changed = true;
	if (j->any_pending)
		return;
	j->any_pending = true;
	j->pending_since_ms = loop_now_ms(j->loop);
	if (!loop_timer_running(j->done_timer))
		loop_timer_start(j->done_timer, DONE_DELAY_MS);
}

void append_note_lost(struct journal *j, uint32_t number, uint64_t first, uint64_t last)
{
	uint64_t added;
	if (ranges_add(&j->state.dests[number].pending[JOURNAL_LOST], first, last, &added) == 0)
		note_pending(j);
}

void journal_finish_run(
	struct journal *j, uint32_t number, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why)
{
	struct state_dest *dest = state_dest(&j->state, number);
	if (!dest || last >= dest->next_seq || first > last)
		return;
	uint64_t added;
	int r = ranges_add(&dest->pending[why], first, last, &added);
	if (r == 0)
		r = state_mark_done(dest, first, last, bytes, why);
	if (r < 0) {
		/* It will be delivered again. */
		log_warn("journal_finish", "seq=%llu error=\"%s\"", (unsigned long long)first, strerror(-r));
		return;
	}
	dest->pending_bytes[why] += bytes;
	note_pending(j);
}

void journal_finish(struct journal *j, uint32_t number, uint64_t seq, uint32_t bytes, enum journal_total why)
{
	const struct state_dest *dest = state_dest(&j->state, number);
	if (dest && seq < dest->next_seq && !state_is_done(dest, seq))
		journal_finish_run(j, number, seq, seq, bytes, why);
}

/* --- snapshot
 * ------------------------------------------------------------------------------------------------------ */

void append_snapshot(struct journal *j)
{
	if (!j->done_changed || j->any_pending || j->snapshot.lsn || j->appended_lsn == 0)
		return;
	size_t n = j->state.n_dests;
	uint64_t *oldest = realloc(j->snapshot.oldest, (n + 1) * sizeof *oldest);
	if (!oldest)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct state_dest *dest = &j->state.dests[i];
		oldest[i] = dest->oldest_undone > dest->overflow_end ? dest->oldest_undone : dest->overflow_end;
		if (!dest->name)
			oldest[i] = UINT64_MAX;
	}
	spill_release_files(j);
	j->snapshot = (struct undone_snapshot){j->appended_lsn, oldest, n};
	j->done_changed = false;
}

bool append_has_room(const struct journal *j)
{
	if (j->failed || j->stalled || j->low_space || j->queued_bytes > MAX_QUEUED / 2)
		return false;
	if (j->refused_for_ranges)
		for (size_t i = 0; i < j->state.n_dests; i++)
			if (j->state.dests[i].done.n >= JOURNAL_MAX_DONE_RANGES)
				return false;
	return !j->spares_wanted ||
	       (j->n_spares > j->promised + RESERVE_SEGMENTS && j->n_segments + j->promised < 2 * j->max_segments);
}

bool journal_disk_is_full(const struct journal *j)
{
	struct journal *shared = (struct journal *)(uintptr_t)j; /* only its lock */
	journal_lock(shared);
	bool full = j->disk_full || j->stalled || j->low_space || j->spill_failed;
	journal_unlock(shared);
	return full;
}

/* --- sets
 * ----------------------------------------------------------------------------------------------------------
 */

static bool runs_make_sense(const struct journal *j, const struct journal_change *change)
{
	const struct state_dest *dest = state_dest(&j->state, change->dest);
	uint64_t last = 0;
	bool good = dest && change->blob.len && change->blob.len % JOURNAL_RUN_LEN == 0;
	for (size_t at = 0; good && at < change->blob.len; at += JOURNAL_RUN_LEN) {
		uint64_t first = get_u64(change->blob.data + at);
		good = first > last;
		last = get_u64(change->blob.data + at + 8);
		good = good && last >= first && last < dest->next_seq;
	}
	return good;
}

/* The frame of a change; false: the change makes no sense. */
static bool change_frame(const struct journal *j, const struct journal_change *change, struct frame *frame)
{
	static const uint8_t types[] = {
		[JOURNAL_OPEN] = FRAME_OPEN,
		[JOURNAL_REL] = FRAME_REL,
		[JOURNAL_SESSION_RESET] = FRAME_SESSION_RESET,
		[JOURNAL_SUBSCRIPTIONS] = FRAME_SUBSCRIPTIONS,
		[JOURNAL_POSITION] = FRAME_POSITION,
		[JOURNAL_STAGE] = FRAME_STAGE,
		[JOURNAL_BATCH] = FRAME_BATCH,
		[JOURNAL_DEAD] = FRAME_DEAD,
		[JOURNAL_FINISHED] = FRAME_FINISHED,
		[JOURNAL_DROPPED] = FRAME_DROPPED,
		[JOURNAL_SEQUENCE] = FRAME_SEQUENCE,
		[JOURNAL_KEY] = FRAME_KEY,
		[JOURNAL_VALUE] = FRAME_VALUE,
		[JOURNAL_FINISHED_RUNS] = FRAME_DONE,
	};
	if ((unsigned)change->type >= sizeof types || !types[change->type])
		return false;
	*frame = (struct frame){.type = types[change->type], .body = change->blob};
	switch (change->type) {
	case JOURNAL_OPEN:
		frame->hash = change->hash;
		frame->id = change->id;
		break;
	case JOURNAL_REL:
		frame->id = change->id;
		break;
	case JOURNAL_POSITION:
		frame->position = change->position;
		frame->hash = change->hash;
		break;
	case JOURNAL_STAGE:
		frame->stage = change->stage;
		break;
	case JOURNAL_BATCH:
		frame->last = change->last;
		break;
	case JOURNAL_SEQUENCE:
		frame->position = change->position;
		return change->position && change->blob.len == JOURNAL_STREAM_LEN;
	case JOURNAL_KEY:
		frame->hash = change->hash;
		frame->position = change->position;
		frame->time_ms = loop_wall_ms(j->loop);
		return change->position && change->blob.len == JOURNAL_KEY_LEN;
	case JOURNAL_VALUE:
		frame->dest = change->dest;
		return state_dest(&j->state, change->dest) != NULL;
	case JOURNAL_FINISHED_RUNS:
		frame->dest = change->dest;
		frame->stage = JOURNAL_DELIVERED;
		frame->bytes = change->count;
		return runs_make_sense(j, change);
	case JOURNAL_DEAD:
	case JOURNAL_FINISHED:
		frame->bytes = change->bytes;
		break;
	case JOURNAL_DROPPED:
		frame->dest = change->dest;
		frame->stage = JOURNAL_DROPPED_NEWEST;
		frame->count = change->count;
		frame->bytes = change->bytes;
		return state_dest(&j->state, change->dest) != NULL;
	default:
		break;
	}
	if (change->type <= JOURNAL_POSITION) {
		frame->source = change->source;
		return state_source(&j->state, change->source) != NULL;
	}
	frame->dest = change->dest;
	frame->seq = change->seq;
	const struct state_dest *dest = state_dest(&j->state, change->dest);
	bool all = change->type == JOURNAL_STAGE && change->seq == 0;
	return dest && (change->seq || all) && change->seq < dest->next_seq &&
	       (change->type != JOURNAL_BATCH || (change->last >= change->seq && change->last < dest->next_seq));
}

/* How much a CHECKPOINT may grow by it. */
static int64_t change_growth(const struct journal *j, const struct journal_change *change)
{
	if (change->type == JOURNAL_SEQUENCE)
		return sequences_last(&j->state.sequences, change->blob.data) ? 0 : SEQUENCES_ENTRY_LEN;
	if (change->type == JOURNAL_KEY)
		return keys_find(&j->state.keys, change->blob.data) ? 0 : KEYS_ENTRY_LEN;
	if (change->type == JOURNAL_STAGE && change->seq == 0)
		return 0;
	switch (change->type) {
	case JOURNAL_OPEN:
	case JOURNAL_STAGE:
	case JOURNAL_BATCH:
	case JOURNAL_SUBSCRIPTIONS:
	case JOURNAL_POSITION:
		return (int64_t)(change->blob.len + NUMBERS_MAX);
	default:
		return 0;
	}
}

/* The tables must stay small enough that a CHECKPOINT leaves most of a segment to messages. Last values have a bound of
 * their own. */
static int check_growth(struct journal *j, int64_t growth)
{
	if (growth > j->growth_left)
		j->growth_left = (int64_t)(j->segment_bytes / 4) -
				 (int64_t)(checkpoint_frame_size(j) - state_values_size(&j->state));
	if (growth > j->growth_left)
		return -EOVERFLOW;
	j->growth_left -= growth;
	return 0;
}

/* Sizes of the entries' messages go into entry->bytes. */
static int measure_entries(const struct journal *j, struct journal_entry *entries, size_t n, size_t *size)
{
	for (size_t i = 0; i < n; i++) {
		const struct state_dest *dest = state_dest(&j->state, entries[i].dest);
		if (!dest)
			return -EINVAL;
		if (dest->done.n >= JOURNAL_MAX_DONE_RANGES)
			return -EOVERFLOW;
		size_t encoded = message_encoded_size(entries[i].view);
		if (encoded == 0 || encoded > UINT32_MAX / 2)
			return -EMSGSIZE;
		entries[i].bytes = (uint32_t)encoded;
		*size += encoded + NUMBERS_MAX;
	}
	return 0;
}

static bool has_room_for_runs(const struct journal *j, const struct journal_change *change)
{
	const struct state_dest *dest = state_dest(&j->state, change->dest);
	return dest->done.n + change->blob.len / JOURNAL_RUN_LEN <= JOURNAL_MAX_DONE_RANGES;
}

static int measure_changes(struct journal *j, const struct journal_change *changes, size_t n, size_t *size)
{
	int64_t growth = 0;
	size_t sequences = 0, keys = 0;
	for (size_t i = 0; i < n; i++) {
		struct frame frame;
		if (!change_frame(j, &changes[i], &frame))
			return -EINVAL;
		if (frame.body.len > j->segment_bytes)
			return -EMSGSIZE;
		*size += frame.body.len + NUMBERS_MAX;
		growth += change_growth(j, &changes[i]);
		sequences += changes[i].type == JOURNAL_SEQUENCE;
		keys += changes[i].type == JOURNAL_KEY;
		if (changes[i].type == JOURNAL_FINISHED_RUNS && !has_room_for_runs(j, &changes[i]))
			return -EOVERFLOW;
	}
	int r = sequences ? sequences_reserve(&j->state.sequences, sequences) : 0;
	if (r == 0 && keys)
		r = keys_reserve(&j->state.keys, keys);
	return r == 0 && growth ? check_growth(j, growth) : r;
}

/* Lock held. */
static void put_entry(struct journal *j, struct journal_entry *entry, bool last)
{
	struct state_dest *dest = state_dest(&j->state, entry->dest);
	const struct message_view *view = entry->view;
	uint64_t stamp_ms = view->queued_ms ? view->queued_ms : view->origin_ms;
	uint64_t now_ms = loop_wall_ms(j->loop); /* what claims to come from the future says nothing about the clock */
	struct frame frame = {.type = FRAME_MSG,
		.flags = last ? FRAME_SET_END : 0,
		.dest = entry->dest,
		.seq = dest->next_seq,
		.time_ms = stamp_ms < now_ms ? stamp_ms : now_ms,
		.body = {NULL, entry->bytes}};
	message_encode(view, put_frame(j, &frame));
	entry->seq = frame.seq;
	entry->bytes = frame.length;
	/* What state_apply would do for a MSG; it cannot fail. */
	dest->next_seq++;
	dest->waiting++;
	dest->waiting_bytes += frame.length;
	clocks_stamp(&j->state.clocks, frame.time_ms);
	j->stats.appended_messages++;
	j->stats.appended_bytes += frame.length;
}

static void put_set(struct journal *j, struct journal_entry *entries, size_t n_entries,
	const struct journal_change *changes, size_t n_changes)
{
	for (size_t i = 0; i < n_entries; i++)
		put_entry(j, &entries[i], i + 1 == n_entries && n_changes == 0);
	for (size_t i = 0; i < n_changes; i++) {
		struct frame frame;
		change_frame(j, &changes[i], &frame);
		frame.flags = i + 1 == n_changes ? FRAME_SET_END : 0;
		put_frame(j, &frame);
	}
}

static void apply_changes(struct journal *j, const struct journal_change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct frame frame;
		change_frame(j, &changes[i], &frame);
		frame.lsn = j->appended_lsn; /* of the set: it is durable with that */
		apply(j, &frame);
		if (changes[i].type == JOURNAL_VALUE)
			values_trim(j, changes[i].dest);
		j->done_changed |= changes[i].type == JOURNAL_DEAD || changes[i].type == JOURNAL_FINISHED ||
				   changes[i].type == JOURNAL_FINISHED_RUNS;
	}
}

/* Messages, taken or dropped, must leave the reserve alone. */
static bool has_messages(size_t n_entries, const struct journal_change *changes, size_t n_changes)
{
	for (size_t i = 0; i < n_changes; i++)
		if (changes[i].type == JOURNAL_DROPPED)
			return true;
	return n_entries > 0;
}

int journal_append(struct journal *j, struct journal_entry *entries, size_t n_entries,
	const struct journal_change *changes, size_t n_changes, uint64_t *ret_lsn)
{
	size_t size = 0;
	if (n_entries + n_changes == 0) {
		*ret_lsn = j->appended_lsn;
		return 0;
	}
	bool messages = has_messages(n_entries, changes, n_changes);
	int r = measure_entries(j, entries, n_entries, &size);
	if (r == 0)
		r = measure_changes(j, changes, n_changes, &size);
	journal_lock(j);
	if (r == 0) {
		/* DONEs ride along with the first set of a group. */
		size_t riding = j->any_pending && !open_batch(j) ? pending_size(j) : 0;
		r = make_room(j, size + riding, messages);
		if (r == -EMSGSIZE && riding) { /* too large only with them */
			riding = 0;
			r = make_room(j, size, messages);
		}
		if (r == 0 && riding && j->any_pending)
			put_pending(j);
	}
	if (r == 0) {
		put_set(j, entries, n_entries, changes, n_changes);
		wake_commit(j);
	}
	journal_unlock(j);
	if (r == -ENOSPC || r == -EOVERFLOW)
		j->want_room |= messages;
	j->refused_for_ranges |= r == -EOVERFLOW;
	if (r < 0)
		return r;
	apply_changes(j, changes, n_changes);
	*ret_lsn = j->appended_lsn;
	if (j->done_changed)
		append_snapshot(j);
	return 0;
}

int append_frames(struct journal *j, struct frame *frames, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		size += frame_size(&frames[i]) + NUMBERS_MAX;
	journal_lock(j);
	int r = make_room(j, size + pending_size(j), false);
	/* Before them: what an OVERFLOW leaves out because it is done must not be undone after a crash. */
	if (r == 0)
		put_pending(j);
	for (size_t i = 0; r == 0 && i < n; i++) {
		frames[i].flags |= i + 1 == n ? FRAME_SET_END : 0;
		put_frame(j, &frames[i]);
	}
	if (r == 0)
		wake_commit(j);
	journal_unlock(j);
	for (size_t i = 0; r == 0 && i < n; i++)
		apply(j, &frames[i]);
	if (r == 0 && j->done_changed)
		append_snapshot(j);
	return r;
}

int append_frame(struct journal *j, struct frame *frame)
{
	return append_frames(j, frame, 1);
}
