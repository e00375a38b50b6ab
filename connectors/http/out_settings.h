/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a sender: the sections among them, what the tables cannot express, and what targets may be. Part of
 * settings.c's table.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_SETTINGS_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_SETTINGS_H

#include "connectors/http/settings.h"

struct arena;

/* Sections of http_connection_keys. */
extern const struct config_key http_batch_keys[]; /* struct http_batch */
extern const struct config_key http_breaker_keys[]; /* struct http_breaker_settings */

/* Complains of what is wrong with a sender. */
void http_out_check(const struct http_settings *settings, struct config_scope *scope);
/* Complains of keys of a sender in a connection that is none. */
void http_out_check_absent(struct config_scope *scope);

/* NULL if that is a URL to send requests to, else one static sentence of what is wrong and one of what would be right. */
const char *http_url_check(const char *url);
/* The same for what comes after it: empty, or a path and perhaps a query. url: what it is appended to. */
const char *http_path_check(const char *url, struct slice path);
/* Percent-encodes all but unreserved characters (RFC 3986 §2.3). 0 or -ENOMEM. */
int http_path_insert(struct slice text, struct arena *arena, struct slice *ret_text)
	__attribute__((warn_unused_result));
/* The index in http_methods, -1: none. */
int http_method_find(struct slice name);

#endif
