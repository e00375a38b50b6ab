/* SPDX-License-Identifier: Apache-2.0
 *
 * STUB: replaced by its owner.
 */
#include "connectors/coap/in.h"

#include <errno.h>

int coap_in_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link)
{
	(void)spec, (void)host, (void)ret_link;
	return -ENOTSUP;
}

void coap_in_start(struct link *link, const struct link_recovery *recovery)
{
	(void)link, (void)recovery;
}

void coap_in_pause(struct link *link)
{
	(void)link;
}

void coap_in_resume(struct link *link)
{
	(void)link;
}

void coap_in_receipt(struct link *link, uint64_t cookie, enum receipt receipt)
{
	(void)link, (void)cookie, (void)receipt;
}

void coap_in_receipts_end(struct link *link)
{
	(void)link;
}

void coap_in_send(struct link *link, const struct delivery *delivery)
{
	(void)link, (void)delivery;
}

void coap_in_send_end(struct link *link)
{
	(void)link;
}

void coap_in_reload(struct link *link)
{
	(void)link;
}

void coap_in_stop_intake(struct link *link)
{
	(void)link;
}

void coap_in_stop(struct link *link, uint64_t linger_ms)
{
	(void)link, (void)linger_ms;
}

void coap_in_destroy(struct link *link)
{
	(void)link;
}

void coap_in_counters(const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	(void)link, (void)fn, (void)arg;
}
