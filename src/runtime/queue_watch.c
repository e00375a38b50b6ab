/* SPDX-License-Identifier: Apache-2.0
 *
 * A watcher is a job that ends when its client goes or the daemon stops. Its table of seqs is as large as it ever gets from
 * the beginning; a place that another seq needs is given to that one.
 */
#include "runtime/queue_watch.h"

#include <stdlib.h>

#include "message/utf8.h"
#include "routing/topic_filter.h"
#include "runtime/queue_impl.h"

#define SHOWN_BYTES 240u /* of a payload */
#define MAX_TOPIC   1024u /* longer ones are compared with no filter but # */
#define SHOWN_FIELD 512u
#define SEEN_BYTES  4096u /* of a text, before it is cut */
#define HEX_BYTES   32u

struct slot {
	uint64_t seq;
	uint64_t number; /* of the message; 0: nobody is here */
	uint32_t dest;
};

struct queue_watch {
	uint64_t n; /* messages that have been told, or lost */
	uint64_t lost; /* since something was told */
	struct slot slots[QUEUE_WATCH_SLOTS];
};

static struct slot *slot_of(struct queue_watch *watch, uint32_t dest, uint64_t seq)
{
	uint64_t hash = (seq + dest * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
	return &watch->slots[(hash >> 32) % QUEUE_WATCH_SLOTS];
}

static bool is_watcher(const struct queue_job *job)
{
	return job->watch && job->listener && !job->ended;
}

/* --- lines --------------------------------------------------------------------------------------------------------------- */

static size_t cut(const char *text, size_t len, size_t limit)
{
	size_t end = len < limit ? len : limit;
	while (end < len && end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	return end;
}

/* What is secret goes before anything is cut: half of it would be left. */
static void put_text(
	struct queue_job *job, struct json_writer *json, const char *name, struct slice bytes, size_t limit)
{
	char text[SEEN_BYTES + 1];
	const struct queue_service_options *options = &job->service->options;
	if (bytes.len)
		memcpy(text, bytes.data, bytes.len);
	text[bytes.len] = '\0';
	char *shown = options->redact ? options->redact(options->ctx, text) : NULL;
	if (shown)
		shown[cut(shown, strlen(shown), limit)] = '\0';
	json_text(json, name, shown ? shown : "");
	free(shown);
}

/* As text where it is some, else its first bytes as hexadecimal digits. */
static void put_bytes(
	struct queue_job *job, struct json_writer *json, const char *name, struct slice bytes, size_t limit)
{
	char hex[2 * HEX_BYTES + 1] = "";
	if (!bytes.data)
		return;
	struct slice part = slice_of(bytes.data, cut((const char *)bytes.data, bytes.len, SEEN_BYTES));
	if (utf8_valid(part) && !memchr(part.data, 0, part.len)) {
		put_text(job, json, name, part, limit);
		return;
	}
	for (size_t i = 0; i < bytes.len && i < HEX_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
	json_open(json, name, '{');
	json_text(json, "hex", hex);
	json_close(json, '}');
}

/* Is there room for a line? Else it is lost. */
static bool may_tell(struct queue_job *job)
{
	struct queue_line line;
	if (!queue_can_send(job)) {
		job->watch->lost++;
		return false;
	}
	if (job->watch->lost && queue_line_begin(&line)) {
		json_int(&line.json, "lost", (int64_t)job->watch->lost);
		queue_line_send(&line, job);
		job->watch->lost = 0;
	}
	return true;
}

static void tell_output(struct queue_job *job, const struct queue_watched_output *output)
{
	struct queue_line line;
	if (!may_tell(job) || !queue_line_begin(&line))
		return;
	json_open(&line.json, "output", '{');
	json_int(&line.json, "n", (int64_t)job->watch->n);
	json_text(&line.json, "mapping", output->mapping);
	json_text(&line.json, "destination", output->destination);
	put_bytes(job, &line.json, "topic", output->view->topic, SHOWN_FIELD);
	put_bytes(job, &line.json, "key", output->view->key, SHOWN_FIELD / 4);
	json_text(&line.json, "what", output->what);
	put_bytes(job, &line.json, "reason", output->view->reject_reason, SHOWN_FIELD);
	if (output->seq)
		json_int(&line.json, "seq", (int64_t)output->seq);
	json_close(&line.json, '}');
	queue_line_send(&line, job);
	if (output->seq)
		*slot_of(job->watch, output->dest, output->seq) =
			(struct slot){output->seq, job->watch->n, output->dest};
}

static bool is_wanted(const struct queue_job *job, const struct queue_watched *message)
{
	char topic[MAX_TOPIC];
	struct slice received = message->view->topic;
	const char *filter = job->request.filter.topic;
	if (!filter || strcmp(filter, "#") == 0)
		return true;
	if (received.len > sizeof topic)
		return false;
	if (received.len)
		memcpy(topic, received.data, received.len);
	topic_separate(topic, received.len, message->separator, '/');
	return topic_filter_matches(filter, slice_of(topic, received.len));
}

static void tell_message(struct queue_job *job, const struct queue_watched *message)
{
	struct queue_line line;
	const struct message_view *view = message->view;
	job->watch->n++;
	if (!may_tell(job) || !queue_line_begin(&line))
		return;
	json_open(&line.json, "message", '{');
	json_int(&line.json, "n", (int64_t)job->watch->n);
	json_int(&line.json, "time_ms", (int64_t)view->origin_ms);
	json_text(&line.json, "connection", message->connection);
	put_bytes(job, &line.json, "topic", view->topic, SHOWN_FIELD);
	put_bytes(job, &line.json, "key", view->key, SHOWN_FIELD / 4);
	put_bytes(job, &line.json, "payload", view->payload, SHOWN_BYTES);
	json_int(&line.json, "bytes", (int64_t)view->payload.len);
	json_int(&line.json, "outputs", (int64_t)message->n_outputs);
	if (message->left_out)
		json_int(&line.json, "left_out", (int64_t)message->left_out);
	if (message->dropped)
		json_int(&line.json, "dropped", (int64_t)message->dropped);
	if (message->looped)
		json_int(&line.json, "looped", (int64_t)message->looped);
	json_close(&line.json, '}');
	queue_line_send(&line, job);
	for (size_t i = 0; i < message->n_outputs; i++)
		tell_output(job, &message->outputs[i]);
}

void queue_watch_message(struct queue_service *service, const struct queue_watched *message)
{
	for (struct queue_job *job = service->jobs; job; job = job->next)
		if (is_watcher(job) && is_wanted(job, message))
			tell_message(job, message);
}

static void tell_outcome(
	struct queue_job *job, const struct slot *slot, const char *destination, const char *what, const char *reason)
{
	struct queue_line line;
	if (!may_tell(job) || !queue_line_begin(&line))
		return;
	json_open(&line.json, "outcome", '{');
	json_int(&line.json, "n", (int64_t)slot->number);
	json_text(&line.json, "destination", destination);
	json_int(&line.json, "seq", (int64_t)slot->seq);
	json_text(&line.json, "what", what);
	if (reason)
		put_bytes(job, &line.json, "reason", slice_str(reason), SHOWN_FIELD);
	json_close(&line.json, '}');
	queue_line_send(&line, job);
}

void queue_watch_outcome(struct queue_service *service, uint32_t dest, const char *destination, uint64_t seq,
	const char *what, const char *reason, bool final)
{
	for (struct queue_job *job = service->jobs; job; job = job->next) {
		struct slot *slot = is_watcher(job) ? slot_of(job->watch, dest, seq) : NULL;
		if (!slot || slot->number == 0 || slot->seq != seq || slot->dest != dest)
			continue;
		tell_outcome(job, slot, destination, what, reason);
		if (final)
			slot->number = 0;
	}
}

/* --- the job ------------------------------------------------------------------------------------------------------------- */

static void watch_start(struct queue_job *job)
{
	struct queue_line line;
	if (!job->service->options.watched) {
		queue_end(job, "no linkspan runs on this folder, so there is nothing to watch");
		return;
	}
	job->watch = calloc(1, sizeof *job->watch);
	if (!job->watch || !queue_line_begin(&line)) {
		queue_end(job, "out of memory");
		return;
	}
	json_bool(&line.json, "watching", true);
	queue_line_send(&line, job);
	*job->service->options.watched = true;
}

/* There is room again: what was lost is told now, not with the next message. */
static void watch_go_on(struct queue_job *job)
{
	if (!queue_is_orphan(job) && job->watch->lost) {
		bool told = may_tell(job);
		(void)told;
	}
}

void queue_watch_free(struct queue_job *job)
{
	free(job->watch);
	if (!job->watch)
		return;
	job->watch = NULL;
	bool others = false;
	for (const struct queue_job *other = job->service->jobs; other; other = other->next)
		others |= other->watch != NULL;
	*job->service->options.watched = others;
}

const struct queue_job_ops queue_watch_ops = {.start = watch_start, .go_on = watch_go_on};
