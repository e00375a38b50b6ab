/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of a sender's keys before anything is sent. URLs are parsed by the library that will use them.
 */
#include "connectors/http/out_settings.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "connectors/common/pem_files.h"
#include "connectors/common/percent.h"
#include "connectors/common/trust.h"
#include "connectors/http/signature.h"

static const char *const batch_formats[] = {"json-array", "ndjson", NULL};

#define BATCH(member) offsetof(struct http_batch, member)

const struct config_key http_batch_keys[] = {
	{.name = "max",
		.type = CONFIG_INT,
		.offset = BATCH(max),
		.fallback = "1",
		.min = 1,
		.max = 10000,
		.help = "Messages in one request, at most. 1: no batches."},
	{.name = "wait",
		.type = CONFIG_DURATION,
		.offset = BATCH(wait_ms),
		.fallback = "50ms",
		.min = 0,
		.max = 60000,
		.help = "How long the first message of a batch waits for others."},
	{.name = "max_bytes",
		.type = CONFIG_SIZE,
		.offset = BATCH(max_bytes),
		.fallback = "1MiB",
		.min = 1,
		.max = INT64_C(64) << 20,
		.help = "Bytes of payload in one request, at most; a single message always fits."},
	{.name = "format",
		.type = CONFIG_ENUM,
		.offset = BATCH(format),
		.fallback = "json-array",
		.choices = batch_formats,
		.help = "json-array: one JSON array (application/json). ndjson: one JSON value a line "
			"(application/x-ndjson). Payloads that are not JSON go in as strings, those that are no text "
			"as {\"data_base64\": …}."},
	{.name = NULL},
};

#define BREAKER(member) offsetof(struct http_breaker_settings, member)

const struct config_key http_breaker_keys[] = {
	{.name = "failures",
		.type = CONFIG_INT,
		.offset = BREAKER(failures),
		.fallback = "5",
		.min = 1,
		.max = 1000000,
		.help = "Requests in a row that fail because of the receiver (no connection, no answer, 5xx, 429) "
			"after which it is "
			"left in peace for a while."},
	{.name = "min",
		.type = CONFIG_DURATION,
		.offset = BREAKER(min_ms),
		.fallback = "1s",
		.min = 1,
		.max = 3600000,
		.help = "How long at first, less up to half of it by chance; then one request tries."},
	{.name = "max",
		.type = CONFIG_DURATION,
		.offset = BREAKER(max_ms),
		.fallback = "60s",
		.min = 1,
		.max = 86400000,
		.help = "How long at most, when it fails again and again: the time doubles."},
	{.name = NULL},
};

/* --- URLs and paths ----------------------------------------------------------------------------------------------- */

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
	curl_free(text);
	return has;
}

static const char *url_mistake(CURLU *parsed, const char *url)
{
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return "it must begin with http:// or https://.";
	if (strchr(url, ':')[3] == '/')
		return "it names no host. Write https://host/path.";
	if (strpbrk(url, " \t\r\n"))
		return "a URL has no blanks. Write %20 for one.";
	if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK || !has_part(parsed, CURLUPART_HOST))
		return "this is not a URL. Write https://host/path.";
	if (has_part(parsed, CURLUPART_USER) || has_part(parsed, CURLUPART_PASSWORD))
		return "a user name does not belong in the URL, which is logged. Write auth: {basic: {username: …, "
		       "password: …}}.";
	if (strchr(url, '#')) /* an empty one too: what is appended would be its */
		return "a fragment (#…) is never sent. Leave it out.";
	return NULL;
}

const char *http_url_check(const char *url)
{
	CURLU *parsed = curl_url();
	const char *wrong = parsed ? url_mistake(parsed, url) : "out of memory.";
	curl_url_cleanup(parsed);
	return wrong;
}

static bool has_dot_segment(struct slice path)
{
	const uint8_t *query = memchr(path.data, '?', path.len);
	size_t len = query ? (size_t)(query - path.data) : path.len;
	for (size_t from = 0; from < len;) {
		const uint8_t *slash = memchr(path.data + from, '/', len - from);
		size_t to = slash ? (size_t)(slash - path.data) : len;
		struct slice segment = slice_of(path.data + from, to - from);
		if (slice_equal(segment, slice_str("..")) || slice_equal(segment, slice_str(".")))
			return true;
		from = to + 1;
	}
	return false;
}

const char *http_path_check(const char *url, struct slice path)
{
	if (path.len == 0)
		return NULL;
	if (url && strchr(url, '?'))
		return "the url of the connection has a query, behind which no path can stand. Leave path out, or move "
		       "the query into it.";
	if (path.data[0] != '/' && path.data[0] != '?')
		return "a path begins with /. It is appended to the url of the connection.";
	for (size_t i = 0; i < path.len; i++) {
		if (path.data[i] <= ' ' || path.data[i] == 0x7f)
			return "a path has no blanks and no control characters. Write %20 for a blank.";
		if (path.data[i] == '#')
			return "a fragment (#…) is never sent. Leave it out, or write %23.";
		if (path.data[i] > 0x7f)
			return "a path is plain ASCII (RFC 3986). Write other characters percent-encoded, in UTF-8.";
		if (path.data[i] == '\\')
			return "a path has no \\, which some servers take for /. Write %5C.";
	}
	return has_dot_segment(path) ? "a path with the segment . or .. leads elsewhere. Write out where it leads."
				     : NULL;
}

