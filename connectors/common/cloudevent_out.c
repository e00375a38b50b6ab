/* SPDX-License-Identifier: Apache-2.0
 *
 * The message's own attributes first, then what the mapping gives, then the settings.
 */
#include "connectors/common/cloudevent_out.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "connectors/common/delivery_id.h"

#define JSON_LIMIT ((size_t)1 << 30)

static const char *const modes[] = {"off", "binary", "structured", NULL};

#define EVENTS(member) offsetof(struct cloudevents_settings, member)

const struct config_key cloudevents_keys[] = {
	{.name = "mode",
		.type = CONFIG_ENUM,
		.offset = EVENTS(mode),
		.fallback = "off",
		.choices = modes,
		.help = "Send each message as a CloudEvent 1.0. binary: attributes are headers, the payload stays as "
			"it is. structured: one JSON object (application/cloudevents+json)."},
	{.name = "source",
		.type = CONFIG_STRING,
		.offset = EVENTS(source),
		.help = "The attribute source of messages that are no event yet and for which the mapping gives no "
			"event_source: a URI reference. Default: linkspan: and the name of the connection."},
	{.name = "type",
		.type = CONFIG_STRING,
		.offset = EVENTS(type),
		.fallback = "linkspan.message",
		.help = "The attribute type of messages that are no event yet and for which the mapping gives no "
			"event_type."},
	{.name = "read",
		.type = CONFIG_BOOL,
		.offset = EVENTS(read),
		.fallback = "false",
		.help = "Take events apart that are received, in either mode: attributes become headers ce-NAME of the "
			"message, data its payload, datacontenttype its content type. false: they stay as they came."},
	{.name = NULL},
};

/* --- checks ------------------------------------------------------------------------------------------------------- */

void cloudevents_check(const struct cloudevents_settings *settings, struct config_scope *scope)
{
	struct cloudevent event = {
		.id = slice_str("1"),
		.source = slice_str(settings->source ? settings->source : "linkspan:"),
		.type = slice_str(settings->type),
	};
	const char *wrong = settings->type ? cloudevent_check(&event) : NULL;
	if (wrong && !config_failed(scope, "cloudevents", NULL))
		config_complain(scope, "cloudevents", NULL, "%s", wrong);
}

const char *cloudevents_check_param(const struct cloudevents_settings *settings, const char *name)
{
	if (strncmp(name, "event_", strlen("event_")) != 0 || settings->mode != CLOUDEVENTS_OFF)
		return NULL;
	return "this connection writes no CloudEvents; set cloudevents: {mode: binary} or structured there, or leave "
	       "this out";
}

static bool is_written(const struct cloudevent_binding *binding, struct slice name)
{
	size_t len = strlen(binding->prefix);
	if (name.len <= len || memcmp(name.data, binding->prefix, len) != 0)
		return false;
	return cloudevent_is_core(slice_of(name.data + len, name.len - len));
}

const char *cloudevents_check_header(
	const struct cloudevents_settings *settings, const struct cloudevent_binding *binding, struct slice name)
{
	if (settings->mode == CLOUDEVENTS_OFF)
		return NULL;
	struct slice attribute = cloudevent_attribute(name);
	bool core = attribute.data && cloudevent_is_core(attribute);
	if (core || (settings->mode == CLOUDEVENTS_BINARY && is_written(binding, name)))
		return "linkspan makes the attributes of a CloudEvent itself; use event_type, event_source and "
		       "event_subject, and for attributes of other names headers ce-NAME";
	return NULL;
}

/* --- the event ---------------------------------------------------------------------------------------------------- */

/* Absent: memory is out. */
static struct slice default_source(const struct cloudevents_settings *settings, const char *name, struct arena *arena)
{
	static const char scheme[] = "linkspan:";
	if (settings->source)
		return slice_str(settings->source);
	size_t len = strlen(scheme) + strlen(name);
	char *source = arena_alloc(arena, len + 1);
	if (!source)
		return slice_of(NULL, 0);
	snprintf(source, len + 1, "%s%s", scheme, name);
	return slice_of(source, len);
}

