/* SPDX-License-Identifier: Apache-2.0
 *
 * linkspan test: runs the tests of a configuration, each in a simulation of its own. No network, no data folder; the only file
 * that is written is that of --junit.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/test_report.h"
#include "config/config.h"
#include "simulation/trial.h"

struct options {
	const char *path, *junit, *filter;
	bool tap;
};

const struct cli_option cli_test_options[] = {
	{.name = "tap", .code = 't', .help = "in the Test Anything Protocol"},
	{.name = "junit", .code = 'j', .value = CLI_FILE, .help = "write a report in the format of JUnit as well"},
	{.name = "filter", .code = 'f', .value = CLI_TEXT, .help = "only tests that have this in their name"},
	{.name = NULL},
};

static void usage(FILE *out)
{
	fputs("usage: linkspan test [--tap] [--junit OUTPUT] [--filter TEXT] FILE\n\n"
	      "Runs the tests: of a configuration and of what it includes, through the router, the journal and the "
	      "couriers "
	      "that the\n"
	      "daemon has, in simulated time, on a disk in memory, with scripted peers in place of connectors. No "
	      "network "
	      "and no data\n"
	      "folder are touched.\n\n"
	      "  --tap            say it in the Test Anything Protocol\n"
	      "  --junit OUTPUT   write a report in the format of JUnit as well; -: on standard output, and nothing "
	      "else\n"
	      "  --filter TEXT    only tests that have this in their name\n\n"
	      "Exit status: 0 all have passed, 1 some have failed, 2 they could not be run: mistakes in the file, or "
	      "no "
	      "tests.\n",
		out);
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
	for (int c; (c = cli_next_option(argc, argv, cli_test_options)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (c == 't')
			options->tap = true;
		else if (c == 'j')
			options->junit = optarg;
		else if (c == 'f')
			options->filter = optarg;
		else
			return 2; /* getopt has told */
	}
	if (optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	options->path = argv[optind];
	if (options->tap && options->junit && strcmp(options->junit, "-") == 0) {
		fputs("linkspan test: --tap and --junit - would both write on standard output; name a file\n", stderr);
		return 2;
	}
	return -1;
}

static bool is_wanted(const struct options *options, const struct test_config *test)
{
	return !options->filter || strstr(test->name, options->filter);
}

static size_t count_wanted(const struct options *options, const struct config *config)
{
	size_t n = 0;
	for (size_t i = 0; i < config->n_tests; i++)
		n += is_wanted(options, &config->tests[i]);
	return n;
}

static int complain_of_none(const struct options *options, const struct config *config)
{
	if (config->n_tests)
		fprintf(stderr, "linkspan test: none of the %zu tests of %s has '%s' in its name\n", config->n_tests,
			options->path, options->filter);
	else
		fprintf(stderr,
			"linkspan test: %s has no tests; write some below tests:, as in\n"
			"  tests:\n"
			"    - name: a reading arrives\n"
			"      given: {topic: plant/a/temperature, payload: '{\"v\": 1}'}\n"
			"      expect: [{payload: '{\"v\": 1}'}]\n",
			options->path);
	return 2;
}

/* --- a test that never ends -------------------------------------------------------------------------------------------- */

/* Of real time, for one test: thousands of times what it takes. Simulated time has a bound of its own. */
#define PATIENCE_S 60u

static char stuck[400];

static void on_alarm(int number)
{
	(void)number;
	ssize_t ignored = write(STDERR_FILENO, stuck, strlen(stuck));
	(void)ignored;
	_exit(2);
}

static int run_one(const struct config *config, const struct test_config *test, struct trial *ret_trial)
{
	char *name = config_redact(config, test->name);
	snprintf(stuck, sizeof stuck,
		"linkspan test: '%.300s' has not ended after %u s: at one moment of simulated time it always goes on\n",
		name, PATIENCE_S);
	free(name);
	alarm(PATIENCE_S);
	int r = trial_run(config, test, ret_trial);
	alarm(0);
	return r;
}

/* --- all of them ---------------------------------------------------------------------------------------------------------- */

static int run(const struct options *options, const struct config *config, FILE *junit)
{
	size_t n = count_wanted(options, config), n_failed = 0;
	bool to_stdout = options->junit && strcmp(options->junit, "-") == 0;
	struct test_report report = {
		.config = config,
		.path = options->path,
		.out = to_stdout ? NULL : stdout,
		.tap = options->tap,
		.junit = junit,
		.n = n,
	};
	int status = 0;
	if (n == 0)
		return complain_of_none(options, config);
	test_report_begin(&report);
	for (size_t i = 0; i < config->n_tests; i++) {
		struct trial trial;
		if (!is_wanted(options, &config->tests[i]))
			continue;
		if (run_one(config, &config->tests[i], &trial) < 0)
			status = 2;
		n_failed += trial.n_failures > 0;
		test_report_trial(&report, &config->tests[i], &trial);
		trial_free(&trial);
	}
	test_report_end(&report);
	return status ? status : n_failed > 0;
}

static FILE *open_junit(const char *path)
{
	if (strcmp(path, "-") == 0)
		return stdout;
	FILE *out = fopen(path, "we");
	if (!out)
		fprintf(stderr, "linkspan test: %s: %s\n", path, strerror(errno));
	return out;
}

static int finish(FILE *out, int status)
{
	bool good = fflush(out) == 0 && !ferror(out);
	if (out != stdout)
		good &= fclose(out) == 0;
	if (good)
		return status;
	perror("linkspan test");
	return 2;
}

int cli_test(int argc, char **argv)
{
	struct options options = {.path = NULL};
	struct config *config;
	size_t mistakes;
	int status = parse(argc, argv, &options);
	if (status >= 0)
		return status;
	if (config_load(options.path, stderr, &config, &mistakes) < 0) {
		fprintf(stderr, "%s: %zu mistake%s\n", options.path, mistakes, mistakes == 1 ? "" : "s");
		return 2;
	}
	signal(SIGALRM, on_alarm);
	FILE *junit = options.junit && count_wanted(&options, config) ? open_junit(options.junit) : NULL;
	if (options.junit && count_wanted(&options, config) && !junit)
		status = 2;
	else
		status = run(&options, config, junit);
	config_free(config);
	if (junit)
		status = finish(junit, status);
	return junit == stdout ? status : finish(stdout, status);
}
