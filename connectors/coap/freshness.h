/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client knows of a resource that it observes: whether a notification is newer than the one before (RFC 7641 §3.4),
 * and when so long nothing has come that it has to register again (§3.3.1).
 *
 * Pure; the clock is the caller's, any that does not go back.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_FRESHNESS_H
#define LINKSPAN_CONNECTORS_COAP_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

#define FRESHNESS_DEFAULT_MAX_AGE_S 60u /* RFC 7252 §5.10.5 */
#define FRESHNESS_REORDER_MS        128000u /* after so long any sequence number is newer */

struct freshness {
	bool known; /* something has come since the registration */
	uint32_t sequence; /* of the newest: 24 bits */
	uint64_t arrived_ms; /* the newest */
	uint64_t renew_ms; /* when to register again */
};

/* After a registration has been asked for: any number is newer, since the server may have begun to count again. */
void freshness_reset(struct freshness *freshness);
/* Is a notification with that number, which arrives now, newer than what came before? */
bool freshness_is_newer(const struct freshness *freshness, uint32_t sequence, uint64_t now_ms);
/* It is, and is valid for max_age_s (the option, or the default). random: any number; it spreads the 5 to 15 s that are added
 * to Max-Age. least_ms, most_ms: bounds of how long to wait at all; most_ms 0: no upper one. */
void freshness_take(struct freshness *freshness, uint32_t sequence, uint32_t max_age_s, uint64_t now_ms,
	uint32_t random, uint64_t least_ms, uint64_t most_ms);

#endif
