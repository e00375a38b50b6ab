/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source has to subscribe to: the distinct filters of its mappings without those that another one covers, since a
 * broker would send a copy for each. Filled, finished, then read.
 *
 * Threads: one at a time while it is filled.
 */
#ifndef LINKSPAN_ROUTING_SUBSCRIPTIONS_H
#define LINKSPAN_ROUTING_SUBSCRIPTIONS_H

#include "routing/router.h"

struct subscriptions;
struct connector;

/* connector: says how large from_settings are; NULL if there are none. NULL when memory is out. */
struct subscriptions *subscriptions_new(const struct connector *connector) __attribute__((warn_unused_result));
void subscriptions_free(struct subscriptions *subs); /* NULL is allowed */

/* Adds a filter in wire form, $share kept (copied). *ret_number is for subscriptions_index. -ENOMEM. */
int subscriptions_add(struct subscriptions *subs, const char *wire, uint8_t qos, const void *from_settings,
	size_t *ret_number) __attribute__((warn_unused_result));
/* Finds what is covered. Nothing may be added any more. -ENOMEM. */
int subscriptions_finish(struct subscriptions *subs) __attribute__((warn_unused_result));

/* The list, borrowed; and the index in it of the filter that a number belongs to. Only when finished. */
size_t subscriptions_list(const struct subscriptions *subs, const struct router_filter **ret_filters);
size_t subscriptions_index(const struct subscriptions *subs, size_t number);

#endif
