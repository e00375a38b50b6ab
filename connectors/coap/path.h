/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths of requests in their three forms: Uri-Path and Uri-Query options (RFC 7252 §5.10.1), the topic "/a/b" that mappings
 * see (decoded, one level per option), and the rendered target "/a/b?x=1&y=2" of a request to a device (percent-encoded).
 *
 * Pure; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COAP_PATH_H
#define LINKSPAN_CONNECTORS_COAP_PATH_H

#include "message/buffer.h"

struct arena; /* routing/arena.h */

#define COAP_SEGMENT_MAX 255u /* bytes of one Uri-Path, Uri-Query, Location-Path or Location-Query option */
/* What the limit of a topic's buffer should be. */
#define COAP_TOPIC_MAX 65535u

/* --- what a device sends: options to a topic ------------------------------------------------------------------------- */

/* Appends "/" and the value of one Uri-Path option to the topic, which is empty before the first. NULL; else what is wrong,
 * one static sentence, with the response code to answer with: 4.02 (130) what §5.10.1 forbids in the option (".", "..", more
 * than 255 bytes, no UTF-8), 4.00 (128) what has no place in a topic ("/", wildcards, control characters, too long), 5.03
 * (163) without memory. The topic is then unfinished. */
const char *coap_path_add(struct buffer *topic, struct slice segment, uint8_t *ret_code);
/* After the last option: a request without Uri-Path is for "/". Same results. */
const char *coap_path_end(struct buffer *topic, uint8_t *ret_code);

/* The options as a target instead (§6.5): appends "/" and a Uri-Path or Location-Path option, or "?" or "&" and a Uri-Query
 * or Location-Query option, percent-encoded. 0, -ENOBUFS or -ENOMEM. */
int coap_target_add_path(struct buffer *target, struct slice segment) __attribute__((warn_unused_result));
int coap_target_add_query(struct buffer *target, struct slice argument) __attribute__((warn_unused_result));

/* Is this rendered path of a listener (a topic, not percent-encoded) one that can be asked for? NULL, or what is wrong and
 * what would be right, one static sentence. */
const char *coap_path_check(struct slice path);

/* --- what a device is sent: a target to options ---------------------------------------------------------------------- */

enum coap_target_part { COAP_TARGET_PATH, COAP_TARGET_QUERY };

/* Is this a target, "/a/b?x=1&y=2"? NULL (also when empty), or what is wrong and what would be right, one static sentence:
 * plain ASCII that begins with / or ?, each segment and argument at most 255 bytes of UTF-8 once decoded, no dot segments. */
const char *coap_target_check(struct slice target);
/* Calls fn with the decoded value of each option, in order (§6.4; "/" and "" have none). The value lives until fn returns;
 * what it returns, if not 0, ends the walk. 0; -EINVAL: no target; what fn has returned. */
int coap_target_walk(struct slice target, int (*fn)(enum coap_target_part part, struct slice value, void *arg),
	void *arg) __attribute__((warn_unused_result));
/* What a template inserts into a target, percent-encoded but for unreserved characters (struct connector, insert_in_target):
 * it stays within one segment or argument. 0 and a text that lives as long as `text` and the arena, or -ENOMEM. */
int coap_target_insert(struct slice text, struct arena *arena, struct slice *ret_text)
	__attribute__((warn_unused_result));

#endif
