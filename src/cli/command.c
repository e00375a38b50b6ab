/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of the sub-commands, and getopt by the tables of their options.
 */
#include "cli/command.h"

#include <assert.h>
#include <getopt.h>
#include <string.h>

#define MAX_OPTIONS 32

const struct cli_command cli_commands[] = {
	{.name = "run",
		.run = cli_run,
		.arguments = "CONFIG",
		.help = "run the bridge in the foreground",
		.options = cli_run_options,
		.places = {CLI_CONFIG}},
	{.name = "reload",
		.run = cli_reload,
		.arguments = "DATA_DIR|CONFIG",
		.help = "have a running bridge read its configuration again",
		.options = cli_reload_options,
		.places = {CLI_CONFIG_OR_FOLDER}},
	{.name = "check",
		.run = cli_check,
		.arguments = "CONFIG",
		.help = "find every mistake in a configuration, and say what it would do",
		.options = cli_check_options,
		.places = {CLI_CONFIG}},
	{.name = "explain",
		.run = cli_explain,
		.arguments = "CONFIG",
		.help = "show every way of a message, with its guarantee and why",
		.options = cli_explain_options,
		.places = {CLI_CONFIG}},
	{.name = "trace",
		.run = cli_trace,
		.arguments = "CONFIG --topic T",
		.help = "say step by step what would become of one message",
		.options = cli_trace_options,
		.places = {CLI_CONFIG_OR_FOLDER}},
	{.name = "test",
		.run = cli_test,
		.arguments = "CONFIG",
		.help = "run the tests of a configuration, in simulated time",
		.options = cli_test_options,
		.places = {CLI_CONFIG}},
	{.name = "schema",
		.run = cli_schema,
		.arguments = "[--markdown]",
		.help = "print the JSON Schema of the configuration, or the reference page",
		.options = cli_schema_options},
	{.name = "journal",
		.run = cli_journal,
		.arguments = "dump DATA_DIR",
		.help = "explain what a journal holds, without changing it",
		.commands = cli_journal_commands},
	{.name = "queue",
		.run = cli_queue,
		.arguments = "COMMAND FOLDER",
		.help = "show and mend what waits for destinations, and dead letters",
		.options = cli_queue_options,
		.commands = cli_queue_commands},
	{.name = "complete", .run = cli_complete},
	{.name = NULL},
};

const struct cli_command *cli_find(const struct cli_command *commands, const char *name)
{
	for (; commands && commands->name; commands++)
		if (strcmp(commands->name, name) == 0)
			return commands;
	return NULL;
}

int cli_next_option(int argc, char **argv, const struct cli_option *options)
{
	struct option longs[MAX_OPTIONS + 1] = {{"help", no_argument, NULL, 'h'}};
	char letters[MAX_OPTIONS * 2 + 2] = "h";
	size_t n = 1, n_letters = 1;
	for (; options && options->name; options++) {
		assert(n < MAX_OPTIONS);
		bool takes = options->value != CLI_NOTHING;
		longs[n++] =
			(struct option){options->name, takes ? required_argument : no_argument, NULL, options->code};
		if (!options->has_letter)
			continue;
		letters[n_letters++] = (char)options->code;
		if (takes)
			letters[n_letters++] = ':';
	}
	return getopt_long(argc, argv, letters, longs, NULL);
}
