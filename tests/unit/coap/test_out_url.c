/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs of devices.
 */
#include <stdio.h>

#include "connectors/coap/out_url.h"
#include "tests/unit/tap.h"

static void check(
	const char *text, enum coap_scheme scheme, const char *host, unsigned port, bool is_literal, const char *target)
{
	struct coap_url url;
	const char *wrong = coap_url_parse(slice_str(text), &url);
	CU_ASSERT_PTR_NULL(wrong);
	if (wrong) {
		printf("# %s: %s\n", text, wrong);
		return;
	}
	CU_ASSERT_EQUAL(url.scheme, scheme);
	CU_ASSERT_STRING_EQUAL(url.host, host);
	CU_ASSERT_EQUAL(url.port, port);
	CU_ASSERT_EQUAL(url.is_literal, is_literal);
	CU_ASSERT_TRUE(slice_equal(url.target, slice_str(target)));
}

static void test_good(void)
{
	check("coap://device", COAP_SCHEME_UDP, "device", 5683, false, "");
	check("COAP://Device.Example/A/b?x=1", COAP_SCHEME_UDP, "device.example", 5683, false, "/A/b?x=1");
	check("coaps://device:1/", COAP_SCHEME_DTLS, "device", 1, false, "/");
	check("coap+tcp://192.0.2.1:65535?x", COAP_SCHEME_TCP, "192.0.2.1", 65535, true, "?x");
	check("coaps+tcp://192.0.2.1", COAP_SCHEME_TLS, "192.0.2.1", 5684, true, "");
	check("coap://[2001:DB8:0::1]:7/a", COAP_SCHEME_UDP, "2001:db8::1", 7, true, "/a");
	check("coap://[fe80::1%25eth0]/", COAP_SCHEME_UDP, "fe80::1%eth0", 5683, true, "/");
	check("coap://[fe80::1%eth0.7]", COAP_SCHEME_UDP, "fe80::1%eth0.7", 5683, true, "");
	check("coap://h:/a", COAP_SCHEME_UDP, "h", 5683, false, "/a");
	check("coap://d%65vice", COAP_SCHEME_UDP, "device", 5683, false, "");
}

static void test_bad(void)
{
	static const char *const bad[] = {"", "device", "http://device", "coap:/device", "coap://", "coap:///a",
		"coap://:5683", "coap://h:0", "coap://h:65536", "coap://h:123456", "coap://h:x", "coap://h: 1",
		"coap://u@h", "coap://[::1", "coap://[::1]x", "coap://[h]", "coap://[fe80::1%]", "coap://[fe80::1%25]",
		"coap://a b", "coap://h/#f", "coap://h%zz", "coap://h%2", "coap://h%00", "coap://[1.2.3.4]",
		"coap://[fe80::1%a/b]", "coap+udp://h"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct coap_url url;
		const char *wrong = coap_url_parse(slice_str(bad[i]), &url);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		if (!wrong)
			printf("# %s is taken\n", bad[i]);
	}
	struct coap_url url;
	char longest[300] = "coap://";
	memset(longest + 7, 'a', 290);
	CU_ASSERT_PTR_NOT_NULL(coap_url_parse(slice_str(longest), &url));
	CU_ASSERT_PTR_NOT_NULL(coap_url_parse(slice_of("coap://a\0b", 10), &url));
	CU_ASSERT_PTR_NOT_NULL(coap_url_parse(slice_of(NULL, 0), &url));
}

static bool same(const char *a, const char *b)
{
	struct coap_url one, two;
	if (coap_url_parse(slice_str(a), &one) || coap_url_parse(slice_str(b), &two))
		return false;
	bool same = coap_url_same_place(&one, &two);
	CU_ASSERT_TRUE(!same || coap_url_hash(&one) == coap_url_hash(&two));
	return same;
}

static void test_same(void)
{
	CU_ASSERT_TRUE(same("coap://a/x", "COAP://A:5683?y"));
	CU_ASSERT_TRUE(same("coap://[::1]", "coap://[0:0::1]"));
	CU_ASSERT_FALSE(same("coap://a", "coap://b"));
	CU_ASSERT_FALSE(same("coap://a", "coap://a:5684"));
	CU_ASSERT_FALSE(same("coap://a:1", "coaps://a:1"));
	CU_ASSERT_FALSE(same("coap://[fe80::1%25eth0]", "coap://[fe80::1%25eth1]"));
}

static void test_print(void)
{
	struct coap_url url;
	char text[300];
	CU_ASSERT_PTR_NULL(coap_url_parse(slice_str("coaps+tcp://[fe80::1%25lo]/x"), &url));
	coap_url_print(&url, text, sizeof text);
	CU_ASSERT_STRING_EQUAL(text, "coaps+tcp://[fe80::1%lo]:5684");
	CU_ASSERT_TRUE(coap_url_is_secure(&url));
	CU_ASSERT_FALSE(coap_url_is_datagram(&url));
}

static const struct tap_test tests[] = {
	{"URLs", test_good},
	{"what is none", test_bad},
	{"the same place", test_same},
	{"for people", test_print},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("coap out url", tests);
}
