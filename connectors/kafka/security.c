/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS and SASL: the keys, what can be said of them without a network, and their way into the library.
 */
#include "connectors/kafka/security.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "connectors/common/trust.h"
#include "connectors/kafka/certificate_files.h"
#include "connectors/kafka/gateway.h"

enum { PLAIN, SCRAM_SHA_256, SCRAM_SHA_512, OAUTHBEARER };
static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", NULL};

const struct config_key kafka_tls_keys[] = {
	{.name = "enabled",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct kafka_tls, enabled),
		.fallback = "false",
		.help = "Speak TLS. Any of ca, cert and key switches it on as well."},
	{.name = "ca",
		.others = "cafile ca_file ca_cert ca_location ssl_ca_location truststore",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, ca),
		.help = "PEM file of the authorities that may sign the brokers' certificates. Default: the "
			"system's."},
	{.name = "cert",
		.others = "certfile cert_file certificate client_cert ssl_certificate_location keystore",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, cert),
		.help = "PEM file of our own certificate, followed by its chain."},
	{.name = "key",
		.others = "keyfile key_file private_key client_key ssl_key_location",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, key),
		.help = "PEM file of the private key of cert."},
	{.name = "key_password",
		.type = CONFIG_SECRET,
		.offset = offsetof(struct kafka_tls, key_password),
		.help = "Password of the private key."},
	{.name = "verify",
		.others = "insecure insecure_skip_verify skip_verify",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct kafka_tls, verify),
		.fallback = "true",
		.help = "Check the brokers' certificates and host names. false is for laboratories."},
	{.name = NULL},
};

const struct config_key kafka_sasl_keys[] = {
	{.name = "mechanism",
		.others = "sasl_mechanism sasl_mechanisms",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_sasl, mechanism),
		.fallback = "PLAIN",
		.choices = mechanisms,
		.help = "How to log in. PLAIN sends the password as it is: use it over TLS only. OAUTHBEARER takes a "
			"token from "
			"an authorization server, see oauth."},
	{.name = "username",
		.others = "user sasl_username login",
		.type = CONFIG_STRING,
		.offset = offsetof(struct kafka_sasl, username),
		.help = "User name for PLAIN and SCRAM; switches SASL on."},
	{.name = "password",
		.others = "pass sasl_password passwd",
		.type = CONFIG_SECRET,
		.offset = offsetof(struct kafka_sasl, password),
		.help = "Password of that user."},
	{.name = "oauth",
		.type = CONFIG_SECTION,
		.offset = offsetof(struct kafka_sasl, oauth),
		.children = oauth_keys,
		.help = "Where tokens for OAUTHBEARER come from (client credentials, RFC 6749)."},
	{.name = "extensions",
		.type = CONFIG_MAP,
		.offset = offsetof(struct kafka_sasl, extensions),
		.help = "What the broker wants to hear beside the token (KIP-342), such as logicalCluster."},
	{.name = NULL},
};

bool kafka_sasl_uses_tokens(const struct kafka_sasl *sasl)
{
	return sasl->mechanism == OAUTHBEARER;
}

bool kafka_sasl_used(const struct kafka_sasl *sasl)
{
	return sasl->username || kafka_sasl_uses_tokens(sasl);
}

const char *kafka_sasl_mechanism(const struct kafka_sasl *sasl)
{
	return mechanisms[sasl->mechanism];
}

bool kafka_tls_used(const struct kafka_tls *tls)
{
	return tls->enabled || tls->ca || tls->cert || tls->key;
}

/* --- checks ----------------------------------------------------------------------------------------------------- */

static bool check_tls(const struct kafka_tls *tls, struct config_scope *scope)
{
	if (config_failed(scope, "tls", NULL))
		return true; /* said already */
	if (!tls->cert == !tls->key)
		return certificate_files_check(tls, scope);
	config_complain(scope, "tls", tls->cert ? "cert" : "key", "tls has a %s and no %s. Give both, or neither.",
		tls->cert ? "cert" : "key", tls->cert ? "key" : "cert");
	return false;
}

