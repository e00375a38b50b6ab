/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user writes under `from` besides topic and qos when the connection is MQTT: the options of the subscription
 * (MQTT 5 §3.8.3.1) and the group of a shared one (§4.8.2). No I/O; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_FROM_H
#define LINKSPAN_CONNECTORS_MQTT_FROM_H

#include "config/schema.h"
#include "connectors/mqtt/codec.h"

struct mqtt_from {
	char *group;
	bool no_local;
	bool retain_as_published;
	int retain_handling; /* as on the wire */
};

extern const struct config_key mqtt_from_keys[];

/* The four members of the connector's table. */
void mqtt_from_check(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope);
const char *mqtt_from_group(const void *from_settings);
const char *mqtt_from_check_overlap(const void *settings);
bool mqtt_from_ignores_own(const void *settings, const void *from_settings);

/* The options byte of a subscription without its qos: bit 2 No Local, bit 3 Retain As Published, bits 4 and 5 Retain
 * Handling. Zero in 3.1.1. from: NULL for what is the case when nothing is written. */
uint8_t mqtt_from_options(const struct mqtt_from *from, enum mqtt_version version);

#endif
