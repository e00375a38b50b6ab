/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keys and what they cannot express.
 */
#include "connectors/http/settings.h"

#include "connectors/http/out_settings.h"

#define OFFSET(member) offsetof(struct http_settings, member)

const char *const http_methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", NULL};
static const char *const orders[] = {"key", "none", NULL};
static const char *const versions[] = {"1.1", "2", NULL};
static const char *const redirects[] = {"none", "follow", NULL};

#define TLS(member) offsetof(struct http_tls, member)

static const struct config_key tls_keys[] = {
	{.name = "ca",
		.others = "cafile ca_file ca_cert cacert root_ca",
		.type = CONFIG_PATH,
		.offset = TLS(ca),
		.help = "Sender: PEM file of the authorities that may sign the receiver's certificate. Default: the "
			"system's."},
	{.name = "cert",
		.others = "certfile cert_file certificate client_cert",
		.type = CONFIG_PATH,
		.offset = TLS(cert),
		.help = "PEM file of our own certificate, followed by its chain."},
	{.name = "key",
		.others = "keyfile key_file private_key client_key",
		.type = CONFIG_PATH,
		.offset = TLS(key),
		.help = "PEM file of the private key of cert, without a password."},
	{.name = "client_ca",
		.type = CONFIG_PATH,
		.offset = TLS(client_ca),
		.help = "Listener: PEM file of the authorities that sign clients' certificates. Clients are asked for "
			"one, and "
			"`access` says what it is good for."},
	{.name = NULL},
};

const struct config_key http_connection_keys[] = {
	/* Out. */
	{.name = "url",
		.others = "endpoint uri address host base_url server webhook webhook_url",
		.type = CONFIG_STRING,
		.offset = OFFSET(url),
		.pattern = "[Hh][Tt][Tt][Pp][Ss]?://.+",
		.example = "https://example.org/hooks",
		.help = "Where requests go: http:// or https://, a host, and what all paths begin with. Makes this "
			"connection a sender."},
	{.name = "method",
		.others = "verb http_method",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.method),
		.fallback = "POST",
		.choices = http_methods,
		.help = "Method of requests for which the mapping gives none. GET and HEAD go without a body."},
	{.name = "timeout",
		.others = "request_timeout timeout_ms",
		.type = CONFIG_DURATION,
		.offset = OFFSET(out.timeout_ms),
		.fallback = "30s",
		.min = 100,
		.max = 3600000,
		.help = "How long a request may take, from its beginning to the end of the answer."},
	{.name = "connect_timeout",
		.type = CONFIG_DURATION,
		.offset = OFFSET(out.connect_timeout_ms),
		.fallback = "10s",
		.min = 100,
		.max = 3600000,
		.help = "How long of that the look-up of the name, the connection and TLS may take."},
	{.name = "concurrency",
		.others = "max_connections parallel max_in_flight workers pool_size",
		.type = CONFIG_INT,
		.offset = OFFSET(out.concurrency),
		.fallback = "8",
		.min = 1,
		.max = 1000,
		.help = "Requests under way, and connections, at most. Messages of one key go one after the other "
			"whatever "
			"this says, and so do batches."},
	{.name = "order",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.order),
		.fallback = "key",
		.choices = orders,
		.help = "key: a message waits until the one before it of the same key has been answered. none: no "
			"message "
			"waits for another, and they arrive in any order."},
	{.name = "http_version",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.version),
		.fallback = "1.1",
		.choices = versions,
		.help = "1.1, or 2 over TLS where the receiver offers it. Some receivers break off requests of version "
			"2 that "
			"they have taken, which then come twice."},
	{.name = "signing_secret",
		.others = "secret webhook_secret hmac_secret signature",
		.type = CONFIG_SECRET,
		.offset = OFFSET(out.signing_secret),
		.help = "Sign requests by Standard Webhooks: whsec_ and 24 to 64 bytes in base64. Several, with blanks "
			"between them, all sign, so that a receiver can change from one to the next."},
	{.name = "batch",
		.others = "batching batch_size",
		.type = CONFIG_SECTION,
		.offset = OFFSET(out.batch),
		.children = http_batch_keys,
		.help = "Several messages in one request. What is in a batch is fixed before it is first sent, and "
			"stays the "
			"same over retries and restarts."},
	{.name = "redirects",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.redirects),
		.fallback = "none",
		.choices = redirects,
		.help = "none: an answer that leads elsewhere is a refusal, and the message becomes a dead letter. "
			"follow: the "
			"same request is sent there, five times at most; after a 303 a GET."},
	{.name = "allow_private",
		.type = CONFIG_BOOL,
		.offset = OFFSET(out.allow_private),
		.fallback = "false",
		.help = "Whether URLs that come from a message, or from a redirect to another host, may lead to "
			"private, loopback and link-local addresses. They are looked at after the name was resolved."},
	{.name = "breaker",
		.type = CONFIG_SECTION,
		.offset = OFFSET(out.breaker),
		.children = http_breaker_keys,
		.help = "When a receiver that fails is left in peace."},
	/* In. */
	{.name = "listen",
		.others = "bind listener port bind_address server_address",
		.type = CONFIG_LIST,
		.offset = OFFSET(listen),
		.example = "127.0.0.1:8080",
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
		.fallback = "1h",
		.min = 1000,
		.max = (int64_t)30 * 24 * 3600 * 1000,
		.help = "Listener: how long a request's Idempotency-Key (or webhook-id) is known, so that the same "
			"request gets "
			"the same answer and no second message. As many keys must find room as come in that time: see "
			"journal.max_keys."},
	/* Both. */
	{.name = "tls",
		.others = "ssl verify_ssl https verify",
		.type = CONFIG_SECTION,
		.offset = OFFSET(tls),
		.children = tls_keys,
		.help = "Certificates. They are read again on SIGHUP."},
	{.name = "cloudevents",
		.type = CONFIG_SECTION,
		.offset = OFFSET(events),
		.children = cloudevents_keys,
		.help = "Messages as CloudEvents: `read` is for a listener, all else for a sender."},
	{.name = "auth",
		.others = "authentication authorization bearer bearer_token basic_auth credentials",
		.type = CONFIG_SECTION,
		.offset = OFFSET(out.auth),
		.children = auth_out_keys,
		.help = "Sender: what a request shows of us; one of the keys below. It is never sent to another host "
			"than that of url."},
	{.name = NULL},
};

const struct config_key http_from_keys[] = {
	{.name = "split",
		.type = CONFIG_ENUM,
		.offset = offsetof(struct http_from_settings, split),
		.fallback = "none",
		.choices = http_splits,
		.help = "json-array: the body is an array, and each of its elements becomes a message, as it is "
			"written; all of "
			"them or none. Where filters overlap it is enough that one says so."},
	{.name = NULL},
};

const struct config_key http_to_keys[] = {
	{.name = "method", .type = CONFIG_TEMPLATE, .help = "Method of the request. Default: that of the connection."},
	{.name = "url",
		.type = CONFIG_TEMPLATE,
		.help = "Where the request goes instead of the connection's url, for instance a webhook that the "
			"message names. What "
			"it answers concerns this message alone: it opens no breaker, and auth is not sent to other "
			"hosts."},
	CLOUDEVENT_TO_KEYS,
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
	else if (settings->listen.n > 0) {
		http_out_check_absent(scope);
		in_settings_check(settings, scope);
	} else {
		http_out_check(settings, scope);
		if (settings->url)
			in_settings_check_absent(scope);
	}
}
