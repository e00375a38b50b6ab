/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the suite share: the peer under test, what was logged, and messages with numbers. Private to the
 * suite.
 */
#ifndef LINKSPAN_TESTS_CONFORMANCE_SUITE_H
#define LINKSPAN_TESTS_CONFORMANCE_SUITE_H

#include "tests/conformance/fake_host.h"
#include "tests/conformance/peer.h"
#include "tests/unit/tap.h"

extern const struct peer *suite_peer;

enum suite_needs {
	NEEDS_SINK = 1,
	NEEDS_SOURCE = 2,
	NEEDS_LOSE = 4,
	NEEDS_SLOW = 8,
	NEEDS_CREDENTIALS = 16,
	NEEDS_REPEATS = 32,
};

struct suite_test {
	const char *name;
	void (*run)(void);
	unsigned needs;
};

/* Each ends with a NULL name. */
extern const struct suite_test suite_life_tests[], suite_sink_tests[], suite_source_tests[];

/* May a test that breaks connections see repetitions? */
bool suite_repeats_allowed(void);

/* A link for the peer that has begun; as a source when with_source and the peer can be one. It knows what earlier links of the
 * test have said of the session. */
struct fake_host *suite_link(bool with_source);
/* Stops and frees it; its contract must have been kept. */
void suite_end(struct fake_host *fake);

/* Has a line with the link's name, and the word if it is not NULL, been logged? */
bool suite_logged(const struct fake_host *fake, const char *word);
bool suite_run_until_logged(struct fake_host *fake, const char *word);

struct message_view suite_message(struct slice payload);
/* Delivers messages whose payloads are the numbers first … first + n - 1. */
void suite_deliver_numbers(struct fake_host *fake, unsigned first, unsigned n);
bool suite_run_until_arrived(struct fake_host *fake, size_t n);
/* Until each of the numbers 0 to n-1 has arrived, however often. */
bool suite_run_until_numbers(struct fake_host *fake, unsigned n);
/* A payload's number; a failure of the test if it is none. */
unsigned suite_number(struct slice payload);
/* Every number below n has arrived; once unless repeats_allowed; and what counts, the last of each, in order. */
void suite_check_numbers(struct message *const *items, size_t n_items, unsigned n, bool repeats_allowed);
unsigned suite_count(const struct fake_host *fake, enum outcome_kind kind);

#endif
