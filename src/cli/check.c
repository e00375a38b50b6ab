/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan check: all mistakes of a configuration on standard error, or what it would do on standard output. Touches no
 * network and no data folder.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/joined.h"
#include "cli/route_words.h"
#include "config/config.h"
#include "config/guarantee.h"

const struct cli_option cli_check_options[] = {
	{.name = "quiet", .code = 'q', .has_letter = true, .help = "say nothing of what is good"},
	{.name = "strict", .code = 's', .help = "a configuration with warnings is not good"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan check [--quiet] [--strict] FILE\n\n"
	      "Reads a configuration and the files it includes, without touching the network or the data folder.\n"
	      "Good: says what is connected to what, with the guarantee of each way; exit status 0.\n"
	      "Not good: every mistake with its place, on standard error; exit status 1.\n"
	      "Warnings are about what is legal and hardly meant: they go to standard error too, and change nothing "
	      "else.\n\n"
	      "  --quiet    say nothing of a configuration that is good, but for warnings\n"
	      "  --strict   a configuration with warnings is not good\n\n"
	      "linkspan explain shows more of each way, linkspan trace what becomes of one message.\n",
		out);
}

/* Parts of a configuration may come from ${env:…}: those are not shown. */
static void print_redacted(const struct config *config, const char *text)
{
	char *shown = config_redact(config, text);
	fputs(shown, stdout);
	free(shown);
}

static void print_end(const struct config *config, size_t connection, const char *where)
{
	const struct connection_config *conn = &config->connections[connection];
	printf("%s (%s) ", conn->name, conn->connector->name);
	print_redacted(config, where);
}

/* Why the outbox takes away from the guarantee of the legs. */
static void print_policy(const struct outbox_config *outbox)
{
	fputs(", for its outbox has ", stdout);
	if (outbox_drops_when_full(outbox))
		printf("when_full: %s", when_full_name((enum when_full)outbox->when_full));
	if (outbox_drops_old(outbox))
		printf("%sa ttl", outbox_drops_when_full(outbox) ? " and " : "");
}

static void print_mapping(const struct config *config, const struct mapping_config *map)
{
	print_redacted(config, map->name);
	fputs("\n", stdout);
	for (size_t i = 0; i < map->filters.n; i++) {
		fputs("  from  ", stdout);
		char *filter = config_filter_as_written(config, map, i);
		print_end(config, map->from_connection, filter);
		free(filter);
		printf("  qos %d\n", map->from_qos);
	}
	if (map->aggregate.window_ms) {
		fputs("  into  windows of ", stdout);
		route_put_duration(stdout, map->aggregate.window_ms);
		fputs("\n", stdout);
	}
	for (size_t i = 0; i < map->n_targets; i++) {
		const struct target_config *target = &map->targets[i];
		fputs("  to    ", stdout);
		print_end(config, target->connection,
			!target->target   ? "{topic}"
			: *target->target ? target->target
					  : "(that of the url)");
		printf("  %s", guarantee_name(mapping_guarantee(config, map, target)));
		if (mapping_guarantee(config, map, target) < mapping_legs_guarantee(config, map, target))
			print_policy(&config->connections[target->connection].outbox);
		fputs("\n", stdout);
	}
}

static bool feeds(const struct config *config, size_t source, size_t destination)
{
	for (size_t m = 0; m < config->n_mappings; m++) {
		const struct mapping_config *map = &config->mappings[m];
		for (size_t t = 0; map->from_connection == source && t < map->n_targets; t++)
			if (map->targets[t].connection == destination)
				return true;
	}
	return false;
}

/* Which sources does it stop when the outbox has no room? */
static void print_stops(const struct config *config, size_t destination)
{
	const struct connection_config *conn = &config->connections[destination];
	bool any = false;
	for (size_t i = 0; i < config->n_connections; i++) {
		if (!feeds(config, i, destination))
			continue;
		if (!any)
			printf("full %s of %s (%s) stops: ",
				conn->outbox.when_full == WHEN_FULL_BLOCK ? "outbox" : "dead letters", conn->name,
				when_full_name((enum when_full)conn->outbox.when_full));
		printf("%s%s", any ? ", " : "", config->connections[i].name);
		any = true;
	}
	if (any)
		fputs("\n", stdout);
}

static void print_summary(const struct config *loaded, const char *path)
{
	struct joined joined;
	joined_make(loaded, &joined);
	const struct config *config = &joined.config;
	for (size_t i = 0; i < config->n_mappings; i++)
		print_mapping(config, &config->mappings[i]);
	for (size_t i = 0; i < config->n_connections; i++)
		if (!outbox_drops_when_full(&config->connections[i].outbox))
			print_stops(config, i);
	size_t n_connections = config->n_connections, n_mappings = config->n_mappings;
	printf("%s is good: %zu connection%s, %zu mapping%s, data in ", path, n_connections,
		n_connections == 1 ? "" : "s", n_mappings, n_mappings == 1 ? "" : "s");
	print_redacted(config, config->data_dir);
	fputs("\n", stdout);
	joined_free(&joined);
}

static int check(const char *path, bool quiet, bool strict)
{
	struct config *config;
	size_t mistakes;
	if (config_load(path, stderr, &config, &mistakes) < 0) {
		fprintf(stderr, "%s: %zu mistake%s\n", path, mistakes, mistakes == 1 ? "" : "s");
		return 1;
	}
	size_t warnings = config->n_warnings;
	if (strict && warnings)
		fprintf(stderr, "%s: %zu warning%s, and --strict takes none\n", path, warnings,
			warnings == 1 ? "" : "s");
	else if (!quiet)
		print_summary(config, path);
	config_free(config);
	if (strict && warnings)
		return 1;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	perror("linkspan check");
	return 1;
}

int cli_check(int argc, char **argv)
{
	bool quiet = false, strict = false;
	for (int c; (c = cli_next_option(argc, argv, cli_check_options)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == '?')
			return 2;
		quiet |= c == 'q';
		strict |= c == 's';
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	return check(argv[optind], quiet, strict);
}
