/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing, and reading by a table of members. What is read is decoded into one block, never longer than the line, and
 * copied from there into the message.
 */
#include "cli/message_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "message/base64.h"
#include "message/utf8.h"
#include "routing/json.h"

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static size_t escaped_len(struct slice text)
{
	size_t len = text.len;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		len += c < 0x20 || c == 0x7f ? 5 : c == '"' || c == '\\';
	}
	return len;
}

static void put_escape(FILE *out, uint8_t c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", c);
	else if (c == '\n')
		fputs("\\n", out);
	else
		fprintf(out, "\\u%04x", c);
}

static void put_text(FILE *out, struct slice text)
{
	size_t from = 0;
	fputc('"', out);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\')
			continue;
		fwrite(text.data + from, 1, i - from, out);
		put_escape(out, c);
		from = i + 1;
	}
	if (text.len > from)
		fwrite(text.data + from, 1, text.len - from, out);
	fputc('"', out);
}

static void put_base64(FILE *out, struct slice bytes)
{
	char block[4096];
	const size_t at_once = sizeof block / 4 * 3;
	fputs("{\"base64\":\"", out);
	for (size_t at = 0; at < bytes.len; at += at_once) {
		size_t n = bytes.len - at < at_once ? bytes.len - at : at_once;
		fwrite(block, 1, base64_encode(slice_of(bytes.data + at, n), block), out);
	}
	fputs("\"}", out);
}

void message_json_bytes(FILE *out, struct slice bytes)
{
	if (!bytes.data)
		fputs("null", out);
	else if (utf8_valid(bytes) && escaped_len(bytes) <= bytes.len / 3 * 4 + 16)
		put_text(out, bytes);
	else
		put_base64(out, bytes);
}

static void put_member(FILE *out, const char *name, struct slice bytes)
{
	if (!bytes.data)
		return;
	fprintf(out, ",\"%s\":", name);
	message_json_bytes(out, bytes);
}

static void put_number(FILE *out, const char *name, uint64_t number)
{
	if (number)
		fprintf(out, ",\"%s\":%" PRIu64, name, number);
}

static void put_fields(FILE *out, const char *name, const struct message_field *fields, size_t n)
{
	if (n == 0)
		return;
	fprintf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",[" : "[", out);
		message_json_bytes(out, fields[i].name);
		fputc(',', out);
		message_json_bytes(out, fields[i].value);
		fputc(']', out);
	}
	fputc(']', out);
}

static void put_about(FILE *out, const struct message_json *about)
{
	if (about->destination[0])
		put_member(out, "destination", slice_str(about->destination));
	put_number(out, "seq", about->seq);
	if (!about->dead)
		return;
	put_member(out, "reason", slice_str(about->reason));
	put_number(out, "died_ms", about->died_ms);
	put_number(out, "attempts", about->attempts);
}

