/* SPDX-License-Identifier: Apache-2.0
 *
 * CoAP pings over UDP and DTLS that an acknowledgement answers as well: an empty confirmable message is answered with a reset (RFC
 * 7252 §4.3), of which libcoap 4.3.1 tells, but some stacks (go-coap) acknowledge it, of which it says nothing. All
 * that libcoap does then is to delete what it has sent.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_PING_H
#define LINKSPAN_CONNECTORS_COAP_PING_H

#include <coap3/coap.h>
#include <stdbool.h>

struct ping { /* the owner's; zeroed to begin with */
	const coap_pdu_t *pdu; /* on its way; NULL: none is */
	struct ping *next;
	/* It is no longer on its way. From inside libcoap, as its handlers are called. */
	void (*over)(struct ping *ping, bool acknowledged);
};

/* Sends one, and again as RFC 7252 §4.2 says. What becomes of it otherwise is told to the context's handler for what is not
 * acknowledged, where ping_end is to be called. False: it could not be sent. None may be on its way. */
bool ping_send(struct ping *ping, coap_session_t *session, void (*over)(struct ping *ping, bool acknowledged));
/* Nobody wants to know any more; nothing if none is on its way. Before its owner or libcoap's context goes. */
void ping_end(struct ping *ping);

#endif
