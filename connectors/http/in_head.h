/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a request as libmicrohttpd has read it, and what it would let through though two programs could read it in two
 * ways (request smuggling, RFC 9112 §11.2): header lines that are folded, end with a bare LF or hold a NUL, names that are no
 * token, two lengths, a length and a transfer coding, codings that it does not know; and two of what says who it is, or which.
 *
 * 0.9.75 puts NULs in place of what ends a line and leaves the rest where it was, so that the lines of a well-formed head
 * lie one behind the other; a folded line is moved. That layout is looked at. Versions since 0.9.77 refuse such heads
 * themselves when asked to.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_HEAD_H
#define LINKSPAN_CONNECTORS_HTTP_IN_HEAD_H

#include <microhttpd.h>

#include "message/slice.h"

#if MHD_VERSION >= 0x00097701
#define IN_HEAD_STRICT MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1
#else
#define IN_HEAD_STRICT MHD_OPTION_STRICT_FOR_CLIENT, 1
#endif

struct in_head {
	bool chunked, expects; /* Expect: 100-continue */
	bool has_length;
	uint64_t length; /* of the body, with has_length */
	struct slice content_type, idempotency_key, webhook_id, none_match; /* absent or as sent */
};

/* NULL, or what is wrong, one static sentence: the answer is 400 and the connection is closed. target: as it was given to
 * MHD_OPTION_URI_LOG_CALLBACK; target_len: strlen of it then. */
const char *in_head_read(struct MHD_Connection *connection, const char *method, const char *version, const char *target,
	size_t target_len, struct in_head *ret_head);

/* The first header of that name; absent if there is none. Without white space around it. */
struct slice in_head_value(struct MHD_Connection *connection, const char *name);

#endif
