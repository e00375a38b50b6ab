/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds, per source connection, the index of its mappings' filters and what each filter binds; finds the mappings of a
 * message and lets each one work (mapping.h). Filters are numbered in the order of the file, so the index's ascending
 * answer is already in the right order, and the first filter of a mapping that matches comes first.
 */
#include "routing/router.h"

#include <errno.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "routing/arena.h"
#include "routing/mapping.h"
#include "routing/filter_list.h"
#include "routing/topic_filter.h"
#include "routing/topic_index.h"
#include "runtime/log.h"

struct capture_names {
	char **names;
	size_t n;
};

/* Level `level` of the topic is the value of capture `capture`. */
struct capture_at {
	size_t level, capture;
};

/* One topic filter of one mapping, by its number in the index. */
struct filter_entry {
	struct mapping *map;
	size_t mapping;
	size_t subscription; /* index in router_filters */
	struct capture_at *captures; /* ascending by level */
	size_t n_captures;
	size_t n_names; /* of the mapping: not all of them are bound by each of its filters */
};

struct source {
	const struct connector *connector; /* whose topics they are */
	const void *settings;
	char separator; /* of what is received */
	struct topic_index *index;
	struct filter_entry *entries;
	size_t n_entries;
	struct filter_list *subscriptions;
};

struct router {
	const struct config *config;
	struct source *sources; /* by connection */
	struct mapping **mappings;
	struct capture_names *names; /* by mapping */
	struct jq_pool *pool; /* NULL: that of the configuration holds the programs */
	struct transform_input *inputs[FORMATS];
	struct slice *captures; /* scratch, as many as the mapping with the most */
	struct arena arena;
	size_t outputs_size, rules_size; /* of the result that is being added to */
	struct route_watcher *watcher; /* NULL: nobody looks */
};

/* --- building ---------------------------------------------------------------------------------------- */

struct collecting {
	struct capture_names *names;
	int err;
};

static void router_on_capture(struct slice name, void *arg)
{
	struct collecting *collecting = arg;
	struct capture_names *names = collecting->names;
	for (size_t i = 0; i < names->n; i++)
		if (slice_equal(slice_str(names->names[i]), name))
			return;
	char **grown = realloc(names->names, (names->n + 1) * sizeof *grown);
	char *copy = strndup((const char *)name.data, name.len);
	if (grown)
		names->names = grown;
	if (grown && copy) {
		grown[names->n++] = copy;
		return;
	}
	free(copy);
	collecting->err = -ENOMEM;
}

static int collect_names(struct router *router, size_t mapping)
{
	const struct config_list *filters = &router->config->mappings[mapping].filters;
	struct collecting collecting = {&router->names[mapping], 0};
	for (size_t i = 0; i < filters->n; i++)
		topic_filter_captures(filters->items[i].value, router_on_capture, &collecting);
	return collecting.err;
}

static size_t name_index(const struct capture_names *names, struct slice name)
{
	size_t i = 0;
	while (!slice_equal(slice_str(names->names[i]), name))
		i++;
	return i;
}

static int bind_captures(struct filter_entry *entry, const char *filter, const struct capture_names *names)
{
	if (names->n == 0)
		return 0;
	entry->captures = calloc(names->n, sizeof *entry->captures);
	if (!entry->captures)
		return -ENOMEM;
	struct slice rest = slice_str(topic_filter_without_share(filter)), level;
	for (size_t i = 0; topic_next_level(&rest, &level); i++) {
		struct slice name = topic_filter_capture(level);
		if (name.data)
			entry->captures[entry->n_captures++] = (struct capture_at){i, name_index(names, name)};
	}
	return 0;
}

static int add_filter(struct router *router, size_t mapping, const char *filter)
{
	const struct mapping_config *config = &router->config->mappings[mapping];
	struct source *source = &router->sources[config->from_connection];
	if (topic_filter_check(filter))
		return -EINVAL;
	char *wire = topic_filter_wire(filter, false);
	if (!wire)
		return -ENOMEM;
	struct filter_entry *entry = &source->entries[source->n_entries];
	*entry = (struct filter_entry){.mapping = mapping, .n_names = router->names[mapping].n};
	int err = bind_captures(entry, filter, &router->names[mapping]);
	if (!err)
		err = topic_index_add(source->index, topic_filter_without_share(wire));
	if (!err)
		err = filter_list_add(source->subscriptions, wire, (uint8_t)config->from_qos, config->from_settings,
			&entry->subscription);
	if (err)
		free(entry->captures);
	else
		source->n_entries++;
	free(wire);
	return err;
}

