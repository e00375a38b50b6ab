/* SPDX-License-Identifier: Apache-2.0
 *
 * The delivery guarantee that the two legs of a mapping give together (ARCHITECTURE.md, Delivery): the weaker of the two,
 * unless the destination's outbox throws messages away.
 */
#ifndef LINKSPAN_CONFIG_GUARANTEE_H
#define LINKSPAN_CONFIG_GUARANTEE_H

#include "config/config.h"
#include "connectors/connector.h"

/* What the mapping keeps towards this target. A target without `qos` sends at the QoS that the mapping reads at. */
enum guarantee mapping_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target);
/* Of both legs, as if the outbox lost nothing. */
enum guarantee mapping_legs_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target);
/* The legs alone: what reading gives, what sending gives. */
enum guarantee mapping_source_guarantee(const struct config *config, const struct mapping_config *map);
enum guarantee mapping_sink_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target);
/* What is declared of it: the mapping's own word counts, else the stronger one of its two connections. -1: nothing is. */
int mapping_declared_guarantee(
	const struct config *config, const struct mapping_config *map, const struct target_config *target);
/* Is exactly-once declared of the connection itself, or of a mapping that writes to it? */
bool connection_sends_exactly_once(const struct config *config, size_t connection);
const char *guarantee_name(enum guarantee guarantee); /* "at-least-once" … */

/* Does the outbox throw away what finds no room, or what has waited too long? Dead letters are kept: they lose nothing. */
bool outbox_drops_when_full(const struct outbox_config *outbox);
bool outbox_drops_old(const struct outbox_config *outbox);
const char *when_full_name(enum when_full when_full); /* "block" … */

#endif
