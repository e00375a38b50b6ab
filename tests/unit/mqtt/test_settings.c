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
	struct mqtt_settings settings = {.url = (char *)(uintptr_t)text};
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
	struct mqtt_settings settings = {.url = (char *)(uintptr_t) "mqtt://broker"};
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
	snprintf(path, sizeof path, "%s/linkspan.yaml", tap_tempdir());
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
	complains("    url: mqtt://broker\n", "client_id is missing");
	complains("    url: mqtt://broker\n    client_id: ''\n", "1 to 65535");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    password: x\n", "add username");
	complains("    url: mqtt://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "use mqtts://");
	complains(
		"    url: mqtts://broker\n    client_id: e\n    tls: {ca: /dev/null}\n", "tls.ca: /dev/null holds no");
	complains("    url: mqtts://broker\n    client_id: e\n    tls: {cert: /dev/null}\n", "needs tls.key");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {payload: x}\n", "no topic");
	complains("    url: mqtt://broker\n    client_id: e\n    will: {topic: a/+}\n", "not a topic name");
	complains("    url: mqtt://broker\n    client_id: e\n    birth: {topic: a, qos: 2}\n", "QoS 0 and 1");
	complains("    url: mqtt://broker\n    client_id: e\n    version: 3.1.1\n    will: {topic: a, delay: 5s}\n",
		"knows no will delay");
	complains("    url: mqtt://broker\n    client_id: e\n    reconnect_min: 2s\n    reconnect_max: 1s\n",
		"not be above");
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
#else
	complains("    url: ws://broker\n    client_id: e\n", "built without Paho");
#endif
}

static void test_qos_and_guarantees(void)
{
	struct mqtt_settings settings = {.session_expiry_ms = 1000};
	CU_ASSERT(mqtt_connector.check_qos(&settings, 0) == NULL);
	CU_ASSERT(mqtt_connector.check_qos(&settings, 1) == NULL);
	CU_ASSERT(mqtt_connector.check_qos(&settings, 2) != NULL);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 0) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_LEAST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 0) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.sink_guarantee(&settings, 1) == AT_LEAST_ONCE);
	settings.session_expiry_ms = 0;
	CU_ASSERT(mqtt_connector.source_guarantee(&settings, 1) == AT_MOST_ONCE);
	CU_ASSERT(mqtt_connector.check_target(slice_str("a/b")) == NULL);
	CU_ASSERT(mqtt_connector.check_target(slice_str("a/#")) != NULL);
}

static const struct tap_test tests[] = {
	{"urls", test_urls},
	{"urls of WebSockets, and who carries what", test_websocket_urls},
	{"complaints about clients and proxies", test_complaints_about_clients},
	{"fallbacks", test_fallbacks},
	{"complaints", test_complaints},
	{"qos, guarantees, targets", test_qos_and_guarantees},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt settings", tests);
}
