/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables cannot say of a connection that sends. Reads files; touches no network.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_CLIENT_SETTINGS_H
#define LINKSPAN_CONNECTORS_COAP_CLIENT_SETTINGS_H

#include "connectors/coap/settings.h"

/* Complains of what is wrong with it, and of keys of the other kind. */
void coap_client_check(const struct coap_settings *settings, struct config_scope *scope);
/* The same for a mapping's `from`. */
void coap_client_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope);
/* NULL, or what is wrong with a target of it. */
const char *coap_client_check_target(const struct coap_settings *settings, struct slice target);
/* NULL, or what is wrong with the value of a key of `to`. */
const char *coap_client_check_param(const char *name, struct slice value);

#endif
