/* SPDX-License-Identifier: Apache-2.0
 *
 * One entry of `mappings:`: its source, its captures, its programs, its destinations.
 */
#include <stdlib.h>
#include <string.h>

#include "config/loader.h"
#include "config/memory.h"
#include "config/reply.h"
#include "config/sections.h"
#include "config/suggest.h"
#include "config/table_value.h"
#include "routing/format.h"
#include "routing/topic_filter.h"

/* Who knows what a message of a connection has: its connector, and the settings of the connection. */
struct received_by {
	const struct connector *connector;
	const void *settings;
};

/* A mapping being read. */
struct reading {
	struct loader *loader;
	struct mapping_config *map;
	const struct node *node;
	const char *title;
	size_t index; /* among all entries */
	struct table_captures *captures; /* of the entry; they live on there */
	struct received_by received_by;
	char **names, **partial; /* of the captures */
	size_t n_names, n_partial;
	bool unsound; /* a value that must be there is not, which may have been reported elsewhere */
	bool legs_unknown; /* which connections, at which QoS */
	bool qos_refused; /* of the source: do not say the same of a target that takes it over */
};

/* --- a '-' before each key: one mapping that looks like several --- */

/* The mapping that an entry without a name would belong to without its '-': the one before it that has a name, and lacks
 * where from or where to. NULL: it stands for itself. */
static const struct node *find_rest_of(const struct loader *loader, size_t index)
{
	const struct node *node = index < loader->mappings.n ? loader->mappings.items[index].value : NULL;
	if (!node || node->kind != NODE_MAP || node_get(node, "name") ||
		(node_get(node, "from") && node_get(node, "to")))
		return NULL;
	while (index-- > 0) {
		const struct node *before = loader->mappings.items[index].value;
		if (before->source != node->source || before->kind != NODE_MAP)
			return NULL;
		if (node_get(before, "name"))
			return node_get(before, "from") && node_get(before, "to") ? NULL : before;
	}
	return NULL;
}

static bool complain_rest(struct loader *loader, size_t index)
{
	const struct node *node = loader->mappings.items[index].value, *before = find_rest_of(loader, index);
	if (before)
		table_mistake(loader->report, node, 0,
			"this '-' begins another mapping, which has no name; without it, these keys belong to the one "
			"in "
			"line %d",
			before->line);
	return before != NULL;
}

/* `from: home` */
static bool expect_leg(struct report *report, const struct node *node, const char *name)
{
	if (node->kind != NODE_SCALAR || node->failed || node_is_null(node))
		return table_expect_map(report, node, name);
	table_mistake(report, node, 0, "%s is a single value; write %s: {connection: …, topic: …}", name, name);
	return false;
}

static void complain_leg(struct reading *reading, const char *text)
{
	reading->unsound = true;
	if (!find_rest_of(reading->loader, reading->index + 1))
		table_mistake(reading->loader->report, reading->node, 0, "%s %s", reading->title, text);
}

/* --- captures: what every filter of the mapping binds --- */

struct capture_search {
	struct slice wanted;
	bool found;
};

static void on_capture_search(struct slice name, void *arg)
{
	struct capture_search *search = arg;
	search->found |= slice_equal(search->wanted, name);
}

static bool bound_by_all(const struct mapping_config *map, struct slice name)
{
	for (size_t i = 0; i < map->filters.n; i++) {
		struct capture_search search = {.wanted = name};
		topic_filter_captures(map->filters.items[i].value, on_capture_search, &search);
		if (!search.found)
			return false;
	}
	return true;
}

static void on_capture(struct slice name, void *arg)
{
	struct reading *reading = arg;
	bool all = bound_by_all(reading->map, name);
	char ***names = all ? &reading->names : &reading->partial;
	size_t *n = all ? &reading->n_names : &reading->n_partial;
	for (size_t i = 0; i < *n; i++) /* each filter of the mapping comes here */
		if (slice_equal(slice_str((*names)[i]), name))
			return;
	*names = memory_grow(*names, *n, sizeof(char *));
	(*names)[(*n)++] = memory_bytes((const char *)name.data, name.len);
}

