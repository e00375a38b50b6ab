/* SPDX-License-Identifier: Apache-2.0
 *
 * Read by hand: libcoap's coap_split_uri knows no zones, takes ports of any size and leaves percent-encoding in the host.
 */
#include "connectors/coap/out_url.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "connectors/common/percent.h"

static const char no_scheme[] =
	"it does not begin with a scheme of CoAP; write coap://host, coaps://host, coap+tcp://host or coaps+tcp://host";
static const char no_host[] =
	"its host is no name and no address; write coap://name, coap://192.0.2.1 or coap://[2001:db8::1]";
static const char no_port[] = "its port is no number from 1 to 65535; write coap://host:5683, or leave it out";

/* Of a name: unreserved and sub-delims of RFC 3986 §3.2.2 that occur in names. */
static bool is_of_name(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
	       c >= 0x80;
}

static bool read_name(struct slice text, struct coap_url *url)
{
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c == '%') {
			int high = i + 2 < text.len ? percent_digit(text.data[i + 1]) : -1;
			int low = i + 2 < text.len ? percent_digit(text.data[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (uint8_t)(high * 16 + low);
			i += 2;
		}
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		if (!is_of_name(c) || len + 1 >= sizeof url->host)
			return false;
		url->host[len++] = (char)c;
	}
	url->host[len] = '\0';
	struct in_addr v4;
	url->is_literal = inet_pton(AF_INET, url->host, &v4) == 1;
	return len > 0;
}

/* Without the brackets. The zone's % is written %25; a bare one is understood. */
static bool read_v6(struct slice text, struct coap_url *url)
{
	struct in6_addr v6;
	size_t end = 0;
	while (end < text.len && text.data[end] != '%')
		end++;
	if (end >= INET6_ADDRSTRLEN)
		return false;
	memcpy(url->host, text.data, end);
	url->host[end] = '\0';
	if (inet_pton(AF_INET6, url->host, &v6) != 1)
		return false;
	url->is_literal = true;
	inet_ntop(AF_INET6, &v6, url->host, INET6_ADDRSTRLEN); /* one form of each address */
	if (end == text.len)
		return true;
	size_t zone = end + 1;
	if (text.len >= zone + 2 && memcmp(text.data + zone, "25", 2) == 0)
		zone += 2;
	struct slice name = slice_of(text.data + zone, text.len - zone);
	size_t len = strlen(url->host);
	if (name.len == 0 || name.len > 32)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] <= ' ' || name.data[i] >= 0x7f || name.data[i] == '%' || name.data[i] == '/')
			return false;
	snprintf(url->host + len, sizeof url->host - len, "%%%.*s", (int)name.len, (const char *)name.data);
	return true;
}

static bool read_port(struct slice text, struct coap_url *url)
{
	unsigned port = 0;
	if (text.len == 0) /* "host:" is legal, RFC 3986 §3.2.3 */
		return true;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || text.len > 5)
			return false;
		port = port * 10 + (text.data[i] - '0');
	}
	url->port = (uint16_t)port;
	return port >= 1 && port <= UINT16_MAX;
}

static const char *read_authority(struct slice text, struct coap_url *url)
{
	const uint8_t *end = text.data + text.len, *host_end;
	if (memchr(text.data, '@', text.len))
		return "it holds a user name, which CoAP does not know; leave out what stands before the @";
	if (text.len > 0 && text.data[0] == '[') {
		host_end = memchr(text.data, ']', text.len);
		if (!host_end || !read_v6(slice_of(text.data + 1, (size_t)(host_end - text.data) - 1), url))
			return no_host;
		host_end++;
	} else {
		host_end = memchr(text.data, ':', text.len);
		if (!host_end)
			host_end = end;
		if (!read_name(slice_of(text.data, (size_t)(host_end - text.data)), url))
			return no_host;
	}
	if (host_end == end)
		return NULL;
	if (*host_end != ':' || !read_port(slice_of(host_end + 1, (size_t)(end - host_end) - 1), url))
		return no_port;
	return NULL;
}

const char *coap_url_parse(struct slice text, struct coap_url *ret_url)
{
	struct coap_url url = {.port = 0};
	if (!text.data || !coap_scheme_take(&text, &url.scheme))
		return no_scheme;
	url.port = coap_scheme_port(url.scheme);
	if (memchr(text.data, '#', text.len))
		return "it holds a fragment, which is not sent (RFC 7252 §6); leave out the # and what follows";
	size_t end = 0;
	while (end < text.len && text.data[end] != '/' && text.data[end] != '?')
		end++;
	const char *wrong = read_authority(slice_of(text.data, end), &url);
	if (wrong)
		return wrong;
	url.target = slice_of(text.data + end, text.len - end);
	*ret_url = url;
	return NULL;
}

bool coap_url_same_place(const struct coap_url *url, const struct coap_url *other)
{
	return url->scheme == other->scheme && url->port == other->port && strcmp(url->host, other->host) == 0;
}

uint32_t coap_url_hash(const struct coap_url *url)
{
	uint32_t hash = 2166136261u ^ (uint32_t)url->scheme << 16 ^ url->port;
	for (const char *at = url->host; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	return hash;
}

bool coap_url_is_secure(const struct coap_url *url)
{
	return coap_scheme_is_secure(url->scheme);
}

bool coap_url_is_datagram(const struct coap_url *url)
{
	return coap_scheme_is_datagram(url->scheme);
}

void coap_url_print(const struct coap_url *url, char *text, size_t size)
{
	bool brackets = strchr(url->host, ':') != NULL;
	snprintf(text, size, "%s://%s%s%s:%u", coap_scheme_name(url->scheme), brackets ? "[" : "", url->host,
		brackets ? "]" : "", url->port);
}
