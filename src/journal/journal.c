/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal as its users see it: opening and closing, names, questions about the state, and the one job by
 * which the threads' news reaches the loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "journal/identity.h"
#include "journal/journal_impl.h"
#include "runtime/log.h"

#define LITTLE_ROOM 8u /* keys: of so many there is room for one more */

static uint64_t simulated_random; /* 0: none. Not to be set while a journal's threads run */

void journal_simulate_random(uint64_t state)
{
	simulated_random = state;
}

/* splitmix64 */
static uint64_t next_simulated(void)
{
	uint64_t z = simulated_random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t journal_random(void)
{
	uint64_t value = 0;
	if (simulated_random)
		return next_simulated();
	while (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
		;
	return value;
}

/* --- work lists
 * ------------------------------------------------------------------------------------------------------ */

void job_push(struct job_list *list, struct reader_job *job)
{
	job->next = NULL;
	if (list->tail)
		list->tail->next = job;
	else
		list->head = job;
	list->tail = job;
}

struct reader_job *job_pop(struct job_list *list)
{
	struct reader_job *job = list->head;
	if (job) {
		list->head = job->next;
		if (!list->head)
			list->tail = NULL;
	}
	return job;
}

bool job_remove(struct job_list *list, struct reader_job *job)
{
	struct reader_job *before = NULL;
	for (struct reader_job *at = list->head; at; before = at, at = at->next) {
		if (at != job)
			continue;
		*(before ? &before->next : &list->head) = at->next;
		if (list->tail == at)
			list->tail = before;
		return true;
	}
	return false;
}

/* --- news from the threads
 * -------------------------------------------------------------------------------------------- */

static bool promote_snapshot(struct journal *j)
{
	if (!j->snapshot.lsn || j->snapshot.lsn > j->reported_lsn)
		return false;
	uint64_t *unused = j->durable_undone.oldest;
	j->durable_undone = j->snapshot;
	j->snapshot = (struct undone_snapshot){.oldest = unused};
	append_snapshot(j);
	return true;
}

static void take_durable(struct journal *j, uint64_t durable, uint64_t newest)
{
	if (durable <= j->reported_lsn)
		return;
	j->reported_lsn = durable;
	bool promoted = false;
	while (promote_snapshot(j))
		promoted = true;
	if (promoted || newest != j->recycled_at)
		prepare_recycle(j);
	dead_letter_durable(j);
	spill_durable(j);
	if (j->options.on_durable)
		j->options.on_durable(j->options.ctx, durable);
}

static void deliver_finished(struct journal *j)
{
	struct reader_job *job;
	while ((job = job_pop(&j->delivering))) {
		if (job->type == JOB_READ)
			reader_deliver(j, job);
		else if (job->type == JOB_DEAD_LETTER)
			dead_letter_deliver(j, job);
		else
			dead_read_deliver(job);
	}
}

static void tell_room(struct journal *j)
{
	if (!j->want_room)
		return;
	journal_lock(j);
	bool room = append_has_room(j);
	if (room)
		j->spares_wanted = false;
	journal_unlock(j);
	if (!room)
		return;
	j->want_room = j->refused_for_ranges = false;
	if (j->options.on_room)
		j->options.on_room(j->options.ctx);
}

static void on_wake(void *arg)
{
	struct journal *j = arg;
	journal_lock(j);
	uint64_t durable = j->durable_lsn, newest = j->newest->number;
	int failed = j->failed;
	/* Together with durable_lsn: nobody is handed a message before its lsn has been reported. */
	struct reader_job *job;
	while ((job = job_pop(&j->finished)))
		job_push(&j->delivering, job);
	j->want_checkpoint |= j->fresh_without_checkpoint;
	j->fresh_without_checkpoint = false;
	journal_unlock(j);
	take_durable(j, durable, newest);
	if (j->want_checkpoint && !failed)
		j->want_checkpoint = append_rotate(j, false) < 0;
	deliver_finished(j);
	spill_settle(j);
	spill_durable(j);
	if (j->recycle_again)
		prepare_recycle(j);
	spill_consider(j);
	tell_room(j);
	if (failed && !j->told_failed) {
		j->told_failed = true;
		log_error("journal_failed", "error=\"%s\" what=\"nothing more becomes durable\"", strerror(-failed));
		if (j->options.on_failed)
			j->options.on_failed(j->options.ctx, failed);
	}
}

/* A DONE is written at latest a second after it came. */
static void on_done_timer(void *arg)
{
	struct journal *j = arg;
	if (!j->any_pending)
		return;
	uint64_t waited_ms = loop_now_ms(j->loop) - j->pending_since_ms;
	uint64_t lsn;
	if (waited_ms < DONE_DELAY_MS)
		loop_timer_start(j->done_timer, DONE_DELAY_MS - waited_ms);
	else if (journal_flush_done(j, &lsn) < 0)
		loop_timer_start(j->done_timer, DONE_DELAY_MS);
}

static void on_spill_timer(void *arg)
{
	spill_consider(arg);
}

/* --- open and close
 * ----------------------------------------------------------------------------------------------------- */

static int start_threads(struct journal *j)
{
	int r = -pthread_create(&j->commit_thread, NULL, commit_main, j);
	if (r < 0)
		return r;
	r = -pthread_create(&j->prepare_thread, NULL, prepare_main, j);
	if (r == 0) {
		r = -pthread_create(&j->reader_thread, NULL, reader_main, j);
		if (r == 0) {
			j->threads_run = true;
			return 0;
		}
	}
	bool prepare_runs = j->prepare_thread != 0;
	journal_lock(j);
	j->closing = true;
	pthread_cond_broadcast(&j->commit_wake);
	pthread_cond_broadcast(&j->prepare_wake);
	journal_unlock(j);
	pthread_join(j->commit_thread, NULL);
	if (prepare_runs)
		pthread_join(j->prepare_thread, NULL);
	return r;
}

static void stop_threads(struct journal *j)
{
	if (!j->threads_run)
		return;
	journal_lock(j);
	j->closing = true;
	pthread_cond_broadcast(&j->commit_wake);
	pthread_cond_broadcast(&j->prepare_wake);
	pthread_cond_broadcast(&j->reader_wake);
	journal_unlock(j);
	pthread_join(j->commit_thread, NULL);
	pthread_join(j->prepare_thread, NULL);
	pthread_join(j->reader_thread, NULL);
	j->threads_run = false;
}

static void init_locks(struct journal *j)
{
	pthread_condattr_t attr;
	pthread_mutex_init(&j->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->commit_wake, &attr);
	pthread_cond_init(&j->prepare_wake, &attr);
	pthread_cond_init(&j->reader_wake, &attr);
	pthread_condattr_destroy(&attr);
}

static struct journal *new_journal(const struct journal_options *options)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return NULL;
	j->options = *options;
	j->disk = options->disk;
	j->loop = options->loop;
	j->segment_bytes = options->segment_bytes ? options->segment_bytes : JOURNAL_SEGMENT_BYTES;
	j->current_handle = -1;
	j->next_file = j->next_number = 1;
	j->tail_offset = j->segment_bytes; /* the first append begins a segment */
	j->spare_target = RESERVE_SEGMENTS + 1;
	uint64_t max_bytes = options->max_bytes ? options->max_bytes : JOURNAL_MAX_BYTES;
	j->max_segments = (size_t)(max_bytes / j->segment_bytes);
	if (j->max_segments < MIN_SEGMENTS)
		j->max_segments = MIN_SEGMENTS;
	histogram_init(&j->stats.fdatasync_us, &histogram_short);
	histogram_init(&j->stats.group_frames, &histogram_number);
	histogram_init(&j->stats.group_bytes, &histogram_bytes);
	state_init(&j->state);
	init_locks(j);
	loop_job_init(&j->wake_job, on_wake, j);
	return j;
}

static void free_jobs(struct job_list *list)
{
	struct reader_job *job;
	while ((job = job_pop(list)))
		(job->type == JOB_READ                 ? reader_discard
			: job->type == JOB_DEAD_LETTER ? dead_letter_discard
						       : dead_read_discard)(job);
}

static void free_journal(struct journal *j)
{
	stop_threads(j);
	loop_cancel(j->loop, &j->wake_job);
	loop_timer_free(j->done_timer);
	loop_timer_free(j->spill_timer);
	loop_timer_free(j->clock_timer);
	free_jobs(&j->jobs);
	free_jobs(&j->finished);
	free_jobs(&j->delivering);
	free_jobs(&j->dead_waiting);
	commit_free(j);
	prepare_free(j);
	dead_letter_free(j);
	scan_end(&j->reader_scan);
	for (size_t i = 0; i < j->state.n_dests; i++)
		for (size_t k = 0; k < JOURNAL_N_TOTALS; k++)
			ranges_clear(&j->state.dests[i].pending[k]);
	state_fini(&j->state);
	free(j->snapshot.oldest);
	free(j->durable_undone.oldest);
	pthread_cond_destroy(&j->commit_wake);
	pthread_cond_destroy(&j->prepare_wake);
	pthread_cond_destroy(&j->reader_wake);
	pthread_mutex_destroy(&j->mutex);
	free(j);
}

/* Recovered state is durable. */
static int first_snapshot(struct journal *j)
{
	j->done_changed = true;
	append_snapshot(j);
	if (!j->snapshot.lsn)
		return j->appended_lsn ? -ENOMEM : 0;
	j->durable_undone = j->snapshot;
	j->snapshot = (struct undone_snapshot){0};
	return 0;
}

/* A fresh segment with the recovered state, durable; before it nothing may be recycled. */
static int begin_segment(struct journal *j)
{
	int r = first_snapshot(j);
	if (r == 0 && !j->spares)
		r = prepare_spare(j);
	wall_clock_begin(j);
	values_begin(j);
	if (r == 0)
		r = append_rotate(j, false);
	if (r == 0)
		r = wall_clock_note(j);
	while (r == 0 && commit_step(j))
		;
	if (r == 0 && (j->failed || j->durable_lsn != j->appended_lsn))
		r = j->failed ? j->failed : -ENOSPC;
	j->reported_lsn = j->durable_lsn;
	if (r < 0)
		return r;
	prepare_recycle(j);
	struct identity id = {.segment = j->newest->number};
	memcpy(id.uuid, j->uuid, JOURNAL_UUID_LEN);
	return identity_write(j->disk, &id);
}

static int lock_folder(struct journal *j)
{
	int r = j->disk->ops->lock(j->disk, "lock");
	if (r == -EWOULDBLOCK)
		log_error("journal_open", "what=\"another linkspan uses this data folder: stop it, or give "
					  "this one another data_dir\"");
	else if (r < 0)
		log_error("journal_open",
			"file=lock error=\"%s\" what=\"the data folder cannot be locked: check its owner and "
			"rights\"",
			strerror(-r));
	return r;
}

int journal_open(const struct journal_options *options, struct journal **ret_journal)
{
	struct journal *j = new_journal(options);
	if (!j)
		return -ENOMEM;
	int r = j->segment_bytes < 1024 * 1024 || j->segment_bytes % SEGMENT_BLOCK ? -EINVAL : 0;
	if (r == 0)
		r = lock_folder(j);
	bool locked = r == 0;
	if (r == 0)
		r = recovery_run(j);
	if (r == 0)
		r = begin_segment(j);
	if (r == 0) {
		j->done_timer = loop_timer_new(j->loop, on_done_timer, j);
		j->spill_timer = loop_timer_new(j->loop, on_spill_timer, j);
		r = j->done_timer && j->spill_timer ? wall_clock_watch(j) : -ENOMEM;
	}
	if (r == 0)
		log_info("journal_open", "segment=%" PRIu64 " lsn=%" PRIu64 " segments=%zu spare=%zu",
			j->newest->number, j->appended_lsn, j->n_segments, j->n_spares);
	if (r == 0)
		prepare_check_space(j);
	if (r == 0 && !options->manual)
		r = start_threads(j);
	if (r < 0) {
		if (locked)
			log_error("journal_open", "error=\"%s\" free=%lld what=\"the journal could not be opened\"",
				strerror(-r), (long long)j->disk->ops->free_bytes(j->disk));
		free_journal(j);
		return r;
	}
	*ret_journal = j;
	return 0;
}

int journal_close(struct journal *j)
{
	uint64_t lsn;
	wall_clock_look(j);
	int r = journal_flush_done(j, &lsn);
	struct frame seal = {.type = FRAME_SEAL};
	if (r == 0)
		r = append_frame(j, &seal);
	if (j->threads_run)
		stop_threads(j);
	else
		while (commit_step(j) || (j->head && !j->failed && !j->stalled && prepare_step(j)))
			;
	if (j->failed)
		r = j->failed;
	else if (r == 0 && j->durable_lsn != j->appended_lsn)
		r = -ENOSPC;
	if (r < 0)
		log_error("journal_close", "error=\"%s\" durable_lsn=%" PRIu64 " appended_lsn=%" PRIu64, strerror(-r),
			j->durable_lsn, j->appended_lsn);
	free_journal(j);
	return r;
}

bool journal_step(struct journal *j)
{
	return commit_step(j) || prepare_step(j) || reader_step(j);
}

/* --- names
 * ------------------------------------------------------------------------------------------------------------
 */

static int register_name(struct journal *j, const char *name, bool is_source)
{
	int64_t known = is_source ? state_find_source(&j->state, name) : state_find_dest(&j->state, name);
	size_t len = strlen(name);
	if (known >= 0)
		return (int)known;
	if (len == 0 || len > FRAME_MAX_NAME)
		return -EINVAL;
	uint64_t uuid[2] = {journal_random(), journal_random()};
	struct frame frame = {.type = FRAME_REGISTER,
		.flags = is_source ? FRAME_IS_SOURCE : 0,
		.name = slice_str(name),
		.uuid = slice_of(uuid, sizeof uuid)};
	uint64_t number = is_source ? j->state.n_sources : j->state.n_dests;
	*(is_source ? &frame.source : &frame.dest) = number;
	int r = append_frame(j, &frame);
	return r < 0 ? r : (int)number;
}

int journal_destination(struct journal *j, const char *name)
{
	return register_name(j, name, false);
}

int journal_source(struct journal *j, const char *name)
{
	return register_name(j, name, true);
}

const uint8_t *journal_destination_uuid(const struct journal *j, uint32_t dest)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	return box ? box->uuid : NULL;
}

