/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the datagram that libcoap is at work with, or was last.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_DATAGRAM_H
#define LINKSPAN_CONNECTORS_COAP_DATAGRAM_H

#include <coap3/coap.h>

/* The message id that it acknowledges; COAP_INVALID_MID: it is no acknowledgement. */
coap_mid_t datagram_acknowledged(void);

#endif