static void free_names(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)names[i]);
	free((char **)(uintptr_t)names);
}

void loader_forget_mapping(struct loader_entry *entry)
{
	free_names(entry->captures.names, entry->captures.n);
	free_names(entry->captures.partial, entry->captures.n_partial);
}

static const char *check_received(const void *check_with, struct slice header)
{
	const struct received_by *by = check_with;
	return by->connector->check_received(by->settings, header);
}

/* 0: any number. */
static size_t count_levels(const char *filter)
{
	struct slice rest = slice_str(topic_filter_without_share(filter)), level = rest;
	size_t n = 0;
	while (topic_next_level(&rest, &level))
		n++;
	return slice_equal(level, slice_str("#")) ? 0 : n;
}

static void find_levels(const struct mapping_config *map, struct table_captures *captures)
{
	bool endless = false;
	for (size_t i = 0; i < map->filters.n; i++) {
		size_t n = count_levels(map->filters.items[i].value);
		endless |= n == 0;
		if (n > captures->received.n_levels)
			captures->received.n_levels = n;
		if (n && (!captures->fewest_levels || n < captures->fewest_levels))
			captures->fewest_levels = n;
	}
	if (endless)
		captures->received.n_levels = 0;
}

/* What the messages have that come to this mapping. */
static void find_received(struct reading *reading)
{
	const struct config *config = &reading->loader->own->config;
	size_t from = reading->map->from_connection;
	struct template_received *received = &reading->captures->received;
	if (reading->captures->unknown || reading->legs_unknown)
		return;
	reading->received_by =
		(struct received_by){config->connections[from].connector, config->connections[from].settings};
	if (!reading->received_by.connector->restore_topic) /* else the levels that are seen are others */
		find_levels(reading->map, reading->captures);
	if (!reading->received_by.connector->check_received || !reading->loader->connections.items[from].sound ||
		reading->loader->connections.items[from].failed)
		return;
	received->check = check_received;
	received->check_with = &reading->received_by;
}

static void find_captures(struct reading *reading)
{
	for (size_t i = 0; i < reading->map->filters.n && !reading->captures->unknown; i++)
		topic_filter_captures(reading->map->filters.items[i].value, on_capture, reading);
	reading->captures->names = (const char *const *)reading->names;
	reading->captures->n = reading->n_names;
	reading->captures->partial = (const char *const *)reading->partial;
	reading->captures->n_partial = reading->n_partial;
}

/* --- from --- */

static void check_filter(struct report *report, struct node *node, char separator)
{
	size_t before = report_mistakes(report);
	table_check_filter(report, node, "topic", separator);
	node->failed = report_mistakes(report) != before; /* its connector need not say the same */
}

static void check_filters(struct reading *reading, const struct connector *connector, struct node *topic)
{
	struct report *report = reading->loader->report;
	char separator = connector_separator(connector);
	size_t before = report_mistakes(report);
	if (topic && topic->kind == NODE_SCALAR && !topic->failed && !node_is_null(topic))
		check_filter(report, topic, separator);
	for (size_t i = 0; topic && topic->kind == NODE_LIST && i < topic->n; i++)
		if (topic->items[i]->kind == NODE_SCALAR && !topic->items[i]->failed)
			check_filter(report, topic->items[i], separator);
	if (report_mistakes(report) != before || !reading->map->filters.n)
		reading->captures->unknown = true;
}

static void check_qos(struct reading *reading, size_t connection, const struct node *section, int qos)
{
	const struct connection_config *conn = &reading->loader->own->config.connections[connection];
	const struct node *node = node_get(section, "qos");
	if (!conn->connector->check_qos || (node && node->failed))
		return;
	const char *wrong = conn->connector->check_qos(conn->settings, (uint8_t)qos);
	if (wrong && (node || !reading->qos_refused))
		table_mistake(reading->loader->report, node ? node : section, 0, "qos: %s", wrong);
	reading->qos_refused |= wrong != NULL;
}

