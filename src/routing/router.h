/* SPDX-License-Identifier: Apache-2.0
 *
 * The router: which mappings a message matches and what it becomes for each destination. Knows nothing of a
 * transport and nothing of the journal. Built once from a configuration, immutable but for its scratch memory
 * and its jq states; a new configuration makes a new router.
 *
 * Threads: router_new may run on a worker (it compiles jq, about 15 ms a program); router_route on the loop.
 */
#ifndef LINKSPAN_ROUTING_ROUTER_H
#define LINKSPAN_ROUTING_ROUTER_H

#include "config/config.h"
#include "message/message.h"

struct router;

/* NULL when memory is out, or (an error is logged) when a filter, template or program is wrong that config_load would
 * not have let through. The configuration's life must cover the router's. */
struct router *router_new(const struct config *config) __attribute__((warn_unused_result));
void router_free(struct router *router); /* NULL is allowed */

/* What to subscribe to on a connection, in the order of the file: the distinct (filter, from_settings) of its
 * mappings, without those that another one covers (of the same share group and QoS and with equal from_settings). A covered filter's mappings belong to
 * the first filter here that covers it. Borrowed until router_free. */
struct router_filter {
	const char *filter; /* {name} replaced by +, $share/<group>/ kept */
	uint8_t qos; /* the highest that a mapping asks for that names this filter */
	const void *from_settings; /* of the first mapping that names the filter */
};
size_t router_filters(const struct router *router, size_t connection, const struct router_filter **ret_filters);

struct route_output {
	size_t mapping; /* index in the configuration */
	size_t connection; /* the destination */
	struct message_view view; /* topic = rendered target; order_key set; reject_reason set when on_error says so */
	bool marked; /* the mapping wants markers, and who reads there can see them */
	size_t input; /* of which message: 0, or so many router_route_more before it */
	bool left_out; /* for who heeds the rules over time; false */
};

/* What a mapping with changes_only, sample or min_interval makes of one message: outputs that pass together or not at all. Keys
 * are rendered; absent where the mapping has no such rule. */
struct route_rules {
	size_t mapping;
	size_t first_output, n_outputs; /* of the result */
	struct slice changes_key, sample_key, interval_key;
	struct slice value; /* of changes_only; absent: null, or there is none */
};

struct route_result {
	struct route_output *outputs; /* borrowed until the next call of the router; views may be changed */
	size_t n_outputs;
	size_t matched; /* mappings whose filter matched */
	size_t n_inputs, unmatched; /* messages, and those of them that no mapping's filter matched */
	size_t looped; /* outputs left out because of max_hops; logged by the router */
	size_t dropped; /* outputs left out because on_error: drop; logged by the router */
	size_t rounded; /* mappings in which a jq program changed an integer above 2^53; logged by the router */
	size_t n_marked; /* outputs with `marked` */
	struct route_rules *rules; /* as outputs, in their order; the router does not heed them */
	size_t n_rules;
};

/* Who is told what happens to a message on its way, while it happens: for looking at it, never for deciding. Everything in
 * an event is borrowed until on_event returns. */
enum route_event_kind {
	ROUTE_MATCHED, /* `filter` of the mapping, with captures: names and values, absent where not bound */
	ROUTE_WHEN, /* the condition has answered: passed. key: "changes_only", it is that rule's; NULL: the mapping's */
	ROUTE_MADE, /* `payload` has made n messages of it */
	ROUTE_FAILED, /* step: of the mapping; reason */
	ROUTE_ROUNDED, /* a program has put out an integer above 2^53 as another number */
	ROUTE_INTERVAL, /* value: the key of min_interval */
	ROUTE_SKIPPED, /* target: what is retained does not go there */
	ROUTE_LOOPED, /* target: it has been passed on max_hops times */
	ROUTE_TARGET_FAILED, /* target: reason; on_error decides */
	ROUTE_OUTPUT, /* target: view, marked */
};
struct route_event {
	enum route_event_kind kind;
	size_t mapping, filter, target;
	const char *const *names;
	const struct slice *values;
	size_t n;
	bool passed, marked;
	enum mapping_step step;
	const char *key, *reason;
	struct slice value;
	const struct message_view *view;
};
struct route_watcher {
	void (*on_event)(struct route_watcher *watcher, const struct route_event *event);
};
/* Of all that is routed from now on; NULL: nobody. Borrowed. */
void router_watch(struct router *router, struct route_watcher *watcher);

/* Routes one message that `connection` received. The outputs' views borrow from `view` and from the router.
 *
 * subscription: -1, or the index in router_filters of the one filter that this copy was received for. A broker sends a
 * copy per overlapping subscription: each mapping takes part in the copy of the filter that its first matching topic
 * filter belongs to, and so once in all. A copy that names several subscriptions stands for all of them: -1.
 *
 * Outputs are in the order of the file; several outputs of a transform stay together per target. order_key is the
 * rendered key where the target has one, else the source topic. A failing transform or template never fails the call:
 * on_error decides (mapping.h). -ENOMEM. */
int router_route(struct router *router, size_t connection, int subscription, const struct message_view *view,
	struct route_result *ret_result) __attribute__((warn_unused_result));

/* Routes a further message that came with that, and adds what it becomes to the result of the call before: all of it
 * lives as long as the result, and borrows from both views. After a failure the result is void. */
int router_route_more(struct router *router, size_t connection, int subscription, const struct message_view *view,
	struct route_result *result) __attribute__((warn_unused_result));

#endif
