/* SPDX-License-Identifier: Apache-2.0
 *
 * The two encodings. Text goes into JSON with the escapes of RFC 8259 §7 that it needs and no others.
 */
#include "connectors/common/cloudevent.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "connectors/common/percent.h"
#include "message/base64.h"
#include "message/utf8.h"
#include "routing/json.h"

#define TIME_SIZE 40
#define PREFIX    "ce-" /* of headers of a message */

const struct cloudevent_binding cloudevent_http = {.prefix = "ce-", .percent = true};
const struct cloudevent_binding cloudevent_kafka = {.prefix = "ce_"};
const struct cloudevent_binding cloudevent_mqtt = {.prefix = ""};

/* --- attributes --------------------------------------------------------------------------------------------------- */

static bool is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!((text.data[i] >= 'a' && text.data[i] <= 'z') || (text.data[i] >= '0' && text.data[i] <= '9')))
			return false;
	return text.len > 0;
}

struct slice cloudevent_attribute(struct slice header)
{
	const size_t len = sizeof PREFIX - 1;
	if (header.len <= len || memcmp(header.data, PREFIX, len) != 0)
		return (struct slice){NULL, 0};
	struct slice name = slice_of(header.data + len, header.len - len);
	return is_name(name) && !slice_equal(name, slice_str("data")) ? name : (struct slice){NULL, 0};
}

bool cloudevent_is_core(struct slice attribute)
{
	static const char *const names[] = {
		"specversion", "id", "source", "type", "subject", "time", "datacontenttype"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_equal(attribute, slice_str(names[i])))
			return true;
	return false;
}

static const char *check_text(struct slice text, const char *wrong)
{
	if (!utf8_valid(text))
		return wrong;
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return wrong;
	return NULL;
}

const char *cloudevent_check(const struct cloudevent *event)
{
	if (event->id.len == 0)
		return "a CloudEvent needs an id";
	if (event->source.len == 0)
		return "a CloudEvent needs a source that is not empty, see event_source";
	if (event->type.len == 0)
		return "a CloudEvent needs a type that is not empty, see event_type";
	const char *wrong = check_text(event->id, "the id of a CloudEvent is UTF-8 without control characters");
	if (!wrong)
		wrong = check_text(event->source, "the source of a CloudEvent is UTF-8 without control characters");
	if (!wrong)
		wrong = check_text(event->type, "the type of a CloudEvent is UTF-8 without control characters");
	if (!wrong)
		wrong = check_text(event->subject, "the subject of a CloudEvent is UTF-8 without control characters");
	if (!wrong)
		wrong = check_text(event->time, "the time of a CloudEvent is a time as in RFC 3339");
	return wrong;
}

bool cloudevent_of_headers(const struct message_view *view, struct cloudevent *ret_event)
{
	struct cloudevent event = {
		.id = message_header(view, PREFIX "id"),
		.source = message_header(view, PREFIX "source"),
		.type = message_header(view, PREFIX "type"),
		.subject = message_header(view, PREFIX "subject"),
		.time = message_header(view, PREFIX "time"),
		.headers = view->headers,
		.n_headers = view->n_headers,
	};
	if (!slice_equal(message_header(view, PREFIX "specversion"), slice_str("1.0")) || cloudevent_check(&event))
		return false;
	*ret_event = event;
	return true;
}

/* RFC 3339, in UTC, with milliseconds. */
static struct slice write_time(uint64_t time_ms, char out[TIME_SIZE])
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || tm.tm_year + 1900 > 9999)
		return (struct slice){NULL, 0};
	int len = snprintf(out, TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(time_ms % 1000));
	return slice_of(out, (size_t)len);
}

/* RFC 3986 §2: reserved, unreserved, and the percent sign of what is encoded. */
static bool stands_in_uri(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~:/?#[]@!$&'()*+,;=%", c));
}

/* HTTP binding §3.1.3.2: space, `"`, `%` and what is not U+0021 to U+007E. */
static bool stands_in_header(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '%';
}

/* Absent: memory is out. */
static struct slice encode(struct slice text, bool (*stands)(uint8_t c), struct arena *arena)
{
	size_t others = 0, len = 0;
	for (size_t i = 0; i < text.len; i++)
		others += !stands(text.data[i]);
	if (others == 0)
		return text;
	uint8_t *out = arena_alloc(arena, text.len + 2 * others);
	if (!out)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < text.len; i++) {
		if (stands(text.data[i])) {
			out[len++] = text.data[i];
		} else {
			percent_put(out + len, text.data[i]);
			len += 3;
		}
	}
	return slice_of(out, len);
}

int cloudevent_percent_encode(struct slice text, struct arena *arena, struct slice *ret_text)
{
	*ret_text = text.data ? encode(text, stands_in_header, arena) : text;
	return text.data && !ret_text->data ? -ENOMEM : 0;
}