/* The connector of a connection, NULL when it is not known or cannot do what is asked of it (reported). */
static const struct connector *connector_for(
	struct reading *reading, const struct node *section, const char *role, size_t *ret_connection)
{
	long index = loader_find_connection(reading->loader, section, role);
	if (index < 0)
		return NULL;
	*ret_connection = (size_t)index;
	const struct connector *connector = reading->loader->own->config.connections[index].connector;
	bool source = strcmp(role, "from") == 0;
	if (connector && !(source ? connector->can_source : connector->can_sink)) {
		table_mistake(reading->loader->report, node_get(section, "connection"), 0,
			"%s: a connection of type %s cannot be %s; name one that can", role, connector->name,
			source ? "read from" : "written to");
		return NULL;
	}
	return connector;
}

/* Shared subscriptions have one form in the core, however they are written. */
static void apply_group(struct config_list *filters, const char *group)
{
	for (size_t i = 0; i < filters->n; i++) {
		char *shared = memory_format("$share/%s/%s", group, filters->items[i].value);
		free(filters->items[i].value);
		filters->items[i].value = shared;
	}
}

static void check_from(struct reading *reading, const struct connector *connector, struct config_scope *scope)
{
	struct mapping_config *map = reading->map;
	const struct connection_config *conn = &reading->loader->own->config.connections[map->from_connection];
	size_t before = report_mistakes(reading->loader->report);
	if (connector->check_from)
		connector->check_from(conn->settings, map->from_settings, &map->filters, scope);
	const char *group = connector->share_group ? connector->share_group(map->from_settings) : NULL;
	if (group && report_mistakes(reading->loader->report) == before)
		apply_group(&map->filters, group);
}

/* From here on all filters have one form. */
static void separate_filters(struct config_list *filters, char from, char to)
{
	for (size_t i = 0; i < filters->n; i++)
		topic_separate(filters->items[i].value, strlen(filters->items[i].value), from, to);
}

char *config_filter_as_written(const struct config *config, const struct mapping_config *map, size_t filter)
{
	char *text = memory_text(map->filters.items[filter].value);
	topic_separate(text, strlen(text), '/',
		connector_separator(config_topics_of(config, map->from_connection)->connector));
	return text;
}

static void read_from(struct reading *reading)
{
	struct report *report = reading->loader->report;
	struct mapping_config *map = reading->map;
	const struct node *node = node_get(reading->node, "from");
	reading->captures->unknown = reading->legs_unknown = !node || node->kind != NODE_MAP;
	if (!node)
		complain_leg(reading, "has no 'from': say from where, as in from: {connection: …, topic: …}");
	if (!node || !expect_leg(report, node, "from"))
		return;
	struct section_from from = {0};
	char *title = memory_format("'from' of %s", reading->title);
	const struct connector *connector = connector_for(reading, node, "from", &map->from_connection);
	if (connector)
		map->from_settings = memory_zero(connector->from_size);
	struct config_scope scope = {
		.report = report,
		.node = node,
		.anchor = node,
		.title = title,
		.place = LOADER_IN_FROM,
		.others = reading->loader->others,
		.keys_unknown = !connector,
		.parts = {{section_from_keys, &from}, {connector ? connector->from_keys : NULL, map->from_settings}},
	};
	table_read(&scope);
	reading->unsound |= !connector || scope.unsound;
	map->filters = from.topic;
	map->from_qos = (int)from.qos;
	map->from_format = from.format;
	check_filters(reading, connector, node_get(node, "topic"));
	reading->captures->unknown |= config_failed(&scope, "topic", NULL);
	reading->legs_unknown |= !connector || config_failed(&scope, "qos", NULL);
	if (connector) {
		check_qos(reading, map->from_connection, node, map->from_qos);
		check_from(reading, connector, &scope);
		separate_filters(&map->filters, connector_separator(connector), '/');
	}
	free(from.connection);
	free(title);
}

/* --- to --- */

