/* SPDX-License-Identifier: Apache-2.0
 *
 * What libcoap 4.3.1 gets wrong about single datagrams, put right on its way in and out. It calls these two of its functions through
 * its table of imports, so that the program's own come first.
 *   - Codes of class 7 are signals of TCP (RFC 8323 §5), and no code at all in a datagram (RFC 7252 §4.2). It obeys them: a forged pong
 *     would pass for a sign of life, a forged release would end a session, and a ping is answered by a pong that nobody
 *     acknowledges, five times.
 *   - A Reset goes to nobody who has sent something to a group (§8.1), nor for an acknowledgement or a Reset (§4.2).
 *
 * Threads: the loop's, libcoap's too.
 */
#define _GNU_SOURCE
#include "connectors/coap/datagram.h"

#include <assert.h>
#include <dlfcn.h>
#include <string.h>

#include "connectors/coap/out_repeats.h"

#define SIGNALS 7 /* a class of codes */

static coap_mid_t acknowledged = COAP_INVALID_MID;

coap_mid_t datagram_acknowledged(void)
{
	return acknowledged;
}

/* The library's own; C has no cast from an object's pointer to a function's. */
static void find(const char *name, void *ret_function, size_t size)
{
	void *found = dlsym(RTLD_NEXT, name);
	assert(found && size == sizeof found);
	memcpy(ret_function, &found, size);
}

/* 0: malformed, for which libcoap sends a Reset. Streams are parsed by other functions. */
int coap_pdu_parse(coap_proto_t proto, const uint8_t *data, size_t length, coap_pdu_t *pdu)
{
	static int (*library)(coap_proto_t, const uint8_t *, size_t, coap_pdu_t *);
	if (!library)
		find("coap_pdu_parse", &library, sizeof library);
	if (!library(proto, data, length, pdu) || coap_pdu_get_code(pdu) >> 5 == SIGNALS)
		return 0;
	coap_out_repeats_look_at(pdu);
	acknowledged = coap_pdu_get_type(pdu) == COAP_MESSAGE_ACK ? coap_pdu_get_mid(pdu) : COAP_INVALID_MID;
	return 1;
}

coap_mid_t coap_send_message_type(coap_session_t *session, const coap_pdu_t *request, coap_pdu_type_t type)
{
	static coap_mid_t (*library)(coap_session_t *, const coap_pdu_t *, coap_pdu_type_t);
	if (!library)
		find("coap_send_message_type", &library, sizeof library);
	coap_pdu_type_t received = request ? coap_pdu_get_type(request) : COAP_MESSAGE_CON;
	if (type == COAP_MESSAGE_RST && (received == COAP_MESSAGE_ACK || received == COAP_MESSAGE_RST ||
						coap_is_mcast(coap_session_get_addr_local(session))))
		return COAP_INVALID_MID;
	return library(session, request, type);
}
