/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers where a protocol carries text alone: values that are null or any bytes, which Kafka knows, get a text and a name
 * that says so, and come back from it.
 *
 *     name: bytes that are no text    kafka-base64-name: base64 (RFC 4648 §4)
 *     name: null                      kafka-null-name: (empty)
 *
 * Text is UTF-8 without NUL. What has such a name and yet is not what encoding gives is text like any other, so each
 * text header comes back unchanged from decoding and encoding.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_ROUTING_HEADER_TEXT_H
#define LINKSPAN_ROUTING_HEADER_TEXT_H

#include "message/message.h"
#include "routing/arena.h"

#define HEADER_TEXT_BASE64 "kafka-base64-"
#define HEADER_TEXT_NULL   "kafka-null-"

/* 0 and a header of text, borrowed from the given one and the arena; -EINVAL if the name is no text; -ENOMEM. */
int header_text_encode(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
	__attribute__((warn_unused_result));
/* 0 and the header that a text stands for, itself if for no other; -ENOMEM. */
int header_text_decode(const struct message_field *field, struct arena *arena, struct message_field *ret_field)
	__attribute__((warn_unused_result));

#endif