/* The target key and the connector's further keys as one table whose values are an array of texts. */
static struct config_key *target_table(const struct connector *connector, size_t *ret_n)
{
	size_t n = 1;
	for (const struct config_key *key = connector->to_keys; key && key->name; key++)
		n++;
	struct config_key *keys = memory_zero((n + 1) * sizeof *keys);
	keys[0] = (struct config_key){.name = connector->target_key,
		.type = CONFIG_TEMPLATE,
		.fallback = connector->target_fallback,
		.others = "topic path target subject channel queue destination",
		.help = "Where it goes."};
	for (size_t i = 1; i < n; i++) {
		keys[i] = connector->to_keys[i - 1];
		keys[i].offset = i * sizeof(char *);
	}
	*ret_n = n;
	return keys;
}

/* A target without braces is the same for every message: its connector can judge it now. */
static void check_target(struct reading *reading, const struct connector *connector, size_t connection,
	const struct node *section, const char *target)
{
	const struct node *node = node_get(section, connector->target_key);
	const void *settings = reading->loader->own->config.connections[connection].settings;
	if ((node && node->failed) || !reading->loader->connections.items[connection].sound)
		return;
	bool open = !target || strpbrk(target, "{}");
	const char *wrong = NULL;
	const struct node *at = node ? node : section;
	if (!open && connector->check_target)
		wrong = connector->check_target(settings, slice_str(target));
	if (wrong)
		table_mistake(reading->loader->report, at, 0, "%s: %s", connector->target_key, wrong);
	if (open && connector->warn_open_target && (wrong = connector->warn_open_target(settings)))
		report_warning(reading->loader->report, at->source, at->line, at->column, "%s: %s",
			connector->target_key, wrong);
}

/* What stands in a target beside its {…} comes with every message. */
static const char *find_literal(const char *target, const char *characters)
{
	bool inside = false;
	for (; *target; target++) {
		inside = *target == '{' ? target[1] != '{' : *target == '}' ? false : inside;
		if (*target == '{' && target[1] == '{')
			target++;
		else if (!inside && strchr(characters, *target))
			return target;
	}
	return NULL;
}

static void check_literals(
	struct reading *reading, const struct connector *connector, const struct node *section, const char *target)
{
	const struct node *node = node_get(section, connector->target_key);
	char separator = connector_separator(connector);
	if (!node || node->failed || !target || !strpbrk(target, "{}") || strcmp(connector->target_key, "topic") != 0)
		return;
	const char *at = find_literal(target, separator == '/' ? "+#" : "/");
	if (at && separator == '/')
		table_mistake(reading->loader->report, node, (size_t)(at - target),
			"%s: + and # are for topic filters; a message goes to one topic", connector->target_key);
	else if (at)
		table_mistake(reading->loader->report, node, (size_t)(at - target),
			"%s: levels of these topics end with '%c' and not with '/'", connector->target_key, separator);
}

static void take_params(struct target_config *target, const struct config_key *keys, char **values, size_t n)
{
	target->target = values[0];
	for (size_t i = 1; i < n; i++) {
		if (!values[i])
			continue;
		struct config_list *params = &target->params;
		params->items = memory_grow(params->items, params->n, sizeof *params->items);
		params->items[params->n++] =
			(struct config_text){memory_text(keys[i].name), values[i], target->line, target->column};
	}
}

/* Those without braces are the same for every message, too; of the others only the key can be judged. */
static void check_params(struct reading *reading, const struct connector *connector, const struct target_config *target,
	const struct node *section)
{
	const void *settings = reading->loader->own->config.connections[target->connection].settings;
	bool sound = reading->loader->connections.items[target->connection].sound;
	for (size_t i = 0; sound && connector->check_param && i < target->params.n; i++) {
		const struct config_text *param = &target->params.items[i];
		const struct node *node = node_get(section, param->name);
		if (!node || node->failed)
			continue;
		struct slice value = strpbrk(param->value, "{}") ? (struct slice){NULL, 0} : slice_str(param->value);
		const char *wrong = connector->check_param(settings, param->name, value);
		if (wrong)
			table_mistake(reading->loader->report, node, 0, "%s: %s", param->name, wrong);
	}
}

