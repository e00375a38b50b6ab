/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of config/: a test that is being read. load_test.c reads a test and its steps, load_test_message.c the messages of
 * `given` and `expect`.
 */
#ifndef LINKSPAN_CONFIG_LOAD_TEST_H
#define LINKSPAN_CONFIG_LOAD_TEST_H

#include "config/loader.h"
#include "config/test_config.h"

struct test_reading {
	struct loader *loader;
	struct test_config *test;
	const char *title;
	long mapping; /* that alone takes part; -1: all do */
	bool unknown; /* which mappings there are, or what they do, because of mistakes elsewhere */
};

/* Does that mapping take part, and are its connections known? */
bool test_takes_part(const struct test_reading *reading, size_t mapping);
/* Index of the connection of that name among all; -1 after reporting that there is none. node: where the name stands. */
long test_find_connection(
	const struct test_reading *reading, const struct node *node, const char *name, const char *title);

void test_read_given(struct test_reading *reading, const struct node *node, struct test_given *given);
void test_read_expected(struct test_reading *reading, const struct node *node, struct test_expected *expected);

#endif
