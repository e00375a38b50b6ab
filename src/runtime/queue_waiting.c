/* SPDX-License-Identifier: Apache-2.0
 *
 * peek, export and purge of what waits. A reader of its own walks from the oldest message to the newest that was there
 * when the job began; what is delivered meanwhile is left out.
 */
#include "runtime/queue_impl.h"

#include <stdlib.h>

#include "runtime/log.h"

static void ask_more(struct queue_job *job)
{
	if (!queue_is_orphan(job) && queue_can_send(job))
		journal_reader_request(job->reader, QUEUE_CHUNK_MESSAGES, QUEUE_CHUNK_BYTES);
}

static bool begin(struct queue_job *job, void (*fn)(const struct journal_read_result *result, void *arg))
{
	struct journal *j = job->service->options.journal;
	if (!queue_find_destination(job, job->request.destination, &job->dest))
		return false;
	struct journal_outbox box = journal_outbox(j, job->dest);
	uint64_t first = job->request.filter.first_seq, last = job->request.filter.last_seq;
	job->stop_seq = last < box.next_seq ? last + 1 : box.next_seq;
	if (first < box.oldest_undone)
		first = box.oldest_undone;
	if (first >= job->stop_seq || job->request.limit == 0) {
		queue_end(job, NULL);
		return false;
	}
	job->reader = journal_reader_new(j, job->dest, first, fn, job);
	if (!job->reader)
		queue_end(job, "out of memory");
	return job->reader != NULL;
}

/* --- peek, export ------------------------------------------------------------------------------------------------------ */

static void on_read(const struct journal_read_result *result, void *arg)
{
	struct queue_job *job = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		const struct journal_read *item = &result->items[i];
		const struct message_view *view = message_view(item->msg);
		if (!job->ended && item->seq < job->stop_seq && job->n_done < job->request.limit &&
			queue_filter_matches(&job->request.filter, item->seq, view, NULL))
			queue_send_message(job, view, item->seq);
		message_unref(item->msg);
	}
	if (result->at_end || result->next_seq >= job->stop_seq || job->n_done >= job->request.limit)
		queue_end(job, NULL);
	else
		ask_more(job);
}

static void start(struct queue_job *job)
{
	if (begin(job, on_read))
		ask_more(job);
}

static void never_durable(struct queue_job *job)
{
	(void)job;
}

const struct queue_job_ops queue_waiting_ops = {.start = start, .go_on = ask_more, .durable = never_durable};

/* --- purge --------------------------------------------------------------------------------------------------------------- */

static void note_stage(uint64_t seq, uint8_t stage, void *arg)
{
	struct queue_job *job = arg;
	(void)stage;
	uint64_t *stages = realloc(job->stages, (job->n_stages + 1) * sizeof *stages);
	if (!stages)
		abort(); /* some dozen bytes each; to go on would mean to purge what must not be */
	job->stages = stages;
	stages[job->n_stages++] = seq;
}

static int compare_seq(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* What a courier would do, by what the journal knows of the process before. */
static enum courier_purged purge_stopped(struct queue_job *job, const struct courier_purge *item)
{
	struct journal *j = job->service->options.journal;
	struct journal_outbox box = journal_outbox(j, job->dest);
	if (journal_is_done(j, job->dest, item->seq))
		return COURIER_PURGE_GONE;
	if ((item->qos == 2 && item->seq < job->maybe_sent_end) ||
		(job->n_stages && bsearch(&item->seq, job->stages, job->n_stages, sizeof *job->stages, compare_seq)))
		return COURIER_PURGE_KEPT;
	if (box.done_ranges >= JOURNAL_MAX_DONE_RANGES && item->seq != box.oldest_undone)
		return COURIER_PURGE_NO_ROOM;
	journal_finish(j, job->dest, item->seq, item->bytes, JOURNAL_PURGED);
	return COURIER_PURGED;
}

static void purge_items(struct queue_job *job, struct courier_purge *items, size_t n)
{
	struct courier *courier = queue_courier(job, job->dest);
	if (courier) {
		courier_purge(courier, items, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		items[i].result = purge_stopped(job, &items[i]);
}

static void purge_flush(struct queue_job *job)
{
	uint64_t lsn;
	int r = journal_flush_done(job->service->options.journal, &lsn);
	if (r < 0)
		queue_end(job, "the journal does not take it: %s", strerror(-r));
	else if (lsn <= journal_durable_lsn(job->service->options.journal))
		job->ops->durable(job);
	else
		queue_wait(job, lsn);
}

static bool count_results(struct queue_job *job, const struct courier_purge *items, size_t n)
{
	bool room = true;
	for (size_t i = 0; i < n; i++) {
		job->n_done += items[i].result == COURIER_PURGED;
		job->n_kept += items[i].result == COURIER_PURGE_KEPT || items[i].result == COURIER_PURGE_NO_ROOM;
		room &= items[i].result != COURIER_PURGE_NO_ROOM;
	}
	return room;
}

static void on_purge_read(const struct journal_read_result *result, void *arg)
{
	struct queue_job *job = arg;
	struct courier_purge items[QUEUE_CHUNK_MESSAGES];
	size_t n = 0;
	for (size_t i = 0; i < result->n_items; i++) {
		const struct journal_read *item = &result->items[i];
		const struct message_view *view = message_view(item->msg);
		if (n < QUEUE_CHUNK_MESSAGES && item->seq < job->stop_seq && job->listener &&
			job->n_done + n < job->request.limit &&
			queue_filter_matches(&job->request.filter, item->seq, view, NULL))
			items[n++] = (struct courier_purge){.seq = item->seq, .bytes = item->bytes, .qos = view->qos};
		message_unref(item->msg);
	}
	purge_items(job, items, n);
	bool room = count_results(job, items, n);
	job->no_room = !room;
	if (!room || !job->listener || result->at_end || result->next_seq >= job->stop_seq ||
		job->n_done >= job->request.limit)
		purge_flush(job);
	else
		journal_reader_request(job->reader, QUEUE_CHUNK_MESSAGES, QUEUE_CHUNK_BYTES);
}

static void purge_start(struct queue_job *job)
{
	struct journal *j = job->service->options.journal;
	if (!begin(job, on_purge_read))
		return;
	if (!queue_courier(job, job->dest)) {
		struct journal_outbox box = journal_outbox(j, job->dest);
		journal_stages(j, job->dest, note_stage, job);
		if (job->n_stages)
			qsort(job->stages, job->n_stages, sizeof *job->stages, compare_seq);
		uint64_t span = job->service->options.maybe_sent_span;
		job->maybe_sent_end = box.next_seq - box.oldest_undone < span ? box.next_seq : box.oldest_undone + span;
	}
	journal_reader_request(job->reader, QUEUE_CHUNK_MESSAGES, QUEUE_CHUNK_BYTES);
}

static void purge_durable(struct queue_job *job)
{
	log_warn("purged", "destination=%s messages=%llu kept=%llu by=queue", job->request.destination,
		(unsigned long long)job->n_done, (unsigned long long)job->n_kept);
	if (job->no_room)
		queue_end(job,
			"there are too many gaps between what is left; purge or deliver the oldest messages first");
	else
		queue_end(job, NULL);
}

const struct queue_job_ops queue_waiting_purge_ops = {.start = purge_start, .durable = purge_durable};
