/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that a request may go to when its URL has come from outside, and many that it may not; the edges of each range.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "connectors/common/guard.h"
#include "tests/unit/tap.h"

static const char *refusal(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return guard_refusal((const struct sockaddr *)&in, sizeof in);
	CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return guard_refusal((const struct sockaddr *)&in6, sizeof in6);
}

static const char *const public[] = {"1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255",
	"100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
	"192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
	"198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
	"2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4001:806::200e", "2400::1", "3ffe:ffff::1",
	"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1",
	"2606:4700::5efe:8.8.8.8"};

static const struct {
	const char *address, *word; /* of what is said about it */
} refused[] = {
	{"0.0.0.0", "unspecified"},
	{"0.0.0.1", "this network"},
	{"0.255.255.255", "this network"},
	{"10.0.0.0", "private"},
	{"10.255.255.255", "private"},
	{"100.64.0.0", "carrier"},
	{"100.127.255.255", "carrier"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"169.254.0.0", "link-local"},
	{"169.254.169.254", "link-local"},
	{"169.254.255.255", "link-local"},
	{"172.16.0.0", "private"},
	{"172.31.255.255", "private"},
	{"192.0.0.0", "reserved"},
	{"192.0.0.170", "reserved"},
	{"192.0.2.255", "documentation"},
	{"192.88.99.1", "reserved"},
	{"192.168.0.0", "private"},
	{"192.168.255.255", "private"},
	{"198.18.0.0", "benchmarks"},
	{"198.19.255.255", "benchmarks"},
	{"198.51.100.1", "documentation"},
	{"203.0.113.1", "documentation"},
	{"224.0.0.0", "multicast"},
	{"239.255.255.255", "multicast"},
	{"240.0.0.0", "reserved"},
	{"255.255.255.254", "reserved"},
	{"255.255.255.255", "broadcast"},
	{"::", "unspecified"},
	{"::1", "loopback"},
	{"::2", "reserved"},
	{"::8.8.8.8", "reserved"},
	{"::ffff:0.0.0.0", "unspecified"},
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:10.1.2.3", "private"},
	{"::ffff:169.254.169.254", "link-local"},
	{"::ffff:0:127.0.0.1", "reserved"},
	{"64:ff9b::127.0.0.1", "loopback"},
	{"64:ff9b::192.168.1.1", "private"},
	{"64:ff9b:1::8.8.8.8", "reserved"},
	{"100::1", "discards"},
	{"2002:7f00:1::1", "loopback"},
	{"2002:c0a8:101::", "private"},
	{"2002:a9fe:a9fe::1", "link-local"},
	{"2001::1", "Teredo"},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"},
	{"2001:2::1", "reserved"},
	{"2001:1ff:ffff::1", "reserved"},
	{"2001:db8::1", "documentation"},
	{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
	{"3fff::1", "documentation"},
	{"3fff:fff:ffff::1", "documentation"},
	{"2606:4700::5efe:10.0.0.1", "private"},
	{"2606:4700::200:5efe:127.0.0.1", "loopback"},
	{"fc00::1", "private"},
	{"fd12:3456:789a::1", "private"},
	{"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"},
	{"fe80::1", "link-local"},
	{"febf::1", "link-local"},
	{"fec0::1", "private"},
	{"ff00::1", "multicast"},
	{"ff02::1", "multicast"},
	{"ff0e::1", "multicast"},
	{"4000::1", "reserved"},
	{"5f00::1", "reserved"},
	{"fe00::1", "reserved"},
	{"1fff::1", "reserved"},
};

static void test_public(void)
{
	for (size_t i = 0; i < sizeof public / sizeof public[0]; i++) {
		const char *what = refusal(public[i]);
		if (what)
			printf("# %s: %s\n", public[i], what);
		CU_ASSERT_PTR_NULL(what);
	}
}

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		const char *what = refusal(refused[i].address);
		if (!what || !strstr(what, refused[i].word))
			printf("# %s: %s\n", refused[i].address, what ? what : "public");
		CU_ASSERT_TRUE(what && strstr(what, refused[i].word));
	}
}

static void test_other_families(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/docker.sock"};
	CU_ASSERT_PTR_NOT_NULL(guard_refusal((const struct sockaddr *)&un, sizeof un));
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, "2606:4700::1", &in6.sin6_addr), 1);
	CU_ASSERT_PTR_NULL(guard_refusal((const struct sockaddr *)&in6, sizeof in6));
	CU_ASSERT_PTR_NOT_NULL(guard_refusal((const struct sockaddr *)&in6, sizeof(struct sockaddr_in)));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"public addresses", test_public},
		{"addresses that are refused", test_refused},
		{"what is no address of the internet", test_other_families},
		{NULL, NULL},
	};
	return tap_main("http guard", tests);
}
