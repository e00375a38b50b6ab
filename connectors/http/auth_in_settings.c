/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a listener's section about who may use it, and what the tables cannot say.
 */
#include <string.h>

#include "connectors/common/allowed_paths.h"
#include "connectors/http/auth_in.h"
#include "connectors/http/password_worker.h"
#include "connectors/http/token_hash.h"

#define OFFSET(member)      offsetof(struct auth_in_settings, member)
#define HMAC_OFFSET(member) offsetof(struct auth_in_hmac, member)

static const char *const hashes[] = {"sha256", "sha1", "sha512", NULL}; /* enum signature_hash */
static const char *const encodings[] = {"hex", "base64", NULL}; /* enum signature_encoding */

static const struct config_key hmac_keys[] = {
	{.name = "header",
		.type = CONFIG_STRING,
		.offset = HMAC_OFFSET(header),
		.help = "The header that the signature stands in."},
	{.name = "prefix",
		.type = CONFIG_STRING,
		.offset = HMAC_OFFSET(prefix),
		.help = "What stands before it there, as sha256=."},
	{.name = "hash",
		.type = CONFIG_ENUM,
		.offset = HMAC_OFFSET(hash),
		.fallback = "sha256",
		.choices = hashes,
		.help = "The hash of the HMAC."},
	{.name = "encoding",
		.type = CONFIG_ENUM,
		.offset = HMAC_OFFSET(encoding),
		.fallback = "hex",
		.choices = encodings,
		.help = "How the signature is written."},
	{.name = "timestamp_header",
		.type = CONFIG_STRING,
		.offset = HMAC_OFFSET(timestamp_header),
		.help = "The header with the time of signing, in seconds or milliseconds since 1970."},
	{.name = "signed",
		.type = CONFIG_STRING,
		.offset = HMAC_OFFSET(signed_text),
		.help = "The text that is signed, with {body} and {timestamp}, as `{timestamp}.{body}`. Left out: the "
			"body."},
	{.name = NULL},
};

const struct config_key auth_in_keys[] = {
	{.name = "tokens",
		.type = CONFIG_MAP,
		.offset = OFFSET(tokens),
		.help = "Bearer tokens, name: `sha256:` and the hash of a long random token (`printf %s TOKEN | "
			"sha256sum`); "
			"several, for a rotation, with spaces between them."},
	{.name = "token_header",
		.type = CONFIG_STRING,
		.offset = OFFSET(token_header),
		.help = "Another header that a token may stand in, for senders that cannot set Authorization, as "
			"X-Gitlab-Token."},
	{.name = "passwords",
		.type = CONFIG_MAP,
		.offset = OFFSET(passwords),
		.help = "Users of basic authentication, name: a hash of crypt(5), as `mkpasswd` and `openssl passwd "
			"-6` make "
			"them, or `sha256:` and the hash of a long random password."},
	{.name = "client_certificates",
		.type = CONFIG_BOOL,
		.offset = OFFSET(client_certificates),
		.fallback = "false",
		.help = "Whether a client certificate (tls.client_ca) says who sends: its common name, or one of its "
			"DNS names "
			"that stands in allow."},
	{.name = "standard_secrets",
		.type = CONFIG_MAP,
		.offset = OFFSET(standard_secrets),
		.help = "Secrets of Standard Webhooks, name: `whsec_…`; several, for a rotation, with spaces between "
			"them."},
	{.name = "github_secrets",
		.type = CONFIG_MAP,
		.offset = OFFSET(github_secrets),
		.help = "Secrets of signatures as GitHub makes them (X-Hub-Signature-256), name: secret; several on "
			"lines of "
			"their own."},
	{.name = "stripe_secrets",
		.type = CONFIG_MAP,
		.offset = OFFSET(stripe_secrets),
		.help = "Secrets of signatures as Stripe makes them (Stripe-Signature), name: secret, with its whsec_; "
			"several "
			"on lines of their own."},
	{.name = "hmac_secrets",
		.type = CONFIG_MAP,
		.offset = OFFSET(hmac_secrets),
		.help = "Secrets of other signatures of the body, name: secret; how they are made stands in hmac."},
	{.name = "hmac",
		.type = CONFIG_SECTION,
		.offset = OFFSET(hmac),
		.children = hmac_keys,
		.help = "How the signatures of hmac_secrets are made."},
	{.name = "tolerance",
		.type = CONFIG_DURATION,
		.offset = OFFSET(tolerance_ms),
		.fallback = "5m",
		.min = 1000,
		.max = 86400000,
		.help = "How far the time of a signature may be from now."},
	{.name = "allow",
		.type = CONFIG_MAP,
		.offset = OFFSET(allow),
		.help = "What each name may do: filters of paths, with spaces between them; `read:/…` is for GET "
			"alone, "
			"`write:/…` for POST and PUT; * is everybody with a name. Left out: each name may do "
			"everything. "
			"Who does not stand in it may do nothing."},
	{.name = NULL},
};

