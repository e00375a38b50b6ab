/* SPDX-License-Identifier: Apache-2.0
 *
 * The MQTT connector, `type: mqtt`: source and sink over one connection (README.md in this folder).
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_MQTT_H
#define LINKSPAN_CONNECTORS_MQTT_MQTT_H

#include "connectors/connector.h"

extern const struct connector mqtt_connector;

#endif
