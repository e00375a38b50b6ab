/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of an MQTT connection and what is wrong with their values.
 */
#include "connectors/mqtt/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "connectors/mqtt/credentials.h"
#include "connectors/mqtt/proxy.h"
#include "connectors/mqtt/tls.h"
#include "connectors/mqtt/url.h"

#define KEY(member) offsetof(struct mqtt_settings, member)

#define SECONDS(n) ((int64_t)(n)*1000)

#define SMALLEST_PACKET 256 /* that max_packet_size may ask for */

static const char *const version_choices[] = {"5", "3.1.1", NULL};
static const char *const session_loss_choices[] = {"resend", "park", NULL}; /* enum mqtt_session_loss */

static const char *const reference_choices[] = {
	[SERVER_REFERENCE_IGNORE] = "ignore", [SERVER_REFERENCE_FOLLOW] = "follow", NULL};
static const char *const tls_version_choices[] = {"1.2", "1.3", NULL};
static const char *const client_choices[] = {"auto", "linkspan", "paho", NULL}; /* enum mqtt_client */

static const struct config_key tls_keys[] = {
	{.name = "ca",
		.type = CONFIG_PATH,
		.offset = KEY(tls.ca) - KEY(tls),
		.help = "PEM file of the authorities to trust. Left out: those of the system. Read again at "
			"each connect."},
	{.name = "cert",
		.type = CONFIG_PATH,
		.offset = KEY(tls.cert) - KEY(tls),
		.help = "PEM file of the client's certificate and its chain."},
	{.name = "key",
		.type = CONFIG_PATH,
		.offset = KEY(tls.key) - KEY(tls),
		.help = "PEM file of the client certificate's key, unencrypted."},
	{.name = "server_name",
		.type = CONFIG_STRING,
		.offset = KEY(tls.server_name) - KEY(tls),
		.help = "Name that the broker's certificate must be for, also sent as SNI. Left out: the host of the "
			"url."},
	{.name = "alpn",
		.type = CONFIG_LIST,
		.offset = KEY(tls.alpn) - KEY(tls),
		.help = "Protocol names to offer (ALPN), in the order of preference; brokers on port 443 demand one, "
			"such as mqtt."},
	{.name = "min_version",
		.type = CONFIG_ENUM,
		.offset = KEY(tls.min_version) - KEY(tls),
		.fallback = "1.2",
		.choices = tls_version_choices,
		.help = "Lowest TLS version to accept."},
	{.name = "verify",
		.type = CONFIG_BOOL,
		.offset = KEY(tls.verify) - KEY(tls),
		.fallback = "true",
		.help = "Verify the broker's certificate chain and host name. Anybody can pose as the broker "
			"when it is "
			"false."},
	{0},
};

#define OWN(member) offsetof(struct mqtt_own_message, member)

#define OWN_KEYS                                                                                                       \
	{.name = "topic", .type = CONFIG_STRING, .offset = OWN(topic), .help = "Topic of the message."},               \
		{.name = "payload",                                                                                    \
			.type = CONFIG_STRING,                                                                         \
			.offset = OWN(payload),                                                                        \
			.help = "Payload of the message. Left out: empty."},                                           \
		{.name = "qos",                                                                                        \
			.type = CONFIG_INT,                                                                            \
			.offset = OWN(qos),                                                                            \
			.fallback = "1",                                                                               \
			.min = 0,                                                                                      \
			.max = 2,                                                                                      \
			.help = "QoS of the message; a birth message has 0 or 1."},                                    \
	{                                                                                                              \
		.name = "retain", .type = CONFIG_BOOL, .offset = OWN(retain), .fallback = "true",                      \
		.help = "Whether the broker keeps the message for later subscribers."                                  \
	}