/* RFC 9110 §5.6.4; *len: of what is written. */
static void unquote(struct slice text, uint8_t *out, size_t *len)
{
	for (size_t i = 1; i + 1 < text.len; i++) {
		if (text.data[i] == '\\' && i + 2 < text.len)
			i++;
		out[(*len)++] = text.data[i];
	}
}

int cloudevent_percent_decode(struct slice text, struct arena *arena, struct slice *ret_text)
{
	bool quoted = text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"';
	if (text.len == 0 || (!quoted && !memchr(text.data, '%', text.len))) {
		*ret_text = text;
		return utf8_valid(text) ? 0 : -EINVAL;
	}
	uint8_t *out = arena_alloc(arena, text.len);
	size_t n = 0, len = 0;
	if (!out)
		return -ENOMEM;
	if (quoted)
		unquote(text, out, &n);
	else
		memcpy(out, text.data, n = text.len);
	for (size_t i = 0; i < n; i++, len++) {
		int high = out[i] == '%' && i + 2 < n ? percent_digit(out[i + 1]) : -1;
		int low = high >= 0 ? percent_digit(out[i + 2]) : -1;
		out[len] = low >= 0 ? (uint8_t)(high << 4 | low) : out[i];
		i += low >= 0 ? 2 : 0;
	}
	*ret_text = slice_of(out, len);
	return utf8_valid(*ret_text) ? 0 : -EINVAL;
}

/* --- binary ------------------------------------------------------------------------------------------------------- */

/* The first header of a name counts. */
static bool is_repeated(const struct cloudevent *event, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_equal(event->headers[k].name, event->headers[i].name))
			return true;
	return false;
}

/* The name of the i-th header's attribute, if that is one of the event's others; else absent. */
static struct slice other_attribute(const struct cloudevent *event, size_t i)
{
	struct slice name = cloudevent_attribute(event->headers[i].name);
	struct slice value = event->headers[i].value;
	bool is_other =
		name.data && value.len && !cloudevent_is_core(name) && !check_text(value, "") && !is_repeated(event, i);
	return is_other ? name : (struct slice){NULL, 0};
}

struct adding {
	const struct cloudevent_binding *binding;
	struct arena *arena;
	struct message_field *fields;
	size_t n;
};

static int add(struct adding *adding, struct slice name, struct slice value)
{
	struct message_field *field = &adding->fields[adding->n];
	size_t len = strlen(adding->binding->prefix);
	if (value.len == 0)
		return 0;
	uint8_t *text = arena_alloc(adding->arena, len + name.len);
	if (!text)
		return -ENOMEM;
	memcpy(text, adding->binding->prefix, len);
	memcpy(text + len, name.data, name.len);
	field->name = slice_of(text, len + name.len);
	field->value = value;
	adding->n++;
	return adding->binding->percent ? cloudevent_percent_encode(value, adding->arena, &field->value) : 0;
}

