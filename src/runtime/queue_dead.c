/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters: peek and export read them; requeue and purge also take them out of their files, a file at a time, when
 * all of it has been read. What dies after the job began is left alone.
 *
 * requeue: read → append → durable → (at the end of the file) removed. Letters that were appended and are not yet removed
 * when the process ends are there twice, and nothing tells so afterwards: to send them again sends them twice.
 */
#include "runtime/queue_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "runtime/failpoint.h"
#include "runtime/log.h"

static void read_on(struct queue_job *job);

void queue_dead_fini(struct queue_job *job)
{
	journal_dead_cancel(job->dead_read);
	free(job->dead_file.offsets);
}

static bool removes(const struct queue_job *job)
{
	return job->request.op == QUEUE_PURGE || job->request.op == QUEUE_REQUEUE;
}

static void finish(struct queue_job *job)
{
	if (job->request.op == QUEUE_PURGE)
		log_warn("dead_letters_purged", "destination=%s messages=%" PRIu64 " by=queue",
			job->request.destination, job->n_done);
	else if (job->request.op == QUEUE_REQUEUE)
		log_info("dead_letters_requeued", "destination=%s messages=%" PRIu64 " by=queue",
			job->request.destination, job->n_done);
	queue_end(job, NULL);
}

static bool note_offset(struct queue_job *job, uint64_t offset)
{
	struct dead_file *file = &job->dead_file;
	if (file->n == file->capacity) {
		size_t capacity = file->capacity ? file->capacity * 2 : 64;
		uint64_t *offsets = realloc(file->offsets, capacity * sizeof *offsets);
		if (!offsets)
			return false;
		file->offsets = offsets;
		file->capacity = capacity;
	}
	file->offsets[file->n++] = offset;
	return true;
}

/* --- removing ------------------------------------------------------------------------------------------------------------ */

static void note_failure(struct queue_job *job, int error)
{
	job->failed = true;
	snprintf(job->failure, sizeof job->failure, "%s: %s",
		job->request.op == QUEUE_REQUEUE
			? "letters were sent again but could not be removed: they are there twice"
			: "letters could not be removed",
		strerror(-error));
}

static void on_removed(int error, void *arg)
{
	struct queue_job *job = arg;
	if (error == 0 && job->request.op == QUEUE_PURGE)
		job->n_done += job->dead_file.n;
	job->dead_file.n = job->dead_file.n_durable = 0;
	if (error < 0)
		note_failure(job, error);
	if (job->ended) {
		queue_end_now(job);
	} else if (error < 0) {
		job->ended = true;
		queue_end_now(job);
	} else if (!queue_is_orphan(job)) {
		read_on(job);
	}
}

bool queue_dead_settle(struct queue_job *job)
{
	struct dead_file *file = &job->dead_file;
	if (job->request.op != QUEUE_REQUEUE || file->n_durable == 0)
		return false;
	struct journal_dead_removal removal = {
		.destination = job->request.destination,
		.file = file->file,
		.offsets = file->offsets,
		.n_offsets = file->n_durable,
	};
	int r = journal_dead_remove(job->service->options.journal, &removal, on_removed, job);
	if (r < 0)
		note_failure(job, r);
	return r == 0;
}

/* The file has been read, and what was appended of it is durable. */
static void settle_file(struct queue_job *job)
{
	struct dead_file *file = &job->dead_file;
	bool whole = job->request.op == QUEUE_PURGE && !file->kept && queue_filter_is_empty(&job->request.filter);
	struct journal_dead_removal removal = {
		.destination = job->request.destination,
		.file = file->file,
		.offsets = file->offsets,
		.n_offsets = file->n,
		.drop_size = whole ? file->size : 0,
	};
	file->ended = file->kept = false;
	if (file->n == 0 && !whole) {
		read_on(job);
		return;
	}
	FAILPOINT("queue.before_dead_remove");
	if (journal_dead_remove(job->service->options.journal, &removal, on_removed, job) < 0)
		on_removed(-ENOMEM, job);
}

