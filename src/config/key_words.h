/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables say of a key, in words that the reference page and editors share. Pure functions.
 */
#ifndef LINKSPAN_CONFIG_KEY_WORDS_H
#define LINKSPAN_CONFIG_KEY_WORDS_H

#include <stddef.h>

#include "config/schema.h"

#define KEY_BOUNDS_SIZE 96

/* "1MiB to 1GiB", "at least 1", or "" when there is nothing to say. */
void key_bounds(const struct config_key *key, char *out, size_t size);

#endif
