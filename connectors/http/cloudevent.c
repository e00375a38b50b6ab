/* SPDX-License-Identifier: Apache-2.0
 *
 * The two encodings. Text goes into JSON with the escapes of RFC 8259 §7 that it needs and no others.
 */
#include "connectors/http/cloudevent.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "message/base64.h"
#include "message/utf8.h"
#include "routing/json.h"

#define TIME_SIZE 40

/* --- attributes --------------------------------------------------------------------------------------------------- */

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
	return wrong;
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

static struct slice percent_encode(struct slice text, bool (*stands)(uint8_t c), struct arena *arena)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t others = 0, len = 0;
	for (size_t i = 0; i < text.len; i++)
		others += !stands(text.data[i]);
	if (others == 0)
		return text;
	uint8_t *out = arena_alloc(arena, text.len + 2 * others);
	if (!out)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (stands(c)) {
			out[len++] = c;
			continue;
		}
		out[len++] = '%';
		out[len++] = (uint8_t)digits[c >> 4];
		out[len++] = (uint8_t)digits[c & 15];
	}
	return slice_of(out, len);
}

int cloudevent_fields(const struct cloudevent *event, struct arena *arena,
	struct message_field ret_fields[CLOUDEVENT_MAX_FIELDS], size_t *ret_n)
{
	char time[TIME_SIZE];
	struct slice source = percent_encode(event->source, stands_in_uri, arena);
	struct slice time_text = event->time_ms ? write_time(event->time_ms, time) : (struct slice){NULL, 0};
	const struct message_field fields[CLOUDEVENT_MAX_FIELDS] = {
		{slice_str("ce-specversion"), slice_str("1.0")},
		{slice_str("ce-id"), event->id},
		{slice_str("ce-source"), source},
		{slice_str("ce-type"), event->type},
		{slice_str("ce-subject"), event->subject},
		{slice_str("ce-time"), time_text.data ? arena_copy(arena, time_text) : time_text},
	};
	if (!source.data)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < CLOUDEVENT_MAX_FIELDS; i++) {
		if (fields[i].value.len == 0)
			continue;
		ret_fields[n].name = fields[i].name;
		ret_fields[n].value = percent_encode(fields[i].value, stands_in_header, arena);
		if (!ret_fields[n++].value.data)
			return -ENOMEM;
	}
	*ret_n = n;
	return 0;
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

static void put_attribute(struct writer *writer, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	put_str(writer, ",\"");
	put_str(writer, name);
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

static void put_data(struct writer *writer, const struct message_view *view)
{
	if (!view->payload.data)
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

int cloudevent_append(const struct cloudevent *event, const struct message_view *view, struct buffer *out)
{
	char time[TIME_SIZE];
	struct arena arena = {0};
	struct writer writer = {.out = out};
	size_t before = out->len;
	struct slice source = percent_encode(event->source, stands_in_uri, &arena);
	if (!source.data)
		writer.err = -ENOMEM;
	put_str(&writer, "{\"specversion\":\"1.0\"");
	put_attribute(&writer, "id", event->id);
	put_attribute(&writer, "source", source);
	put_attribute(&writer, "type", event->type);
	put_attribute(&writer, "subject", event->subject);
	if (event->time_ms)
		put_attribute(&writer, "time", write_time(event->time_ms, time));
	put_attribute(&writer, "datacontenttype", content_type(view));
	put_data(&writer, view);
	put_str(&writer, "}");
	arena_free(&arena);
	if (writer.err)
		out->len = before;
	return writer.err;
}
