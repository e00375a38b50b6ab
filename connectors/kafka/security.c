/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS and SASL: the keys, what can be said of them without a network, and their way into the library.
 */
#include "connectors/kafka/security.h"

#include <errno.h>

static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

const struct config_key kafka_tls_keys[] = {
	{.name = "enabled",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct kafka_tls, enabled),
		.fallback = "false",
		.help = "Speak TLS. Any of ca, cert and key switches it on as well."},
	{.name = "ca",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, ca),
		.help = "PEM file of the authorities that may sign the brokers' certificates. Default: the "
			"system's."},
	{.name = "cert",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, cert),
		.help = "PEM file of our own certificate, followed by its chain."},
	{.name = "key",
		.type = CONFIG_PATH,
		.offset = offsetof(struct kafka_tls, key),
		.help = "PEM file of the private key of cert."},
	{.name = "key_password",
		.type = CONFIG_SECRET,
		.offset = offsetof(struct kafka_tls, key_password),
		.help = "Password of the private key."},
	{.name = "verify",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct kafka_tls, verify),
		.fallback = "true",
		.help = "Check the brokers' certificates and host names. false is for laboratories."},
	{.name = NULL},
};

const struct config_key kafka_sasl_keys[] = {
	{.name = "mechanism",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct kafka_sasl, mechanism),
		.fallback = "PLAIN",
		.choices = mechanisms,
		.help = "How to log in. PLAIN sends the password as it is: use it over TLS only."},
	{.name = "username",
		.type = CONFIG_STRING,
		.offset = offsetof(struct kafka_sasl, username),
		.help = "User name; switches SASL on."},
	{.name = "password",
		.type = CONFIG_SECRET,
		.offset = offsetof(struct kafka_sasl, password),
		.help = "Password of that user."},
	{.name = NULL},
};

bool kafka_security_check(const struct kafka_tls *tls, const struct kafka_sasl *sasl, struct config_scope *scope)
{
	bool good = true;
	if (!sasl->username != !sasl->password && !config_failed(scope, "sasl", NULL)) {
		config_complain(scope, "sasl", sasl->username ? "username" : "password",
			"sasl has a %s and no %s. Give both, or neither.", sasl->username ? "username" : "password",
			sasl->username ? "password" : "username");
		good = false;
	}
	if (!tls->cert != !tls->key && !config_failed(scope, "tls", NULL)) {
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"tls has a %s and no %s. Give both, or neither.", tls->cert ? "cert" : "key",
			tls->cert ? "key" : "cert");
		good = false;
	}
	return good;
}

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

int kafka_security_conf(const struct kafka_tls *tls, const struct kafka_sasl *sasl, rd_kafka_conf_t *conf, char *errstr,
	size_t errstr_size)
{
	struct security_conf to = {conf, errstr, errstr_size, false};
	bool use_tls = tls->enabled || tls->ca || tls->cert || tls->key;
	bool use_sasl = sasl->username != NULL;
	if (use_tls || use_sasl)
		conf_set(&to, "security.protocol", use_tls ? (use_sasl ? "sasl_ssl" : "ssl") : "sasl_plaintext");
	if (use_tls) {
		conf_set(&to, "ssl.ca.location", tls->ca);
		conf_set(&to, "ssl.certificate.location", tls->cert);
		conf_set(&to, "ssl.key.location", tls->key);
		conf_set(&to, "ssl.key.password", tls->key_password);
		conf_set(&to, "enable.ssl.certificate.verification", tls->verify ? "true" : "false");
	}
	if (use_sasl) {
		conf_set(&to, "sasl.mechanism", mechanisms[sasl->mechanism]);
		conf_set(&to, "sasl.username", sasl->username);
		conf_set(&to, "sasl.password", sasl->password);
	}
	return to.failed ? -EINVAL : 0;
}
