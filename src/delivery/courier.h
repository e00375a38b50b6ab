/* SPDX-License-Identifier: Apache-2.0
 *
 * The courier of one destination: takes messages from its outbox (the journal's memory of what was just
 * appended, or the journal's files when it lags), hands them to a sink within a window and in order per key,
 * hears one outcome for each and alone decides on retry, back-off, expiry and dead letters (ARCHITECTURE.md, Delivery).
 *
 * States of one message: WAITING → IN_FLIGHT → DONE | DEAD; IN_FLIGHT → RETRY_WAIT → IN_FLIGHT; IN_FLIGHT →
 * WAITING when the link goes down; WAITING, RETRY_WAIT → DONE (expired, dropped, purged) | DEAD (rejected by the router, attempts used
 * up); window.h has those between. Memory is bounded: so many messages past the oldest one (`lookahead`; more for a connector with
 * `deep_window`) and a byte cap are held, the rest stays in the journal.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_DELIVERY_COURIER_H
#define LINKSPAN_DELIVERY_COURIER_H

#include "connectors/connector.h"
#include "config/config.h"
#include "journal/journal.h"

struct courier;

struct courier_options {
	const char *name; /* of the connection; borrowed */
	struct loop *loop;
	struct journal *journal;
	uint32_t dest; /* journal_destination() */
	const struct outbox_config *outbox; /* borrowed */
	const struct connector *connector; /* send, send_end, stage_durable, pipelined_order, batching, same_batch */
	const void *settings; /* of the connection; borrowed; for the connector's questions */
	struct link *link;
	bool in_order; /* of seq, whatever priority a message has: the sink has a cursor (struct sink_traits) */
	/* courier_room had said ROOM_WAIT, and asking again is worth while. By a job of the loop, never from inside a
	 * call. */
	void (*on_room)(void *ctx);
	/* A delivery gave a reply, which somebody wants (MESSAGE_REPLY of the request): append it together with the
	 * JOURNAL_FINISHED change given. NULL: replies are dropped and counted. 0 or a negative errno: then the courier
	 * keeps the reply and tries to append it again later; the message is not sent again for that. May call
	 * courier_appended. */
	int (*on_reply)(void *ctx, const struct message_view *request, const struct message_view *reply,
		const struct journal_change *finished);
	/* A message that was delivered is to be kept as the last value of its topic: likewise. NULL: it is not kept. */
	int (*on_value)(void *ctx, const struct message_view *value, const struct journal_change *finished);
	/* A message has left the outbox and was not delivered: what, "expired", "dropped" or "dead letter". Only for who watches;
	 * may be NULL. */
	void (*on_dropped)(void *ctx, uint64_t seq, const char *what, const char *reason);
	void *ctx;
};

/* So many seqs from the oldest undone one on may have been sent by an earlier process. Of the options only connector, settings and
 * outbox count. */
uint64_t courier_span(const struct courier_options *options);

/* Begins with what the journal says is undone; sends nothing before courier_link_up. */
struct courier *courier_new(const struct courier_options *options) __attribute__((warn_unused_result));
void courier_free(struct courier *courier);
/* Just made, it goes on with the figures of another one of the same destination, which is about to be freed, and with what
 * that knows to be unsent. */
void courier_inherit(struct courier *courier, const struct courier *before);
/* Nothing is on its way to the dead letters: another courier can take over. */
bool courier_is_settled(const struct courier *courier);

/* A message was appended for this destination. view is borrowed: the courier copies it if it has room for it
 * in memory, else it reads it back later. */
void courier_appended(struct courier *courier, const struct journal_entry *entry, uint64_t lsn);
/* The journal's durable lsn has advanced: what is at or below it may be sent. */
void courier_durable(struct courier *courier, uint64_t lsn);

/* What is to become of that many messages of that many bytes in all, by the outbox's limits (max_bytes, max_messages,
 * done ranges) and its when_full? */
