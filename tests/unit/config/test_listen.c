/* SPDX-License-Identifier: Apache-2.0 */
#include "config/listen.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/tap.h"

static void test_good(void)
{
	static const struct {
		const char *text;
		int family;
		unsigned port;
		bool loopback;
	} good[] = {
		{"127.0.0.1:9464", AF_INET, 9464, true},
		{"127.3.2.1:0", AF_INET, 0, true},
		{"localhost:65535", AF_INET, 65535, true},
		{"0.0.0.0:80", AF_INET, 80, false},
		{"192.168.0.5:9464", AF_INET, 9464, false},
		{"[::1]:9464", AF_INET6, 9464, true},
		{"[::]:9464", AF_INET6, 9464, false},
		{"[::1%lo]:9464", AF_INET6, 9464, true},
		{"[fe80::1:2%no-such-if]:80", AF_INET6, 80, false},
		{"[fd00:1234:5678:9abc:def0:1234:5678:9abc]:1", AF_INET6, 1, false},
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct listen_address address;
		CU_ASSERT_PTR_NULL_FATAL(listen_parse(good[i].text, &address));
		CU_ASSERT_EQUAL(address.at.ss_family, good[i].family);
		CU_ASSERT_EQUAL(address.loopback, good[i].loopback);
		in_port_t port = good[i].family == AF_INET ? ((struct sockaddr_in *)&address.at)->sin_port
							   : ((struct sockaddr_in6 *)&address.at)->sin6_port;
		CU_ASSERT_EQUAL(ntohs(port), good[i].port);
	}
}

static uint32_t zone_of(const char *text)
{
	struct listen_address address = {.len = 0};
	CU_ASSERT_PTR_NULL(listen_parse(text, &address));
	struct sockaddr_in6 in6;
	memcpy(&in6, &address.at, sizeof in6);
	return in6.sin6_scope_id;
}

static void test_zones(void)
{
	CU_ASSERT_EQUAL(zone_of("[fe80::1%lo]:80"), if_nametoindex("lo"));
	CU_ASSERT_EQUAL(zone_of("[fe80::1%4711]:80"), 4711);
	CU_ASSERT_EQUAL(zone_of("[::1]:80"), 0);
}

static void test_bad(void)
{
	static const char *const bad[] = {"", ":", ":9464", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:http", "127.0.0.1:000001", "::1:9464",
		"[::1]", "[::1]9464", "[:9464", "[]:1", "[127.0.0.1]:1", "1.2.3:4", "example.org:9464", "*:9464",
		"127.0.0.1:9464 ", "[fe80::1]:1", "[fe80::1%]:1", "[fe80::1%a-name-that-is-too-long]:1",
		"127.0.0.1%lo:1", "[fd00:1234:5678:9abc:def0:1234:5678:9abc:1234:5678:9abc:def0]:1"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct listen_address address;
		const char *wrong = listen_parse(bad[i], &address);
		if (!wrong)
			printf("# %s is taken\n", bad[i]);
		CU_ASSERT_PTR_NOT_NULL(wrong);
	}
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"addresses that are", test_good},
		{"zones of link-local ones", test_zones},
		{"and that are none", test_bad},
		{NULL, NULL},
	};
	return tap_main("addresses to listen on", tests);
}
