/* SPDX-License-Identifier: Apache-2.0
 *
 * Every connector that is compiled in. The only file that names them: the core, the configuration and the
 * commands find a connector by the value of `type:`.
 */
#include "connectors/connector.h"

#include <string.h>

#include "connectors/coap/coap.h"
#include "connectors/http/http.h"
#include "connectors/kafka/kafka.h"
#include "connectors/mqtt/mqtt.h"

const struct connector *const connectors[] = {
	&coap_connector,
	&http_connector,
	&kafka_connector,
	&mqtt_connector,
	NULL,
};

const struct connector *connector_find(const char *name)
{
	for (const struct connector *const *it = connectors; *it; it++)
		if (strcmp((*it)->name, name) == 0)
			return *it;
	return NULL;
}