static bool check_password(const struct kafka_sasl *sasl, struct config_scope *scope)
{
	if (!sasl->username != !sasl->password) {
		config_complain(scope, "sasl", sasl->username ? "username" : "password",
			"sasl has a %s and no %s. Give both, or neither.", sasl->username ? "username" : "password",
			sasl->username ? "password" : "username");
		return false;
	}
	if (!sasl->username && sasl->mechanism != PLAIN) {
		config_complain(scope, "sasl", "mechanism", "%s needs a username and a password. Add them.",
			mechanisms[sasl->mechanism]);
		return false;
	}
	if (sasl->oauth.token_url) {
		config_complain(scope, "sasl", "oauth", "%s does not use tokens. Write mechanism: OAUTHBEARER.",
			mechanisms[sasl->mechanism]);
		return false;
	}
	return true;
}

/* librdkafka's rules, which are those of KIP-342. */
static bool check_extensions(const struct kafka_sasl *sasl, struct config_scope *scope)
{
	bool good = true;
	for (size_t i = 0; i < sasl->extensions.n; i++) {
		const struct config_text *item = &sasl->extensions.items[i];
		size_t letters = strspn(item->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (letters > 0 && item->name[letters] == '\0' && strcmp(item->name, "auth") != 0 &&
			strpbrk(item->value, "\001") == NULL)
			continue;
		config_complain(scope, "sasl", "extensions",
			"\"%s\" is not the name of an extension: letters only, and not \"auth\". Correct it.",
			item->name);
		good = false;
	}
	return good;
}

static bool check_tokens(const struct kafka_sasl *sasl, struct config_scope *scope)
{
	const struct oauth_settings *oauth = &sasl->oauth;
	bool good = check_extensions(sasl, scope);
	if (sasl->username || sasl->password) {
		config_complain(scope, "sasl", sasl->username ? "username" : "password",
			"OAUTHBEARER has no user name and no password. Leave them out; who we are stands in oauth.");
		good = false;
	}
	if (!oauth->token_url || !oauth->client_id || !oauth->client_secret) {
		config_complain(scope, "sasl",
			oauth->token_url || oauth->client_id || oauth->client_secret ? "oauth" : "mechanism",
			"OAUTHBEARER needs oauth: {token_url, client_id, client_secret}, and %s is missing. Add it.",
			!oauth->token_url   ? "token_url"
			: !oauth->client_id ? "client_id"
					    : "client_secret");
		return false;
	}
	return oauth_check(oauth, scope, "sasl", "oauth") && good;
}

static bool is_loopback(const char *broker)
{
	char host[64];
	struct in_addr address;
	const char *end = strrchr(broker, ':');
	size_t len = end && broker[0] != '[' ? (size_t)(end - broker) : strlen(broker);
	snprintf(host, sizeof host, "%.*s", (int)len, broker);
	if (inet_pton(AF_INET, host, &address) == 1)
		return ntohl(address.s_addr) >> 24 == 127;
	return strcasecmp(host, "localhost") == 0 || strncmp(host, "[::1]", 5) == 0;
}

/* What is sent as it is, for everybody on the way to read. */
static void warn_of_open_secrets(const struct kafka_tls *tls, const struct kafka_sasl *sasl,
	const struct config_list *brokers, struct config_scope *scope)
{
	if (kafka_tls_used(tls) || !kafka_sasl_used(sasl))
		return;
	for (size_t i = 0; i < brokers->n; i++) {
		if (is_loopback(brokers->items[i].value))
			continue;
		if (sasl->mechanism == PLAIN || sasl->mechanism == OAUTHBEARER)
			config_warn(scope, "sasl", "mechanism",
				"without TLS, %s sends the %s to the brokers for everybody on the way to read. Set "
				"tls.",
				mechanisms[sasl->mechanism], sasl->mechanism == PLAIN ? "password" : "token");
		return;
	}
}

bool kafka_security_check(const struct kafka_tls *tls, const struct kafka_sasl *sasl, const struct config_list *brokers,
	struct config_scope *scope)
{
	bool good = true;
	if (!config_failed(scope, "sasl", NULL))
		good = kafka_sasl_uses_tokens(sasl) ? check_tokens(sasl, scope) : check_password(sasl, scope);
	good &= check_tls(tls, scope);
	if (good)
		warn_of_open_secrets(tls, sasl, brokers, scope);
	if (good && gateway_wanted(sasl) && kafka_tls_used(tls))
		trust_prepare(tls->ca); /* the gateway is made on the loop */
	return good;
}

const char *kafka_security_refuses_property(const struct kafka_sasl *sasl, const char *name)
{
	if (!gateway_wanted(sasl) || (strncmp(name, "ssl.", 4) != 0 && strncmp(name, "sasl.", 5) != 0 &&
					     strcmp(name, "security.protocol") != 0))
		return NULL;
	return "with SCRAM linkspan does TLS and the login itself, since this librdkafka cannot. Leave it out, or take "
	       "librdkafka 2.6.1 or later";
}

/* --- into the library -------------------------------------------------------------------------------------------- */

struct security_conf {
	rd_kafka_conf_t *conf;
	char *errstr;
	size_t errstr_size;
	bool failed;
};

static void conf_set(struct security_conf *to, const char *name, const char *value)
{
	if (!to->failed && value)
		to->failed = rd_kafka_conf_set(to->conf, name, value, to->errstr, to->errstr_size) != RD_KAFKA_CONF_OK;
}

/* Tokens are given to the library when there are new ones (client.c), so that its asking needs no answer; and without a
 * function to ask it would make up tokens of its own. */
static void on_token_wanted(rd_kafka_t *rk, const char *config, void *opaque)
{
	(void)rk, (void)config, (void)opaque;
}

static void conf_set_sasl(struct security_conf *to, const struct kafka_sasl *sasl)
{
	conf_set(to, "sasl.mechanism", mechanisms[sasl->mechanism]);
	if (kafka_sasl_uses_tokens(sasl)) {
		conf_set(to, "enable.sasl.oauthbearer.unsecure.jwt", "false");
		rd_kafka_conf_set_oauthbearer_token_refresh_cb(to->conf, on_token_wanted);
		return;
	}
	conf_set(to, "sasl.username", sasl->username);
	conf_set(to, "sasl.password", sasl->password);
}

int kafka_security_conf(const struct kafka_tls *tls, const struct kafka_sasl *sasl, rd_kafka_conf_t *conf, char *errstr,
	size_t errstr_size)
{
	struct security_conf to = {conf, errstr, errstr_size, false};
	bool use_tls = kafka_tls_used(tls), use_sasl = kafka_sasl_used(sasl);
	if (gateway_wanted(sasl)) {
		conf_set(&to, "security.protocol", "plaintext");
		conf_set(&to, "socket.nagle.disable",
			"false"); /* cannot be set for a socket pair; the gateway does it */
		return to.failed ? -EINVAL : 0;
	}
	if (use_tls || use_sasl)
		conf_set(&to, "security.protocol", use_tls ? (use_sasl ? "sasl_ssl" : "ssl") : "sasl_plaintext");
	if (use_tls) {
		conf_set(&to, "ssl.ca.location", tls->ca);
		conf_set(&to, "ssl.certificate.location", tls->cert);
		conf_set(&to, "ssl.key.location", tls->key);
		conf_set(&to, "ssl.key.password", tls->key_password);
		conf_set(&to, "enable.ssl.certificate.verification", tls->verify ? "true" : "false");
	}
	if (use_sasl)
		conf_set_sasl(&to, sasl);
	return to.failed ? -EINVAL : 0;
}
