/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies: what is known of one when its message comes in is said in the message (response topic, params), so that it
 * outlives the process; when the destination has answered, the reply is made of both.
 *
 * Threads: as mapping.h.
 */
#ifndef LINKSPAN_ROUTING_REPLY_H
#define LINKSPAN_ROUTING_REPLY_H

#include "config/config.h"
#include "message/message.h"
#include "routing/template.h"

struct reply;

/* 0 with NULL when replies of that target go nowhere. -EINVAL if the configuration has not been checked, -ENOMEM. config is
 * borrowed for the reply's life. */
int reply_new(const struct config *config, const struct mapping_config *map, const struct target_config *target,
	const char *const *captures, size_t n_captures, struct reply **ret_reply) __attribute__((warn_unused_result));
void reply_free(struct reply *reply); /* NULL is allowed */

/* Writes into the view of a message, as it goes to the target, where its reply will go. Nothing, when it asks for none or
 * for a topic that may not be answered. hops: of the message as received, -1: they are not counted. 0, -EINVAL and one
 * sentence why a configured topic or key cannot be rendered, -ENOMEM. */
int reply_render(const struct reply *reply, struct template_source *source, int hops, struct arena *arena,
	struct message_view *view, const char **ret_reason) __attribute__((warn_unused_result));

/* The reply as it is written to `to`: `answer` is what the destination of `request` gave back. Borrows from both and the
 * arena. -EINVAL and one sentence why it cannot be one, -ENOMEM. */
int reply_make(const struct message_view *request, const struct message_view *answer,
	const struct connection_config *to, uint64_t now_ms, struct arena *arena, struct message_view *ret_view,
	const char **ret_reason) __attribute__((warn_unused_result));

#endif