enum courier_room {
	ROOM_TAKE, /* append them and call courier_appended for each */
	ROOM_DROP, /* leave them out, journal that (JOURNAL_DROPPED) and call courier_dropped */
	ROOM_DEAD_LETTER, /* append them and call courier_surplus for each */
	ROOM_WAIT, /* keep them where they are until on_room */
};
enum courier_room courier_room(struct courier *courier, size_t messages, size_t bytes);
/* So many were left out. */
void courier_dropped(struct courier *courier, size_t messages);
/* A message was appended that has no room: once durable it goes to the dead letters, and is not delivered. view is
 * borrowed. */
void courier_surplus(struct courier *courier, const struct journal_entry *entry, uint64_t lsn);

/* There is room again somewhere: replies that could not be appended are tried at once, until one still finds none. */
void courier_retry_replies(struct courier *courier);

/* From the link, see struct link_host_ops. link_up with a cursor: what it covers is done; a cursor ahead of the
 * journal (a restored copy of the data folder) is logged, and nothing is sent. An outcome or stage of what is not in
 * flight is logged and ignored. */
void courier_link_up(struct courier *courier, const struct sink_traits *traits);
void courier_link_down(struct courier *courier, const char *reason);
void courier_window(struct courier *courier, uint32_t max_in_flight);
void courier_outcome(struct courier *courier, uint64_t seq, const struct outcome *outcome);
void courier_delivered(struct courier *courier, const uint64_t *seqs, size_t n);

/* Deliveries that end together with something else, in one set. The change that says so, JOURNAL_FINISHED_RUNS with its runs in
 * `runs` (n * JOURNAL_RUN_LEN bytes). seqs: ascending, all in flight, else -EINVAL. Once it is appended, courier_finished: as
 * courier_delivered, but the journal knows. */
int courier_finishing(const struct courier *courier, const uint64_t *seqs, size_t n, uint8_t *runs,
	struct journal_change *ret_change) __attribute__((warn_unused_result));
void courier_finished(struct courier *courier, const uint64_t *seqs, size_t n);
void courier_stage(struct courier *courier, uint64_t seq, uint8_t stage);
bool courier_settle(struct courier *courier, uint64_t seq);

/* Sends nothing new; what is in flight ends. on_idle, once, when nothing is in flight and no dead letter or reply
 * is on its way to the journal (possibly from inside this or any other call; it must not free the courier). */
void courier_drain(struct courier *courier, void (*on_idle)(void *ctx), void *ctx);

/* By hand: sends nothing new until it is resumed; what is in flight ends. It begins as journal_outbox says (that the
 * journal knows is the caller's part). */
void courier_pause(struct courier *courier, bool paused);

/* Throws durable messages away, by hand. */
enum courier_purged {
	COURIER_PURGED,
	COURIER_PURGE_GONE, /* done, dead or purged already */
	COURIER_PURGE_KEPT, /* in flight, or the peer may have it in part (QoS 2) */
	COURIER_PURGE_NO_ROOM, /* too many done ranges: deliver or purge older ones first */
};
struct courier_purge {
	uint64_t seq;
	uint32_t bytes; /* as the reader gave it */
	uint8_t qos;
	enum courier_purged result; /* out */
};
void courier_purge(struct courier *courier, struct courier_purge *items, size_t n);

struct courier_stats {
	uint64_t delivered, retried, rejected, expired, dead, link_downs, replies_dropped;
	uint64_t in_flight, held, held_bytes; /* now */
	bool link_is_up;
	uint64_t dropped; /* oldest and newest */
	uint64_t sent; /* handed to the sink, again or for the first time */
	uint64_t
		oldest_ms; /* when the oldest undone message was received (loop_wall_ms); 0: none, or not read back yet */
	bool paused; /* by hand */
};
struct courier_stats courier_stats(const struct courier *courier);
/* Microseconds from durable to delivered; of what was read back from disk, from its origin. */
const struct histogram *courier_delivery_times(const struct courier *courier);

#endif
