/* SPDX-License-Identifier: Apache-2.0
 *
 * The limit is asked for each time: an operator can change it while the process runs (prlimit).
 */
#include "connectors/coap/descriptors.h"

#include <assert.h>
#include <stdint.h>
#include <sys/resource.h>

static size_t n_links;

void coap_descriptors_enter(void)
{
	n_links++;
}

void coap_descriptors_leave(void)
{
	assert(n_links);
	n_links--;
}

size_t coap_descriptors_share(void)
{
	struct rlimit limit;
	size_t n = n_links ? n_links : 1;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur / 2 / n ? (size_t)(limit.rlim_cur / 2 / n) : 1;
}
