/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests taken: the source, and the last values that GET gives.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_IN_H
#define LINKSPAN_CONNECTORS_HTTP_IN_H

#include "connectors/http/http.h"

/* The members of struct connector of these names. */
int http_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void http_in_start(struct link *link, const struct link_recovery *recovery);
void http_in_pause(struct link *link);
void http_in_resume(struct link *link);
void http_in_receipt(struct link *link, uint64_t cookie, enum receipt receipt);
void http_in_send(struct link *link, const struct delivery *delivery);
void http_in_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);
void http_in_reload(struct link *link);
int http_in_retarget(struct link *link, const struct link_spec *spec);
void http_in_stop_intake(struct link *link);
void http_in_stop(struct link *link, uint64_t linger_ms);
void http_in_destroy(struct link *link);

#endif
