/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of HTTP proxies: urls, requests, answers.
 */
#include <errno.h>

#include "connectors/mqtt/proxy.h"
#include "tests/unit/tap.h"

static void test_urls(void)
{
	struct mqtt_proxy proxy;
	CU_ASSERT(!mqtt_proxy_parse("http://gate", &proxy));
	CU_ASSERT_STRING_EQUAL(proxy.host, "gate");
	CU_ASSERT(proxy.port == 8080 && !*proxy.credentials);
	CU_ASSERT(!mqtt_proxy_parse("http://a:b%40c%3A%25@[::1]:3128/", &proxy));
	CU_ASSERT_STRING_EQUAL(proxy.host, "::1");
	CU_ASSERT_STRING_EQUAL(proxy.credentials, "a:b@c:%");
	CU_ASSERT(proxy.port == 3128);
	static const char *const wrong[] = {"https://gate", "gate:1", "http://", "http://gate:0", "http://gate:65536",
		"http://gate:1/x", "http://user@gate", "http://a:%@gate", "http://a:%00@gate", "http://[::1"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CU_ASSERT(mqtt_proxy_parse(wrong[i], &proxy) != NULL);
}

static void test_request(void)
{
	struct mqtt_proxy proxy;
	struct buffer out;
	buffer_init(&out, MQTT_PROXY_REQUEST);
	CU_ASSERT(!mqtt_proxy_parse("http://Aladdin:open%20sesame@gate", &proxy)); /* RFC 7617 §2 */
	CU_ASSERT(mqtt_proxy_request(&proxy, "::1", 443, &out) == 0);
	CU_ASSERT(slice_equal(
		buffer_slice(&out), slice_str("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
					      "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n")));
	buffer_clear(&out);
	CU_ASSERT(!mqtt_proxy_parse("http://gate", &proxy));
	CU_ASSERT(mqtt_proxy_request(&proxy, "broker", 1883, &out) == 0);
	CU_ASSERT(slice_equal(
		buffer_slice(&out), slice_str("CONNECT broker:1883 HTTP/1.1\r\nHost: broker:1883\r\n\r\n")));
	buffer_free(&out);
}

static void test_answers(void)
{
	static const struct {
		const char *text;
		int result;
		bool lasts;
	} answers[] = {
		{"", -EAGAIN, false},
		{"HTTP/1.1 200 OK\r\nVia: x\r\n", -EAGAIN, false},
		{"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n", 0, false},
		{"HTTP/1.0 200 Connection established\r\n\r\n", 0, false},
		{"HTTP/1.1 407 Authenticate\r\n\r\n", -EPROTO, true},
		{"HTTP/1.1 403 No\r\n\r\n", -EPROTO, true},
		{"HTTP/1.1 503 Later\r\n\r\n", -EPROTO, false},
		{"SSH-2.0-x\r\n\r\n", -EPROTO, false},
		{"HTTP/1.1 4\x1b[2J\r\n\r\n", -EPROTO, false},
	};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		char error[256];
		bool lasts;
		CU_ASSERT_EQUAL(
			mqtt_proxy_answer(slice_str(answers[i].text), error, sizeof error, &lasts), answers[i].result);
		CU_ASSERT_EQUAL(lasts, answers[i].lasts);
	}
	static char endless[10000];
	memset(endless, 'x', sizeof endless);
	char error[256];
	bool lasts;
	CU_ASSERT(mqtt_proxy_answer(slice_of(endless, sizeof endless), error, sizeof error, &lasts) == -EPROTO);
}

static const struct tap_test tests[] = {
	{"urls", test_urls},
	{"requests", test_request},
	{"answers", test_answers},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt proxy", tests);
}
