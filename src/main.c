/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan's entry point: finds the sub-command and calls it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "config/suggest.h"

static void usage(FILE *out)
{
	fprintf(out, "usage: linkspan COMMAND [ARGUMENT...]\n\n");
	for (const struct cli_command *it = cli_commands; it->name; it++)
		if (it->help)
			fprintf(out, "  %-8s %-16s %s\n", it->name, it->arguments, it->help);
	fprintf(out, "  %-8s %-16s %s\n", "version", "", "print the version");
	fprintf(out, "\nEach command explains itself with --help. See linkspan(1).\n");
}

static void complain_command(const char *name)
{
	struct suggestion near = {.word = name};
	for (const struct cli_command *it = cli_commands; it->name; it++)
		if (it->help)
			suggest_offer(&near, it->name);
	fprintf(stderr, "linkspan: there is no command '%s'", name);
	if (near.best)
		fprintf(stderr, "; did you mean '%s'?", near.best);
	fprintf(stderr, "\n\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	char title[32]; /* getopt puts it before what it complains of */
	const struct cli_command *command = cli_find(cli_commands, name);
	if (command) {
		snprintf(title, sizeof title, "linkspan %s", name);
		argv[1] = title;
		return command->run(argc - 1, argv + 1);
	}
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		printf("linkspan %s\n", LINKSPAN_VERSION);
		return 0;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (*name)
		complain_command(name);
	usage(stderr);
	return 2;
}
