/* SPDX-License-Identifier: Apache-2.0
 *
 * How a sender shows who it is: a bearer token (from a file or the configuration), user name and password, or tokens of an
 * OAuth 2.0 server (connectors/common/oauth.h). Gives the value of Authorization for the next request.
 *
 * Threads: the loop's; OAuth has one of its own. Nothing blocks but the reading of the token's file, which is small and
 * local.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_AUTH_OUT_H
#define LINKSPAN_CONNECTORS_HTTP_AUTH_OUT_H

#include "config/schema.h"
#include "connectors/common/oauth.h"
#include "runtime/loop.h"

struct auth_out_settings { /* a section `auth`; at most one of the four */
	char *token_file;
	char *token;
	struct auth_out_basic {
		char *username, *password;
	} basic;
	struct oauth_settings oauth;
};
extern const struct config_key auth_out_keys[];
/* Complains of what is wrong with the section that stands at that key of the connection. url: the connection's, to warn
 * of credentials without TLS; NULL is allowed. */
void auth_out_check(
	const struct auth_out_settings *settings, const char *url, struct config_scope *scope, const char *key);
bool auth_out_used(const struct auth_out_settings *settings);

struct auth_out;

/* on_change runs on the loop, never from inside a call of this module: what auth_out_header says may be another now (a
 * token has come). settings outlive it. 0 or a negative errno. */
int auth_out_new(const struct auth_out_settings *settings, struct loop *loop, loop_fn on_change, void *arg,
	struct auth_out **ret_auth) __attribute__((warn_unused_result));
/* With OAuth: begins to fetch. 0 or a negative errno. */
int auth_out_start(struct auth_out *auth) __attribute__((warn_unused_result));
void auth_out_free(struct auth_out *auth); /* NULL is allowed; with OAuth waits a moment for its thread */

enum auth_out_state {
	AUTH_OUT_NONE, /* nothing is configured: send without */
	AUTH_OUT_READY, /* *ret_value is the value of Authorization, valid until the next call of this module */
	AUTH_OUT_NOT_YET, /* the first token has not come yet: wait for on_change */
	AUTH_OUT_FAILED, /* there is no token: *ret_value says why, one sentence for an alarm, without secrets. With a file: ask again (it is
			  * looked at again once a second); with OAuth on_change follows */
};
/* For the next request. A token's file is read again when it has changed; if it cannot be, the token that was there stays. */
enum auth_out_state auth_out_header(struct auth_out *auth, const char **ret_value);
/* The peer has answered 401: a file is read again before the next request, another token is fetched. True if that can
 * help without a person (OAuth). */
bool auth_out_refused(struct auth_out *auth);
/* Reads again what stands in files. NULL, or why that cannot be done, for the log: what was there before goes on. */
const char *auth_out_reload(struct auth_out *auth);

#endif
