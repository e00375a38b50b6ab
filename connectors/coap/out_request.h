/* SPDX-License-Identifier: Apache-2.0
 *
 * The request that a message becomes: method, place, options, payload.
 *
 * Threads: the loop's. Touches no network.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_REQUEST_H
#define LINKSPAN_CONNECTORS_COAP_OUT_REQUEST_H

#include "connectors/coap/out_peer.h"
#include "message/message.h"
#include "routing/arena.h"

/* Keys of `to`, as params of a message. */
#define COAP_PARAM_METHOD "method"
#define COAP_PARAM_URL    "url"
#define COAP_PARAM_ACCEPT "accept"

/* Index into coap_methods, whatever the case; -1: none. */
int coap_method_find(struct slice name);
/* Does whoever sent the message want to have the response? */
bool coap_reply_is_wanted(const struct message_view *view);

/* Fills in the call, which is idle: code, options, payload (the view's), what is wanted. *ret_url: where it goes; that of the
 * connection, or one in the arena. *ret_elsewhere: the message names the place, and it is another than the connection's. 0;
 * -EINVAL: never, and *ret_reason says why; -ENOMEM. */
int coap_request_make(const struct coap_settings *settings, const struct coap_url *own, const struct message_view *view,
	struct arena *arena, struct coap_call *call, const struct coap_url **ret_url, bool *ret_elsewhere,
	const char **ret_reason) __attribute__((warn_unused_result));

/* The options of path and query of a target beneath a base ("/a" and "/b?x=1": a, b, x=1), for others who make calls. ret as
 * above. */
int coap_request_add_path(struct slice base, struct slice target, struct coap_call *call, const char **ret_reason)
	__attribute__((warn_unused_result));
int coap_request_add_query(struct slice base, struct slice target, struct coap_call *call, const char **ret_reason)
	__attribute__((warn_unused_result));

#endif
