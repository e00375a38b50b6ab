/* SPDX-License-Identifier: Apache-2.0
 *
 * The message that a response becomes for whom the request's sender has named.
 *
 * Pure but for the arena; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_REPLY_H
#define LINKSPAN_CONNECTORS_COAP_OUT_REPLY_H

#include "connectors/coap/out_peer.h"
#include "message/message.h"
#include "routing/arena.h"

/* Its headers. */
#define COAP_CODE_HEADER     "coap-code" /* 2.05 */
#define COAP_CUT_HEADER      "coap-body-cut" /* "true" if the body is not all of it */
#define COAP_LOCATION_HEADER "coap-location" /* "/a/b?x=1", where something was created */
#define COAP_ETAG_HEADER     "coap-etag" /* hexadecimal */
#define COAP_MAX_AGE_HEADER  "coap-max-age" /* seconds, if the response says so */

/* 0 or -ENOMEM. The view borrows from the response and the arena. */
int coap_reply_make(const struct coap_call_response *response, uint64_t wall_ms, struct arena *arena,
	struct message_view *ret_view) __attribute__((warn_unused_result));

#endif
