/* SPDX-License-Identifier: Apache-2.0
 *
 * The sub-commands and their options, told once: main finds a sub-command here, each reads its options by its table, and
 * `linkspan complete` offers both to shells. The words of --help stand with each command; a test compares them.
 *
 * Each command gets its own arguments (argv[0] is its name), returns the exit status: 0 good, 1 a mistake of
 * the user or a failure that has been told on standard error, 2 wrong usage.
 */
#ifndef LINKSPAN_CLI_COMMAND_H
#define LINKSPAN_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

enum cli_value { /* what stands behind an option, or in a place of the command line */
	CLI_NOTHING,
	CLI_TEXT, /* that nobody can guess */
	CLI_CHOICE,
	CLI_CONNECTION, /* of the configuration that the command line names; a mapping with aggregate is one, too */
	CLI_FILE,
	CLI_CONFIG,
	CLI_CONFIG_OR_FOLDER,
	CLI_FOLDER,
};

struct cli_option {
	const char *name; /* without the two dashes */
	int code; /* what cli_next_option returns for it; not 'h' */
	enum cli_value value;
	bool has_letter; /* the code is its short form, too */
	bool repeats; /* may be given again */
	const char *choices; /* CLI_CHOICE: with blanks between */
	const char *only; /* commands of a command: those it is for, with blanks between; NULL: all */
	const char *help; /* a few words */
};

#define CLI_PLACES 3

struct cli_command {
	const char *name;
	int (*run)(int argc, char **argv); /* NULL: one of a command */
	const char *arguments; /* as they are shown */
	const char *help; /* a few words; NULL: not for people */
	const struct cli_option
		*options; /* besides --help and -h, which all have; ended by a name of NULL; NULL: none */
	const struct cli_command
		*commands; /* its first argument is one of these; ended by a name of NULL; NULL: none */
	enum cli_value places[CLI_PLACES]; /* its arguments (behind the name of a command of its own) */
	bool last_is_optional;
};

extern const struct cli_command cli_commands[]; /* ended by a name of NULL */
/* Among `commands`; NULL if there is none of that name. */
const struct cli_command *cli_find(const struct cli_command *commands, const char *name);

/* The code of the next option, with its value in optarg; 'h' for --help and -h; '?' for a mistake, which has been told; -1
 * when only arguments are left, from optind on. */
int cli_next_option(int argc, char **argv, const struct cli_option *options);

extern const struct cli_option cli_run_options[], cli_reload_options[], cli_check_options[], cli_explain_options[],
	cli_trace_options[], cli_test_options[], cli_schema_options[], cli_queue_options[];
extern const struct cli_command cli_queue_commands[], cli_journal_commands[];

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_test(int argc, char **argv); /* 2 also for what keeps tests from being run */
int cli_schema(int argc, char **argv);
int cli_journal(int argc, char **argv);
int cli_queue(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_complete(int argc, char **argv);

#endif
