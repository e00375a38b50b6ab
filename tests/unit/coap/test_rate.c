/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets that fill and empty, and a table that is full.
 */
#include <stdio.h>

#include "connectors/coap/rate.h"
#include "tests/unit/tap.h"

static struct rate *made(uint32_t per_second, uint32_t burst, size_t max_peers)
{
	struct rate *rate = NULL;
	CU_ASSERT_EQUAL_FATAL(rate_new(per_second, burst, max_peers, &rate), 0);
	return rate;
}

static uint64_t take(struct rate *rate, const char *peer, uint64_t now_ms)
{
	return rate_take(rate, slice_str(peer), now_ms);
}

static void a_bucket_empties_and_fills(void)
{
	struct rate *rate = made(10, 3, 4);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(take(rate, "a", 1000), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 1000), 100);
	CU_ASSERT_EQUAL(take(rate, "a", 1040), 60);
	CU_ASSERT_EQUAL(take(rate, "b", 1040), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 1099), 1);
	CU_ASSERT_EQUAL(take(rate, "a", 1100), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 1100), 100);
	/* However long it waits, there is never more in it than a burst. */
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(take(rate, "a", 1000000), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 1000000), 100);
	rate_free(rate);
}

static void rates_are_kept(void)
{
	static const uint32_t rates[] = {1, 3, 7, 100, 999, 5000};
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		struct rate *rate = made(rates[i], 10, 4);
		unsigned n = 0;
		for (uint64_t now_ms = 1; now_ms <= 10000; now_ms++)
			while (n < 100000 && take(rate, "a", now_ms) == 0)
				n++;
		CU_ASSERT(n >= rates[i] * 10 && n <= rates[i] * 10 * 101 / 100 + 10);
		rate_free(rate);
	}
}

static void refusals_take_nothing(void)
{
	struct rate *rate = made(1, 1, 4);
	CU_ASSERT_EQUAL(take(rate, "a", 0), 0);
	for (uint64_t now_ms = 0; now_ms < 1000; now_ms++)
		CU_ASSERT_EQUAL(take(rate, "a", now_ms), 1000 - now_ms);
	CU_ASSERT_EQUAL(take(rate, "a", 1000), 0);
	rate_free(rate);
}

static void who_has_not_taken_goes_first(void)
{
	struct rate *rate = made(1, 2, 3);
	/* "a" is the oldest and has taken most; "b" is full again. */
	CU_ASSERT_EQUAL(take(rate, "a", 0), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 0), 0);
	CU_ASSERT_EQUAL(take(rate, "b", 1), 0);
	CU_ASSERT_EQUAL(take(rate, "c", 1500), 0);
	CU_ASSERT_EQUAL(take(rate, "d", 1500), 0); /* in the place of b */
	CU_ASSERT_EQUAL(take(rate, "a", 1500), 0);
	CU_ASSERT_EQUAL(take(rate, "a", 1500), 500); /* it is remembered */
	/* Nobody is full: the one that has been heard of least lately goes. */
	CU_ASSERT_EQUAL(take(rate, "e", 1500), 0); /* in the place of c */
	CU_ASSERT_EQUAL(take(rate, "d", 1500), 0);
	CU_ASSERT_EQUAL(take(rate, "d", 1500), 1000);
	CU_ASSERT_EQUAL(take(rate, "a", 1500), 500);
	rate_free(rate);
}

static void many_peers_are_bounded(void)
{
	struct rate *rate = made(1, 1, 100);
	char name[16];
	unsigned n_wrong = 0;
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "%u", i * 7919 % 1000);
		(void)take(rate, name, i);
		snprintf(name, sizeof name, "%u", i * 7919 % 1000);
		n_wrong += take(rate, name, i) == 0; /* the last one is known */
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	rate_free(rate);
	rate = made(1, 1, 1);
	CU_ASSERT_EQUAL(take(rate, "a", 0), 0);
	CU_ASSERT_EQUAL(take(rate, "b", 0), 0);
	CU_ASSERT_EQUAL(take(rate, "b", 0), 1000);
	rate_free(rate);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a bucket empties and fills", a_bucket_empties_and_fills},
		{"rates are kept", rates_are_kept},
		{"a refusal takes nothing", refusals_take_nothing},
		{"a full table lets those go who have not taken", who_has_not_taken_goes_first},
		{"many peers are bounded", many_peers_are_bounded},
		{NULL, NULL},
	};
	return tap_main("coap rate", tests);
}
