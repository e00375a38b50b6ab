/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan's entry point: finds the sub-command and calls it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments;
	const char *help;
} commands[] = {
	{"run", cli_run, "CONFIG", "run the bridge in the foreground"},
	{"reload", cli_reload, "DATA_DIR|CONFIG", "have a running bridge read its configuration again"},
	{"check", cli_check, "CONFIG", "find every mistake in a configuration, and say what it would do"},
	{"explain", cli_explain, "CONFIG", "show every way of a message, with its guarantee and why"},
	{"trace", cli_trace, "CONFIG --topic T", "say step by step what would become of one message"},
	{"test", cli_test, "CONFIG", "run the tests of a configuration, in simulated time"},
	{"schema", cli_schema, "[--markdown]", "print the JSON Schema of the configuration, or the reference page"},
	{"journal", cli_journal, "dump DATA_DIR", "explain what a journal holds, without changing it"},
	{"queue", cli_queue, "COMMAND FOLDER", "show and mend what waits for destinations, and dead letters"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *out)
{
	fprintf(out, "usage: linkspan COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-8s %-16s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	fprintf(out, "  %-8s %-16s %s\n", "version", "", "print the version");
	fprintf(out, "\nEach command explains itself with --help. See linkspan(1).\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	char title[32]; /* getopt puts it before what it complains of */
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		snprintf(title, sizeof title, "linkspan %s", name);
		argv[1] = title;
		return commands[i].run(argc - 1, argv + 1);
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
		fprintf(stderr, "linkspan: there is no command '%s'\n\n", name);
	usage(stderr);
	return 2;
}