void message_json_write(FILE *out, const struct message_view *view, const struct message_json *about)
{
	fputs("{\"topic\":", out);
	message_json_bytes(out, view->topic);
	put_about(out, about);
	put_member(out, "key", view->key);
	if (!slice_equal(view->order_key, view->topic))
		put_member(out, "order_key", view->order_key);
	put_member(out, "content_type", view->content_type);
	put_member(out, "response_topic", view->response_topic);
	put_member(out, "correlation", view->correlation);
	put_member(out, "reject_reason", view->reject_reason);
	put_fields(out, "headers", view->headers, view->n_headers);
	put_fields(out, "params", view->params, view->n_params);
	fprintf(out, ",\"origin_ms\":%" PRIu64, view->origin_ms);
	put_number(out, "expires_ms", view->expires_ms);
	put_number(out, "qos", view->qos);
	if (view->retain)
		fputs(",\"retain\":true", out);
	if (view->utf8_payload)
		fputs(",\"utf8_payload\":true", out);
	if (view->waits)
		fputs(",\"waits\":true", out);
	if (view->priority)
		fprintf(out, ",\"priority\":%d", view->priority + MESSAGE_DEFAULT_PRIORITY);
	fputs(",\"payload\":", out);
	message_json_bytes(out, view->payload);
	fputs("}\n", out);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

struct reading {
	uint8_t *block; /* as long as the line */
	size_t at; /* taken of it */
	struct message_view view;
	struct message_json *about;
	struct message_field *headers, *params;
	struct slice destination, reason;
	bool has_origin;
};

static const char *take_string(struct reading *in, struct slice raw, struct slice *ret)
{
	uint8_t *out = in->block + in->at;
	size_t len = json_unescape(raw, out);
	if (len == SIZE_MAX)
		return "holds half a surrogate pair";
	*ret = slice_of(out, len);
	in->at += len;
	return NULL;
}

static const char *take_base64(struct reading *in, struct slice raw, struct slice *ret)
{
	struct json_walk walk = json_walk(raw);
	struct slice key, value;
	if (!json_walk_next(&walk, &key, &value) || !slice_equal(key, slice_str("\"base64\"")) ||
		json_kind(value) != JSON_STRING || !json_is_plain(value))
		return "is neither a string nor {\"base64\": \"…\"}";
	uint8_t *out = in->block + in->at;
	size_t len = base64_decode(slice_of(value.data + 1, value.len - 2), out);
	if (len == SIZE_MAX)
		return "is not base64";
	if (json_walk_next(&walk, &key, &value))
		return "has more than base64 in it";
	*ret = slice_of(out, len);
	in->at += len;
	return NULL;
}

static const char *take_bytes(struct reading *in, struct slice raw, struct slice *ret)
{
	switch (json_kind(raw)) {
	case JSON_STRING:
		return take_string(in, raw, ret);
	case JSON_OBJECT:
		return take_base64(in, raw, ret);
	case JSON_NULL:
		*ret = (struct slice){NULL, 0};
		return NULL;
	default:
		return "is neither a string nor {\"base64\": \"…\"}";
	}
}

static const char *take_number(struct slice raw, uint64_t most, uint64_t *ret)
{
	uint64_t value = 0;
	for (size_t i = 0; i < raw.len; i++) {
		uint64_t digit = (uint64_t)raw.data[i] - '0';
		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return "is not a whole number in range";
		value = value * 10 + digit;
	}
	*ret = value;
	return value <= most ? NULL : "is not a whole number in range";
}

static const char *take_bool(struct slice raw, bool *ret)
{
	enum json_kind kind = json_kind(raw);
	*ret = kind == JSON_TRUE;
	return kind == JSON_TRUE || kind == JSON_FALSE ? NULL : "is neither true nor false";
}

static const char *take_field(struct reading *in, struct slice raw, struct message_field *field)
{
	static const char shape[] = "is not a list of [name, value]";
	struct slice key, name, value, more;
	if (json_kind(raw) != JSON_ARRAY)
		return shape;
	struct json_walk walk = json_walk(raw);
	if (!json_walk_next(&walk, &key, &name) || !json_walk_next(&walk, &key, &value) ||
		json_walk_next(&walk, &key, &more) || json_kind(name) == JSON_NULL)
		return shape;
	const char *wrong = take_bytes(in, name, &field->name);
	return wrong ? wrong : take_bytes(in, value, &field->value);
}

static const char *take_fields(struct reading *in, struct slice raw, struct message_field **fields, size_t *n)
{
	struct slice key, value;
	if (json_kind(raw) != JSON_ARRAY)
		return "is not a list of [name, value]";
	if (*fields)
		return "is there twice";
	*fields = malloc(MESSAGE_MAX_FIELDS * sizeof **fields);
	if (!*fields)
		return "does not fit into memory";
	for (struct json_walk walk = json_walk(raw); json_walk_next(&walk, &key, &value);) {
		if (*n == MESSAGE_MAX_FIELDS)
			return "has more than 1024 entries";
		const char *wrong = take_field(in, value, &(*fields)[(*n)++]);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *take_attribute(struct reading *in, const char *name, struct slice raw)
{
	uint64_t number = 0;
	const char *wrong = NULL;
	if (strcmp(name, "qos") == 0) {
		wrong = take_number(raw, 2, &number);
		in->view.qos = (uint8_t)number;
	} else if (strcmp(name, "retain") == 0) {
		wrong = take_bool(raw, &in->view.retain);
	} else if (strcmp(name, "utf8_payload") == 0) {
		wrong = take_bool(raw, &in->view.utf8_payload);
	} else if (strcmp(name, "waits") == 0) {
		wrong = take_bool(raw, &in->view.waits);
	} else if (strcmp(name, "priority") == 0) {
		wrong = take_number(raw, MESSAGE_MAX_PRIORITY, &number);
		in->view.priority = (int8_t)((int)number - MESSAGE_DEFAULT_PRIORITY);
	} else if (strcmp(name, "origin_ms") == 0) {
		wrong = take_number(raw, UINT64_MAX, &in->view.origin_ms);
		in->has_origin = true;
	} else if (strcmp(name, "expires_ms") == 0) {
		wrong = take_number(raw, UINT64_MAX, &in->view.expires_ms);
	} else if (strcmp(name, "seq") == 0) {
		wrong = take_number(raw, UINT64_MAX, &in->about->seq);
	} else if (strcmp(name, "died_ms") == 0) {
		wrong = take_number(raw, UINT64_MAX, &in->about->died_ms);
	} else if (strcmp(name, "attempts") == 0) {
		wrong = take_number(raw, UINT64_MAX, &in->about->attempts);
	} else {
		return "is no member that a message has";
	}
	return wrong;
}

static const char *take_member(struct reading *in, const char *name, struct slice raw)
{
	struct {
		const char *name;
		struct slice *into;
	} bytes[] = {
		{"topic", &in->view.topic},
		{"payload", &in->view.payload},
		{"content_type", &in->view.content_type},
		{"key", &in->view.key},
		{"order_key", &in->view.order_key},
		{"response_topic", &in->view.response_topic},
		{"correlation", &in->view.correlation},
		{"reject_reason", &in->view.reject_reason},
		{"destination", &in->destination},
		{"reason", &in->reason},
	};
	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
		if (strcmp(name, bytes[i].name) == 0)
			return take_bytes(in, raw, bytes[i].into);
	if (strcmp(name, "headers") == 0)
		return take_fields(in, raw, &in->headers, &in->view.n_headers);
	if (strcmp(name, "params") == 0)
		return take_fields(in, raw, &in->params, &in->view.n_params);
	return take_attribute(in, name, raw);
}

static int complain(char *wrong, size_t size, const char *name, const char *what)
{
	snprintf(wrong, size, "%s%s%s", name, *name ? ": " : "", what);
	return -EINVAL;
}

static int copy_name(struct slice from, char to[256], bool any_bytes)
{
	size_t len = from.len;
	if (len > 255)
		return -EINVAL;
	if (len && !any_bytes && memchr(from.data, 0, len))
		return -EINVAL;
	if (len)
		memcpy(to, from.data, len);
	to[len] = '\0';
	return 0;
}

static int check(struct reading *in, uint64_t origin_ms, char *wrong, size_t size)
{
	struct message_view *view = &in->view;
	if (!view->topic.data)
		return complain(wrong, size, "topic", "a message has one");
	if (copy_name(in->destination, in->about->destination, false) < 0)
		return complain(wrong, size, "destination", "is not the name of a destination");
	if (copy_name(in->reason, in->about->reason, true) < 0)
		return complain(wrong, size, "reason", "is longer than 255 bytes");
	in->about->dead = in->reason.data != NULL;
	if (!view->order_key.data)
		view->order_key = view->topic;
	if (!in->has_origin)
		view->origin_ms = origin_ms;
	view->headers = in->headers;
	view->params = in->params;
	if (message_encoded_size(view) == 0)
		return complain(wrong, size, "", "the message is larger than linkspan carries");
	return 0;
}

static int read_members(struct reading *in, struct slice object, char *wrong, size_t size)
{
	struct slice key, value;
	for (struct json_walk walk = json_walk(object); json_walk_next(&walk, &key, &value);) {
		char name[32] = "";
		const char *what = "is no member that a message has";
		if (json_is_plain(key) && key.len - 2 < sizeof name) {
			memcpy(name, key.data + 1, key.len - 2);
			what = take_member(in, name, value);
		}
		if (what)
			return complain(wrong, size, *name ? name : "a key", what);
	}
	return 0;
}

int message_json_read(struct slice line, uint64_t origin_ms, struct message **ret_msg, struct message_json *ret_about,
	char *wrong, size_t wrong_size)
{
	const char *what = line.len > MESSAGE_JSON_MAX ? "the line is too long" : json_check(line, NULL);
	if (what)
		return complain(wrong, wrong_size, "", what);
	struct slice object = json_find(line, NULL, 0);
	if (json_kind(object) != JSON_OBJECT)
		return complain(wrong, wrong_size, "", "a message is a JSON object");
	struct message_json about = {.seq = 0};
	struct reading in = {.block = malloc(line.len + 1), .about = &about};
	if (!in.block)
		return -ENOMEM;
	int r = read_members(&in, object, wrong, wrong_size);
	if (r == 0)
		r = check(&in, origin_ms, wrong, wrong_size);
	if (r == 0) {
		*ret_msg = message_new(&in.view);
		r = *ret_msg ? 0 : -ENOMEM;
	}
	if (r == 0)
		*ret_about = about;
	free(in.headers);
	free(in.params);
	free(in.block);
	return r;
}
