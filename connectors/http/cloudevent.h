/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as CloudEvents 1.0 over HTTP: binary (the attributes are headers `ce-…`, the body is the payload), structured
 * (one JSON object) and in batches (an array of such objects).
 * https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents: bindings/http-protocol-binding.md, formats/json-format.md
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_CLOUDEVENT_H
#define LINKSPAN_CONNECTORS_HTTP_CLOUDEVENT_H

#include "message/buffer.h"
#include "message/message.h"
#include "routing/arena.h"

#define CLOUDEVENT_CONTENT_TYPE       "application/cloudevents+json; charset=UTF-8"
#define CLOUDEVENT_BATCH_CONTENT_TYPE "application/cloudevents-batch+json; charset=UTF-8"

struct cloudevent {
	struct slice id; /* of the delivery, not of a batch */
	struct slice source; /* a URI reference; what cannot stand in one is percent-encoded */
	struct slice type;
	struct slice subject; /* absent or empty: none */
	uint64_t time_ms; /* since the epoch; 0: none */
};

/* NULL if it can be sent, else what is wrong, one static sentence: empty id, source or type, text that is not UTF-8 or
 * holds control characters. Must have said NULL before the functions below. */
const char *cloudevent_check(const struct cloudevent *event);

/* Binary: ce-specversion, ce-id, ce-source, ce-type, ce-subject, ce-time with their values as they stand in headers. The
 * Content-Type is the payload's own. Names are static, values live as long as event and arena. 0 or -ENOMEM. */
#define CLOUDEVENT_MAX_FIELDS 6
int cloudevent_fields(const struct cloudevent *event, struct arena *arena,
	struct message_field ret_fields[CLOUDEVENT_MAX_FIELDS], size_t *ret_n) __attribute__((warn_unused_result));

/* Structured: appends one JSON object; a batch is `[` objects with `,` between them `]`. The payload is
 *     data           as it stands, when its content type is JSON and it is well formed, numbers digit for digit;
 *                    as a string when it is text (content type text/…, or utf8_payload) and UTF-8
 *     data_base64    else
 *     neither        when it is null
 * A payload without a content type is text/plain or application/octet-stream: to a reader of JSON events no type means JSON.
 * 0; -ENOBUFS: the buffer's limit; -ENOMEM. After an error the buffer is as it was. */
int cloudevent_append(const struct cloudevent *event, const struct message_view *view, struct buffer *out)
	__attribute__((warn_unused_result));

/* Does this content type say that the payload is JSON: application/json, …/….+json, text/json, with any parameters? */
bool cloudevent_is_json(struct slice content_type);

#endif
