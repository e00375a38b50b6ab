/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of an HTTP connection. One with `url` sends requests, one with `listen` takes them; each has keys of its own,
 * and what both have means the same.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_SETTINGS_H
#define LINKSPAN_CONNECTORS_HTTP_SETTINGS_H

#include "config/schema.h"
#include "connectors/common/cloudevent_out.h"
#include "connectors/http/in_settings.h"
#include "connectors/http/auth_out.h"
#include "message/slice.h"

enum http_order { HTTP_ORDER_KEY, HTTP_ORDER_NONE };
enum http_version { HTTP_VERSION_1_1, HTTP_VERSION_2 };
enum http_batch_format { HTTP_BATCH_JSON_ARRAY, HTTP_BATCH_NDJSON };
enum http_redirects { HTTP_REDIRECTS_NONE, HTTP_REDIRECTS_FOLLOW };

struct http_batch {
	int64_t max; /* 1: no batches */
	uint64_t wait_ms;
	uint64_t max_bytes;
	int format; /* enum http_batch_format */
};

struct http_breaker_settings {
	int64_t failures;
	uint64_t min_ms, max_ms;
};

struct http_out_settings {
	int method; /* index into http_methods */
	uint64_t timeout_ms, connect_timeout_ms;
	int64_t concurrency;
	int order; /* enum http_order */
	int version; /* enum http_version */
	struct auth_out_settings auth;
	char *signing_secret; /* one or several, with blanks between them */
	struct http_batch batch;
	int redirects; /* enum http_redirects */
	bool allow_private;
	struct http_breaker_settings breaker;
};

struct http_tls {
	char *ca, *cert, *key, *client_ca;
};

struct http_settings {
	/* Out. */
	char *url;
	struct http_out_settings out;
	/* In. */
	struct config_list listen; /* config/listen.h */
	struct in_settings in;
	/* Both. */
	struct http_tls tls;
	struct cloudevents_settings events; /* `read` is a listener's, all else a sender's */
};

extern const struct config_key http_connection_keys[];
extern const struct config_key http_from_keys[];
extern const struct config_key http_to_keys[];
extern const char *const http_methods[]; /* NULL-terminated */

static inline bool http_settings_listens(const struct http_settings *settings)
{
	return settings->listen.n > 0;
}

static inline bool http_settings_batches(const struct http_settings *settings)
{
	return settings->out.batch.max > 1;
}

/* Members of struct connector. */
void http_settings_check(const void *settings, struct config_scope *scope);

#endif
