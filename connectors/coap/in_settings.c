/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses, who may do what, and files that belong together.
 */
#include "connectors/coap/in_settings.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "connectors/coap/in_address.h"
#include "connectors/coap/path.h"
#include "connectors/coap/psk_file.h"
#include "connectors/common/allowed_paths.h"
#include "connectors/common/pem_files.h"

#define ITEM_SIZE 24
#define EVERYBODY "*"

struct doors { /* what kinds of addresses there are */
	bool any_v4, any_v6; /* coap:// at all of this machine's addresses */
	bool secured;
};

/* --- addresses --------------------------------------------------------------------------------------------------------- */

static void check_address(const struct coap_settings *settings, size_t i, const struct coap_in_address *address,
	struct config_scope *scope)
{
	const char *text = settings->listen.items[i].value;
	char item[ITEM_SIZE];
	snprintf(item, sizeof item, "%zu", i);
	bool failed = config_failed(scope, "psk", NULL) || config_failed(scope, "psk", "file") ||
		      config_failed(scope, "tls", NULL) || config_failed(scope, "tls", "cert");
	if (coap_scheme_is_secure(address->scheme) && !settings->psk.file && !settings->tls.cert && !failed)
		config_complain(scope, "listen", item,
			"'%s' is secured, and there is nothing to do that with; name psk.file, or tls.cert and tls.key",
			text);
	if (!coap_scheme_is_secure(address->scheme) && !address->at.loopback && !settings->in.public &&
		!config_failed(scope, "public", NULL))
		config_complain(scope, "listen", item,
			"'%s' can be reached from other machines and nobody has to say who he is; listen on coaps://, "
			"or on 127.0.0.1, or say public: true if everybody may send",
			text);
	if (coap_scheme_is_secure(address->scheme) && !address->at.loopback && !settings->in.public &&
		settings->tls.cert && !settings->tls.client_ca && settings->in.allow.n == 0 && !failed &&
		!config_failed(scope, "public", NULL) && !config_failed(scope, "allow", NULL) &&
		!config_failed(scope, "tls", "client_ca"))
		config_complain(scope, "listen", item,
			"'%s' can be reached from other machines and nobody has to show a certificate; name "
			"tls.client_ca, or what everybody may do in allow, or say public: true if everybody may send",
			text);
}

static void note_any(const struct listen_address *at, struct doors *doors)
{
	const struct sockaddr *any = (const struct sockaddr *)&at->at;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	memcpy(&in, any, sizeof in);
	memcpy(&in6, any, sizeof in6);
	doors->any_v4 |= any->sa_family == AF_INET && in.sin_addr.s_addr == htonl(INADDR_ANY);
	doors->any_v6 |= any->sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
}

static struct doors check_listen(const struct coap_settings *settings, struct config_scope *scope)
{
	struct coap_in_address address;
	char item[ITEM_SIZE];
	struct doors doors = {.secured = false};
	for (size_t i = 0; i < settings->listen.n; i++) {
		const char *wrong = coap_in_address_parse(settings->listen.items[i].value, &address);
		snprintf(item, sizeof item, "%zu", i);
		if (wrong) {
			config_complain(scope, "listen", item, "'%s': %s", settings->listen.items[i].value, wrong);
			doors = (struct doors){true, true, true}; /* who knows */
			continue;
		}
		if (address.scheme == COAP_SCHEME_UDP)
			note_any(&address.at, &doors);
		doors.secured |= coap_scheme_is_secure(address.scheme);
		check_address(settings, i, &address, scope);
	}
	return doors;
}

static void check_groups(const struct coap_settings *settings, struct doors doors, struct config_scope *scope)
{
	char group[COAP_IN_GROUP_SIZE], interface[COAP_IN_GROUP_SIZE], item[ITEM_SIZE];
	const struct config_list *groups = &settings->in.multicast;
	for (size_t i = 0; i < groups->n; i++) {
		const char *wrong = coap_in_group_parse(groups->items[i].value, group, interface);
		snprintf(item, sizeof item, "%zu", i);
		bool is_v6 = strchr(group, ':') != NULL;
		if (wrong)
			config_complain(scope, "multicast", item, "'%s': %s", groups->items[i].value, wrong);
		else if (is_v6 ? !doors.any_v6 : !doors.any_v4)
			config_complain(scope, "multicast", item,
				"no address of listen is coap://%s, and a socket at any other gets nothing that is "
				"sent to "
				"a group; add that one",
				is_v6 ? "[::]" : "0.0.0.0");
	}
}

