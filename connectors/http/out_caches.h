/* SPDX-License-Identifier: Apache-2.0
 *
 * Where libcurl keeps connections for later. When a request begins it walks over all connections of its cache, those in use
 * too, until it finds one: with 64 under way that took a tenth of all CPU. Here each request that is under way has a cache
 * of its own, with the one connection that the request before has left. The cache that was used last is used next, so that
 * a connection that is not needed is not kept alive.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_CACHES_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_CACHES_H

#include <curl/curl.h>

struct http_caches;
struct http_cache;

/* n: that may be in use at the same time. NULL: memory is out. */
struct http_caches *http_caches_new(unsigned n) __attribute__((warn_unused_result));
/* Closes the connections. None may be in use. NULL is allowed. */
void http_caches_free(struct http_caches *caches);

/* For the next request of that handle, which is in no multi handle. NULL: there is none, and it has the multi handle's. */
struct http_cache *http_caches_lend(struct http_caches *caches, CURL *easy);
/* Likewise in no multi handle. NULL is allowed. */
void http_caches_give_back(struct http_caches *caches, struct http_cache *cache, CURL *easy);
/* Closes the connections that are idle, and the others once they are. */
void http_caches_renew(struct http_caches *caches);

#endif