const uint8_t *journal_uuid(const struct journal *j)
{
	return j->uuid;
}

struct journal_outbox journal_outbox(const struct journal *j, uint32_t dest)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	if (!box)
		return (struct journal_outbox){.dest = dest};
	struct journal_outbox outbox = {.name = box->name,
		.dest = dest,
		.next_seq = box->next_seq,
		.oldest_undone = box->oldest_undone,
		.waiting = box->waiting,
		.waiting_bytes = box->waiting_bytes,
		.done_ranges = box->done.n,
		.paused = box->paused};
	memcpy(outbox.totals, box->totals, sizeof outbox.totals);
	return outbox;
}

const char *journal_total_name(enum journal_total total)
{
	static const char *const names[JOURNAL_N_TOTALS] = {
		[JOURNAL_DELIVERED] = "delivered",
		[JOURNAL_EXPIRED] = "expired",
		[JOURNAL_DROPPED_OLDEST] = "dropped_oldest",
		[JOURNAL_DROPPED_NEWEST] = "dropped_newest",
		[JOURNAL_DEAD_LETTERED] = "dead_lettered",
		[JOURNAL_PURGED] = "purged",
		[JOURNAL_LOST] = "lost",
	};
	return total < JOURNAL_N_TOTALS ? names[total] : "unknown";
}

