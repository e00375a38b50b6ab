/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the scheme off and leaves the rest to config/listen.h.
 */
#include "connectors/coap/in_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const char no_address[] = "not an address to listen on; write coap://127.0.0.1:5683, coaps://[::1]:5684, or "
				 "coap://[fe80::1%eth0] for a link-local one, numbers and no path";

static bool has_port(const char *text)
{
	const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
	return colon && (!bracket || colon > bracket);
}

const char *coap_in_address_parse(const char *text, struct coap_in_address *ret_address)
{
	char rest[96];
	struct slice place = slice_str(text);
	struct coap_in_address address = {.scheme = COAP_SCHEME_UDP};
	if (!coap_scheme_take(&place, &address.scheme))
		return "an address to listen on begins with coap://, coaps://, coap+tcp:// or coaps+tcp://; write "
		       "coap://127.0.0.1:5683";
	text = (const char *)place.data;
	int n = has_port(text) ? snprintf(rest, sizeof rest, "%s", text)
			       : snprintf(rest, sizeof rest, "%s:%u", text, coap_scheme_port(address.scheme));
	if (n < 0 || (size_t)n >= sizeof rest || strchr(text, '/'))
		return no_address;
	if (listen_parse(rest, &address.at))
		return no_address;
	*ret_address = address;
	return NULL;
}

const char *coap_in_group_parse(const char *text, char group[COAP_IN_GROUP_SIZE], char interface[COAP_IN_GROUP_SIZE])
{
	static const char wrong[] = "not a multicast group; write 224.0.1.187 or \"[ff02::fd%eth0]\"";
	struct in_addr in;
	struct in6_addr in6;
	size_t len = strlen(text);
	if (len >= COAP_IN_GROUP_SIZE)
		return wrong;
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	memcpy(group, text + bracketed, len - 2u * bracketed);
	group[len - 2u * bracketed] = '\0';
	interface[0] = '\0';
	char *percent = strchr(group, '%');
	if (percent) {
		snprintf(interface, COAP_IN_GROUP_SIZE, "%s", percent + 1);
		*percent = '\0';
		if (!interface[0] || strlen(interface) >= IF_NAMESIZE)
			return "there is no interface of that name; write \"[ff02::fd%eth0]\"";
	}
	if (inet_pton(AF_INET, group, &in) == 1)
		return !bracketed && IN_MULTICAST(ntohl(in.s_addr)) ? NULL : wrong;
	if (inet_pton(AF_INET6, group, &in6) == 1)
		return IN6_IS_ADDR_MULTICAST(&in6) ? NULL : wrong;
	return wrong;
}
