/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubles from try to try (backoff.h).
 */
#include "connectors/kafka/backoff.h"

#include <sys/random.h>

#define BACKOFF_FIRST_MS 100u
#define BACKOFF_LAST_MS  60000u

/* Full jitter: anything up to the bound. */
uint64_t kafka_backoff_ms(unsigned failures)
{
	uint64_t bound = BACKOFF_FIRST_MS;
	for (unsigned i = 1; i < failures && bound < BACKOFF_LAST_MS; i++)
		bound *= 2;
	if (bound > BACKOFF_LAST_MS)
		bound = BACKOFF_LAST_MS;
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		return bound;
	return 1 + random % bound;
}
