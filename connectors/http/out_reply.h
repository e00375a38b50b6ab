/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to a request as a message: body, content type, `http-status` and the headers of the response, capped.
 *
 * Threads: the loop's. No I/O.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_REPLY_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_REPLY_H

#include "connectors/http/out_client.h"
#include "message/message.h"
#include "routing/arena.h"

#define HTTP_STATUS_HEADER    "http-status"
#define HTTP_CUT_HEADER       "http-body-cut" /* "true" if the body was longer than HTTP_MAX_REPLY_BYTES */
#define HTTP_REPLY_HEADERS    64 /* at most; more are left out */
#define HTTP_REPLY_HEAD_BYTES (16u * 1024) /* of all names and values */

/* Does whoever sent the message want to have the answer? */
bool http_reply_is_wanted(const struct message_view *view);
/* 0 or -ENOMEM. The view borrows from the call and the arena. */
int http_reply_make(const struct http_call *call, uint64_t wall_ms, struct arena *arena, struct message_view *ret_view)
	__attribute__((warn_unused_result));

#endif
