/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of an MQTT connection and what is wrong with their values.
 */
#include "connectors/mqtt/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "connectors/mqtt/proxy.h"
#include "connectors/mqtt/tls.h"

#define KEY(member) offsetof(struct mqtt_settings, member)

#define SECONDS(n) ((int64_t)(n)*1000)

static const char *const version_choices[] = {"5", "3.1.1", NULL};
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
			.help = "QoS of the message, 0 or 1."},                                                        \
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
	{0},
};

static const struct config_key birth_keys[] = {OWN_KEYS, {0}};

const struct config_key mqtt_connection_keys[] = {
	{.name = "url",
		.type = CONFIG_STRING,
		.offset = KEY(url),
		.required = true,
		.help = "mqtt://host[:port] or mqtts://host[:port] for TLS; ports 1883 and 8883 unless "
			"given. Over WebSocket ws://host[:port][/path] or wss:// for TLS, ports 80 and 443, "
			"path /mqtt unless given. IPv6 addresses stand in brackets."},
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
		.help = "Name of the session at the broker, the same for ever and different for every "
			"client. Needed unless "
			"clean_start is true."},
	{.name = "username", .type = CONFIG_STRING, .offset = KEY(username), .help = "User name for the broker."},
	{.name = "password", .type = CONFIG_SECRET, .offset = KEY(password), .help = "Password for the broker."},
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
	{.name = "max_in_flight",
		.type = CONFIG_INT,
		.offset = KEY(max_in_flight),
		.fallback = "0",
		.min = 0,
		.max = 10000,
		.help = "Most unacknowledged messages to send. 0: what a version 5 broker allows, at most "
			"1000; 20 in 3.1.1."},
	{.name = "hold_bytes",
		.type = CONFIG_SIZE,
		.offset = KEY(hold_bytes),
		.fallback = "4MiB",
		.min = 64 * 1024,
		.max = 1024 * 1024 * 1024,
		.help = "Most bytes of received messages to hold in memory while a destination has no room. "
			"QoS 0 beyond it is "
			"dropped and counted; QoS 1 stays at the broker."},
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

bool mqtt_settings_use_paho(const struct mqtt_settings *settings)
{
	struct mqtt_url url = {0};
	if (settings->client != MQTT_CLIENT_AUTO)
		return settings->client == MQTT_CLIENT_PAHO;
	return settings->proxy || (settings->url && !mqtt_url_parse(settings->url, &url) && url.websocket);
}

/* --- the url
 * --------------------------------------------------------------------------------------------------- */

static const struct scheme {
	const char *prefix;
	bool tls, websocket;
	uint16_t port;
} schemes[] = {
	{"mqtt://", false, false, 1883},
	{"mqtts://", true, false, 8883},
	{"ws://", false, true, 80},
	{"wss://", true, true, 443},
};

static const char *parse_scheme(const char *url, struct mqtt_url *parsed, const char **ret_rest)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i].prefix);
		if (strncmp(url, schemes[i].prefix, len) != 0)
			continue;
		parsed->tls = schemes[i].tls;
		parsed->websocket = schemes[i].websocket;
		parsed->port = schemes[i].port;
		*ret_rest = url + len;
		return NULL;
	}
	return "the url must begin with mqtt:// or, for TLS, mqtts:// (over WebSocket: ws:// or wss://)";
}

/* The path of a WebSocket, which ends what may hold a port. */
static const char *parse_path(const char *rest, struct mqtt_url *parsed, char *port, size_t port_size)
{
	size_t len = parsed->websocket ? strcspn(rest, "/") : strlen(rest);
	const char *path = rest[len] ? rest + len : "/mqtt";
	if (len >= port_size)
		return "the port in the url must be a number from 1 to 65535";
	memcpy(port, rest, len);
	port[len] = '\0';
	if (strlen(path) >= sizeof parsed->path || path[strcspn(path, " \t\r\n#")])
		return "the path in the url must have at most 255 bytes, without blanks and #";
	memcpy(parsed->path, path, strlen(path) + 1);
	return NULL;
}

static const char *parse_port(const char *text, uint16_t *port)
{
	if (*text == '\0')
		return NULL;
	if (*text != ':')
		return "nothing may follow host and port in the url";
	char *end;
	unsigned long value = text[1] >= '0' && text[1] <= '9' ? strtoul(text + 1, &end, 10) : 0;
	if (value == 0 || value > 65535 || *end != '\0')
		return "the port in the url must be a number from 1 to 65535";
	*port = (uint16_t)value;
	return NULL;
}

