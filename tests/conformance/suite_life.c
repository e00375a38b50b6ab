/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: the life of a link. Connecting to what is not there, credentials that are refused, coming back, and stop
 * in every state.
 */
#include "tests/conformance/suite.h"

static void test_destroy_without_start(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_destroy_link(fake);
	CU_ASSERT_EQUAL(fake->stops, 0);
	CU_ASSERT_EQUAL(fake->breaches, 0);
	fake_host_free(fake);
}

static void test_stop_without_start(void)
{
	struct fake_host *fake = suite_link(true);
	suite_end(fake);
}

static void test_stop_at_once(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	suite_end(fake);
}

static void test_stop_when_up(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	CU_ASSERT_EQUAL(fake->ups, 1);
	CU_ASSERT_EQUAL(fake->alarms, 0);
	suite_end(fake);
}

/* One answer, however often it is asked. */
static void test_stop_twice(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	fake->connector->stop(fake->link, 1000);
	CU_ASSERT_TRUE(fake_host_stop(fake));
	CU_ASSERT_EQUAL(fake->stops, 1);
	suite_end(fake);
}

static void test_stop_intake_first(void)
{
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	fake->connector->stop_intake(fake->link);
	suite_end(fake);
}

/* Such a peer shows how it is by what it does with a delivery. */
static void ask_sessionless(struct fake_host *fake)
{
	if (suite_peer->sessionless)
		suite_deliver_numbers(fake, 0, 1);
}

/* Refused, seen in the log, tried again, and up by itself once somebody is there. */
static void test_refused_connection(void)
{
	suite_peer->lose();
	struct fake_host *fake = suite_link(true);
	fake->resend_retries = true;
	fake_host_start(fake);
	ask_sessionless(fake);
	CU_ASSERT_TRUE(suite_run_until_logged(fake, NULL));
	CU_ASSERT_EQUAL(fake->ups, suite_peer->sessionless);
	suite_peer->find();
	CU_ASSERT_TRUE(fake_host_run_until_up(fake));
	CU_ASSERT_TRUE(fake_host_run_until_ended(fake));
	suite_end(fake);
}

static void test_stop_while_refused(void)
{
	suite_peer->lose();
	struct fake_host *fake = suite_link(true);
	fake->resend_retries = true;
	fake_host_start(fake);
	ask_sessionless(fake);
	CU_ASSERT_TRUE(suite_run_until_logged(fake, NULL));
	suite_end(fake);
}

static void test_stop_while_connecting(void)
{
	suite_peer->slow();
	struct fake_host *fake = suite_link(true);
	fake_host_start(fake);
	ask_sessionless(fake);
	suite_end(fake);
}

static void test_bad_credentials(void)
{
	struct fake_host *fake = fake_host_new(suite_peer->connector, suite_peer->wrong_credentials(),
		suite_peer->connector->can_sink, suite_peer->subscription, suite_peer->subscription ? 1 : 0);
	fake_host_start(fake);
	ask_sessionless(fake);
	CU_ASSERT_TRUE(fake_host_run_until_alarm(fake));
	CU_ASSERT_EQUAL(fake->ups, suite_peer->sessionless);
	CU_ASSERT_EQUAL(fake->n_ended, 0);
	CU_ASSERT_TRUE(fake->last_alarm[0] != '\0');
	suite_end(fake);
}

const struct suite_test suite_life_tests[] = {
	{"destroy without start", test_destroy_without_start, 0},
	{"stop without start", test_stop_without_start, 0},
	{"stop at once after start", test_stop_at_once, 0},
	{"stop when up", test_stop_when_up, 0},
	{"stop twice", test_stop_twice, 0},
	{"stop_intake, then stop", test_stop_intake_first, 0},
	{"a refused connection is tried until it is taken", test_refused_connection, NEEDS_LOSE},
	{"stop while connections are refused", test_stop_while_refused, NEEDS_LOSE},
	{"stop while connecting", test_stop_while_connecting, NEEDS_SLOW},
	{"bad credentials raise an alarm", test_bad_credentials, NEEDS_CREDENTIALS},
	{NULL, NULL, 0},
};