/* source and id together name an event: under another source the id would be that of another one. */
struct cloudevent cloudevents_event(const struct cloudevents_settings *settings, const char *name,
	const struct message_view *view, const char *id, struct arena *arena)
{
	struct slice type = message_param(view, CLOUDEVENT_PARAM_TYPE);
	struct slice source = message_param(view, CLOUDEVENT_PARAM_SOURCE);
	struct slice subject = message_param(view, CLOUDEVENT_PARAM_SUBJECT);
	struct cloudevent event;
	bool is_event = cloudevent_of_headers(view, &event);
	if (!is_event)
		event = (struct cloudevent){
			.type = slice_str(settings->type),
			.time_ms = view->origin_ms,
			.headers = view->headers,
			.n_headers = view->n_headers,
		};
	if (!is_event || source.len)
		event.id = slice_str(id);
	if (source.len)
		event.source = source;
	else if (!is_event)
		event.source = default_source(settings, name, arena);
	if (type.len)
		event.type = type;
	if (subject.len)
		event.subject = subject;
	return event;
}

/* --- writer ------------------------------------------------------------------------------------------------------- */

void cloudevent_writer_init(struct cloudevent_writer *writer, const struct cloudevents_settings *settings,
	const struct cloudevent_binding *binding, const char *name)
{
	*writer = (struct cloudevent_writer){.settings = settings, .binding = binding, .name = name};
	buffer_init(&writer->json, JSON_LIMIT);
}

void cloudevent_writer_free(struct cloudevent_writer *writer)
{
	arena_free(&writer->arena);
	buffer_free(&writer->json);
}

static bool has_name(const struct message_field *fields, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal(fields[i].name, name))
			return true;
	return false;
}

/* The attributes, and the message's other headers behind them; of the same name an attribute alone is left. */
static int join_headers(struct cloudevent_writer *writer, const struct message_field *attributes, size_t n_attributes,
	struct message_view *view)
{
	struct message_field *fields =
		arena_alloc(&writer->arena, (n_attributes + view->n_headers + 1) * sizeof *fields);
	if (!fields)
		return -ENOMEM;
	if (n_attributes)
		memcpy(fields, attributes, n_attributes * sizeof *fields);
	size_t n = n_attributes;
	for (size_t i = 0; i < view->n_headers; i++) {
		const struct message_field *header = &view->headers[i];
		bool is_attribute = cloudevent_attribute(header->name).data != NULL;
		if (!is_attribute && !has_name(attributes, n_attributes, header->name))
			fields[n++] = *header;
	}
	view->headers = fields;
	view->n_headers = n;
	return 0;
}

static int make_binary(struct cloudevent_writer *writer, const struct cloudevent *event, struct message_view *view)
{
	struct message_field *attributes;
	size_t n;
	int err = cloudevent_fields(event, writer->binding, &writer->arena, &attributes, &n);
	return err ? err : join_headers(writer, attributes, n, view);
}

static int make_structured(struct cloudevent_writer *writer, const struct cloudevent *event, struct message_view *view,
	const char **ret_wrong)
{
	buffer_clear(&writer->json);
	int err = cloudevent_append(event, view, &writer->json);
	if (err == -ENOBUFS) {
		*ret_wrong = "the CloudEvent is too large";
		return -EINVAL;
	}
	if (err)
		return err;
	view->payload = buffer_slice(&writer->json);
	view->content_type = slice_str(CLOUDEVENT_CONTENT_TYPE);
	view->utf8_payload = true;
	return join_headers(writer, NULL, 0, view);
}

static bool forgets(const struct message_view *view)
{
	return !view->payload.data || (view->payload.len == 0 && view->retain);
}

int cloudevent_writer_make(struct cloudevent_writer *writer, const uint8_t uuid[16], uint64_t seq,
	const struct message_view *view, struct message_view *ret_view, const char **ret_wrong)
{
	bool structured = writer->settings->mode == CLOUDEVENTS_STRUCTURED;
	struct cloudevent event;
	char id[DELIVERY_ID_SIZE];
	*ret_view = *view;
	if (writer->settings->mode == CLOUDEVENTS_OFF)
		return 0;
	if (structured && forgets(view) && !cloudevent_of_headers(view, &event))
		return 0;
	arena_reset(&writer->arena);
	delivery_id(uuid, seq, id);
	event = cloudevents_event(writer->settings, writer->name, view, id, &writer->arena);
	if (!event.source.data)
		return -ENOMEM;
	*ret_wrong = cloudevent_check(&event);
	if (*ret_wrong)
		return -EINVAL;
	if (structured)
		return make_structured(writer, &event, ret_view, ret_wrong);
	/* the id is on this stack */
	event.id = event.id.data == (const uint8_t *)id ? arena_copy(&writer->arena, event.id) : event.id;
	return event.id.data ? make_binary(writer, &event, ret_view) : -ENOMEM;
}
