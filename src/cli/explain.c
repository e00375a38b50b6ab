/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan explain: every way of a message through a configuration, with its guarantee and why it is that one. Touches no
 * network and no data folder.
 */
#include "cli/explain.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/joined.h"
#include "cli/page.h"
#include "cli/route_words.h"
#include "config/memory.h"

#define COLUMNS 4

const struct cli_option cli_explain_options[] = {
	{.name = "json", .code = 'j', .help = "for programs"},
	{.name = "dot", .code = 'd', .help = "a drawing for Graphviz"},
	{.name = "width", .code = 'w', .value = CLI_TEXT, .help = "columns of a line"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan explain [--json | --dot] [--width COLUMNS] FILE\n\n"
	      "Every way of a message: from where, by which steps, to where, what is guaranteed of it and why, what "
	      "keeps its\n"
	      "order, and what happens when the destination is away for too long. First a table of all, then each.\n\n"
	      "  --json            for programs\n"
	      "  --dot             a drawing for Graphviz: linkspan explain --dot FILE | dot -Tsvg > ways.svg\n"
	      "  --width COLUMNS   of a line, instead of the terminal's or 80\n\n"
	      "linkspan trace says what becomes of one message.\n",
		out);
}

struct printing {
	const struct config *config;
	FILE *out;
	int width;
};

/* --- the table ------------------------------------------------------------------------------------------------------------- */

static size_t count_routes(const struct config *config)
{
	size_t n = 0;
	for (size_t m = 0; m < config->n_mappings; m++)
		n += config->mappings[m].n_targets;
	return n;
}

static char *short_from(const struct route *route)
{
	char *filter = route_filter(route, 0), *text;
	const char *name = route->config->connections[route->map->from_connection].name;
	if (route->map->filters.n > 1)
		text = memory_format("%s: %s and %zu more", name, filter, route->map->filters.n - 1);
	else
		text = memory_format("%s: %s", name, filter);
	free(filter);
	return text;
}

static void print_table(const struct printing *print)
{
	static const char *const heads[COLUMNS] = {"MAPPING", "FROM", "TO", "GUARANTEE"};
	const struct config *config = print->config;
	size_t n = 0;
	char **texts = memory_zero((count_routes(config) + 1) * COLUMNS * sizeof(char *));
	for (size_t i = 0; i < COLUMNS; i++)
		texts[n++] = memory_text(heads[i]);
	for (size_t m = 0; m < config->n_mappings; m++)
		for (size_t t = 0; t < config->mappings[m].n_targets; t++) {
			const struct mapping_config *map = &config->mappings[m];
			struct route route = {config, map, &map->targets[t]};
			char *target = route_target(&route);
			texts[n++] = memory_text(t ? "" : map->name);
			texts[n++] = t ? memory_text("") : short_from(&route);
			texts[n++] =
				memory_format("%s: %s", config->connections[map->targets[t].connection].name, target);
			texts[n++] = memory_text(guarantee_name(mapping_guarantee(config, map, &map->targets[t])));
			free(target);
		}
	page_table(print->out, print->width, texts, COLUMNS, n / COLUMNS);
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

/* --- each ------------------------------------------------------------------------------------------------------------------ */

static void print_owned(const struct printing *print, const char *label, char *text)
{
	page_field(print->out, print->width, label, text);
	free(text);
}

static void on_key(const char *key, const char *value, void *arg)
{
	const struct printing *print = arg;
	if (strcmp(key, "delivery") != 0) /* told with the guarantee */
		page_field(print->out, print->width, key, value);
}

static void on_further_key(const char *key, const char *value, void *arg)
{
	char *text = memory_format("%s: %s", key, value);
	print_owned(arg, "", text);
}

static void print_source(const struct printing *print, const struct route *route)
{
	const struct mapping_config *map = route->map;
	const struct connection_config *conn = &route->config->connections[map->from_connection];
	for (size_t i = 0; i < map->filters.n; i++) {
		char *filter = route_filter(route, i);
		print_owned(print, i ? "" : "from",
			i ? memory_format("or %s", filter)
			  : memory_format("%s (%s)%s: %s", conn->name, conn->connector->name, route_source_qos(route),
				    filter));
		free(filter);
	}
	struct printing copy = *print;
	route_from_keys(route, on_further_key, &copy);
}

static void print_target(const struct printing *print, const struct route *route)
{
	const struct connection_config *conn = &route->config->connections[route->target->connection];
	char *target = route_target(route);
	enum guarantee guarantee = mapping_guarantee(route->config, route->map, route->target);
	fputc('\n', print->out);
	print_owned(print, "to",
		memory_format("%s (%s)%s: %s", conn->name, conn->connector->name, route_target_qos(route), target));
	struct printing copy = *print;
	route_target_keys(route, on_further_key, &copy);
	print_owned(print, "guarantee", memory_format("%s: %s", guarantee_name(guarantee), route_meaning(guarantee)));
	print_owned(print, "why", route_why(route));
	print_owned(print, "order", route_order(route));
	print_owned(print, "when full", route_when_full(route));
	free(target);
}

static void print_mapping(const struct printing *print, const struct mapping_config *map)
{
	struct route route = {print->config, map, map->targets};
	fprintf(print->out, "\n%s  (%s:%d)\n", map->name, map->file, map->line);
	print_source(print, &route);
	struct printing copy = *print;
	route_keys(&route, on_key, &copy);
	if (map->aggregate.window_ms)
		print_owned(print, "window", route_window(&route));
	for (size_t t = 0; t < map->n_targets; t++) {
		route.target = &map->targets[t];
		print_target(print, &route);
	}
}

static void print_text(const struct printing *print)
{
	print_table(print);
	for (size_t m = 0; m < print->config->n_mappings; m++)
		print_mapping(print, &print->config->mappings[m]);
}

/* --- the command ----------------------------------------------------------------------------------------------------------- */

enum form { FORM_TEXT, FORM_JSON, FORM_DOT };

static int explain(const char *path, enum form form, int width)
{
	struct config *config;
	size_t mistakes;
	if (config_load(path, stderr, &config, &mistakes) < 0) {
		fprintf(stderr, "%s: %zu mistake%s\n", path, mistakes, mistakes == 1 ? "" : "s");
		return 1;
	}
	struct joined joined;
	joined_make(config, &joined);
	struct printing print = {&joined.config, stdout, width ? width : page_width(stdout)};
	if (form == FORM_JSON)
		explain_json(&joined.config, stdout);
	else if (form == FORM_DOT)
		explain_dot(&joined.config, stdout);
	else
		print_text(&print);
	joined_free(&joined);
	config_free(config);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	perror("linkspan explain");
	return 1;
}

static bool parse_width(const char *text, int *ret_width)
{
	char *end;
	long width = strtol(text, &end, 10);
	if (end == text || *end || width < PAGE_MIN_WIDTH || width > PAGE_MAX_WIDTH) {
		fprintf(stderr, "linkspan explain: --width takes a number from %d to %d\n", PAGE_MIN_WIDTH,
			PAGE_MAX_WIDTH);
		return false;
	}
	*ret_width = (int)width;
	return true;
}

int cli_explain(int argc, char **argv)
{
	enum form form = FORM_TEXT;
	int width = 0;
	for (int c; (c = cli_next_option(argc, argv, cli_explain_options)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == 'j')
			form = FORM_JSON;
		else if (c == 'd')
			form = FORM_DOT;
		else if (c == '?' || !parse_width(optarg, &width))
			return 2;
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	return explain(argv[optind], form, width);
}
