/* SPDX-License-Identifier: Apache-2.0
 *
 * The schemes of CoAP (RFC 7252 §6, RFC 8323 §8): how they are written, their ports, and what libcoap calls them.
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_SCHEME_H
#define LINKSPAN_CONNECTORS_COAP_SCHEME_H

#include <coap3/coap.h>

#include "message/slice.h"

enum coap_scheme { COAP_SCHEME_UDP, COAP_SCHEME_DTLS, COAP_SCHEME_TCP, COAP_SCHEME_TLS };

/* Takes a scheme and the :// behind it off the text, in any case of letters. False: there is none; nothing has changed. */
bool coap_scheme_take(struct slice *text, enum coap_scheme *ret_scheme);
const char *coap_scheme_name(enum coap_scheme scheme); /* "coaps+tcp" */
uint16_t coap_scheme_port(enum coap_scheme scheme); /* where none is given */
coap_proto_t coap_scheme_proto(enum coap_scheme scheme);
bool coap_scheme_is_secure(enum coap_scheme scheme); /* DTLS or TLS */
bool coap_scheme_is_datagram(enum coap_scheme scheme); /* UDP or DTLS */

#endif
