/* SPDX-License-Identifier: Apache-2.0
 *
 * An OAuth 2.0 client that asks for tokens in its own name (client credentials, RFC 6749 §4.4): fetches one from a token
 * endpoint over HTTPS, keeps it, and fetches the next before it expires, for ever. For any connector whose peer takes
 * bearer tokens. It never retries a request that uses the token; it only says that there is a new one.
 *
 * Threads: each client has one of its own, which alone touches libcurl. The functions may be called from any thread and
 * do not block, but for oauth_client_free, which waits for that thread: a moment, whatever the endpoint does.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_OAUTH_H
#define LINKSPAN_CONNECTORS_COMMON_OAUTH_H

#include "config/schema.h"

enum oauth_auth { OAUTH_AUTH_BASIC, OAUTH_AUTH_POST }; /* RFC 6749 §2.3.1: the two forms */

struct oauth_settings {
	char *token_url;
	char *client_id, *client_secret;
	char *scope, *audience; /* NULL: not sent */
	int auth; /* enum oauth_auth */
	char *ca; /* NULL: the system's authorities */
	bool allow_http; /* also to other machines */
	uint64_t timeout_ms;
};

/* Keys of a section that is a struct oauth_settings. */
extern const struct config_key oauth_keys[];

/* Complains of what is wrong with a section that is there; false if anything is. key, item: as for config_complain, where
 * the section stands; item is NULL when the section is the key itself. Reads the files. */
bool oauth_check(const struct oauth_settings *settings, struct config_scope *scope, const char *key, const char *item);

/* What a fetch has come to. */
struct oauth_news {
	const char *token; /* NULL: none; see error */
	const char *subject; /* whose token it is: `sub` of a JWT, else the client's id */
	uint64_t expires_ms; /* since the epoch, by this machine's clock */
	const char *error; /* one sentence, the same for the same failure, with no secret in it */
};

struct oauth_client;

/* 0 or a negative errno. `settings` must outlive the client. Nothing is fetched before oauth_client_start. on_news runs on
 * the client's thread after every fetch; what it is given lives until it returns. It may call anything here but
 * oauth_client_free. */
int oauth_client_new(const struct oauth_settings *settings, void (*on_news)(const struct oauth_news *news, void *arg),
	void *arg, struct oauth_client **ret_client) __attribute__((warn_unused_result));
/* Begins to fetch, and fetches again before a token expires and after failures. 0 or a negative errno. */
int oauth_client_start(struct oauth_client *client) __attribute__((warn_unused_result));
/* After this on_news does not run any more. NULL is allowed. */
void oauth_client_free(struct oauth_client *client);

/* The peer does not take the token that it was last given: fetches another one, OAUTH_REFUSED_MS after the last
 * one, and later and later, up to OAUTH_REFUSED_LAST_MS, if that does not help. */
void oauth_client_refused(struct oauth_client *client);
#define OAUTH_REFUSED_MS      5000u
#define OAUTH_REFUSED_LAST_MS 60000u

#endif
