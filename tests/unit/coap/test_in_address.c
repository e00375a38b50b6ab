/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a listener may listen, and the groups that it may join.
 */
#include <netinet/in.h>
#include <string.h>

#include "connectors/coap/in_address.h"
#include "tests/unit/tap.h"

static const char too_long[] = "coap://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:"
			       "0000:0000:0000:0001]";

static struct coap_in_address parsed(const char *text)
{
	struct coap_in_address address = {.scheme = COAP_SCHEME_UDP};
	const char *wrong = coap_in_address_parse(text, &address);
	CU_ASSERT_PTR_NULL(wrong);
	return address;
}

static uint16_t port_of(const struct coap_in_address *address)
{
	const struct sockaddr *at = (const struct sockaddr *)&address->at.at;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	memcpy(&in, &address->at.at, sizeof in);
	memcpy(&in6, &address->at.at, sizeof in6);
	return ntohs(at->sa_family == AF_INET6 ? in6.sin6_port : in.sin_port);
}

static void test_schemes(void)
{
	static const struct {
		const char *text;
		enum coap_scheme scheme;
		uint16_t port;
		bool loopback;
	} cases[] = {
		{"coap://127.0.0.1", COAP_SCHEME_UDP, 5683, true},
		{"coaps://127.0.0.1", COAP_SCHEME_DTLS, 5684, true},
		{"coap+tcp://127.0.0.1", COAP_SCHEME_TCP, 5683, true},
		{"coaps+tcp://127.0.0.1", COAP_SCHEME_TLS, 5684, true},
		{"coap://127.0.0.1:1", COAP_SCHEME_UDP, 1, true},
		{"coap://127.8.9.1:65535", COAP_SCHEME_UDP, 65535, true},
		{"coap://[::1]", COAP_SCHEME_UDP, 5683, true},
		{"coaps://[::1]:7", COAP_SCHEME_DTLS, 7, true},
		{"CoAPs+TCP://127.0.0.1", COAP_SCHEME_TLS, 5684, true}, /* RFC 3986 §3.1 */
		{"coap://0.0.0.0", COAP_SCHEME_UDP, 5683, false},
		{"coap://[fe80::1%lo]", COAP_SCHEME_UDP, 5683, false},
		{"coap://192.0.2.1:5683", COAP_SCHEME_UDP, 5683, false},
		{"coaps://[::]:5684", COAP_SCHEME_DTLS, 5684, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct coap_in_address address = parsed(cases[i].text);
		CU_ASSERT_EQUAL(address.scheme, cases[i].scheme);
		CU_ASSERT_EQUAL(port_of(&address), cases[i].port);
		CU_ASSERT_EQUAL(address.at.loopback, cases[i].loopback);
	}
}

static void test_refused(void)
{
	static const char *const bad[] = {"", "127.0.0.1", "coap:127.0.0.1", "http://127.0.0.1", "coap://",
		"coap://host.example", "coap://127.0.0.1/", "coap://127.0.0.1:5683/x", "coap://127.0.0.1:65536",
		"coap://127.0.0.1:x", "coap://127.0.0.1:", "coap://::1", "coap://[::1", "coap://[::1]x",
		"coap://256.0.0.1", "coap://127.0.0.1 ", too_long};
	struct coap_in_address address = {.scheme = COAP_SCHEME_TLS};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(coap_in_address_parse(bad[i], &address));
	CU_ASSERT_EQUAL(address.scheme, COAP_SCHEME_TLS);
}

static void check_group(const char *text, const char *wanted, const char *wanted_interface)
{
	char group[COAP_IN_GROUP_SIZE], interface[COAP_IN_GROUP_SIZE];
	CU_ASSERT_PTR_NULL(coap_in_group_parse(text, group, interface));
	CU_ASSERT_STRING_EQUAL(group, wanted);
	CU_ASSERT_STRING_EQUAL(interface, wanted_interface);
}

static void test_groups(void)
{
	static const char *const bad[] = {"", "[]", "224.0.1", "223.255.255.255", "240.0.0.0", "[224.0.1.187]",
		"[fe80::1]", "[ff02::fd%]", "[ff02::fd", "ff02::fd]", "[ff02::fd%sixteen-letters-]", "ff02::fg",
		too_long};
	char group[COAP_IN_GROUP_SIZE], interface[COAP_IN_GROUP_SIZE];
	check_group("224.0.0.0", "224.0.0.0", "");
	check_group("239.255.255.255", "239.255.255.255", "");
	check_group("224.0.1.187%eth0", "224.0.1.187", "eth0");
	check_group("ff02::fd", "ff02::fd", "");
	check_group("[ff05::fd]", "ff05::fd", "");
	check_group("[ff02::fd%eth0]", "ff02::fd", "eth0");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(coap_in_group_parse(bad[i], group, interface));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"schemes, ports, loopback", test_schemes},
		{"what is refused", test_refused},
		{"groups", test_groups},
		{NULL, NULL},
	};
	return tap_main("coap addresses of a listener", tests);
}
