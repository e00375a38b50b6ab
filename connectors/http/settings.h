/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of an HTTP connection. One with `url` sends requests, one with `listen` takes them; each has keys of its own,
 * and what both have means the same.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_SETTINGS_H
#define LINKSPAN_CONNECTORS_HTTP_SETTINGS_H

#include "config/schema.h"
#include "connectors/http/in_settings.h"
#include "message/slice.h"

struct http_tls {
	char *ca, *cert, *key, *client_ca;
};

struct http_settings {
	/* Out. */
	char *url;
	/* In. */
	struct config_list listen; /* config/listen.h */
	struct in_settings in;
	/* Both. */
	struct http_tls tls;
};

extern const struct config_key http_connection_keys[];
extern const struct config_key http_from_keys[];
extern const struct config_key http_to_keys[];

static inline bool http_settings_listens(const struct http_settings *settings)
{
	return settings->listen.n > 0;
}

/* Members of struct connector. */
void http_settings_check(const void *settings, struct config_scope *scope);

#endif