static void take_common(struct target_config *target, struct section_to *to)
{
	target->key = to->key;
	target->content_type = to->content_type;
	target->headers = to->headers;
	target->qos = (int)to->qos;
	target->retain = to->retain - 1; /* keep, clear, set, skip: -1, 0, 1, 2 */
	target->tombstones = to->tombstones;
	target->format = to->format;
	target->reply = (struct reply_config){
		.topic = to->reply.topic,
		.key = to->reply.key,
		.qos = (int)to->reply.qos,
		.retain = to->reply.retain,
		.heed_response_topic = to->reply.heed_response_topic,
		.response_topics = to->reply.response_topics,
	};
	free(to->reply.connection);
	free(to->connection);
}

static void check_tombstones(
	struct reading *reading, const struct connector *connector, const struct node *section, int tombstones)
{
	if (tombstones != TOMBSTONES_RECEIVED && !connector->carries_null)
		table_mistake(reading->loader->report, node_get(section, "tombstones"), 0,
			"tombstones: a connection of type %s has no null payloads; leave this out", connector->name);
}

/* --- reply --- */

static void check_response_topics(struct reading *reading, const struct node *node)
{
	bool list = node && node->kind == NODE_LIST;
	for (size_t i = 0; node && !node->failed && i < (list ? node->n : 1); i++) {
		const struct node *item = list ? node->items[i] : node;
		if (item->kind != NODE_SCALAR || item->failed || node_is_null(item))
			continue;
		const char *wrong = topic_filter_check(item->text);
		if (!wrong && (strchr(item->text, '{') || strncmp(item->text, "$share/", 7) == 0))
			wrong = "neither captures nor shares are meant here; write a topic filter such as replies/#";
		if (wrong)
			table_mistake(reading->loader->report, item, 0, "response_topics: %s", wrong);
	}
}

/* Where to: the connection that is named, or the one that the mapping reads from. */
static const struct connector *reply_connector(struct reading *reading, const struct node *node, size_t *ret_connection)
{
	if (node_get(node, "connection"))
		return connector_for(reading, node, "reply", ret_connection);
	if (reading->legs_unknown)
		return NULL;
	*ret_connection = reading->map->from_connection;
	const struct connection_config *from = &reading->loader->own->config.connections[*ret_connection];
	if (from->connector->can_sink)
		return from->connector;
	table_mistake(reading->loader->report, node, 0,
		"reply: '%s', from which the mapping reads, is of type %s and cannot be written to; name a connection",
		from->name, from->connector->name);
	return NULL;
}

static void check_reply_topic(struct reading *reading, const struct node *node, struct reply_config *reply)
{
	const struct node *topic = node_get(node, "topic");
	const struct connector *to = reply_connector(reading, node, &reply->connection);
	reading->unsound |= !to;
	if (!to || !reading->loader->connections.items[reply->connection].sound)
		return;
	const void *settings = reading->loader->own->config.connections[reply->connection].settings;
	const char *wrong = NULL;
	if (to->check_target && !topic->failed && !strpbrk(reply->topic, "{}"))
		wrong = to->check_target(settings, slice_str(reply->topic));
	if (wrong)
		table_mistake(reading->loader->report, topic, 0, "topic: %s", wrong);
	if (reply->qos >= 0 && to->check_qos && (wrong = to->check_qos(settings, (uint8_t)reply->qos)))
		table_mistake(reading->loader->report, node_get(node, "qos"), 0, "qos: %s", wrong);
}

/* A destination that gives none. */
static void refuse_reply(struct reading *reading, const struct connection_config *to, const struct node *node)
{
	if (to->connector->gives_replies && to->connector->gives_replies(to->settings))
		table_mistake(reading->loader->report, node, 0,
			"reply: '%s' is sent batches, whose answer belongs to no single message; leave reply out, or "
			"send "
			"there without batches",
			to->name);
	else
		table_mistake(reading->loader->report, node, 0, "reply: '%s' (%s) gives no replies; leave this out",
			to->name, to->connector->name);
}

