/* SPDX-License-Identifier: Apache-2.0
 *
 * How many requests a peer may make: a token bucket each (the same as the generic cell rate algorithm, which needs one
 * number per peer). The table is bounded: a new peer takes the place of one whose bucket is full again, or else of the one
 * that has been heard of least lately.
 *
 * One thread at a time; the clock is the caller's, any that does not go back.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_RATE_H
#define LINKSPAN_CONNECTORS_COAP_RATE_H

#include "message/slice.h"

struct rate;

/* per_second: not 0. burst: how many may come at once, at least 1. max_peers: at least 1. 0 or -ENOMEM. */
int rate_new(uint32_t per_second, uint32_t burst, size_t max_peers, struct rate **ret_rate)
	__attribute__((warn_unused_result));
void rate_free(struct rate *rate); /* NULL is allowed */

/* One request of that peer (its address without the port: a port costs nothing). 0: it may go on; else in how many
 * milliseconds the next one may (4.29; its Max-Age is that in seconds, rounded up), and nothing has been taken. */
uint64_t rate_take(struct rate *rate, struct slice peer, uint64_t now_ms);

#endif
