/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks the same questions as the checks of config/load_guarantee.c and says the answers. Values of keys are written by the
 * tables that read them, so a key that is new shows up by itself.
 */
#include "cli/route_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/page.h"
#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "config/table.h"
#include "config/table_value.h"
#include "routing/format.h"

static const struct connection_config *source_of(const struct route *route)
{
	return &route->config->connections[route->map->from_connection];
}

static const struct connection_config *destination_of(const struct route *route)
{
	return &route->config->connections[route->target->connection];
}

char *route_shown(const struct route *route, const char *text)
{
	return text ? config_redact(route->config, text) : NULL;
}

static char *shown(const struct route *route, struct page_text *text)
{
	char *plain = page_text_close(text), *redacted = route_shown(route, plain);
	free(plain);
	return redacted;
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

static void put_unit(FILE *out, uint64_t value, const char *const *names, const uint64_t *factors, size_t n)
{
	size_t i = 0;
	while (i + 1 < n && (value == 0 || value % factors[i] != 0))
		i++;
	fprintf(out, "%" PRIu64 "%s", value / factors[i], names[i]);
}

void route_put_duration(FILE *out, uint64_t ms)
{
	static const char *const names[] = {"d", "h", "m", "s", "ms"};
	static const uint64_t factors[] = {86400000, 3600000, 60000, 1000, 1};
	put_unit(out, ms, names, factors, 5);
}

static void put_bytes(FILE *out, uint64_t bytes)
{
	static const char *const names[] = {"GiB", "MiB", "KiB", " bytes"};
	static const uint64_t factors[] = {UINT64_C(1) << 30, 1 << 20, 1 << 10, 1};
	put_unit(out, bytes, names, factors, 4);
}

static void put_list(FILE *out, const struct config_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		fputs(i ? ", " : "", out);
		if (list->items[i].name)
			fprintf(out, "%s: ", list->items[i].name);
		fputs(list->items[i].value, out);
	}
}

static void put_value(FILE *out, const struct config_key *key, const void *at, const void *absent);

/* A struct of that kind as it is without any key. Freed by table_free. */
static void fill_absent(const struct config_key *keys, char *base)
{
	for (; keys && keys->name; keys++)
		if (keys->type == CONFIG_SECTION)
			fill_absent(keys->children, base + keys->offset);
		else if (keys->fallback)
			table_fallback(keys, base + keys->offset);
}

static bool is_default(const struct config_key *key, const void *base, const void *absent)
{
	const struct config_key one[] = {*key, {0}};
	return !table_difference(one, base, absent);
}

static void put_section(FILE *out, const struct config_key *keys, const char *base, const char *absent)
{
	bool any = false;
	for (; keys->name; keys++) {
		if (is_default(keys, base, absent))
			continue;
		fprintf(out, "%s%s: ", any ? ", " : "", keys->name);
		put_value(out, keys, base + keys->offset, absent + keys->offset);
		any = true;
	}
}

/* Of a section those of its keys that say something else than without them. */
static void put_value(FILE *out, const struct config_key *key, const void *at, const void *absent)
{
	switch (key->type) {
	case CONFIG_BOOL:
		fputs(*(const bool *)at ? "true" : "false", out);
		break;
	case CONFIG_INT:
		fprintf(out, "%" PRId64, *(const int64_t *)at);
		break;
	case CONFIG_NUMBER:
		fprintf(out, "%g", *(const double *)at);
		break;
	case CONFIG_DURATION:
		route_put_duration(out, *(const uint64_t *)at);
		break;
	case CONFIG_SIZE:
		put_bytes(out, *(const uint64_t *)at);
		break;
	case CONFIG_ENUM:
		fputs(*(const int *)at >= 0 ? key->choices[*(const int *)at] : "", out);
		break;
	case CONFIG_LIST:
	case CONFIG_MAP:
		put_list(out, at);
		break;
	case CONFIG_SECTION:
		put_section(out, key->children, at, absent);
		break;
	case CONFIG_SECRET:
		fputs("***", out);
		break;
	default:
		fputs(*(char *const *)at ? *(char *const *)at : "", out);
	}
}

