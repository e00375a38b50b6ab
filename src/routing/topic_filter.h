/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic filters: MQTT 5 §4.7 (wildcards, `$`-topics) and §4.8.2 (shared subscriptions), extended by {name}, a named `+`.
 */
#ifndef LINKSPAN_ROUTING_TOPIC_FILTER_H
#define LINKSPAN_ROUTING_TOPIC_FILTER_H

#include <stdbool.h>

#include "message/slice.h"

#define TOPIC_MAX_BYTES 65535u /* MQTT 5 §1.5.4 */

/* NULL if the filter is well formed, else what is wrong and what would be right, one static sentence. */
const char *topic_filter_check(const char *filter);
/* The same for a topic name, MQTT 5 §4.7.1: no wildcards, no NUL, valid UTF-8, 1 to 65535 bytes. */
const char *topic_name_check(struct slice topic);
/* Names of the captures in order: calls fn with each {name}. */
void topic_filter_captures(const char *filter, void (*fn)(struct slice name, void *arg), void *arg);
/* The filter in wire form: {name} replaced by +. With strip_share also without $share/<group>/. malloc'ed; NULL when
 * memory is out. */
char *topic_filter_wire(const char *filter, bool strip_share);
/* Does a well-formed wire filter (without $share) match? Case-sensitive, bytes. A filter that begins with a wildcard
 * does not match a topic that begins with `$` [MQTT-4.7.2-1]. */
bool topic_filter_matches(const char *filter, struct slice topic);
/* Does every topic that `inner` matches match `outer` as well? Both in wire form without $share. */
bool topic_filter_covers(const char *outer, const char *inner);

#endif
