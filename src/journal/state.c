/* SPDX-License-Identifier: Apache-2.0
 *
 * One function per frame type, and a table from the type to its function. The same functions read a
 * CHECKPOINT, whose records are frames. (Writing one is in checkpoint.c.)
 */
#include "journal/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "message/endian.h"

/* Numbers of destinations and sources are small; this bounds what a damaged frame can make us allocate. */
#define MAX_NUMBER 65535u

/* --- sorted arrays
 * ---------------------------------------------------------------------------------------------- */

/* Makes room for one more element; v points at the array's first member, a pointer. */
static int grow(void *v, size_t n, size_t *capacity, size_t element)
{
	if (n < *capacity)
		return 0;
	void *old, *bigger;
	size_t wanted = *capacity ? *capacity * 2 : 4;
	memcpy(&old, v, sizeof old);
	bigger = realloc(old, wanted * element);
	if (!bigger)
		return -ENOMEM;
	memcpy(v, &bigger, sizeof bigger);
	*capacity = wanted;
	return 0;
}

#define GROW(array) grow(&(array)->v, (array)->n, &(array)->capacity, sizeof *(array)->v)
#define INSERT(array, i)                                                                                               \
	(memmove(&(array)->v[(i) + 1], &(array)->v[i], ((array)->n - (i)) * sizeof *(array)->v), (array)->n++)
#define REMOVE(array, i)                                                                                               \
	(memmove(&(array)->v[i], &(array)->v[(i) + 1], ((array)->n - (i)-1) * sizeof *(array)->v), (array)->n--)

