/* SPDX-License-Identifier: Apache-2.0
 *
 * The CoAP connector (RFC 7252, 7641, 7959, 8323) on libcoap: a listener that devices write to and read from, and a client
 * that writes to devices and watches their resources.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_COAP_H
#define LINKSPAN_CONNECTORS_COAP_COAP_H

#include "connectors/connector.h"

extern const struct connector coap_connector;

#endif
