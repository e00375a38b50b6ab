/* SPDX-License-Identifier: Apache-2.0
 *
 * What does not keep the specification is left as it came, so that nothing of it is lost.
 */
#include "connectors/common/cloudevent_read.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "message/base64.h"
#include "routing/json.h"
#include "runtime/log.h"

#define MEDIA_TYPE "application/cloudevents"
#define PREFIX     "ce-"

static bool begins(struct slice text, const char *begin)
{
	size_t len = strlen(begin);
	return text.len >= len && strncasecmp((const char *)text.data, begin, len) == 0;
}

bool cloudevent_is_structured(struct slice content_type)
{
	return begins(content_type, MEDIA_TYPE) && !cloudevent_is_batch(content_type);
}

bool cloudevent_is_batch(struct slice content_type)
{
	return begins(content_type, MEDIA_TYPE "-batch");
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

/* ce-NAME. Absent: memory is out. */
static struct slice header_name(struct slice attribute, struct arena *arena)
{
	const size_t len = sizeof PREFIX - 1;
	uint8_t *name = arena_alloc(arena, len + attribute.len);
	if (!name)
		return (struct slice){NULL, 0};
	memcpy(name, PREFIX, len);
	if (attribute.len)
		memcpy(name + len, attribute.data, attribute.len);
	return slice_of(name, len + attribute.len);
}

/* NAME if a field of that name holds an attribute in this protocol; else absent. */
static struct slice attribute_of(const struct cloudevent_binding *binding, struct slice name)
{
	size_t len = strlen(binding->prefix);
	if (name.len <= len || memcmp(name.data, binding->prefix, len) != 0)
		return (struct slice){NULL, 0};
	struct slice attribute = slice_of(name.data + len, name.len - len);
	for (size_t i = 0; i < attribute.len; i++) {
		uint8_t c = attribute.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return (struct slice){NULL, 0};
	}
	return attribute;
}

static bool has_all(const struct cloudevent_binding *binding, const struct message_view *view)
{
	static const char *const names[] = {"specversion", "id", "source", "type"};
	unsigned found = 0;
	for (size_t i = 0; i < view->n_headers; i++) {
		struct slice attribute = attribute_of(binding, view->headers[i].name);
		for (unsigned k = 0; attribute.data && k < 4; k++)
			found |= (unsigned)slice_equal(attribute, slice_str(names[k])) << k;
	}
	return found == 15;
}

static int read_field(const struct cloudevent_binding *binding, struct arena *arena, const struct message_field *from,
	struct message_field *to)
{
	struct slice attribute = attribute_of(binding, from->name);
	*to = *from;
	if (!attribute.data)
		return 0;
	to->name = header_name(attribute, arena);
	if (!to->name.data)
		return -ENOMEM;
	return binding->percent ? cloudevent_percent_decode(from->value, arena, &to->value) : 0;
}

static enum cloudevent_found finish(
	const struct message_view *event_view, struct message_view *view, const char **ret_wrong)
{
	struct cloudevent event;
	if (!slice_equal(message_header(event_view, "ce-specversion"), slice_str("1.0"))) {
		*ret_wrong = "it is no CloudEvent of version 1.0";
		return CLOUDEVENT_BROKEN;
	}
	if (!cloudevent_of_headers(event_view, &event)) {
		*ret_wrong = "id, source and type of a CloudEvent are text that is not empty, and so is its subject";
		return CLOUDEVENT_BROKEN;
	}
	*view = *event_view;
	return CLOUDEVENT_READ;
}

enum cloudevent_found cloudevent_read_binary(const struct cloudevent_binding *binding, struct arena *arena,
	struct message_view *view, const char **ret_wrong)
{
	if (!has_all(binding, view))
		return CLOUDEVENT_NONE;
	struct message_view read = *view;
	struct message_field *fields = arena_alloc(arena, view->n_headers * sizeof *fields);
	if (!fields)
		return CLOUDEVENT_NO_MEMORY;
	size_t n = 0;
	for (size_t i = 0; i < view->n_headers; i++) {
		int err = read_field(binding, arena, &view->headers[i], &fields[n]);
		if (err == -EINVAL)
			*ret_wrong = "an attribute of the CloudEvent is no UTF-8";
		if (err)
			return err == -EINVAL ? CLOUDEVENT_BROKEN : CLOUDEVENT_NO_MEMORY;
		if (!slice_equal(fields[n].name, slice_str("ce-datacontenttype")))
			n++;
		else if (!read.content_type.len)
			read.content_type = fields[n].value;
	}
	read.headers = fields;
	read.n_headers = n;
	return finish(&read, view, ret_wrong);
}

int cloudevent_strip(struct arena *arena, struct message_view *view)
{
	struct message_field *fields = arena_alloc(arena, view->n_headers * sizeof *fields);
	size_t n = 0;
	if (!fields)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_headers; i++)
		if (!cloudevent_attribute(view->headers[i].name).data)
			fields[n++] = view->headers[i];
	view->headers = fields;
	view->n_headers = n;
	return 0;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

struct reading {
	struct arena *arena;
	struct message_field *fields;
	size_t n;
	struct slice data, data_base64, content_type; /* as written */
	const char *wrong;
};

/* The text of a string, else the value as it is written. 0, -EINVAL or -ENOMEM. */
static int text_of(struct slice raw, struct arena *arena, struct slice *ret_text)
{
	if (json_kind(raw) != JSON_STRING) {
		*ret_text = raw;
		return 0;
	}
	if (json_is_plain(raw)) {
		*ret_text = slice_of(raw.data + 1, raw.len - 2);
		return 0;
	}
	uint8_t *out = arena_alloc(arena, raw.len);
	size_t len = out ? json_unescape(raw, out) : 0;
	*ret_text = slice_of(out, len);
	return !out ? -ENOMEM : len == SIZE_MAX ? -EINVAL : 0;
}

static int read_member(struct reading *reading, struct slice name, struct slice value)
{
	struct message_field *field = &reading->fields[reading->n];
	struct slice *place = slice_equal(name, slice_str("data"))              ? &reading->data
			      : slice_equal(name, slice_str("data_base64"))     ? &reading->data_base64
			      : slice_equal(name, slice_str("datacontenttype")) ? &reading->content_type
										: NULL;
	if (place) {
		*place = value;
		return 0;
	}
	if (json_kind(value) == JSON_NULL) /* JSON format §2.2: as if it were not there */
		return 0;
	for (size_t i = 0; i < reading->n; i++) /* of equal keys the last one counts, as in json_find */
		if (slice_equal(slice_of(reading->fields[i].name.data + 3, reading->fields[i].name.len - 3), name))
			field = &reading->fields[i];
	field->name = header_name(name, reading->arena);
	if (!field->name.data)
		return -ENOMEM;
	reading->n += field == &reading->fields[reading->n];
	return text_of(value, reading->arena, &field->value);
}

static int read_members(struct reading *reading, struct slice object)
{
	struct slice key, value, name;
	int err = 0;
	for (struct json_walk walk = json_walk(object); !err && json_walk_next(&walk, &key, &value);) {
		err = text_of(key, reading->arena, &name);
		if (!err)
			err = read_member(reading, name, value);
	}
	if (err == -EINVAL)
		reading->wrong = "a text in the CloudEvent holds half a character";
	return err;
}

static int read_base64(struct reading *reading, struct slice *ret_payload)
{
	struct slice text;
	int err = json_kind(reading->data_base64) == JSON_STRING ? text_of(reading->data_base64, reading->arena, &text)
								 : -EINVAL;
	uint8_t *out = !err ? arena_alloc(reading->arena, text.len + 1) : NULL;
	size_t len = out ? base64_decode(text, out) : SIZE_MAX;
	if (!err && !out)
		return -ENOMEM;
	if (err || len == SIZE_MAX) {
		reading->wrong = "the data_base64 of the CloudEvent is no base64";
		return err == -ENOMEM ? err : -EINVAL;
	}
	*ret_payload = slice_of(out, len);
	return 0;
}

/* JSON format §3.1: without datacontenttype data are JSON; a string under another type is that text. */
static int read_data(struct reading *reading, struct message_view *view)
{
	bool has = reading->data.data && json_kind(reading->data) != JSON_NULL;
	bool has_base64 = reading->data_base64.data && json_kind(reading->data_base64) != JSON_NULL;
	bool has_type = reading->content_type.data && json_kind(reading->content_type) == JSON_STRING;
	view->payload = slice_str("");
	view->content_type = (struct slice){NULL, 0};
	view->utf8_payload = false;
	if (has_type) {
		int err = text_of(reading->content_type, reading->arena, &view->content_type);
		if (err)
			return err;
	} else if (has) {
		view->content_type = slice_str("application/json");
	}
	if (has_base64)
		return read_base64(reading, &view->payload);
	if (!has)
		return 0;
	bool is_text = json_kind(reading->data) == JSON_STRING && !cloudevent_is_json(view->content_type);
	view->payload = reading->data;
	return is_text ? text_of(reading->data, reading->arena, &view->payload) : 0;
}

/* Two walks: one counts. */
static size_t count_members(struct slice object)
{
	struct slice key, value;
	size_t n = 0;
	for (struct json_walk walk = json_walk(object); json_walk_next(&walk, &key, &value);)
		n++;
	return n;
}

static enum cloudevent_found read_object(struct reading *reading, struct slice object, struct message_view *view)
{
	struct message_view read = *view;
	size_t n_members = count_members(object);
	if (n_members > MESSAGE_MAX_FIELDS) {
		reading->wrong = "the CloudEvent has more attributes than a message has headers";
		return CLOUDEVENT_BROKEN;
	}
	reading->fields = arena_alloc(reading->arena, (n_members + view->n_headers + 1) * sizeof *reading->fields);
	int err = reading->fields ? read_members(reading, object) : -ENOMEM;
	if (!err)
		err = read_data(reading, &read);
	if (err)
		return err == -ENOMEM ? CLOUDEVENT_NO_MEMORY : CLOUDEVENT_BROKEN;
	for (size_t i = 0; i < view->n_headers; i++)
		if (!cloudevent_attribute(view->headers[i].name).data) /* they may be said twice (§3.3.3) */
			reading->fields[reading->n++] = view->headers[i];
	read.headers = reading->fields;
	read.n_headers = reading->n;
	return finish(&read, view, &reading->wrong);
}

enum cloudevent_found cloudevent_read_structured(struct arena *arena, struct message_view *view, const char **ret_wrong)
{
	struct reading reading = {.arena = arena, .wrong = "the CloudEvent cannot be read"};
	const char *wrong = json_check(view->payload, NULL);
	struct slice object = wrong ? (struct slice){NULL, 0} : json_find(view->payload, NULL, 0);
	enum cloudevent_found found = CLOUDEVENT_BROKEN;
	if (wrong)
		reading.wrong = wrong;
	else if (json_kind(object) != JSON_OBJECT)
		reading.wrong = "a CloudEvent is a JSON object";
	else
		found = read_object(&reading, object, view);
	*ret_wrong = reading.wrong;
	return found;
}

/* --- either ------------------------------------------------------------------------------------------------------- */

static bool may_be_event(struct slice payload)
{
	size_t at = 0;
	while (at < payload.len && payload.data[at] && strchr(" \t\r\n", payload.data[at]))
		at++;
	return at < payload.len && payload.data[at] == '{';
}

enum cloudevent_found cloudevent_read(const struct cloudevent_binding *binding, bool implied, struct arena *arena,
	struct message_view *view, const char **ret_wrong)
{
	if (implied) {
		if (!may_be_event(view->payload))
			return CLOUDEVENT_NONE;
		enum cloudevent_found found = cloudevent_read_structured(arena, view, ret_wrong);
		return found == CLOUDEVENT_BROKEN ? CLOUDEVENT_NONE : found;
	}
	if (!cloudevent_is_structured(view->content_type) && !cloudevent_is_batch(view->content_type))
		return cloudevent_read_binary(binding, arena, view, ret_wrong);
	if (!cloudevent_is_json(view->content_type) || cloudevent_is_batch(view->content_type)) {
		*ret_wrong = "of structured CloudEvents the JSON format alone is read, one event a message";
		return CLOUDEVENT_BROKEN;
	}
	return cloudevent_read_structured(arena, view, ret_wrong);
}

/* --- reader ------------------------------------------------------------------------------------------------------- */

void cloudevent_reader_read(struct cloudevent_reader *reader, bool implied, struct message_view *view)
{
	const char *wrong = "out of memory";
	if (!reader->on)
		return;
	arena_reset(&reader->arena);
	switch (cloudevent_read(reader->binding, implied, &reader->arena, view, &wrong)) {
	case CLOUDEVENT_NONE:
	case CLOUDEVENT_READ:
		return;
	case CLOUDEVENT_BROKEN:
	case CLOUDEVENT_NO_MEMORY:
		break;
	}
	if (reader->broken++ == 0)
		log_warn("cloudevent_broken",
			"connection=%s reason=\"%s\" what=\"it is taken as it came; others are counted\"",
			reader->connection, wrong);
}

void cloudevent_reader_free(struct cloudevent_reader *reader)
{
	arena_free(&reader->arena);
}
