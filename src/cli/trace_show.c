/* SPDX-License-Identifier: Apache-2.0
 *
 * Says what the router does with one message, while it does it (struct route_watcher). Decides nothing: only why a topic filter
 * does not match is found out here, for the router has no word for it.
 */
#include "cli/trace.h"

#include <stdlib.h>
#include <string.h>

#include "cli/message_json.h"
#include "cli/page.h"
#include "cli/route_words.h"
#include "config/memory.h"
#include "connectors/connector.h"
#include "message/utf8.h"
#include "routing/topic_filter.h"

#define SHOWN_BYTES 600u /* of a payload */

/* --- texts ----------------------------------------------------------------------------------------------------------------- */

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < ' ' || text.data[i] == 0x7f)
			return false;
	return utf8_valid(text);
}

/* As it is where a terminal can show it, else as JSON does. */
static void put_bytes(FILE *out, struct slice bytes)
{
	size_t len = bytes.len < SHOWN_BYTES ? bytes.len : SHOWN_BYTES;
	while (len < bytes.len && len > SHOWN_BYTES - 4 && (bytes.data[len] & 0xc0) == 0x80)
		len--;
	struct slice part = slice_of(bytes.data, len);
	if (!bytes.data)
		fputs("null", out);
	else if (bytes.len == 0)
		fputs("(empty)", out);
	else if (is_plain(part))
		fwrite(part.data, 1, part.len, out);
	else
		message_json_bytes(out, part);
	if (len < bytes.len)
		fprintf(out, "… (%zu bytes)", bytes.len);
}

static void show_line(const struct trace *trace, const char *label, char *text)
{
	char *shown = config_redact(trace->config, text);
	page_line(trace->out, label, shown);
	free(shown);
	free(text);
}

static void show_bytes(const struct trace *trace, const char *label, struct slice bytes)
{
	struct page_text text;
	put_bytes(page_text_open(&text), bytes);
	show_line(trace, label, page_text_close(&text));
}

static void show_words(const struct trace *trace, const char *label, char *text)
{
	char *shown = config_redact(trace->config, text);
	page_field(trace->out, trace->width, label, shown);
	free(shown);
	free(text);
}

/* --- messages -------------------------------------------------------------------------------------------------------------- */

static void show_fields(const struct trace *trace, const char *label, const struct message_field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct page_text text;
		FILE *out = page_text_open(&text);
		put_bytes(out, fields[i].name);
		fputs(": ", out);
		put_bytes(out, fields[i].value);
		show_line(trace, i ? "" : label, page_text_close(&text));
	}
}

/* All but the topic. */
static void show_message(const struct trace *trace, const struct message_view *view)
{
	if (view->key.data)
		show_bytes(trace, "key", view->key);
	show_bytes(trace, "payload", view->payload);
	if (view->content_type.data)
		show_bytes(trace, "content type", view->content_type);
	show_fields(trace, "headers", view->headers, view->n_headers);
	size_t n = 0;
	while (n < view->n_params && view->params[n].name.data[0] != '.') /* the core's own */
		n++;
	show_fields(trace, "further keys", view->params, n);
	show_words(trace, "qos", memory_format("%d%s", view->qos, view->retain ? ", retain" : ""));
	struct slice reply = message_param(view, MESSAGE_REPLY);
	if (reply.data && view->response_topic.data) {
		struct page_text text;
		FILE *out = page_text_open(&text);
		put_bytes(out, reply);
		fputs(": ", out);
		put_bytes(out, view->response_topic);
		show_line(trace, "answers to", page_text_close(&text));
	}
}

/* --- what does not match --------------------------------------------------------------------------------------------------- */

static char *why_not(struct slice topic, const char *filter, char separator)
{
	struct slice want_rest = slice_str(filter), got_rest = topic, want = want_rest, got = topic;
	if (topic.len && topic.data[0] == '$' && (filter[0] == '+' || filter[0] == '#' || filter[0] == '{'))
		return memory_text("a filter that begins with a wildcard takes no topic that begins with $");
	for (size_t i = 0;; i++) {
		bool more_wanted = topic_next_level(&want_rest, &want);
		bool more = topic_next_level_by(separator, &got_rest, &got);
		if (!more_wanted && more)
			return memory_format(
				"the topic has more levels: level %zu is '%.*s', where the filter has ended", i,
				(int)got.len, (const char *)got.data);
		if (!more_wanted)
			return NULL;
		if (slice_equal(want, slice_str("#")))
			return NULL;
		if (!more)
			return memory_format("the topic ends before level %zu, where the filter has '%.*s'", i,
				(int)want.len, (const char *)want.data);
		bool wild = slice_equal(want, slice_str("+")) || topic_filter_capture(want).data;
		if (!wild && !slice_equal(want, got))
			return memory_format("level %zu is '%.*s', and the filter has '%.*s'", i, (int)got.len,
				(const char *)got.data, (int)want.len, (const char *)want.data);
	}
}

