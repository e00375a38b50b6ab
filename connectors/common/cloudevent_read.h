/* SPDX-License-Identifier: Apache-2.0
 *
 * Events that are received: whichever way a protocol carries one, its attributes become headers `ce-NAME` of the message,
 * datacontenttype its content type and data its payload (connectors/common/cloudevent.h).
 *
 * Pure functions but for the reader, which belongs to one thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_READ_H
#define LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_READ_H

#include "connectors/common/cloudevent.h"

/* What there is to say of a message. */
enum cloudevent_found {
	CLOUDEVENT_NONE, /* it is no event */
	CLOUDEVENT_READ,
	CLOUDEVENT_BROKEN, /* it says that it is one, and is not: *ret_wrong */
	CLOUDEVENT_NO_MEMORY,
};

/* Does this content type say that the payload is an event, in whatever format; is it that of a batch? */
bool cloudevent_is_structured(struct slice content_type);
bool cloudevent_is_batch(struct slice content_type);

/* Binary: the view has specversion, id, source and type, in the protocol's form. Changes the view if CLOUDEVENT_READ; what
 * is new in it lives as long as the arena. *ret_wrong: one static sentence. */
enum cloudevent_found cloudevent_read_binary(const struct cloudevent_binding *binding, struct arena *arena,
	struct message_view *view, const char **ret_wrong) __attribute__((warn_unused_result));
/* The payload is an event in JSON. An event without data gets an empty payload: a null one would be a tombstone. Numbers of
 * the data keep their digits. */
enum cloudevent_found cloudevent_read_structured(struct arena *arena, struct message_view *view, const char **ret_wrong)
	__attribute__((warn_unused_result));

/* Either, as the content type says. implied: there is none, and what is a structured event is one (MQTT 3.1.1). */
enum cloudevent_found cloudevent_read(const struct cloudevent_binding *binding, bool implied, struct arena *arena,
	struct message_view *view, const char **ret_wrong) __attribute__((warn_unused_result));

/* A source that reads events or does not. What cannot be read stays as it came; the first one is logged, all are counted. */
struct cloudevent_reader {
	bool on;
	const struct cloudevent_binding *binding;
	const char *connection; /* borrowed */
	struct arena arena;
	uint64_t broken;
};
/* Changes the view if it is an event; what is new in it lives until the next call. */
void cloudevent_reader_read(struct cloudevent_reader *reader, bool implied, struct message_view *view);
void cloudevent_reader_free(struct cloudevent_reader *reader);

/* Leaves out the headers that are attributes. 0 or -ENOMEM. */
int cloudevent_strip(struct arena *arena, struct message_view *view) __attribute__((warn_unused_result));

#endif
