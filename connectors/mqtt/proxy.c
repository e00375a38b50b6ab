/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a proxy's url, of a CONNECT request and of its answer. Owns no memory: what is parsed lies in the caller's
 * struct, credentials included, and they never get into an error text. An answer comes from a stranger: it is bounded, and
 * quoted only if it is printable. Any thread; no I/O.
 */
#define _GNU_SOURCE
#include "connectors/mqtt/proxy.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ANSWER_LIMIT 8192u

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes up to `end`. */
static const char *parse_credentials(const char *text, const char *end, struct mqtt_proxy *proxy)
{
	size_t n = 0;
	for (; text < end; text++) {
		char c = *text;
		if (c == '%') {
			int high = end - text > 2 ? hex_digit(text[1]) : -1;
			int low = high >= 0 ? hex_digit(text[2]) : -1;
			if (low < 0 || (high == 0 && low == 0))
				return "a % in the proxy's credentials must be written %25";
			c = (char)(high << 4 | low);
			text += 2;
		}
		if (n + 1 >= sizeof proxy->credentials)
			return "the proxy's credentials are longer than 511 bytes";
		proxy->credentials[n++] = c;
	}
	proxy->credentials[n] = '\0';
	return strchr(proxy->credentials, ':') ? NULL : "the proxy's credentials must be user:password";
}

static const char *parse_port(const char *text, uint16_t *port)
{
	if (strcmp(text, "") == 0 || strcmp(text, "/") == 0)
		return NULL;
	char *end;
	unsigned long value = *text == ':' && text[1] >= '0' && text[1] <= '9' ? strtoul(text + 1, &end, 10) : 0;
	if (value == 0 || value > 65535 || (strcmp(end, "") != 0 && strcmp(end, "/") != 0))
		return "what follows the proxy's host must be a colon and a port from 1 to 65535";
	*port = (uint16_t)value;
	return NULL;
}

const char *mqtt_proxy_parse(const char *text, struct mqtt_proxy *ret_proxy)
{
	struct mqtt_proxy proxy = {.port = 8080};
	const char *scheme_end = strstr(text, "://");
	if (scheme_end && strncasecmp(text, "http://", 7) != 0)
		return "only http:// proxies can be used; name an HTTP proxy that allows CONNECT: http://host:port";
	if (!scheme_end)
		return "the proxy must be written http://host:port or http://user:password@host:port";
	text += 7;
	const char *at = strrchr(text, '@');
	const char *wrong = at ? parse_credentials(text, at, &proxy) : NULL;
	if (wrong)
		return wrong;
	text = at ? at + 1 : text;
	bool bracket = *text == '[';
	const char *host = text + bracket;
	size_t len = strcspn(host, bracket ? "]" : ":/ ");
	if (len == 0 || len >= sizeof proxy.host || (bracket && host[len] != ']'))
		return "the proxy must name a host: http://host:port";
	memcpy(proxy.host, host, len);
	wrong = parse_port(host + len + bracket, &proxy.port);
	if (!wrong)
		*ret_proxy = proxy;
	return wrong;
}

int mqtt_proxy_basic(const char *credentials, char *ret_text, size_t size)
{
	size_t len = strlen(credentials);
	if (size < sizeof "Basic " + (len + 2) / 3 * 4)
		return -ENOBUFS;
	memcpy(ret_text, "Basic ", 6);
	EVP_EncodeBlock((unsigned char *)ret_text + 6, (const unsigned char *)credentials, (int)len);
	return 0;
}

int mqtt_proxy_request(const struct mqtt_proxy *proxy, const char *host, uint16_t port, struct buffer *out)
{
	char basic[800], text[MQTT_PROXY_REQUEST];
	const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
	int n = snprintf(text, sizeof text, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, host, close,
		port, open, host, close, port);
	if (*proxy->credentials && mqtt_proxy_basic(proxy->credentials, basic, sizeof basic) == 0)
		n += snprintf(text + n, sizeof text - (size_t)n, "Proxy-Authorization: %s\r\n", basic);
	n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
	return buffer_append(out, slice_of(text, (size_t)n));
}

static bool text_is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
			return false;
	return true;
}

int mqtt_proxy_answer(struct slice bytes, char *error, size_t error_size, bool *ret_lasts)
{
	*ret_lasts = false;
	const uint8_t *end = bytes.len ? memmem(bytes.data, bytes.len, "\r\n\r\n", 4) : NULL;
	if (!end && bytes.len <= ANSWER_LIMIT)
		return -EAGAIN;
	char line[128] = "";
	size_t len = 0;
	while (len < bytes.len && len < sizeof line - 1 && bytes.data[len] != '\r' && bytes.data[len] != '\n')
		len++;
	memcpy(line, bytes.data, len);
	int status = 0;
	if (!end || !text_is_printable(line) || sscanf(line, "HTTP/1.%*1[01] %3d", &status) != 1) {
		snprintf(error, error_size, "the proxy does not speak HTTP/1.1");
		return -EPROTO;
	}
	if (status >= 200 && status < 300)
		return 0;
	*ret_lasts = status >= 400 && status < 500 && status != 408 && status != 429;
	snprintf(error, error_size, "the proxy answered: %s%s", line,
		status == 407 ? "; correct the credentials in proxy"
		: *ret_lasts  ? "; let the proxy allow CONNECT to the broker"
			      : "");
	return -EPROTO;
}
