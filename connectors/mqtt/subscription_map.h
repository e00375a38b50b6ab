/* SPDX-License-Identifier: Apache-2.0
 *
 * From the Subscription Identifier of a PUBLISH to the link_subscription that it came for. Only identifiers that the
 * session knows today are in it: what was sent for a subscription that has gone or has changed is for the router to
 * match, as is what several subscriptions brought in one copy. No I/O; loop thread.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_SUBSCRIPTION_MAP_H
#define LINKSPAN_CONNECTORS_MQTT_SUBSCRIPTION_MAP_H

#include "connectors/mqtt/codec.h"
#include "connectors/mqtt/filter_set.h"

struct subscription_map { /* zero-initialised is empty */
	struct subscription_place *items; /* ascending by identifier */
	size_t n;
};

/* Anew from what the session at the broker has and what is wanted. Without memory the map is empty. */
void subscription_map_fill(
	struct subscription_map *map, const struct filter_set *known, const struct filter_set *wanted);
void subscription_map_free(struct subscription_map *map);

/* Index of the link_subscription, or -1: `subscription` of struct offer. */
int subscription_map_find(const struct subscription_map *map, const struct mqtt_properties *props);

#endif
