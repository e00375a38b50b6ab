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
		.others = "cafile ca_file ca_cert cacert capath bridge_cafile root_ca ca_crt trusted_ca",
		.type = CONFIG_PATH,
		.offset = KEY(tls.ca) - KEY(tls),
		.help = "PEM file of the authorities to trust. Left out: those of the system. Read again at "
			"each connect."},
	{.name = "cert",
		.others = "certfile cert_file certificate client_cert bridge_certfile crt",
		.type = CONFIG_PATH,
		.offset = KEY(tls.cert) - KEY(tls),
		.help = "PEM file of the client's certificate and its chain."},
	{.name = "key",
		.others = "keyfile key_file private_key client_key bridge_keyfile",
		.type = CONFIG_PATH,
		.offset = KEY(tls.key) - KEY(tls),
		.help = "PEM file of the client certificate's key, unencrypted."},
	{.name = "server_name",
		.others = "sni hostname servername",
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
		.others = "insecure insecure_skip_verify skip_verify verify_peer verify_ssl bridge_insecure "
			  "reject_unauthorized tls_insecure",
		.type = CONFIG_BOOL,
		.offset = KEY(tls.verify) - KEY(tls),
		.fallback = "true",
		.help = "Verify the broker's certificate chain and host name. Anybody can pose as the broker "
			"when it is "
			"false."},
	{0},
};

#define OWN(member) offsetof(struct mqtt_own_message, member)

/* what: whose they are, for people. */
#define OWN_KEYS(what, max_qos, qos_help)                                                                              \
	{.name = "topic", .type = CONFIG_STRING, .offset = OWN(topic), .help = "Topic of the " what "."},              \
		{.name = "payload",                                                                                    \
			.type = CONFIG_STRING,                                                                         \
			.offset = OWN(payload),                                                                        \
			.help = "Payload of the " what ". Left out: empty."},                                          \
		{.name = "qos",                                                                                        \
			.type = CONFIG_INT,                                                                            \
			.offset = OWN(qos),                                                                            \
			.fallback = "1",                                                                               \
			.min = 0,                                                                                      \
			.max = (max_qos),                                                                              \
			.help = (qos_help)},                                                                           \
	{                                                                                                              \
		.name = "retain", .type = CONFIG_BOOL, .offset = OWN(retain), .fallback = "true",                      \
		.help = "Whether the broker keeps the " what " for later subscribers."                                 \
	}

static const struct config_key will_keys[] = {
	OWN_KEYS("will", 2, "QoS with which the broker publishes the will."),
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
		.help = "Say that the will's payload is UTF-8 text (payload format indicator, version 5)."},
	{.name = "headers",
		.type = CONFIG_MAP,
		.offset = OWN(headers),
		.help = "User properties of the will (version 5)."},
	{0},
};

static const struct config_key birth_keys[] = {
	OWN_KEYS("birth message", 1, "QoS of the birth message: 0 or 1, since each connect publishes it again."), {0}};

const struct config_key mqtt_connection_keys[] = {
	{.name = "url",
		.others = "host port address server broker uri hostname endpoint addresses servers remote",
		.type = CONFIG_LIST,
		.offset = KEY(urls),
		.required = true,
		.pattern = "([Mm][Qq][Tt][Tt]|[Ww][Ss])[Ss]?://.+",
		.example = "mqtts://broker.example.org",
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
		.others = "protocol protocol_version mqtt_version bridge_protocol_version protocolversion",
		.type = CONFIG_ENUM,
		.offset = KEY(version),
		.fallback = "5",
		.choices = version_choices,
		.help = "Protocol version. 3.1.1 carries no headers, content type, expiry, response topic or "
			"correlation data."},
	{.name = "client_id",
		.others = "clientid id identifier remote_clientid",
		.type = CONFIG_STRING,
		.offset = KEY(client_id),
		.help = "Name of the session at the broker, the same for ever and different for every client. Needed "
			"unless clean_start is true; the broker then gives one, or in 3.1.1 linkspan makes one up."},
	{.name = "username",
		.type = CONFIG_STRING,
		.offset = KEY(username),
		.others = "user login remote_username user_name",
		.help = "User name for the broker."},
	{.name = "password",
		.type = CONFIG_SECRET,
		.offset = KEY(password),
		.others = "pass passwd remote_password pwd",
		.help = "Password for the broker."},
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
		.others = "clean_session cleansession cleanstart",
		.type = CONFIG_BOOL,
		.offset = KEY(clean_start),
		.fallback = "false",
		.help = "Forget the session at each connect. What the broker had for us is then lost: "
			"at-most-once."},
	{.name = "session_expiry",
		.others = "session_expiry_interval sessionexpiry",
		.type = CONFIG_DURATION,
		.offset = KEY(session_expiry_ms),
		.fallback = "7d",
		.max = SECONDS(UINT32_MAX - 1),
		.help = "How long the broker keeps the session while linkspan is away (version 5; 3.1.1 "
			"brokers decide "
			"themselves)."},
	{.name = "keep_alive",
		.others = "keepalive_interval keep_alive_interval",
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
		.others = "reconnect_delay reconnect_interval restart_timeout retry_interval reconnect",
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
		.others = "max_inflight max_inflight_messages inflight",
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
			"dropped and counted; QoS 1 and 2 stay at the broker."},
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
		.others = "ssl",
		.type = CONFIG_SECTION,
		.offset = KEY(tls),
		.children = tls_keys,
		.help = "TLS, for mqtts:// and wss://."},
	{.name = "will",
		.others = "last_will lwt testament",
		.type = CONFIG_SECTION,
		.offset = KEY(will),
		.children = will_keys,
		.help = "What the broker publishes when linkspan is gone, also after a clean stop."},
	{.name = "birth",
		.type = CONFIG_SECTION,
		.offset = KEY(birth),
		.children = birth_keys,
		.help = "What linkspan publishes after each connect."},
	{.name = "cloudevents",
		.type = CONFIG_SECTION,
		.offset = KEY(events),
		.children = cloudevents_keys,
		.help = "Messages as CloudEvents."},
	{0},
};

