/* SPDX-License-Identifier: Apache-2.0
 *
 * One configured connection at work: its link, its courier as a destination, its receipts as a source. Private to the
 * bridge:
 *   - bridge.c: assembly, the journal's callbacks, the clean stop
 *   - endpoint.c: what a configuration makes of a connection; making, starting and freeing it
 *   - endpoint_leave.c: how one leaves, or begins anew with other settings, while all others go on
 *   - link_host.c, intake.c, replies.c, keeping.c: what links and couriers ask for
 *   - leftovers.c: destinations that nothing writes to any more
 *   - reload.c, reload_plan.c: another configuration (reload.h)
 *   - status.c, figures.c: what there is to show
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
#include "runtime/generation.h"
#include "runtime/marking.h"
#include "runtime/receipts.h"
#include "runtime/spacing.h"

/* What a configuration makes of one connection. */
struct endpoint_setup {
	struct generation *generation; /* a user of it; NULL: nothing here */
	const struct connection_config *config;
	size_t index; /* in its connections */
	bool is_source, is_sink;
	bool exactly_once, sink_exactly_once; /* struct link_spec */
	struct link_subscription *subscriptions; /* owned, with their filters */
	size_t n_subscriptions;
	bool has_state;
	uint32_t source, dest;
	struct link *link; /* made, not started; NULL: not yet */
};

/* SERVING → LEAVING → STOPPING → PENDING → SERVING with other settings, or → freed. */
enum endpoint_phase {
	ENDPOINT_SERVING, /* also one that no mapping uses, whose link does nothing */
	ENDPOINT_LEAVING, /* takes nothing in and sends nothing new; what is in flight ends */
	ENDPOINT_STOPPING, /* its link has been told to stop */
	ENDPOINT_PENDING, /* has another link, which is started once no endpoint is leaving */
};

struct endpoint {
	struct link_host host; /* first: the link's calls come with this */
	struct bridge *bridge;
	size_t index; /* in config->connections, unless `removed` */
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

	struct generation *generation; /* that config and the link's settings are of */
	struct generation *subscriptions_of; /* that the subscriptions' settings are of */
	bool exactly_once, sink_exactly_once; /* as the link was told */
	struct sink_traits traits; /* while link_is_up */
	enum endpoint_phase phase;
	struct endpoint_setup next; /* LEAVING, STOPPING: what it becomes; next.generation NULL: it goes */
	bool courier_is_next; /* courier is that of `next` already: nothing wrote to it before */
	bool removed; /* the configuration has no such connection any more */
	bool intake_stopped; /* while it goes on sending: removed, and what waits is still to be delivered */
	bool drop; /* what waits for it (as drop_dest) is thrown away when it has left */
	uint32_t drop_dest;
	struct loop_timer *leave_timer; /* LEAVING, STOPPING: enough waited; NULL: never left */
	struct loop_job left_job;
};

enum bridge_state { BRIDGE_OPEN, BRIDGE_RUNNING, BRIDGE_DRAINING, BRIDGE_CLOSING_LINKS, BRIDGE_STOPPED };

struct bridge {
	const struct config *config; /* of generation */
	struct generation *generation;
	struct loop *loop;
	struct journal *journal;
	struct router *router;
	struct endpoint **endpoints; /* one per connection, in their order; then those that are `removed` */
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
	const struct bridge_observer *observer; /* NULL: nobody */
	bool watched; /* somebody looks at what passes (queue_watch.h) */
	unsigned long
		configurations; /* that have come since the start; tells log lines of one reload from those of another */
	struct reload *reload; /* reload.c; NULL only while it is opened or closed */
};

/* link_host.c */
extern const struct link_host_ops endpoint_host_ops;

/* endpoint.c. A setup is to be given up with endpoint_setup_free, unless it was taken. -ENOMEM. */
int endpoint_setup(struct bridge *bridge, struct generation *generation, struct router *router, size_t index,
	struct endpoint_setup *ret_setup) __attribute__((warn_unused_result));
void endpoint_setup_free(struct endpoint_setup *setup);
bool endpoint_setup_is_used(const struct endpoint_setup *setup); /* by some mapping */
/* Its numbers in the journal, by its roles. */
int endpoint_setup_names(struct bridge *bridge, struct endpoint_setup *setup) __attribute__((warn_unused_result));
/* Its link, for that endpoint. */
int endpoint_setup_link(struct bridge *bridge, struct endpoint_setup *setup, struct endpoint *end)
	__attribute__((warn_unused_result));
struct link_spec endpoint_setup_spec(const struct bridge *bridge, const struct endpoint_setup *setup);
/* Empty, for endpoint_become. NULL: no memory. */
struct endpoint *endpoint_new(struct bridge *bridge) __attribute__((warn_unused_result));
/* Takes the setup, whose names and link there are; what the endpoint had is freed, but its figures go on. -ENOMEM: there is no
 * courier. */
int endpoint_become(struct endpoint *end, struct endpoint_setup *setup) __attribute__((warn_unused_result));
/* Subscriptions and roles alone; config and link stay. */
int endpoint_retarget(struct endpoint *end, struct endpoint_setup *setup) __attribute__((warn_unused_result));
int endpoint_open_courier(struct endpoint *end, const struct endpoint_setup *setup) __attribute__((warn_unused_result));
bool endpoint_is_used(const struct endpoint *end);
void endpoint_start(struct endpoint *end);
void endpoint_free(struct endpoint *end);
struct endpoint *endpoint_named(struct bridge *bridge, const char *name);

/* endpoint_leave.c */
/* Ends what is in flight, for at most shutdown_timeout, stops the link, and becomes `next` or goes. */
void endpoint_leave(struct endpoint *end);
/* Those that have come to their end, and are removed once nothing waits for them. */
void endpoints_go_on(struct bridge *bridge);
bool endpoints_are_leaving(const struct bridge *bridge);
void endpoints_start_pending(struct bridge *bridge);

/* leftovers.c: at the start. */
int leftovers_check(struct bridge *bridge, struct endpoint_setup *setups, const struct bridge_options *options)
	__attribute__((warn_unused_result));

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

/* watching.c: while somebody watches. */
void watching_taken(struct endpoint *end, const struct offer *offer, const struct route_result *routed);
void watching_outcome(struct endpoint *end, uint64_t seq, const struct outcome *outcome);
void watching_delivered(struct endpoint *end, const uint64_t *seqs, size_t n);
/* Of struct courier_options; ctx is the endpoint. */
void watching_dropped(void *ctx, uint64_t seq, const char *what, const char *reason);

/* bridge.c: after receipts or couriers have moved: of an endpoint that leaves, or during a stop. */
void bridge_check_drained(struct bridge *bridge);
/* A link has stopped. */
void bridge_finish_stop(struct bridge *bridge);
/* Of struct courier_options. */
void bridge_courier_room(void *ctx);

#endif
