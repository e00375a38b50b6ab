/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching messages pass (`linkspan trace --live`): what is taken in and what it becomes, and later what becomes of that at its
 * destination. Whoever watches is told as much as he reads: what there is no room for is counted and told as a number, so
 * nothing waits for him and nothing piles up. Where nobody watches, the callers ask one bool.
 *
 * Of what a watcher has been told, the last QUEUE_WATCH_SLOTS outputs are known by their seq; of older ones no outcome is told.
 * Payloads are cut. Threads: the loop only.
 */
#ifndef LINKSPAN_RUNTIME_QUEUE_WATCH_H
#define LINKSPAN_RUNTIME_QUEUE_WATCH_H

#include "message/message.h"
#include "runtime/queue_service.h"

#define QUEUE_WATCH_SLOTS 1024u

/* What one message has become for one destination. */
struct queue_watched_output {
	const char *mapping, *destination;
	uint32_t dest;
	uint64_t seq; /* 0: it has none, since there was no room */
	const char *what; /* "queued", "dropped", "dead letter" */
	const struct message_view *view;
};

/* A message that has been taken in. separator: of its topic's levels. */
struct queue_watched {
	const char *connection;
	char separator;
	const struct message_view *view;
	const struct queue_watched_output *outputs;
	size_t n_outputs;
	/* Outputs that are none, by min_interval, on_error and max_hops; of all that came with it. */
	size_t left_out, dropped, looped;
};
void queue_watch_message(struct queue_service *service, const struct queue_watched *message);

/* What has become of a message at its destination. final: it is not there any more. reason may be NULL. */
void queue_watch_outcome(struct queue_service *service, uint32_t dest, const char *destination, uint64_t seq,
	const char *what, const char *reason, bool final);

#endif
