/* SPDX-License-Identifier: Apache-2.0
 *
 * A mapping from its configuration: programs into the pool, templates compiled.
 */
#include <errno.h>
#include <stdlib.h>

#include "connectors/connector.h"
#include "routing/mapping_impl.h"

struct names {
	const char *const *captures;
	size_t n;
};

static int compile_template(const char *text, const struct names *names, struct template **ret_template)
{
	return text ? template_new(text, names->captures, names->n, ret_template) : 0;
}

static int compile_fields(const struct config_list *list, const struct names *names, struct field **ret_fields)
{
	if (list->n == 0)
		return 0;
	struct field *fields = *ret_fields = calloc(list->n, sizeof *fields);
	int err = fields ? 0 : -ENOMEM;
	for (size_t i = 0; i < list->n && !err; i++) {
		fields[i].name = slice_str(list->items[i].name);
		err = compile_template(list->items[i].value, names, &fields[i].value);
	}
	return err;
}

static bool any_speaks_of_made(const struct field *fields, size_t n)
{
	for (size_t i = 0; fields && i < n; i++)
		if (template_speaks_of_made(fields[i].value))
			return true;
	return false;
}

static bool target_speaks_of_made(const struct target *to)
{
	return template_speaks_of_made(to->topic) || template_speaks_of_made(to->key) ||
	       template_speaks_of_made(to->content_type) || any_speaks_of_made(to->headers, to->n_headers) ||
	       any_speaks_of_made(to->params, to->n_params);
}

static int compile_target(const struct config *config, const struct target_config *from,
	const struct mapping_config *map, const struct names *names, struct target *to)
{
	to->connection = from->connection;
	to->connector = config->connections[from->connection].connector;
	to->settings = config->connections[from->connection].settings;
	bool carries_headers =
		to->connector && to->connector->carries_headers && to->connector->carries_headers(to->settings);
	to->may_return = map->max_hops > 0 && to->connector && to->connector->can_source;
	to->counts_hops = to->may_return && carries_headers;
	to->marked = map->markers && carries_headers;
	to->fits_headers = carries_headers && to->connector->fit_header;
	to->qos = from->qos;
	to->retain = from->retain;
	to->format = from->format;
	to->carries_null = to->connector && to->connector->carries_null;
	to->tombstones = from->tombstones;
	to->n_headers = from->headers.n;
	to->n_params = from->params.n;
	int err = compile_template(from->target, names, &to->topic);
	if (!err)
		err = compile_template(from->key, names, &to->key);
	if (!err)
		err = compile_template(from->content_type, names, &to->content_type);
	if (!err)
		err = compile_fields(&from->headers, names, &to->headers);
	if (!err)
		err = compile_fields(&from->params, names, &to->params);
	if (!err)
		to->speaks_of_made = target_speaks_of_made(to);
	if (!err)
		err = reply_new(config, map, from, names->captures, names->n, &to->reply);
	return err;
}

static int compile_rules(struct mapping *map, const struct names *names, struct jq_pool *pool)
{
	const struct mapping_config *from = map->config;
	map->has_rules = from->changes_only.enabled || from->sample.one_in || from->min_interval.every_ms;
	int err = compile_template(from->min_interval.key, names, &map->interval_key);
	if (!err)
		err = compile_template(from->sample.key, names, &map->sample_key);
	if (!err)
		err = compile_template(from->changes_only.key, names, &map->changes_key);
	if (!err && from->changes_only.enabled && from->changes_only.value)
		err = transform_new(pool, from->changes_only.value, names->captures, names->n, &map->value);
	if (!err && from->changes_only.enabled && from->changes_only.when)
		err = transform_new(pool, from->changes_only.when, names->captures, names->n, &map->change_when);
	return err;
}

static int compile_aggregate(struct mapping *map, const struct names *names, struct jq_pool *pool)
{
	const struct aggregate_config *from = &map->config->aggregate;
	if (!from->window_ms)
		return 0;
	map->aggregate_bits = aggregate_bits(from);
	int err = compile_template(from->key, names, &map->aggregate_key);
	const char *value = from->value ? from->value : map->aggregate_bits & ~AGGREGATE_OF_NOTHING ? "." : NULL;
	return err || !value ? err : transform_new(pool, value, names->captures, names->n, &map->aggregate_value);
}

static int compile_mapping(
	struct mapping *map, const struct config *config, const struct names *names, struct jq_pool *pool)
{
	const struct mapping_config *from = map->config;
	int err = 0;
	map->targets = calloc(from->n_targets ? from->n_targets : 1, sizeof *map->targets);
	if (!map->targets)
		return -ENOMEM;
	map->n_targets = from->n_targets;
	if (from->when)
		err = transform_new(pool, from->when, names->captures, names->n, &map->when);
	if (!err && from->payload)
		err = transform_new(pool, from->payload, names->captures, names->n, &map->payload);
	if (!err)
		err = compile_template(from->payload_template, names, &map->text);
	if (!err)
		err = compile_rules(map, names, pool);
	if (!err)
		err = compile_aggregate(map, names, pool);
	for (size_t i = 0; i < from->n_targets && !err; i++)
		err = compile_target(config, &from->targets[i], from, names, &map->targets[i]);
	return err;
}

int mapping_new(const struct config *config, size_t number, const char *const *captures, size_t n_captures,
	struct jq_pool *pool, struct mapping **ret_mapping)
{
	struct mapping *map = calloc(1, sizeof *map);
	if (!map)
		return -ENOMEM;
	struct names names = {captures, n_captures};
	map->config = &config->mappings[number];
	map->number = number;
	map->format = (enum format)map->config->from_format;
	map->on_error = map->config->on_error;
	map->priority = (int8_t)(map->config->priority - MESSAGE_DEFAULT_PRIORITY);
	map->max_outputs = map->config->max_outputs > 0 ? (size_t)map->config->max_outputs : 1;
	int err = compile_mapping(map, config, &names, pool);
	if (err) {
		mapping_free(map);
		return err;
	}
	*ret_mapping = map;
	return 0;
}

static void fields_free(struct field *fields, size_t n)
{
	for (size_t i = 0; fields && i < n; i++)
		template_free(fields[i].value);
	free(fields);
}

void mapping_free(struct mapping *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->n_targets; i++) {
		struct target *to = &map->targets[i];
		template_free(to->topic);
		template_free(to->key);
		template_free(to->content_type);
		fields_free(to->headers, to->n_headers);
		fields_free(to->params, to->n_params);
		reply_free(to->reply);
	}
	free(map->targets);
	transform_free(map->when);
	transform_free(map->payload);
	template_free(map->text);
	transform_free(map->value);
	transform_free(map->change_when);
	transform_free(map->aggregate_value);
	template_free(map->aggregate_key);
	template_free(map->changes_key);
	template_free(map->sample_key);
	template_free(map->interval_key);
	free(map);
}
