/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance of a sink: what arrives, in which order, with which outcomes, whatever happens to the peer meanwhile.
 */
#include <stdlib.h>

#include "tests/conformance/suite.h"

static struct fake_host *link_that_is_up(void)
{
	struct fake_host *fake = suite_link(false);
	fake->resend_retries = true;
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	return fake;
}

static void check_all_delivered(struct fake_host *fake, unsigned n, bool repeats_allowed)
{
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(suite_count(fake, OUTCOME_DELIVERED), n);
	CU_ASSERT_TRUE(suite_run_until_numbers(fake, n)); /* repeats arrive before the last of them */
	const struct arrivals *arrivals = suite_peer->arrived();
	suite_check_numbers(arrivals->items, arrivals->n, n, repeats_allowed && suite_repeats_allowed());
}

static void test_arrives_once_in_order(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_deliver_numbers(fake, 0, 3000);
	check_all_delivered(fake, 3000, false);
	CU_ASSERT_EQUAL(fake->downs, 0);
	for (uint64_t seq = 1; seq <= 3000; seq++)
		CU_ASSERT_EQUAL(fake_host_delivery(fake, seq)->sends, 1);
	suite_end(fake);
}

/* Empty, one zero, every byte, and the largest: byte by byte. */
static void test_payloads(void)
{
	size_t max = suite_peer->max_payload;
	uint8_t *bytes = malloc(max);
	for (size_t i = 0; i < max; i++)
		bytes[i] = (uint8_t)(i + i / 256);
	const struct slice payloads[] = {
		slice_of("", 0), slice_of("\0", 1), slice_of(bytes, 256), slice_of(bytes, max), slice_str("after")};
	const size_t n = sizeof payloads / sizeof payloads[0];
	struct fake_host *fake = link_that_is_up();
	for (size_t i = 0; i < n; i++) {
		struct message_view view = suite_message(payloads[i]);
		fake_host_deliver(fake, &view);
	}
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	CU_ASSERT_EQUAL(suite_count(fake, OUTCOME_DELIVERED), n);
	CU_ASSERT_TRUE_FATAL(suite_run_until_arrived(fake, n));
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_TRUE(slice_equal(message_view(suite_peer->arrived()->items[i])->payload, payloads[i]));
	suite_end(fake);
	free(bytes);
}

static void test_one_after_the_other(void)
{
	struct fake_host *fake = link_that_is_up();
	for (unsigned i = 0; i < 20; i++) {
		suite_deliver_numbers(fake, i, 1);
		CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	}
	check_all_delivered(fake, 20, false);
	suite_end(fake);
}

static bool some_in_flight(void *arg)
{
	return ((struct fake_host *)arg)->n_in_flight > 0;
}

static bool some_ended(void *arg)
{
	return ((struct fake_host *)arg)->n_ended > 0;
}

/* Nothing counts as delivered before the peer has said so. */
static void test_slow_peer(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_peer->slow();
	suite_deliver_numbers(fake, 0, 500);
	CU_ASSERT_TRUE(fake_host_run_until(fake, some_in_flight, fake));
	CU_ASSERT_EQUAL(fake->n_ended, 0);
	suite_peer->find();
	check_all_delivered(fake, 500, fake->downs > 0);
	suite_end(fake);
}

static void test_lost_while_sending(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_deliver_numbers(fake, 0, 3000);
	CU_ASSERT_TRUE(fake_host_run_until(fake, some_ended, fake));
	suite_peer->lose();
	suite_deliver_numbers(fake, 3000, 500);
	CU_ASSERT_TRUE(suite_run_until_logged(fake, NULL));
	suite_peer->find();
	check_all_delivered(fake, 3500, true);
	suite_end(fake);
}

static void test_lost_before_answering(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_peer->slow();
	suite_deliver_numbers(fake, 0, 200);
	CU_ASSERT_TRUE(fake_host_run_until(fake, some_in_flight, fake));
	suite_peer->lose();
	suite_peer->find();
	check_all_delivered(fake, 200, true);
	suite_end(fake);
}

struct ended_wanted {
	const struct fake_host *fake;
	size_t n;
};

static bool more_ended(void *arg)
{
	const struct ended_wanted *wanted = arg;
	return wanted->fake->n_ended > wanted->n;
}

static void test_flapping(void)
{
	struct fake_host *fake = link_that_is_up();
	for (unsigned i = 0; i < 5; i++) {
		struct ended_wanted wanted = {fake, fake->n_ended};
		suite_deliver_numbers(fake, i * 100, 100);
		CU_ASSERT_TRUE(fake_host_run_until(fake, more_ended, &wanted));
		suite_peer->lose();
		suite_peer->find();
	}
	check_all_delivered(fake, 500, true);
	suite_end(fake);
}

static void test_comes_back_when_idle(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_deliver_numbers(fake, 0, 1);
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	suite_peer->lose();
	suite_peer->find();
	suite_deliver_numbers(fake, 1, 1);
	check_all_delivered(fake, 2, true);
	suite_end(fake);
}

static void test_stop_in_flight(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_peer->slow();
	suite_deliver_numbers(fake, 0, 500);
	CU_ASSERT_TRUE(fake_host_run_until(fake, some_in_flight, fake));
	suite_end(fake);
}

static bool some_handed_over(void *arg)
{
	return some_in_flight(arg) || some_ended(arg);
}

static void test_stop_in_flight_when_lost(void)
{
	struct fake_host *fake = link_that_is_up();
	suite_deliver_numbers(fake, 0, 500);
	CU_ASSERT_TRUE(fake_host_run_until(fake, some_handed_over, fake));
	suite_peer->lose();
	suite_end(fake);
}

const struct suite_test suite_sink_tests[] = {
	{"sink: all arrives once and in order", test_arrives_once_in_order, NEEDS_SINK},
	{"sink: empty, binary and largest payload", test_payloads, NEEDS_SINK},
	{"sink: one after the other", test_one_after_the_other, NEEDS_SINK},
	{"sink: a slow peer, and no outcome before its answer", test_slow_peer, NEEDS_SINK | NEEDS_SLOW},
	{"sink: peer lost while sending", test_lost_while_sending, NEEDS_SINK | NEEDS_LOSE},
	{"sink: peer lost before it answered", test_lost_before_answering, NEEDS_SINK | NEEDS_LOSE | NEEDS_SLOW},
	{"sink: a peer that flaps", test_flapping, NEEDS_SINK | NEEDS_LOSE},
	{"sink: comes back by itself when idle", test_comes_back_when_idle, NEEDS_SINK | NEEDS_LOSE},
	{"sink: stop with deliveries in flight", test_stop_in_flight, NEEDS_SINK | NEEDS_SLOW},
	{"sink: stop with deliveries in flight, peer lost", test_stop_in_flight_when_lost, NEEDS_SINK | NEEDS_LOSE},
	{NULL, NULL, 0},
};
