/* SPDX-License-Identifier: Apache-2.0
 *
 * Confirmable responses that come again because their acknowledgement was lost. libcoap 4.3.1 knows the last one by its message id,
 * drops it without a word (mended in 4.3.2), and the device goes on until it gives up, and gives up an observation with it (RFC 7641
 * §4.5). So what libcoap reads is looked at before it sees it: a repetition is made non-confirmable, which it hands on, and is
 * acknowledged here, as RFC 7252 §4.2 asks.
 *
 * Threads: the loop's, libcoap's too.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_REPEATS_H
#define LINKSPAN_CONNECTORS_COAP_OUT_REPEATS_H

#include <coap3/coap.h>
#include <stdbool.h>

/* A message of a datagram, before libcoap does anything with it. */
void coap_out_repeats_look_at(coap_pdu_t *pdu);
/* From inside the response handler. True: the message is a repetition, and has been answered as the first one was. */
bool coap_out_repeats_answer(coap_session_t *session, const coap_pdu_t *received);
/* What the handler says of a message that is none. */
void coap_out_repeats_note(coap_response_t response);

#endif
