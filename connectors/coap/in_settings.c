/* SPDX-License-Identifier: Apache-2.0
 *
 * STUB: replaced by its owner.
 */
#include "connectors/coap/in_settings.h"

void coap_in_check(const struct coap_settings *settings, struct config_scope *scope)
{
	(void)settings, (void)scope;
}

void coap_in_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope)
{
	(void)settings, (void)from, (void)filters, (void)scope;
}

const char *coap_in_check_target(const struct coap_settings *settings, struct slice target)
{
	(void)settings, (void)target;
	return NULL;
}