static void show_mapping_head(const struct trace *trace, const struct mapping_config *map, const char *what)
{
	fprintf(trace->out, "\n%s  (%s:%d)  %s\n", map->name, map->file, map->line, what);
}

static void show_other(const struct trace *trace, size_t m)
{
	const struct mapping_config *map = &trace->config->mappings[m];
	struct route route = {trace->config, map, map->targets};
	char separator = connector_separator(trace->config->connections[trace->connection].connector);
	if (trace->config->connections[map->from_connection].is_aggregator)
		return; /* the other half of one that was shown */
	if (map->from_connection != trace->connection) {
		char *what = memory_format("reads from %s", trace->config->connections[map->from_connection].name);
		show_mapping_head(trace, map, what);
		free(what);
		return;
	}
	show_mapping_head(trace, map, "does not take this topic");
	for (size_t i = 0; i < map->filters.n; i++) {
		char *filter = route_filter(&route, i);
		char *why =
			why_not(trace->view->topic, topic_filter_without_share(map->filters.items[i].value), separator);
		show_words(trace, i ? "" : "topic", memory_format("%s: %s", filter, why ? why : "it matches"));
		free(why);
		free(filter);
	}
}

/* Those before mapping m. */
static void show_others(struct trace *trace, size_t m)
{
	for (; trace->next < m; trace->next++)
		if (trace->all)
			show_other(trace, trace->next);
}

/* --- what matches ---------------------------------------------------------------------------------------------------------- */

static void show_match(struct trace *trace, const struct route_event *event)
{
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	struct route route = {trace->config, map, map->targets};
	show_others(trace, event->mapping);
	trace->next = event->mapping + 1;
	trace->n_matched++;
	show_mapping_head(trace, map, "takes this topic");
	trace->program_failed = false;
	show_words(trace, "topic", route_filter(&route, event->filter));
	bool first = true;
	for (size_t i = 0; i < event->n; i++) {
		struct page_text text;
		FILE *out = page_text_open(&text);
		if (!event->values[i].data) {
			free(page_text_close(&text));
			continue; /* another filter of the mapping binds it */
		}
		fprintf(out, "%s = ", event->names[i]);
		put_bytes(out, event->values[i]);
		show_line(trace, first ? "captures" : "", page_text_close(&text));
		first = false;
	}
}

/* Without a full stop at its end, for something follows. */
static int length_of_clause(const char *reason)
{
	size_t len = strlen(reason);
	return (int)(len && reason[len - 1] == '.' ? len - 1 : len);
}

static const char *on_error_words(const struct mapping_config *map, bool program)
{
	switch ((enum on_error)map->on_error) {
	case ON_ERROR_DROP:
		return "on_error: drop, so it is thrown away";
	case ON_ERROR_PASS:
		return program ? "on_error: pass, so it goes on as it was received" : "so it becomes a dead letter";
	case ON_ERROR_DEAD_LETTER:
		break;
	}
	return "so it becomes a dead letter";
}

