/* SPDX-License-Identifier: Apache-2.0
 *
 * A Kafka connection has up to two parts: a sink, which is the idempotent or the exactly-once one, and a source. Each
 * is a `struct link` of its own behind this table; the contract of each function is that of the member of struct
 * connector of the same name. connection.c makes one link of them; a part calls the link_host that it was created with and
 * does not know of the other one.
 *
 * Beside a sink, a source does not speak for the link: what it says of up and down is not passed on, so receipts may come
 * for offers that it made before it went down itself.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_PART_H
#define LINKSPAN_CONNECTORS_KAFKA_PART_H

#include "connectors/connector.h"

struct kafka_part_ops {
	int (*create)(const struct link_spec *spec, struct link_host *host, struct link **ret_part);
	void (*start)(struct link *part, const struct link_recovery *recovery);
	void (*stop_intake)(struct link *part); /* source; NULL: nothing to do */
	void (*stop)(struct link *part); /* answered by host->stopped() */
	void (*destroy)(struct link *part);
	void (*counters)(const struct link *part, void (*fn)(const char *name, uint64_t value, void *arg), void *arg);

	/* Source only. */
	void (*pause)(struct link *part);
	void (*resume)(struct link *part);
	void (*receipt)(struct link *part, uint64_t cookie, enum receipt receipt);
	void (*receipts_end)(struct link *part);
	/* The sink beside it has gone down: no receipt comes of what was offered so far. An offer of nothing (no message,
	 * CHANGE_NONE) gets a receipt that says as much for all of it. */
	void (*receipts_lost)(struct link *part);

	/* Sink only. */
	void (*send)(struct link *part, const struct delivery *delivery);
	void (*send_end)(struct link *part);
	void (*settled)(struct link *part);
};

extern const struct kafka_part_ops kafka_idempotent_part; /* link.c, deliver.c: at least once */
extern const struct kafka_part_ops kafka_exact_part; /* exact.c: exactly once */
extern const struct kafka_part_ops kafka_source_part; /* source.c */

#endif
