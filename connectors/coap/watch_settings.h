/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables cannot say of a mapping that reads from a client.
 *
 * Pure but for what it complains of.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_WATCH_SETTINGS_H
#define LINKSPAN_CONNECTORS_COAP_WATCH_SETTINGS_H

#include "connectors/coap/settings.h"

/* As struct connector, check_from. */
void coap_watch_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope);

#endif
