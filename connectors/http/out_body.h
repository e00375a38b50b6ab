/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies that hold several messages: JSON arrays and lines of JSON. Made of the stored messages alone, so that each attempt
 * has the same bytes.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_OUT_BODY_H
#define LINKSPAN_CONNECTORS_HTTP_OUT_BODY_H

#include "message/buffer.h"
#include "message/message.h"

/* Appends one payload as a JSON value: as it stands if it is well-formed JSON (of lines, with blanks for its line breaks);
 * as a string if it is UTF-8; else as {"data_base64": "…"}. A null payload is null. 0, -ENOBUFS or -ENOMEM. */
int http_body_append_value(struct slice payload, bool of_lines, struct buffer *out) __attribute__((warn_unused_result));

/* The values of a body one after the other: begin, for each one next and then its value, end. 0, -ENOBUFS or -ENOMEM. */
int http_body_next(bool of_lines, size_t index, struct buffer *out) __attribute__((warn_unused_result));
int http_body_end(bool of_lines, struct buffer *out) __attribute__((warn_unused_result));

#endif
