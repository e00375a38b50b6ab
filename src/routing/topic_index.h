/* SPDX-License-Identifier: Apache-2.0
 *
 * An index of topic filters: a tree by topic level whose edges lie in one hash table. Looking a topic up costs one probe
 * per level and partial match, so it grows with the matches and the levels, not with the number of filters.
 *
 * Filled once, then asked. Threads: one at a time (a lookup uses scratch memory of the index).
 */
#ifndef LINKSPAN_ROUTING_TOPIC_INDEX_H
#define LINKSPAN_ROUTING_TOPIC_INDEX_H

#include "message/slice.h"

struct topic_index;

struct topic_index *topic_index_new(void) __attribute__((warn_unused_result)); /* NULL when memory is out */
void topic_index_free(struct topic_index *index); /* NULL is allowed */

/* Adds a well-formed filter in wire form without $share. Filters get the numbers 0, 1, 2 … in the order of the calls;
 * equal filters are two. 0 or -ENOMEM; after a failure the index may only be freed. The text is copied. */
int topic_index_add(struct topic_index *index, const char *filter) __attribute__((warn_unused_result));

/* The numbers of the filters that match, ascending; borrowed until the next call. */
size_t topic_index_match(struct topic_index *index, struct slice topic, const uint32_t **ret_filters);

/* The numbers of the filters that cover this one as topic_filter_covers says, equal ones among them, ascending;
 * borrowed until the next call. */
size_t topic_index_covering(struct topic_index *index, const char *filter, const uint32_t **ret_filters);

#endif
