/* SPDX-License-Identifier: Apache-2.0
 *
 * What the end of a request means for what it carried, and for the destination. By the status (RFC 9110 §15, RFC 6585,
 * Standard Webhooks), or by how the transfer failed. Retry-After in both forms (RFC 9110 §10.2.3).
 *
 * Pure functions; any thread; nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_VERDICT_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "message/slice.h"

enum http_verdict {
	HTTP_TAKEN, /* 2xx: the receiver has it */
	HTTP_REFUSED, /* about the message, and final */
	HTTP_AGAIN, /* later, perhaps */
	HTTP_HOLD, /* later, and the receiver has said when: nobody shall ask before */
	HTTP_NO_ACCESS, /* about who we are: 401, 403, 407 */
	HTTP_GONE, /* 410: the receiver wants nothing more */
};

/* Of a final status (200 to 599; anything else is HTTP_AGAIN). wait: Retry-After could be read. */
enum http_verdict http_verdict_of(long status, bool wait);
/* Does the status say that the destination is not well, or has too much to do (5xx, 429)? Such failures in a row open the
 * breaker. */
bool http_verdict_is_failure(long status);
/* Redirects that name another place for the same request: 301, 302, 307, 308; and 303, which names one to look at. */
bool http_verdict_is_redirect(long status);

#define HTTP_MAX_WAIT_MS (24u * 60 * 60 * 1000)
/* How long Retry-After asks to wait, at most HTTP_MAX_WAIT_MS. `date`: the response's Date, by whose clock a time is
 * understood; absent: by now_s, seconds since the epoch. False: it is not there, or is neither form. */
bool http_retry_after(struct slice value, struct slice date, int64_t now_s, uint64_t *ret_wait_ms);
/* The three forms of RFC 9110 §5.6.7, GMT. False: none of them. */
bool http_date(struct slice text, int64_t *ret_s);

#endif
