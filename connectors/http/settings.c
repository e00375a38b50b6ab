/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keys and what they cannot express.
 */
#include "connectors/http/settings.h"

#define OFFSET(member) offsetof(struct http_settings, member)

#define TLS(member) offsetof(struct http_tls, member)

static const struct config_key tls_keys[] = {
	{.name = "cert",
		.type = CONFIG_PATH,
		.offset = TLS(cert),
		.help = "PEM file of our own certificate, followed by its chain."},
	{.name = "key",
		.type = CONFIG_PATH,
		.offset = TLS(key),
		.help = "PEM file of the private key of cert, without a password."},
	{.name = "client_ca",
		.type = CONFIG_PATH,
		.offset = TLS(client_ca),
		.help = "Listener: PEM file of the authorities that sign clients' certificates. Clients are asked for one, and "
			"`access` says what it is good for."},
	{.name = NULL},
};

const struct config_key http_connection_keys[] = {
	/* Out. */
	{.name = "url",
		.type = CONFIG_STRING,
		.offset = OFFSET(url),
		.help = "Where requests go: http:// or https://, a host, and what all paths begin with."},
	/* In. */
	{.name = "listen",
		.type = CONFIG_LIST,
		.offset = OFFSET(listen),
		.help = "Addresses to take requests at, `127.0.0.1:8080` or `[::1]:8080`. Makes this connection a "
			"listener."},
	{.name = "public",
		.type = CONFIG_BOOL,
		.offset = OFFSET(in.public),
		.fallback = "false",
		.help = "Whether a listener without authentication may be reached from other machines."},
	{.name = "access",
		.type = CONFIG_SECTION,
		.offset = OFFSET(in.access),
		.children = auth_in_keys,
		.help = "Listener: who may send requests, and to which paths. Left out: everybody."},
	{.name = "limits",
		.type = CONFIG_SECTION,
		.offset = OFFSET(in.limits),
		.children = in_limits_keys,
		.help = "Listener: what it bears."},
	{.name = "key_ttl",
		.type = CONFIG_DURATION,
		.offset = OFFSET(in.key_ttl_ms),
		.fallback = "24h",
		.min = 1000,
		.max = (int64_t)30 * 24 * 3600 * 1000,
		.help = "Listener: how long a request's Idempotency-Key (or webhook-id) is known, so that the same request gets "
			"the same answer and no second message."},
	/* Both. */
	{.name = "tls",
		.type = CONFIG_SECTION,
		.offset = OFFSET(tls),
		.children = tls_keys,
		.help = "Certificates. They are read again on SIGHUP."},
	{.name = NULL},
};

const struct config_key http_from_keys[] = {
	{.name = "split",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct http_from_settings, split),
		.fallback = "none",
		.choices = http_splits,
		.help = "json-array: the body is an array, and each of its elements becomes a message, as it is written; all of "
			"them or none. Where filters overlap it is enough that one says so."},
	{.name = NULL},
};

const struct config_key http_to_keys[] = {
	{.name = NULL},
};

void http_settings_check(const void *arg, struct config_scope *scope)
{
	const struct http_settings *settings = arg;
	if (!settings->url && settings->listen.n == 0 && !config_failed(scope, "url", NULL) &&
		!config_failed(scope, "listen", NULL))
		config_complain(scope, NULL, NULL,
			"this connection neither sends nor takes requests; set url to send them, or listen to take "
			"them");
	if (settings->url && settings->listen.n > 0)
		config_complain(scope, "listen", NULL,
			"a connection with url cannot listen as well; make two connections of it");
	else if (settings->listen.n > 0)
		in_settings_check(settings, scope);
}