/* `absent`: zeroed, but for what the reader of the section puts there first. */
static void each_key(const struct route *route, const struct config_key *keys, const void *base, void *absent,
	void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	fill_absent(keys, absent);
	for (const struct config_key *key = keys; key && key->name; key++) {
		if (strcmp(key->name, "name") == 0 || is_default(key, base, absent))
			continue;
		struct page_text text;
		put_value(page_text_open(&text), key, (const char *)base + key->offset,
			(const char *)absent + key->offset);
		char *value = shown(route, &text);
		fn(key->name, value, arg);
		free(value);
	}
	table_free(keys, absent);
}

void route_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	struct mapping_config absent = {.delivery = -1};
	each_key(route, section_mapping_keys, route->map, &absent, fn, arg);
}

static const char *format_word(int format)
{
	const struct config_key *key = section_to_keys;
	while (strcmp(key->name, "format") != 0)
		key++;
	return format >= 0 ? key->choices[format] : NULL;
}

void route_from_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	if (route->map->from_format != FORMAT_JSON)
		fn("format", format_word(route->map->from_format), arg);
	const struct connector *connector = source_of(route)->connector;
	void *absent = memory_zero(connector->from_size + 1);
	if (route->map->from_settings)
		each_key(route, connector->from_keys, route->map->from_settings, absent, fn, arg);
	free(absent);
}

static void tell(const struct route *route, const char *key, const char *value,
	void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	char *text = route_shown(route, value);
	if (text)
		fn(key, text, arg);
	free(text);
}

static void tell_reply(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	const struct reply_config *reply = &route->target->reply;
	long to = target_reply_connection(route->config, route->map, route->target);
	if (to < 0)
		return;
	const char *name = route->config->connections[to].name;
	char *text = reply->topic ? memory_format("to %s, topic %s", name, reply->topic)
				  : memory_format("to %s, at the response topic that the message names", name);
	tell(route, "answers", text, fn, arg);
	free(text);
}

void route_target_keys(const struct route *route, void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	static const char *const retain[] = {
		NULL, "never (clear)", "always (set)", "what comes retained is not sent (skip)"};
	static const char *const tombstones[] = {NULL, "cleared", "empty", "empty_or_null"};
	const struct target_config *target = route->target;
	tell(route, "key", target->key, fn, arg);
	tell(route, "format", format_word(target->format), fn, arg);
	tell(route, "content_type", target->content_type, fn, arg);
	if (target->headers.n) {
		struct page_text text;
		put_list(page_text_open(&text), &target->headers);
		char *list = page_text_close(&text);
		tell(route, "headers", list, fn, arg);
		free(list);
	}
	for (size_t i = 0; i < target->params.n; i++)
		tell(route, target->params.items[i].name, target->params.items[i].value, fn, arg);
	tell(route, "retain", retain[target->retain + 1], fn, arg);
	tell(route, "tombstones", tombstones[target->tombstones], fn, arg);
	tell_reply(route, fn, arg);
}

char *route_target(const struct route *route)
{
	const char *text = route->target->target;
	return route_shown(route, text ? (*text ? text : "(that of the url)") : "{topic}");
}

char *route_filter(const struct route *route, size_t i)
{
	char *written = config_filter_as_written(route->config, route->map, i), *text = route_shown(route, written);
	free(written);
	return text;
}

/* --- the guarantee --------------------------------------------------------------------------------------------------------- */

struct leg {
	const struct connection_config *conn;
	bool source;
	uint8_t qos;
	enum guarantee keeps;
};

static struct leg source_leg(const struct route *route)
{
	return (struct leg){source_of(route), true, (uint8_t)route->map->from_qos,
		mapping_source_guarantee(route->config, route->map)};
}

static struct leg destination_leg(const struct route *route)
{
	int qos = route->target->qos >= 0 ? route->target->qos : route->map->from_qos;
	return (struct leg){destination_of(route), false, (uint8_t)qos,
		mapping_sink_guarantee(route->config, route->map, route->target)};
}