int cloudevent_fields(const struct cloudevent *event, const struct cloudevent_binding *binding, struct arena *arena,
	struct message_field **ret_fields, size_t *ret_n)
{
	char time[TIME_SIZE];
	struct slice source = encode(event->source, stands_in_uri, arena);
	struct slice time_text = event->time.data ? event->time
				 : event->time_ms ? write_time(event->time_ms, time)
						  : (struct slice){NULL, 0};
	if (time_text.data == (const uint8_t *)time)
		time_text = arena_copy(arena, time_text);
	const struct message_field core[CLOUDEVENT_MORE_FIELDS] = {
		{slice_str("specversion"), slice_str("1.0")},
		{slice_str("id"), event->id},
		{slice_str("source"), source},
		{slice_str("type"), event->type},
		{slice_str("subject"), event->subject},
		{slice_str("time"), time_text},
	};
	struct adding adding = {.binding = binding, .arena = arena};
	adding.fields = arena_alloc(arena, (CLOUDEVENT_MORE_FIELDS + event->n_headers) * sizeof *adding.fields);
	int err = adding.fields && source.data ? 0 : -ENOMEM;
	for (size_t i = 0; !err && i < CLOUDEVENT_MORE_FIELDS; i++)
		err = add(&adding, core[i].name, core[i].value);
	for (size_t i = 0; !err && i < event->n_headers; i++) {
		struct slice name = other_attribute(event, i);
		err = name.data ? add(&adding, name, event->headers[i].value) : 0;
	}
	*ret_fields = adding.fields;
	*ret_n = adding.n;
	return err;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* A writer into the buffer whose first error stays. */
struct writer {
	struct buffer *out;
	int err;
};

static void put(struct writer *writer, struct slice text)
{
	if (!writer->err && text.len)
		writer->err = buffer_append(writer->out, text);
}

static void put_str(struct writer *writer, const char *text)
{
	put(writer, slice_str(text));
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void put_escape(struct writer *writer, uint8_t c)
{
	char text[8];
	const char *short_form = c == '"'    ? "\\\""
				 : c == '\\' ? "\\\\"
				 : c == '\n' ? "\\n"
				 : c == '\r' ? "\\r"
				 : c == '\t' ? "\\t"
					     : NULL;
	if (!short_form)
		snprintf(text, sizeof text, "\\u%04x", c);
	put_str(writer, short_form ? short_form : text);
}

/* A string of valid UTF-8. */
static void put_string(struct writer *writer, struct slice text)
{
	put_str(writer, "\"");
	size_t begin = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (is_plain(text.data[i]))
			continue;
		put(writer, slice_of(text.data + begin, i - begin));
		put_escape(writer, text.data[i]);
		begin = i + 1;
	}
	put(writer, slice_of(text.data + begin, text.len - begin));
	put_str(writer, "\"");
}

static void put_base64(struct writer *writer, struct slice bytes)
{
	if (!writer->err)
		writer->err = buffer_reserve(writer->out, base64_encoded_len(bytes.len));
	if (!writer->err)
		writer->out->len += base64_encode(bytes, (char *)writer->out->data + writer->out->len);
}

static void put_attribute(struct writer *writer, struct slice name, struct slice value)
{
	if (value.len == 0)
		return;
	put_str(writer, ",\"");
	put(writer, name);
	put_str(writer, "\":");
	put_string(writer, value);
}

/* The media type without its parameters. */
static struct slice media_type(struct slice content_type)
{
	size_t len = 0;
	while (len < content_type.len && !strchr("; \t", content_type.data[len]))
		len++;
	return slice_of(content_type.data, len);
}

static bool ends_with(struct slice text, const char *end)
{
	size_t len = strlen(end);
	return text.len >= len && strncasecmp((const char *)text.data + text.len - len, end, len) == 0;
}

bool cloudevent_is_json(struct slice content_type)
{
	struct slice type = media_type(content_type);
	return type.len && (ends_with(type, "/json") || ends_with(type, "+json"));
}

static bool is_text(const struct message_view *view)
{
	static const char text[] = "text/";
	bool said = view->utf8_payload ||
		    (view->content_type.len > strlen(text) &&
			    strncasecmp((const char *)view->content_type.data, text, strlen(text)) == 0);
	return said && utf8_valid(view->payload);
}

/* An event that does not say it has JSON (JSON format §3.1), which nobody has said. */
static struct slice content_type(const struct message_view *view)
{
	if (view->content_type.len && utf8_valid(view->content_type))
		return view->content_type;
	if (!view->payload.data)
		return (struct slice){NULL, 0};
	return slice_str(is_text(view) ? "text/plain; charset=utf-8" : "application/octet-stream");
}

static void put_data(struct writer *writer, const struct message_view *view, bool was_event)
{
	if (!view->payload.data || (was_event && view->payload.len == 0))
		return;
	if (cloudevent_is_json(view->content_type) && !json_check(view->payload, NULL)) {
		put_str(writer, ",\"data\":");
		put(writer, view->payload);
	} else if (!cloudevent_is_json(view->content_type) && is_text(view)) {
		put_str(writer, ",\"data\":");
		put_string(writer, view->payload);
	} else {
		put_str(writer, ",\"data_base64\":\"");
		put_base64(writer, view->payload);
		put_str(writer, "\"");
	}
}

static void put_attributes(struct writer *writer, const struct cloudevent *event, struct slice source)
{
	char time[TIME_SIZE];
	put_attribute(writer, slice_str("id"), event->id);
	put_attribute(writer, slice_str("source"), source);
	put_attribute(writer, slice_str("type"), event->type);
	put_attribute(writer, slice_str("subject"), event->subject);
	if (event->time.data)
		put_attribute(writer, slice_str("time"), event->time);
	else if (event->time_ms)
		put_attribute(writer, slice_str("time"), write_time(event->time_ms, time));
	for (size_t i = 0; i < event->n_headers; i++) {
		struct slice name = other_attribute(event, i);
		if (name.data)
			put_attribute(writer, name, event->headers[i].value);
	}
}

int cloudevent_append(const struct cloudevent *event, const struct message_view *view, struct buffer *out)
{
	struct arena arena = {0};
	struct cloudevent before;
	bool was_event = cloudevent_of_headers(view, &before);
	struct writer writer = {.out = out};
	size_t len = out->len;
	struct slice source = encode(event->source, stands_in_uri, &arena);
	if (!source.data)
		writer.err = -ENOMEM;
	put_str(&writer, "{\"specversion\":\"1.0\"");
	put_attributes(&writer, event, source);
	if (!was_event || view->content_type.len || view->payload.len)
		put_attribute(&writer, slice_str("datacontenttype"), content_type(view));
	put_data(&writer, view, was_event);
	put_str(&writer, "}");
	arena_free(&arena);
	if (writer.err)
		out->len = len;
	return writer.err;
}
