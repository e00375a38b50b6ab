/* SPDX-License-Identifier: Apache-2.0
 *
 * One request for a token after another, over a connection that libcurl keeps, and what the endpoint answers, which is
 * capped in size and believed only as far as it was checked. Private to oauth.c and its tests.
 *
 * Threads: oauth_fetch_run and oauth_fetch_free belong to one thread at a time and block; oauth_fetch_cancel is any
 * thread's.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_OAUTH_FETCH_H
#define LINKSPAN_CONNECTORS_COMMON_OAUTH_FETCH_H

#include "connectors/common/oauth.h"
#include "message/slice.h"

struct oauth_answer {
	char *token; /* NULL: none; see error */
	char *subject; /* `sub` of a JWT, NULL: not told */
	uint64_t lifetime_ms; /* from now on */
	char error[400];
};
void oauth_answer_clear(struct oauth_answer *answer); /* wipes the token */

struct oauth_fetch;
struct oauth_fetch *oauth_fetch_new(const struct oauth_settings *settings) __attribute__((warn_unused_result));
void oauth_fetch_free(struct oauth_fetch *fetch);
/* 0 with a token, -EACCES with an error, -ECANCELED. */
int oauth_fetch_run(struct oauth_fetch *fetch, struct oauth_answer *ret_answer) __attribute__((warn_unused_result));
/* Ends a run at once, and every later one. */
void oauth_fetch_cancel(struct oauth_fetch *fetch);

/* The endpoint's answer as a whole (RFC 6749 §5); wall_s: now, to compare a JWT's exp with. Pure. 0 or -EACCES. */
int oauth_read_answer(unsigned status, struct slice body, uint64_t wall_s, struct oauth_answer *ret_answer)
	__attribute__((warn_unused_result));

#endif
