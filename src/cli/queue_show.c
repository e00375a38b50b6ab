/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that came from a peer is written as JSON strings, so that no control character reaches a terminal.
 */
#include "cli/queue_show.h"

#include <inttypes.h>
#include <time.h>

#include "message/utf8.h"
#include "routing/json.h"

#define PAYLOAD_SHOWN 1024u

static struct slice member(struct slice object, const char *name)
{
	struct json_step step = {.key = slice_str(name)};
	return json_find(object, &step, 1);
}

uint64_t queue_show_number(struct slice object, const char *name)
{
	struct slice raw = member(object, name);
	uint64_t value = 0;
	for (size_t i = 0; i < raw.len && raw.data[i] >= '0' && raw.data[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(raw.data[i] - '0');
	return value;
}

static const char *size_text(uint64_t bytes, char text[24])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double size = (double)bytes;
	size_t unit = 0;
	for (; size >= 1024 && unit < 4; unit++)
		size /= 1024;
	snprintf(text, 24, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
	return text;
}

static const char *age_text(uint64_t then_ms, uint64_t now_ms, char text[24])
{
	uint64_t s = now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
	if (then_ms == 0)
		snprintf(text, 24, "-");
	else if (s < 60)
		snprintf(text, 24, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(text, 24, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, 24, "%" PRIu64 "h %" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(text, 24, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
	return text;
}

static const char *time_text(uint64_t ms, char text[40])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || strftime(text, 40, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, 40, "%" PRIu64 " ms", ms);
	return text;
}

/* --- destinations ---------------------------------------------------------------------------------------------------------- */

#define ROW "%-20s %-8s %10s %11s %9s %9s %10s %8s %8s %8s %6s  %s\n"

void queue_show_head(FILE *out)
{
	fprintf(out, ROW, "DESTINATION", "LINK", "WAITING", "BYTES", "OLDEST", "IN FLIGHT", "DELIVERED", "EXPIRED",
		"DROPPED", "PURGED", "LOST", "DEAD LETTERS");
}

static const char *number_text(uint64_t number, char text[24])
{
	snprintf(text, 24, "%" PRIu64, number);
	return text;
}

static void name_text(struct slice raw, char *text, size_t size)
{
	size_t len = raw.len > 2 ? raw.len - 2 : 0;
	snprintf(text, size, "%.*s", (int)(len < size ? len : size - 1), (const char *)raw.data + 1);
}

void queue_show_row(FILE *out, struct slice row, uint64_t now_ms)
{
	char name[256], link[16], dead[96], size[24], columns[9][24];
	struct slice paused = member(row, "paused");
	uint64_t letters = queue_show_number(row, "dead");
	name_text(member(row, "name"), name, sizeof name);
	name_text(member(row, "link"), link, sizeof link);
	if (paused.data && json_kind(paused) == JSON_TRUE)
		snprintf(link, sizeof link, "paused");
	uint64_t unreadable = queue_show_number(row, "dead_unreadable_bytes");
	int len = snprintf(dead, sizeof dead, letters ? "%" PRIu64 " (%s)" : "-", letters,
		size_text(queue_show_number(row, "dead_bytes"), size));
	if (unreadable)
		snprintf(dead + len, sizeof dead - (size_t)len, ", %s unreadable", size_text(unreadable, size));
	fprintf(out, ROW, name, link, number_text(queue_show_number(row, "waiting"), columns[0]),
		size_text(queue_show_number(row, "waiting_bytes"), columns[1]),
		age_text(queue_show_number(row, "oldest_ms"), now_ms, columns[2]),
		number_text(queue_show_number(row, "in_flight"), columns[3]),
		number_text(queue_show_number(row, "delivered"), columns[4]),
		number_text(queue_show_number(row, "expired"), columns[5]),
		number_text(queue_show_number(row, "dropped_oldest") + queue_show_number(row, "dropped_newest"),
			columns[6]),
		number_text(queue_show_number(row, "purged"), columns[7]),
		number_text(queue_show_number(row, "lost"), columns[8]), dead);
}

/* --- messages ---------------------------------------------------------------------------------------------------------------- */

static void put_line(FILE *out, const char *name, struct slice bytes)
{
	if (!bytes.data)
		return;
	fprintf(out, "    %s: ", name);
	message_json_bytes(out, bytes);
	fputc('\n', out);
}

static void put_fields(FILE *out, const char *name, const struct message_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "    %s: ", name);
		message_json_bytes(out, fields[i].name);
		fputs(" = ", out);
		message_json_bytes(out, fields[i].value);
		fputc('\n', out);
	}
}

/* The beginning of a long payload, not in the middle of a character. */
static void put_payload(FILE *out, struct slice payload)
{
	struct slice shown = payload;
	if (!payload.data) {
		fputs("    payload: null\n", out);
		return;
	}
	if (shown.len > PAYLOAD_SHOWN) {
		shown.len = PAYLOAD_SHOWN;
		if (utf8_valid(payload))
			while (shown.len && (payload.data[shown.len] & 0xC0) == 0x80)
				shown.len--;
	}
	fprintf(out, "    payload: %zu byte%s ", payload.len, payload.len == 1 ? "" : "s");
	message_json_bytes(out, shown);
	fputs(shown.len < payload.len ? " …\n" : "\n", out);
}

void queue_show_message(FILE *out, const struct message_view *view, const struct message_json *about, uint64_t now_ms)
{
	char age[24], when[40];
	fprintf(out, "%" PRIu64 "  ", about->seq);
	message_json_bytes(out, view->topic);
	fprintf(out, "  qos %u%s  %s (%s ago)\n", view->qos, view->retain ? " retain" : "",
		time_text(view->origin_ms, when), age_text(view->origin_ms, now_ms, age));
	if (about->dead) {
		fprintf(out, "    died: %s after %" PRIu64 " attempt%s: ", time_text(about->died_ms, when),
			about->attempts, about->attempts == 1 ? "" : "s");
		message_json_bytes(out, slice_str(about->reason));
		fputc('\n', out);
	}
	put_line(out, "key", view->key);
	put_line(out, "content type", view->content_type);
	put_line(out, "response topic", view->response_topic);
	put_line(out, "correlation", view->correlation);
	if (!about->dead)
		put_line(out, "to be rejected", view->reject_reason);
	put_fields(out, "header", view->headers, view->n_headers);
	put_fields(out, "param", view->params, view->n_params);
	if (view->expires_ms)
		fprintf(out, "    expires: %s\n", time_text(view->expires_ms, when));
	put_payload(out, view->payload);
}
