/* SPDX-License-Identifier: Apache-2.0
 *
 * Who sends a request to a listener, and what it may do there. An identity is a name that the configuration gives to a
 * bearer token, a user with a password, a client certificate or a secret that signs bodies; any one of them is enough.
 *
 *     begin ─► ALLOWED, UNAUTHORIZED, FORBIDDEN, BUSY                           final
 *           ─► BODY: signed. add … add, end ─► ALLOWED, UNAUTHORIZED
 *           ─► LATER: a slow password hash is worked out on another thread; done() ─► ALLOWED, UNAUTHORIZED, FORBIDDEN
 *
 * What a request shows decides which: Authorization before a signature before a certificate. A wrong one is not made good
 * by another. Secrets are compared in constant time. Passwords that were right are remembered (as a keyed hash, the key being
 * of this process), so that the hash is worked out once.
 *
 * Threads: the loop's; password hashes have one of their own, for a few requests at a time.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_AUTH_IN_H
#define LINKSPAN_CONNECTORS_HTTP_AUTH_IN_H

#include "config/schema.h"
#include "connectors/http/signature.h"
#include "message/slice.h"
#include "runtime/loop.h"

struct auth_in_settings { /* a section `auth` of a listener */
	struct config_list tokens; /* identity: sha256:<hex>; several separated by spaces */
	char *token_header; /* where a token may stand besides Authorization; NULL: nowhere */
	struct config_list passwords; /* user: a hash of crypt(5), or sha256:<hex> */
	bool client_certificates;
	struct config_list standard_secrets, github_secrets, stripe_secrets, hmac_secrets; /* identity: secrets */
	struct auth_in_hmac {
		char *header, *prefix, *timestamp_header, *signed_text;
		int hash, encoding; /* enum signature_hash, signature_encoding */
	} hmac;
	uint64_t tolerance_ms;
	struct config_list
		allow; /* identity: filters of paths, separated by spaces, each may begin with read: or write: */
};
extern const struct config_key auth_in_keys[];
/* Complains of what is wrong with the section that stands at that key of the connection. has_client_ca: the listener asks
 * for client certificates and verifies them. */
void auth_in_check(
	const struct auth_in_settings *settings, bool has_client_ca, struct config_scope *scope, const char *key);
/* Does it ask for anything? If not, everybody is allowed everything, and `public` matters. */
bool auth_in_used(const struct auth_in_settings *settings);

struct auth_in;
/* settings outlive it. 0 or a negative errno. */
int auth_in_new(const struct auth_in_settings *settings, struct loop *loop, struct auth_in **ret_auth)
	__attribute__((warn_unused_result));
/* Every check must be over. NULL is allowed. Waits for the thread: at most for the one hash that it is at. */
void auth_in_free(struct auth_in *auth);

struct auth_in_request {
	struct slice path; /* decoded, as the topic: with its slash at the beginning */
	bool reads; /* GET or HEAD */
	signature_header_fn header; /* is called from inside auth_in_begin only */
	void *arg;
	const char *const
		*certificate_names; /* of a certificate that has been verified: CN, then DNS names; NULL: none */
	size_t n_certificate_names;
	uint64_t now_ms; /* the wall clock as it is set now (loop_clock_ms): timestamps are other machines' */
};

enum auth_in_verdict {
	AUTH_IN_ALLOWED,
	AUTH_IN_UNAUTHORIZED, /* 401, with the challenge as WWW-Authenticate */
	AUTH_IN_FORBIDDEN, /* 403 */
	AUTH_IN_BUSY, /* 503: too many passwords are being worked out */
	AUTH_IN_BODY,
	AUTH_IN_LATER,
};
struct auth_in_result {
	enum auth_in_verdict verdict;
	const char
		*identity; /* ALLOWED and FORBIDDEN: who; "" when nothing is configured. Lives as long as auth and the
			       * request's certificate_names */
	const char *challenge; /* UNAUTHORIZED: lives as long as auth */
	const char *reason; /* of what is not allowed: one static sentence for the log and the answer */
};

/* May who is known so do that? Somebody who is not known (identity NULL) may not. */
bool auth_in_may(const struct auth_in *auth, const char *identity, struct slice path, bool reads);

struct auth_in_check;
/* BODY and LATER: *ret_check goes on, and is over with auth_in_end, done or auth_in_cancel. Else there is none. done runs on
 * the loop, never from inside. */
struct auth_in_result auth_in_begin(struct auth_in *auth, const struct auth_in_request *request,
	void (*done)(void *arg, const struct auth_in_result *result), void *done_arg, struct auth_in_check **ret_check)
	__attribute__((warn_unused_result));
/* BODY only: the next piece of the raw body; the end of it. */
void auth_in_add(struct auth_in_check *check, struct slice piece);
struct auth_in_result auth_in_end(struct auth_in_check *check) __attribute__((warn_unused_result));
/* The request is gone: done does not run. */
void auth_in_cancel(struct auth_in_check *check);

#endif
