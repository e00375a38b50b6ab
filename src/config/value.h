/* SPDX-License-Identifier: Apache-2.0
 *
 * Text to value: numbers, durations, sizes, choices. Pure functions. Each returns NULL, or a sentence or two of what is
 * wrong and what would be right in `message`, a buffer of VALUE_MESSAGE bytes, and then leaves the output untouched.
 * The sentences quote the text only when it is not `secret`.
 */
#ifndef LINKSPAN_CONFIG_VALUE_H
#define LINKSPAN_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define VALUE_MESSAGE 512

struct value_text {
	const char *text;
	bool secret;
	char *message; /* VALUE_MESSAGE bytes */
};

/* An integer in min..max; both 0: no bound. */
const char *value_int(const struct value_text *in, int64_t min, int64_t max, int64_t *ret_value);
/* A decimal number, "0.5" or "1e-3", finite and in min..max; both 0: no bound. */
const char *value_number(const struct value_text *in, int64_t min, int64_t max, double *ret_value);
const char *value_bool(const struct value_text *in, bool *ret_value);
/* "90s", "1h 30m", "0": milliseconds. Units ms s m h d. */
const char *value_duration(const struct value_text *in, int64_t min, int64_t max, uint64_t *ret_ms);
/* "64KB", "4GiB", "0": bytes. Units B KB MB GB TB (powers of 1000) and KiB MiB GiB TiB (powers of 1024). */
const char *value_size(const struct value_text *in, int64_t min, int64_t max, uint64_t *ret_bytes);
const char *value_choice(const struct value_text *in, const char *const *choices, int *ret_index);

/* The shortest way to write it: "1m", "64MiB". */
void value_write_duration(uint64_t ms, char *out, size_t size);
void value_write_size(uint64_t bytes, char *out, size_t size);

/* ECMA 262 patterns of the two, for the JSON Schema. */
#define VALUE_DURATION_PATTERN "^(0|[0-9]+(ms|s|m|h|d)( ?[0-9]+(ms|s|m|h|d))*)$"
#define VALUE_SIZE_PATTERN     "^(0|[0-9]+([KMGT]i?)?B)$"

#endif
