/* SPDX-License-Identifier: Apache-2.0
 *
 * One mapping, compiled: its jq programs and its targets' templates. Turns a message whose topic has matched into
 * outputs. Knows neither which filter matched nor how it was found.
 *
 * A failing transform or template never fails the call: on_error decides, per mapping for `when` and `payload`, per
 * target for templates.
 *   dead_letter  one output per target with the received payload, headers (fit for it) and key, and reject_reason set; its topic is
 *                the rendered target, the source topic when that cannot be rendered
 *                With `aggregate`: one, of the aggregator
 *   drop         no output; counted and logged
 *   pass         `when` or `payload` failed: the received payload to the rendered target. A template failed: there is
 *                nowhere to pass it to, so a dead letter
 *
 * Threads: compile anywhere; then one thread at a time.
 */
#ifndef LINKSPAN_ROUTING_MAPPING_H
#define LINKSPAN_ROUTING_MAPPING_H

#include "routing/arena.h"
#include "routing/format.h"
#include "routing/json.h"
#include "routing/router.h"
#include "routing/transform.h"

struct mapping;

/* captures: the names that its filters bind, borrowed for the mapping's life. 0, -EINVAL if the configuration has not
 * been checked, -ENOMEM. config and pool are borrowed for the mapping's life; its programs wait there for jq_pool_compile. */
int mapping_new(const struct config *config, size_t number, const char *const *captures, size_t n_captures,
	struct jq_pool *pool, struct mapping **ret_mapping) __attribute__((warn_unused_result));
void mapping_free(struct mapping *map); /* NULL is allowed */

/* A payload as one format reads it. */
struct routed_value {
	bool read; /* is json there? */
	struct json_payload json;
	struct transform_input *input; /* of that json */
};

/* One call of the router: the message and what it has become so far. */
struct routing {
	const struct message_view *view; /* with the topic as templates see it */
	struct slice topic; /* as received */
	char separator; /* of that topic's levels */
	struct routed_value values[FORMATS]; /* of the payload, by the format that a mapping reads it in */
	struct arena *arena;
	struct route_output *outputs; /* in the arena */
	size_t n_outputs, outputs_size;
	size_t input_number; /* of the message, for its outputs */
	size_t max_transform_bytes;
	size_t dropped, looped, rounded;
	int hops; /* of the message, -1: not yet read */
	size_t n_marked; /* of the outputs */
	struct route_rules *rules; /* in the arena */
	size_t n_rules, rules_size;
	struct route_watcher *watcher; /* NULL: nobody looks */
};

/* Appends the outputs. captures: values by the names' index, absent where not bound. 0 or -ENOMEM. */
int mapping_route(struct mapping *map, struct routing *routing, const struct slice *captures)
	__attribute__((warn_unused_result));

#endif
