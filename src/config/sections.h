/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of the core's own sections, and the structs of those whose values are worked on before they reach the
 * configuration. Connectors bring theirs (connectors/connector.h).
 */
#ifndef LINKSPAN_CONFIG_SECTIONS_H
#define LINKSPAN_CONFIG_SECTIONS_H

#include "config/config.h"
#include "config/test_config.h"

/* Of connections and mappings. */
#define SECTION_NAME_PATTERN "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"

extern const struct config_key section_top_keys[]; /* struct config */

struct section_include {
	struct config_list include;
};
extern const struct config_key section_include_keys[];

extern const struct config_key section_connection_keys[]; /* struct connection_config */

extern const struct config_key section_mapping_keys[]; /* struct mapping_config */

struct section_from {
	char *connection;
	struct config_list topic;
	int64_t qos;
	int format; /* enum format */
};
extern const struct config_key section_from_keys[];

struct section_reply {
	char *connection;
	char *topic;
	char *key;
	int64_t qos; /* -1: not given */
	bool retain;
	bool heed_response_topic;
	struct config_list response_topics;
};

struct section_to {
	char *connection;
	char *key;
	char *content_type;
	struct config_list headers;
	int64_t qos; /* -1: not given */
	int retain; /* index of keep, clear, set, skip */
	int tombstones; /* enum tombstones */
	int format; /* enum format; -1: not given */
	struct section_reply reply;
};
extern const struct config_key section_to_keys[];

struct section_test {
	char *name;
	char *mapping;
	struct config_list link;
};
extern const struct config_key section_test_keys[];

struct section_step {
	struct config_list link;
	uint64_t wait_ms;
	bool restart;
};
extern const struct config_key section_step_keys[];

extern const struct config_key section_given_keys[]; /* struct test_given */
extern const struct config_key section_expected_keys[]; /* struct test_expected */

/* Keys that no table holds because what stands below them is no section of plain values. */
extern const char *const section_top_elsewhere[]; /* connections, mappings, tests */
extern const char *const section_connection_elsewhere[]; /* type */
extern const char *const section_mapping_elsewhere[]; /* from, to */
extern const char *const section_test_elsewhere[]; /* answer, given, expect, steps */
extern const char *const section_step_elsewhere[]; /* answer, given, expect */
const char *section_elsewhere_help(const char *name);

/* The same for every connector: the key that holds the target of a mapping. */
struct connector;
const char *section_target_help(const struct connector *connector);

#endif
