/* SPDX-License-Identifier: Apache-2.0
 *
 * Random topics and filters out of a few levels, so that they meet often. The same ones in every run.
 */
#ifndef LINKSPAN_TESTS_UNIT_ROUTING_RANDOM_TOPIC_H
#define LINKSPAN_TESTS_UNIT_ROUTING_RANDOM_TOPIC_H

#define RANDOM_TOPIC_BYTES 64

/* One to five levels of ordinary names, empty ones and one that begins with $; a filter has wildcards as well. */
void random_topic(char out[RANDOM_TOPIC_BYTES]);
void random_filter(char out[RANDOM_TOPIC_BYTES]);

#endif
