/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of a source: what it offers, what a receipt means upstream, how it is paused and loses its peer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/conformance/suite.h"

static struct fake_host *source_that_is_ready(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	CU_ASSERT_TRUE(suite_run_until_logged(fake, suite_peer->ready_event));
	return fake;
}

static void publish_numbers(unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", first + i);
		suite_peer->publish(slice_str(text));
	}
}

static void test_offers_in_order(void)
{
	struct fake_host *fake = source_that_is_ready();
	publish_numbers(0, 30);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 30));
	suite_check_numbers(fake->offers, fake->n_offers, 30, false);
	suite_end(fake);
}

static void test_offered_payloads(void)
{
	enum { LARGE = 200000 };
	uint8_t *bytes = malloc(LARGE);
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (uint8_t)(i + i / 256);
	const struct slice payloads[] = {
		slice_of("", 0), slice_of("\0", 1), slice_of(bytes, 256), slice_of(bytes, LARGE), slice_str("after")};
	const size_t n = sizeof payloads / sizeof payloads[0];
	struct fake_host *fake = source_that_is_ready();
	for (size_t i = 0; i < n; i++)
		suite_peer->publish(payloads[i]);
	CU_ASSERT_TRUE_FATAL(fake_host_run_until_offers(fake, n));
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_TRUE(slice_equal(message_view(fake->offers[i])->payload, payloads[i]));
	suite_end(fake);
	free(bytes);
}

static bool is_busy(void *arg)
{
	return ((struct fake_host *)arg)->n_busy > 0;
}

/* What was answered with OFFER_BUSY comes first after resume, and nothing is left out. */
static void test_pause_and_resume(void)
{
	struct fake_host *fake = source_that_is_ready();
	fake->busy_after = 5;
	publish_numbers(0, 30);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_busy, fake));
	CU_ASSERT_EQUAL(fake->n_offers, 5);
	fake_host_resume(fake, 12); /* and again */
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 12));
	fake_host_resume(fake, 0);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 30));
	suite_check_numbers(fake->offers, fake->n_offers, 30, false);
	suite_end(fake);
}

static void test_stop_while_paused(void)
{
	struct fake_host *fake = source_that_is_ready();
	fake->busy_after = 1;
	publish_numbers(0, 5);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_busy, fake));
	suite_end(fake);
}

/* How many offers of `n` come while no receipt is given. */
static size_t open_offers(size_t n)
{
	return suite_peer->open_offers && suite_peer->open_offers < n ? suite_peer->open_offers : n;
}

/* Without a receipt nothing is acknowledged: the next life of the link gets it again. */
static void test_no_receipt_no_acknowledgement(void)
{
	struct fake_host *fake = source_that_is_ready();
	fake->hold_receipts = true;
	publish_numbers(0, 10);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, open_offers(10)));
	suite_end(fake);
	fake = suite_link(true);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 10));
	suite_check_numbers(fake->offers, fake->n_offers, 10, false);
	suite_end(fake);
}

/* With its receipt a message is acknowledged, and does not come again. */
static void test_receipt_acknowledges(void)
{
	struct fake_host *fake = source_that_is_ready();
	publish_numbers(0, 10);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 10));
	publish_numbers(10, 1); /* comes after the acknowledgements were written */
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 11));
	suite_end(fake);
	fake = suite_link(true); /* whose session has its subscription */
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	size_t before = fake->n_offers; /* the eleventh may be repeated, but nothing before it */
	publish_numbers(11, 1);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, before + 1));
	for (size_t i = 0; i < fake->n_offers; i++)
		CU_ASSERT_TRUE(suite_number(message_view(fake->offers[i])->payload) >= 10);
	suite_end(fake);
}

struct repetitions_wanted {
	const struct fake_host *fake;
	size_t n;
};

static bool repetitions_came(void *arg)
{
	const struct repetitions_wanted *wanted = arg;
	return wanted->fake->n_repetitions >= wanted->n;
}

/* Exactly once: the repetitions of `open` messages are known for what they are, and offered without a message. Else they
 * are offered again. Returns how many were. */
static size_t run_until_repeated(struct fake_host *fake, size_t open)
{
	struct repetitions_wanted wanted = {fake, open};
	if (!suite_repeats_allowed()) {
		CU_ASSERT_TRUE(fake_host_run_until(fake, repetitions_came, &wanted));
		return 0;
	}
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 2 * open));
	return open;
}

static void test_lost_with_receipts_open(void)
{
	struct fake_host *fake = source_that_is_ready();
	fake->hold_receipts = true;
	size_t open = open_offers(10);
	publish_numbers(0, 10);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, open));
	suite_peer->lose();
	suite_peer->find();
	size_t repeated = run_until_repeated(fake, open);
	fake_host_give_receipts(fake);
	publish_numbers(10, 5);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, repeated + 15));
	suite_check_numbers(fake->offers, fake->n_offers, 15, suite_repeats_allowed());
	CU_ASSERT_TRUE(fake->downs >= 1);
	suite_end(fake);
}

static void test_lost_while_paused(void)
{
	struct fake_host *fake = source_that_is_ready();
	fake->busy_after = 3;
	publish_numbers(0, 10);
	CU_ASSERT_TRUE(fake_host_run_until(fake, is_busy, fake));
	unsigned ups = fake->ups;
	suite_peer->lose();
	suite_peer->find();
	CU_ASSERT_TRUE(suite_peer->down_while_paused || fake_host_run_until_up(fake));
	fake_host_resume(fake, 0);
	publish_numbers(10, 1);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 11));
	while (suite_number(message_view(fake->offers[fake->n_offers - 1])->payload) != 10)
		CU_ASSERT_TRUE_FATAL(fake_host_run_until_offers(fake, fake->n_offers + 1));
	suite_check_numbers(fake->offers, fake->n_offers, 11, suite_repeats_allowed());
	CU_ASSERT_TRUE(fake->ups >= ups);
	suite_end(fake);
}

static void test_stop_intake(void)
{
	struct fake_host *fake = source_that_is_ready();
	publish_numbers(0, 3);
	CU_ASSERT_TRUE(fake_host_run_until_offers(fake, 3));
	fake->connector->stop_intake(fake->link);
	publish_numbers(3, 3);
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->n_offers, 3);
	suite_end(fake);
}

const struct suite_test suite_source_tests[] = {
	{"source: offers in order", test_offers_in_order, NEEDS_SOURCE},
	{"source: empty, binary and large payload", test_offered_payloads, NEEDS_SOURCE},
	{"source: pause and resume", test_pause_and_resume, NEEDS_SOURCE},
	{"source: stop while paused", test_stop_while_paused, NEEDS_SOURCE},
	{"source: no acknowledgement without a receipt", test_no_receipt_no_acknowledgement,
		NEEDS_SOURCE | NEEDS_REPEATS},
	{"source: a receipt acknowledges", test_receipt_acknowledges, NEEDS_SOURCE | NEEDS_REPEATS},
	{"source: peer lost with receipts open", test_lost_with_receipts_open,
		NEEDS_SOURCE | NEEDS_LOSE | NEEDS_REPEATS},
	{"source: peer lost while paused", test_lost_while_paused, NEEDS_SOURCE | NEEDS_LOSE | NEEDS_REPEATS},
	{"source: stop_intake", test_stop_intake, NEEDS_SOURCE},
	{NULL, NULL, 0},
};
