/* SPDX-License-Identifier: Apache-2.0
 *
 * One Kafka connection as the core sees it: a link made of the parts that its mappings need (part.h).
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_CONNECTION_H
#define LINKSPAN_CONNECTORS_KAFKA_CONNECTION_H

#include "connectors/connector.h"

/* The members of struct connector of these names. */
int kafka_connection_create(const struct link_spec *spec, struct link_host *host, struct link **ret_link);
void kafka_connection_start(struct link *link, const struct link_recovery *recovery);
void kafka_connection_pause(struct link *link);
void kafka_connection_resume(struct link *link);
void kafka_connection_receipt(struct link *link, uint64_t cookie, enum receipt receipt);
void kafka_connection_receipts_end(struct link *link);
void kafka_connection_send(struct link *link, const struct delivery *delivery);
void kafka_connection_send_end(struct link *link);
void kafka_connection_settled(struct link *link);
void kafka_connection_counters(
	const struct link *link, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);
void kafka_connection_stop_intake(struct link *link);
void kafka_connection_stop(struct link *link, uint64_t linger_ms);
void kafka_connection_destroy(struct link *link);

/* For tests: the part that sends. */
struct link *kafka_connection_sink(struct link *link);

#endif
