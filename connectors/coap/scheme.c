/* SPDX-License-Identifier: Apache-2.0
 *
 * One table.
 */
#include "connectors/coap/scheme.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	uint16_t port;
	coap_proto_t proto;
} schemes[] = {
	[COAP_SCHEME_UDP] = {"coap", 5683, COAP_PROTO_UDP},
	[COAP_SCHEME_DTLS] = {"coaps", 5684, COAP_PROTO_DTLS},
	[COAP_SCHEME_TCP] = {"coap+tcp", 5683, COAP_PROTO_TCP},
	[COAP_SCHEME_TLS] = {"coaps+tcp", 5684, COAP_PROTO_TLS},
};

bool coap_scheme_take(struct slice *text, enum coap_scheme *ret_scheme)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = strlen(schemes[i].name);
		if (text->len < len + 3 || strncasecmp((const char *)text->data, schemes[i].name, len) != 0 ||
			memcmp(text->data + len, "://", 3) != 0)
			continue;
		*ret_scheme = (enum coap_scheme)i;
		*text = slice_of(text->data + len + 3, text->len - len - 3);
		return true;
	}
	return false;
}

const char *coap_scheme_name(enum coap_scheme scheme)
{
	return schemes[scheme].name;
}

uint16_t coap_scheme_port(enum coap_scheme scheme)
{
	return schemes[scheme].port;
}

coap_proto_t coap_scheme_proto(enum coap_scheme scheme)
{
	return schemes[scheme].proto;
}

bool coap_scheme_is_secure(enum coap_scheme scheme)
{
	return scheme == COAP_SCHEME_DTLS || scheme == COAP_SCHEME_TLS;
}

bool coap_scheme_is_datagram(enum coap_scheme scheme)
{
	return scheme == COAP_SCHEME_UDP || scheme == COAP_SCHEME_DTLS;
}
