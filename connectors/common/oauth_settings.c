/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a token endpoint, and what can be said of them without asking it.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "connectors/common/oauth.h"

static const char *const auths[] = {"client_secret_basic", "client_secret_post", NULL};

const struct config_key oauth_keys[] = {
	{.name = "token_url",
		.type = CONFIG_STRING,
		.offset = offsetof(struct oauth_settings, token_url),
		.help = "The token endpoint: https://…"},
	{.name = "client_id",
		.type = CONFIG_STRING,
		.offset = offsetof(struct oauth_settings, client_id),
		.help = "Who we are there."},
	{.name = "client_secret",
		.type = CONFIG_SECRET,
		.offset = offsetof(struct oauth_settings, client_secret),
		.help = "The secret of that client."},
	{.name = "scope",
		.type = CONFIG_STRING,
		.offset = offsetof(struct oauth_settings, scope),
		.help = "What the token shall be good for, names with blanks between them. Default: what the endpoint "
			"gives."},
	{.name = "audience",
		.type = CONFIG_STRING,
		.offset = offsetof(struct oauth_settings, audience),
		.help = "For whom the token shall be, for endpoints that want to be told."},
	{.name = "auth",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct oauth_settings, auth),
		.fallback = "client_secret_basic",
		.choices = auths,
		.help = "How client_id and client_secret are sent: in the header Authorization, or in the form."},
	{.name = "ca",
		.type = CONFIG_PATH,
		.offset = offsetof(struct oauth_settings, ca),
		.help = "PEM file of the authorities that may sign the endpoint's certificate. Default: the system's."},
	{.name = "allow_http",
		.type = CONFIG_BOOL,
		.offset = offsetof(struct oauth_settings, allow_http),
		.fallback = "false",
		.help = "Send the secret without TLS, also to other machines. For laboratories."},
	{.name = "timeout",
		.type = CONFIG_DURATION,
		.offset = offsetof(struct oauth_settings, timeout_ms),
		.fallback = "10s",
		.min = 100,
		.max = 120000,
		.help = "How long the endpoint may take to answer."},
	{.name = NULL},
};

struct place {
	struct config_scope *scope;
	const char *key, *item;
};

/* At the child of the section, wherever that stands. */
static void complain(const struct place *place, const char *child, const char *what)
{
	char item[64];
	snprintf(item, sizeof item, "%s%s%s", place->item ? place->item : "", place->item ? "." : "", child);
	config_complain(place->scope, place->key, item, "%s", what);
}

static bool is_loopback(const char *host)
{
	struct in_addr address;
	if (inet_pton(AF_INET, host, &address) == 1)
		return ntohl(address.s_addr) >> 24 == 127;
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static bool check_url(const struct oauth_settings *settings, const struct place *place)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL, *fragment = NULL;
	const char *wrong = NULL;
	if (!url || curl_url_set(url, CURLUPART_URL, settings->token_url, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || strspn(host, "/ ") == strlen(host) ||
		(strcasecmp(scheme, "https") != 0 && strcasecmp(scheme, "http") != 0))
		wrong = "this is not the URL of a token endpoint. Write https://host/path.";
	else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
		wrong = "a user name does not belong here. Write client_id and client_secret.";
	else if (curl_url_get(url, CURLUPART_FRAGMENT, &fragment, 0) == CURLUE_OK)
		wrong = "a token endpoint has no fragment (#…). Leave it out.";
	else if (strcasecmp(scheme, "http") == 0 && !settings->allow_http && !is_loopback(host))
		wrong = "over http everybody on the way can read the secret and the token. Write https://, or "
			"allow_http: "
			"true if you must.";
	if (wrong)
		complain(place, "token_url", wrong);
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_free(fragment);
	curl_url_cleanup(url);
	return !wrong;
}

/* libcurl would only say so at the first fetch. */
static bool check_ca(const struct oauth_settings *settings, const struct place *place)
{
	if (!settings->ca)
		return true;
	BIO *in = BIO_new_file(settings->ca, "r");
	X509 *cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	bool good = cert != NULL;
	X509_free(cert);
	BIO_free(in);
	ERR_clear_error();
	if (!good)
		complain(place, "ca", "the file holds no certificate. It must be PEM.");
	return good;
}

bool oauth_check(const struct oauth_settings *settings, struct config_scope *scope, const char *key, const char *item)
{
	const struct place place = {scope, key, item};
	bool good = settings->token_url && check_url(settings, &place);
	return check_ca(settings, &place) && good;
}
