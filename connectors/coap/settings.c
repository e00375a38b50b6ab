/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keys and what they cannot express.
 */
#include "connectors/coap/settings.h"

#include "connectors/coap/client_settings.h"
#include "connectors/coap/in_settings.h"
#include "message/message.h"

const char *const coap_methods[] = {"PUT", "POST", "IPATCH", "PATCH", "DELETE", "FETCH", "GET", NULL};
static const char *const orders[] = {"key", "none", NULL};
static const char *const dedupes[] = {"durable", "memory", NULL};
static const char *const successes[] = {"changed", "created", NULL};
static const char *const modes[] = {"observe", "poll", NULL};
static const char *const block_sizes[] = {"16", "32", "64", "128", "256", "512", "1024", NULL};

#define LIMIT(member) offsetof(struct coap_limits, member)
#define MIB           INT64_C(1048576)

static const struct config_key limits_keys[] = {
	{.name = "max_body",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_body),
		.fallback = "64KiB",
		.min = 1,
		.max = MESSAGE_MAX_PAYLOAD,
		.help = "The largest body that is taken, block-wise or in one; a larger one is answered with 4.13 and "
			"this as Size1."},
	{.name = "max_buffered",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_buffered),
		.fallback = "16MiB",
		.min = 1,
		.max = 4096 * MIB,
		.help = "Memory for all bodies that are being received or wait; a request for which there is none is "
			"answered with 5.03."},
	{.name = "max_waiting",
		.type = CONFIG_INT,
		.offset = LIMIT(max_waiting),
		.fallback = "4096",
		.min = 1,
		.max = 100000,
		.help = "Requests that wait for the journal, or for room in an outbox; more are answered with 5.03."},
	{.name = "max_sessions",
		.type = CONFIG_INT,
		.offset = LIMIT(max_sessions),
		.fallback = "10000",
		.min = 1,
		.max = 1000000,
		.help = "Peers that are known at a time; beyond it those that have been idle for longest are "
			"forgotten."},
	{.name = "max_handshakes",
		.type = CONFIG_INT,
		.offset = LIMIT(max_handshakes),
		.fallback = "500",
		.min = 1,
		.max = 100000,
		.help = "DTLS and TLS handshakes at a time."},
	{.name = "session_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(session_timeout_ms),
		.fallback = "5m",
		.min = 1000,
		.max = 86400000,
		.help = "How long a peer that sends nothing and observes nothing is known."},
	{.name = "max_observers",
		.type = CONFIG_INT,
		.offset = LIMIT(max_observers),
		.fallback = "10000",
		.min = 0,
		.max = 1000000,
		.help = "Observations at a time; a GET with Observe beyond it is answered as one without."},
	{.name = "max_resources",
		.type = CONFIG_INT,
		.offset = LIMIT(max_resources),
		.fallback = "10000",
		.min = 0,
		.max = 1000000,
		.help = "Paths that are observed at a time; as max_observers."},
	{.name = "rate",
		.type = CONFIG_INT,
		.offset = LIMIT(rate),
		.fallback = "0",
		.min = 0,
		.max = 1000000,
		.help = "Requests a second that one peer may send; more are answered with 4.29. 0: no limit."},
	{.name = "rate_burst",
		.type = CONFIG_INT,
		.offset = LIMIT(rate_burst),
		.fallback = "50",
		.min = 1,
		.max = 1000000,
		.help = "How many of them may come at once."},
	{.name = "busy_timeout",
		.type = CONFIG_DURATION,
		.offset = LIMIT(busy_timeout_ms),
		.fallback = "10s",
		.min = 0,
		.max = 60000,
		.help = "How long a request waits for room in a full outbox with `when_full: block` before it is "
			"answered with 5.03. 0: it does not wait."},
	{.name = "max_list",
		.type = CONFIG_SIZE,
		.offset = LIMIT(max_list),
		.fallback = "64KiB",
		.min = 1024,
		.max = 16 * MIB,
		.help = "The longest list of resources that /.well-known/core gives."},
	{.name = NULL},
};

#define TRANSMISSION(member) offsetof(struct coap_transmission, member)

static const struct config_key transmission_keys[] = {
	{.name = "ack_timeout",
		.type = CONFIG_DURATION,
		.offset = TRANSMISSION(ack_timeout_ms),
		.fallback = "2s",
		.min = 1000, /* libcoap takes no less */
		.max = 60000,
		.help = "How long at first until a request is sent again that was not acknowledged; doubles each time "
			"(ACK_TIMEOUT)."},
	{.name = "max_retransmit",
		.type = CONFIG_INT,
		.offset = TRANSMISSION(max_retransmit),
		.fallback = "4",
		.min = 1, /* libcoap: the same */
		.max = 20,
		.help = "How often it is sent again (MAX_RETRANSMIT) before it counts as a failed attempt."},
	{.name = "nstart",
		.type = CONFIG_INT,
		.offset = TRANSMISSION(nstart),
		.fallback = "1",
		.min = 1,
		.max = 255,
		.help = "Requests to one device at a time (NSTART)."},
	{.name = NULL},
};

