/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs CUnit suites and prints TAP for automake. A test program is: static test functions, a table of them, and
 *     int main(void) { return tap_main("topic filter", tests); }
 * CUnit's own JUnit writer aborts at the first failure, hence TAP from its handlers.
 */
#ifndef LINKSPAN_TESTS_UNIT_TAP_H
#define LINKSPAN_TESTS_UNIT_TAP_H

#include <CUnit/CUnit.h>

struct tap_test {
	const char *name;
	void (*run)(void);
};

/* tests ends with a NULL name. Returns 0: automake reads the TAP. */
int tap_main(const char *suite, const struct tap_test *tests);

/* An empty temporary folder, removed at the end of the program. Never NULL: ends the program if it cannot. */
const char *tap_tempdir(void);

/* A port of the loopback address on which nobody listens, by TCP or UDP, and which no other test takes as long as this program
 * runs. Below those of outgoing connections: one of another program could have it just when somebody is to listen there.
 * Ends the program if there is none. */
int tap_free_port(void);

#endif
