/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages on their way into the journal: gathered, appended as one set, and let go of when that is durable. A short
 * shortage of the journal (a segment that is not ready yet) is waited for; an outbox that is full, or a disk that stays
 * full, ends the job. And import, which is little more than that.
 */
#include "runtime/queue_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "journal/frame.h"
#include "runtime/log.h"

#define RETRY_MS  100u
#define MAX_TRIES 300u

/* --- batch ------------------------------------------------------------------------------------------------------------- */

bool queue_batch_add(struct queue_job *job, uint32_t dest, struct message *msg)
{
	struct queue_batch *batch = &job->batch;
	if (batch->n == batch->capacity) {
		size_t capacity = batch->capacity ? batch->capacity * 2 : 16;
		struct queue_batch_item *items = realloc(batch->items, capacity * sizeof *items);
		if (!items) {
			message_unref(msg);
			return false;
		}
		batch->items = items;
		batch->capacity = capacity;
	}
	batch->items[batch->n++] = (struct queue_batch_item){msg, dest};
	batch->bytes += message_memory(msg);
	return true;
}

static bool is_full(const struct queue_batch *batch)
{
	return batch->n >= QUEUE_CHUNK_MESSAGES || batch->bytes >= QUEUE_CHUNK_BYTES;
}

static void clear(struct queue_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		message_unref(batch->items[i].msg);
	batch->n = batch->bytes = 0;
	batch->tries = 0;
}

void queue_batch_free(struct queue_batch *batch)
{
	clear(batch);
	free(batch->items);
	batch->items = NULL;
	batch->capacity = 0;
}

/* Is there room for all that goes to the destination of item i? Asked once for each, at its first item. What somebody
 * brings by hand is never dropped for want of room, whatever when_full says. */
static bool destination_has_room(struct queue_job *job, size_t i)
{
	const struct queue_batch *batch = &job->batch;
	size_t messages = 0, bytes = 0;
	struct courier *courier = queue_courier(job, batch->items[i].dest);
	for (size_t k = 0; courier && k < batch->n; k++) {
		if (batch->items[k].dest != batch->items[i].dest)
			continue;
		if (k < i)
			return true;
		messages++;
		bytes += message_encoded_size(message_view(batch->items[k].msg));
	}
	return !courier || courier_room(courier, messages, bytes) == ROOM_TAKE;
}

static void on_retry(void *arg)
{
	struct queue_job *job = arg;
	if (!queue_is_orphan(job))
		queue_batch_append(job);
}

static void retry(struct queue_job *job)
{
	if (!job->timer)
		job->timer = loop_timer_new(job->service->options.loop, on_retry, job);
	if (!job->timer)
		queue_end(job, "out of memory");
	else if (job->batch.tries++ == MAX_TRIES)
		queue_end(job, "the disk is full, or the journal cannot keep up");
	else
		loop_timer_start(job->timer, RETRY_MS);
}

static int append(struct queue_job *job, struct journal_entry *entries, struct message_view *views, uint64_t *lsn)
{
	const struct queue_batch *batch = &job->batch;
	for (size_t i = 0; i < batch->n; i++) {
		views[i] = *message_view(batch->items[i].msg);
		views[i].queued_ms = loop_wall_ms(job->service->options.loop);
		if (job->request.op == QUEUE_REQUEUE) /* it is to be sent this time */
			views[i].reject_reason = (struct slice){NULL, 0};
		entries[i] = (struct journal_entry){.dest = batch->items[i].dest, .view = &views[i]};
	}
	int r = journal_append(job->service->options.journal, entries, batch->n, NULL, 0, lsn);
	for (size_t i = 0; r == 0 && i < batch->n; i++) {
		struct courier *courier = queue_courier(job, entries[i].dest);
		if (courier)
			courier_appended(courier, &entries[i], *lsn);
	}
	return r;
}

void queue_batch_append(struct queue_job *job)
{
	struct queue_batch *batch = &job->batch;
	uint64_t lsn = 0;
	for (size_t i = 0; i < batch->n; i++)
		if (!destination_has_room(job, i)) {
			queue_end(job, "the outbox of '%s' is full (max_bytes, max_messages)",
				journal_outbox(job->service->options.journal, batch->items[i].dest).name);
			return;
		}
	struct journal_entry *entries = calloc(batch->n, sizeof *entries);
	struct message_view *views = calloc(batch->n, sizeof *views);
	int r = entries && views ? append(job, entries, views, &lsn) : -ENOMEM;
	free(entries);
	free(views);
	if (r == 0)
		queue_wait(job, lsn);
	else if (r == -ENOSPC)
		retry(job);
	else
		queue_end(job, "the journal does not take it: %s",
			r == -EMSGSIZE    ? "a message is larger than a segment"
			: r == -EOVERFLOW ? "too much is delivered out of order"
					  : strerror(-r));
}

/* --- import -------------------------------------------------------------------------------------------------------------- */

static void import_start(struct queue_job *job)
{
	if (!job->ended && job->request.destination)
		queue_find_destination(job, job->request.destination, &job->dest);
}

static bool find_target(struct queue_job *job, const struct frame *frame, uint32_t *dest)
{
	char name[FRAME_MAX_NAME + 1] = {0};
	if (job->request.destination) {
		*dest = job->dest;
		return true;
	}
	if (frame->name.len)
		memcpy(name, frame->name.data, frame->name.len);
	return queue_find_destination(job, name, dest);
}

bool queue_import_input(struct queue_job *job, struct slice bytes)
{
	struct frame frame;
	struct message *msg = NULL;
	uint32_t dest;
	uint64_t number = job->n_done + job->batch.n + 1;
	if (!frame_check(bytes.data, bytes.len, 0) || frame_decode(bytes.data, bytes.len, &frame) < 0 ||
		frame.type != FRAME_MSG || message_decode(frame.body, &msg) < 0) {
		queue_end(job, "message %" PRIu64 " is not readable", number);
		return true;
	}
	if (!message_view(msg)->order_key.data || message_encoded_size(message_view(msg)) == 0) {
		message_unref(msg);
		queue_end(job, "message %" PRIu64 " lacks its order key, or is too large", number);
		return true;
	}
	if (!find_target(job, &frame, &dest)) {
		message_unref(msg);
		return true;
	}
	if (!queue_batch_add(job, dest, msg)) {
		queue_end(job, "out of memory");
		return true;
	}
	if (!is_full(&job->batch))
		return true;
	queue_batch_append(job);
	return false;
}

void queue_import_end(struct queue_job *job)
{
	job->input_ended = true;
	if (job->batch.n)
		queue_batch_append(job);
	else
		job->ops->durable(job);
}

static void import_durable(struct queue_job *job)
{
	job->n_done += job->batch.n;
	clear(&job->batch);
	if (queue_is_orphan(job))
		return;
	if (job->input_ended) {
		log_info("imported", "messages=%" PRIu64 " by=queue", job->n_done);
		queue_end(job, NULL);
	} else {
		job->listener->want_input(job->listener);
	}
}

const struct queue_job_ops queue_import_ops = {.start = import_start, .durable = import_durable};
