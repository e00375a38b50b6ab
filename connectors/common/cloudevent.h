/* SPDX-License-Identifier: Apache-2.0
 *
 * CloudEvents 1.0, the part that has nothing to do with any connection: an event's attributes, as fields of a protocol in
 * binary mode and as one JSON object in structured mode. https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents:
 * spec.md, formats/json-format.md, bindings/NAME-protocol-binding.md
 *
 * In a message of linkspan the attributes of an event are headers `ce-NAME` that hold the attributes' own values, whichever
 * protocol it came by; datacontenttype is its content type, data its payload.
 *
 * Pure functions; any thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_H
#define LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_H

#include "message/buffer.h"
#include "message/message.h"
#include "routing/arena.h"

#define CLOUDEVENT_CONTENT_TYPE       "application/cloudevents+json; charset=UTF-8"
#define CLOUDEVENT_BATCH_CONTENT_TYPE "application/cloudevents-batch+json; charset=UTF-8"

/* So many fields more than its message has headers has an event in binary mode, at most. */
#define CLOUDEVENT_MORE_FIELDS 6

/* How a protocol writes attributes in binary mode. */
struct cloudevent_binding {
	const char *prefix; /* before their names */
	bool percent; /* what cannot stand in a header of HTTP is percent-encoded (HTTP binding §3.1.3.2) */
};
extern const struct cloudevent_binding cloudevent_http, cloudevent_kafka, cloudevent_mqtt;

struct cloudevent {
	struct slice id;
	struct slice source; /* a URI reference; what cannot stand in one is percent-encoded */
	struct slice type;
	struct slice subject; /* absent or empty: none */
	struct slice time; /* RFC 3339; absent: time_ms */
	uint64_t time_ms; /* since the epoch; 0: none */
	/* Of the message: those `ce-NAME` that are none of the above are the event's other attributes. */
	const struct message_field *headers;
	size_t n_headers;
};

/* NAME if a header of that name is an attribute of an event: `ce-NAME`, NAME of a-z and 0-9; else absent. */
struct slice cloudevent_attribute(struct slice header);
/* Is it one of those that have a member above, or that linkspan alone says: specversion, id, source, type, subject, time,
 * datacontenttype? */
bool cloudevent_is_core(struct slice attribute);

/* NULL if it can be sent, else what is wrong, one static sentence: empty id, source or type, text that is not UTF-8 or
 * holds control characters. Must have said NULL before the functions below. */
const char *cloudevent_check(const struct cloudevent *event);

/* Do the headers of the message say that it is an event: with specversion 1.0, id, source and type, which can be sent?
 * Then *ret_event is that, borrowed from the view. */
bool cloudevent_of_headers(const struct message_view *view, struct cloudevent *ret_event);

/* Binary: the attributes but datacontenttype, with names and values as they stand in the protocol. They live as long as
 * event and arena. An attribute that is no text is left out. 0 or -ENOMEM. */
int cloudevent_fields(const struct cloudevent *event, const struct cloudevent_binding *binding, struct arena *arena,
	struct message_field **ret_fields, size_t *ret_n) __attribute__((warn_unused_result));

/* An attribute's value as in a header of HTTP, and back (without quotes, decoded once). 0 and a text that lives as long as
 * `text` and the arena; -EINVAL: what it stands for is no UTF-8; -ENOMEM. */
int cloudevent_percent_encode(struct slice text, struct arena *arena, struct slice *ret_text)
	__attribute__((warn_unused_result));
int cloudevent_percent_decode(struct slice text, struct arena *arena, struct slice *ret_text)
	__attribute__((warn_unused_result));

/* Structured: appends one JSON object; a batch is `[` objects with `,` between them `]`. The payload is
 *     data           as it stands, when its content type is JSON and it is well formed, numbers digit for digit;
 *                    as a string when it is text (content type text/…, or utf8_payload) and UTF-8
 *     data_base64    else
 *     neither        when it is null, or empty and the message was an event before
 * A payload without a content type is text/plain or application/octet-stream: to a reader of JSON events no type means JSON.
 * 0; -ENOBUFS: the buffer's limit; -ENOMEM. After an error the buffer is as it was. */
int cloudevent_append(const struct cloudevent *event, const struct message_view *view, struct buffer *out)
	__attribute__((warn_unused_result));

/* Does this content type say that the payload is JSON: application/json, …/….+json, text/json, with any parameters? */
bool cloudevent_is_json(struct slice content_type);

#endif