#define PSK(member) offsetof(struct coap_psk, member)

static const struct config_key psk_keys[] = {
	{.name = "file",
		.type = CONFIG_PATH,
		.offset = PSK(file),
		.help = "Listener: file with a line `identity: key` for each device. A key is hex: and its digits, or "
			"a text in quotes. Read again on SIGHUP."},
	{.name = "hint",
		.type = CONFIG_STRING,
		.offset = PSK(hint),
		.help = "Listener: the identity hint that clients are told."},
	{.name = "identity", .type = CONFIG_STRING, .offset = PSK(identity), .help = "Client: who we are."},
	{.name = "key",
		.type = CONFIG_SECRET,
		.offset = PSK(key),
		.help = "Client: the key of that identity; hex: and its digits, or as it stands."},
	{.name = NULL},
};

#define TLS(member) offsetof(struct coap_tls, member)

static const struct config_key tls_keys[] = {
	{.name = "ca",
		.type = CONFIG_PATH,
		.offset = TLS(ca),
		.help = "Client: PEM file of the authorities that may sign a device's certificate."},
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
		.help = "Listener: PEM file of the authorities that sign clients' certificates. Named: clients must "
			"show one, and its name is their identity."},
	{.name = NULL},
};

#define OFFSET(member) offsetof(struct coap_settings, member)

const struct config_key coap_connection_keys[] = {
	/* Client. */
	{.name = "url",
		.others = "host address endpoint uri server hostname",
		.type = CONFIG_STRING,
		.offset = OFFSET(url),
		.pattern = "[Cc][Oo][Aa][Pp][Ss]?(\\+[Tt][Cc][Pp])?://.+",
		.example = "coap://192.0.2.1",
		.help = "The device that requests go to and whose resources are read: coap://, coaps://, coap+tcp:// "
			"or coaps+tcp://, a host, and what all paths begin with. Makes this connection a client."},
	{.name = "method",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.method),
		.fallback = "PUT",
		.choices = coap_methods,
		.help = "Method of requests for which the mapping gives none."},
	{.name = "timeout",
		.type = CONFIG_DURATION,
		.offset = OFFSET(out.timeout_ms),
		.fallback = "100s",
		.min = 100,
		.max = 3600000,
		.help = "How long the response to a request may take, or to each block of one."},
	{.name = "concurrency",
		.type = CONFIG_INT,
		.offset = OFFSET(out.concurrency),
		.fallback = "64",
		.min = 1,
		.max = 10000,
		.help = "Requests under way at most, to all devices together. Messages of one key go one after the "
			"other whatever this says."},
	{.name = "order",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.order),
		.fallback = "key",
		.choices = orders,
		.help = "key: a message waits until the one before it of the same key has been answered. none: no "
			"message waits for another, and they arrive in any order."},
	{.name = "block_size",
		.type = CONFIG_ENUM,
		.offset = OFFSET(out.block_size),
		.fallback = "1024",
		.choices = block_sizes,
		.help = "Bytes of a block of a large body (RFC 7959)."},
	{.name = "transmission",
		.type = CONFIG_SECTION,
		.offset = OFFSET(out.transmission),
		.children = transmission_keys,
		.help = "How confirmable messages are repeated (RFC 7252 §4.8)."},
	{.name = "max_response",
		.type = CONFIG_SIZE,
		.offset = OFFSET(out.max_response),
		.fallback = "1MiB",
		.min = 1,
		.max = MESSAGE_MAX_PAYLOAD,
		.help = "The largest body of a response that is taken."},
	{.name = "max_peers",
		.type = CONFIG_INT,
		.offset = OFFSET(out.max_peers),
		.fallback = "1000",
		.min = 1,
		.max = 100000,
		.help = "Devices with a session at a time; beyond it the one that was idle for longest is forgotten. "
			"All CoAP "
			"connections together take at most half of the descriptors that the process may have."},
	{.name = "allow_private",
		.type = CONFIG_BOOL,
		.offset = OFFSET(out.allow_private),
		.fallback = "false",
		.help = "Whether URLs that come from a message may lead to private, loopback and link-local addresses. "
			"They are looked at after the name was resolved."},
	/* Listener. */
	{.name = "listen",
		.others = "bind listener port bind_address",
		.type = CONFIG_LIST,
		.offset = OFFSET(listen),
		.pattern = "coaps?(\\+tcp)?://.+",
		.example = "coap://127.0.0.1:5683",
		.help = "Addresses to take requests at, `coap://127.0.0.1:5683`, `coaps://[::1]:5684`, `coap+tcp://…`, "
			"`coaps+tcp://…`. Makes this connection a listener."},
	{.name = "public",
		.type = CONFIG_BOOL,
		.offset = OFFSET(in.public),
		.fallback = "false",
		.help = "Whether coap:// and coap+tcp:// may be reached from other machines, though nobody has to say "
			"who he is there."},
	{.name = "multicast",
		.type = CONFIG_LIST,
		.offset = OFFSET(in.multicast),
		.help = "Groups to join, so that clients can discover this listener: `224.0.1.187`, `[ff02::fd%eth0]`. "
			"Default: none."},
	{.name = "allow",
		.type = CONFIG_MAP,
		.offset = OFFSET(in.allow),
		.help = "Who may use which paths, identity: filters of paths, separated by spaces, each may begin with "
			"read: or write:. The identity is that of the pre-shared key or the name in the certificate; * "
			"is everybody. Left out: everybody everything."},
	{.name = "dedupe",
		.type = CONFIG_ENUM,
		.offset = OFFSET(in.dedupe),
		.fallback = "durable",
		.choices = dedupes,
		.help = "durable: a request that comes again over UDP is known after a restart as well, for 247 s (RFC "
			"7252 §4.8.2); see journal.max_keys. memory: until a restart."},
	{.name = "max_age",
		.type = CONFIG_DURATION,
		.offset = OFFSET(in.max_age_ms),
		.fallback = "60s",
		.min = 0,
		.max = INT64_C(4294967295) * 1000,
		.help = "Max-Age of values that do not expire."},
	{.name = "limits",
		.type = CONFIG_SECTION,
		.offset = OFFSET(in.limits),
		.children = limits_keys,
		.help = "Listener: what it bears."},
	/* Both. */
	{.name = "psk",
		.others = "dtls",
		.type = CONFIG_SECTION,
		.offset = OFFSET(psk),
		.children = psk_keys,
		.help = "Pre-shared keys, for coaps:// and coaps+tcp://."},
	{.name = "tls",
		.others = "ssl certificates",
		.type = CONFIG_SECTION,
		.offset = OFFSET(tls),
		.children = tls_keys,
		.help = "Certificates, for coaps:// and coaps+tcp://. They are read again on SIGHUP."},
	{.name = NULL},
};