static const struct config_key will_keys[] = {
	OWN_KEYS,
	{.name = "delay",
		.type = CONFIG_DURATION,
		.offset = OWN(delay_ms),
		.fallback = "0s",
		.max = SECONDS(UINT32_MAX),
		.help = "How long the broker waits for the client to come back before it publishes the will "
			"(version 5)."},
	{.name = "expiry",
		.type = CONFIG_DURATION,
		.offset = OWN(expiry_ms),
		.fallback = "0s",
		.max = SECONDS(UINT32_MAX),
		.help = "How long the published will is worth delivering (version 5). 0s: for ever."},
	{.name = "content_type",
		.type = CONFIG_STRING,
		.offset = OWN(content_type),
		.help = "Content type of the will (version 5)."},
	{.name = "response_topic",
		.type = CONFIG_STRING,
		.offset = OWN(response_topic),
		.help = "Topic for answers to the will (version 5)."},
	{.name = "correlation",
		.type = CONFIG_STRING,
		.offset = OWN(correlation),
		.help = "Correlation data of the will (version 5)."},
	{.name = "utf8",
		.type = CONFIG_BOOL,
		.offset = OWN(utf8),
		.fallback = "false",
		.help = "Say that the will's payload is UTF-8 text (version 5)."},
	{.name = "headers",
		.type = CONFIG_MAP,
		.offset = OWN(headers),
		.help = "User properties of the will (version 5)."},
	{0},
};

static const struct config_key birth_keys[] = {OWN_KEYS, {0}};