static size_t stages_find(const struct state_stages *stages, uint64_t seq)
{
	size_t low = 0, high = stages->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (stages->v[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t open_ids_find(const struct state_open_ids *ids, uint16_t id)
{
	size_t low = 0, high = ids->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (ids->v[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int compare_partition(const struct state_position *entry, struct slice partition)
{
	size_t shorter = entry->partition_len < partition.len ? entry->partition_len : partition.len;
	int order = shorter ? memcmp(entry->partition, partition.data, shorter) : 0;
	if (order)
		return order;
	return entry->partition_len < partition.len ? -1 : entry->partition_len > partition.len;
}

static size_t positions_find(const struct state_positions *positions, struct slice partition, bool *ret_found)
{
	size_t low = 0, high = positions->n;
	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = compare_partition(&positions->v[mid], partition);
		if (order < 0) {
			low = mid + 1;
		} else {
			high = mid;
			*ret_found |= order == 0;
		}
	}
	return low;
}

/* --- destinations and sources
 * ------------------------------------------------------------------------------------- */

static void clear_dest(struct state_dest *dest)
{
	free(dest->name);
	ranges_clear(&dest->done);
	for (size_t i = 0; i < JOURNAL_N_TOTALS; i++)
		ranges_clear(&dest->pending[i]);
	free(dest->stages.v);
	free(dest->batches.v);
	free(dest->overflow.v);
	last_values_clear(&dest->values);
	*dest = (struct state_dest){.next_seq = 1, .oldest_undone = 1};
}

static void clear_source(struct state_source *source)
{
	free(source->name);
	if (source->open_ids.v)
		free(source->open_ids.v - source->open_ids.gap);
	for (size_t i = 0; i < source->positions.n; i++)
		free(source->positions.v[i].partition);
	free(source->positions.v);
	free(source->subscriptions);
	*source = (struct state_source){0};
}

void state_init(struct state *state)
{
	*state = (struct state){0};
	clocks_init(&state->clocks);
}

void state_fini(struct state *state)
{
	for (size_t i = 0; i < state->n_dests; i++)
		clear_dest(&state->dests[i]);
	for (size_t i = 0; i < state->n_sources; i++)
		clear_source(&state->sources[i]);
	free(state->dests);
	free(state->sources);
	sequences_clear(&state->sequences);
	keys_clear(&state->keys);
	*state = (struct state){.on_missing = state->on_missing, .arg = state->arg};
}

static int grow_dests(struct state *state, uint64_t n)
{
	if (n > MAX_NUMBER)
		return -EBADMSG;
	if (n <= state->n_dests)
		return 0;
	struct state_dest *dests = realloc(state->dests, n * sizeof *dests);
	if (!dests)
		return -ENOMEM;
	state->dests = dests;
	for (; state->n_dests < n; state->n_dests++)
		dests[state->n_dests] = (struct state_dest){.next_seq = 1, .oldest_undone = 1};
	return 0;
}

static int grow_sources(struct state *state, uint64_t n)
{
	if (n > MAX_NUMBER)
		return -EBADMSG;
	if (n <= state->n_sources)
		return 0;
	struct state_source *sources = realloc(state->sources, n * sizeof *sources);
	if (!sources)
		return -ENOMEM;
	state->sources = sources;
	for (; state->n_sources < n; state->n_sources++)
		sources[state->n_sources] = (struct state_source){0};
	return 0;
}

/* The destination of a frame. Its REGISTER may have been damaged: then it gets a name that no configuration
 * has, so that its messages are not forgotten without a word. */
static int dest_of(struct state *state, const struct frame *frame, struct state_dest **ret_dest)
{
	int r = frame->dest < MAX_NUMBER ? grow_dests(state, frame->dest + 1) : -EBADMSG;
	if (r < 0)
		return r;
	struct state_dest *dest = &state->dests[frame->dest];
	if (!dest->name) {
		char name[40];
		snprintf(name, sizeof name, "?destination-%llu", (unsigned long long)frame->dest);
		dest->name = strdup(name);
		if (!dest->name)
			return -ENOMEM;
	}
	*ret_dest = dest;
	return 0;
}

static int source_of(struct state *state, const struct frame *frame, struct state_source **ret_source)
{
	int r = frame->source < MAX_NUMBER ? grow_sources(state, frame->source + 1) : -EBADMSG;
	if (r < 0)
		return r;
	*ret_source = &state->sources[frame->source];
	return 0;
}

/* --- done
 * ----------------------------------------------------------------------------------------------------------
 */

bool state_is_done(const struct state_dest *dest, uint64_t seq)
{
	return seq < dest->oldest_undone || ranges_has(&dest->done, seq);
}

bool state_undone_in(const struct state_dest *dest, uint64_t first, uint64_t end)
{
	if (first < dest->oldest_undone)
		first = dest->oldest_undone;
	if (end > dest->next_seq)
		end = dest->next_seq;
	if (first >= end)
		return false;
	size_t i = ranges_find(&dest->done, first);
	return i == dest->done.n || dest->done.v[i].first > first || dest->done.v[i].last < end - 1;
}

static void forget_stages(struct state_dest *dest, uint64_t first, uint64_t last)
{
	size_t begin = stages_find(&dest->stages, first), end = begin;
	while (end < dest->stages.n && dest->stages.v[end].seq <= last)
		end++;
	memmove(&dest->stages.v[begin], &dest->stages.v[end], (dest->stages.n - end) * sizeof *dest->stages.v);
	dest->stages.n -= end - begin;
}

/* Those that have ended, whatever is undone before them. Few are left at any time. */
static void forget_batches(struct state_dest *dest)
{
	size_t n = 0;
	for (size_t i = 0; i < dest->batches.n; i++) {
		struct range batch = dest->batches.v[i];
		if (state_undone_in(dest, batch.first, batch.last + 1))
			dest->batches.v[n++] = batch;
	}
	dest->batches.n = n;
}

int state_mark_done(struct state_dest *dest, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why)
{
	if (first < dest->oldest_undone)
		first = dest->oldest_undone;
	if (first > last)
		return 0;
	uint64_t added = last - first + 1;
	if (first == dest->oldest_undone && dest->done.n == 0) {
		dest->oldest_undone = last + 1;
	} else {
		int r = ranges_add(&dest->done, first, last, &added);
		if (r < 0)
			return r;
		if (dest->done.v[0].first <= dest->oldest_undone) {
			dest->oldest_undone = dest->done.v[0].last + 1;
			ranges_drop_below(&dest->done, dest->oldest_undone);
		}
	}
	dest->totals[why] += added;
	if (added) {
		dest->waiting -= added < dest->waiting ? added : dest->waiting;
		dest->waiting_bytes -= bytes < dest->waiting_bytes ? bytes : dest->waiting_bytes;
	}
	if (dest->waiting == 0)
		dest->waiting_bytes = 0;
	if (dest->stages.n)
		forget_stages(dest, first, last);
	if (dest->batches.n)
		forget_batches(dest);
	return 0;
}

int state_mark_missing(struct state *state, uint32_t number, uint64_t first, uint64_t end)
{
	struct state_dest *dest = &state->dests[number];
	if (first < dest->oldest_undone)
		first = dest->oldest_undone;
	while (first < end) {
		size_t i = ranges_find(&dest->done, first);
		const struct range *next = i < dest->done.n ? &dest->done.v[i] : NULL;
		if (next && next->first <= first) {
			first = next->last + 1;
			continue;
		}
		uint64_t stop = next && next->first < end ? next->first : end;
		int r = state_mark_done(dest, first, stop - 1, 0, JOURNAL_LOST);
		if (r < 0)
			return r;
		if (state->on_missing)
			state->on_missing(state->arg, number, first, stop - 1);
		first = stop;
	}
	return 0;
}

/* Seqs below `next` were given; those that no MSG told of are gone. */
static int skip_to(struct state *state, uint64_t number, uint64_t next)
{
	struct state_dest *dest = &state->dests[number];
	uint64_t first = dest->next_seq;
	if (next <= first)
		return 0;
	dest->next_seq = next;
	dest->waiting += next - first;
	return state_mark_missing(state, (uint32_t)number, first, next);
}

/* A DONE may come when its MSG was damaged: then nothing is missing that is still wanted. */
static int done_through(struct state_dest *dest, uint64_t first, uint64_t last, uint64_t bytes, enum journal_total why)
{
	if (first > last || last == UINT64_MAX)
		return -EBADMSG;
	if (last >= dest->next_seq) {
		dest->waiting += last + 1 - dest->next_seq;
		dest->next_seq = last + 1;
	}
	return state_mark_done(dest, first, last, bytes, why);
}

/* --- frames
 * -------------------------------------------------------------------------------------------------------- */

static int apply_msg(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (r < 0)
		return r;
	if (frame->seq < dest->next_seq || frame->seq == UINT64_MAX)
		return -EBADMSG;
	r = skip_to(state, frame->dest, frame->seq);
	if (r < 0)
		return r;
	dest->next_seq = frame->seq + 1;
	dest->waiting++;
	dest->waiting_bytes += frame->length;
	clocks_stamp(&state->clocks, frame->time_ms);
	return 0;
}

/* Closes the gap, so that v is what was allocated. */
static void open_ids_settle(struct state_open_ids *ids)
{
	memmove(ids->v - ids->gap, ids->v, ids->n * sizeof *ids->v);
	ids->v -= ids->gap;
	ids->capacity += ids->gap;
	ids->gap = 0;
}

static int open_ids_insert(struct state_open_ids *ids, size_t i)
{
	if (ids->n == ids->capacity) {
		if (ids->gap > 0)
			open_ids_settle(ids);
		/* So that there is room for a while before the next move. */
		size_t full = ids->capacity - ids->n <= ids->n / 4 ? ids->capacity : ids->n;
		int r = grow(&ids->v, full, &ids->capacity, sizeof *ids->v);
		if (r < 0)
			return r;
	}
	INSERT(ids, i);
	return 0;
}

static void open_ids_remove(struct state_open_ids *ids, size_t i)
{
	if (i > 0) {
		REMOVE(ids, i);
		return;
	}
	ids->v++;
	ids->gap++;
	ids->n--;
	ids->capacity--;
}

static int apply_open(struct state *state, const struct frame *frame)
{
	struct state_source *source;
	int r = source_of(state, frame, &source);
	if (r < 0)
		return r;
	struct state_open_ids *ids = &source->open_ids;
	size_t i = open_ids_find(ids, (uint16_t)frame->id);
	if (i == ids->n || ids->v[i].id != frame->id) {
		r = open_ids_insert(ids, i);
		if (r < 0)
			return r;
	}
	ids->v[i] = (struct state_open_id){frame->hash, (uint16_t)frame->id};
	return 0;
}

static int apply_rel(struct state *state, const struct frame *frame)
{
	struct state_source *source;
	int r = source_of(state, frame, &source);
	if (r < 0)
		return r;
	size_t i = open_ids_find(&source->open_ids, (uint16_t)frame->id);
	if (i < source->open_ids.n && source->open_ids.v[i].id == frame->id)
		open_ids_remove(&source->open_ids, i);
	return 0;
}

static int apply_session_reset(struct state *state, const struct frame *frame)
{
	struct state_source *source;
	int r = source_of(state, frame, &source);
	if (r < 0)
		return r;
	source->open_ids.n = 0;
	free(source->subscriptions);
	source->subscriptions = NULL;
	source->subscriptions_len = 0;
	return 0;
}

static int apply_subscriptions(struct state *state, const struct frame *frame)
{
	struct state_source *source;
	int r = source_of(state, frame, &source);
	if (r < 0)
		return r;
	uint8_t *copy = malloc(frame->body.len + 1);
	if (!copy)
		return -ENOMEM;
	if (frame->body.len)
		memcpy(copy, frame->body.data, frame->body.len);
	free(source->subscriptions);
	source->subscriptions = copy;
	source->subscriptions_len = frame->body.len;
	return 0;
}

static int apply_position(struct state *state, const struct frame *frame)
{
	struct state_source *source;
	int r = source_of(state, frame, &source);
	if (r < 0)
		return r;
	bool found;
	struct state_positions *positions = &source->positions;
	size_t i = positions_find(positions, frame->body, &found);
	if (!found) {
		r = GROW(positions);
		if (r < 0)
			return r;
		uint8_t *name = malloc(frame->body.len + 1);
		if (!name)
			return -ENOMEM;
		if (frame->body.len)
			memcpy(name, frame->body.data, frame->body.len);
		INSERT(positions, i);
		positions->v[i] = (struct state_position){.partition = name, .partition_len = frame->body.len};
	}
	positions->v[i].position = frame->position;
	positions->v[i].hash = frame->hash;
	return 0;
}

/* Seq 0: the peer has lost its session, all stages are void. */
static int put_stage(struct state_dest *dest, uint64_t seq, uint8_t stage)
{
	if (seq == 0) {
		dest->stages.n = 0;
		return 0;
	}
	if (state_is_done(dest, seq))
		return 0;
	size_t i = stages_find(&dest->stages, seq);
	if (i == dest->stages.n || dest->stages.v[i].seq != seq) {
		int r = GROW(&dest->stages);
		if (r < 0)
			return r;
		INSERT(&dest->stages, i);
	}
	dest->stages.v[i] = (struct state_stage){seq, stage};
	return 0;
}

static int apply_stage(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	return r < 0 ? r : put_stage(dest, frame->seq, (uint8_t)frame->stage);
}

static int put_batch(struct state_dest *dest, uint64_t first, uint64_t last)
{
	if (last < dest->oldest_undone)
		return 0;
	int r = GROW(&dest->batches);
	if (r < 0)
		return r;
	size_t i = dest->batches.n;
	while (i && dest->batches.v[i - 1].first > first)
		i--;
	INSERT(&dest->batches, i);
	dest->batches.v[i] = (struct range){first, last};
	return 0;
}

static int apply_batch(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	return r < 0 ? r : put_batch(dest, frame->seq, frame->last);
}

static int apply_done(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (frame->body.len % 16)
		r = -EBADMSG;
	uint64_t bytes = frame->bytes;
	/* A reason that a newer linkspan knows: done is done. */
	enum journal_total why = frame->stage < JOURNAL_N_TOTALS ? (enum journal_total)frame->stage : JOURNAL_DELIVERED;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += 16, bytes = 0)
		r = done_through(dest, get_u64(frame->body.data + at), get_u64(frame->body.data + at + 8), bytes, why);
	return r;
}

static int apply_final(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	enum journal_total why = frame->type == FRAME_DEAD ? JOURNAL_DEAD_LETTERED : JOURNAL_DELIVERED;
	return r < 0 ? r : done_through(dest, frame->seq, frame->seq, frame->bytes, why);
}

/* Messages that never got a seq. */
static int apply_dropped(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = frame->stage == JOURNAL_DROPPED_NEWEST ? dest_of(state, frame, &dest) : -EBADMSG;
	if (r == 0)
		dest->totals[JOURNAL_DROPPED_NEWEST] += frame->count;
	return r;
}

static int apply_register(struct state *state, const struct frame *frame)
{
	if (!frame->name.len || frame->uuid.len != JOURNAL_UUID_LEN || memchr(frame->name.data, 0, frame->name.len))
		return -EBADMSG;
	bool is_source = frame->flags & FRAME_IS_SOURCE;
	char *name = strndup((const char *)frame->name.data, frame->name.len);
	if (!name)
		return -ENOMEM;
	struct state_dest *dest = NULL;
	struct state_source *source = NULL;
	int r = is_source ? source_of(state, frame, &source) : dest_of(state, frame, &dest);
	if (r < 0) {
		free(name);
		return r;
	}
	char **slot = is_source ? &source->name : &dest->name;
	free(*slot);
	*slot = name;
	memcpy(is_source ? source->uuid : dest->uuid, frame->uuid.data, JOURNAL_UUID_LEN);
	return 0;
}

static int apply_drop(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (r == 0)
		clear_dest(dest);
	return r;
}

/* Expiries are by the clock of who wrote them. */
static void note_key_time(struct state *state, const struct frame *frame)
{
	if (frame->time_ms > state->keys.seen_ms && frame->time_ms < (uint64_t)CLOCKS_LIMIT_MS)
		state->keys.seen_ms = frame->time_ms;
}

static int apply_sequence(struct state *state, const struct frame *frame)
{
	if (frame->body.len != SEQUENCES_STREAM_LEN || !frame->position)
		return -EBADMSG;
	return sequences_set(&state->sequences, frame->body.data, frame->position);
}

static int apply_key(struct state *state, const struct frame *frame)
{
	if (frame->body.len != KEYS_KEY_LEN || !frame->position)
		return -EBADMSG;
	note_key_time(state, frame);
	return keys_set(&state->keys, frame->body.data, frame->hash, frame->position, frame->lsn);
}

static int apply_pause(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (r == 0)
		dest->paused = frame->count != 0;
	return r;
}

/* Set in the order in which they stand in a CHECKPOINT, so that the oldest is the oldest again. */
static int apply_value(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	struct message *msg = NULL;
	int r = dest_of(state, frame, &dest);
	if (r == 0)
		r = message_decode(frame->body, &msg);
	if (r == 0)
		r = last_values_set(&dest->values, msg, message_encoded_size(message_view(msg)));
	message_unref(msg);
	return r;
}

/* --- the records of a CHECKPOINT
 * ---------------------------------------------------------------------------------- */

static int apply_base(struct state *state, const struct frame *frame)
{
	int r = grow_dests(state, frame->dest);
	if (r == 0)
		r = grow_sources(state, frame->source);
	clocks_stamp(&state->clocks, frame->time_ms); /* there is no CLOCK yet: of earlier boots */
	return r;
}

static int apply_outbox(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (frame->body.len % 16 || frame->last > frame->seq || frame->last == 0)
		r = -EBADMSG;
	if (r < 0)
		return r;
	dest->next_seq = frame->seq;
	dest->oldest_undone = frame->last;
	dest->waiting = frame->count;
	dest->waiting_bytes = frame->bytes;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += 16) {
		uint64_t first = get_u64(frame->body.data + at), last = get_u64(frame->body.data + at + 8), added;
		if (first <= dest->oldest_undone || first > last || last >= dest->next_seq)
			return -EBADMSG;
		r = ranges_add(&dest->done, first, last, &added);
	}
	return r;
}

static int apply_stages(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (frame->body.len % 9)
		r = -EBADMSG;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += 9)
		r = put_stage(dest, get_u64(frame->body.data + at), frame->body.data[at + 8]);
	return r;
}

static int apply_batches(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (frame->body.len % 16)
		r = -EBADMSG;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += 16)
		r = put_batch(dest, get_u64(frame->body.data + at), get_u64(frame->body.data + at + 8));
	return r;
}

static int apply_overflow(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	size_t n = frame->body.len / 24;
	if (r < 0)
		return r;
	if (frame->body.len % 24 || frame->seq > dest->next_seq)
		return -EBADMSG;
	struct state_overflow_file *v = n ? malloc(n * sizeof *v) : NULL;
	if (n && !v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = frame->body.data + i * 24;
		v[i] = (struct state_overflow_file){get_u64(at), get_u64(at + 8), get_u64(at + 16)};
		if ((i && (v[i].file <= v[i - 1].file || v[i].first_seq <= v[i - 1].first_seq)) ||
			v[i].first_seq >= frame->seq) {
			free(v);
			return -EBADMSG;
		}
	}
	free(dest->overflow.v);
	dest->overflow = (struct state_overflow){v, n, n};
	dest->overflow_end = frame->seq;
	return 0;
}

/* There may be fewer of them than we know, or more. */
static int apply_totals(struct state *state, const struct frame *frame)
{
	struct state_dest *dest;
	int r = dest_of(state, frame, &dest);
	if (frame->body.len % 8)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < JOURNAL_N_TOTALS && i < frame->body.len / 8; i++)
		dest->totals[i] = get_u64(frame->body.data + i * 8);
	return r;
}