void journal_outboxes(const struct journal *j, void (*fn)(const struct journal_outbox *box, void *arg), void *arg)
{
	for (uint32_t i = 0; i < j->state.n_dests; i++) {
		if (!state_dest(&j->state, i))
			continue;
		struct journal_outbox box = journal_outbox(j, i);
		fn(&box, arg);
	}
}

uint64_t journal_overflow_bytes(const struct journal *j, uint32_t dest)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	uint64_t bytes = 0;
	for (size_t i = 0; box && i < box->overflow.n; i++)
		bytes += box->overflow.v[i].bytes;
	return bytes;
}

int journal_drop_destination(struct journal *j, uint32_t dest)
{
	if (!state_dest(&j->state, dest))
		return -ENOENT;
	struct frame frame = {.type = FRAME_DROP, .dest = dest};
	struct spill_files files;
	int r = spill_files_of(j, dest, &files);
	if (r == 0)
		r = append_frame(j, &frame);
	spill_files_end(j, &files, r == 0);
	j->done_changed |= r == 0;
	append_snapshot(j);
	return r;
}

int journal_pause(struct journal *j, uint32_t dest, bool paused, uint64_t *ret_lsn)
{
	if (!state_dest(&j->state, dest))
		return -ENOENT;
	struct frame frame = {.type = FRAME_PAUSE, .dest = dest, .count = paused};
	int r = append_frame(j, &frame);
	if (r < 0)
		return r;
	*ret_lsn = j->appended_lsn;
	return 0;
}