const struct config_key mqtt_connection_keys[] = {
	{.name = "url",
		.type = CONFIG_LIST,
		.offset = KEY(urls),
		.required = true,
		.help = "mqtt://host[:port] or mqtts://host[:port] for TLS; ports 1883 and 8883 unless given. Over "
			"WebSocket ws://host[:port][/path] or wss:// for TLS, ports 80 and 443, path /mqtt unless "
			"given. IPv6 "
			"addresses stand in brackets. A list names several addresses of one broker, or of a cluster "
			"that shares its sessions, in the order in which they are tried."},
	{.name = "client",
		.type = CONFIG_ENUM,
		.offset = KEY(client),
		.fallback = "auto",
		.choices = client_choices,
		.help = "Who speaks MQTT: linkspan itself, or the Paho library, which keeps less (see the connector's "
			"README). auto: Paho for ws://, wss:// and with a proxy, else linkspan."},
	{.name = "proxy",
		.type = CONFIG_SECRET,
		.offset = KEY(proxy),
		.help = "http://[user:password@]host[:port] of an HTTP proxy to go through by CONNECT; port 8080 "
			"unless given."},
	{.name = "version",
		.type = CONFIG_ENUM,
		.offset = KEY(version),
		.fallback = "5",
		.choices = version_choices,
		.help = "Protocol version. 3.1.1 carries no headers, content type, expiry, response topic or "
			"correlation data."},
	{.name = "client_id",
		.type = CONFIG_STRING,
		.offset = KEY(client_id),
		.help = "Name of the session at the broker, the same for ever and different for every client. Needed "
			"unless clean_start is true; the broker then gives one, or in 3.1.1 linkspan makes one up."},
	{.name = "username", .type = CONFIG_STRING, .offset = KEY(username), .help = "User name for the broker."},
	{.name = "password", .type = CONFIG_SECRET, .offset = KEY(password), .help = "Password for the broker."},
	{.name = "username_file",
		.type = CONFIG_PATH,
		.offset = KEY(username_file),
		.help = "File with the user name, instead of username; read again at each connect. One new line at "
			"its end is not part of it."},
	{.name = "password_file",
		.type = CONFIG_PATH,
		.offset = KEY(password_file),
		.help = "File with the password, instead of password; read again at each connect, so that a token "
			"(JWT, SAS) can be renewed while linkspan runs. One new line at its end is not part of it."},
	{.name = "clean_start",
		.type = CONFIG_BOOL,
		.offset = KEY(clean_start),
		.fallback = "false",
		.help = "Forget the session at each connect. What the broker had for us is then lost: "
			"at-most-once."},
	{.name = "session_expiry",
		.type = CONFIG_DURATION,
		.offset = KEY(session_expiry_ms),
		.fallback = "7d",
		.max = SECONDS(UINT32_MAX - 1),
		.help = "How long the broker keeps the session while linkspan is away (version 5; 3.1.1 "
			"brokers decide "
			"themselves)."},
	{.name = "keep_alive",
		.type = CONFIG_DURATION,
		.offset = KEY(keep_alive_ms),
		.fallback = "30s",
		.max = SECONDS(65535),
		.help = "A link that is silent for one and a half times as long is taken for dead. 0s: "
			"never. The broker's "
			"own Server Keep Alive has precedence."},
	{.name = "connect_timeout",
		.type = CONFIG_DURATION,
		.offset = KEY(connect_timeout_ms),
		.fallback = "10s",
		.min = 1,
		.max = SECONDS(3600),
		.help = "For name resolution, TCP, TLS and the broker's CONNACK together."},
	{.name = "ack_timeout",
		.type = CONFIG_DURATION,
		.offset = KEY(ack_timeout_ms),
		.fallback = "30s",
		.min = 1,
		.max = SECONDS(3600),
		.help = "An acknowledgement that is missing for so long ends the connection; what is "
			"unacknowledged is sent "
			"again on the next one."},
	{.name = "reconnect_min",
		.type = CONFIG_DURATION,
		.offset = KEY(reconnect_min_ms),
		.fallback = "100ms",
		.min = 1,
		.max = SECONDS(3600),
		.help = "First upper bound of the random wait before connecting again; it doubles each "
			"time."},
	{.name = "reconnect_max",
		.type = CONFIG_DURATION,
		.offset = KEY(reconnect_max_ms),
		.fallback = "60s",
		.min = 1,
		.max = SECONDS(86400),
		.help = "Last upper bound of the wait before connecting again."},
	{.name = "receive_maximum",
		.type = CONFIG_INT,
		.offset = KEY(receive_maximum),
		.fallback = "256",
		.min = 1,
		.max = 65535,
		.help = "Most unacknowledged messages that the broker may send (version 5)."},
	{.name = "topic_alias_maximum",
		.type = CONFIG_INT,
		.offset = KEY(topic_alias_maximum),
		.fallback = "32",
		.min = 0,
		.max = 65535,
		.help = "Most topics for which the broker may send a number instead (version 5). 0: none."},
	{.name = "topic_aliases",
		.type = CONFIG_INT,
		.offset = KEY(topic_aliases),
		.fallback = "64",
		.min = 0,
		.max = 65535,
		.help = "Most topics for which a number is sent instead, if the broker allows as many (version 5). "
			"0: none."},
	{.name = "max_in_flight",
		.type = CONFIG_INT,
		.offset = KEY(max_in_flight),
		.fallback = "0",
		.min = 0,
		.max = 10000,
		.help = "Most unacknowledged messages to send. 0: what a version 5 broker allows, at most "
			"1000; 20 in 3.1.1, of these 10 of QoS 2, whose brokers cannot say their limit: QoS 2 in 3.1.1 "
			"is "
			"exactly-once only with a max_in_flight that the broker is known to allow."},
	{.name = "on_session_loss",
		.type = CONFIG_ENUM,
		.offset = KEY(on_session_loss),
		.fallback = "resend",
		.choices = session_loss_choices,
		.help = "What becomes of QoS 2 messages that may have been delivered in a session that the broker has "
			"lost. resend: sent again, perhaps a second time. park: to the dead letters."},
	{.name = "max_packet_size",
		.type = CONFIG_SIZE,
		.offset = KEY(max_packet_size),
		.fallback = "0",
		.min = 0,
		.max = MQTT_MAX_PACKET,
		.help = "Largest packet that the broker may send (version 5). 0: no limit. The broker drops larger "
			"messages and tells nobody, as the specification demands: they are lost."},
	{.name = "hold_bytes",
		.type = CONFIG_SIZE,
		.offset = KEY(hold_bytes),
		.fallback = "4MiB",
		.min = 64 * 1024,
		.max = 1024 * 1024 * 1024,
		.help = "Most bytes of received messages to hold in memory while a destination has no room. "
			"QoS 0 beyond it is "
			"dropped and counted; QoS 1 stays at the broker."},
	{.name = "server_reference",
		.type = CONFIG_ENUM,
		.offset = KEY(server_reference),
		.fallback = "ignore",
		.choices = reference_choices,
		.help = "What to do when the broker names another server (version 5). follow: connect there, for one "
			"connection or, if the broker has moved, until linkspan is restarted; with the same "
			"credentials, "
			"and with TLS if the url has it. ignore: an alarm names the server."},
	{.name = "connect_headers",
		.type = CONFIG_MAP,
		.offset = KEY(connect_headers),
		.help = "User properties of the CONNECT, for brokers that want some (version 5)."},
	{.name = "tls",
		.type = CONFIG_SECTION,
		.offset = KEY(tls),
		.children = tls_keys,
		.help = "TLS, for mqtts:// and wss://."},
	{.name = "will",
		.type = CONFIG_SECTION,
		.offset = KEY(will),
		.children = will_keys,
		.help = "What the broker publishes when linkspan is gone, also after a clean stop."},
	{.name = "birth",
		.type = CONFIG_SECTION,
		.offset = KEY(birth),
		.children = birth_keys,
		.help = "What linkspan publishes after each connect."},
	{0},
};

