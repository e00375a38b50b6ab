/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over argv.
 */
#include "cli/arguments.h"

#include <string.h>

static const char *const help[] = {"--help", "-h", NULL};

struct reading {
	char **argv; /* of the sub-command */
	int argc, at;
	void (*usage)(FILE *out);
};

static int wrong_usage(const struct reading *reading)
{
	reading->usage(stderr);
	return 2;
}

/* An option's name ends with the argument or with `=`. */
static bool is_called(const char *argument, const char *name)
{
	size_t len = strlen(name);
	return strncmp(argument, name, len) == 0 && (argument[len] == '\0' || argument[len] == '=');
}

static const struct argument_option *find(const struct argument_option *options, const char *argument)
{
	for (; options->name; options++)
		if (is_called(argument, options->name) || (options->letter && strcmp(argument, options->letter) == 0))
			return options;
	return NULL;
}

/* -1: go on. */
static int take_value(struct reading *reading, const struct argument_option *option)
{
	const char *argument = reading->argv[reading->at], *equals = strchr(argument, '=');
	const char *value = equals ? equals + 1 : reading->at + 1 < reading->argc ? reading->argv[++reading->at] : NULL;
	if (!value) {
		fprintf(stderr, "linkspan %s: %s needs a value\n", reading->argv[0], option->name);
		return 2;
	}
	if (option->text) {
		*option->text = value;
		return -1;
	}
	int status = option->take(value, option->arg);
	return status ? status : -1;
}

/* -1: go on. */
static int take_option(struct reading *reading, const struct argument_option *option)
{
	if (!option->flag)
		return take_value(reading, option);
	if (strchr(reading->argv[reading->at], '='))
		return wrong_usage(reading);
	*option->flag = true;
	return -1;
}

int arguments_read(
	int argc, char **argv, const struct argument_option *options, void (*usage)(FILE *out), const char **ret_path)
{
	struct reading reading = {argv, argc, 1, usage};
	const char *path = NULL;
	int status = -1;
	for (; status < 0 && reading.at < argc; reading.at++) {
		const char *argument = argv[reading.at];
		const struct argument_option *option = find(options, argument);
		if (strcmp(argument, help[0]) == 0 || strcmp(argument, help[1]) == 0) {
			usage(stdout);
			status = 0;
		} else if (option) {
			status = take_option(&reading, option);
		} else if (!ret_path || path || (argument[0] == '-' && argument[1])) {
			status = wrong_usage(&reading);
		} else {
			path = argument;
		}
	}
	if (ret_path)
		*ret_path = path;
	return status;
}
