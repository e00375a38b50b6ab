/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of an MQTT connection: fallbacks, and what the check complains about.
 */
#include "connectors/mqtt/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "connectors/common/trust.h"
#include "connectors/mqtt/mqtt.h"
#include "connectors/mqtt/tls.h"
#include "tests/unit/mqtt/certificates.h"
#include "tests/unit/tap.h"

#define HEAD "    url: mqtt://broker\n    client_id: e\n"

static const char *folder;

static void test_who_carries(void)
{
	struct config_text item = {.value = (char *)(uintptr_t) "wss://broker"};
	struct mqtt_settings settings = {.urls = {&item, 1}};
	CU_ASSERT(mqtt_settings_use_paho(&settings));
	item.value = (char *)(uintptr_t) "mqtt://broker";
	CU_ASSERT(!mqtt_settings_use_paho(&settings));
	settings.client = MQTT_CLIENT_PAHO;
	CU_ASSERT(mqtt_settings_use_paho(&settings));
	settings.client = MQTT_CLIENT_AUTO;
	settings.proxy = (char *)(uintptr_t) "http://gate";
	CU_ASSERT(mqtt_settings_use_paho(&settings));
	CU_ASSERT(mqtt_connector.check_qos(&settings, 1) == NULL && mqtt_connector.check_qos(&settings, 2) != NULL);
	CU_ASSERT(mqtt_connector.check_roles(&settings, true, false) == NULL);
	CU_ASSERT(mqtt_connector.check_roles(&settings, true, true) != NULL);
}

/* Loads a configuration whose connection has these lines; what was written about its mistakes, to be freed. */
static char *load(const char *lines, struct config **ret_config)
{
	char path[300], *errors = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/linkspan.yaml", folder);
	FILE *file = fopen(path, "w");
	fprintf(file, "data_dir: /tmp\nconnections:\n  plant:\n    type: mqtt\n%s", lines);
	fprintf(file, "mappings:\n  - name: m\n    from: {connection: plant, topic: a}\n"
		      "    to: {connection: plant, topic: b}\n");
	fclose(file);
	FILE *out = open_memstream(&errors, &size);
	*ret_config = NULL;
	int r = config_load(path, out, ret_config, NULL);
	fclose(out);
	CU_ASSERT((r == 0) == (*ret_config != NULL));
	return errors;
}

static void put_file(const char *name, const char *text)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	CU_ASSERT_FATAL(file != NULL);
	fputs(text, file);
	fclose(file);
}

static void complains(const char *lines, const char *complaint)
{
	struct config *config;
	char *errors = load(lines, &config);
	if (config || !strstr(errors, complaint))
		printf("# wanted \"%s\", got: %s\n", complaint, errors);
	CU_ASSERT(config == NULL && strstr(errors, complaint) != NULL);
	config_free(config);
	free(errors);
}

/* warning: NULL for none. */
static void warns(const char *lines, const char *warning)
{
	struct config *config;
	char *errors = load(lines, &config);
	bool good = config && (warning ? strstr(errors, warning) != NULL : !strstr(errors, "no TLS"));
	if (!good)
		printf("# %s\n", errors);
	CU_ASSERT(good);
	config_free(config);
	free(errors);
}

static void accepts(const char *lines)
{
	struct config *config;
	char *errors = load(lines, &config);
	if (!config)
		printf("# %s\n", errors);
	CU_ASSERT(config != NULL);
	config_free(config);
	free(errors);
}

static void test_fallbacks(void)
{
	struct config *config;
	char *errors = load("    url: mqtt://broker\n    client_id: edge\n", &config);
	CU_ASSERT_FATAL(config != NULL);
	const struct mqtt_settings *settings = config->connections[0].settings;
	CU_ASSERT(mqtt_settings_version(settings) == MQTT_5_0);
	CU_ASSERT(settings->session_expiry_ms == 7ull * 86400 * 1000);
	CU_ASSERT(settings->keep_alive_ms == 30000 && settings->receive_maximum == 256);
	CU_ASSERT(settings->reconnect_min_ms == 100 && settings->reconnect_max_ms == 60000);
	CU_ASSERT(settings->tls.verify && !settings->clean_start);
	CU_ASSERT(!settings->will.topic && !settings->birth.topic);
	config_free(config);
	free(errors);
	errors = load("    url: mqtt://broker\n    client_id: edge\n    version: 3.1.1\n", &config);
	CU_ASSERT_FATAL(config != NULL);
	CU_ASSERT(mqtt_settings_version(config->connections[0].settings) == MQTT_3_1_1);
	config_free(config);
	free(errors);
	errors = load("    url: mqtt://broker\n    clean_start: true\n", &config);
	CU_ASSERT_FATAL(config != NULL);
	CU_ASSERT(mqtt_connector.source_guarantee(config->connections[0].settings, 1) == AT_MOST_ONCE);
	config_free(config);
	free(errors);
}

