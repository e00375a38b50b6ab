/* SPDX-License-Identifier: Apache-2.0
 *
 * Two tables of prefixes, most specific first, and the places where IPv6 addresses hold IPv4 ones.
 */
#include "connectors/common/guard.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct prefix {
	uint8_t bytes[16];
	unsigned bits;
	const char *what;
};

static const char a_private[] = "a private address";
static const char a_documentation[] = "an address for documentation";
static const char a_reserved[] = "a reserved address";
static const char a_multicast[] = "a multicast address";
static const char a_link_local[] = "a link-local address";
static const char a_loopback[] = "a loopback address";
static const char an_unspecified[] = "the unspecified address";

static const struct prefix ipv4[] = {
	{{0, 0, 0, 0}, 32, an_unspecified},
	{{0}, 8, "an address of this network"}, /* RFC 791; Linux takes some for itself */
	{{10}, 8, a_private}, /* RFC 1918 */
	{{100, 64}, 10, "an address behind a carrier's NAT"}, /* RFC 6598 */
	{{127}, 8, a_loopback},
	{{169, 254}, 16, a_link_local}, /* RFC 3927; clouds answer for credentials at 169.254.169.254 */
	{{172, 16}, 12, a_private}, {{192, 0, 0}, 24, a_reserved}, /* RFC 6890 */
	{{192, 0, 2}, 24, a_documentation}, /* RFC 5737 */
	{{192, 88, 99}, 24, a_reserved}, /* RFC 7526: relays of 6to4 */
	{{192, 168}, 16, a_private}, {{198, 18}, 15, "an address for benchmarks"}, /* RFC 2544 */
	{{198, 51, 100}, 24, a_documentation}, {{203, 0, 113}, 24, a_documentation}, {{224}, 4, a_multicast},
	{{255, 255, 255, 255}, 32, "the broadcast address"}, {{240}, 4, a_reserved}, /* RFC 1112 */
};

static const struct prefix ipv6[] = {
	{{0}, 128, an_unspecified},
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, a_loopback},
	{{0x01, 0}, 64, "an address that discards"}, /* RFC 6666 */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, a_documentation}, /* RFC 3849 */
	{{0x20, 0x01, 0, 0}, 32, "a Teredo address"}, /* RFC 4380: leads to an IPv4 host behind its NAT */
	{{0x20, 0x01, 0}, 23, a_reserved}, /* RFC 2928 */
	{{0x3f, 0xff, 0}, 20, a_documentation}, /* RFC 9637 */
	{{0xfc}, 7, a_private}, /* RFC 4193: unique local */
	{{0xfe, 0x80}, 10, a_link_local},
	{{0xfe, 0xc0}, 10, a_private}, /* RFC 3879: site-local */
	{{0xff}, 8, a_multicast},
};

/* Where an IPv6 address under a prefix holds an IPv4 address. */
struct embedded {
	struct prefix prefix;
	unsigned at;
};
static const struct embedded embedded[] = {
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, NULL},
		12}, /* RFC 4291 §2.5.5.2: mapped; dual-stack sockets */
	{{{0x00, 0x64, 0xff, 0x9b}, 96, NULL}, 12}, /* RFC 6052: NAT64 */
	{{{0x20, 0x02}, 16, NULL}, 2}, /* RFC 3056: 6to4 */
};

static bool has_prefix(const uint8_t *bytes, const struct prefix *prefix)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	if (memcmp(bytes, prefix->bytes, whole) != 0)
		return false;
	return rest == 0 || (bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest) == 0;
}

static const char *find(const uint8_t *bytes, const struct prefix *table, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_prefix(bytes, &table[i]))
			return table[i].what;
	return NULL;
}

static const char *refuse_v4(const uint8_t *bytes)
{
	return find(bytes, ipv4, sizeof ipv4 / sizeof ipv4[0]);
}

/* RFC 5214 §6.1: an interface identifier that holds an IPv4 address, under any prefix. */
static bool is_isatap(const uint8_t *bytes)
{
	return (bytes[8] & ~0x02) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

static const char *refuse_v6(const uint8_t *bytes)
{
	for (size_t i = 0; i < sizeof embedded / sizeof embedded[0]; i++)
		if (has_prefix(bytes, &embedded[i].prefix))
			return refuse_v4(bytes + embedded[i].at);
	const char *what = find(bytes, ipv6, sizeof ipv6 / sizeof ipv6[0]);
	if (what)
		return what;
	if (is_isatap(bytes) && refuse_v4(bytes + 12))
		return refuse_v4(bytes + 12);
	return bytes[0] >> 5 == 1 ? NULL : a_reserved; /* 2000::/3 is all that is given out */
}

const char *guard_refusal(const struct sockaddr *address, socklen_t len)
{
	if (len >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		return refuse_v4((const uint8_t *)&in.sin_addr);
	}
	if (len >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		return refuse_v6(in6.sin6_addr.s6_addr);
	}
	return "no address of the internet";
}