int http_path_insert(struct slice text, struct arena *arena, struct slice *ret_text)
{
	return percent_encode(text, arena, ret_text);
}

int http_method_find(struct slice name)
{
	for (int i = 0; http_methods[i]; i++)
		if (slice_equal(name, slice_str(http_methods[i])))
			return i;
	return -1;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool is_plain_http(const struct http_settings *settings)
{
	return settings->url && strncasecmp(settings->url, "http://", 7) == 0;
}

static void check_url(const struct http_settings *settings, struct config_scope *scope)
{
	const char *wrong = settings->url ? http_url_check(settings->url) : NULL;
	if (!wrong && settings->url && strpbrk(settings->url, "{}"))
		wrong = "nothing is inserted here. Write {…} in the path or the url under 'to' of a mapping.";
	if (wrong && !config_failed(scope, "url", NULL))
		config_complain(scope, "url", NULL, "%s", wrong);
}

static void check_signing(const struct http_settings *settings, struct config_scope *scope)
{
	const char *wrong = settings->out.signing_secret ? signer_check(settings->out.signing_secret) : NULL;
	if (wrong && !config_failed(scope, "signing_secret", NULL))
		config_complain(scope, "signing_secret", NULL, "%s", wrong);
}

static void check_events(const struct http_settings *settings, struct config_scope *scope)
{
	cloudevents_check(&settings->events, scope);
	if (config_given(scope, "cloudevents", "read"))
		config_complain(scope, "cloudevents", "read",
			"this is for connections with listen, which read; this one sends. Leave it out");
}

static void check_batch(const struct http_settings *settings, struct config_scope *scope)
{
	if (!http_settings_batches(settings) || config_failed(scope, "batch", NULL))
		return;
	if (settings->out.order == HTTP_ORDER_NONE && !config_failed(scope, "order", NULL))
		config_complain(scope, "order", NULL,
			"batches are sent one after the other, in order. Leave out order, or batch");
	if (settings->events.mode == CLOUDEVENTS_BINARY && !config_failed(scope, "cloudevents", NULL))
		config_complain(scope, "cloudevents", "mode",
			"a binary CloudEvent is a request of its own. Write structured, or leave out batch");
}

static void check_breaker(const struct http_settings *settings, struct config_scope *scope)
{
	const struct http_breaker_settings *breaker = &settings->out.breaker;
	if (breaker->min_ms > breaker->max_ms && !config_failed(scope, "breaker", NULL))
		config_complain(
			scope, "breaker", "min", "min must not be more than max. Make it shorter, or max longer");
}

static void check_tls(const struct http_settings *settings, struct config_scope *scope)
{
	const struct http_tls *tls = &settings->tls;
	bool given = tls->ca || tls->cert || tls->key;
	if (given && is_plain_http(settings) && !config_failed(scope, "url", NULL))
		config_complain(scope, "tls", NULL, "this url has no TLS. Write https:// there, or leave out tls");
	if (!tls->cert != !tls->key && !config_failed(scope, "tls", NULL))
		config_complain(scope, "tls", tls->cert ? "cert" : "key",
			"a certificate needs its private key and the other way round. Give both cert and key");
	struct pem_files files = {.ca_key = "ca", .ca = tls->ca, .cert = tls->cert, .key = tls->key};
	pem_files_check(&files, scope);
	if (!tls->ca && !is_plain_http(settings))
		trust_prepare(NULL); /* the loop is not to do it */
}

static void check_order(const struct http_settings *settings, struct config_scope *scope)
{
	if (settings->out.connect_timeout_ms > settings->out.timeout_ms && !config_failed(scope, "timeout", NULL) &&
		config_given(scope, "connect_timeout", NULL) && !config_failed(scope, "connect_timeout", NULL))
		config_complain(scope, "connect_timeout", NULL,
			"connect_timeout is a part of timeout and cannot be longer. Make it shorter, or timeout "
			"longer");
}

void http_out_check(const struct http_settings *settings, struct config_scope *scope)
{
	check_url(settings, scope);
	auth_out_check(&settings->out.auth, settings->url, scope, "auth");
	check_signing(settings, scope);
	check_events(settings, scope);
	check_batch(settings, scope);
	check_breaker(settings, scope);
	check_tls(settings, scope);
	check_order(settings, scope);
}

void http_out_check_absent(struct config_scope *scope)
{
	static const char *const keys[] = {"method", "timeout", "connect_timeout", "concurrency", "order",
		"http_version", "signing_secret", "batch", "redirects", "allow_private", "breaker", NULL};
	static const char *const event_keys[] = {"mode", "source", "type", NULL};
	if (config_given(scope, "auth", NULL))
		config_complain(scope, "auth", NULL,
			"this says who a sender is, and this connection listens; who may send requests to it is said "
			"by "
			"access");
	for (int i = 0; keys[i]; i++)
		if (config_given(scope, keys[i], NULL))
			config_complain(scope, keys[i], NULL,
				"%s is a key of connections with url, which send; this one listens. Leave it out",
				keys[i]);
	for (int i = 0; event_keys[i]; i++)
		if (config_given(scope, "cloudevents", event_keys[i]))
			config_complain(scope, "cloudevents", event_keys[i],
				"this is for connections with url, which send; this one listens, and read: true takes "
				"apart the events that come. Leave it out");
}