/* After what was read has been dealt with. */
static void go_on(struct queue_job *job)
{
	if (removes(job) && job->dead_file.ended)
		settle_file(job);
	else if (!queue_is_orphan(job))
		read_on(job);
}

/* --- reading ------------------------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct queue_job *job, const struct journal_dead_item *item)
{
	return !job->ended && job->listener && job->n_done + job->batch.n < job->request.limit &&
	       (job->request.op != QUEUE_PURGE || job->n_done + job->dead_file.n < job->request.limit) &&
	       queue_filter_matches(&job->request.filter, item->seq, message_view(item->msg), item->reason);
}

/* A letter whose sender wanted it delivered by a time that has passed would expire at once. */
static bool is_past(const struct queue_job *job, const struct journal_dead_item *item)
{
	uint64_t expires_ms = message_view(item->msg)->expires_ms;
	return job->request.op == QUEUE_REQUEUE && expires_ms && expires_ms <= loop_wall_ms(job->service->options.loop);
}

/* Takes the message. */
static void take_letter(struct queue_job *job, const struct journal_dead_item *item)
{
	bool good = true;
	if (!is_wanted(job, item)) {
		job->dead_file.kept = true;
	} else if (is_past(job, item)) {
		job->dead_file.kept = true;
		job->n_kept++;
	} else if (!removes(job)) {
		queue_send_letter(job, item);
	} else {
		good = note_offset(job, item->offset);
		if (good && job->request.op == QUEUE_REQUEUE)
			good = queue_batch_add(job, job->dest, message_ref(item->msg));
	}
	message_unref(item->msg);
	if (!good)
		queue_end(job, "out of memory");
}

static bool is_enough(const struct queue_job *job, const struct journal_dead_result *result)
{
	return result->at_end || (!removes(job) && job->n_done >= job->request.limit);
}

static void on_read(const struct journal_dead_result *result, void *arg)
{
	struct queue_job *job = arg;
	job->dead_read = NULL;
	for (size_t i = 0; i < result->n_items; i++)
		take_letter(job, &result->items[i]);
	job->cursor = result->next;
	if (result->file) {
		job->dead_file.file = result->file;
		job->dead_file.size = result->file_size;
	}
	job->dead_file.ended = result->file_ended;
	if (job->ended)
		return; /* out of memory */
	if (result->error == -ESTALE)
		queue_end(job, "dead letters were removed meanwhile; begin again");
	else if (result->error < 0)
		queue_end(job, "the dead letters cannot be read: %s", strerror(-result->error));
	else if (is_enough(job, result))
		finish(job);
	else if (job->batch.n)
		queue_batch_append(job);
	else
		go_on(job);
}

static void read_on(struct queue_job *job)
{
	struct journal_dead_query query = {
		.destination = job->request.destination,
		.from = job->cursor,
		.max_messages = QUEUE_CHUNK_MESSAGES,
		.max_bytes = QUEUE_CHUNK_BYTES,
	};
	if (!queue_can_send(job))
		return;
	job->dead_read = journal_dead_read(job->service->options.journal, &query, on_read, job);
	if (!job->dead_read)
		queue_end(job, "out of memory");
}

static void start(struct queue_job *job)
{
	struct queue_service *service = job->service;
	if (job->request.op == QUEUE_REQUEUE && !queue_find_destination(job, job->request.destination, &job->dest))
		return;
	if (removes(job) && service->remover) {
		queue_end(job, "another client is removing dead letters; try again when it is done");
		return;
	}
	if (removes(job))
		service->remover = job;
	read_on(job);
}

static void on_durable(struct queue_job *job)
{
	FAILPOINT("queue.after_requeue_durable");
	job->n_done += job->batch.n;
	job->dead_file.n_durable = job->dead_file.n;
	queue_batch_free(&job->batch);
	go_on(job);
}

static void unblocked(struct queue_job *job)
{
	if (!queue_is_orphan(job))
		read_on(job);
}

const struct queue_job_ops queue_dead_ops = {.start = start, .go_on = unblocked, .durable = on_durable};