enum route_bound route_bound(const struct route *route)
{
	enum guarantee in = source_leg(route).keeps, out = destination_leg(route).keeps;
	if (mapping_guarantee(route->config, route->map, route->target) < (in < out ? in : out))
		return BOUND_BY_OUTBOX;
	return in < out ? BOUND_BY_SOURCE : out < in ? BOUND_BY_DESTINATION : BOUND_BY_BOTH;
}

const char *route_bound_name(enum route_bound bound)
{
	static const char *const names[] = {"both", "source", "destination", "outbox"};
	return names[bound];
}

const char *route_meaning(enum guarantee guarantee)
{
	switch (guarantee) {
	case AT_MOST_ONCE:
		return "a message can get lost";
	case AT_LEAST_ONCE:
		return "none is lost; after a crash or a cut one can come twice";
	case EXACTLY_ONCE:
		return "none is lost and none comes twice, over crashes and cuts";
	}
	return "";
}

static const char *qos_words(const struct leg *leg)
{
	static const char *const words[] = {", qos 0", ", qos 1", ", qos 2"};
	const struct connector *connector = leg->conn->connector;
	const void *settings = leg->conn->settings;
	bool decides =
		leg->source
			? connector->source_guarantee(settings, 0) != connector->source_guarantee(settings, 2)
			: connector->sink_guarantee(settings, 0, true) != connector->sink_guarantee(settings, 2, true);
	return decides && leg->qos < 3 ? words[leg->qos] : "";
}

const char *route_source_qos(const struct route *route)
{
	struct leg leg = source_leg(route);
	return qos_words(&leg);
}

const char *route_target_qos(const struct route *route)
{
	struct leg leg = destination_leg(route);
	return qos_words(&leg);
}

/* "reading from x (mqtt, qos 1)" */
static void put_leg(FILE *out, const struct leg *leg)
{
	fprintf(out, "%s %s (%s%s)", leg->source ? "reading from" : "writing to", leg->conn->name,
		leg->conn->connector->name, qos_words(leg));
}

/* What would do more, where anything would. */
static void put_remedy(FILE *out, const struct leg *leg)
{
	const struct connector *connector = leg->conn->connector;
	char reasons[512] = "";
	if (leg->keeps == EXACTLY_ONCE)
		return;
	enum guarantee wished = (enum guarantee)(leg->keeps + 1);
	if (!leg->source && (int)connector->sink_guarantee(leg->conn->settings, leg->qos, true) > (int)leg->keeps)
		fprintf(out, ", unless delivery: %s is declared", guarantee_name(wished));
	else if (connector->explain_guarantee)
		connector->explain_guarantee(
			leg->conn->settings, leg->source, leg->qos, wished, reasons, sizeof reasons);
	if (*reasons)
		fprintf(out, ", because %s", reasons);
}

static void put_outbox(FILE *out, const struct route *route)
{
	const struct outbox_config *outbox = &destination_of(route)->outbox;
	fprintf(out, "the outbox of %s throws away ", destination_of(route)->name);
	if (outbox_drops_when_full(outbox))
		fprintf(out, "what finds no room (when_full: %s)", when_full_name((enum when_full)outbox->when_full));
	if (outbox_drops_old(outbox)) {
		fprintf(out, "%swhat has waited for more than ", outbox_drops_when_full(outbox) ? " and " : "");
		route_put_duration(out, outbox->ttl_ms);
		fputs(" (ttl)", out);
	}
}

