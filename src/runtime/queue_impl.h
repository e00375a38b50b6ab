/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operations on queues share; private to src/runtime/queue_*.c:
 *   - queue_service.c: the life of a job, answers, ls, pause and resume
 *   - queue_batch.c: messages on their way into the journal (import, requeue)
 *   - queue_waiting.c: peek, export, purge of what waits
 *   - queue_dead.c: the same of dead letters, and requeue
 *   - queue_watch.c: watching messages pass
 *   - queue_reload.c: a reload, which is the bridge's work
 */
#ifndef LINKSPAN_RUNTIME_QUEUE_IMPL_H
#define LINKSPAN_RUNTIME_QUEUE_IMPL_H

#include "config/json_writer.h"
#include "runtime/queue_request.h"
#include "runtime/queue_service.h"

#define QUEUE_CHUNK_MESSAGES 256u /* read, or appended, at a time */
#define QUEUE_CHUNK_BYTES    (96u * 1024)

struct queue_service {
	struct queue_service_options options;
	struct queue_job *jobs;
	const struct queue_job *remover; /* the job that removes dead letters: one at a time */
};

/* Messages that become one set. */
struct queue_batch {
	struct queue_batch_item {
		struct message *msg;
		uint32_t dest;
	} * items;
	size_t n, capacity, bytes;
	uint64_t tries; /* that found no room */
};

struct queue_job_ops {
	void (*start)(struct queue_job *job);
	void (*go_on)(struct queue_job *job); /* the listener can take more; may be NULL */
	void (*durable)(struct queue_job *job); /* what queue_wait was asked for */
};

struct queue_job {
	struct queue_service *service;
	struct queue_job *next;
	struct queue_listener *listener; /* NULL: gone */
	struct queue_request request;
	const struct queue_job_ops *ops;
	struct loop_job end_job;
	struct loop_timer *timer; /* batch: room is looked for again */
	uint64_t waits_lsn; /* 0: nothing is waited for */
	bool ended;
	bool failed; /* what went wrong stands in failure */
	char failure[512];
	bool blocked; /* goes on with queue_job_go_on */
	uint32_t dest;
	uint64_t n_done, n_kept; /* messages: sent, imported, requeued, purged; and left alone (purge, requeue) */

	/* queue_waiting.c; ls too */
	struct journal_reader *reader;
	uint64_t stop_seq; /* given when the job began */
	uint64_t maybe_sent_end; /* without a courier: QoS 2 below it is not purged */
	uint64_t *stages; /* seqs with one, ascending */
	size_t n_stages;
	bool no_room;

	/* queue_dead.c; ls too */
	struct dead_read_job *dead_read;
	struct journal_dead_cursor cursor;
	struct dead_file {
		uint64_t file, size;
		uint64_t *offsets; /* of letters to remove */
		size_t n, capacity;
		size_t n_durable; /* requeue: of so many the message is durable at its destination */
		bool kept; /* a letter was left alone */
		bool ended;
	} dead_file;

	struct queue_batch batch;
	bool input_ended;

	struct queue_watch *watch; /* NULL: of another kind */

	/* ls */
	uint32_t *dests;
	size_t n_dests, at_dest;
	uint64_t oldest_ms, dead_messages, dead_unreadable, dead_bytes;
};

/* One line of an answer, a JSON object. False: out of memory. */
struct queue_line {
	struct json_writer json;
	char *text;
	size_t len;
};
bool queue_line_begin(struct queue_line *line);
void queue_line_send(struct queue_line *line, struct queue_job *job);

/* --- queue_service.c --- */
/* The last line: counts, and what went wrong (NULL: nothing). The job is gone soon; its memory stays until then. What a
 * requeue has appended is removed first. */
void queue_end(struct queue_job *job, const char *error, ...) __attribute__((format(printf, 2, 3)));
void queue_wait(struct queue_job *job, uint64_t lsn); /* ops->durable when that is durable, never from inside */
/* Ends it when the listener is gone: true. To be asked wherever a job goes on. */
bool queue_is_orphan(struct queue_job *job);
struct courier *queue_courier(const struct queue_job *job, uint32_t dest);
bool queue_find_destination(struct queue_job *job, const char *name, uint32_t *ret_dest);
/* Sends a message in a frame: of type MSG for one that waits, DEAD for a letter. */
void queue_send_message(struct queue_job *job, const struct message_view *view, uint64_t seq);
void queue_send_letter(struct queue_job *job, const struct journal_dead_item *item);
bool queue_can_send(struct queue_job *job); /* else the job goes on by go_on */

/* --- queue_batch.c --- */
/* Takes the message. False: no memory. */
bool queue_batch_add(struct queue_job *job, uint32_t dest, struct message *msg);
/* Appends all of it as one set; then ops->durable. Ends the job when there is no room. */
void queue_batch_append(struct queue_job *job);
void queue_batch_free(struct queue_batch *batch);

void queue_send_text(struct queue_job *job, const char *text); /* a line of its own, for people */

extern const struct queue_job_ops queue_waiting_ops, queue_waiting_purge_ops, queue_dead_ops, queue_import_ops,
	queue_reload_ops, queue_watch_ops;
void queue_reload_cancel(struct queue_job *job); /* the listener is gone */
/* import */
bool queue_import_input(struct queue_job *job, struct slice frame);
void queue_import_end(struct queue_job *job);
void queue_dead_fini(struct queue_job *job);
void queue_watch_free(struct queue_job *job); /* once the job is in no list any more */
/* The job has ended before its time: removes what is durable elsewhere, then queue_end_now. False: there is nothing to do. */
bool queue_dead_settle(struct queue_job *job);
void queue_end_now(struct queue_job *job);

#endif