static int build_sources(struct router *router)
{
	const struct config *config = router->config;
	size_t *n_filters = calloc(config->n_connections + 1, sizeof *n_filters);
	if (!n_filters)
		return -ENOMEM;
	for (size_t m = 0; m < config->n_mappings; m++)
		n_filters[config->mappings[m].from_connection] += config->mappings[m].filters.n;
	int err = 0;
	for (size_t c = 0; c < config->n_connections && !err; c++) {
		struct source *source = &router->sources[c];
		source->connector = config_topics_of(config, c)->connector;
		source->settings = config_topics_of(config, c)->settings;
		source->separator = connector_separator(source->connector);
		source->index = topic_index_new();
		source->entries = calloc(n_filters[c] + 1, sizeof *source->entries);
		source->subscriptions = filter_list_new(config->connections[c].connector);
		if (!source->index || !source->entries || !source->subscriptions)
			err = -ENOMEM;
	}
	free(n_filters);
	return err;
}

static int build_mapping(struct router *router, size_t m, struct jq_pool *pool)
{
	const struct mapping_config *config = &router->config->mappings[m];
	int err = collect_names(router, m);
	for (size_t i = 0; i < config->filters.n && !err; i++)
		err = add_filter(router, m, config->filters.items[i].value);
	if (!err)
		err = mapping_new(router->config, m, (const char *const *)router->names[m].names, router->names[m].n,
			pool, &router->mappings[m]);
	if (err == -EINVAL)
		log_error("mapping_invalid", "mapping=\"%s\"", config->name ? config->name : "");
	return err;
}

static int finish_sources(struct router *router)
{
	int err = 0;
	for (size_t c = 0; c < router->config->n_connections && !err; c++) {
		struct source *source = &router->sources[c];
		err = filter_list_finish(source->subscriptions, source->separator);
		for (size_t i = 0; i < source->n_entries && !err; i++) {
			struct filter_entry *entry = &source->entries[i];
			entry->map = router->mappings[entry->mapping];
			entry->subscription = filter_list_index(source->subscriptions, entry->subscription);
		}
	}
	return err;
}

static int compile_programs(struct jq_pool *pool)
{
	int err = jq_pool_compile(pool);
	if (err == -EINVAL)
		log_error("jq_invalid", "what=\"a jq program of the mappings does not compile\"");
	return err;
}

static int build(struct router *router)
{
	const struct config *config = router->config;
	struct jq_pool *pool = config->programs ? config->programs : (router->pool = jq_pool_new());
	size_t most = 0;
	router->sources = calloc(config->n_connections + 1, sizeof *router->sources);
	router->mappings = calloc(config->n_mappings + 1, sizeof(struct mapping *));
	router->names = calloc(config->n_mappings + 1, sizeof *router->names);
	if (!router->sources || !router->mappings || !router->names || !pool)
		return -ENOMEM;
	for (size_t i = 0; i < FORMATS; i++)
		if (!(router->inputs[i] = transform_input_new()))
			return -ENOMEM;
	int err = build_sources(router);
	for (size_t m = 0; m < config->n_mappings && !err; m++) {
		err = build_mapping(router, m, pool);
		if (router->names[m].n > most)
			most = router->names[m].n;
	}
	if (!err)
		err = compile_programs(pool);
	router->captures = calloc(most + 1, sizeof *router->captures);
	if (!err && !router->captures)
		err = -ENOMEM;
	return err ? err : finish_sources(router);
}

struct router *router_new(const struct config *config)
{
	struct router *router = calloc(1, sizeof *router);
	if (!router)
		return NULL;
	router->config = config;
	if (build(router) == 0)
		return router;
	router_free(router);
	return NULL;
}

static void source_free(struct source *source)
{
	topic_index_free(source->index);
	for (size_t i = 0; i < source->n_entries; i++)
		free(source->entries[i].captures);
	free(source->entries);
	filter_list_free(source->subscriptions);
}

void router_free(struct router *router)
{
	if (!router)
		return;
	for (size_t c = 0; router->sources && c < router->config->n_connections; c++)
		source_free(&router->sources[c]);
	for (size_t m = 0; router->mappings && m < router->config->n_mappings; m++)
		mapping_free(router->mappings[m]);
	for (size_t m = 0; router->names && m < router->config->n_mappings; m++) {
		for (size_t i = 0; i < router->names[m].n; i++)
			free(router->names[m].names[i]);
		free(router->names[m].names);
	}
	free(router->sources);
	free(router->mappings);
	free(router->names);
	jq_pool_free(router->pool);
	for (size_t i = 0; i < FORMATS; i++)
		transform_input_free(router->inputs[i]);
	free(router->captures);
	arena_free(&router->arena);
	free(router);
}

size_t router_filters(const struct router *router, size_t connection, const struct router_filter **ret_filters)
{
	return filter_list_get(router->sources[connection].subscriptions, ret_filters);
}

/* --- routing ----------------------------------------------------------------------------------------- */

/* A message on its way through its source's mappings. */
struct passage {
	const struct source *source;
	int subscription;
	struct slice topic; /* as received */
	struct routing *routing;
	size_t matched;
};

