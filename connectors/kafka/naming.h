/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of topics as the core asks for them: members of struct connector (connectors/connector.h), with the settings
 * of the connection.
 *
 * Any thread; nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_NAMING_H
#define LINKSPAN_CONNECTORS_KAFKA_NAMING_H

#include "connectors/connector.h"

/* NULL if the topic is legal and allowed, and none that Kafka or linkspan keeps for itself. What is sent asks again: a dead letter that is queued once more may have any
 * topic. */
const char *kafka_check_target(const void *settings, struct slice topic);
const char *kafka_warn_open_target(const void *settings);
void kafka_check_filters(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope);
int kafka_insert_in_target(const void *settings, struct slice text, struct arena *arena, struct slice *ret_text);
int kafka_restore_topic(
	const void *settings, struct slice topic, struct arena *arena, struct slice *ret_topic, char *ret_separator);

#endif