/* Every list of identities. */
static const struct {
	const char *key;
	size_t offset;
} identities[] = {
	{"tokens", OFFSET(tokens)},
	{"passwords", OFFSET(passwords)},
	{"standard_secrets", OFFSET(standard_secrets)},
	{"github_secrets", OFFSET(github_secrets)},
	{"stripe_secrets", OFFSET(stripe_secrets)},
	{"hmac_secrets", OFFSET(hmac_secrets)},
};
#define N_IDENTITIES (sizeof identities / sizeof identities[0])

static const struct config_list *list_at(const struct auth_in_settings *settings, size_t i)
{
	return (const struct config_list *)(const void *)((const char *)settings + identities[i].offset);
}

bool auth_in_used(const struct auth_in_settings *settings)
{
	bool used = settings->client_certificates;
	for (size_t i = 0; i < N_IDENTITIES; i++)
		used |= list_at(settings, i)->n > 0;
	return used;
}

static const char *check_password_hash(const char *text)
{
	if (password_hash_valid(text) || !token_hash_check(text))
		return NULL;
	return "this is no hash of a password; `mkpasswd` or `openssl passwd -6` make one, or write sha256: and the "
	       "output "
	       "of `printf %s PASSWORD | sha256sum` of a long random one";
}

static const char *check_standard(const char *secrets)
{
	return verifier_check(SIGNATURE_STANDARD, secrets);
}

static const char *check_text(const char *secrets)
{
	return verifier_check(SIGNATURE_HMAC, secrets);
}

/* Complaints name the key alone and not the entry, whose name may be all that is known about a secret in the wrong place:
 * the position shows which one it is. */
static void check_values(const struct auth_in_settings *settings, struct config_scope *scope, const char *key)
{
	static const char *(*const checks[N_IDENTITIES])(const char *) = {
		token_hash_check, check_password_hash, check_standard, check_text, check_text, check_text};
	for (size_t i = 0; i < N_IDENTITIES; i++) {
		const struct config_list *list = list_at(settings, i);
		for (size_t j = 0; j < list->n; j++) {
			const char *wrong = checks[i](list->items[j].value);
			if (wrong)
				config_complain(scope, key, identities[i].key, "'%s': %s", list->items[j].name, wrong);
		}
	}
}

static void check_format(const struct auth_in_settings *settings, struct config_scope *scope, const char *key)
{
	const struct auth_in_hmac *hmac = &settings->hmac;
	const struct signature_format format = {
		.header = hmac->header, .timestamp_header = hmac->timestamp_header, .signed_text = hmac->signed_text};
	if (settings->hmac_secrets.n == 0) {
		if ((hmac->header || hmac->prefix || hmac->timestamp_header || hmac->signed_text) &&
			!config_failed(scope, key, "hmac_secrets"))
			config_complain(scope, key, "hmac",
				"hmac says how signatures are made, but there are no secrets for them; add "
				"hmac_secrets");
		return;
	}
	const char *member, *wrong = signature_format_check(&format, &member);
	if (!wrong)
		return;
	static const char *const items[][2] = {{"header", "hmac.header"}, {"timestamp_header", "hmac.timestamp_header"},
		{"signed_text", "hmac.signed"}};
	const char *item = "hmac";
	for (size_t i = 0; i < 3; i++)
		if (strcmp(member, items[i][0]) == 0 && config_given(scope, key, items[i][1]))
			item = items[i][1];
	if (!config_failed(scope, key, item))
		config_complain(scope, key, item, "%s", wrong);
}

static bool is_identity(const struct auth_in_settings *settings, const char *name)
{
	for (size_t i = 0; i < N_IDENTITIES; i++) {
		const struct config_list *list = list_at(settings, i);
		for (size_t j = 0; j < list->n; j++)
			if (strcmp(list->items[j].name, name) == 0)
				return true;
	}
	return false;
}

static void check_allow(const struct auth_in_settings *settings, struct config_scope *scope, const char *key)
{
	if (settings->allow.n > 0 && !auth_in_used(settings)) {
		config_complain(scope, key, "allow",
			"nobody has a name here; add tokens, passwords, client_certificates or secrets, or leave allow "
			"out");
		return;
	}
	for (size_t i = 0; i < settings->allow.n; i++) {
		const struct config_text *item = &settings->allow.items[i];
		const char *wrong = allowed_paths_check(item->value);
		if (wrong)
			config_complain(scope, key, "allow", "'%s': %s", item->name, wrong);
		else if (strcmp(item->name, "*") != 0 && !settings->client_certificates &&
			 !is_identity(settings, item->name))
			config_complain(scope, key, "allow",
				"'%s' is no name that tokens, passwords or secrets give; take one of theirs",
				item->name);
	}
}

void auth_in_check(
	const struct auth_in_settings *settings, bool has_client_ca, struct config_scope *scope, const char *key)
{
	check_values(settings, scope, key);
	check_format(settings, scope, key);
	check_allow(settings, scope, key);
	if (settings->client_certificates && !has_client_ca)
		config_complain(scope, key, "client_certificates",
			"clients are not asked for certificates; set tls: {client_ca: …} to the authority that signs "
			"them");
	if (settings->token_header && settings->tokens.n == 0 && !config_failed(scope, key, "tokens"))
		config_complain(scope, key, "token_header", "there are no tokens that could stand in it; add tokens");
}