enum mqtt_version mqtt_settings_version(const struct mqtt_settings *settings)
{
	return settings->version == 0 ? MQTT_5_0 : MQTT_3_1_1;
}

struct tls_options mqtt_settings_tls(const struct mqtt_settings *settings, const char *host)
{
	return (struct tls_options){
		.ca = settings->tls.ca,
		.cert = settings->tls.cert,
		.key = settings->tls.key,
		.host = settings->tls.server_name ? settings->tls.server_name : host,
		.alpn = &settings->tls.alpn,
		.only_1_3 = settings->tls.min_version > 0,
		.insecure = !settings->tls.verify,
	};
}

static bool any_websocket(const struct mqtt_settings *settings)
{
	struct mqtt_url url = {0};
	for (size_t i = 0; i < settings->urls.n; i++)
		if (!mqtt_url_parse(settings->urls.items[i].value, &url) && url.websocket)
			return true;
	return false;
}

bool mqtt_settings_use_paho(const struct mqtt_settings *settings)
{
	if (settings->client != MQTT_CLIENT_AUTO)
		return settings->client == MQTT_CLIENT_PAHO;
	return settings->proxy || any_websocket(settings);
}

static int compare_urls(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *mqtt_settings_broker(const struct mqtt_settings *settings)
{
	const struct config_list *urls = &settings->urls;
	size_t size = 1;
	const char **sorted = calloc(urls->n + 1, sizeof *sorted);
	for (size_t i = 0; sorted && i < urls->n; i++) {
		sorted[i] = urls->items[i].value;
		size += strlen(sorted[i]) + 1;
	}
	char *text = sorted ? calloc(size, 1) : NULL;
	if (text) {
		qsort(sorted, urls->n, sizeof *sorted, compare_urls);
		char *end = text;
		for (size_t i = 0; i < urls->n; i++)
			end = stpcpy(stpcpy(end, i > 0 ? " " : ""), sorted[i]);
	}
	free(sorted);
	return text;
}

/* --- checks ---------------------------------------------------------------------------------------------------------- */

static void check_own_message(const struct mqtt_own_message *own, const char *key, struct config_scope *scope)
{
	if (!own->topic) {
		if (own->payload)
			config_complain(
				scope, key, NULL, "it has no topic; say to which topic the %s message goes", key);
		return;
	}
	if (!mqtt_topic_name_valid(slice_str(own->topic)))
		config_complain(scope, key, "topic",
			"\"%s\" is not a topic name; it must be UTF-8 of 1 to 65535 bytes without the "
			"wildcards + and #",
			own->topic);
	if (own->payload && strlen(own->payload) > 65535)
		config_complain(scope, key, "payload", "longer than the 65535 bytes that MQTT allows");
	if (own->qos > 1 && strcmp(key, "birth") == 0)
		config_complain(scope, key, "qos", "this version of linkspan publishes with QoS 0 and 1; use 1");
}

/* User properties. item: NULL for the key itself, else the child of a section. */
static void check_headers(
	const struct config_list *headers, const char *key, const char *child, struct config_scope *scope)
{
	if (headers->n > MQTT_MAX_LIST)
		config_complain(scope, key, child, "more than %d user properties", MQTT_MAX_LIST);
	for (size_t i = 0; i < headers->n; i++) {
		const struct config_text *header = &headers->items[i];
		if (!mqtt_text_valid(slice_str(header->name)) || !mqtt_text_valid(slice_str(header->value)))
			config_complain(scope, key, child ? child : header->name,
				"name and value of a user property must be UTF-8 of at most 65535 bytes");
	}
}

static void check_will_properties(const struct mqtt_own_message *will, struct config_scope *scope)
{
	if (will->content_type && !mqtt_text_valid(slice_str(will->content_type)))
		config_complain(scope, "will", "content_type", "must be UTF-8 of at most 65535 bytes");
	if (will->response_topic && !mqtt_topic_name_valid(slice_str(will->response_topic)))
		config_complain(scope, "will", "response_topic",
			"\"%s\" is not a topic name; it must be UTF-8 of 1 to 65535 bytes without the wildcards + and "
			"#",
			will->response_topic);
	if (will->correlation && strlen(will->correlation) > 65535)
		config_complain(scope, "will", "correlation", "longer than the 65535 bytes that MQTT allows");
	if (will->utf8 && will->payload && !mqtt_text_valid(slice_str(will->payload)))
		config_complain(scope, "will", "utf8", "the payload is not UTF-8; correct it, or leave utf8 out");
	check_headers(&will->headers, "will", "headers", scope);
}

/* What 3.1.1 has no place for. */
static void check_3_1_1(const struct mqtt_settings *settings, struct config_scope *scope)
{
	const struct mqtt_own_message *will = &settings->will;
	const struct {
		bool given;
		const char *key, *child, *what;
	} uses[] = {
		{will->delay_ms > 0, "will", "delay", "will delay"},
		{will->expiry_ms > 0, "will", "expiry", "message expiry"},
		{will->content_type, "will", "content_type", "content type"},
		{will->response_topic, "will", "response_topic", "response topic"},
		{will->correlation, "will", "correlation", "correlation data"},
		{will->utf8, "will", "utf8", "payload format"},
		{will->headers.n > 0, "will", "headers", "user properties"},
		{settings->connect_headers.n > 0, "connect_headers", NULL, "user properties"},
		{settings->server_reference == SERVER_REFERENCE_FOLLOW, "server_reference", NULL, "server reference"},
		{settings->max_packet_size > 0, "max_packet_size", NULL, "maximum packet size"},
	};
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		if (uses[i].given)
			config_complain(scope, uses[i].key, uses[i].child,
				"MQTT 3.1.1 knows no %s; use version 5 or leave it out", uses[i].what);
}

static void check_credential_files(const struct mqtt_settings *settings, struct config_scope *scope)
{
	if (settings->username && settings->username_file)
		config_complain(scope, "username_file", NULL, "username is there too; leave one of them out");
	if (settings->password && settings->password_file)
		config_complain(scope, "password_file", NULL, "password is there too; leave one of them out");
	for (int i = 0; i < 2; i++) { /* one at a time, so that both are named */
		struct mqtt_settings one = {0};
		struct credentials credentials;
		char error[512];
		one.username_file = i == 0 ? settings->username_file : NULL;
		one.password_file = i == 1 ? settings->password_file : NULL;
		const char *key = i == 0 ? "username_file" : "password_file";
		if (credentials_read(&one, &credentials, error, sizeof error) < 0)
			config_complain(scope, key, NULL, "%s", error + strlen(key) + strlen(": "));
		else
			credentials_wipe(&credentials);
	}
}

static void check_identity(const struct mqtt_settings *settings, struct config_scope *scope)
{
	bool known = !config_failed(scope, "client_id", NULL) && !config_failed(scope, "clean_start", NULL);
	if (known && !settings->client_id && !settings->clean_start)
		config_complain(scope, NULL, NULL,
			"client_id is missing; the broker keeps undelivered messages under that name, so "
			"give one that stays "
			"the same and that no other client uses (or set clean_start: true and lose what "
			"arrives while "
			"disconnected)");
	if (settings->client_id && (!*settings->client_id || !mqtt_text_valid(slice_str(settings->client_id))))
		config_complain(scope, "client_id", NULL, "must be UTF-8 of 1 to 65535 bytes");
	if (settings->username && !mqtt_text_valid(slice_str(settings->username)))
		config_complain(scope, "username", NULL, "must be UTF-8 of at most 65535 bytes");
	if (settings->password && strlen(settings->password) > 65535)
		config_complain(scope, "password", NULL, "longer than the 65535 bytes that MQTT allows");
	bool named = settings->username || settings->username_file || config_failed(scope, "username", NULL) ||
		     config_failed(scope, "username_file", NULL);
	if ((settings->password || settings->password_file) && !named && mqtt_settings_version(settings) == MQTT_3_1_1)
		config_complain(scope, settings->password ? "password" : "password_file", NULL,
			"MQTT 3.1.1 allows no password without a user name; add username");
	check_credential_files(settings, scope);
}

/* url: one with TLS, or NULL if there is none. */
static void check_tls(const struct mqtt_settings *settings, const struct mqtt_url *url, struct config_scope *scope)
{
	bool given = settings->tls.ca || settings->tls.cert || settings->tls.key || settings->tls.server_name ||
		     settings->tls.alpn.n > 0 || settings->tls.min_version > 0;
	if (given && !url) {
		config_complain(scope, "tls", NULL, "the url says %s, which has no TLS; use %s",
			any_websocket(settings) ? "ws://" : "mqtt://", any_websocket(settings) ? "wss://" : "mqtts://");
		return;
	}
	if (!settings->tls.cert != !settings->tls.key && !config_failed(scope, "tls", NULL)) {
		const char *there = settings->tls.cert ? "cert" : "key";
		config_complain(scope, "tls", there, "needs tls.%s beside it", settings->tls.cert ? "key" : "cert");
		return;
	}
	if (!url)
		return;
	char error[512];
	struct tls *tls;
	struct tls_options options = mqtt_settings_tls(settings, url->host);
	if (tls_new(&options, &tls, error, sizeof error) < 0)
		config_complain(scope, "tls", NULL, "%s", error);
	else
		tls_free(tls);
}

static void check_urls(const struct mqtt_settings *settings, struct config_scope *scope)
{
	const struct config_list *urls = &settings->urls;
	struct mqtt_url url, with_tls;
	bool sound = true, any_tls = false;
	for (size_t i = 0; i < urls->n; i++) {
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		const char *wrong = mqtt_url_parse(urls->items[i].value, &url);
		for (size_t j = 0; j < i && !wrong; j++)
			if (strcmp(urls->items[i].value, urls->items[j].value) == 0)
				wrong = "the same url stands in the list twice; leave one of them out";
		if (wrong)
			config_complain(scope, "url", urls->n > 1 ? index : NULL, "%s", wrong);
		sound = sound && !wrong;
		if (!wrong && url.tls && !any_tls) {
			with_tls = url;
			any_tls = true;
		}
	}
	if (sound && urls->n > 0)
		check_tls(settings, any_tls ? &with_tls : NULL, scope);
}

/* What Paho 1.3.12 cannot do, or linkspan does not ask of it. */
static void check_paho_keeps(const struct mqtt_settings *settings, struct config_scope *scope)
{
	const struct mqtt_own_message *will = &settings->will;
	if (will->topic && will->qos > 1)
		config_complain(scope, "will", "qos", "the Paho client is used with QoS 0 and 1 only; use 1");
	if (will->content_type || will->response_topic || will->correlation || will->expiry_ms || will->utf8 ||
		will->headers.n > 0)
		config_complain(scope, "will", NULL,
			"the Paho client sends of the will's properties only delay; leave the others out");
	if (settings->connect_headers.n > 0)
		config_complain(scope, "connect_headers", NULL, "the Paho client sends none; leave them out");
	if (settings->max_packet_size > 0)
		config_complain(scope, "max_packet_size", NULL, "the Paho client does not enforce it; leave it out");
	if (settings->server_reference == SERVER_REFERENCE_FOLLOW)
		config_complain(scope, "server_reference", NULL, "the Paho client follows none; say ignore");
	if (settings->urls.n > 1)
		config_complain(scope, "url", NULL, "the Paho client takes one url, not a list");
}

/* What depends on who speaks MQTT. */
static void check_client(const struct mqtt_settings *settings, struct config_scope *scope)
{
	struct mqtt_proxy proxy;
	const char *wrong = settings->proxy ? mqtt_proxy_parse(settings->proxy, &proxy) : NULL;
	if (wrong)
		config_complain(scope, "proxy", NULL, "%s", wrong);
	if (settings->client == MQTT_CLIENT_LINKSPAN && (any_websocket(settings) || settings->proxy))
		config_complain(scope, "client", NULL,
			"linkspan's own client knows no %s; leave client out or say client: paho",
			settings->proxy ? "proxy" : "WebSocket");
	if (!mqtt_settings_use_paho(settings))
		return;
#ifndef HAVE_PAHO
	config_complain(scope,
		settings->client == MQTT_CLIENT_PAHO ? "client"
		: settings->proxy                    ? "proxy"
						     : "url",
		NULL,
		"this linkspan is built without Paho, which ws://, wss://, a proxy and client: paho need; install "
		"libpaho-mqtt-dev and build it again, or use mqtt:// or mqtts:// without a proxy");
#endif
	check_paho_keeps(settings, scope);
}

void mqtt_settings_check(const void *arg, struct config_scope *scope)
{
	const struct mqtt_settings *settings = arg;
	check_urls(settings, scope);
	check_client(settings, scope);
	check_identity(settings, scope);
	check_own_message(&settings->will, "will", scope);
	check_own_message(&settings->birth, "birth", scope);
	check_will_properties(&settings->will, scope);
	check_headers(&settings->connect_headers, "connect_headers", NULL, scope);
	if (mqtt_settings_version(settings) == MQTT_3_1_1)
		check_3_1_1(settings, scope);
	if (settings->max_packet_size > 0 && settings->max_packet_size < SMALLEST_PACKET)
		config_complain(scope, "max_packet_size", NULL,
			"below 256 bytes not even the broker's answers fit; give it more, or 0 for no limit");
	if (settings->reconnect_min_ms > settings->reconnect_max_ms && !config_failed(scope, "reconnect_max", NULL))
		config_complain(scope, "reconnect_min", NULL, "must not be above reconnect_max");
}

/* Whatever they speak: a listener has one set of sessions behind it. */
static bool share_an_address(const struct config_list *urls, const struct config_list *others)
{
	struct mqtt_url one, other;
	for (size_t i = 0; i < urls->n; i++) {
		if (mqtt_url_parse(urls->items[i].value, &one))
			continue;
		for (size_t j = 0; j < others->n; j++)
			if (!mqtt_url_parse(others->items[j].value, &other) && one.port == other.port &&
				strcasecmp(one.host, other.host) == 0)
				return true;
	}
	return false;
}

const char *mqtt_settings_check_pair(const void *settings, const void *other)
{
	const struct mqtt_settings *one = settings, *two = other;
	if (!one->client_id || !two->client_id || strcmp(one->client_id, two->client_id) != 0 ||
		!share_an_address(&one->urls, &two->urls))
		return NULL;
	return "both connect to the same address with the same client_id, so that the broker would end one of them "
	       "whenever the other connects, for ever; give each its own client_id";
}
