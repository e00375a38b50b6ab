/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of a configuration have come to, for a person, in the Test Anything Protocol (version 13), and in the format of
 * JUnit. Secrets of the configuration are not shown.
 */
#ifndef LINKSPAN_CLI_TEST_REPORT_H
#define LINKSPAN_CLI_TEST_REPORT_H

#include <stdio.h>

#include "simulation/trial.h"

struct test_report {
	const struct config *config;
	const char *path; /* of the configuration, as it was given */
	FILE *out; /* NULL: only junit */
	bool tap;
	FILE *junit; /* NULL: none */
	size_t n; /* tests to come */
	/* test_report's own */
	size_t n_done, n_failed;
	char *cases; /* of junit, whose head counts them */
	size_t cases_len;
	FILE *cases_out;
};

void test_report_begin(struct test_report *report);
void test_report_trial(struct test_report *report, const struct test_config *test, const struct trial *trial);
void test_report_end(struct test_report *report);

#endif
