/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as JSON, and as a graph in Graphviz's language: connections are boxes, mappings ellipses between them.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/explain.h"
#include "cli/route_words.h"
#include "config/json_writer.h"
#include "config/memory.h"
#include "config/reply.h"

/* --- JSON ------------------------------------------------------------------------------------------------------------------ */

static void json_owned(struct json_writer *json, const char *name, char *text)
{
	if (text)
		json_text(json, name, text);
	free(text);
}

static void on_key(const char *key, const char *value, void *arg)
{
	json_text(arg, key, value);
}

static void json_source(struct json_writer *json, const struct route *route)
{
	const struct connection_config *conn = &route->config->connections[route->map->from_connection];
	json_open(json, "from", '{');
	json_text(json, "connection", conn->name);
	json_text(json, "type", conn->connector->name);
	json_open(json, "topics", '[');
	for (size_t i = 0; i < route->map->filters.n; i++)
		json_owned(json, NULL, route_filter(route, i));
	json_close(json, ']');
	json_int(json, "qos", route->map->from_qos);
	json_open(json, "keys", '{');
	route_from_keys(route, on_key, json);
	json_close(json, '}');
	json_close(json, '}');
}

static void json_target(struct json_writer *json, const struct route *route)
{
	const struct connection_config *conn = &route->config->connections[route->target->connection];
	json_open(json, "to", '{');
	json_text(json, "connection", conn->name);
	json_text(json, "type", conn->connector->name);
	json_owned(json, "target", route_target(route));
	json_int(json, "qos", route->target->qos >= 0 ? route->target->qos : route->map->from_qos);
	json_open(json, "keys", '{');
	route_target_keys(route, on_key, json);
	json_close(json, '}');
	json_close(json, '}');
}

static void json_route(struct json_writer *json, const struct route *route)
{
	const struct outbox_config *outbox = &route->config->connections[route->target->connection].outbox;
	enum guarantee guarantee = mapping_guarantee(route->config, route->map, route->target);
	int declared = mapping_declared_guarantee(route->config, route->map, route->target);
	json_open(json, NULL, '{');
	json_text(json, "mapping", route->map->name);
	json_text(json, "file", route->map->file);
	json_int(json, "line", route->map->line);
	json_source(json, route);
	json_open(json, "steps", '{');
	route_keys(route, on_key, json);
	json_close(json, '}');
	if (route->map->aggregate.window_ms) {
		json_open(json, "window", '{');
		json_text(json, "destination", route->map->name);
		json_int(json, "ms", (int64_t)route->map->aggregate.window_ms);
		json_owned(json, "what", route_window(route));
		json_close(json, '}');
	}
	json_target(json, route);
	json_text(json, "guarantee", guarantee_name(guarantee));
	if (declared >= 0)
		json_text(json, "declared", guarantee_name((enum guarantee)declared));
	json_text(json, "bounded_by", route_bound_name(route_bound(route)));
	json_owned(json, "why", route_why(route));
	json_owned(json, "order", route_order(route));
	json_open(json, "when_full", '{');
	json_text(json, "policy", when_full_name((enum when_full)outbox->when_full));
	json_int(json, "max_bytes", (int64_t)outbox->max_bytes);
	json_int(json, "max_messages", outbox->max_messages);
	json_owned(json, "what", route_when_full(route));
	json_close(json, '}');
	json_close(json, '}');
}

static void each_route(const struct config *config, void (*fn)(const struct route *route, void *arg), void *arg)
{
	for (size_t m = 0; m < config->n_mappings; m++)
		for (size_t t = 0; t < config->mappings[m].n_targets; t++) {
			const struct mapping_config *map = &config->mappings[m];
			struct route route = {config, map, &map->targets[t]};
			fn(&route, arg);
		}
}

static void on_json_route(const struct route *route, void *arg)
{
	json_route(arg, route);
}

void explain_json(const struct config *config, FILE *out)
{
	struct json_writer json = {.out = out};
	json_open(&json, NULL, '{');
	json_open(&json, "routes", '[');
	each_route(config, on_json_route, &json);
	json_close(&json, ']');
	json_close(&json, '}');
}

/* --- Graphviz -------------------------------------------------------------------------------------------------------------- */

static void put_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fputc('\\', out);
		fputc(c < ' ' || c == 0x7f ? ' ' : c, out);
	}
}

static void dot_connections(const struct config *config, FILE *out)
{
	for (size_t i = 0; i < config->n_connections; i++) {
		const struct connection_config *conn = &config->connections[i];
		fprintf(out, "  c%zu [shape=box, style=bold, label=\"%s\\n%s\"];\n", i, conn->name,
			conn->connector->name);
	}
}

static void dot_mapping(const struct config *config, size_t m, FILE *out)
{
	const struct mapping_config *map = &config->mappings[m];
	struct route route = {config, map, map->targets};
	fprintf(out, "  m%zu [shape=ellipse, label=\"", m);
	put_quoted(out, map->name);
	if (map->aggregate.window_ms) {
		fputs("\\nwindow ", out);
		route_put_duration(out, map->aggregate.window_ms);
	}
	fputs(map->when || map->payload ? "\\njq" : "", out);
	fputs("\"];\n", out);
	fprintf(out, "  c%zu -> m%zu [label=\"", map->from_connection, m);
	for (size_t i = 0; i < map->filters.n; i++) {
		char *filter = route_filter(&route, i);
		fputs(i ? "\\n" : "", out);
		put_quoted(out, filter);
		free(filter);
	}
	fputs("\"];\n", out);
}

static void on_dot_route(const struct route *route, void *arg)
{
	static const char *const styles[] = {"dashed", "solid", "bold"}; /* enum guarantee */
	FILE *out = arg;
	const struct config *config = route->config;
	size_t m = (size_t)(route->map - config->mappings);
	enum guarantee guarantee = mapping_guarantee(config, route->map, route->target);
	long reply = target_reply_connection(config, route->map, route->target);
	char *target = route_target(route);
	fprintf(out, "  m%zu -> c%zu [style=%s, label=\"", m, route->target->connection, styles[guarantee]);
	put_quoted(out, target);
	fprintf(out, "\\n%s\"];\n", guarantee_name(guarantee));
	if (reply >= 0)
		fprintf(out, "  c%zu -> c%ld [style=dotted, label=\"answers\"];\n", route->target->connection, reply);
	free(target);
}

void explain_dot(const struct config *config, FILE *out)
{
	fputs("digraph linkspan {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", "
	      "fontsize=10];\n",
		out);
	dot_connections(config, out);
	for (size_t m = 0; m < config->n_mappings; m++)
		dot_mapping(config, m, out);
	each_route(config, on_dot_route, out);
	fputs("}\n", out);
}
