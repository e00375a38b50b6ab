/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP proxy on the way to a broker: its url, the CONNECT request and its answer (RFC 9110 §9.3.6). Text only, no
 * I/O; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_PROXY_H
#define LINKSPAN_CONNECTORS_MQTT_PROXY_H

#include <stdbool.h>

#include "message/buffer.h"

#define MQTT_PROXY_REQUEST 4096u /* bytes that a request has at most */

struct mqtt_proxy {
	char host[256]; /* without brackets */
	uint16_t port;
	char credentials[512]; /* user:password, percent-decoded; empty: none. Never log them. */
};

/* Of http://[user:password@]host[:port]. NULL, or what is wrong and what would be right, one static sentence. */
const char *mqtt_proxy_parse(const char *text, struct mqtt_proxy *ret_proxy);

/* Appends the request for a way to host:port. -ENOMEM, -ENOBUFS. */
int mqtt_proxy_request(const struct mqtt_proxy *proxy, const char *host, uint16_t port, struct buffer *out)
	__attribute__((warn_unused_result));

/* The value of Proxy-Authorization for user:password (RFC 7617), into `ret_text`. -ENOBUFS. */
int mqtt_proxy_basic(const char *credentials, char *ret_text, size_t size) __attribute__((warn_unused_result));

/* What of the answer has come so far. 0: the way is there; -EAGAIN: more has to come; -EPROTO: `error` says why not and
 * what to do; lasts: waiting will not mend it. */
int mqtt_proxy_answer(struct slice bytes, char *error, size_t error_size, bool *ret_lasts)
	__attribute__((warn_unused_result));

#endif