const char *mqtt_url_parse(const char *url, struct mqtt_url *ret_url)
{
	struct mqtt_url parsed;
	const char *rest;
	const char *wrong = parse_scheme(url, &parsed, &rest);
	if (wrong)
		return wrong;
	if (memchr(rest, '@', strcspn(rest, parsed.websocket ? "/" : "")))
		return "the url must not hold credentials; use the keys username and password";
	bool bracket = *rest == '[';
	const char *colon = strchr(rest, ':');
	const char *slash = strchr(rest, '/');
	const char *second = colon ? strchr(colon + 1, ':') : NULL;
	if (!bracket && second && (!slash || second < slash))
		return "an IPv6 address in the url must stand in brackets: mqtt://[::1]:1883";
	const char *host = rest + bracket;
	size_t len = strcspn(host, bracket ? "]" : ":/?#[] ");
	if (bracket && host[len] != ']')
		return "the bracket around the IPv6 address in the url is not closed";
	if (len == 0)
		return "the url names no host; write mqtt://host or mqtt://host:port";
	if (len >= sizeof parsed.host)
		return "the host name in the url is longer than 255 bytes";
	memcpy(parsed.host, host, len);
	parsed.host[len] = '\0';
	host += len + bracket;
	char port[32];
	wrong = parse_path(host, &parsed, port, sizeof port);
	if (!wrong && strcmp(port, "/") != 0)
		wrong = parse_port(port, &parsed.port);
	if (!wrong)
		*ret_url = parsed;
	return wrong;
}

/* --- checks
 * ------------------------------------------------------------------------------------------------------ */

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
	if (own->qos > 1)
		config_complain(scope, key, "qos", "this version of linkspan publishes with QoS 0 and 1; use 1");
}

static void check_identity(const struct mqtt_settings *settings, struct config_scope *scope)
{
	if (!settings->client_id && !settings->clean_start)
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
	if (settings->password && !settings->username && mqtt_settings_version(settings) == MQTT_3_1_1)
		config_complain(
			scope, "password", NULL, "MQTT 3.1.1 allows no password without a user name; add username");
}

static void check_tls(const struct mqtt_settings *settings, const struct mqtt_url *url, struct config_scope *scope)
{
	bool given = settings->tls.ca || settings->tls.cert || settings->tls.key;
	if (given && !url->tls) {
		config_complain(scope, "tls", NULL, "the url says %s, which has no TLS; use %s",
			url->websocket ? "ws://" : "mqtt://", url->websocket ? "wss://" : "mqtts://");
		return;
	}
	if (!settings->tls.cert != !settings->tls.key) {
		const char *there = settings->tls.cert ? "cert" : "key";
		config_complain(scope, "tls", there, "needs tls.%s beside it", settings->tls.cert ? "key" : "cert");
		return;
	}
	if (!url->tls)
		return;
	char error[512];
	struct tls *tls;
	struct tls_options options = {
		.ca = settings->tls.ca, .cert = settings->tls.cert, .key = settings->tls.key, .host = url->host};
	if (tls_new(&options, &tls, error, sizeof error) < 0)
		config_complain(scope, "tls", NULL, "%s", error);
	else
		tls_free(tls);
}

/* What depends on who speaks MQTT. */
static void check_client(const struct mqtt_settings *settings, const struct mqtt_url *url, struct config_scope *scope)
{
	struct mqtt_proxy proxy;
	const char *wrong = settings->proxy ? mqtt_proxy_parse(settings->proxy, &proxy) : NULL;
	if (wrong)
		config_complain(scope, "proxy", NULL, "%s", wrong);
	if (settings->client == MQTT_CLIENT_LINKSPAN && (url->websocket || settings->proxy))
		config_complain(scope, "client", NULL,
			"linkspan's own client knows no %s; leave client out or say client: paho",
			url->websocket ? "WebSocket" : "proxy");
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
	if (settings->will.topic && settings->will.qos > 1)
		config_complain(scope, "will", "qos", "the Paho client is used with QoS 0 and 1 only; use 1");
	if (settings->birth.topic && settings->birth.qos > 1)
		config_complain(scope, "birth", "qos", "the Paho client is used with QoS 0 and 1 only; use 1");
}

void mqtt_settings_check(const void *arg, struct config_scope *scope)
{
	const struct mqtt_settings *settings = arg;
	struct mqtt_url url;
	const char *wrong = settings->url ? mqtt_url_parse(settings->url, &url) : NULL;
	if (wrong)
		config_complain(scope, "url", NULL, "%s", wrong);
	else if (settings->url)
		check_tls(settings, &url, scope);
	if (!wrong && settings->url)
		check_client(settings, &url, scope);
	check_identity(settings, scope);
	check_own_message(&settings->will, "will", scope);
	check_own_message(&settings->birth, "birth", scope);
	if (settings->will.topic && settings->will.delay_ms > 0 && mqtt_settings_version(settings) == MQTT_3_1_1)
		config_complain(
			scope, "will", "delay", "MQTT 3.1.1 knows no will delay; use version 5 or leave it out");
	if (settings->reconnect_min_ms > settings->reconnect_max_ms)
		config_complain(scope, "reconnect_min", NULL, "must not be above reconnect_max");
}
