/* SPDX-License-Identifier: Apache-2.0
 *
 * A job begins with its request line and ends with its last line; it is freed by a job of the loop, so that nobody finds
 * it gone under him. A job whose listener has gone ends at its next step, but not between what it appended and what must
 * follow when that is durable.
 */
#include "runtime/queue_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "journal/frame.h"
#include "runtime/log.h"

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void send_bytes(struct queue_job *job, const void *bytes, size_t len)
{
	uint8_t *out = job->listener ? job->listener->send(job->listener, len) : NULL;
	if (out && len)
		memcpy(out, bytes, len);
}

bool queue_line_begin(struct queue_line *line)
{
	*line = (struct queue_line){.json.compact = true};
	line->json.out = open_memstream(&line->text, &line->len);
	if (!line->json.out)
		return false;
	json_open(&line->json, NULL, '{');
	return true;
}

void queue_line_send(struct queue_line *line, struct queue_job *job)
{
	json_close(&line->json, '}');
	bool good = fclose(line->json.out) == 0;
	if (good)
		send_bytes(job, line->text, line->len);
	free(line->text);
}

void queue_send_text(struct queue_job *job, const char *text)
{
	struct queue_line line;
	if (!queue_line_begin(&line))
		return;
	json_text(&line.json, "text", text);
	queue_line_send(&line, job);
}

static void on_end(void *arg);

void queue_end_now(struct queue_job *job)
{
	struct queue_line line;
	loop_post(job->service->options.loop, &job->end_job);
	if (!queue_line_begin(&line))
		return;
	json_bool(&line.json, "end", true);
	json_int(&line.json, "messages", (int64_t)job->n_done);
	json_int(&line.json, "kept", (int64_t)job->n_kept);
	if (job->failed)
		json_text(&line.json, "error", job->failure);
	queue_line_send(&line, job);
}

void queue_end(struct queue_job *job, const char *error, ...)
{
	if (job->ended)
		return;
	job->ended = true;
	job->failed = error != NULL;
	if (error) {
		va_list args;
		va_start(args, error);
		vsnprintf(job->failure, sizeof job->failure, error, args);
		va_end(args);
	}
	if (!queue_dead_settle(job))
		queue_end_now(job);
}

static void send_frame(struct queue_job *job, struct frame *frame, const struct message_view *view)
{
	char head[40];
	frame->body.len = message_encoded_size(view);
	size_t size = frame_size(frame);
	int len = snprintf(head, sizeof head, "{\"bytes\":%zu}\n", size);
	uint8_t *out = job->listener ? job->listener->send(job->listener, (size_t)len + size) : NULL;
	if (!out)
		return; /* nobody is there to hear it */
	memcpy(out, head, (size_t)len);
	out += len;
	message_encode(view, frame_encode(frame, out));
	frame_seal(out, 0);
	job->n_done++;
}

void queue_send_message(struct queue_job *job, const struct message_view *view, uint64_t seq)
{
	struct frame frame = {
		.type = FRAME_MSG, .seq = seq, .time_ms = view->origin_ms, .name = slice_str(job->request.destination)};
	send_frame(job, &frame, view);
}

void queue_send_letter(struct queue_job *job, const struct journal_dead_item *item)
{
	struct frame frame = {.type = FRAME_DEAD,
		.seq = item->seq,
		.time_ms = item->time_ms,
		.count = item->attempts,
		.name = slice_str(item->reason)};
	send_frame(job, &frame, message_view(item->msg));
}

