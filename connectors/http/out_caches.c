/* SPDX-License-Identifier: Apache-2.0
 *
 * A cache is a share handle of libcurl for connections and nothing else; one thread uses it, so it needs no locks. Some
 * 10 KB each, so they are made when they are first needed.
 */
#include "connectors/http/out_caches.h"

#include <stdbool.h>
#include <stdlib.h>

struct http_cache {
	struct http_cache *next; /* idle */
	CURLSH *share; /* NULL: not made yet */
	bool in_use, stale;
};

struct http_caches {
	struct http_cache *idle; /* the one that was used last comes first */
	unsigned n;
	struct http_cache items[];
};

static CURLSH *share_new(void)
{
	CURLSH *share = curl_share_init();
	if (share && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) != CURLSHE_OK) {
		curl_share_cleanup(share);
		return NULL;
	}
	return share;
}

static void close_all(struct http_cache *cache)
{
	if (cache->share)
		curl_share_cleanup(cache->share); /* fails only while a handle uses it */
	cache->share = NULL;
	cache->stale = false;
}

struct http_caches *http_caches_new(unsigned n)
{
	struct http_caches *caches = calloc(1, sizeof *caches + n * sizeof *caches->items);
	if (!caches)
		return NULL;
	caches->n = n;
	for (unsigned i = n; i > 0; i--) {
		caches->items[i - 1].next = caches->idle;
		caches->idle = &caches->items[i - 1];
	}
	return caches;
}

void http_caches_free(struct http_caches *caches)
{
	for (unsigned i = 0; caches && i < caches->n; i++)
		close_all(&caches->items[i]);
	free(caches);
}

struct http_cache *http_caches_lend(struct http_caches *caches, CURL *easy)
{
	struct http_cache *cache = caches->idle;
	if (!cache)
		return NULL;
	if (!cache->share)
		cache->share = share_new();
	if (!cache->share || curl_easy_setopt(easy, CURLOPT_SHARE, cache->share) != CURLE_OK)
		return NULL;
	caches->idle = cache->next;
	cache->next = NULL;
	cache->in_use = true;
	return cache;
}

void http_caches_give_back(struct http_caches *caches, struct http_cache *cache, CURL *easy)
{
	if (!cache)
		return;
	curl_easy_setopt(easy, CURLOPT_SHARE, NULL);
	cache->in_use = false;
	cache->next = caches->idle;
	caches->idle = cache;
	if (cache->stale)
		close_all(cache);
}

void http_caches_renew(struct http_caches *caches)
{
	for (unsigned i = 0; i < caches->n; i++) {
		if (caches->items[i].in_use)
			caches->items[i].stale = true;
		else
			close_all(&caches->items[i]);
	}
}