char *route_why(const struct route *route)
{
	struct leg in = source_leg(route), out = destination_leg(route);
	enum route_bound bound = route_bound(route);
	const struct leg *weak = bound == BOUND_BY_SOURCE ? &in : &out, *strong = weak == &in ? &out : &in;
	struct page_text text;
	FILE *to = page_text_open(&text);
	switch (bound) {
	case BOUND_BY_OUTBOX:
		put_outbox(to, route);
		fprintf(to, "; without that it would be %s",
			guarantee_name(mapping_legs_guarantee(route->config, route->map, route->target)));
		break;
	case BOUND_BY_BOTH:
		put_leg(to, &in);
		fputs(in.keeps == EXACTLY_ONCE ? " keeps it" : " keeps no more", to);
		put_remedy(to, &in);
		fputs(in.keeps == EXACTLY_ONCE ? ", and so does " : "; neither does ", to);
		put_leg(to, &out);
		put_remedy(to, &out);
		break;
	default:
		put_leg(to, weak);
		fputs(" keeps no more", to);
		put_remedy(to, weak);
		fputs("; ", to);
		put_leg(to, strong);
		fprintf(to, " would keep %s", guarantee_name(strong->keeps));
	}
	const struct outbox_config *outbox = &destination_of(route)->outbox;
	if (bound != BOUND_BY_OUTBOX && (outbox_drops_when_full(outbox) || outbox_drops_old(outbox))) {
		fputs("; besides, ", to);
		put_outbox(to, route);
	}
	if (mapping_declared_guarantee(route->config, route->map, route->target) >= 0)
		fprintf(to, ". Declared: %s",
			guarantee_name(
				(enum guarantee)mapping_declared_guarantee(route->config, route->map, route->target)));
	return shown(route, &text);
}

/* --- order and room -------------------------------------------------------------------------------------------------------- */

char *route_order(const struct route *route)
{
	const struct connection_config *to = destination_of(route);
	const struct connector *connector = to->connector;
	struct page_text text;
	FILE *out = page_text_open(&text);
	if (connector->unordered && connector->unordered(to->settings))
		fputs("none: messages go out as they can", out);
	else if (connector->batching && connector->batching(to->settings).max_messages > 1)
		fprintf(out, "all that %s is sent stays in the order in which it came, in batches", to->name);
	else if (connector->exactly_once_in_order &&
		 connection_sends_exactly_once(route->config, route->target->connection))
		fprintf(out, "all that %s is sent stays in the order in which it came", to->name);
	else if (route->target->key)
		fprintf(out, "messages of one key (%s) keep their order", route->target->key);
	else
		fputs("messages of one source topic keep their order", out);
	if (route->map->priority != MESSAGE_DEFAULT_PRIORITY)
		fprintf(out, "; priority %d %s others", (int)route->map->priority,
			route->map->priority > MESSAGE_DEFAULT_PRIORITY ? "goes before" : "goes behind");
	if (to->outbox.drain == DRAIN_LIVE_FIRST)
		fputs("; after an outage new messages go before waiting ones of other keys", out);
	return shown(route, &text);
}

char *route_window(const struct route *route)
{
	const struct mapping_config *map = route->map;
	struct page_text text;
	FILE *out = page_text_open(&text);
	fputs("one result each ", out);
	route_put_duration(out, map->aggregate.window_ms);
	if (map->aggregate.key)
		fprintf(out, " and key (%s)", map->aggregate.key);
	fprintf(out,
		"; until then messages wait on disk as destination %s (linkspan queue), and are done with the result",
		map->name);
	return shown(route, &text);
}

char *route_when_full(const struct route *route)
{
	const struct connection_config *to = destination_of(route);
	const struct outbox_config *outbox = &to->outbox;
	struct page_text text;
	FILE *out = page_text_open(&text);
	fputs("with ", out);
	put_bytes(out, outbox->max_bytes);
	if (outbox->max_messages)
		fprintf(out, " or %" PRId64 " messages", outbox->max_messages);
	fprintf(out, " waiting for %s ", to->name);
	switch ((enum when_full)outbox->when_full) {
	case WHEN_FULL_BLOCK:
		if (route->map->aggregate.window_ms)
			fputs("windows give no results until there is room (block); when those are full, ", out);
		fprintf(out, "nothing more is taken from %s until there is room%s", source_of(route)->name,
			route->map->aggregate.window_ms ? "" : " (block)");
		break;
	case WHEN_FULL_DROP_OLDEST:
		fputs("the oldest are thrown away (drop_oldest)", out);
		break;
	case WHEN_FULL_DROP_NEWEST:
		fputs("new ones are thrown away (drop_newest)", out);
		break;
	case WHEN_FULL_DEAD_LETTER:
		fputs("new ones become dead letters (dead_letter), and with ", out);
		put_bytes(out, outbox->dead_max_bytes);
		fprintf(out, " of those nothing more is taken from %s", source_of(route)->name);
		break;
	}
	return shown(route, &text);
}
