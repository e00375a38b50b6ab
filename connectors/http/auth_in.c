/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of a request through what it shows: a token, a password, a signature, a certificate.
 */
#include "connectors/http/auth_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/random.h>

#include <openssl/crypto.h>

#include "connectors/common/allowed_paths.h"
#include "connectors/http/password_worker.h"
#include "connectors/http/signature_keys.h"
#include "connectors/http/token_hash.h"
#include "message/siphash.h"

#define MOST_CREDENTIALS 4096u /* bytes of Authorization that are looked at */
#define NO_SUCH          ((struct slice){NULL, 0})

struct signer_in {
	struct verifier *verifier;
	const char *identity;
};

/* One for each entry of `passwords`. */
struct user {
	const char *name, *hash;
	bool known; /* `right` is of the password that was right */
	uint8_t right[SIPHASH_LEN];
};

struct auth_in {
	const struct auth_in_settings *settings;
	struct loop *loop;
	struct allowed_paths *allowed;
	struct user *users;
	size_t n_users;
	uint8_t key[SIPHASH_KEY_LEN]; /* of what is remembered about passwords */
	struct password_worker *worker; /* NULL: no slow hash */
	struct signer_in *signers;
	size_t n_signers;
	char challenge[128];
};

struct auth_in_check {
	struct auth_in *auth;
	/* LATER */
	struct password_job *job;
	struct user *user; /* NULL: there is none of that name, and the work is for show */
	uint8_t shown[SIPHASH_LEN];
	bool allowed; /* if the password is right */
	void (*done)(void *arg, const struct auth_in_result *result);
	void *done_arg;
	/* BODY */
	size_t n;
	struct {
		struct verification *verification;
		const char *identity;
	} signatures[];
};

/* --- results ------------------------------------------------------------------------------------------------------ */

static struct auth_in_result unauthorized(const struct auth_in *auth, const char *reason)
{
	return (struct auth_in_result){.verdict = AUTH_IN_UNAUTHORIZED, .challenge = auth->challenge, .reason = reason};
}

static struct auth_in_result decide(const char *identity, bool allowed)
{
	if (allowed)
		return (struct auth_in_result){.verdict = AUTH_IN_ALLOWED, .identity = identity};
	return (struct auth_in_result){.verdict = AUTH_IN_FORBIDDEN,
		.identity = identity,
		.reason = "this path is not among those it may use"};
}

static bool may(const struct auth_in *auth, const struct auth_in_request *request, const char *identity)
{
	return allowed_paths_allow(auth->allowed, identity, request->path, request->reads);
}

bool auth_in_may(const struct auth_in *auth, const char *identity, struct slice path, bool reads)
{
	return identity && allowed_paths_allow(auth->allowed, identity, path, reads);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int add_signers(struct auth_in *auth, enum signature_style style, const struct config_list *list)
{
	const struct auth_in_hmac *hmac = &auth->settings->hmac;
	const struct signature_format format = {.header = hmac->header,
		.prefix = hmac->prefix,
		.hash = (enum signature_hash)hmac->hash,
		.encoding = (enum signature_encoding)hmac->encoding,
		.timestamp_header = hmac->timestamp_header,
		.signed_text = hmac->signed_text};
	int err = 0;
	for (size_t i = 0; i < list->n && !err; i++) {
		struct signer_in *to = &auth->signers[auth->n_signers];
		to->identity = list->items[i].name;
		err = verifier_new(style, list->items[i].value, style == SIGNATURE_HMAC ? &format : NULL,
			auth->settings->tolerance_ms / 1000, &to->verifier);
		auth->n_signers += !err;
	}
	return err;
}

static int make_signers(struct auth_in *auth)
{
	const struct auth_in_settings *settings = auth->settings;
	size_t n = settings->standard_secrets.n + settings->github_secrets.n + settings->stripe_secrets.n +
		   settings->hmac_secrets.n;
	if (n == 0)
		return 0;
	auth->signers = calloc(n, sizeof *auth->signers);
	if (!auth->signers)
		return -ENOMEM;
	int err = add_signers(auth, SIGNATURE_STANDARD, &settings->standard_secrets);
	if (!err)
		err = add_signers(auth, SIGNATURE_GITHUB, &settings->github_secrets);
	if (!err)
		err = add_signers(auth, SIGNATURE_STRIPE, &settings->stripe_secrets);
	if (!err)
		err = add_signers(auth, SIGNATURE_HMAC, &settings->hmac_secrets);
	return err;
}

static int make_users(struct auth_in *auth)
{
	const struct config_list *list = &auth->settings->passwords;
	bool slow = false;
	if (list->n == 0)
		return 0;
	auth->users = calloc(list->n, sizeof *auth->users);
	if (!auth->users)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		auth->users[i] = (struct user){.name = list->items[i].name, .hash = list->items[i].value};
		slow |= token_hash_check(list->items[i].value) != NULL;
	}
	auth->n_users = list->n;
	if (getrandom(auth->key, sizeof auth->key, 0) != sizeof auth->key)
		return -EIO;
	return slow ? password_worker_new(auth->loop, &auth->worker) : 0;
}