/* --- who may do what --------------------------------------------------------------------------------------------------- */

static void check_psk(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_psk *psk = &settings->psk;
	struct psk_file *file = NULL;
	char error[PSK_ERROR_SIZE];
	if (config_failed(scope, "psk", NULL) || config_failed(scope, "psk", "file"))
		return;
	if (psk->hint && !psk->file)
		config_complain(scope, "psk", "hint",
			"a hint is for clients that have a key, and there is none; name psk.file as well");
	const char *slash = psk->file ? strrchr(psk->file, '/') : NULL; /* the folder is in the configuration */
	if (psk->file && psk_file_read(psk->file, &file, error) < 0)
		config_complain(scope, "psk", "file", "%s", error + (slash ? slash + 1 - psk->file : 0));
	else if (file && psk_file_is_exposed(file))
		config_warn(scope, "psk", "file",
			"everybody on this machine can read these keys; take that right away (chmod o-r)");
	psk_file_free(file);
}

static void check_tls(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_tls *tls = &settings->tls;
	if (config_failed(scope, "tls", NULL) || config_failed(scope, "tls", "cert") ||
		config_failed(scope, "tls", "key") || config_failed(scope, "tls", "client_ca"))
		return;
	if (!tls->cert != !tls->key)
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"%s stands alone; name the PEM files of both, cert and key", tls->cert ? "cert" : "key");
	else if (tls->client_ca && !tls->cert)
		config_complain(scope, "tls", "client_ca",
			"clients show certificates to a server that has one; name cert and key of this listener as "
			"well");
	struct pem_files files = {.ca_key = "client_ca", .ca = tls->client_ca, .cert = tls->cert, .key = tls->key};
	pem_files_check(&files, scope);
}

/* Keys that nobody is asked for, wherever he comes in. */
static void check_unused(const struct coap_settings *settings, struct doors doors, struct config_scope *scope)
{
	static const char unused[] = "no address of listen is secured, so that this is of no use; write coaps:// or "
				     "coaps+tcp:// there, or leave it out";
	if (doors.secured)
		return;
	if (settings->psk.file && !config_failed(scope, "psk", "file"))
		config_complain(scope, "psk", NULL, "%s", unused);
	if (settings->tls.cert && !config_failed(scope, "tls", "cert"))
		config_complain(scope, "tls", NULL, "%s", unused);
}

static void check_allow(const struct coap_settings *settings, struct doors doors, struct config_scope *scope)
{
	const struct config_list *allow = &settings->in.allow;
	bool has_names = (doors.secured && (settings->psk.file || settings->tls.client_ca)) ||
			 config_failed(scope, "psk", "file") || config_failed(scope, "tls", "client_ca");
	for (size_t i = 0; i < allow->n; i++) {
		const char *name = allow->items[i].name, *wrong = allowed_paths_check(allow->items[i].value);
		if (wrong)
			config_complain(scope, "allow", name, "%s", wrong);
		else if (!has_names && strcmp(name, EVERYBODY) != 0)
			config_complain(scope, "allow", name,
				"nobody can show here that he is '%s'; listen on coaps:// with psk.file or "
				"tls.client_ca, or write \"*\", which is everybody",
				name);
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
	struct doors doors = check_listen(settings, scope);
	check_groups(settings, doors, scope);
	check_psk(settings, scope);
	check_tls(settings, scope);
	check_unused(settings, doors, scope);
	check_allow(settings, doors, scope);
	check_limits(settings, scope);
}

bool coap_in_knows_repetitions(const struct coap_settings *settings)
{
	struct coap_in_address address;
	for (size_t i = 0; i < settings->listen.n; i++)
		if (coap_in_address_parse(settings->listen.items[i].value, &address) ||
			address.scheme != COAP_SCHEME_UDP)
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

const char *coap_in_check_param(const char *name)
{
	static const char *const keys[] = {"method", "url", "accept", NULL};
	for (int i = 0; keys[i]; i++)
		if (strcmp(name, keys[i]) == 0)
			return "this is a key of connections with url, and that one listens. Leave it out";
	return NULL;
}
