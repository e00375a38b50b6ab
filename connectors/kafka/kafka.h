/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka connector (`type: kafka`), a sink: an idempotent producer over librdkafka
 * (connectors/kafka/README.md).
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_KAFKA_H
#define LINKSPAN_CONNECTORS_KAFKA_KAFKA_H

#include "connectors/connector.h"

extern const struct connector kafka_connector;

#endif
