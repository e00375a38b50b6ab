/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic aliases of one connection, MQTT 5 §3.3.2.3.4: small numbers that stand for topics. What the broker has set is
 * looked up; for what is sent a table says which topic may be left out. Nothing of it outlives the connection. No I/O;
 * the loop's thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_TOPIC_ALIAS_H
#define LINKSPAN_CONNECTORS_MQTT_TOPIC_ALIAS_H

#include "message/message.h"

struct alias_entry {
	uint8_t *topic; /* owned; NULL: not set */
	size_t len, capacity;
	bool illegal; /* the topic is no topic name */
};

/* All zero is a table without aliases. */
struct alias_table {
	struct alias_entry *entries; /* alias n at n - 1; made with the first use */
	uint16_t max;
};

/* Forgets everything and gives the memory back; `max` aliases may be used from then on. */
void alias_reset(struct alias_table *table, uint16_t max);

/* --- what comes. The alias must be within 1 and max. */

/* 0 or -ENOMEM: then the alias is not set any more. */
int alias_set(struct alias_table *table, uint16_t alias, struct slice topic, bool illegal)
	__attribute__((warn_unused_result));
/* NULL: it is not set. Until the next set or reset. */
const struct alias_entry *alias_get(const struct alias_table *table, uint16_t alias);

/* --- what goes */

/* The alias that this topic is to be sent with, 0: none. *ret_known: it is set already, so the topic is left out. Once a
 * packet with a topic that is not known is sure to be sent, alias_set follows. */
uint16_t alias_choose(const struct alias_table *table, struct slice topic, bool *ret_known);

#endif
