/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs of devices: coap, coaps (RFC 7252 §6), coap+tcp and coaps+tcp (RFC 8323 §8), with the zone of a link-local address as
 * RFC 6874 writes it, [fe80::1%25eth0].
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_URL_H
#define LINKSPAN_CONNECTORS_COAP_OUT_URL_H

#include "connectors/coap/scheme.h"
#include "message/slice.h"

#define COAP_URL_HOST_SIZE 256u

struct coap_url {
	enum coap_scheme scheme;
	bool is_literal; /* the host is an address, not a name */
	uint16_t port; /* with the default filled in */
	char host[COAP_URL_HOST_SIZE]; /* lower case, decoded, without brackets; a zone follows after % */
	struct slice target; /* path and query as they stand in the text; empty: none */
};

/* NULL, or what is wrong and what would be right, one static sentence. ret_url->target lies in the text. */
const char *coap_url_parse(struct slice text, struct coap_url *ret_url) __attribute__((warn_unused_result));

/* The same device by the same way: scheme, host and port. */
bool coap_url_same_place(const struct coap_url *url, const struct coap_url *other);
uint32_t coap_url_hash(const struct coap_url *url); /* of the place */
bool coap_url_is_secure(const struct coap_url *url); /* DTLS or TLS */
bool coap_url_is_datagram(const struct coap_url *url); /* UDP or DTLS */
/* "coaps://[fe80::1%eth0]:5684", for people: as snprintf. */
void coap_url_print(const struct coap_url *url, char *text, size_t size);

#endif
