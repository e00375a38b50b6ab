/* SPDX-License-Identifier: Apache-2.0
 *
 * jq programs (`when`, `payload`) over libjq 1.6, its hazards closed: no environment, no modules (~/.jq
 * neither), no input, debug or halt; `%` and `index` cannot crash or hang on data; input size, nesting and
 * outputs are bounded.
 *
 * What stays open: libjq has no limit of steps or memory and ends the process when memory is out. Programs
 * are trusted configuration: one that loops for ever stops the bridge. Numbers are doubles in jq 1.6: a
 * program changes integers above 2^53, even `.` does.
 *
 * A program sees the payload as `.`, and as variables every capture ($line; null where the filter that
 * matched does not bind it), $topic, $qos, $retain, $headers (an object; of equal names the first counts),
 * $received (when linkspan did, in milliseconds since the epoch) and $key (a string or null). A null payload (a Kafka tombstone) is null.
 *
 * Threads: compile anywhere (which blocks, jq_pool.h); a pool and what came from it belongs to one thread at a time.
 */
#ifndef LINKSPAN_ROUTING_TRANSFORM_H
#define LINKSPAN_ROUTING_TRANSFORM_H

#include <stddef.h>

#include "message/message.h"
#include "routing/jq_pool.h"

struct arena;
struct json_payload;

/* A program of one mapping, to be used once jq_pool_compile has passed over the pool, as long as that lives. 0 or -ENOMEM: what
 * is wrong with the program comes out when it is compiled. */
struct transform;
int transform_new(struct jq_pool *pool, const char *program, const char *const *captures, size_t n_captures,
	struct transform **ret_transform) __attribute__((warn_unused_result));
/* After jq_pool_compile: NULL, or one sentence why the program does not compile, and the line within it, from 1. Lives as long as
 * the pool. */
const char *transform_complaint(const struct transform *transform, int *ret_line);
void transform_free(struct transform *transform); /* NULL is allowed */

/* One message on its way through the transforms: parsed at most once. Reused from message to message. */
struct transform_input;
struct transform_input *transform_input_new(void) __attribute__((warn_unused_result));
void transform_input_free(struct transform_input *input); /* NULL is allowed */
/* Borrows both until _end, which gives back what was parsed. */
void transform_input_begin(struct transform_input *input, const struct message_view *view, struct json_payload *json);
void transform_input_end(struct transform_input *input);

/* Do the programs that follow see null in place of the payload? It need not be JSON then. False at begin. */
void transform_input_null(struct transform_input *input, bool is_null);

/* Has a transform_run since the last call put out an integer of the payload as the nearest double, which is another number? As
 * far as it can be seen: what a program computes with such a number is not looked at. */
bool transform_input_rounded(struct transform_input *input);

/* Does the program give anything but false and null? (No output at all is false.) captures: values by the
 * index in the names given to transform_new. 0, or -EINVAL and one sentence why (static or in the arena). */
int transform_test(struct transform *transform, struct transform_input *input, const struct slice *captures,
	struct arena *arena, bool *ret_pass, const char **ret_reason) __attribute__((warn_unused_result));

/* The outputs, each as compact JSON text in the arena; none is a fine answer. All or nothing: more than
 * max_outputs, or an error after the first output, is -EINVAL with one sentence. -ENOMEM. */
int transform_run(struct transform *transform, struct transform_input *input, const struct slice *captures,
	size_t max_outputs, struct arena *arena, struct slice **ret_outputs, size_t *ret_n, const char **ret_reason)
	__attribute__((warn_unused_result));

#endif