static void test_complaints(void)
{
	complains("    url: http://broker\n    client_id: edge\n", ":5:");
	complains("    url: http://broker\n    client_id: edge\n", "must begin with mqtt://");
	complains("    url: [mqtt://broker, http://b]\n    client_id: e\n", ":5:26: url.1: the url must begin");
	complains("    url: [mqtt://a, mqtt://b, mqtt://a]\n    client_id: e\n", "twice");
	complains("    url: [mqtt://a, mqtt://b]\n    client_id: e\n    tls: {ca: /dev/null}\n", "use mqtts://");
	complains("    url: [mqtt://a, mqtts://b]\n    client_id: e\n    tls: {ca: /dev/null}\n", "holds no");
	complains("    url: []\n    client_id: e\n", "empty list");
	warns("    url: [mqtt://a, 'mqtts://b:1']\n    client_id: e\n", "warning: url: some of these have no TLS");
	warns("    url: [mqtts://a, 'mqtts://b:1']\n    client_id: e\n", NULL);
	warns("    url: [mqtt://a, 'mqtt://b:1']\n    client_id: e\n", NULL);
	complains("    url: mqtt://broker\n", "client_id is missing");
	complains("    url: mqtt://broker\n    client_id: ''\n", "1 to 65535");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    password: x\n", "add username");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "use mqtts://");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {ca: /dev/null}\n",
		"tls.ca: '/dev/null' holds no");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {cert: /dev/null}\n", "needs tls.key");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {alpn: mqtt}\n", "use mqtts://");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {server_name: x}\n", "use mqtts://");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {min_version: 1.3}\n", "use mqtts://");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {alpn: [mqtt, '']}\n",
		":7:17: tls.alpn: the name of a protocol has 1 to 255");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {ca: /dev/null, alpn: ['']}\n",
		":7:15: tls.ca: '/dev/null' holds");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {ca: /dev/null, alpn: ['']}\n",
		":7:32: tls.alpn: ");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {cert: /dev/null, key: /dev/null}\n",
		":7:17: tls.cert: '/dev/null' holds");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {verify: false}\n", "use mqtts://");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {server_name: ''}\n", "tls.server_name");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {min_version: 1.1}\n", "min_version");
	accepts("    url: mqtts://b\n    client_id: e\n    tls: {alpn: mqtt, server_name: x.y, min_version: 1.3}\n");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {payload: x}\n", "no topic");
	complains(HEAD "    will: {qos: 2}\n", "will: it has no topic");
	complains("    url: tcp://b\n    client_id: e\n    tls: {alpn: ['']}\n", "tls.alpn: ");
	complains(HEAD "    will: {topic: a, user_properties: {b: c}}\n", "did you mean 'headers'?");
	complains(HEAD "    will: {topic: a, payload_format: 1}\n", "did you mean 'utf8'?");
	complains(HEAD "    verify: false\n", "it belongs under 'tls'");
	complains(HEAD "    birth: {retain: true}\n", "birth: it has no topic");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {topic: a/+}\n", "not a topic name");
	complains("    url: mqtt://broker\n    client_id: e\n    birth: {topic: a, qos: 2}\n",
		"qos: '2' is too large; it lies between 0 and 1");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    will: {topic: a, delay: 5s}\n",
		"knows no will delay");
	complains("    url: mqtt://b\n    client_id: e\n    max_packet_size: 255B\n", "256");
	complains(
		"    url: mqtt://b\n    client_id: e\n    version: 3.1.1\n    max_packet_size: 1MiB\n", "3.1.1 knows");
	accepts("    url: mqtt://b\n    client_id: e\n    max_packet_size: 1MiB\n");
	complains("    url: mqtt://broker\n    client_id: e\n    reconnect_min: 2s\n    reconnect_max: 1s\n",
		"not be above");
}

