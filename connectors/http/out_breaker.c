/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has been told to wait comes back between half of the time and the whole of it, so that many do not come at once. What
 * the destination has asked for itself is kept to the millisecond.
 */
#include "connectors/http/out_breaker.h"

#define MOST_DOUBLINGS 30

static uint64_t doubled(uint64_t min_ms, uint64_t max_ms, unsigned times)
{
	uint64_t ms = min_ms << (times < MOST_DOUBLINGS ? times : MOST_DOUBLINGS);
	return ms < max_ms ? ms : max_ms;
}

static void open_for(struct http_breaker *breaker, uint64_t now_ms, uint64_t ms)
{
	if (breaker->state != HTTP_BREAKER_OPEN || breaker->until_ms < now_ms + ms)
		breaker->until_ms = now_ms + ms;
	breaker->state = HTTP_BREAKER_OPEN;
	breaker->failures = 0;
}

static uint64_t with_jitter(const struct http_breaker *breaker, uint64_t ms)
{
	return ms - ms / 2 + breaker->random((uint32_t)(ms / 2) + 1);
}

bool http_breaker_failed(struct http_breaker *breaker, uint64_t now_ms)
{
	if (breaker->state == HTTP_BREAKER_OPEN)
		return false; /* sent before it opened */
	if (breaker->state == HTTP_BREAKER_CLOSED && ++breaker->failures < breaker->limit)
		return false;
	open_for(breaker, now_ms, with_jitter(breaker, doubled(breaker->min_ms, breaker->max_ms, breaker->openings)));
	if (breaker->openings < MOST_DOUBLINGS)
		breaker->openings++;
	return true;
}

void http_breaker_hold(struct http_breaker *breaker, uint64_t now_ms, uint64_t wait_ms)
{
	open_for(breaker, now_ms, wait_ms);
}

void http_breaker_refused(struct http_breaker *breaker, uint64_t now_ms)
{
	bool first = breaker->state != HTTP_BREAKER_OPEN; /* others were on their way */
	open_for(breaker, now_ms, doubled(HTTP_REFUSED_MIN_MS, HTTP_REFUSED_MAX_MS, breaker->refusals));
	if (first && breaker->refusals < MOST_DOUBLINGS)
		breaker->refusals++;
}

bool http_breaker_succeeded(struct http_breaker *breaker)
{
	if (breaker->state == HTTP_BREAKER_OPEN)
		return false; /* it was sent before, and others have failed since */
	bool closes = breaker->state == HTTP_BREAKER_PROBING;
	breaker->state = HTTP_BREAKER_CLOSED;
	breaker->failures = 0;
	breaker->openings = 0;
	breaker->refusals = 0;
	return closes;
}

void http_breaker_probe(struct http_breaker *breaker)
{
	if (breaker->state == HTTP_BREAKER_OPEN)
		breaker->state = HTTP_BREAKER_PROBING;
}