/* --- figures and state
 * --------------------------------------------------------------------------------------------------- */

uint64_t journal_durable_lsn(const struct journal *j)
{
	return j->reported_lsn;
}

uint64_t journal_appended_lsn(const struct journal *j)
{
	return j->appended_lsn;
}

bool journal_is_done(const struct journal *j, uint32_t dest, uint64_t seq)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	return box && state_is_done(box, seq);
}

void journal_stages(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t seq, uint8_t stage, void *arg), void *arg)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	for (size_t i = 0; box && i < box->stages.n; i++)
		fn(box->stages.v[i].seq, box->stages.v[i].stage, arg);
}

void journal_batches(
	const struct journal *j, uint32_t dest, void (*fn)(uint64_t first, uint64_t last, void *arg), void *arg)
{
	const struct state_dest *box = state_dest(&j->state, dest);
	for (size_t i = 0; box && i < box->batches.n; i++)
		fn(box->batches.v[i].first, box->batches.v[i].last, arg);
}

void journal_open_ids(
	const struct journal *j, uint32_t source, void (*fn)(uint16_t id, uint64_t hash, void *arg), void *arg)
{
	const struct state_source *from = state_source(&j->state, source);
	for (size_t i = 0; from && i < from->open_ids.n; i++)
		fn(from->open_ids.v[i].id, from->open_ids.v[i].hash, arg);
}