/* RFC 9110 §11.6.1 wants one with each 401; the last two names are nobody's. */
static void make_challenge(struct auth_in *auth)
{
	const struct auth_in_settings *settings = auth->settings;
	const char *first = settings->tokens.n ? "Bearer realm=\"linkspan\"" : "";
	const char *second = settings->passwords.n ? "Basic realm=\"linkspan\", charset=\"UTF-8\"" : "";
	if (!*first && !*second)
		first = auth->n_signers ? "Signature realm=\"linkspan\"" : "Certificate realm=\"linkspan\"";
	snprintf(auth->challenge, sizeof auth->challenge, "%s%s%s", first, *first && *second ? ", " : "", second);
}

int auth_in_new(const struct auth_in_settings *settings, struct loop *loop, struct auth_in **ret_auth)
{
	struct auth_in *auth = calloc(1, sizeof *auth);
	if (!auth)
		return -ENOMEM;
	auth->settings = settings;
	auth->loop = loop;
	int err = allowed_paths_new(&settings->allow, &auth->allowed);
	if (!err)
		err = make_signers(auth);
	if (!err)
		err = make_users(auth);
	make_challenge(auth);
	if (err)
		auth_in_free(auth);
	else
		*ret_auth = auth;
	return err;
}

void auth_in_free(struct auth_in *auth)
{
	if (!auth)
		return;
	password_worker_free(auth->worker);
	for (size_t i = 0; i < auth->n_signers; i++)
		verifier_free(auth->signers[i].verifier);
	free(auth->signers);
	free(auth->users);
	allowed_paths_free(auth->allowed);
	OPENSSL_cleanse(auth, sizeof *auth);
	free(auth);
}

static struct auth_in_check *new_check(struct auth_in *auth, size_t n_signatures)
{
	struct auth_in_check *check = calloc(1, sizeof *check + n_signatures * sizeof check->signatures[0]);
	if (check)
		check->auth = auth;
	return check;
}