/* They are asked before there is a payload that goes out, or know of one message alone. */
static void check_made(struct reading *reading, const struct node *node)
{
	const char *at = node && node->kind == NODE_SCALAR && !node->failed ? strstr(node->text, "{payload.") : NULL;
	if (at)
		table_mistake(reading->loader->report, node, (size_t)(at - node->text),
			"{payload.…}, of what goes out, is for topic, path, key, content_type and headers under 'to'; "
			"write "
			"{.…} for a part of what was received");
}

static void check_reply(struct reading *reading, struct target_config *target, const struct node *node)
{
	const struct connection_config *to = &reading->loader->own->config.connections[target->connection];
	if (!node || node->failed || node->kind != NODE_MAP)
		return;
	check_response_topics(reading, node_get(node, "response_topics"));
	check_made(reading, node_get(node, "topic"));
	check_made(reading, node_get(node, "key"));
	if (!reading->loader->connections.items[target->connection].sound)
		return;
	if (!connection_gives_replies(to))
		refuse_reply(reading, to, node);
	else if (target->reply.topic)
		check_reply_topic(reading, node, &target->reply);
	else if (node_get(node, "connection"))
		table_mistake(reading->loader->report, node_get(node, "connection"), 0,
			"reply: the response topic of a message belongs to the connection that it came from; name a "
			"topic "
			"beside the connection, or leave the connection out");
}

static void check_header_name(
	struct reading *reading, const struct connector *connector, size_t connection, const struct node *name)
{
	if (!connector || !connector->check_header || !reading->loader->connections.items[connection].sound)
		return;
	const void *settings = reading->loader->own->config.connections[connection].settings;
	const char *wrong = connector->check_header(settings, slice_str(name->text));
	if (wrong)
		table_mistake(reading->loader->report, name, 0, "headers: %s", wrong);
}

static void check_headers(
	struct reading *reading, const struct connector *connector, size_t connection, const struct node *headers)
{
	for (size_t i = 0; headers && headers->kind == NODE_MAP && i < headers->n; i++) {
		if (headers->items[i]->kind != NODE_SCALAR || headers->items[i]->failed)
			continue;
		table_check_template(reading->loader->report, reading->captures, headers->items[i], "headers");
		check_header_name(reading, connector, connection, headers->keys[i]);
	}
}

/* Bytes as they come are no string in base64, and hardly the JSON text of one. */
static void check_target_format(struct reading *reading, const struct node *section, const struct target_config *target)
{
	bool is_bytes = target->format == FORMAT_RAW || target->format == FORMAT_BASE64;
	const struct mapping_config *map = reading->map;
	const struct node *from = node_get(reading->node, "from"), *node = node_get(section, "format");
	if (!is_bytes || !node || node->failed || map->payload || map->payload_template || !from ||
		node_get(from, "format"))
		return;
	table_mistake(reading->loader->report, node, 0,
		"format: the payload is read as JSON here and would have to be a string; say how it comes, as in from: "
		"{…, format: %s}",
		target->format == FORMAT_RAW ? "base64" : "raw");
}

static void read_target(struct reading *reading, const struct node *node)
{
	struct mapping_config *map = reading->map;
	if (!expect_leg(reading->loader->report, node, "to"))
		return;
	map->targets = memory_grow(map->targets, map->n_targets, sizeof *map->targets);
	struct target_config *target = &map->targets[map->n_targets++];
	*target = (struct target_config){.qos = -1};
	LOADER_PLACE(target, node);
	const struct connector *connector = connector_for(reading, node, "to", &target->connection);
	size_t n = 0;
	struct config_key *keys = connector ? target_table(connector, &n) : NULL;
	char **values = memory_zero((n + 1) * sizeof(char *));
	struct section_to to = {.qos = -1, .format = -1, .reply = {.qos = -1}};
	char *title = memory_format("'to' of %s", reading->title);
	struct config_scope scope = {
		.report = reading->loader->report,
		.captures = reading->captures,
		.node = node,
		.anchor = node,
		.title = title,
		.place = LOADER_IN_TO,
		.others = reading->loader->others,
		.keys_unknown = !connector,
		.parts = {{section_to_keys, &to}, {keys, values}},
	};
	table_read(&scope);
	check_headers(reading, connector, target->connection, node_get(node, "headers"));
	reading->unsound |= !connector || scope.unsound;
	reading->legs_unknown |= !connector || config_failed(&scope, "qos", NULL);
	take_common(target, &to);
	if (connector) {
		take_params(target, keys, values, n);
		check_target(reading, connector, target->connection, node, target->target);
		check_literals(reading, connector, node, target->target);
		check_params(reading, connector, target, node);
		check_tombstones(reading, connector, node, target->tombstones);
		check_qos(reading, target->connection, node, target->qos >= 0 ? target->qos : map->from_qos);
		check_reply(reading, target, node_get(node, "reply"));
		check_target_format(reading, node, target);
	}
	free(title);
	free(values);
	free(keys);
}

