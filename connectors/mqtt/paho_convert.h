/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of MQTT 5 (§2.2.2.2) between Paho's form and ours. Private to the Paho session; any thread, no calls that
 * take Paho's lock.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_PAHO_CONVERT_H
#define LINKSPAN_CONNECTORS_MQTT_PAHO_CONVERT_H

#include <MQTTAsync.h>

#include "connectors/mqtt/paho.h"

/* Of a PUBLISH that came. The texts borrow from `from`; returns the list of user properties, which the caller frees after
 * use (NULL: none, or no memory, and then they are missing and so is the list). */
struct message_field *convert_from_paho(const MQTTProperties *from, struct mqtt_properties *ret_props);
/* Of a PUBLISH to send. Copies; MQTTProperties_free in every outcome. 0 or a code of Paho's. */
int convert_to_paho(const struct mqtt_properties *from, MQTTProperties *to) __attribute__((warn_unused_result));
/* Of CONNECT and its will. Likewise. */
int convert_connect_properties(const struct mqtt_settings *settings, MQTTProperties *props, MQTTProperties *will)
	__attribute__((warn_unused_result));
/* What the broker has said in its CONNACK, into the connection's fields. With its lock held. */
void convert_terms(const MQTTProperties *from, bool session_present, struct paho_connection *conn);
/* Borrowed; empty: none. */
struct slice convert_reason_string(const MQTTProperties *from);

#endif
