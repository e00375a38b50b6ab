/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of an MQTT connection: urls, fallbacks, and what the check complains about.
 */
#include "connectors/mqtt/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/config.h"
#include "connectors/mqtt/mqtt.h"
#include "tests/unit/tap.h"

static const char *folder;

static void good_url(const char *text, bool tls, const char *host, uint16_t port)
{
	struct mqtt_url url;
	CU_ASSERT_FATAL(mqtt_url_parse(text, &url) == NULL);
	CU_ASSERT(url.tls == tls && url.port == port);
	CU_ASSERT_STRING_EQUAL(url.host, host);
}

static void bad_url(const char *text, const char *complaint)
{
	struct mqtt_url url;
	const char *wrong = mqtt_url_parse(text, &url);
	CU_ASSERT_FATAL(wrong != NULL);
	CU_ASSERT(strstr(wrong, complaint) != NULL);
}

static void test_urls(void)
{
	good_url("mqtt://broker", false, "broker", 1883);
	good_url("mqtt://broker/", false, "broker", 1883);
	good_url("mqtts://broker.plant.local", true, "broker.plant.local", 8883);
	good_url("mqtt://10.0.0.1:1884", false, "10.0.0.1", 1884);
	good_url("mqtts://[::1]", true, "::1", 8883);
	good_url("mqtt://[fe80::1%eth0]:65535", false, "fe80::1%eth0", 65535);
	bad_url("broker:1883", "mqtt://");
	bad_url("http://broker", "mqtt://");
	bad_url("mqtt://", "no host");
	bad_url("mqtt://:1883", "no host");
	bad_url("mqtt://user:pw@broker", "username and password");
	bad_url("mqtt://broker:0", "1 to 65535");
	bad_url("mqtt://broker:65536", "1 to 65535");
	bad_url("mqtt://broker:18x", "1 to 65535");
	bad_url("mqtt://broker:", "1 to 65535");
	bad_url("mqtt://broker/path", "nothing may follow");
	bad_url("mqtt://::1", "brackets");
	bad_url("mqtt://[::1", "bracket");
}

static void good_websocket(const char *text, bool tls, uint16_t port, const char *path)
{
	struct mqtt_url url;
	CU_ASSERT_FATAL(mqtt_url_parse(text, &url) == NULL);
	CU_ASSERT(url.websocket && url.tls == tls && url.port == port);
	CU_ASSERT_STRING_EQUAL(url.path, path);
	struct config_text item = {.value = (char *)(uintptr_t)text};
	struct mqtt_settings settings = {.urls = {&item, 1}};
	CU_ASSERT(mqtt_settings_use_paho(&settings));
}

static void test_websocket_urls(void)
{
	good_websocket("ws://broker", false, 80, "/mqtt");
	good_websocket("wss://broker", true, 443, "/mqtt");
	good_websocket("wss://broker/", true, 443, "/");
	good_websocket("ws://broker:8080/a:b/c?x=y@z", false, 8080, "/a:b/c?x=y@z");
	good_websocket("ws://[::1]:8080/m", false, 8080, "/m");
	bad_url("ws://u:p@broker/m", "username and password");
	bad_url("ws://broker:0/m", "1 to 65535");
	bad_url("ws://broker/a b", "without blanks");
	struct config_text item = {.value = (char *)(uintptr_t) "mqtt://broker"};
	struct mqtt_settings settings = {.urls = {&item, 1}};
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
	accepts("    url: [mqtt://a, 'mqtts://b:1']\n    client_id: e\n");
	complains("    url: mqtt://broker\n", "client_id is missing");
	complains("    url: mqtt://broker\n    client_id: ''\n", "1 to 65535");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    password: x\n", "add username");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "use mqtts://");
	complains(
		"    url: mqtts://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "tls.ca: /dev/null holds no");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {cert: /dev/null}\n", "needs tls.key");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {alpn: mqtt}\n", "use mqtts://");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {server_name: x}\n", "use mqtts://");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {min_version: 1.3}\n", "use mqtts://");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {alpn: [mqtt, '']}\n", "1 to 255");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {server_name: ''}\n", "tls.server_name");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {min_version: 1.1}\n", "min_version");
	accepts("    url: mqtts://b\n    client_id: e\n    tls: {alpn: mqtt, server_name: x.y, min_version: 1.3}\n");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {payload: x}\n", "no topic");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {topic: a/+}\n", "not a topic name");
	complains("    url: mqtt://broker\n    client_id: e\n    birth: {topic: a, qos: 2}\n", "QoS 0 and 1");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    will: {topic: a, delay: 5s}\n",
		"knows no will delay");
	complains("    url: mqtt://b\n    client_id: e\n    max_packet_size: 255B\n", "256");
	complains(
		"    url: mqtt://b\n    client_id: e\n    version: 3.1.1\n    max_packet_size: 1MiB\n", "3.1.1 knows");
	accepts("    url: mqtt://b\n    client_id: e\n    max_packet_size: 1MiB\n");
	complains("    url: mqtt://broker\n    client_id: e\n    reconnect_min: 2s\n    reconnect_max: 1s\n",
		"not be above");
}

#define HEAD "    url: mqtt://broker\n    client_id: e\n"

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
	complains("    url: ws://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "use wss://");
#ifdef HAVE_PAHO
	complains("    url: ws://broker\n    client_id: e\n", "a second one with another client_id");
	complains("    url: [ws://a, ws://b]\n    client_id: e\n", "takes one url");
	complains("    url: ws://a\n    client_id: e\n    will: {topic: a, content_type: b}\n", "only delay");
	complains("    url: ws://a\n    client_id: e\n    will: {topic: a, qos: 2}\n", "QoS 0 and 1 only");
	complains("    url: ws://a\n    client_id: e\n    connect_headers: {a: b}\n", "sends none");
	complains("    url: ws://a\n    client_id: e\n    max_packet_size: 1MiB\n", "does not enforce it");
	complains("    url: ws://a\n    client_id: e\n    server_reference: follow\n", "follows none");
#else
	complains("    url: ws://broker\n    client_id: e\n", "built without Paho");
#endif
}

static void test_qos_and_guarantees(void)
{
	struct mqtt_settings settings = {.session_expiry_ms = 1000};
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 0) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 0) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 1) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == EXACTLY_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2) == EXACTLY_ONCE);
	settings.version = 1; /* 3.1.1: only with a limit that the broker is known to allow */
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == EXACTLY_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2) == AT_LEAST_ONCE);
	settings.max_in_flight = 20;
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2) == EXACTLY_ONCE);
	settings.version = 0;
	settings.session_expiry_ms = 0;
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 2) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 2) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.check_target(slice_str("a/b")) == NULL);
	CU_ASSERT(mqtt_connector.check_target(slice_str("a/#")) != NULL);
}

static const struct tap_test tests[] = {
	{"urls", test_urls},
	{"urls of WebSockets, and who carries what", test_websocket_urls},
	{"complaints about clients and proxies", test_complaints_about_clients},
	{"fallbacks", test_fallbacks},
	{"complaints", test_complaints},
	{"credentials from files", test_credential_complaints},
	{"the will", test_will_complaints},
	{"qos, guarantees, targets", test_qos_and_guarantees},
	{NULL, NULL},
};

int main(void)
{
	folder = tap_tempdir();
	return tap_main("mqtt settings", tests);
}
