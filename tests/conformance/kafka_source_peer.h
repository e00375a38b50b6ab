/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer that the conformance programs of the Kafka source share: librdkafka's mock cluster, to which they write with a
 * producer of their own. What breaks the cluster does not take the link down, and is left to the integration tests.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_KAFKA_SOURCE_PEER_H
#define LINKSPAN_TESTS_CONFORMANCE_KAFKA_SOURCE_PEER_H

/* The whole program. group: NULL with static assignment. */
int kafka_source_peer_main(const char *name, const char *group);

#endif
