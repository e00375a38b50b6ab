/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests sent: the sink.
 */
#include "connectors/http/out.h"

#include <errno.h>

int http_out_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	(void)spec, (void)host, (void)ret_link;
	return -ENOSYS;
}

void http_out_start(struct link *link, const struct link_recovery *recovery)
{
	(void)link, (void)recovery;
}

void http_out_send(struct link *link, const struct delivery *delivery)
{
	(void)link, (void)delivery;
}

void http_out_stop(struct link *link, uint64_t linger_ms)
{
	(void)link, (void)linger_ms;
}

void http_out_destroy(struct link *link)
{
	(void)link;
}