/* What the totals of a CHECKPOINT do not account for counts as delivered: all that was done, if a linkspan wrote it
 * that kept none. */
static void settle_totals(struct state *state)
{
	for (size_t i = 0; i < state->n_dests; i++) {
		struct state_dest *dest = &state->dests[i];
		uint64_t rest = dest->next_seq - 1;
		for (size_t t = 0; t < JOURNAL_N_TOTALS; t++) {
			bool counts = t != JOURNAL_DELIVERED && t != JOURNAL_DROPPED_NEWEST;
			rest -= counts && dest->totals[t] <= rest ? dest->totals[t] : 0;
		}
		dest->totals[JOURNAL_DELIVERED] = dest->waiting < rest ? rest - dest->waiting : 0;
	}
}

static int apply_open_ids(struct state *state, const struct frame *frame)
{
	int r = frame->body.len % 10 ? -EBADMSG : 0;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += 10) {
		struct frame open = {.source = frame->source,
			.id = get_u16(frame->body.data + at),
			.hash = get_u64(frame->body.data + at + 2)};
		r = apply_open(state, &open);
	}
	return r;
}

static int apply_sequences(struct state *state, const struct frame *frame)
{
	return sequences_decode(&state->sequences, frame->body);
}

static int apply_keys(struct state *state, const struct frame *frame)
{
	note_key_time(state, frame);
	return keys_decode(&state->keys, frame->body);
}

