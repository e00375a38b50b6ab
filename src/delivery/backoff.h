/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next attempt: exponential with full jitter, so that many messages that failed
 * together do not come back together. Deterministic for a seed. Any thread, as long as one struct is used by
 * one.
 */
#ifndef LINKSPAN_DELIVERY_BACKOFF_H
#define LINKSPAN_DELIVERY_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint64_t min_ms, max_ms;
	uint64_t state;
};

void backoff_init(struct backoff *backoff, uint64_t min_ms, uint64_t max_ms, uint64_t seed);

/* min(max_ms, min_ms * 2^(failures - 1)): what the jitter is taken from. failures >= 1. */
uint64_t backoff_ceiling_ms(const struct backoff *backoff, uint32_t failures);

/* Uniform in [0, ceiling]. */
uint64_t backoff_delay_ms(struct backoff *backoff, uint32_t failures);

#endif
