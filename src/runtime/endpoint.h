/* SPDX-License-Identifier: Apache-2.0
 *
 * One configured connection at work: its link, its courier as a destination, its receipts as a source. Private to the
 * bridge (bridge.c, intake.c).
 */
#ifndef LINKSPAN_RUNTIME_ENDPOINT_H
#define LINKSPAN_RUNTIME_ENDPOINT_H

#include "connectors/connector.h"
#include "delivery/courier.h"
#include "journal/journal.h"
#include "routing/arena.h"
#include "routing/reply.h"
#include "routing/router.h"
#include "runtime/histogram.h"
#include "runtime/bridge.h"
#include "runtime/marking.h"
#include "runtime/receipts.h"
#include "runtime/spacing.h"

struct endpoint {
	struct link_host host; /* first: the link's calls come with this */
	struct bridge *bridge;
	size_t index; /* in config->connections */
	const struct connection_config *config;
	const struct connector *connector;
	struct link *link;
	struct link_subscription *subscriptions;
	size_t n_subscriptions;
	bool is_source, is_sink;
	bool has_state; /* is_source, or the connector keeps a session */
	uint32_t source, dest; /* journal numbers, valid with has_state and is_sink */
	struct courier *courier; /* NULL unless is_sink */
	struct receipts receipts;
	bool paused;
	const struct endpoint *waits_for; /* while paused: the destination that is full, NULL = the journal or memory */
	bool stopped; /* host->stopped() was heard */
	bool idle; /* the courier has nothing in flight any more (during a stop) */
	uint64_t taken, unmatched, looped, refused; /* messages offered; what is held counts once it is taken */
	enum courier_room room; /* scratch of intake_offer: what is to become of the outputs for it */
	size_t n_outputs; /* likewise: how many they are */
	uint64_t unnumbered; /* what became of them and has markers, but no number */
	uint64_t pauses, link_downs;
	bool link_is_up;
	struct journal_outbox at_start; /* of the destination */
	struct histogram acknowledgement; /* us from the offer to its receipt */
	uint64_t dropped; /* by on_error: drop */
	uint64_t replies, replies_dropped; /* of what was delivered here: appended, or not */
	uint64_t left_out; /* by the rules over time, once for each mapping */
	uint64_t unlimited; /* passed for want of room to remember what had */
	uint64_t values_too_large; /* to be kept as the last one */
};

enum bridge_state { BRIDGE_OPEN, BRIDGE_RUNNING, BRIDGE_DRAINING, BRIDGE_CLOSING_LINKS, BRIDGE_STOPPED };

struct bridge {
	const struct config *config;
	struct loop *loop;
	struct journal *journal;
	struct router *router;
	struct endpoint *endpoints; /* one per connection */
	size_t n_endpoints;
	struct journal_entry *entries; /* scratch of intake_offer */
	size_t entries_capacity;
	struct journal_change *changes; /* likewise */
	size_t changes_capacity;
	struct loop_job receipts_job; /* receipts that need no group of their own */
	struct loop_timer *stop_timer; /* shutdown_timeout */
	uint64_t stop_until_ms; /* when that is over; 0: nothing is waited for */
	struct loop_timer *retry_timer; /* sources that paused for want of memory try again */
	enum bridge_state state;
	int failure; /* negative errno of the journal */
	unsigned long status_requests;
	void (*on_stopped)(void *ctx);
	void *stopped_ctx;
	struct marking marking; /* scratch of intake_offer */
	struct arena reply_arena; /* scratch of replies_append */
	struct spacing spacing; /* likewise */
	uint8_t *runs; /* scratch of together.c */
	size_t runs_capacity; /* bytes */
	struct queue_service *queue; /* linkspan queue */
	struct control *control; /* its socket; NULL: none */
};

/* intake.c: from offer to receipt. */
enum offer_result intake_offer(struct link_host *host, const struct offer *offer);
/* The journal's word for a change of a source; false for CHANGE_NONE. */
bool intake_change_of(const struct endpoint *end, const struct state_change *change, struct journal_change *ret);
/* Of struct link_host_ops. */
enum key_state intake_key(struct link_host *host, const uint8_t *key, uint64_t *ret_hash);
bool intake_key_room(struct link_host *host);
void intake_durable(struct bridge *bridge, uint64_t lsn); /* gives the receipts that are due */
/* The destination (NULL: the journal, memory) has room again: the sources that paused for it go on. */
void intake_resume(struct bridge *bridge, const struct endpoint *destination);

/* replies.c: the courier's on_reply. -EAGAIN: there is no room where it goes. */
int replies_append(void *ctx, const struct message_view *request, const struct message_view *reply,
	const struct journal_change *finished);
/* together.c: of struct link_host_ops. */
int together_replace(struct link_host *host, const uint64_t *seqs, size_t n_seqs, const struct message_view *views,
	size_t n_views, const struct state_change *change);
void together_outbox(struct link_host *host, uint64_t *ret_next_seq, uint64_t *ret_undone);
/* The change by which the deliveries of an offer end; 0 or a negative errno. Until the next call. */
int together_change(struct endpoint *end, const uint64_t *seqs, size_t n, struct journal_change *ret_change);

/* keeping.c: last values. */
void keeping_open(struct endpoint *end);
/* Of struct courier_options; ctx is the endpoint. */
int keeping_value(void *ctx, const struct message_view *view, const struct journal_change *finished);
/* Of struct link_host_ops. */
struct message *keeping_last_value(struct link_host *host, struct slice topic);
void keeping_last_values(struct link_host *host, void (*fn)(struct message *msg, void *arg), void *arg);

/* bridge.c: after receipts or couriers have moved, during a stop. */
void bridge_check_drained(struct bridge *bridge);

#endif
