/* SPDX-License-Identifier: Apache-2.0
 *
 * A listener: requests taken, and the last values that GET gives and Observe follows.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_H
#define LINKSPAN_CONNECTORS_COAP_IN_H

#include "connectors/coap/coap.h"

/* The members of struct connector of these names. */
int coap_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void coap_in_start(struct link *link, const struct link_recovery *recovery);
void coap_in_pause(struct link *link);
void coap_in_resume(struct link *link);
void coap_in_receipt(struct link *link, uint64_t cookie, enum receipt receipt);
void coap_in_receipts_end(struct link *link);
void coap_in_send(struct link *link, const struct delivery *delivery);
void coap_in_send_end(struct link *link);
void coap_in_value_changed(struct link *link, struct slice topic);
void coap_in_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);
void coap_in_reload(struct link *link);
int coap_in_retarget(struct link *link, const struct link_spec *spec);
void coap_in_stop_intake(struct link *link);
void coap_in_stop(struct link *link, uint64_t linger_ms);
void coap_in_destroy(struct link *link);

#endif
