/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/wear.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

#define HOUR ((uint64_t)WEAR_HOUR_MS)

static void test_young(void)
{
	struct wear wear = {0};
	wear_note(&wear, 5 * HOUR, 1000); /* written before the first call: does not count */
	CU_ASSERT_EQUAL(wear_last_day(&wear, 1000), 0);
	CU_ASSERT_EQUAL(wear_last_day(&wear, 1500), 500);
	for (unsigned h = 6; h < 20; h++)
		wear_note(&wear, h * HOUR, 1000 + h);
	CU_ASSERT_EQUAL(wear_last_day(&wear, 3000), 2000);
}

/* Ten bytes a minute, for three days: 23 whole hours and what has passed of this one. */
static void test_steady(void)
{
	for (uint64_t start_h = 0; start_h < 60; start_h += 7) {
		struct wear wear = {0};
		uint64_t count = 0;
		for (uint64_t minute = 0; minute < 72 * 60; minute++, count += 10) {
			wear_note(&wear, start_h * HOUR + minute * 60000, count);
			uint64_t passed = minute < 24 * 60 ? minute : 23 * 60 + minute % 60;
			CU_ASSERT_EQUAL_FATAL(wear_last_day(&wear, count), passed * 10);
		}
	}
}

static void test_sleep(void)
{
	struct wear wear = {0};
	wear_note(&wear, 100 * HOUR, 0);
	wear_note(&wear, 101 * HOUR, 700);
	wear_note(&wear, 110 * HOUR, 800); /* what was written meanwhile counts to the sleep's end */
	CU_ASSERT_EQUAL(wear_last_day(&wear, 900), 900);
	wear_note(&wear, 126 * HOUR, 1000);
	CU_ASSERT_EQUAL(wear_last_day(&wear, 1000), 200);
	wear_note(&wear, 1000000 * HOUR, 5000);
	CU_ASSERT_EQUAL(wear_last_day(&wear, 5001), 1);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"less than a day old", test_young},
		{"the same every minute", test_steady},
		{"hours that nobody told of", test_sleep},
		{NULL, NULL},
	};
	return tap_main("wear", tests);
}
