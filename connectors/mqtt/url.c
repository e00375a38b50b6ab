/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the url of a broker apart.
 */
#include "connectors/mqtt/url.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct scheme {
	const char *prefix;
	bool tls, websocket;
	uint16_t port;
} schemes[] = {
	{"mqtt://", false, false, 1883},
	{"mqtts://", true, false, 8883},
	{"ws://", false, true, 80},
	{"wss://", true, true, 443},
};

/* What other programs call the same. */
static const struct {
	const char *prefix, *advice;
} foreign[] = {
	{"tcp://", "the url must begin with mqtt://; did you mean that by tcp://?"},
	{"ssl://", "the url must begin with mqtts://; did you mean that by ssl://?"},
	{"tls://", "the url must begin with mqtts://; did you mean that by tls://?"},
};

static const char *parse_scheme(const char *url, struct mqtt_url *parsed, const char **ret_rest)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i].prefix);
		if (strncasecmp(url, schemes[i].prefix, len) != 0)
			continue;
		parsed->tls = schemes[i].tls;
		parsed->websocket = schemes[i].websocket;
		parsed->port = schemes[i].port;
		*ret_rest = url + len;
		return NULL;
	}
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
		if (strncasecmp(url, foreign[i].prefix, strlen(foreign[i].prefix)) == 0)
			return foreign[i].advice;
	return "the url must begin with mqtt:// or, for TLS, mqtts:// (over WebSocket: ws:// or wss://)";
}

/* The path of a WebSocket, which ends what may hold a port. */
static const char *parse_path(const char *rest, struct mqtt_url *parsed, char *port, size_t port_size)
{
	size_t len = parsed->websocket ? strcspn(rest, "/") : strlen(rest);
	const char *path = rest[len] ? rest + len : "/mqtt";
	if (len >= port_size)
		return "the port in the url must be a number from 1 to 65535";
	memcpy(port, rest, len);
	port[len] = '\0';
	if (strlen(path) >= sizeof parsed->path || strchr(path, '#'))
		return "the path in the url must have at most 255 bytes, without #";
	memcpy(parsed->path, path, strlen(path) + 1);
	return NULL;
}

static const char *parse_port(const char *text, uint16_t *port)
{
	if (*text == '\0')
		return NULL;
	if (*text != ':')
		return "nothing may follow host and port in the url";
	char *end;
	unsigned long value = text[1] >= '0' && text[1] <= '9' ? strtoul(text + 1, &end, 10) : 0;
	if (value == 0 || value > 65535 || *end != '\0')
		return "the port in the url must be a number from 1 to 65535";
	*port = (uint16_t)value;
	return NULL;
}

/* An IPv6 address has two colons beside each other, or seven of them. */
static const char *check_colons(const char *text, size_t len)
{
	size_t colons = 0;
	bool beside = false;
	for (size_t i = 0; i < len; i++) {
		colons += text[i] == ':';
		beside |= text[i] == ':' && i + 1 < len && text[i + 1] == ':';
	}
	if (beside || colons >= 7)
		return "an IPv6 address in the url must stand in brackets: mqtt://[::1]:1883";
	return colons > 1 ? "the url has more than one port; write mqtt://host:port" : NULL;
}

const char *mqtt_url_parse(const char *url, struct mqtt_url *ret_url)
{
	struct mqtt_url parsed;
	const char *rest = url;
	if (url[strcspn(url, " \t\r\n")])
		return "the url must have no blanks; take them out, and write several urls as a list";
	const char *wrong = parse_scheme(url, &parsed, &rest);
	if (wrong)
		return wrong;
	if (memchr(rest, ',', strcspn(rest, "/")))
		return "the url names several addresses; write a list of whole urls: [mqtt://one, mqtt://other]";
	if (memchr(rest, '@', strcspn(rest, parsed.websocket ? "/" : "")))
		return "the url must not hold credentials; use the keys username and password";
	bool bracket = *rest == '[';
	if (!bracket)
		wrong = check_colons(rest, strcspn(rest, "/"));
	if (wrong)
		return wrong;
	const char *host = rest + bracket;
	size_t len = strcspn(host, bracket ? "]" : ":/?#[] ");
	if (bracket && host[len] != ']')
		return "the bracket around the IPv6 address in the url is not closed";
	if (len == 0)
		return "the url names no host; write mqtt://host or mqtt://host:port";
	if (len >= sizeof parsed.host)
		return "the host name in the url is longer than 255 bytes";
	memcpy(parsed.host, host, len);
	parsed.host[len] = '\0';
	host += len + bracket;
	char port[32];
	wrong = parse_path(host, &parsed, port, sizeof port);
	if (!wrong && *port && port[strlen(port) - 1] == '/')
		port[strlen(port) - 1] = '\0';
	if (!wrong)
		wrong = parse_port(port, &parsed.port);
	if (!wrong)
		*ret_url = parsed;
	return wrong;
}
