/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses, who may do what, and files that belong together.
 */
#include "connectors/coap/in_settings.h"

#include <stdio.h>
#include <string.h>

#include "connectors/coap/in_address.h"
#include "connectors/coap/in_security.h"
#include "connectors/coap/path.h"
#include "connectors/common/allowed_paths.h"

#define ITEM_SIZE 24

static bool is_secured(coap_proto_t proto)
{
	return proto == COAP_PROTO_DTLS || proto == COAP_PROTO_TLS;
}

static bool is_datagram(coap_proto_t proto)
{
	return proto == COAP_PROTO_UDP || proto == COAP_PROTO_DTLS;
}

/* --- addresses --------------------------------------------------------------------------------------------------------- */

static void check_address(const struct coap_settings *settings, size_t i, const struct coap_in_address *address,
	struct config_scope *scope)
{
	const char *text = settings->listen.items[i].value;
	char item[ITEM_SIZE];
	snprintf(item, sizeof item, "%zu", i);
	bool failed = config_failed(scope, "psk", NULL) || config_failed(scope, "psk", "file") ||
		      config_failed(scope, "tls", NULL) || config_failed(scope, "tls", "cert");
	if (is_secured(address->proto) && !settings->psk.file && !settings->tls.cert && !failed)
		config_complain(scope, "listen", item,
			"'%s' is secured, and there is nothing to do that with; name psk.file, or tls.cert and tls.key",
			text);
	if (!is_secured(address->proto) && !address->at.loopback && !settings->in.public &&
		!config_failed(scope, "public", NULL))
		config_complain(scope, "listen", item,
			"'%s' can be reached from other machines and nobody has to say who he is; listen on coaps://, "
			"or on 127.0.0.1, or say public: true if everybody may send",
			text);
}

static bool check_listen(const struct coap_settings *settings, struct config_scope *scope)
{
	struct coap_in_address address;
	char item[ITEM_SIZE];
	bool has_datagrams = false;
	for (size_t i = 0; i < settings->listen.n; i++) {
		const char *wrong = coap_in_address_parse(settings->listen.items[i].value, &address);
		snprintf(item, sizeof item, "%zu", i);
		if (wrong) {
			config_complain(scope, "listen", item, "'%s': %s", settings->listen.items[i].value, wrong);
			has_datagrams = true; /* who knows */
			continue;
		}
		has_datagrams |= is_datagram(address.proto);
		check_address(settings, i, &address, scope);
	}
	return has_datagrams;
}

static void check_groups(const struct coap_settings *settings, bool has_datagrams, struct config_scope *scope)
{
	char group[COAP_IN_GROUP_SIZE], interface[COAP_IN_GROUP_SIZE], item[ITEM_SIZE];
	const struct config_list *groups = &settings->in.multicast;
	for (size_t i = 0; i < groups->n; i++) {
		const char *wrong = coap_in_group_parse(groups->items[i].value, group, interface);
		snprintf(item, sizeof item, "%zu", i);
		if (wrong)
			config_complain(scope, "multicast", item, "'%s': %s", groups->items[i].value, wrong);
	}
	if (groups->n && !has_datagrams)
		config_complain(scope, "multicast", NULL,
			"no address of listen takes datagrams, and others cannot join a group; add a coap:// one");
}

/* --- who may do what --------------------------------------------------------------------------------------------------- */

static void check_files(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_tls *tls = &settings->tls;
	struct coap_in_security *security;
	char why[512];
	if (config_failed(scope, "tls", NULL) || config_failed(scope, "tls", "cert") ||
		config_failed(scope, "tls", "key") || config_failed(scope, "tls", "client_ca") ||
		config_failed(scope, "psk", NULL) || config_failed(scope, "psk", "file"))
		return;
	if (!tls->cert != !tls->key) {
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"%s stands alone; name the PEM files of both, cert and key", tls->cert ? "cert" : "key");
	} else if (tls->client_ca && !tls->cert) {
		config_complain(scope, "tls", "client_ca",
			"clients show certificates to a server that has one; name cert and key of this listener as "
			"well");
	} else if (coap_in_security_new(settings, why, sizeof why, &security) < 0) {
		config_complain(scope, tls->cert ? "tls" : "psk", NULL, "%s; name files that are right", why);
	} else if (security) {
		if (coap_in_security_is_exposed(security))
			config_warn(scope, "psk", "file",
				"everybody on this machine can read these keys; take that right away (chmod o-r)");
		coap_in_security_free(security);
	}
}

static void check_allow(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct config_list *allow = &settings->in.allow;
	for (size_t i = 0; i < allow->n; i++) {
		const char *wrong = allowed_paths_check(allow->items[i].value);
		if (wrong)
			config_complain(scope, "allow", allow->items[i].name, "%s", wrong);
	}
}

static void check_limits(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_limits *limits = &settings->in.limits;
	if (limits->max_body > limits->max_buffered && !config_failed(scope, "limits", "max_body") &&
		!config_failed(scope, "limits", "max_buffered"))
		config_complain(scope, "limits",
			config_given(scope, "limits", "max_buffered") ? "max_buffered" : "max_body",
			"max_buffered is less than max_body, so that the largest bodies never fit; make it larger");
}

static void check_absent(struct config_scope *scope)
{
	static const char *const keys[][2] = {{"method"}, {"timeout"}, {"concurrency"}, {"order"}, {"block_size"},
		{"transmission"}, {"max_response"}, {"max_peers"}, {"allow_private"}, {"psk", "identity"},
		{"psk", "key"}, {"tls", "ca"}, {NULL}};
	for (int i = 0; keys[i][0]; i++)
		if (config_given(scope, keys[i][0], NULL) && config_given(scope, keys[i][0], keys[i][1]))
			config_complain(scope, keys[i][0], keys[i][1],
				"this is a key of connections with url, and this one listens. Leave it out");
}

void coap_in_check(const struct coap_settings *settings, struct config_scope *scope)
{
	check_absent(scope);
	check_groups(settings, check_listen(settings, scope), scope);
	check_files(settings, scope);
	check_allow(settings, scope);
	check_limits(settings, scope);
}

bool coap_in_knows_repetitions(const struct coap_settings *settings)
{
	struct coap_in_address address;
	for (size_t i = 0; i < settings->listen.n; i++)
		if (coap_in_address_parse(settings->listen.items[i].value, &address) || address.proto != COAP_PROTO_UDP)
			return false;
	return settings->in.dedupe == COAP_DEDUPE_DURABLE;
}

/* --- mappings ---------------------------------------------------------------------------------------------------------- */

void coap_in_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope)
{
	static const char *const keys[] = {"mode", "every", "query", "accept", NULL};
	char item[ITEM_SIZE];
	(void)settings, (void)from;
	for (int i = 0; keys[i]; i++)
		if (config_given(scope, keys[i], NULL))
			config_complain(scope, keys[i], NULL,
				"this is a key of connections with url, and that one listens. Leave it out");
	for (size_t i = 0; i < filters->n; i++) {
		const char *filter = filters->items[i].value;
		snprintf(item, sizeof item, "%zu", i);
		if (filter[0] != '/')
			config_complain(scope, "topic", item,
				"a path begins with a slash, and '%s' does not; write '/%s'", filter, filter);
	}
}

const char *coap_in_check_target(const struct coap_settings *settings, struct slice target)
{
	(void)settings;
	return coap_path_check(target);
}
