/* SPDX-License-Identifier: Apache-2.0
 *
 * A linear congruential generator picks the levels; a # ends the filter.
 */
#include "tests/unit/routing/random_topic.h"

#include <stdint.h>
#include <stdio.h>

static unsigned random_below(unsigned n)
{
	static uint64_t state = 7;
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static void random_levels(char *out, const char *const *levels, unsigned n_levels)
{
	unsigned n = 1 + random_below(5);
	int len = 0;
	const char *level = "";
	for (unsigned i = 0; i < n && *level != '#'; i++) {
		level = levels[random_below(n_levels)];
		len += snprintf(out + len, RANDOM_TOPIC_BYTES - (size_t)len, "%s%s", i ? "/" : "", level);
	}
}

void random_topic(char out[RANDOM_TOPIC_BYTES])
{
	static const char *const levels[] = {"a", "b", "c", "", "$s", "ab", "d"};
	random_levels(out, levels, sizeof levels / sizeof levels[0]);
}

void random_filter(char out[RANDOM_TOPIC_BYTES])
{
	static const char *const levels[] = {"a", "b", "c", "+", "+", "#", "", "$s", "ab"};
	random_levels(out, levels, sizeof levels / sizeof levels[0]);
}
