/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds as they would be written in the file.
 */
#include "config/key_words.h"

#include <stdio.h>

#include "config/value.h"

static void write_bound(const struct config_key *key, int64_t bound, char *text, size_t size)
{
	if (key->type == CONFIG_DURATION)
		value_write_duration((uint64_t)bound, text, size);
	else if (key->type == CONFIG_SIZE)
		value_write_size((uint64_t)bound, text, size);
	else
		snprintf(text, size, "%lld", (long long)bound);
}

static bool is_measured(const struct config_key *key)
{
	return key->type == CONFIG_INT || key->type == CONFIG_NUMBER || key->type == CONFIG_DURATION ||
	       key->type == CONFIG_SIZE;
}

void key_bounds(const struct config_key *key, char *out, size_t size)
{
	char low[32], high[32];
	*out = '\0';
	if (!is_measured(key) || (!key->min && !key->max) || (key->min == 0 && key->max == INT64_MAX))
		return;
	write_bound(key, key->min, low, sizeof low);
	write_bound(key, key->max, high, sizeof high);
	if (key->max == INT64_MAX)
		snprintf(out, size, "at least %s", low);
	else
		snprintf(out, size, "%s to %s", low, high);
}
