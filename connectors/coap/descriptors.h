/* SPDX-License-Identifier: Apache-2.0
 *
 * How many descriptors a link of CoAP may have: a listener takes one for each connection over TCP, a client one for each device.
 * All links together leave half of the process's limit to the journal and to other connections.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_DESCRIPTORS_H
#define LINKSPAN_CONNECTORS_COAP_DESCRIPTORS_H

#include <stddef.h>

/* A link has come, or has gone. */
void coap_descriptors_enter(void);
void coap_descriptors_leave(void);
/* Of each link, now; at least 1. */
size_t coap_descriptors_share(void);

#endif
