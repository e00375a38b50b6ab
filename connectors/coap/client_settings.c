/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of a client's keys before anything is sent.
 */
#include "connectors/coap/client_settings.h"

#include <string.h>

#include "connectors/coap/content_format.h"
#include "connectors/coap/out_request.h"
#include "connectors/coap/out_url.h"
#include "connectors/coap/path.h"
#include "connectors/coap/psk_file.h"
#include "connectors/coap/watch_settings.h"
#include "connectors/common/pem_files.h"

#define MOST_IDENTITY_BYTES 128u

/* --- keys of the connection ------------------------------------------------------------------------------------------------ */

static void check_url(
	const struct coap_settings *settings, struct coap_url *url, bool *ret_good, struct config_scope *scope)
{
	const char *wrong = coap_url_parse(slice_str(settings->url), url);
	if (!wrong)
		wrong = coap_target_check(url->target);
	*ret_good = !wrong;
	if (wrong && !config_failed(scope, "url", NULL))
		config_complain(scope, "url", NULL, "%s", wrong);
}

static void check_key(const char *text, struct config_scope *scope)
{
	uint8_t key[PSK_MAX_KEY_BYTES];
	const char *wrong;
	if (psk_key_parse(slice_str(text), key, &wrong) < 0)
		config_complain(scope, "psk", "key", "%s", wrong);
	explicit_bzero(key, sizeof key);
}

static void check_psk(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_psk *psk = &settings->psk;
	if (psk->file && !config_failed(scope, "psk", "file"))
		config_complain(scope, "psk", "file",
			"a file of keys is for a connection that listens; this one has one key. Give identity and key");
	if (psk->hint && !config_failed(scope, "psk", "hint"))
		config_complain(
			scope, "psk", "hint", "a hint is given by who listens; this connection does not. Leave it out");
	if (!psk->identity != !psk->key && !config_failed(scope, "psk", "identity") &&
		!config_failed(scope, "psk", "key"))
		config_complain(scope, "psk", psk->identity ? "identity" : "key",
			"an identity needs its key and the other way round. Give both identity and key");
	if (psk->identity && (!*psk->identity || strlen(psk->identity) > MOST_IDENTITY_BYTES) &&
		!config_failed(scope, "psk", "identity"))
		config_complain(scope, "psk", "identity",
			"an identity has 1 to %u bytes. Give the one that the device knows", MOST_IDENTITY_BYTES);
	if (psk->key && !config_failed(scope, "psk", "key"))
		check_key(psk->key, scope);
}

static void check_tls(const struct coap_settings *settings, struct config_scope *scope)
{
	const struct coap_tls *tls = &settings->tls;
	if (tls->client_ca && !config_failed(scope, "tls", "client_ca"))
		config_complain(scope, "tls", "client_ca",
			"this is for a connection that listens; whose certificates a client takes is said by ca. Write "
			"ca");
	if (!tls->cert != !tls->key && !config_failed(scope, "tls", NULL))
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"a certificate needs its private key and the other way round. Give both cert and key");
	struct pem_files files = {.ca_key = "ca", .ca = tls->ca, .cert = tls->cert, .key = tls->key};
	pem_files_check(&files, scope);
}

static void check_security(const struct coap_settings *settings, const struct coap_url *url, struct config_scope *scope)
{
	bool psk = config_given(scope, "psk", NULL), tls = config_given(scope, "tls", NULL);
	if (psk && !coap_url_is_secure(url))
		config_complain(scope, "psk", NULL,
			"this url has no DTLS and no TLS. Write coaps:// or coaps+tcp:// there, or leave out psk");
	/* For devices that messages name, tls is of use all the same. */
	if (psk && (settings->tls.cert || settings->tls.key) && !config_failed(scope, "tls", NULL))
		config_complain(scope, "tls", "cert",
			"the device is shown a key or a certificate, not both. Leave out psk, or cert and key");
	if (tls && !psk && !coap_url_is_secure(url) && settings->tls.cert)
		config_complain(scope, "tls", "cert",
			"this url has no DTLS and no TLS, and no other device is shown the certificate. Write coaps:// "
			"or "
			"coaps+tcp:// there, or leave out cert and key");
}

static void check_absent(struct config_scope *scope)
{
	static const char *const keys[] = {"public", "multicast", "allow", "dedupe", "max_age", "limits", NULL};
	for (int i = 0; keys[i]; i++)
		if (config_given(scope, keys[i], NULL))
			config_complain(scope, keys[i], NULL,
				"%s is a key of connections with listen, which take requests; this one sends them. "
				"Leave "
				"it out",
				keys[i]);
}

void coap_client_check(const struct coap_settings *settings, struct config_scope *scope)
{
	struct coap_url url = {.port = 0};
	bool good = false;
	if (settings->url)
		check_url(settings, &url, &good, scope);
	check_psk(settings, scope);
	check_tls(settings, scope);
	if (good)
		check_security(settings, &url, scope);
	check_absent(scope);
}

/* --- mappings --------------------------------------------------------------------------------------------------------------- */

void coap_client_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope)
{
	coap_watch_check_from(settings, from, filters, scope);
}

const char *coap_client_check_target(const struct coap_settings *settings, struct slice target)
{
	(void)settings;
	return coap_target_check(target);
}

const char *coap_client_check_param(const char *name, struct slice value)
{
	struct coap_url url;
	if (strcmp(name, "rt") == 0 || strcmp(name, "title") == 0)
		return "this is a key of connections with listen, and that one has a url. Leave it out";
	if (!value.data)
		return NULL;
	if (strcmp(name, COAP_PARAM_METHOD) == 0)
		return coap_method_find(value) >= 0
			       ? NULL
			       : "this is no method; write PUT, POST, iPATCH, PATCH, DELETE, FETCH or GET";
	if (strcmp(name, COAP_PARAM_ACCEPT) == 0)
		return value.len == 0 || content_format_find(value) >= 0
			       ? NULL
			       : "CoAP has no number for this content type; write one of IANA's CoAP Content-Formats, "
				 "as "
				 "application/json, or coap/ and the number";
	if (strcmp(name, COAP_PARAM_URL) != 0)
		return NULL;
	const char *wrong = coap_url_parse(value, &url);
	return wrong ? wrong : coap_target_check(url.target);
}
