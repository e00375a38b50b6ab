/* SPDX-License-Identifier: Apache-2.0
 *
 * Back-off: the ceiling doubles up to the maximum, the delay is spread over all of it.
 */
#include "delivery/backoff.h"

#include "tests/unit/tap.h"

static void test_ceiling(void)
{
	struct backoff backoff;
	backoff_init(&backoff, 100, 60000, 1);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 1), 100);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 2), 200);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 10), 51200);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 11), 60000);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 64), 60000);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, UINT32_MAX), 60000);
}

static void test_odd_limits(void)
{
	struct backoff backoff;
	backoff_init(&backoff, 0, 0, 1);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 1), 1);
	backoff_init(&backoff, 500, 100, 1);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 9), 500);
	backoff_init(&backoff, 1, UINT64_MAX, 1);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 63), (uint64_t)1 << 62);
	CU_ASSERT_EQUAL(backoff_ceiling_ms(&backoff, 65), UINT64_MAX);
	(void)backoff_delay_ms(&backoff, 65);
}

static void test_jitter_is_full(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct backoff backoff;
		backoff_init(&backoff, 100, 60000, seed);
		unsigned quarters[4] = {0};
		for (int i = 0; i < 4000; i++) {
			uint64_t delay_ms = backoff_delay_ms(&backoff, 4);
			CU_ASSERT_FATAL(delay_ms <= 800);
			quarters[delay_ms * 4 / 801]++;
		}
		for (int i = 0; i < 4; i++)
			CU_ASSERT(quarters[i] > 850 && quarters[i] < 1150);
	}
}

static void test_seeds_differ(void)
{
	struct backoff a, b;
	backoff_init(&a, 1, 1u << 30, 1);
	backoff_init(&b, 1, 1u << 30, 2);
	CU_ASSERT_NOT_EQUAL(backoff_delay_ms(&a, 30), backoff_delay_ms(&b, 30));
}

static const struct tap_test tests[] = {
	{"the ceiling doubles up to the maximum", test_ceiling},
	{"odd limits", test_odd_limits},
	{"the jitter is full", test_jitter_is_full},
	{"seeds differ", test_seeds_differ},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("back-off", tests);
}