static int apply_records(struct state *state, struct slice records)
{
	struct frame record;
	int r;
	while ((r = frame_next_record(&records, &record)) > 0) {
		if (record.type == FRAME_CHECKPOINT)
			return -EBADMSG;
		r = state_apply(state, &record);
		if (r < 0)
			return r;
	}
	return r;
}

/* What the CHECKPOINT counts on as given and waiting, while no MSG told of it, is missing. */
static int compare_checkpoint(const struct state *state, struct state *fresh)
{
	fresh->on_missing = state->on_missing;
	fresh->arg = state->arg;
	int r = 0;
	for (size_t i = 0; state->on_missing && r == 0 && i < fresh->n_dests && i < state->n_dests; i++)
		if (state->dests[i].name && fresh->dests[i].name)
			r = state_mark_missing(fresh, (uint32_t)i, state->dests[i].next_seq, fresh->dests[i].next_seq);
	return r;
}

static int apply_checkpoint(struct state *state, const struct frame *frame)
{
	struct state fresh;
	state_init(&fresh);
	int r = apply_records(&fresh, frame->body);
	settle_totals(&fresh);
	if (r == 0)
		r = compare_checkpoint(state, &fresh);
	if (r < 0) {
		state_fini(&fresh);
		return r;
	}
	if (state->clocks.earlier_ms > fresh.clocks.earlier_ms)
		fresh.clocks.earlier_ms = state->clocks.earlier_ms;
	state_fini(state);
	*state = fresh;
	return 0;
}

