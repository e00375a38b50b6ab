/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of Kafka topics: which are legal and which of those are allowed, which filters can match one, and how any text
 * is written with the characters that Kafka has (topic_characters: escape).
 *
 * What is escaped byte by byte, so that each name comes from one text alone:
 *     /                         .
 *     a-z A-Z 0-9 - _           itself
 *     _ before x and two upper-case hexadecimal digits
 *                               _x5F_
 *     . and every other byte    _xHH_, HH its hexadecimal digits in upper case; characters are taken in UTF-8
 *
 * Pure functions; any thread; nothing blocks.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_TOPIC_NAMES_H
#define LINKSPAN_CONNECTORS_KAFKA_TOPIC_NAMES_H

#include "config/schema.h"
#include "message/slice.h"

#define KAFKA_MAX_TOPIC 249 /* Kafka's Topic.MAX_NAME_LENGTH */

/* NULL if that is a legal name of a topic (Kafka's Topic.java: 1 to 249 of [a-zA-Z0-9._-], not "." or ".."), else one
 * static sentence of what is wrong and one of what would be right. */
const char *kafka_topic_check(struct slice topic);

/* NULL if some legal topic matches this filter (as written, well formed, levels ended by '.'), else as above. */
const char *kafka_filter_check(const char *filter);

/* NULL if this is a pattern for topics: characters of topics, and * for any number of them; else as above. */
const char *kafka_pattern_check(const char *pattern);
/* Does one of the patterns match the whole topic? */
bool kafka_topic_allowed(const struct config_list *patterns, struct slice topic);

/* Writes the escaped text, at most KAFKA_ESCAPED_MOST(text.len) bytes, and returns their number. */
#define KAFKA_ESCAPED_MOST(len) (5 * (len))
size_t kafka_topic_escape(struct slice text, char *out);
/* The other way, at most as many bytes as `topic` has. What no escaping has written stays as it is, but for '.', which
 * becomes '/'. */
size_t kafka_topic_restore(struct slice topic, char *out);

#endif
