/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests sent: the sink's part of a client. It never decides on a retry; the core does. A message for a device that does
 * not answer ends with RETRY and says when to try again, so the link stays up for the others.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_OUT_H
#define LINKSPAN_CONNECTORS_COAP_OUT_H

#include "connectors/connector.h"

struct coap_client; /* client_impl.h */
struct coap_out;

/* NULL: memory is out. */
struct coap_out *coap_out_new(struct coap_client *client) __attribute__((warn_unused_result));
/* Before the client's peers. NULL is allowed. */
void coap_out_free(struct coap_out *out);
uint32_t coap_out_window(const struct coap_out *out); /* deliveries that it takes */
void coap_out_send(struct coap_out *out, const struct delivery *delivery);
/* Ends all deliveries without an outcome. */
void coap_out_forget(struct coap_out *out);
void coap_out_counters(const struct coap_out *out, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);

#endif