static void free_check(struct auth_in_check *check)
{
	for (size_t i = 0; i < check->n; i++)
		verification_drop(check->signatures[i].verification);
	free(check);
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

/* All are looked at, whichever it is. */
static struct auth_in_result check_token(
	const struct auth_in *auth, const struct auth_in_request *request, struct slice token)
{
	const struct config_list *tokens = &auth->settings->tokens;
	uint8_t hash[TOKEN_HASH_LEN];
	const char *identity = NULL;
	token_hash_of(token, hash);
	for (size_t i = 0; i < tokens->n; i++)
		if (token_hash_is_one_of(hash, tokens->items[i].value) && !identity)
			identity = tokens->items[i].name;
	if (!identity)
		return unauthorized(auth, "the token is not one that is known here");
	return decide(identity, may(auth, request, identity));
}

/* --- passwords ---------------------------------------------------------------------------------------------------- */

static struct user *find_user(const struct auth_in *auth, struct slice name)
{
	for (size_t i = 0; i < auth->n_users; i++)
		if (slice_equal(slice_str(auth->users[i].name), name))
			return &auth->users[i];
	return NULL;
}

static const char wrong_password[] = "user name or password is wrong";

static void on_password(void *arg, bool right)
{
	struct auth_in_check *check = arg;
	struct user *user = check->user;
	struct auth_in_result result = unauthorized(check->auth, wrong_password);
	if (user && right) {
		user->known = true;
		memcpy(user->right, check->shown, sizeof user->right);
		result = decide(user->name, check->allowed);
	}
	void (*done)(void *, const struct auth_in_result *) = check->done;
	void *done_arg = check->done_arg;
	free_check(check);
	done(done_arg, &result);
}

/* The hash that an unknown user's password is compared with, so that time does not tell who is known. */
static const char *any_slow_hash(const struct auth_in *auth)
{
	for (size_t i = 0; i < auth->n_users; i++)
		if (token_hash_check(auth->users[i].hash))
			return auth->users[i].hash;
	return NULL;
}

static struct auth_in_result begin_slowly(const struct auth_in *auth, struct auth_in_check *check,
	struct slice password, const char *hash, struct auth_in_check **ret_check)
{
	int err = password_worker_begin(auth->worker, password, hash, on_password, check, &check->job);
	if (!err) {
		*ret_check = check;
		return (struct auth_in_result){.verdict = AUTH_IN_LATER};
	}
	free_check(check);
	if (err == -EINVAL)
		return unauthorized(auth, wrong_password);
	return (struct auth_in_result){
		.verdict = AUTH_IN_BUSY, .reason = "too many passwords are being compared with their hashes"};
}

/* What is called a right one is of 128 bits under a key that nobody knows: no need to work out a hash twice. */
static struct auth_in_result check_password(struct auth_in *auth, const struct auth_in_request *request,
	struct slice name, struct slice password, struct auth_in_check **ret_check,
	void (*done)(void *, const struct auth_in_result *), void *done_arg)
{
	struct user *user = find_user(auth, name);
	uint8_t shown[SIPHASH_LEN], hash[TOKEN_HASH_LEN];
	siphash(auth->key, password, shown);
	if (user && user->known && CRYPTO_memcmp(user->right, shown, sizeof shown) == 0)
		return decide(user->name, may(auth, request, user->name));
	const char *slow = user ? user->hash : any_slow_hash(auth);
	if (user && !token_hash_check(user->hash)) {
		token_hash_of(password, hash);
		if (token_hash_is_one_of(hash, user->hash))
			return decide(user->name, may(auth, request, user->name));
		slow = NULL;
	}
	if (!slow)
		return unauthorized(auth, wrong_password);
	struct auth_in_check *check = new_check(auth, 0);
	if (!check)
		return (struct auth_in_result){.verdict = AUTH_IN_BUSY, .reason = "out of memory"};
	check->user = user;
	check->allowed = user && may(auth, request, user->name);
	check->done = done;
	check->done_arg = done_arg;
	memcpy(check->shown, shown, sizeof shown);
	return begin_slowly(auth, check, password, slow, ret_check);
}

static struct auth_in_result check_basic(struct auth_in *auth, const struct auth_in_request *request,
	struct slice encoded, struct auth_in_check **ret_check, void (*done)(void *, const struct auth_in_result *),
	void *done_arg)
{
	uint8_t plain[MOST_CREDENTIALS];
	size_t len = signature_base64(encoded, plain, sizeof plain);
	const uint8_t *colon = len != SIZE_MAX && len ? memchr(plain, ':', len) : NULL;
	if (!colon)
		return unauthorized(auth, "what follows Basic is not base64 of user:password");
	size_t name_len = (size_t)(colon - plain);
	struct auth_in_result result = check_password(auth, request, slice_of(plain, name_len),
		slice_of(colon + 1, len - name_len - 1), ret_check, done, done_arg);
	OPENSSL_cleanse(plain, sizeof plain);
	return result;
}

/* --- signatures --------------------------------------------------------------------------------------------------- */

static bool is_signed(const struct auth_in *auth, const struct auth_in_request *request)
{
	for (size_t i = 0; i < auth->n_signers; i++)
		if (request->header(request->arg, verifier_header(auth->signers[i].verifier)).data)
			return true;
	return false;
}

/* With the secrets of those who may use this path: of others it would not matter. */
static struct auth_in_result begin_signed(
	struct auth_in *auth, const struct auth_in_request *request, struct auth_in_check **ret_check)
{
	struct auth_in_check *check = new_check(auth, auth->n_signers);
	const char *reason = "nobody who signs so may use this path";
	if (!check)
		return (struct auth_in_result){.verdict = AUTH_IN_BUSY, .reason = "out of memory"};
	for (size_t i = 0; i < auth->n_signers; i++) {
		const struct signer_in *signer = &auth->signers[i];
		struct verification **to = &check->signatures[check->n].verification;
		if (!request->header(request->arg, verifier_header(signer->verifier)).data ||
			!may(auth, request, signer->identity))
			continue;
		enum signature_verdict verdict =
			verification_begin(signer->verifier, request->header, request->arg, request->now_ms / 1000, to);
		if (verdict == SIGNATURE_GOOD)
			check->signatures[check->n++].identity = signer->identity;
		else
			reason = signature_verdict_text(verdict);
	}
	if (check->n == 0) {
		free_check(check);
		return unauthorized(auth, reason);
	}
	*ret_check = check;
	return (struct auth_in_result){.verdict = AUTH_IN_BODY};
}

void auth_in_add(struct auth_in_check *check, struct slice piece)
{
	for (size_t i = 0; i < check->n; i++)
		verification_add(check->signatures[i].verification, piece);
}

struct auth_in_result auth_in_end(struct auth_in_check *check)
{
	const char *identity = NULL;
	struct auth_in *auth = check->auth;
	for (size_t i = 0; i < check->n; i++)
		if (verification_end(check->signatures[i].verification) == SIGNATURE_GOOD && !identity)
			identity = check->signatures[i].identity;
	check->n = 0;
	free_check(check);
	if (!identity)
		return unauthorized(auth, signature_verdict_text(SIGNATURE_WRONG));
	return decide(identity, true);
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

/* Of several names the first that may do something. */
static struct auth_in_result check_certificate(const struct auth_in *auth, const struct auth_in_request *request)
{
	for (size_t i = 0; i < request->n_certificate_names; i++)
		if (allowed_paths_know(auth->allowed, request->certificate_names[i]))
			return decide(request->certificate_names[i], may(auth, request, request->certificate_names[i]));
	return decide(request->certificate_names[0], false);
}

/* --- a request ---------------------------------------------------------------------------------------------------- */

/* What follows the scheme and spaces; absent if it is another scheme. */
static struct slice after_scheme(struct slice value, const char *scheme)
{
	size_t len = strlen(scheme);
	if (value.len <= len || strncasecmp((const char *)value.data, scheme, len) != 0 || value.data[len] != ' ')
		return NO_SUCH;
	while (len < value.len && value.data[len] == ' ')
		len++;
	return slice_of(value.data + len, value.len - len);
}

static struct slice find_token(
	const struct auth_in *auth, const struct auth_in_request *request, struct slice authorization)
{
	struct slice token = NO_SUCH;
	if (auth->settings->tokens.n == 0)
		return token;
	token = after_scheme(authorization, "Bearer");
	if (!token.data && auth->settings->token_header)
		token = request->header(request->arg, auth->settings->token_header);
	return token;
}

struct auth_in_result auth_in_begin(struct auth_in *auth, const struct auth_in_request *request,
	void (*done)(void *arg, const struct auth_in_result *result), void *done_arg, struct auth_in_check **ret_check)
{
	if (!auth_in_used(auth->settings))
		return (struct auth_in_result){.verdict = AUTH_IN_ALLOWED, .identity = ""};
	struct slice authorization = request->header(request->arg, "Authorization");
	if (authorization.len > MOST_CREDENTIALS)
		return unauthorized(auth, "what Authorization holds is too long");
	struct slice token = find_token(auth, request, authorization);
	if (token.data)
		return check_token(auth, request, token);
	struct slice password = auth->n_users ? after_scheme(authorization, "Basic") : NO_SUCH;
	if (password.data)
		return check_basic(auth, request, password, ret_check, done, done_arg);
	if (is_signed(auth, request))
		return begin_signed(auth, request, ret_check);
	if (auth->settings->client_certificates && request->n_certificate_names > 0)
		return check_certificate(auth, request);
	return unauthorized(auth, "the request shows nothing that would say who sends it");
}

void auth_in_cancel(struct auth_in_check *check)
{
	if (check->job)
		password_worker_cancel(check->job);
	free_check(check);
}
