/* SPDX-License-Identifier: Apache-2.0
 *
 * STUB: replaced by its owner.
 */
#include "connectors/coap/watch.h"

#include <stdlib.h>

struct coap_watch *coap_watch_new(struct coap_client *client, const struct link_spec *spec)
{
	(void)client, (void)spec;
	return calloc(1, 1);
}

void coap_watch_free(struct coap_watch *watch)
{
	free(watch);
}

void coap_watch_begin(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_end(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_pause(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_resume(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_receipt(struct coap_watch *watch, uint64_t cookie, enum receipt receipt)
{
	(void)watch, (void)cookie, (void)receipt;
}

void coap_watch_receipts_end(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_stop_intake(struct coap_watch *watch)
{
	(void)watch;
}

void coap_watch_counters(
	const struct coap_watch *watch, void (*fn)(const char *name, uint64_t value, void *arg), void *arg)
{
	(void)watch, (void)fn, (void)arg;
}
