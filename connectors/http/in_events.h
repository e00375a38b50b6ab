/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that are CloudEvents (https://github.com/cloudevents/spec, bindings/http-protocol-binding.md), one of each mode:
 * binary, structured, batched.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_EVENTS_H
#define LINKSPAN_CONNECTORS_HTTP_IN_EVENTS_H

#include "message/message.h"
#include "routing/arena.h"

/* A request as a whole, before its body is split: the attributes of an event in binary mode become what they stand for. With
 * split the elements of the body are messages, and none of them is the event: the attributes are left out. 0; -EINVAL and one
 * static sentence; -ENOMEM. */
int in_events_headers(struct message_view *view, bool split, struct arena *arena, const char **ret_wrong)
	__attribute__((warn_unused_result));
/* Is the body a batch of events, to be split into them? */
bool in_events_are_batch(const struct message_view *view);
/* Takes structured events apart: the elements of a batch, or else what the content type says is one. Errors as above. */
int in_events_read(struct message_view *views, size_t n, bool of_batch, struct arena *arena, const char **ret_wrong)
	__attribute__((warn_unused_result));

#endif
