/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a listener that are a section of their own, and what is wrong with a listener's values.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_SETTINGS_H
#define LINKSPAN_CONNECTORS_HTTP_IN_SETTINGS_H

#include "config/schema.h"
#include "connectors/http/auth_in.h"

struct http_settings;

enum http_split { HTTP_SPLIT_NONE, HTTP_SPLIT_JSON_ARRAY };

struct in_limits { /* a section `limits` */
	uint64_t max_body, max_head; /* bytes */
	int64_t max_connections, max_per_address; /* of one address that is listened on */
	int64_t max_waiting; /* requests without an answer */
	uint64_t max_buffered; /* bytes of all bodies */
	int64_t max_split; /* messages of one body */
	uint64_t head_timeout_ms, request_timeout_ms, idle_timeout_ms, busy_timeout_ms;
};
extern const struct config_key in_limits_keys[];

struct in_settings {
	bool public;
	struct auth_in_settings access;
	struct in_limits limits;
	uint64_t key_ttl_ms;
};

struct http_from_settings {
	int split; /* enum http_split */
};
extern const char *const http_splits[];

/* Complains of what is wrong with a connection that listens. */
void in_settings_check(const struct http_settings *settings, struct config_scope *scope);
/* Complains of keys of a listener in a connection that sends. */
void in_settings_check_absent(struct config_scope *scope);
/* Member check_from of struct connector. */
void in_settings_check_from(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope);

#endif
