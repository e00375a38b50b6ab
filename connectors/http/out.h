/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests sent: the sink.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_H

#include "connectors/http/http.h"

/* The members of struct connector of these names. */
int http_out_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void http_out_start(struct link *link, const struct link_recovery *recovery);
void http_out_send(struct link *link, const struct delivery *delivery);
void http_out_stop(struct link *link, uint64_t linger_ms);
void http_out_destroy(struct link *link);

#endif
