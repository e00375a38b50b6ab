/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator can do with queues: list, look, export, import, send dead letters again, throw away, pause. The same
 * code serves a running daemon (with couriers) and the files of a stopped one (without). It knows no socket: whoever
 * asks gets bytes by a listener (doc/control-protocol.md says which).
 *
 * Nothing here blocks and nothing piles up: waiting messages are read by a journal_reader of its own, dead letters by the
 * journal's reader thread, some at a time, and no more is read before the listener can take it.
 *
 * Crash windows. import: a set of messages is there whole or not at all; what was reported is durable. requeue: letters
 * are appended to their destination, and taken out of the dead letters only when that is durable: a crash in between
 * leaves them in both places, never in none. purge, pause, resume: reported when durable.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_RUNTIME_QUEUE_SERVICE_H
#define LINKSPAN_RUNTIME_QUEUE_SERVICE_H

#include "delivery/courier.h"
#include "journal/journal.h"

struct queue_service;
struct queue_job;
struct reload_order; /* runtime/bridge.h */

struct queue_service_options {
	struct journal *journal;
	struct loop *loop;
	/* The courier of a destination, NULL if it has none. NULL: nobody delivers, the daemon is stopped. */
	struct courier *(*courier)(void *ctx, uint32_t dest);
	void *ctx;
	/* bridge_reload and bridge_reload_forget; NULL: no daemon runs. */
	int (*reload)(void *ctx, const struct reload_order *order);
	void (*reload_forget)(void *ctx, const void *order_ctx);
	/* The last job has ended; may be NULL. */
	void (*on_idle)(void *ctx);
	/* Set to whether somebody watches (queue_watch.h); NULL: nothing can be watched. */
	bool *watched;
	/* A text without what is secret in the configuration, malloc'ed; for what watchers are shown. */
	char *(*redact)(void *ctx, const char *text);
	/* Without couriers: of so many messages from the oldest on an earlier process may have sent any. */
	uint64_t maybe_sent_span;
};

struct queue_service *queue_service_new(const struct queue_service_options *options)
	__attribute__((warn_unused_result));
/* Every job must have ended or been cancelled. NULL is allowed. */
void queue_service_free(struct queue_service *service);
bool queue_service_is_idle(const struct queue_service *service);
/* Nobody looks at a destination: all that is asked for is a reload. */
bool queue_service_is_quiet(const struct queue_service *service);
/* The journal's durable lsn has advanced. */
void queue_service_durable(struct queue_service *service, uint64_t lsn);

struct queue_listener {
	/* Sends so many bytes more, which the caller writes there at once. NULL: there is no memory; nothing more can be
	 * sent then. */
	uint8_t *(*send)(struct queue_listener *listener, size_t bytes);
	/* Can it take some more? After false: queue_job_go_on. */
	bool (*can_send)(struct queue_listener *listener);
	/* import: queue_job_input said that it is enough, now it can take more. */
	void (*want_input)(struct queue_listener *listener);
	/* The last line has been sent; the job is gone. Never from inside queue_job_start. */
	void (*ended)(struct queue_listener *listener);
};

/* line: a request. Mistakes in it come as the last line of the answer, as everything else. NULL: no memory. */
struct queue_job *queue_job_start(struct queue_service *service, struct slice line, struct queue_listener *listener)
	__attribute__((warn_unused_result));
bool queue_job_takes_input(const struct queue_job *job);
/* One message to import, in its frame. False: it is enough for now (the message was taken all the same). */
bool queue_job_input(struct queue_job *job, struct slice frame);
void queue_job_input_end(struct queue_job *job);
void queue_job_go_on(struct queue_job *job); /* the listener can take more */
/* The listener is gone: nothing is sent to it any more. What is under way for durability ends by itself. */
void queue_job_cancel(struct queue_job *job);

#endif