static void show_failure(struct trace *trace, const struct route_event *event)
{
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	const char *name = mapping_steps[event->step], *dot = strchr(name, '.');
	bool program = !dot || strcmp(dot, ".key") != 0;
	char *section = memory_format("%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
	struct config_place place = map->places[event->step];
	trace->program_failed = true; /* and with it what follows for each target */
	show_words(trace, section,
		memory_format("%s%sfails: %.*s; %s", dot ? dot + 1 : "", dot ? " " : "",
			length_of_clause(event->reason), event->reason, on_error_words(map, program)));
	free(section);
	fprintf(trace->out, "%s:%d:%d:\n", map->file, place.line, place.column);
	config_show_place(trace->config, map->file, place.line, place.column, trace->out);
}

static void show_when(const struct trace *trace, const struct route_event *event)
{
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	if (event->key)
		show_words(trace, "  when",
			memory_format("%s: %s", map->changes_only.when,
				event->passed ? "true" : "not true, so the change is remembered and nothing goes out"));
	else
		show_words(trace, "when",
			memory_format(
				"%s: %s", map->when, event->passed ? "true" : "not true, so this mapping leaves it"));
}

/* What depends on messages before this one is not known here. */
static void on_key(const char *key, const char *value, void *arg)
{
	static const char *const known[] = {"when", "payload", "payload_template", "on_error", "max_outputs",
		"max_hops", "delivery", "markers", "priority", "min_interval", "aggregate", NULL};
	const struct trace *trace = arg;
	for (size_t i = 0; known[i]; i++)
		if (strcmp(known[i], key) == 0)
			return;
	show_words(trace, key, memory_format("%s: depends on earlier messages, of which nothing is known here", value));
}

static void show_interval(struct trace *trace, const struct route_event *event)
{
	struct page_text text;
	FILE *out = page_text_open(&text);
	fputs("passes if nothing of '", out);
	put_bytes(out, event->value);
	fputs("' has passed for ", out);
	route_put_duration(out, trace->config->mappings[event->mapping].min_interval.every_ms);
	fputs(": depends on earlier messages, of which nothing is known here", out);
	show_words(trace, "min_interval", page_text_close(&text));
}

static const struct target_config *target_of(const struct trace *trace, const struct route_event *event)
{
	return &trace->config->mappings[event->mapping].targets[event->target];
}

static const struct connection_config *destination_of(const struct trace *trace, const struct route_event *event)
{
	return &trace->config->connections[target_of(trace, event)->connection];
}

static void show_target_failure(const struct trace *trace, const struct route_event *event)
{
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	const struct target_config *target = target_of(trace, event);
	struct route route = {trace->config, map, target};
	char *written = route_target(&route);
	fputc('\n', trace->out);
	show_words(trace, "to",
		memory_format("%s: %s fails: %.*s; %s", destination_of(trace, event)->name, written,
			length_of_clause(event->reason), event->reason, on_error_words(map, false)));
	free(written);
	fprintf(trace->out, "%s:%d:%d:\n", target->file, target->line, target->column);
	config_show_place(trace->config, target->file, target->line, target->column, trace->out);
}

/* It goes into a window. What that gives depends on all that is in it; where it goes is known. */
static void show_window(struct trace *trace, const struct route_event *event)
{
	const struct config *config = &trace->joined.config;
	const struct mapping_config *map = &config->mappings[event->mapping];
	struct route route = {config, map, map->targets};
	struct slice key = message_param(event->view, MESSAGE_AGGREGATE);
	fputc('\n', trace->out);
	trace->n_windows++;
	show_words(trace, "window", route_window(&route));
	if (map->aggregate.key)
		show_bytes(trace, "its key", key);
	show_bytes(trace, "its value", event->view->payload);
	for (size_t t = 0; t < map->n_targets; t++) {
		const struct connection_config *to = &config->connections[map->targets[t].connection];
		route.target = &map->targets[t];
		char *target = route_target(&route);
		show_words(trace, "result to",
			memory_format("%s (%s): %s, %s", to->name, to->connector->name, target,
				guarantee_name(mapping_guarantee(config, map, route.target))));
		free(target);
	}
}

static void show_output(struct trace *trace, const struct route_event *event)
{
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	const struct connection_config *conn = destination_of(trace, event);
	if (conn->is_aggregator && !event->view->reject_reason.data) {
		show_window(trace, event);
		return;
	}
	struct page_text text;
	FILE *out = page_text_open(&text);
	bool dead = event->view->reject_reason.data;
	fprintf(out, "%s (%s): ", conn->name, conn->connector->name);
	if (event->view->topic.len)
		put_bytes(out, event->view->topic);
	else
		fputs("(that of the url)", out);
	fputc('\n', trace->out);
	show_line(trace, dead ? "dead letter" : "to", page_text_close(&text));
	if (dead) {
		trace->n_dead++;
		show_bytes(trace, "reason", event->view->reject_reason);
		return;
	}
	const char *wrong = connector_check_params(conn->connector, conn->settings, event->view);
	trace->n_out += !wrong;
	trace->n_dead += wrong != NULL;
	show_message(trace, event->view);
	if (wrong) {
		show_words(trace, "rejected", memory_format("so it becomes a dead letter: %s", wrong));
		return;
	}
	if (event->marked)
		show_words(trace, "markers", memory_text("are added"));
	show_words(trace, "guarantee",
		memory_text(guarantee_name(mapping_guarantee(trace->config, map, target_of(trace, event)))));
}

static void on_event(struct route_watcher *watcher, const struct route_event *event)
{
	struct trace *trace = (struct trace *)watcher;
	const struct mapping_config *map = &trace->config->mappings[event->mapping];
	struct route route = {trace->config, map, map->targets};
	switch (event->kind) {
	case ROUTE_MATCHED:
		show_match(trace, event);
		if (!map->when)
			route_keys(&route, on_key, trace);
		break;
	case ROUTE_WHEN:
		show_when(trace, event);
		if (event->passed && !event->key)
			route_keys(&route, on_key, trace);
		break;
	case ROUTE_MADE:
		show_words(trace, "payload",
			memory_format("makes %zu message%s of it", event->n, event->n == 1 ? "" : "s"));
		break;
	case ROUTE_FAILED:
		show_failure(trace, event);
		break;
	case ROUTE_ROUNDED:
		show_words(trace, "note",
			memory_text("jq changes an integer above 2^53, since its numbers are doubles; send such "
				    "numbers as text, or insert them with a template"));
		break;
	case ROUTE_INTERVAL:
		show_interval(trace, event);
		break;
	case ROUTE_SKIPPED:
		fputc('\n', trace->out);
		show_words(trace, "to",
			memory_format("%s: not sent, since it comes retained (retain: skip)",
				destination_of(trace, event)->name));
		break;
	case ROUTE_LOOPED:
		fputc('\n', trace->out);
		show_words(trace, "to",
			memory_format("%s: not sent, since it has been passed on max_hops times",
				destination_of(trace, event)->name));
		break;
	case ROUTE_TARGET_FAILED:
		if (!trace->program_failed)
			show_target_failure(trace, event);
		break;
	case ROUTE_OUTPUT:
		show_output(trace, event);
		break;
	}
}

/* What is given here and no message of that connection ever has. */
static void show_notes(const struct trace *trace)
{
	const struct connection_config *conn = &trace->config->connections[trace->connection];
	const struct message_view *view = trace->view;
	const char *(*check)(const void *settings, struct slice header) = conn->connector->check_received;
	struct slice none = {NULL, 0};
	const char *wrong = check && view->key.data ? check(conn->settings, none) : NULL;
	if (wrong)
		show_words(trace, "note", memory_format("the key: %s", wrong));
	for (size_t i = 0; check && i < view->n_headers; i++) {
		struct slice name = view->headers[i].name;
		wrong = check(conn->settings, name);
		if (wrong)
			show_words(trace, "note",
				memory_format("the header %.*s: %s", (int)name.len, (const char *)name.data, wrong));
	}
}

void trace_begin(struct trace *trace)
{
	const struct connection_config *conn = &trace->config->connections[trace->connection];
	trace->watcher.on_event = on_event;
	joined_make(trace->config, &trace->joined);
	fprintf(trace->out, "%s (%s) receives\n", conn->name, conn->connector->name);
	show_bytes(trace, "topic", trace->view->topic);
	show_message(trace, trace->view);
	show_notes(trace);
	if (trace->view->payload.len > trace->config->max_message_bytes)
		fprintf(trace->out,
			"\nIt is larger than max_message_bytes, so it would be refused. What follows is what it "
			"would become.\n");
}

static void show_sum(const struct trace *trace)
{
	fprintf(trace->out, "\n%zu message%s to send, ", trace->n_out, trace->n_out == 1 ? "" : "s");
	if (trace->n_windows)
		fprintf(trace->out, "%zu in a window, ", trace->n_windows);
	fprintf(trace->out, "%zu dead letter%s.\n", trace->n_dead, trace->n_dead == 1 ? "" : "s");
}

void trace_end(struct trace *trace, const struct route_result *result)
{
	if (result->matched == 0)
		trace->all = true; /* why is all that there is to say */
	show_others(trace, trace->config->n_mappings);
	if (result->matched == 0)
		fprintf(trace->out, "\nNo mapping takes it: it would be acknowledged and be gone.\n");
	else if (trace->n_out + trace->n_dead + trace->n_windows == 0)
		fprintf(trace->out, "\nNothing goes out: it would be acknowledged and be gone.\n");
	else
		show_sum(trace);
}

void trace_free(struct trace *trace)
{
	joined_free(&trace->joined);
}
