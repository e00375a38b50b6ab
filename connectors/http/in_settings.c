/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables and checks of a listener.
 */
#include "connectors/http/in_settings.h"

#include <stdio.h>

#include "config/listen.h"
#include "connectors/http/in_tls.h"
#include "connectors/http/settings.h"
#include "message/message.h"

#define LIMIT(member) offsetof(struct in_limits, member)
#define MIB           (1024 * 1024)

const char *const http_splits[] = {"none", "json-array", NULL};

const struct config_key in_limits_keys[] = {
	{.name = "max_body",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_body),
		.fallback = "1MiB",
		.min = 1,
		.max = MESSAGE_MAX_PAYLOAD,
		.help = "The largest body that is taken; a larger one is answered with 413, before it is read where "
			"its "
			"length is announced."},
	{.name = "max_head",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_head),
		.fallback = "16KiB",
		.min = 4096,
		.max = MIB,
		.help = "Memory of a connection for the head of a request: about half of it may be headers (else 431) "
			"or target "
			"(else 414)."},
	{.name = "max_connections",
		.type = CONFIG_INT,
		.offset = LIMIT(max_connections),
		.fallback = "1000",
		.min = 1,
		.max = 100000,
		.help = "Connections at a time to each address of `listen`; more wait until one ends."},
	{.name = "max_per_address",
		.type = CONFIG_INT,
		.offset = LIMIT(max_per_address),
		.fallback = "256",
		.min = 1,
		.max = 100000,
		.help = "Connections at a time from one client's address; more are closed at once. Behind a proxy all "
			"clients have its address."},
	{.name = "max_waiting",
		.type = CONFIG_INT,
		.offset = LIMIT(max_waiting),
		.fallback = "512",
		.min = 1,
		.max = 100000,
		.help = "Requests that wait for the journal, or for room in an outbox; more are answered with 503."},
	{.name = "max_buffered",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_buffered),
		.fallback = "64MiB",
		.min = 1,
		.max = (int64_t)4096 * MIB,
		.help = "Memory for all bodies that are being received or wait; a request for which there is none is "
			"answered "
			"with 503."},
	{.name = "max_split",
		.type = CONFIG_INT,
		.offset = LIMIT(max_split),
		.fallback = "1000",
		.min = 1,
		.max = 100000,
		.help = "Messages that one body may be split into (`split`); more are answered with 413."},
	{.name = "head_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(head_timeout_ms),
		.fallback = "10s",
		.min = 100,
		.max = 3600000,
		.help = "How long a new connection may take to the end of its first request's head, TLS included, and "
			"a "
			"head from the end of its first line."},
	{.name = "request_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(request_timeout_ms),
		.fallback = "30s",
		.min = 100,
		.max = 3600000,
		.help = "How long a body may take (else 408), and how long the client to take in an answer."},
	{.name = "idle_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(idle_timeout_ms),
		.fallback = "60s",
		.min = 100,
		.max = 3600000,
		.help = "How long a connection may stay without a request after the last one."},
	{.name = "busy_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(busy_timeout_ms),
		.fallback = "10s",
		.min = 0,
		.max = 3600000,
		.help = "How long a request waits for room in a full outbox with `when_full: block` before it is "
			"answered with "
			"503. 0: it does not wait."},
	{.name = NULL},
};

/* The first that other machines can reach; NULL: none. */
static const struct config_text *open_address(const struct http_settings *settings)
{
	struct listen_address address;
	for (size_t i = 0; i < settings->listen.n; i++)
		if (!listen_parse(settings->listen.items[i].value, &address) && !address.loopback)
			return &settings->listen.items[i];
	return NULL;
}

static void check_listen(const struct http_settings *settings, struct config_scope *scope)
{
	struct listen_address address;
	char item[24];
	for (size_t i = 0; i < settings->listen.n; i++) {
		const char *wrong = listen_parse(settings->listen.items[i].value, &address);
		snprintf(item, sizeof item, "%zu", i);
		if (wrong)
			config_complain(scope, "listen", item, "'%s': %s", settings->listen.items[i].value, wrong);
	}
}

static void check_tls(const struct http_settings *settings, struct config_scope *scope)
{
	const struct http_tls *tls = &settings->tls;
	if (config_failed(scope, "tls", NULL) || config_failed(scope, "tls", "cert") ||
		config_failed(scope, "tls", "key"))
		return;
	if (!tls->cert != !tls->key)
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"%s stands alone; name the PEM files of both, cert and key", tls->cert ? "cert" : "key");
	else if (tls->client_ca && !tls->cert)
		config_complain(scope, "tls", "client_ca",
			"clients show certificates over TLS only; name cert and key of this listener as well");
	else if (tls->cert)
		in_tls_check(tls, scope);
}

void in_settings_check(const struct http_settings *settings, struct config_scope *scope)
{
	const struct in_settings *in = &settings->in;
	check_listen(settings, scope);
	check_tls(settings, scope);
	auth_in_check(&in->access, settings->tls.client_ca != NULL, scope, "access");
	const struct config_text *open = open_address(settings);
	if (open && !in->public && !auth_in_used(&in->access) && !config_failed(scope, "access", NULL) &&
		!config_failed(scope, "public", NULL))
		config_complain(scope, "listen", NULL,
			"'%s' can be reached from other machines and nobody has to say who he is; set access, listen "
			"on "
			"127.0.0.1, or say public: true if everybody may send",
			open->value);
	if (in->limits.max_body > in->limits.max_buffered && !config_failed(scope, "limits", "max_body") &&
		!config_failed(scope, "limits", "max_buffered"))
		config_complain(scope, "limits",
			config_given(scope, "limits", "max_buffered") ? "max_buffered" : "max_body",
			"max_buffered is less than max_body, so that the largest bodies never fit; make it larger");
}

void in_settings_check_absent(struct config_scope *scope)
{
	static const char *const keys[][2] = {
		{"public"}, {"access"}, {"limits"}, {"key_ttl"}, {"tls", "client_ca"}, {NULL}};
	for (int i = 0; keys[i][0]; i++)
		if (config_given(scope, keys[i][0], NULL) && config_given(scope, keys[i][0], keys[i][1]))
			config_complain(scope, keys[i][0], keys[i][1],
				"this is a key of connections with listen, and this one sends. Leave it out");
}

void in_settings_check_from(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope)
{
	char item[24];
	(void)settings, (void)from_settings;
	for (size_t i = 0; i < filters->n; i++) {
		const char *filter = filters->items[i].value;
		snprintf(item, sizeof item, "%zu", i);
		if (filter[0] != '/')
			config_complain(scope, "topic", item,
				"a path begins with a slash, and '%s' does not; write '/%s'", filter, filter);
	}
}