static void test_credential_complaints(void)
{
	put_file("empty", "\n");
	put_file("good", "secret\n");
	complains(HEAD "    username: u\n    username_file: /dev/null\n", "username is there too");
	complains(HEAD "    password: p\n    password_file: /dev/null\n", "password is there too");
	complains(HEAD "    password_file: /dev/null\n", "not a regular file");
	complains(HEAD "    password_file: none\n", "cannot be read");
	complains(HEAD "    username_file: empty\n", "is empty");
	complains(HEAD "    version: 3.1.1\n    password_file: good\n", "add username");
	accepts(HEAD "    version: 3.1.1\n    username: u\n    password_file: good\n");
	accepts(HEAD "    version: 3.1.1\n    username_file: good\n    password_file: good\n");
}

static void test_will_complaints(void)
{
	static const char *const keys[] = {"delay: 5s", "expiry: 5s", "content_type: a", "response_topic: a",
		"correlation: a", "utf8: true", "headers: {a: b}"};
	char lines[256];
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		snprintf(lines, sizeof lines, HEAD "    version: 3.1.1\n    will: {topic: a, %s}\n", keys[i]);
		complains(lines, "MQTT 3.1.1 knows no");
		snprintf(lines, sizeof lines, HEAD "    will: {topic: a, qos: 2, %s}\n", keys[i]);
		accepts(lines);
	}
	complains(HEAD "    version: 3.1.1\n    connect_headers: {a: b}\n", "knows no user properties");
	complains(HEAD "    version: 3.1.1\n    server_reference: follow\n", "knows no server reference");
	complains(HEAD "    version: 3.1.1\n    receive_maximum: 256\n", ":8:22: receive_maximum: MQTT 3.1.1 knows no");
	complains(HEAD "    version: 3.1.1\n    topic_aliases: 0\n", "topic_aliases: MQTT 3.1.1 knows no");
	complains(HEAD "    version: 3.1.1\n    topic_alias_maximum: 0\n", "topic_alias_maximum: MQTT 3.1.1 knows no");
	complains(HEAD "    version: 3.1.1\n    session_expiry: 1h\n", "session_expiry: MQTT 3.1.1 knows no");
	complains(HEAD "    version: 3.1.1\n    will: {topic: a, delay: 0s}\n", "will.delay: MQTT 3.1.1 knows no");
	complains(HEAD "    server_reference: obey\n", "server_reference");
	accepts(HEAD "    server_reference: follow\n");
	accepts(HEAD "    connect_headers: {a: b}\n");
	complains(HEAD "    will: {topic: a, response_topic: a/+}\n", "will.response_topic");
	complains(HEAD "    birth: {topic: a, headers: {a: b}}\n", "headers");
}