#define FROM(member) offsetof(struct coap_from_settings, member)

const struct config_key coap_from_keys[] = {
	{.name = "success",
		.type = CONFIG_ENUM,
		.offset = FROM(success),
		.fallback = "changed",
		.choices = successes,
		.help = "Listener: what a PUT or POST that was taken is answered with: 2.04 Changed or 2.01 Created."},
	{.name = "delete",
		.type = CONFIG_BOOL,
		.offset = FROM(delete),
		.fallback = "false",
		.help = "Listener: whether DELETE is taken. It becomes a message with a null payload and retain, which "
			"clears a retained MQTT message or a last value."},
	{.name = "mode",
		.type = CONFIG_ENUM,
		.offset = FROM(mode),
		.fallback = "observe",
		.choices = modes,
		.help = "Client: observe the resource (RFC 7641), or ask for it again and again."},
	{.name = "every",
		.type = CONFIG_DURATION,
		.offset = FROM(every_ms),
		.fallback = "30s",
		.min = 100,
		.max = 86400000,
		.help = "Client: how often it is asked for with `mode: poll`, and with `mode: observe` by a device "
			"that does "
			"not let itself be observed; what has not changed makes no message."},
	{.name = "query",
		.type = CONFIG_STRING,
		.offset = FROM(query),
		.help = "Client: the query of the resource, as `unit=C&max=3`."},
	{.name = "accept",
		.type = CONFIG_STRING,
		.offset = FROM(accept),
		.help = "Client: the media type that is asked for. Default: whatever the device sends."},
	{.name = NULL},
};

const struct config_key coap_to_keys[] = {
	{.name = "method",
		.type = CONFIG_TEMPLATE,
		.help = "Client: method of the request. Default: that of the connection."},
	{.name = "url",
		.type = CONFIG_TEMPLATE,
		.help = "Client: where the request goes instead of the connection's url, for instance a device that "
			"the message names: "
			"coap://host:port/path. Keys and certificates of the connection are not used for other hosts."},
	{.name = "accept", .type = CONFIG_TEMPLATE, .help = "Client: the media type that the response should have."},
	{.name = "rt",
		.type = CONFIG_TEMPLATE,
		.help = "Listener: the resource type that /.well-known/core lists the value with (RFC 6690)."},
	{.name = "title", .type = CONFIG_TEMPLATE, .help = "Listener: the title that it is listed with."},
	{.name = NULL},
};

void coap_settings_check(const void *arg, struct config_scope *scope)
{
	const struct coap_settings *settings = arg;
	if (!settings->url && settings->listen.n == 0 && !config_failed(scope, "url", NULL) &&
		!config_failed(scope, "listen", NULL))
		config_complain(scope, NULL, NULL,
			"this connection neither sends nor takes requests; set url to send them, or listen to take "
			"them");
	if (settings->url && settings->listen.n > 0)
		config_complain(scope, "listen", NULL,
			"a connection with url cannot listen as well; make two connections of it");
	else if (settings->listen.n > 0)
		coap_in_check(settings, scope);
	else if (settings->url)
		coap_client_check(settings, scope);
}
