/* SPDX-License-Identifier: Apache-2.0
 *
 * What `aggregate` of a mapping says, for the configuration and for the connector that does it.
 */
#ifndef LINKSPAN_CONFIG_AGGREGATE_H
#define LINKSPAN_CONFIG_AGGREGATE_H

#include "config/schema.h"

/* mappings.<name>.aggregate */
struct aggregate_config {
	uint64_t window_ms; /* 0: the mapping does not aggregate */
	char *key; /* template; NULL: the source topic */
	char *value; /* jq; NULL: the payload */
	struct config_list as; /* words of enum aggregate_result */
};
enum aggregate_result {
	AGGREGATE_LAST,
	AGGREGATE_MIN,
	AGGREGATE_MAX,
	AGGREGATE_MEAN,
	AGGREGATE_COUNT,
	AGGREGATE_LIST,
	AGGREGATE_START,
	AGGREGATE_END,
	AGGREGATE_RESULTS
};
/* Their names, NULL-terminated, and their bits (1 << enum aggregate_result). */
extern const char *const aggregate_results[];
unsigned aggregate_bits(const struct aggregate_config *aggregate);
/* Those that need numbers, and those that need no value at all. */
#define AGGREGATE_OF_NUMBERS (1u << AGGREGATE_MIN | 1u << AGGREGATE_MAX | 1u << AGGREGATE_MEAN)
#define AGGREGATE_OF_NOTHING (1u << AGGREGATE_COUNT | 1u << AGGREGATE_START | 1u << AGGREGATE_END)
/* The table of the section, and of the connection that is made of it. */
extern const struct config_key aggregate_keys[];

#endif
