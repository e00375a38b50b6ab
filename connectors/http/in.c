/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests taken: the source, and the last values that GET gives.
 */
#include "connectors/http/in.h"

#include <errno.h>

int http_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	(void)spec, (void)host, (void)ret_link;
	return -ENOSYS;
}

void http_in_start(struct link *link, const struct link_recovery *recovery)
{
	(void)link, (void)recovery;
}

void http_in_send(struct link *link, const struct delivery *delivery)
{
	(void)link, (void)delivery;
}

void http_in_stop(struct link *link, uint64_t linger_ms)
{
	(void)link, (void)linger_ms;
}

void http_in_destroy(struct link *link)
{
	(void)link;
}