const struct config_key mqtt_to_keys[] = {CLOUDEVENT_TO_KEYS, {0}};

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
		if (config_given(scope, key, NULL) && !config_failed(scope, key, "topic"))
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

/* What 3.1.1 has no place for, be it written with the value that it has anyway. */
static void check_3_1_1(struct config_scope *scope)
{
	static const struct {
		const char *key, *child, *what;
	} uses[] = {
		{"will", "delay", "will delay"},
		{"will", "expiry", "message expiry"},
		{"will", "content_type", "content type"},
		{"will", "response_topic", "response topic"},
		{"will", "correlation", "correlation data"},
		{"will", "utf8", "payload format"},
		{"will", "headers", "user properties"},
		{"connect_headers", NULL, "user properties"},
		{"server_reference", NULL, "server reference"},
		{"max_packet_size", NULL, "maximum packet size"},
		{"receive_maximum", NULL, "receive maximum"},
		{"topic_alias_maximum", NULL, "topic aliases"},
		{"topic_aliases", NULL, "topic aliases"},
		{"session_expiry", NULL, "session expiry, the broker decides"},
	};
	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		if (config_given(scope, uses[i].key, uses[i].child))
			config_complain(scope, uses[i].key, uses[i].child,
				"MQTT 3.1.1 knows no %s; use version 5 or leave it out", uses[i].what);
}

