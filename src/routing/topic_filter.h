/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic filters: MQTT 5 §4.7 (wildcards, `$`-topics) and §4.8.2 (shared subscriptions), extended by {name}, a
 * named `+`.
 *
 * A filter is "as written" (with {name}) or in "wire form" (with +), each with or without $share/<group>/. A
 * name is a letter or _ and then letters, digits and _; `topic`, `key`, `header`, `qos`, `retain`, `headers`
 * and `ENV` are taken by templates and jq. Braces stand for nothing else: a level that holds one is a capture
 * or a mistake.
 *
 * Pure functions, any thread, none blocks.
 */
#ifndef LINKSPAN_ROUTING_TOPIC_FILTER_H
#define LINKSPAN_ROUTING_TOPIC_FILTER_H

#include <stdbool.h>

#include "message/slice.h"

#define TOPIC_MAX_BYTES 65535u /* MQTT 5 §1.5.4 */

/* NULL if the filter (as written or in wire form) is well formed, else what is wrong and what would be right,
 * one static sentence. */
const char *topic_filter_check(const char *filter);
/* The same for a topic name, MQTT 5 §4.7.1: no wildcards, no NUL, valid UTF-8, 1 to 65535 bytes. */
const char *topic_name_check(struct slice topic);
/* Names of the captures in order: calls fn with each {name}. */
void topic_filter_captures(const char *filter, void (*fn)(struct slice name, void *arg), void *arg);
/* The filter in wire form: {name} replaced by +. With strip_share also without $share/<group>/. malloc'ed;
 * NULL when memory is out. */
char *topic_filter_wire(const char *filter, bool strip_share) __attribute__((warn_unused_result));
/* What follows $share/<group>/, or the filter itself; points into it. */
const char *topic_filter_without_share(const char *filter);
/* Is this level of a filter as written a capture? Its name, else an absent slice. */
struct slice topic_filter_capture(struct slice level);
/* Does a well-formed wire filter (without $share) match? Case-sensitive, bytes. A filter that begins with a
 * wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1]. */
bool topic_filter_matches(const char *filter, struct slice topic);
/* Does every topic that `inner` matches match `outer` as well? Both in wire form without $share.
 * (Not said of `+/#` and `#`, which match the same.) */
bool topic_filter_covers(const char *outer, const char *inner);

/* Is there a topic that both match? Both in wire form without $share. */
bool topic_filter_overlaps(const char *a, const char *b);

/* Topics whose levels another character ends (struct connector, level_separator) are compared with filters in the form
 * that everything here takes: with `/`. Replaces `from` by `to`, in place. */
void topic_separate(char *text, size_t len, char from, char to);

/* Takes the first level off: *rest becomes what follows its separator, absent after the last level. An absent *rest
 * has no level: returns false. "a//b" has three levels, "" has one. */
static inline bool topic_next_level_by(char separator, struct slice *rest, struct slice *ret_level)
{
	if (!rest->data)
		return false;
	const uint8_t *slash = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	if (!slash) {
		*ret_level = *rest;
		*rest = (struct slice){NULL, 0};
		return true;
	}
	size_t len = (size_t)(slash - rest->data);
	*ret_level = slice_of(rest->data, len);
	*rest = slice_of(slash + 1, rest->len - len - 1);
	return true;
}

static inline bool topic_next_level(struct slice *rest, struct slice *ret_level)
{
	return topic_next_level_by('/', rest, ret_level);
}

#endif
