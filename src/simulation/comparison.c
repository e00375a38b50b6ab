/* SPDX-License-Identifier: Apache-2.0
 *
 * Key by key. Payloads that are both JSON are compared as JSON, and each place in them that differs has its own line.
 */
#include "simulation/comparison.h"

#include <inttypes.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "message/base64.h"
#include "message/utf8.h"
#include "routing/json.h"
#include "simulation/json_difference.h"

#define SHOWN_BYTES  600u
#define MAX_PLACES   20 /* of a payload */
#define TITLE_COLUMN 12

/* --- values ---------------------------------------------------------------------------------------------------------- */

static bool is_text(struct slice value)
{
	if (!utf8_valid(value))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if ((value.data[i] < 0x20 && value.data[i] != '\n' && value.data[i] != '\t') || value.data[i] == 0x7f)
			return false;
	return true;
}

static size_t cut(struct slice value, size_t limit)
{
	size_t end = value.len < limit ? value.len : limit;
	while (end < value.len && end > 0 && (value.data[end] & 0xc0) == 0x80)
		end--;
	return end;
}

static void show_base64(struct slice value, FILE *out)
{
	char text[SHOWN_BYTES + 4];
	struct slice part = slice_of(value.data, value.len < SHOWN_BYTES / 4 * 3 ? value.len : SHOWN_BYTES / 4 * 3);
	fprintf(out, "base64 %.*s", (int)base64_encode(part, text), text);
	if (part.len < value.len)
		fprintf(out, "… (%zu bytes)", value.len);
}

static void show(struct slice value, FILE *out)
{
	if (!value.data) {
		fputs("none", out);
	} else if (value.len == 0) {
		fputs("\"\"", out);
	} else if (!is_text(value)) {
		show_base64(value, out);
	} else {
		size_t len = cut(value, SHOWN_BYTES);
		for (size_t i = 0; i < len; i++)
			if (value.data[i] == '\n' || value.data[i] == '\t')
				fputs(value.data[i] == '\n' ? "\\n" : "\\t", out);
			else
				fputc(value.data[i], out);
		if (len < value.len)
			fprintf(out, "… (%zu bytes)", value.len);
	}
}

/* --- differences ------------------------------------------------------------------------------------------------------ */

struct lines {
	FILE *out; /* NULL: only asks */
	const char *indent;
	bool differ;
	int n_places;
};

static void add_line(struct lines *lines, const char *key, struct slice want, struct slice got)
{
	lines->differ = true;
	if (!lines->out)
		return;
	fprintf(lines->out, "%s%s: want ", lines->indent, key);
	show(want, lines->out);
	fprintf(lines->out, "\n%s%*s got ", lines->indent, (int)strlen(key) + 1, "");
	show(got, lines->out);
	fputc('\n', lines->out);
}

static void compare_text(struct lines *lines, const char *key, const char *want, struct slice got)
{
	if (want && (!got.data || !slice_equal(slice_str(want), got)))
		add_line(lines, key, slice_str(want), got);
}

static void compare_none(struct lines *lines, const char *key, struct slice got)
{
	if (got.data)
		add_line(lines, key, (struct slice){NULL, 0}, got);
}

static void on_place(const char *path, struct slice want, struct slice got, void *arg)
{
	struct lines *lines = arg;
	char key[300];
	lines->differ = true;
	if (lines->n_places++ == MAX_PLACES && lines->out)
		fprintf(lines->out, "%s… and more\n", lines->indent);
	if (lines->n_places > MAX_PLACES)
		return;
	snprintf(key, sizeof key, "payload %s", path);
	add_line(lines, key, want, got);
}

static void compare_payload(struct lines *lines, const struct test_expected *expected, struct slice got)
{
	bool said;
	struct slice want = test_expected_payload(expected, &said);
	if (!said) {
		if (expected->says_null && !expected->null_payload && !got.data)
			add_line(lines, "null_payload", slice_str("false"), slice_str("true"));
		return;
	}
	bool json = want.data && got.data && !expected->decoded && !json_check(want, NULL) && !json_check(got, NULL);
	if (json) {
		long n = json_difference(want, got, on_place, lines);
		lines->differ |= n != 0;
	} else if (!want.data != !got.data || !slice_equal(want, got)) {
		add_line(lines, "payload", want, got);
	}
}