static void check_events(const struct mqtt_settings *settings, struct config_scope *scope)
{
	cloudevents_check(&settings->events, scope);
	if (mqtt_settings_version(settings) == MQTT_3_1_1 && settings->events.mode == CLOUDEVENTS_BINARY &&
		!config_failed(scope, "version", NULL))
		config_complain(scope, "cloudevents", "mode",
			"MQTT 3.1.1 has no place for the attributes of a binary CloudEvent; write structured, or use "
			"version 5");
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

/* An error of tls_new at the key that it begins with. */
static void complain_tls(const char *error, const struct mqtt_settings *settings, struct config_scope *scope)
{
	for (const struct config_key *key = tls_keys; key->name; key++) {
		size_t len = strlen(key->name);
		if (strncmp(error, "tls.", 4) == 0 && strncmp(error + 4, key->name, len) == 0 &&
			strncmp(error + 4 + len, ": ", 2) == 0) {
			config_complain(scope, "tls", key->name, "%s", error + 4 + len + 2);
			return;
		}
	}
	if (settings->tls.server_name)
		config_complain(scope, "tls", "server_name", "%s", error);
	else
		config_complain(scope, "url", NULL, "%s", error);
}

static bool check_tls_part(
	const struct tls_options *part, const struct mqtt_settings *settings, struct config_scope *scope)
{
	char error[512];
	struct tls *tls;
	bool good = tls_new(part, &tls, error, sizeof error) == 0;
	if (good)
		tls_free(tls);
	else
		complain_tls(error, settings, scope);
	return good;
}

/* One thing at a time, so that all mistakes are found. The authorities come first: from then on they are parsed, here and for
 * the loop, and the system's only where they are used. */
static void check_tls_files(const struct mqtt_settings *settings, const char *host, struct config_scope *scope)
{
	const struct tls_options all = mqtt_settings_tls(settings, host);
	const struct tls_options authorities = {.host = "localhost", .ca = all.ca};
	const char *ca = check_tls_part(&authorities, settings, scope) ? all.ca : NULL;
	const struct tls_options parts[] = {
		{.host = all.host, .ca = ca, .insecure = all.insecure},
		{.host = "localhost", .ca = ca, .cert = all.key ? all.cert : NULL, .key = all.cert ? all.key : NULL},
		{.host = "localhost", .ca = ca, .alpn = all.alpn},
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		check_tls_part(&parts[i], settings, scope);
}

/* url: one with TLS, or NULL if there is none. sound: there is no mistake in the urls. */
static void check_tls(
	const struct mqtt_settings *settings, const struct mqtt_url *url, bool sound, struct config_scope *scope)
{
	bool given = config_given(scope, "tls", NULL);
	if (given && !url && sound) {
		config_complain(scope, "tls", NULL, "the url says %s, which has no TLS; use %s",
			any_websocket(settings) ? "ws://" : "mqtt://", any_websocket(settings) ? "wss://" : "mqtts://");
		return;
	}
	if (!settings->tls.cert != !settings->tls.key && !config_failed(scope, "tls", NULL)) {
		const char *there = settings->tls.cert ? "cert" : "key";
		config_complain(scope, "tls", there, "needs tls.%s beside it", settings->tls.cert ? "key" : "cert");
	}
	if (url || given)
		check_tls_files(settings, url ? url->host : "localhost", scope);
}

/* What is wrong with one url of the list; NULL: nothing, and `ret_url` is it. */
static const char *check_url(const struct config_list *urls, size_t i, struct mqtt_url *ret_url)
{
	const char *wrong = mqtt_url_parse(urls->items[i].value, ret_url);
	for (size_t j = 0; j < i && !wrong; j++)
		if (strcmp(urls->items[i].value, urls->items[j].value) == 0)
			wrong = "the same url stands in the list twice; leave one of them out";
	return wrong;
}

static void check_urls(const struct mqtt_settings *settings, struct config_scope *scope)
{
	const struct config_list *urls = &settings->urls;
	struct mqtt_url url, with_tls;
	bool sound = true;
	size_t n_tls = 0;
	for (size_t i = 0; i < urls->n; i++) {
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		const char *wrong = check_url(urls, i, &url);
		if (wrong)
			config_complain(scope, "url", urls->n > 1 ? index : NULL, "%s", wrong);
		sound = sound && !wrong;
		if (wrong || !url.tls)
			continue;
		with_tls = url;
		n_tls++;
	}
	sound = sound && urls->n > 0;
	check_tls(settings, n_tls > 0 ? &with_tls : NULL, sound, scope);
	if (sound && n_tls > 0 && n_tls < urls->n)
		config_warn(scope, "url", NULL,
			"some of these have no TLS: where they are used, messages and credentials travel in clear, and "
			"nothing proves who the broker is; use mqtts:// or wss:// for all of them");
}

const char *mqtt_settings_pick(const struct mqtt_settings *settings, const char *const words[3])
{
	return words[settings->client == MQTT_CLIENT_PAHO ? 0 : settings->proxy ? 1 : 2];
}

/* What Paho 1.3.12 cannot do, or linkspan does not ask of it. */
static void check_paho_keeps(const struct mqtt_settings *settings, struct config_scope *scope)
{
	static const char *const how[] = {"with client: paho", "through a proxy", "over WebSocket"};
	static const char *const others[] = {
		"content_type", "response_topic", "correlation", "expiry", "utf8", "headers"};
	const struct mqtt_own_message *will = &settings->will;
	const char *here = mqtt_settings_pick(settings, how);
	if (will->topic && will->qos > 1)
		config_complain(scope, "will", "qos", "%s QoS 0 and 1 only are used; use 1", here);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (config_given(scope, "will", others[i]))
			config_complain(scope, "will", others[i],
				"%s, of the will's properties only delay is sent; leave the others out", here);
	if (settings->connect_headers.n > 0)
		config_complain(scope, "connect_headers", NULL, "%s none are sent; leave them out", here);
	if (settings->max_packet_size > 0)
		config_complain(scope, "max_packet_size", NULL, "%s it is not enforced; leave it out", here);
	if (settings->server_reference == SERVER_REFERENCE_FOLLOW)
		config_complain(scope, "server_reference", NULL, "%s none is followed; say ignore", here);
	if (settings->urls.n > 1)
		config_complain(scope, "url", NULL, "%s one url is taken, not a list; leave one", here);
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
	static const char *const keys[] = {"client", "proxy", "url"};
	static const char *const what[] = {"client: paho needs", "a proxy needs", "ws:// and wss:// need"};
	static const char *const instead[] = {
		"leave it out", "go without one", "use mqtt:// or mqtts://, if the broker has it"};
	config_complain(scope, mqtt_settings_pick(settings, keys), NULL,
		"this linkspan is built without Paho, which %s; install libpaho-mqtt-dev and build it again, or %s",
		mqtt_settings_pick(settings, what), mqtt_settings_pick(settings, instead));
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
		check_3_1_1(scope);
	check_events(settings, scope);
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
