/* SPDX-License-Identifier: Apache-2.0
 *
 * What a source has to subscribe to: the distinct (filter, from_settings) of its mappings without those that another one
 * of the same QoS covers, since a broker would send a copy for each. Filled, finished, then read.
 *
 * Threads: one at a time while it is filled.
 */
#ifndef LINKSPAN_ROUTING_FILTER_LIST_H
#define LINKSPAN_ROUTING_FILTER_LIST_H

#include "routing/router.h"

struct filter_list;
struct connector;

/* connector: knows the table of from_settings; NULL if there are none. NULL when memory is out. */
struct filter_list *filter_list_new(const struct connector *connector) __attribute__((warn_unused_result));
void filter_list_free(struct filter_list *subs); /* NULL is allowed */

/* Adds a filter in wire form, $share kept (copied). *ret_number is for filter_list_index. -ENOMEM. */
int filter_list_add(struct filter_list *subs, const char *wire, uint8_t qos, const void *from_settings,
	size_t *ret_number) __attribute__((warn_unused_result));
/* Finds what is covered. Nothing may be added any more; what is given out then has levels that end with that character
 * in place of '/'. -ENOMEM. */
int filter_list_finish(struct filter_list *subs, char separator) __attribute__((warn_unused_result));

/* The list, borrowed; and the index in it of the filter that a number belongs to. Only when finished. */
size_t filter_list_get(const struct filter_list *subs, const struct router_filter **ret_filters);
size_t filter_list_index(const struct filter_list *subs, size_t number);

#endif
