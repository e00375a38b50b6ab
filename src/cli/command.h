/* SPDX-License-Identifier: Apache-2.0
 *
 * The sub-commands. Each gets its own arguments (argv[0] is its name), returns the exit status: 0 good, 1 a mistake of
 * the user or a failure that has been told on standard error, 2 wrong usage.
 */
#ifndef LINKSPAN_CLI_COMMAND_H
#define LINKSPAN_CLI_COMMAND_H

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_test(int argc, char **argv); /* 2 also for what keeps tests from being run */
int cli_schema(int argc, char **argv);
int cli_journal(int argc, char **argv);
int cli_queue(int argc, char **argv);
int cli_reload(int argc, char **argv);

#endif
