/* SPDX-License-Identifier: Apache-2.0
 *
 * The circuit breaker against a clock that the test sets.
 */
#include "connectors/http/out_breaker.h"
#include "tests/unit/tap.h"

static uint32_t chance; /* in percent of the bound */

static uint32_t random_below(uint32_t bound)
{
	return (uint32_t)((uint64_t)(bound - 1) * chance / 100);
}

static struct http_breaker new_breaker(uint64_t limit)
{
	chance = 100;
	return (struct http_breaker){.limit = limit, .min_ms = 1000, .max_ms = 60000, .random = random_below};
}

static void test_opens_after_failures_in_a_row(void)
{
	struct http_breaker breaker = new_breaker(3);
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_FALSE(http_breaker_succeeded(&breaker));
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_CLOSED);
	CU_ASSERT_TRUE(http_breaker_failed(&breaker, 5000));
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_OPEN);
	CU_ASSERT_EQUAL(breaker.until_ms, 6000);
	/* Those that were on their way change nothing. */
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 5500));
	CU_ASSERT_FALSE(http_breaker_succeeded(&breaker));
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_OPEN);
	CU_ASSERT_EQUAL(breaker.until_ms, 6000);
}

static void test_one_probe_decides(void)
{
	struct http_breaker breaker = new_breaker(1);
	uint64_t expected_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++) {
		CU_ASSERT_TRUE(http_breaker_failed(&breaker, 100));
		CU_ASSERT_EQUAL(breaker.until_ms, 100 + expected_ms[i]);
		http_breaker_probe(&breaker);
		CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_PROBING);
	}
	CU_ASSERT_TRUE(http_breaker_succeeded(&breaker));
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_CLOSED);
	CU_ASSERT_TRUE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_EQUAL(breaker.until_ms, 1000);
}

static void test_jitter(void)
{
	struct http_breaker breaker = new_breaker(1);
	chance = 0;
	CU_ASSERT_TRUE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_EQUAL(breaker.until_ms, 500);
	http_breaker_probe(&breaker);
	chance = 50;
	CU_ASSERT_TRUE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_EQUAL(breaker.until_ms, 1500);
}

static void test_hold(void)
{
	struct http_breaker breaker = new_breaker(2);
	http_breaker_hold(&breaker, 1000, 7000);
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_OPEN);
	CU_ASSERT_EQUAL(breaker.until_ms, 8000);
	http_breaker_hold(&breaker, 2000, 1000); /* the longer one counts */
	CU_ASSERT_EQUAL(breaker.until_ms, 8000);
	http_breaker_hold(&breaker, 2000, 9000);
	CU_ASSERT_EQUAL(breaker.until_ms, 11000);
	http_breaker_probe(&breaker);
	CU_ASSERT_TRUE(http_breaker_succeeded(&breaker));
	/* To be asked to wait is no failure: the next ones count from the beginning. */
	CU_ASSERT_FALSE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_TRUE(http_breaker_failed(&breaker, 0));
	CU_ASSERT_EQUAL(breaker.until_ms, 1000);
}

static void test_refused(void)
{
	struct http_breaker breaker = new_breaker(5);
	uint64_t expected_ms[] = {60000, 120000, 240000, 480000, 600000, 600000};
	for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++) {
		http_breaker_refused(&breaker, 10);
		CU_ASSERT_EQUAL(breaker.until_ms, 10 + expected_ms[i]);
		http_breaker_probe(&breaker);
	}
	CU_ASSERT_TRUE(http_breaker_succeeded(&breaker));
	http_breaker_refused(&breaker, 0);
	CU_ASSERT_EQUAL(breaker.until_ms, 60000);
	unsigned refusals = breaker.refusals;
	http_breaker_refused(&breaker, 0); /* another that was on its way */
	CU_ASSERT_EQUAL(breaker.refusals, refusals);
}

static void test_probe_of_what_is_closed(void)
{
	struct http_breaker breaker = new_breaker(5);
	http_breaker_probe(&breaker);
	CU_ASSERT_EQUAL(breaker.state, HTTP_BREAKER_CLOSED);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"opens after failures in a row", test_opens_after_failures_in_a_row},
		{"one probe decides, and each time it takes longer", test_one_probe_decides},
		{"up to half of the time is left to chance", test_jitter},
		{"what the destination asks for is kept", test_hold},
		{"no access: a minute to ten", test_refused},
		{"what is closed is not probed", test_probe_of_what_is_closed},
		{NULL, NULL},
	};
	return tap_main("http breaker", tests);
}
