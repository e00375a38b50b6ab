/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request is answered with. Bodies are JSON: {"id":"…"} for what was taken, {"error":"…"} for what was not.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_ANSWER_H
#define LINKSPAN_CONNECTORS_HTTP_IN_ANSWER_H

#include <microhttpd.h>

#include "message/message.h"

#define IN_ALLOW_READ  1u /* GET, HEAD */
#define IN_ALLOW_WRITE 2u /* POST, PUT */

struct in_answer {
	unsigned status; /* 0: there is none yet */
	const char *text; /* the sentence, or for 202 the id; borrowed until it is sent */
	const char *challenge; /* WWW-Authenticate; NULL: none */
	unsigned retry_after_s; /* 0: not said */
	unsigned allow; /* IN_ALLOW_…, with 405 and OPTIONS */
	bool close; /* the connection */
};

/* From inside the handler. */
enum MHD_Result in_answer_send(struct MHD_Connection *connection, const struct in_answer *answer);
/* The same as bytes, at most size; 0: it does not fit. The connection is closed after it. */
size_t in_answer_write(const struct in_answer *answer, char *out, size_t size);
/* A value, with ETag and Last-Modified; or 304. close: the connection, after it. */
enum MHD_Result in_answer_send_value(
	struct MHD_Connection *connection, struct message *msg, const char *etag, bool not_modified, bool close);

#endif
