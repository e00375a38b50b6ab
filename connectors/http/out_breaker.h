/* SPDX-License-Identifier: Apache-2.0
 *
 * The circuit breaker of one destination: when to leave it in peace, for how long, and that afterwards one request alone
 * tries whether it is well again.
 *
 * CLOSED → OPEN (failures in a row, or it was asked for) → PROBING (the time is over) → CLOSED (a request has succeeded)
 * or OPEN again, for longer.
 *
 * No clock, no I/O, no allocation: times are those of the caller's clock in milliseconds, chance comes from it too.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_BREAKER_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum http_breaker_state { HTTP_BREAKER_CLOSED, HTTP_BREAKER_OPEN, HTTP_BREAKER_PROBING };

struct http_breaker {
	uint64_t limit; /* failures in a row that open it */
	uint64_t min_ms, max_ms; /* of being open, doubled each time in a row */
	uint32_t (*random)(uint32_t bound); /* evenly below bound; arc4random_uniform */
	enum http_breaker_state state;
	uint64_t failures; /* in a row, while closed */
	unsigned openings; /* in a row, because of failures */
	unsigned refusals; /* in a row: it does not let us in */
	uint64_t until_ms; /* OPEN: how long */
};

#define HTTP_REFUSED_MIN_MS 60000u
#define HTTP_REFUSED_MAX_MS 600000u

/* A request has failed for a reason that is the destination's. True: the breaker opens by it. */
bool http_breaker_failed(struct http_breaker *breaker, uint64_t now_ms);
/* The destination wants to be left in peace for so long. It is open then. */
void http_breaker_hold(struct http_breaker *breaker, uint64_t now_ms, uint64_t wait_ms);
/* It does not let us in: open, from a minute to ten. */
void http_breaker_refused(struct http_breaker *breaker, uint64_t now_ms);
/* A request has been answered as it should be. True: the breaker closes by it. */
bool http_breaker_succeeded(struct http_breaker *breaker);
/* OPEN → PROBING. */
void http_breaker_probe(struct http_breaker *breaker);

#endif