bool journal_id_open(const struct journal *j, uint32_t source, uint16_t id, uint64_t *ret_hash)
{
	const struct state_source *from = state_source(&j->state, source);
	return from && state_open_id(from, id, ret_hash);
}

struct slice journal_subscriptions(const struct journal *j, uint32_t source)
{
	const struct state_source *from = state_source(&j->state, source);
	if (!from || !from->subscriptions)
		return (struct slice){NULL, 0};
	return slice_of(from->subscriptions, from->subscriptions_len);
}

bool journal_position(const struct journal *j, uint32_t source, struct slice partition, uint64_t *ret_position)
{
	const struct state_source *from = state_source(&j->state, source);
	return from && state_position(from, partition, ret_position);
}

void journal_positions(const struct journal *j, uint32_t source,
	void (*fn)(struct slice partition, uint64_t position, uint64_t hash, void *arg), void *arg)
{
	const struct state_source *from = state_source(&j->state, source);
	for (size_t i = 0; from && i < from->positions.n; i++) {
		const struct state_position *entry = &from->positions.v[i];
		fn(slice_of(entry->partition, entry->partition_len), entry->position, entry->hash, arg);
	}
}

/* As check_growth counts them. */
static size_t tables_size(const struct journal *j)
{
	return state_checkpoint_size(&j->state) - state_values_size(&j->state);
}