static void test_complaints_about_clients(void)
{
	complains("    url: ws://broker\n    client_id: e\n    client: linkspan\n", "knows no WebSocket");
	complains("    url: mqtt://broker\n    client_id: e\n    client: linkspan\n    proxy: http://gate\n",
		"knows no proxy");
	complains("    url: mqtt://broker\n    client_id: e\n    proxy: gate:1\n", "must be written http://");
	complains(HEAD "    proxy: https://gate:1\n", "only http:// proxies can be used");
	complains(HEAD "    proxy: socks5://gate:1\n", "only http:// proxies can be used");
	complains("    url: ws://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "use wss://");
#ifdef HAVE_PAHO
	complains("    url: ws://broker\n    client_id: e\n", "a WebSocket disconnects while there is no room");
	complains("    url: ws://broker\n    client_id: e\n", "a second one with another client_id");
	complains(HEAD "    client: paho\n", "client: paho disconnects while");
	complains(HEAD "    proxy: http://gate\n", "a connection through a proxy disconnects while");
	complains("    url: [ws://a, ws://b]\n    client_id: e\n", "url: over WebSocket one url is taken");
	complains("    url: ws://a\n    client_id: e\n    will: {topic: a, content_type: b}\n",
		"will.content_type: over WebSocket, of the will's properties only delay");
	complains(
		"    url: ws://a\n    client_id: e\n    will: {topic: a, qos: 2}\n", "over WebSocket QoS 0 and 1 only");
	complains(HEAD "    client: paho\n    will: {topic: a, qos: 2}\n", "will.qos: with client: paho QoS 0 and 1");
	complains(HEAD "    proxy: http://g\n    will: {topic: a, qos: 2}\n", "will.qos: through a proxy QoS 0 and 1");
	complains("    url: ws://a\n    client_id: e\n    connect_headers: {a: b}\n", "none are sent");
	complains("    url: ws://a\n    client_id: e\n    max_packet_size: 1MiB\n", "not enforced");
	complains("    url: ws://a\n    client_id: e\n    server_reference: follow\n", "none is followed");
#else
	complains("    url: ws://broker\n    client_id: e\n", "url: this linkspan is built without Paho, which ws://");
	complains(HEAD "    client: paho\n", "client: this linkspan is built without Paho, which client: paho needs");
	complains(HEAD "    proxy: http://g\n", "proxy: this linkspan is built without Paho, which a proxy needs");
#endif
}

/* A whole configuration but for its first line; what was written about it, to be freed. */
static char *load_text(const char *text, struct config **ret_config)
{
	char path[300], *errors = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/linkspan.yaml", folder);
	FILE *file = fopen(path, "w");
	fprintf(file, "data_dir: /tmp\n%s", text);
	fclose(file);
	FILE *out = open_memstream(&errors, &size);
	*ret_config = NULL;
	int r = config_load(path, out, ret_config, NULL);
	fclose(out);
	CU_ASSERT((r == 0) == (*ret_config != NULL));
	return errors;
}

/* complaint: NULL for none. */
static void pair(const char *one, const char *other, const char *complaint)
{
	char text[600];
	struct config *config;
	snprintf(text, sizeof text,
		"connections:\n  a: {type: mqtt, %s}\n  b: {type: mqtt, %s}\n"
		"mappings:\n  - {name: m, from: {connection: a, topic: x}, to: {connection: b, topic: y}}\n",
		one, other);
	char *errors = load_text(text, &config);
	bool good = complaint ? strstr(errors, complaint) != NULL : config != NULL && !*errors;
	if (!good)
		printf("# %s\n", errors);
	CU_ASSERT(good && !config == (complaint != NULL));
	config_free(config);
	free(errors);
}

static void test_pairs(void)
{
	static const char wrong[] = ":4:3: connections 'a' (line 3) and 'b': both connect to the same address";
	pair("url: 'mqtt://h', client_id: c", "url: 'mqtt://h', client_id: c", wrong);
	pair("url: 'mqtt://h', client_id: c", "url: 'mqtt://H:1883', client_id: c", wrong);
	pair("url: 'mqtts://h:443', client_id: c", "url: 'mqtt://h:443', client_id: c", wrong);
	pair("url: [mqtt://g, mqtt://h], client_id: c", "url: [mqtt://i, mqtt://h], client_id: c", wrong);
	pair("url: 'mqtt://h', client_id: c", "url: 'mqtt://h', client_id: d", NULL);
	pair("url: 'mqtt://h', client_id: c", "url: 'mqtt://i', client_id: c", NULL);
	pair("url: 'mqtt://h', client_id: c", "url: 'mqtt://h:1884', client_id: c", NULL);
	pair("url: 'mqtt://h', clean_start: true", "url: 'mqtt://h', clean_start: true", NULL);
	/* A mistake elsewhere does not hide it. */
	pair("url: 'mqtt://h', client_id: c, keep_alive: 1", "url: 'mqtt://h', client_id: c", wrong);
}

/* complaint: of a mapping that is declared exactly-once, with these keys of the connections and of from and to. */
static void refused_guarantee(const char *a, const char *b, const char *from, const char *to, const char *complaint)
{
	char text[800];
	struct config *config;
	snprintf(text, sizeof text,
		"connections:\n  a: {type: mqtt, url: 'mqtt://h', client_id: c%s}\n"
		"  b: {type: mqtt, url: 'mqtt://i', client_id: c%s}\nmappings:\n  - name: m\n"
		"    from: {connection: a, topic: x, %s}\n    to: {connection: b, topic: y%s}\n    "
		"delivery: exactly-once\n",
		a, b, from, to);
	char *errors = load_text(text, &config);
	bool good = complaint ? strstr(errors, complaint) != NULL : config != NULL && !*errors;
	if (!good)
		printf("# %s\n", errors);
	CU_ASSERT(good && !config == (complaint != NULL));
	config_free(config);
	free(errors);
}

static void test_reasons(void)
{
	refused_guarantee("", "", "qos: 2", "", NULL);
	refused_guarantee("", ", version: 3.1.1", "qos: 2", "",
		"writing to 'b' (mqtt) with qos 2 keeps at-least-once because a 3.1.1 broker cannot say how many "
		"messages of QoS 2 it takes at once (set max_in_flight to what it is known to allow, or use version "
		"5); declare at-least-once\n");
	refused_guarantee("", ", version: 3.1.1, max_in_flight: 10", "qos: 2", "", NULL);
	refused_guarantee("", ", clean_start: true, version: 3.1.1", "qos: 2", "",
		"because clean_start forgets the session at each connect (leave it out), and a 3.1.1 broker");
	refused_guarantee(", clean_start: true", "", "qos: 2", "",
		"reading from 'a' (mqtt) keeps at-most-once because clean_start forgets");
	refused_guarantee("", ", session_expiry: 0s", "qos: 2", "",
		"because session_expiry: 0s ends the session with the connection (give it more");
	refused_guarantee("", "", "qos: 2", ", qos: 1",
		"writing to 'b' (mqtt) with qos 1 keeps at-least-once because exactly-once needs qos: 2; declare");
	refused_guarantee(", session_expiry: 0s", "", "qos: 0", ", qos: 2",
		"because exactly-once needs qos: 2, and session_expiry: 0s ends");
	/* What could not be read is not concluded from; the other leg is looked at. */
	refused_guarantee(", clean_start: 'yes'", ", version: 3.1.1", "qos: 2", "",
		"cannot be kept: writing to 'b' (mqtt) with qos 2 keeps at-least-once because a 3.1.1 broker");
	refused_guarantee(", clean_start: 'yes'", "", "qos: 2", "", "clean_start is text because of its quotes");
	refused_guarantee(", max_in_flight: x", ", version: 3.1.1", "qos: 2", "", "max_in_flight: 'x' is not");
}

static void test_mistakes_at_once(void)
{
	struct config *config;
	char *errors = load_text(
		"connections:\n  a:\n    type: mqtt\n    url: http://h\n    clean_start: 'true'\n"
		"    keep_alive: 7\n    password: [x]\n    version: 3.1.1\n    will: {topic: a/+, qos: 5}\n"
		"    reconnect_max: 1ms\n    tls: {cert: none, key: /dev/null}\n"
		"mappings:\n  - name: m\n    from: {connection: a, topic: x, group: g}\n"
		"    to: {connection: a, topic: y, qos: 9}\n"
		"  - name: n\n    from: {connection: a, topic: z, qos: 2}\n    to: {connection: a, topic: b}\n"
		"    delivery: exactly-once\n",
		&config);
	static const char *const wanted[] = {":5:", "the url must begin", "clean_start is text", "keep_alive: '7'",
		"password is a list", "will.topic: \"a/+\"", "qos: '5'", "reconnect_min: must not", "tls",
		"3.1.1 has no shared", "qos: '9'"};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if (!strstr(errors, wanted[i])) {
			printf("# missing: %s\n# %s\n", wanted[i], errors);
			CU_FAIL("not all at once");
		}
	CU_ASSERT(!config);
	CU_ASSERT_PTR_NULL(strstr(errors, "cannot be kept"));
	CU_ASSERT_PTR_NULL(strstr(errors, "client_id is missing")); /* clean_start was meant */
	CU_ASSERT_PTR_NULL(strstr(errors, "add username"));
	CU_ASSERT_PTR_NULL(strstr(errors, "needs tls"));
	free(errors);
}

/* Each key with each kind of wrong value, alone and with a mistake of every other kind beside it: the check comes back
 * (the sanitizers watch), and who is refused is told why. */
static void test_any_value(void)
{
	static const char *const values[] = {"[[a]]", "{a: [b]}", "~", "'x'", "7d"};
	static const char *const beside[] = {"", "    version: 3.1.1\n    client: paho\n    url: [~]\n"};
	unsigned accepted = 0, refused = 0;
	for (const struct config_key *key = mqtt_connection_keys; key->name; key++)
		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
			for (size_t j = 0; j < sizeof beside / sizeof beside[0]; j++) {
				char lines[300];
				struct config *config;
				const char *more = strstr(beside[j], key->name) ? "" : beside[j];
				bool url = strcmp(key->name, "url") == 0 || strstr(more, "url");
				snprintf(lines, sizeof lines, "%s%s    %s: %s\n%s", url ? "" : "    url: mqtt://b\n",
					strcmp(key->name, "client_id") == 0 ? "" : "    client_id: e\n", key->name,
					values[i], more);
				char *errors = load(lines, &config);
				CU_ASSERT(config || *errors);
				accepted += config != NULL;
				refused += config == NULL;
				config_free(config);
				free(errors);
			}
	printf("# %u accepted, %u refused\n", accepted, refused);
	CU_ASSERT(accepted > 5 && refused > 200);
}

static void test_secrets(void)
{
	put_file("empty", "\n");
	complains(HEAD "    password_file: empty\n", "password_file: '");
	complains(HEAD "    password_file: empty\n", "/empty': is empty; it must be a readable file");
	complains(HEAD "    password_file: empty\n", "   7 |     password_file: empty\n");
	complains(HEAD "    proxy: gate:1\n", "http://user:password@host:port");
	complains(HEAD "    proxy: 'http://me:hunter2@gate:x'\n", "proxy: what follows the proxy's host");
	complains(HEAD "    proxy: 'http://me:hunter2@gate:x'\n", "    proxy: ***\n");
	complains(HEAD "    username: u\n    password: qos\n    will: {topic: a, qos: 3}\n", "qos: '3' is too large");
	complains(HEAD "    password: secret\n    will: {topic: 'a/secret/#'}\n", "will.topic: \"a/***/#\" is not");
}

/* The loop, which connects later, finds the authorities parsed. */
static void test_check_prepares(void)
{
	char error[512];
	struct tls *tls = NULL;
	struct certificate ca;
	certificate_authority(folder, "ca", &ca);
	setenv("SSL_CERT_FILE", ca.cert, 1);
	uint64_t before = trust_parses();
	warns("    url: mqtts://broker\n    client_id: e\n", NULL);
	CU_ASSERT(trust_parses() == before + 1);
	warns("    url: mqtts://broker\n    client_id: e\n", NULL);
	const struct tls_options options = {.host = "broker"};
	CU_ASSERT(tls_new(&options, &tls, error, sizeof error) == 0);
	tls_free(tls);
	CU_ASSERT(trust_parses() == before + 1);
	unsetenv("SSL_CERT_FILE");
}

static void test_qos_and_guarantees(void)
{
	struct mqtt_settings settings = {.session_expiry_ms = 1000};
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 0) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 0, false) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 1, false) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == EXACTLY_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2, false) == EXACTLY_ONCE);
	settings.version = 1; /* 3.1.1: only with a limit that the broker is known to allow */
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == EXACTLY_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2, false) == AT_LEAST_ONCE);
	settings.max_in_flight = 20;
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2, false) == EXACTLY_ONCE);
	settings.version = 0;
	settings.session_expiry_ms = 0;
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2, false) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.check_target(NULL, slice_str("a/b")) == NULL);
	CU_ASSERT(mqtt_connector.check_target(NULL, slice_str("a/#")) != NULL);
}

static const struct tap_test tests[] = {
	{"who carries what", test_who_carries},
	{"complaints about clients and proxies", test_complaints_about_clients},
	{"fallbacks", test_fallbacks},
	{"complaints", test_complaints},
	{"credentials from files", test_credential_complaints},
	{"the will", test_will_complaints},
	{"connections that take the session from each other", test_pairs},
	{"why a guarantee cannot be kept", test_reasons},
	{"mistakes come all at once", test_mistakes_at_once},
	{"any value of any key", test_any_value},
	{"secrets are hidden, words are not", test_secrets},
	{"the check parses authorities", test_check_prepares},
	{"qos, guarantees, targets", test_qos_and_guarantees},
	{NULL, NULL},
};

int main(void)
{
	folder = tap_tempdir();
	return tap_main("mqtt settings", tests);
}
