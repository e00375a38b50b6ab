/* SPDX-License-Identifier: Apache-2.0
 *
 * STUB: replaced by its owner.
 */
#include "connectors/coap/client_settings.h"

void coap_client_check(const struct coap_settings *settings, struct config_scope *scope)
{
	(void)settings, (void)scope;
}

void coap_client_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope)
{
	(void)settings, (void)from, (void)filters, (void)scope;
}

const char *coap_client_check_target(const struct coap_settings *settings, struct slice target)
{
	(void)settings, (void)target;
	return NULL;
}
