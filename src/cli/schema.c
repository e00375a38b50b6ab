/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan schema: what a configuration may hold, as JSON Schema or as the reference page.
 */
#include <stdio.h>
#include <string.h>

#include "admin/metric.h"
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
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			usage(stdout);
			return 0;
		}
		if (strcmp(argv[i], "--markdown") == 0) {
			markdown = true;
		} else if (strcmp(argv[i], "--metrics") == 0) {
			figures = true;
		} else {
			usage(stderr);
			return 2;
		}
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
