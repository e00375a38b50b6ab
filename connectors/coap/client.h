/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: requests sent to devices (out.c), and their resources watched (watch.c), over the same sessions.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_CLIENT_H
#define LINKSPAN_CONNECTORS_COAP_CLIENT_H

#include "connectors/coap/coap.h"

/* The members of struct connector of these names. */
int coap_client_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void coap_client_start(struct link *link, const struct link_recovery *recovery);
void coap_client_pause(struct link *link);
void coap_client_resume(struct link *link);
void coap_client_receipt(struct link *link, uint64_t cookie, enum receipt receipt);
void coap_client_receipts_end(struct link *link);
void coap_client_send(struct link *link, const struct delivery *delivery);
void coap_client_send_end(struct link *link);
void coap_client_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);
void coap_client_reload(struct link *link);
void coap_client_stop_intake(struct link *link);
void coap_client_stop(struct link *link, uint64_t linger_ms);
void coap_client_destroy(struct link *link);

#endif