static void read_to(struct reading *reading)
{
	struct report *report = reading->loader->report;
	const struct node *node = node_get(reading->node, "to");
	if (!node)
		complain_leg(reading, "has no 'to': say to where, as in to: {connection: …, topic: …}");
	else if (node->kind != NODE_LIST)
		read_target(reading, node);
	else if (node->n == 0)
		table_mistake(report, node, 0, "to is an empty list; name at least one destination");
	for (size_t i = 0; node && node->kind == NODE_LIST && i < node->n; i++)
		read_target(reading, node->items[i]);
}

/* --- the mapping --- */

static void check_min_interval(struct config_scope *scope, const struct mapping_config *map)
{
	if (config_given(scope, "min_interval", NULL) && !map->min_interval.every_ms)
		config_complain(scope, "min_interval", config_given(scope, "min_interval", "every") ? "every" : NULL,
			"no time is given, so every message passes; write how long, as in every: 30s");
}

/* --- formats --- */

static void check_payload_template(struct config_scope *scope, const struct mapping_config *map)
{
	if (map->payload && map->payload_template)
		config_complain(scope, "payload_template", NULL,
			"the mapping has a payload as well, and a message has one of them; leave one out");
}

static void check_all_made(struct reading *reading)
{
	static const char *const rules[] = {"changes_only", "sample", "min_interval", "aggregate"};
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		check_made(reading, node_get(node_get(reading->node, rules[i]), "key"));
	check_made(reading, node_get(reading->node, "payload_template"));
}

static bool reads_payload(const char *text)
{
	return text && strstr(text, "{.");
}

static bool any_reads_payload(const struct config_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (reads_payload(list->items[i].value))
			return true;
	return false;
}

static bool target_reads_payload(const struct mapping_config *map, const struct target_config *target)
{
	return (target->format >= 0 && target->format != map->from_format) || reads_payload(target->target) ||
	       reads_payload(target->key) || reads_payload(target->content_type) ||
	       reads_payload(target->reply.topic) || reads_payload(target->reply.key) ||
	       any_reads_payload(&target->headers) || any_reads_payload(&target->params);
}

/* A format that nobody asks for is hardly meant. */
static void warn_format(struct reading *reading)
{
	const struct mapping_config *map = reading->map;
	const struct node *node = node_get(node_get(reading->node, "from"), "format");
	bool is_read = map->when || map->payload || map->payload_template || map->changes_only.value ||
		       map->aggregate.window_ms || reads_payload(map->changes_only.key) ||
		       reads_payload(map->sample.key) || reads_payload(map->min_interval.key);
	for (size_t i = 0; i < map->n_targets && !is_read; i++)
		is_read = target_reads_payload(map, &map->targets[i]);
	if (node && !node->failed && !is_read)
		report_warning(reading->loader->report, node->source, node->line, node->column,
			"format: nothing reads the payload, and its bytes go on unchanged; to write it in another "
			"format add format under to");
}

const char *const mapping_steps[] = {"when", "payload", "changes_only.value", "changes_only.when", "changes_only.key",
	"sample.key", "min_interval.key", "aggregate.value", "aggregate.key"};