static int apply_clock(struct state *state, const struct frame *frame)
{
	struct clocks_entry entry;
	int r = frame->body.len == 0 || frame->body.len % CLOCKS_ENTRY_LEN ? -EBADMSG : 0;
	for (size_t at = 0; r == 0 && at < frame->body.len; at += CLOCKS_ENTRY_LEN) {
		r = clocks_decode(frame->body.data + at, &entry);
		if (r == 0)
			clocks_put(&state->clocks, &entry);
	}
	if (r == 0 && frame->time_ms && frame->time_ms < (uint64_t)CLOCKS_LIMIT_MS)
		state->clocks.newest_boot_ms = (int64_t)frame->time_ms - entry.last_ms;
	return r;
}

static int apply_nothing(struct state *state, const struct frame *frame)
{
	(void)state, (void)frame;
	return 0;
}

static int (*const appliers[])(struct state *state, const struct frame *frame) = {
	[FRAME_MSG] = apply_msg,
	[FRAME_OPEN] = apply_open,
	[FRAME_REL] = apply_rel,
	[FRAME_SESSION_RESET] = apply_session_reset,
	[FRAME_SUBSCRIPTIONS] = apply_subscriptions,
	[FRAME_POSITION] = apply_position,
	[FRAME_STAGE] = apply_stage,
	[FRAME_BATCH] = apply_batch,
	[FRAME_DONE] = apply_done,
	[FRAME_DEAD] = apply_final,
	[FRAME_FINISHED] = apply_final,
	[FRAME_REGISTER] = apply_register,
	[FRAME_DROP] = apply_drop,
	[FRAME_CHECKPOINT] = apply_checkpoint,
	[FRAME_SEAL] = apply_nothing,
	[FRAME_COMMIT] = apply_nothing,
	[FRAME_BASE] = apply_base,
	[FRAME_OUTBOX] = apply_outbox,
	[FRAME_STAGES] = apply_stages,
	[FRAME_BATCHES] = apply_batches,
	[FRAME_OPEN_IDS] = apply_open_ids,
	[FRAME_OVERFLOW] = apply_overflow,
	[FRAME_TOTALS] = apply_totals,
	[FRAME_DROPPED] = apply_dropped,
	[FRAME_CLOCK] = apply_clock,
	[FRAME_SEQUENCE] = apply_sequence,
	[FRAME_SEQUENCES] = apply_sequences,
	[FRAME_PAUSE] = apply_pause,
	[FRAME_KEY] = apply_key,
	[FRAME_KEYS] = apply_keys,
	[FRAME_VALUE] = apply_value,
};

int state_apply(struct state *state, const struct frame *frame)
{
	if (frame->type >= sizeof appliers / sizeof appliers[0] || !appliers[frame->type])
		return -EBADMSG;
	return appliers[frame->type](state, frame);
}

/* --- questions
 * ------------------------------------------------------------------------------------------------------ */

bool state_open_id(const struct state_source *source, uint16_t id, uint64_t *ret_hash)
{
	size_t i = open_ids_find(&source->open_ids, id);
	if (i == source->open_ids.n || source->open_ids.v[i].id != id)
		return false;
	*ret_hash = source->open_ids.v[i].hash;
	return true;
}

bool state_position(const struct state_source *source, struct slice partition, uint64_t *ret_position)
{
	bool found;
	size_t i = positions_find(&source->positions, partition, &found);
	if (found)
		*ret_position = source->positions.v[i].position;
	return found;
}
