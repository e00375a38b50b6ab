/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan schema: what a configuration may hold, as JSON Schema or as the reference page.
 */
#include <stdio.h>

#include "admin/metric.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "config/config.h"

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
	const struct argument_option options[] = {
		{.name = "--markdown", .flag = &markdown},
		{.name = "--metrics", .flag = &figures},
		{.name = NULL},
	};
	int status = arguments_read(argc, argv, options, usage, NULL);
	if (status >= 0)
		return status;
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
