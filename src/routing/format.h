/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats of payloads. Whatever the format, jq programs, templates and the way from one format to another see a JSON value:
 *
 *   json    the value itself
 *   text    a string: the payload's characters (UTF-8)
 *   raw     a string: the payload's bytes in base64
 *   base64  a string: the payload, which must be base64 of some bytes. So raw and base64 are the same value in two forms
 *   cbor    the value as cbor.h says
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_ROUTING_FORMAT_H
#define LINKSPAN_ROUTING_FORMAT_H

#include "message/slice.h"

struct arena;

enum format { FORMAT_JSON, FORMAT_TEXT, FORMAT_RAW, FORMAT_BASE64, FORMAT_CBOR, FORMATS };

/* The value of a payload as JSON text, of max_bytes at most, in the arena; for json the payload, unchecked. 0; -EINVAL and one sentence
 * why (static or in the arena); -ENOMEM. */
int format_to_json(enum format format, struct slice payload, size_t max_bytes, struct arena *arena,
	struct slice *ret_json, const char **ret_reason) __attribute__((warn_unused_result));

/* A payload of that value. text takes a string, a number, true or false. json: well-formed. Errors as above. */
int format_from_json(enum format format, struct slice json, struct arena *arena, struct slice *ret_payload,
	const char **ret_reason) __attribute__((warn_unused_result));

/* The content type of what is written in it; absent for raw, of which nothing is known. */
struct slice format_content_type(enum format format);
/* Is every payload in it text (the payload format indicator of MQTT 5)? */
bool format_is_text(enum format format);

#endif
