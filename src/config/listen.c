/* SPDX-License-Identifier: Apache-2.0
 *
 * Splits at the last colon and leaves the rest to inet_pton.
 */
#include "config/listen.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `port`: what was meant for one, or NULL. */
static const char *malformed(const char *port)
{
	static _Thread_local char sentence[128];
	size_t len = port ? strspn(port, "0123456789") : 0;
	bool likely = len > 0 && len <= 5 && !port[len];
	snprintf(sentence, sizeof sentence, "not an address to listen on; write 127.0.0.1:%s or \"[::1]:%s\"",
		likely ? port : "9464", likely ? port : "9464");
	return sentence;
}

static bool parse_port(const char *text, in_port_t *ret_port)
{
	char *end;
	if (strspn(text, "0123456789") != strlen(text) || !*text || strlen(text) > 5)
		return false;
	unsigned long port = strtoul(text, &end, 10);
	if (*end || port > 65535)
		return false;
	*ret_port = htons((in_port_t)port);
	return true;
}

static bool parse_v4(const char *host, in_port_t port, struct listen_address *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
	if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &in.sin_addr) != 1)
		return false;
	memcpy(&address->at, &in, sizeof in);
	address->len = sizeof in;
	address->loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
	return true;
}

/* The interface of a link-local address (RFC 4007 §11), by its name or number. One that is not there now may come: binding
 * says so. */
static bool parse_zone(char *zone, uint32_t *ret_scope)
{
	*zone++ = '\0';
	if (!*zone || strlen(zone) >= IF_NAMESIZE)
		return false;
	*ret_scope = if_nametoindex(zone);
	if (!*ret_scope && strspn(zone, "0123456789") == strlen(zone))
		*ret_scope = (uint32_t)strtoul(zone, NULL, 10);
	return true;
}

static bool parse_v6(char *host, in_port_t port, struct listen_address *address)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
	char *zone = strchr(host, '%');
	if (zone && !parse_zone(zone, &in6.sin6_scope_id))
		return false;
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
		return false;
	if (!zone && IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
		return false;
	memcpy(&address->at, &in6, sizeof in6);
	address->len = sizeof in6;
	address->loopback = IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	return true;
}

const char *listen_parse(const char *text, struct listen_address *ret_address)
{
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 3];
	struct listen_address address = {.len = 0};
	in_port_t port;
	const char *colon = strrchr(text, ':');
	if (!colon || (size_t)(colon - text) >= sizeof host)
		return malformed(colon ? colon + 1 : text);
	if (!parse_port(colon + 1, &port))
		return "the port is not a number from 0 to 65535; write 127.0.0.1:9464";
	size_t len = (size_t)(colon - text);
	memcpy(host, text, len);
	host[len] = '\0';
	bool v6 = len > 2 && host[0] == '[' && host[len - 1] == ']';
	if (v6)
		host[len - 1] = '\0';
	if (!(v6 ? parse_v6(host + 1, port, &address) : parse_v4(host, port, &address)))
		return malformed(colon + 1);
	*ret_address = address;
	return NULL;
}
