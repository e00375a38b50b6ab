/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables cannot say of a connection that listens. Reads files; touches no network.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_IN_SETTINGS_H
#define LINKSPAN_CONNECTORS_COAP_IN_SETTINGS_H

#include "connectors/coap/settings.h"

/* Complains of what is wrong with it, and of keys of the other kind. */
void coap_in_check(const struct coap_settings *settings, struct config_scope *scope);
/* Are repetitions known, also after a restart, wherever it listens? */
bool coap_in_knows_repetitions(const struct coap_settings *settings);
/* The same for a mapping's `from`. */
void coap_in_check_from(const struct coap_settings *settings, const struct coap_from_settings *from,
	const struct config_list *filters, struct config_scope *scope);
/* NULL, or what is wrong with a target of it. */
const char *coap_in_check_target(const struct coap_settings *settings, struct slice target);
/* NULL, or what is wrong with that key of `to`, whatever its value is. */
const char *coap_in_check_param(const char *name);

#endif
