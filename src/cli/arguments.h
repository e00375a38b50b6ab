/* SPDX-License-Identifier: Apache-2.0
 *
 * The arguments of a sub-command that takes options and at most one name of a file, in any order: `--name`, `--name VALUE`,
 * `--name=VALUE`, and -h for --help. (Those that take more of them have getopt.)
 */
#ifndef LINKSPAN_CLI_ARGUMENTS_H
#define LINKSPAN_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stdio.h>

/* One of the last three is set. */
struct argument_option {
	const char *name; /* `--json`; NULL ends the table */
	const char *letter; /* `-q`; NULL: none */
	bool *flag; /* becomes true */
	const char **text; /* becomes the value, which lives as long as argv */
	int (*take)(const char *value, void *arg); /* is given the value: 0, or the exit status, and has said why */
	void *arg;
};

/* -1: go on; else the exit status, and the user has been told. argv[0] is the sub-command's name. *ret_path: NULL if no file is
 * named; a NULL ret_path: none may be. */
int arguments_read(int argc, char **argv, const struct argument_option *options, void (*usage)(FILE *out),
	const char **ret_path) __attribute__((warn_unused_result));

#endif
