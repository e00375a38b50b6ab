/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan schema: what a configuration may hold, as JSON Schema or as the reference page.
 */
#include <getopt.h>
#include <stdio.h>

#include "admin/metric.h"
#include "cli/command.h"
#include "config/config.h"

const struct cli_option cli_schema_options[] = {
	{.name = "markdown", .code = 'm', .help = "print the reference page instead"},
	{.name = "metrics", .code = 'f', .help = "print the part of it that lists the metrics"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan schema [--markdown | --metrics]\n\n"
	      "Prints the JSON Schema (draft-07) of the configuration file, for editors.\n\n"
	      "  --markdown   print the reference page instead\n"
	      "  --metrics    print the part of it that lists the metrics\n",
		out);
}

int cli_schema(int argc, char **argv)
{
	bool markdown = false, figures = false;
	for (int c; (c = cli_next_option(argc, argv, cli_schema_options)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == '?')
			return 2;
		markdown |= c == 'm';
		figures |= c == 'f';
	}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	if (markdown)
		config_write_reference(stdout);
	if (markdown || figures)
		metrics_write_reference(stdout);
	else
		config_write_schema(stdout);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	perror("linkspan schema");
	return 1;
}
