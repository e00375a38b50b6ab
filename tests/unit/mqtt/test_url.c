/* SPDX-License-Identifier: Apache-2.0
 *
 * Urls of brokers: what is taken, and what is said of the others.
 */
#include "connectors/mqtt/url.h"

#include <stdio.h>
#include <string.h>

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
	bad_url("mqtt://1:2:3:4:5:6:7:8", "brackets");
	bad_url("mqtt://[::1", "bracket");
	good_url("mqtt://broker:1884/", false, "broker", 1884);
	good_url("MQTTS://Broker", true, "Broker", 8883);
	bad_url("mqtt://broker//", "nothing may follow");
	bad_url("tcp://broker", "did you mean that by tcp://");
	bad_url("SSL://broker", "must begin with mqtts://; did you mean");
	bad_url("tls://broker", "must begin with mqtts://; did you mean");
	bad_url("mqtt://a,mqtt://b", "[mqtt://one, mqtt://other]");
	bad_url("mqtt://a,b:1883", "[mqtt://one, mqtt://other]");
	bad_url("mqtt://a, mqtt://b", "no blanks");
	bad_url(" mqtt://a", "no blanks");
	bad_url("mqtt://a ", "no blanks");
	bad_url("mqtt://a:80:80", "more than one port");
}

static void good_websocket(const char *text, bool tls, uint16_t port, const char *path)
{
	struct mqtt_url url;
	CU_ASSERT_FATAL(mqtt_url_parse(text, &url) == NULL);
	CU_ASSERT(url.websocket && url.tls == tls && url.port == port);
	CU_ASSERT_STRING_EQUAL(url.path, path);
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
	bad_url("ws://broker/a b", "no blanks");
	bad_url("ws://broker/a#b", "without #");
	bad_url("ws://h1:80:80/x", "more than one port");
	good_websocket("WS://broker/a,b", false, 80, "/a,b");
}

static const struct tap_test tests[] = {
	{"urls", test_urls},
	{"urls of WebSockets", test_websocket_urls},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt urls", tests);
}
