/* SPDX-License-Identifier: Apache-2.0
 *
 * The source of a Kafka connection (part.h: kafka_source_part): what a consumer hands over becomes offers, each with the
 * position that its partition has after it. Owns the consumers, one at a time, and where each partition stands.
 *
 * Legal moves: IDLE → RUNNING; RUNNING → WAITING | STOPPED, when its consumer has ended; WAITING → RUNNING | STOPPED; IDLE → STOPPED.
 *
 * Every record is offered with its position, also one that no mapping wants, so that it is read once. A record that the host refuses leaves
 * its position alone. Positions never go down but by a reset, which the consumer's thread decides and hands over in
 * its place among the records.
 *
 * Threads: the loop.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_SOURCE_H
#define LINKSPAN_CONNECTORS_KAFKA_SOURCE_H

#include "connectors/kafka/part.h"

#endif