/* Half of what check_growth leaves to all tables is for streams; where the others have taken more than their half, less,
 * so that it is never a new stream for which a set is refused. */
static bool has_room_for_stream(const struct journal *j)
{
	size_t n = j->state.sequences.n;
	return n < j->options.max_sequences && n < j->segment_bytes / 8 / SEQUENCES_ENTRY_LEN &&
	       tables_size(j) < j->segment_bytes / 4 - j->segment_bytes / 16;
}

bool journal_sequence(const struct journal *j, const uint8_t *stream, uint64_t *ret_last)
{
	uint64_t last = sequences_last(&j->state.sequences, stream);
	if (last == 0 && !has_room_for_stream(j))
		return false;
	*ret_last = last;
	return true;
}

size_t journal_sequences(const struct journal *j)
{
	return j->state.sequences.n;
}

bool journal_key(const struct journal *j, const uint8_t *key, uint64_t *ret_hash, uint64_t *ret_lsn)
{
	const struct known_key *known = keys_find(&j->state.keys, key);
	if (!known || known->expires_ms <= loop_wall_ms(j->loop))
		return false;
	*ret_hash = known->hash;
	*ret_lsn = known->lsn;
	return true;
}

uint64_t journal_max_keys(uint64_t segment_bytes)
{
	return segment_bytes / 8 / KEYS_ENTRY_LEN;
}

uint64_t journal_key_limit(const struct journal *j)
{
	uint64_t most = journal_max_keys(j->segment_bytes);
	return j->options.max_keys < most ? j->options.max_keys : most;
}

/* As has_room_for_stream. */
static uint64_t room_for_keys(const struct journal *j)
{
	uint64_t limit = journal_key_limit(j), n = j->state.keys.n;
	size_t tables = tables_size(j), most = j->segment_bytes / 4 - j->segment_bytes / 16;
	uint64_t by_number = n < limit ? limit - n : 0;
	uint64_t by_size = tables < most ? (most - tables + KEYS_ENTRY_LEN - 1) / KEYS_ENTRY_LEN : 0;
	return by_number < by_size ? by_number : by_size;
}

uint64_t journal_key_room(struct journal *j)
{
	uint64_t room = room_for_keys(j);
	if (room > journal_key_limit(j) / LITTLE_ROOM)
		return room;
	append_expire_keys(j);
	return room_for_keys(j);
}

size_t journal_keys(const struct journal *j)
{
	return j->state.keys.n;
}

uint64_t journal_newest_ms(const struct journal *j)
{
	return clocks_newest_ms(&j->state.clocks);
}

bool journal_clock_shift(const struct journal *j, uint64_t lsn, int64_t *ret_shift_ms)
{
	return clocks_shift(&j->state.clocks, lsn, ret_shift_ms);
}

struct journal_stats journal_stats(const struct journal *j)
{
	struct journal *shared = (struct journal *)(uintptr_t)j; /* only its lock */
	journal_lock(shared);
	struct journal_stats stats = j->stats;
	stats.segments = j->n_segments;
	stats.segments_spare = j->n_spares;
	stats.takes_messages = !j->failed && !j->stalled && !j->low_space && (!j->spares_wanted || append_has_room(j));
	journal_unlock(shared);
	stats.damaged_messages = j->damaged_messages;
	return stats;
}