static void compare_number(struct lines *lines, const char *key, int64_t want, int64_t got)
{
	char texts[2][24];
	if (want == got)
		return;
	snprintf(texts[0], sizeof texts[0], "%" PRId64, want);
	snprintf(texts[1], sizeof texts[1], "%" PRId64, got);
	add_line(lines, key, slice_str(texts[0]), slice_str(texts[1]));
}

static void compare_fields(struct lines *lines, const struct test_expected *expected, const struct message_view *view)
{
	char key[300];
	for (size_t i = 0; i < expected->headers.n; i++) {
		const struct config_text *header = &expected->headers.items[i];
		snprintf(key, sizeof key, "headers.%s", header->name);
		if (header->value)
			compare_text(lines, key, header->value, message_header(view, header->name));
		else
			compare_none(lines, key, message_header(view, header->name));
	}
	for (size_t i = 0; i < expected->params.n; i++)
		compare_text(lines, expected->params.items[i].name, expected->params.items[i].value,
			message_param(view, expected->params.items[i].name));
}

static const char *target_key(const struct config *config, size_t connection)
{
	return config->connections[connection].connector->target_key;
}

bool comparison_equal(const struct config *config, const struct test_expected *expected,
	const struct simulation_event *event, FILE *out, const char *indent)
{
	struct lines lines = {.out = out, .indent = indent};
	static const struct message_view nothing = {.qos = 0};
	const struct message_view *view = event->msg ? message_view(event->msg) : &nothing;
	compare_text(&lines, target_key(config, event->connection), expected->target, view->topic);
	compare_text(&lines, "key", expected->key, view->key);
	if (expected->no_key)
		compare_none(&lines, "key", view->key);
	compare_payload(&lines, expected, view->payload);
	compare_text(&lines, "content_type", expected->content_type, view->content_type);
	if (expected->no_content_type)
		compare_none(&lines, "content_type", view->content_type);
	compare_fields(&lines, expected, view);
	if (expected->qos >= 0)
		compare_number(&lines, "qos", expected->qos, view->qos);
	if (expected->says_retain && expected->retain != view->retain)
		add_line(&lines, "retain", slice_str(expected->retain ? "true" : "false"),
			slice_str(view->retain ? "true" : "false"));
	if (expected->reason && (!event->reason || !strstr(event->reason, expected->reason)))
		add_line(&lines, "reason", slice_str(expected->reason), slice_str(event->reason));
	return !lines.differ;
}

/* --- whole messages ---------------------------------------------------------------------------------------------------- */

static void show_part(FILE *out, bool *any, const char *key, struct slice value)
{
	fprintf(out, "%s%s ", *any ? ", " : "", key);
	show(value, out);
	*any = true;
}

void comparison_show_expected(const struct config *config, const struct test_expected *expected, FILE *out)
{
	bool any = false, said;
	struct slice payload = test_expected_payload(expected, &said);
	if (expected->target)
		show_part(out, &any, target_key(config, expected->to), slice_str(expected->target));
	if (expected->key)
		show_part(out, &any, "key", slice_str(expected->key));
	if (expected->no_key)
		show_part(out, &any, "key", (struct slice){NULL, 0});
	if (said)
		show_part(out, &any, "payload", payload);
	if (expected->reason)
		show_part(out, &any, "reason", slice_str(expected->reason));
	if (!any)
		fputs("any message", out);
}

void comparison_show_event(const struct config *config, const struct simulation_event *event, FILE *out)
{
	bool any = false;
	if (!event->msg) {
		fputs("a message", out);
		return;
	}
	const struct message_view *view = message_view(event->msg);
	show_part(out, &any, target_key(config, event->connection), view->topic);
	if (view->key.data)
		show_part(out, &any, "key", view->key);
	show_part(out, &any, "payload", view->payload);
	if (event->reason)
		show_part(out, &any, "reason", slice_str(event->reason));
}
