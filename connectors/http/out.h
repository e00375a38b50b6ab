/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests sent: the sink. A link is up from its start on: HTTP has no session, so the first request shows how the receiver
 * is. It goes down when the receiver wants to be left in peace, does not let us in, or fails again and again, and comes up
 * again for one request that tries (out_breaker.h). It never decides on a retry; the core does.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_H

#include "connectors/http/http.h"

/* The members of struct connector of these names. */
int http_out_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void http_out_start(struct link *link, const struct link_recovery *recovery);
void http_out_send(struct link *link, const struct delivery *delivery);
void http_out_send_end(struct link *link);
void http_out_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);
void http_out_reload(struct link *link);
void http_out_stop(struct link *link, uint64_t linger_ms);
void http_out_destroy(struct link *link);

#endif