static void find_places(struct mapping_config *map, const struct node *mapping)
{
	for (size_t i = 0; i < MAPPING_STEPS; i++) {
		char section[32];
		const char *dot = strchr(mapping_steps[i], '.');
		const struct node *node = node_get(mapping, mapping_steps[i]);
		if (dot) {
			snprintf(section, sizeof section, "%.*s", (int)(dot - mapping_steps[i]), mapping_steps[i]);
			node = node_get(node_get(mapping, section), dot + 1);
		}
		if (node)
			map->places[i] = (struct config_place){node->line, node->column};
	}
}

static void check_sample(struct config_scope *scope, const struct mapping_config *map)
{
	if (config_given(scope, "sample", NULL) && !map->sample.one_in)
		config_complain(scope, "sample", config_given(scope, "sample", "one_in") ? "one_in" : NULL,
			"no number is given, so every message passes; write of how many one passes, as in one_in: 10");
}

static void read_changes_only(struct config_scope *scope, struct mapping_config *map)
{
	const struct node *node = node_get(scope->node, "changes_only");
	if (node && node->kind == NODE_MAP && !node_get(node, "enabled"))
		map->changes_only.enabled = true;
}

void loader_read_mapping(struct loader *loader, size_t index)
{
	const struct node *node = loader->mappings.items[index].value;
	struct mapping_config *map = &loader->own->config.mappings[index];
	size_t before = report_mistakes(loader->report);
	map->delivery = -1;
	LOADER_PLACE(map, node);
	const struct node *name = node_get(node, "name");
	char *title = name && name->kind == NODE_SCALAR && !name->failed ? memory_format("mapping '%s'", name->text)
									 : memory_text("this mapping");
	if (table_expect_map(loader->report, node, "a mapping") && !complain_rest(loader, index)) {
		struct table_captures *captures = &loader->mappings.items[index].captures;
		struct reading reading = {.loader = loader,
			.map = map,
			.node = node,
			.title = title,
			.index = index,
			.captures = captures};
		captures->programs = &loader->programs;
		loader->programs.mapping = index;
		read_from(&reading);
		find_captures(&reading);
		find_received(&reading);
		struct config_scope scope = {
			.report = loader->report,
			.captures = reading.captures,
			.node = node,
			.anchor = node,
			.title = title,
			.place = LOADER_IN_MAPPING,
			.others = loader->others,
			.elsewhere = section_mapping_elsewhere,
			.parts = {{section_mapping_keys, map}},
		};
		table_read(&scope);
		check_min_interval(&scope, map);
		check_payload_template(&scope, map);
		check_all_made(&reading);
		find_places(map, node);
		check_sample(&scope, map);
		loader_check_aggregate(loader, map, node);
		read_changes_only(&scope, map);
		if (map->name)
			loader_check_name(loader, name, "mapping");
		read_to(&reading);
		warn_format(&reading);
		captures->received = (struct template_received){0}; /* it knows of reading */
		loader->mappings.items[index].sound =
			!reading.unsound && !scope.unsound && report_mistakes(loader->report) == before;
		loader->mappings.items[index].legs_known =
			!reading.legs_unknown && map->name && !config_failed(&scope, "delivery", NULL);
	}
	free(title);
}

static void free_list(struct config_list *list)
{
	static const struct config_key keys[] = {{.name = "list", .type = CONFIG_LIST}, {0}};
	table_free(keys, list);
}

void loader_free_mapping(const struct config *config, struct mapping_config *map)
{
	table_free(section_mapping_keys, map);
	free_list(&map->filters);
	if (map->from_settings) /* then its connector was known */
		table_free(config->connections[map->from_connection].connector->from_keys, map->from_settings);
	free(map->from_settings);
	for (size_t i = 0; i < map->n_targets; i++) {
		struct target_config *target = &map->targets[i];
		free(target->target);
		free(target->key);
		free(target->content_type);
		free_list(&target->headers);
		free_list(&target->params);
		free(target->reply.topic);
		free(target->reply.key);
		free_list(&target->reply.response_topics);
	}
	free(map->targets);
}
