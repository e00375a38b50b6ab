/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of a connection as CloudEvents: the keys `cloudevents` of the connection and event_… under `to`, and what a message
 * becomes by them. A message that is an event already stays that event; any other one becomes an event whose id is that of
 * its delivery, the same for ever.
 *
 * Pure but for a writer's own memory; a writer belongs to one thread.
 */
#ifndef LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_OUT_H
#define LINKSPAN_CONNECTORS_COMMON_CLOUDEVENT_OUT_H

#include "config/schema.h"
#include "connectors/common/cloudevent.h"

enum cloudevents_mode { CLOUDEVENTS_OFF, CLOUDEVENTS_BINARY, CLOUDEVENTS_STRUCTURED };

struct cloudevents_settings {
	int mode; /* enum cloudevents_mode */
	char *source, *type;
	bool read;
};

/* Of a section whose struct is the one above. */
extern const struct config_key cloudevents_keys[];

/* Keys of `to`. */
#define CLOUDEVENT_PARAM_TYPE    "event_type"
#define CLOUDEVENT_PARAM_SOURCE  "event_source"
#define CLOUDEVENT_PARAM_SUBJECT "event_subject"
#define CLOUDEVENT_TO_KEYS                                                                                             \
	{.name = CLOUDEVENT_PARAM_TYPE,                                                                                \
		.type = CONFIG_TEMPLATE,                                                                               \
		.help = "Attribute type of the CloudEvent. Default: that which the message has, else cloudevents: "    \
			"{type}."},                                                                                    \
		{.name = CLOUDEVENT_PARAM_SOURCE,                                                                      \
			.type = CONFIG_TEMPLATE,                                                                       \
			.help = "Attribute source of the CloudEvent, which makes it another event, with an id of "     \
				"linkspan. Default: that which the message has, else cloudevents: {source}."},         \
	{                                                                                                              \
		.name = CLOUDEVENT_PARAM_SUBJECT, .type = CONFIG_TEMPLATE,                                             \
		.help = "Attribute subject of the CloudEvent. Default: that which the message has, else none."         \
	}

/* Complains of what is wrong with the section. */
void cloudevents_check(const struct cloudevents_settings *settings, struct config_scope *scope);
/* As struct connector, check_param, for the keys of `to` above; NULL for all others. */
const char *cloudevents_check_param(const struct cloudevents_settings *settings, const char *name);
/* As struct connector, check_header. */
const char *cloudevents_check_header(
	const struct cloudevents_settings *settings, const struct cloudevent_binding *binding, struct slice name);

/* The event that a message is; its source is absent when memory is out. id: of its delivery. name: of the connection. All
 * is borrowed. */
struct cloudevent cloudevents_event(const struct cloudevents_settings *settings, const char *name,
	const struct message_view *view, const char *id, struct arena *arena);

/* --- writer ------------------------------------------------------------------------------------------------------------ */

struct cloudevent_writer {
	const struct cloudevents_settings *settings;
	const struct cloudevent_binding *binding;
	const char *name; /* of the connection */
	struct arena arena;
	struct buffer json;
};

/* All is borrowed for the writer's life. Allocates nothing. */
void cloudevent_writer_init(struct cloudevent_writer *writer, const struct cloudevents_settings *settings,
	const struct cloudevent_binding *binding, const char *name);
void cloudevent_writer_free(struct cloudevent_writer *writer);

/* The message to send in place of one of that delivery: *ret_view, borrowed from it and the writer until its next call. With
 * mode off it is the message itself; and so is, in structured mode, what is no event and only forgets something: a null
 * payload (a tombstone in Kafka), an empty one with the retain flag (MQTT).
 * 0; -EINVAL: it can never be an event, *ret_wrong is one static sentence; -ENOMEM. */
int cloudevent_writer_make(struct cloudevent_writer *writer, const uint8_t uuid[16], uint64_t seq,
	const struct message_view *view, struct message_view *ret_view, const char **ret_wrong)
	__attribute__((warn_unused_result));

#endif