static int extract_captures(struct router *router, const struct filter_entry *entry, const struct passage *passage)
{
	const struct connector *connector = passage->source->connector;
	struct slice rest = passage->topic, level;
	size_t next = 0;
	int err = 0;
	for (size_t i = 0; i < entry->n_names; i++)
		router->captures[i] = (struct slice){NULL, 0};
	for (size_t i = 0;
		next < entry->n_captures && !err && topic_next_level_by(passage->source->separator, &rest, &level);
		i++) {
		if (entry->captures[next].level != i)
			continue;
		if (connector && connector->restore_topic)
			err = connector->restore_topic(passage->source->settings, level, &router->arena, &level, NULL);
		router->captures[entry->captures[next++].capture] = level;
	}
	return err;
}

/* The received topic as filters are compared with it. */
static int comparable_topic(struct router *router, const struct passage *passage, struct slice *ret_topic)
{
	*ret_topic = passage->topic;
	if (passage->source->separator == '/' || passage->topic.len == 0)
		return 0;
	char *copy = arena_alloc(&router->arena, passage->topic.len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, passage->topic.data, passage->topic.len);
	topic_separate(copy, passage->topic.len, passage->source->separator, '/');
	*ret_topic = slice_of(copy, passage->topic.len);
	return 0;
}

void router_watch(struct router *router, struct route_watcher *watcher)
{
	router->watcher = watcher;
}

/* The filters of a mapping stand one after the other. */
static void tell_match(struct router *router, const struct source *source, const struct filter_entry *entry)
{
	struct route_event event = {
		.kind = ROUTE_MATCHED,
		.mapping = entry->mapping,
		.names = (const char *const *)router->names[entry->mapping].names,
		.values = router->captures,
		.n = entry->n_names,
	};
	while (entry - event.filter > source->entries && (entry - event.filter - 1)->mapping == entry->mapping)
		event.filter++;
	router->watcher->on_event(router->watcher, &event);
}

static int route_matches(struct router *router, struct passage *passage)
{
	const struct source *source = passage->source;
	const uint32_t *matches;
	struct slice topic;
	int err = comparable_topic(router, passage, &topic);
	if (err)
		return err;
	size_t n = topic_index_match(source->index, topic, &matches);
	size_t last = SIZE_MAX;
	for (size_t i = 0; i < n && !err; i++) {
		const struct filter_entry *entry = &source->entries[matches[i]];
		if (entry->mapping == last)
			continue; /* another filter of the same mapping */
		last = entry->mapping;
		if (passage->subscription >= 0 && entry->subscription != (size_t)passage->subscription)
			continue;
		passage->matched++;
		err = extract_captures(router, entry, passage);
		if (!err && router->watcher)
			tell_match(router, source, entry);
		if (!err)
			err = mapping_route(entry->map, passage->routing, router->captures);
	}
	return err;
}

int router_route_more(struct router *router, size_t connection, int subscription, const struct message_view *view,
	struct route_result *result)
{
	const struct source *source = &router->sources[connection];
	struct message_view seen = *view;
	char separator = source->separator;
	int err = 0;
	if (source->connector && source->connector->restore_topic)
		err = source->connector->restore_topic(
			source->settings, view->topic, &router->arena, &seen.topic, &separator);
	if (err)
		return err;
	struct routing routing = {
		.view = &seen,
		.topic = view->topic,
		.separator = separator,
		.max_transform_bytes = router->config->max_transform_bytes,
		.arena = &router->arena,
		.hops = -1,
		.outputs = result->outputs,
		.n_outputs = result->n_outputs,
		.outputs_size = router->outputs_size,
		.input_number = result->n_inputs,
		.rules = result->rules,
		.n_rules = result->n_rules,
		.rules_size = router->rules_size,
		.watcher = router->watcher,
	};
	struct passage passage = {
		.source = source, .subscription = subscription, .topic = view->topic, .routing = &routing};
	for (size_t i = 0; i < FORMATS; i++)
		routing.values[i].input = router->inputs[i];
	err = route_matches(router, &passage);
	for (size_t i = 0; i < FORMATS; i++)
		if (routing.values[i].read)
			transform_input_end(router->inputs[i]);
	if (err)
		return err;
	router->outputs_size = routing.outputs_size;
	router->rules_size = routing.rules_size;
	result->rules = routing.rules;
	result->n_rules = routing.n_rules;
	result->outputs = routing.outputs;
	result->n_outputs = routing.n_outputs;
	result->matched += passage.matched;
	result->n_inputs++;
	result->unmatched += passage.matched == 0;
	result->looped += routing.looped;
	result->dropped += routing.dropped;
	result->rounded += routing.rounded;
	result->n_marked += routing.n_marked;
	return 0;
}

int router_route(struct router *router, size_t connection, int subscription, const struct message_view *view,
	struct route_result *ret_result)
{
	struct route_result result = {0};
	arena_reset(&router->arena);
	router->outputs_size = router->rules_size = 0;
	int err = router_route_more(router, connection, subscription, view, &result);
	if (!err)
		*ret_result = result;
	return err;
}
