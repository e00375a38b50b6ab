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
 * matched does not bind it), $topic, $qos, $retain, $headers (an object; of equal names the first counts) and
 * $key (a string or null). A null payload (a Kafka tombstone) is null.
 *
 * Threads: compile anywhere (about 15 ms a program, which blocks); a pool and what came from it belongs to
 * one thread at a time. transform_check: any thread.
 */
#ifndef LINKSPAN_ROUTING_TRANSFORM_H
#define LINKSPAN_ROUTING_TRANSFORM_H

#include <stddef.h>

#include "message/message.h"

/* Compiles and throws away. NULL if the program compiles with these captures as $variables, else one sentence
 * (in a thread-local buffer) and *ret_line (may be NULL) the line within the program, from 1. About 15 ms. */
const char *transform_check(const char *program, const char *const *captures, size_t n_captures, int *ret_line);

struct arena;
struct json_payload;

/* Compiled programs; equal ones are compiled once and shared. NULL when memory is out. */
struct transform_pool;
struct transform_pool *transform_pool_new(void) __attribute__((warn_unused_result));
void transform_pool_free(struct transform_pool *pool); /* after its transforms; NULL is allowed */

/* A program of one mapping. 0, -EINVAL if transform_check would refuse it, -ENOMEM. */
struct transform;
int transform_new(struct transform_pool *pool, const char *program, const char *const *captures, size_t n_captures,
	struct transform **ret_transform) __attribute__((warn_unused_result));
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