bool queue_can_send(struct queue_job *job)
{
	job->blocked = job->listener && !job->listener->can_send(job->listener);
	return !job->blocked;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

static void free_job(struct queue_job *job)
{
	struct queue_service *service = job->service;
	for (struct queue_job **link = &service->jobs; *link; link = &(*link)->next)
		if (*link == job) {
			*link = job->next;
			break;
		}
	if (service->remover == job)
		service->remover = NULL;
	loop_cancel(service->options.loop, &job->end_job);
	loop_timer_free(job->timer);
	journal_reader_free(job->reader);
	free(job->stages);
	free(job->dests);
	queue_dead_fini(job);
	queue_batch_free(&job->batch);
	queue_watch_free(job);
	queue_request_free(&job->request);
	free(job);
}

static void on_end(void *arg)
{
	struct queue_job *job = arg;
	struct queue_listener *listener = job->listener;
	struct queue_service *service = job->service;
	free_job(job);
	if (listener)
		listener->ended(listener);
	if (!service->jobs && service->options.on_idle)
		service->options.on_idle(service->options.ctx);
}

bool queue_service_is_idle(const struct queue_service *service)
{
	return !service->jobs;
}

bool queue_service_is_quiet(const struct queue_service *service)
{
	for (const struct queue_job *job = service->jobs; job; job = job->next)
		if (job->request.op != QUEUE_RELOAD && job->request.op != QUEUE_WATCH) /* which asks for nothing */
			return false;
	return true;
}

struct queue_service *queue_service_new(const struct queue_service_options *options)
{
	struct queue_service *service = calloc(1, sizeof *service);
	if (service)
		service->options = *options;
	return service;
}

void queue_service_free(struct queue_service *service)
{
	if (!service)
		return;
	while (service->jobs)
		free_job(service->jobs);
	free(service);
}

void queue_service_durable(struct queue_service *service, uint64_t lsn)
{
	for (struct queue_job *job = service->jobs, *next; job; job = next) {
		next = job->next;
		if (job->waits_lsn == 0 || job->waits_lsn > lsn)
			continue;
		job->waits_lsn = 0;
		job->ops->durable(job);
	}
}

void queue_wait(struct queue_job *job, uint64_t lsn)
{
	job->waits_lsn = lsn;
}

bool queue_is_orphan(struct queue_job *job)
{
	if (!job->listener && !job->ended)
		queue_end(job, NULL);
	return job->ended;
}

void queue_job_cancel(struct queue_job *job)
{
	job->listener = NULL;
	if (job->request.op == QUEUE_RELOAD)
		queue_reload_cancel(job);
	if (job->blocked || job->request.op == QUEUE_WATCH || (job->request.op == QUEUE_IMPORT && !job->waits_lsn))
		queue_end(job, NULL);
}

void queue_job_go_on(struct queue_job *job)
{
	if (!job->blocked || job->ended)
		return;
	job->blocked = false;
	job->ops->go_on(job);
}

bool queue_job_takes_input(const struct queue_job *job)
{
	return job->request.op == QUEUE_IMPORT && !job->ended;
}

bool queue_job_input(struct queue_job *job, struct slice frame)
{
	return job->ended || queue_import_input(job, frame);
}

void queue_job_input_end(struct queue_job *job)
{
	if (!job->ended)
		queue_import_end(job);
}

struct courier *queue_courier(const struct queue_job *job, uint32_t dest)
{
	const struct queue_service_options *options = &job->service->options;
	return options->courier ? options->courier(options->ctx, dest) : NULL;
}

struct search {
	const char *name;
	int64_t dest;
};

static void compare_name(const struct journal_outbox *box, void *arg)
{
	struct search *search = arg;
	if (strcmp(box->name, search->name) == 0)
		search->dest = box->dest;
}

bool queue_find_destination(struct queue_job *job, const char *name, uint32_t *ret_dest)
{
	struct search search = {name, -1};
	journal_outboxes(job->service->options.journal, compare_name, &search);
	if (search.dest < 0) {
		queue_end(job, "there is no destination '%s' (linkspan queue ls names them)", name);
		return false;
	}
	*ret_dest = (uint32_t)search.dest;
	return true;
}

/* --- pause and resume -------------------------------------------------------------------------------------------------- */

static void pause_start(struct queue_job *job)
{
	bool pause = job->request.op == QUEUE_PAUSE;
	uint64_t lsn;
	if (!queue_find_destination(job, job->request.destination, &job->dest))
		return;
	int r = journal_pause(job->service->options.journal, job->dest, pause, &lsn);
	if (r < 0) {
		queue_end(job, "the journal does not take it: %s", strerror(-r));
		return;
	}
	struct courier *courier = queue_courier(job, job->dest);
	if (courier)
		courier_pause(courier, pause);
	queue_wait(job, lsn);
}

static void pause_durable(struct queue_job *job)
{
	log_info(job->request.op == QUEUE_PAUSE ? "destination_paused" : "destination_resumed",
		"destination=%s by=queue", job->request.destination);
	queue_end(job, NULL);
}

static const struct queue_job_ops pause_ops = {.start = pause_start, .durable = pause_durable};

/* --- ls: for one destination after the other the oldest message, then the dead letters, then its line ------------------- */

static void ls_next(struct queue_job *job);

static void put_row(struct queue_job *job, struct json_writer *json)
{
	struct journal_outbox box = journal_outbox(job->service->options.journal, job->dests[job->at_dest]);
	const struct courier *courier = queue_courier(job, box.dest);
	struct courier_stats stats = {0};
	if (courier)
		stats = courier_stats(courier);
	json_open(json, "destination", '{');
	json_text(json, "name", box.name);
	json_text(json, "link", stats.link_is_up ? "up" : courier ? "down" : "stopped");
	json_bool(json, "paused", box.paused);
	json_int(json, "waiting", (int64_t)box.waiting);
	json_int(json, "waiting_bytes", (int64_t)box.waiting_bytes);
	if (job->oldest_ms)
		json_int(json, "oldest_ms", (int64_t)job->oldest_ms);
	json_int(json, "in_flight", (int64_t)stats.in_flight);
	json_int(json, "oldest_seq", (int64_t)box.oldest_undone);
	json_int(json, "next_seq", (int64_t)box.next_seq);
	for (unsigned i = 0; i < JOURNAL_N_TOTALS; i++)
		json_int(json, journal_total_name((enum journal_total)i), (int64_t)box.totals[i]);
	json_int(json, "dead", (int64_t)job->dead_messages);
	json_int(json, "dead_bytes", (int64_t)job->dead_bytes);
	json_int(json, "dead_unreadable_bytes", (int64_t)job->dead_unreadable);
	json_close(json, '}');
}

static void ls_row(struct queue_job *job)
{
	struct queue_line line;
	if (!queue_line_begin(&line)) {
		queue_end(job, "out of memory");
		return;
	}
	put_row(job, &line.json);
	queue_line_send(&line, job);
	job->at_dest++;
	ls_next(job);
}

static void ls_count_dead(struct queue_job *job);

static void on_dead_counted(const struct journal_dead_result *result, void *arg)
{
	struct queue_job *job = arg;
	job->dead_read = NULL;
	if (queue_is_orphan(job))
		return;
	job->dead_messages += result->n_counted;
	job->dead_unreadable += result->unreadable;
	if (result->file_ended)
		job->dead_bytes += result->file_size;
	job->cursor = result->next;
	if (result->error == -ESTALE) { /* from the beginning */
		job->cursor = (struct journal_dead_cursor){0};
		job->dead_messages = job->dead_unreadable = job->dead_bytes = 0;
	}
	if (result->at_end || (result->error < 0 && result->error != -ESTALE))
		ls_row(job);
	else
		ls_count_dead(job);
}

static void ls_count_dead(struct queue_job *job)
{
	struct journal_outbox box = journal_outbox(job->service->options.journal, job->dests[job->at_dest]);
	struct journal_dead_query query = {.destination = box.name,
		.from = job->cursor,
		.max_messages = SIZE_MAX,
		.max_bytes = 8u << 20,
		.count_only = true};
	job->dead_read = journal_dead_read(job->service->options.journal, &query, on_dead_counted, job);
	if (!job->dead_read)
		queue_end(job, "out of memory");
}

static void on_oldest(const struct journal_read_result *result, void *arg)
{
	struct queue_job *job = arg;
	for (size_t i = 0; i < result->n_items; i++) {
		if (i == 0)
			job->oldest_ms = message_view(result->items[i].msg)->origin_ms;
		message_unref(result->items[i].msg);
	}
	if (!queue_is_orphan(job))
		ls_count_dead(job);
}

static void ls_next(struct queue_job *job)
{
	struct journal *j = job->service->options.journal;
	journal_reader_free(job->reader);
	job->reader = NULL;
	job->oldest_ms = job->dead_messages = job->dead_unreadable = job->dead_bytes = 0;
	job->cursor = (struct journal_dead_cursor){0};
	/* One may have been dropped meanwhile. */
	while (job->at_dest < job->n_dests && !journal_outbox(j, job->dests[job->at_dest]).name)
		job->at_dest++;
	if (job->at_dest == job->n_dests) {
		queue_end(job, NULL);
		return;
	}
	struct journal_outbox box = journal_outbox(j, job->dests[job->at_dest]);
	if (box.waiting == 0) {
		ls_count_dead(job);
		return;
	}
	job->reader = journal_reader_new(j, box.dest, box.oldest_undone, on_oldest, job);
	if (job->reader)
		journal_reader_request(job->reader, 1, 1);
	else
		queue_end(job, "out of memory");
}

static void note_dest(const struct journal_outbox *box, void *arg)
{
	struct queue_job *job = arg;
	uint32_t *dests = realloc(job->dests, (job->n_dests + 1) * sizeof *dests);
	if (!dests)
		return;
	job->dests = dests;
	dests[job->n_dests++] = box->dest;
}

static void ls_start(struct queue_job *job)
{
	uint32_t dest;
	if (!job->request.destination)
		journal_outboxes(job->service->options.journal, note_dest, job);
	else if (queue_find_destination(job, job->request.destination, &dest))
		note_dest(&(struct journal_outbox){.dest = dest}, job);
	else
		return;
	ls_next(job);
}

static const struct queue_job_ops ls_ops = {.start = ls_start};

/* --- start --------------------------------------------------------------------------------------------------------------- */

static void refuse_start(struct queue_job *job)
{
	(void)job;
}

static const struct queue_job_ops no_ops = {.start = refuse_start};

static const struct queue_job_ops *ops_of(const struct queue_request *request)
{
	switch (request->op) {
	case QUEUE_LS:
		return &ls_ops;
	case QUEUE_PEEK:
	case QUEUE_EXPORT:
		return request->dead ? &queue_dead_ops : &queue_waiting_ops;
	case QUEUE_PURGE:
		return request->dead ? &queue_dead_ops : &queue_waiting_purge_ops;
	case QUEUE_REQUEUE:
		return &queue_dead_ops;
	case QUEUE_IMPORT:
		return &queue_import_ops;
	case QUEUE_WATCH:
		return &queue_watch_ops;
	case QUEUE_RELOAD:
		return &queue_reload_ops;
	default:
		return &pause_ops;
	}
}

struct queue_job *queue_job_start(struct queue_service *service, struct slice line, struct queue_listener *listener)
{
	struct queue_job *job = calloc(1, sizeof *job);
	const char *wrong;
	if (!job)
		return NULL;
	job->service = service;
	job->listener = listener;
	job->next = service->jobs;
	service->jobs = job;
	loop_job_init(&job->end_job, on_end, job);
	int r = queue_request_parse(line, &job->request, &wrong);
	job->ops = r < 0 ? &no_ops : ops_of(&job->request);
	if (r < 0) {
		job->request.op = QUEUE_LS;
		queue_end(job, "the request is not understood: %s", r == -ENOMEM ? "out of memory" : wrong);
	}
	job->ops->start(job);
	return job;
}
