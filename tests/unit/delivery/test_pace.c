/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets: the rate over a long time exactly, bursts, debts, and that nobody is woken for nothing.
 */
#include "delivery/pace.h"

#include "tests/unit/tap.h"

/* Sends whatever is allowed for that long, as a courier does; returns how many messages went. */
struct run {
	uint64_t sent, wakes, most_at_once;
};

static struct run run(struct pace *pace, uint64_t *now_ms, uint64_t until_ms, uint64_t bytes)
{
	struct run run = {0};
	while (*now_ms < until_ms) {
		uint64_t at_once = 0;
		for (; pace_allows(pace, *now_ms); at_once++)
			pace_take(pace, bytes);
		run.sent += at_once;
		run.wakes++;
		if (at_once > run.most_at_once)
			run.most_at_once = at_once;
		uint64_t due_ms = pace_due_ms(pace, *now_ms);
		CU_ASSERT_FATAL(due_ms > *now_ms); /* else it would turn in circles */
		*now_ms = due_ms;
	}
	return run;
}

static void test_no_limit(void)
{
	struct pace pace;
	pace_init(&pace, 0, 0, 5);
	CU_ASSERT_FALSE(pace.limited);
	for (int i = 0; i < 1000; i++) {
		CU_ASSERT(pace_allows(&pace, 5));
		pace_take(&pace, UINT64_C(1) << 25);
	}
}

static void test_messages(void)
{
	static const uint64_t rates[] = {1, 3, 7, 10, 99, 500, 1001, 30000, 1000000};
	for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		struct pace pace;
		uint64_t now_ms = 12345, burst = rates[i] < 20 ? 1 : rates[i] / 10;
		pace_init(&pace, rates[i], 0, now_ms);
		struct run all = run(&pace, &now_ms, 12345 + 1000000, 1u << 30);
		/* 1,000 seconds: not one more or less than they allow, but the burst at the beginning and the last gathering. */
		CU_ASSERT(all.sent <= rates[i] * 1000 + burst);
		CU_ASSERT(all.sent + burst >= rates[i] * 1000);
		CU_ASSERT_EQUAL(all.most_at_once, burst);
		CU_ASSERT(all.wakes <= 1000 * 110 && all.wakes <= all.sent + 1);
	}
}

static void test_bytes(void)
{
	struct pace pace;
	uint64_t now_ms = 0;
	pace_init(&pace, 0, 1000000, now_ms);
	struct run small = run(&pace, &now_ms, 100000, 333);
	CU_ASSERT(small.sent * 333 <= 100000000 + 100000 + 333);
	CU_ASSERT(small.sent * 333 >= 100000000 - 20000);
	CU_ASSERT(small.most_at_once * 333 < 100000 + 2 * 333);
}

/* Larger than the bucket: goes whole, and is paid for. */
static void test_a_large_message(void)
{
	struct pace pace;
	uint64_t now_ms = 0;
	pace_init(&pace, 0, 1000, now_ms);
	CU_ASSERT(pace_allows(&pace, 0));
	pace_take(&pace, 33000000);
	CU_ASSERT_FALSE(pace_allows(&pace, 0));
	uint64_t due_ms = pace_due_ms(&pace, 0);
	CU_ASSERT(due_ms >= 32999900 && due_ms <= 33000000);
	CU_ASSERT_FALSE(pace_allows(&pace, due_ms - 20));
	CU_ASSERT(pace_allows(&pace, due_ms));
	struct run large = run(&pace, &due_ms, due_ms + 1000000, 5000);
	CU_ASSERT(large.sent >= 200 && large.sent <= 201);
	CU_ASSERT_EQUAL(large.most_at_once, 1);
}

/* The stricter one counts. */
static void test_both(void)
{
	struct pace pace;
	uint64_t now_ms = 0;
	pace_init(&pace, 100, 1000000, now_ms);
	struct run few = run(&pace, &now_ms, 100000, 100);
	CU_ASSERT(few.sent >= 9990 && few.sent <= 10010);
	struct run large = run(&pace, &now_ms, now_ms + 100000, 100000);
	CU_ASSERT(large.sent >= 990 && large.sent <= 1010);
}

/* Time in which nothing was sent is worth one burst, however long. */
static void test_a_long_pause(void)
{
	struct pace pace;
	uint64_t now_ms = 0;
	pace_init(&pace, 1000, INT64_MAX, now_ms);
	run(&pace, &now_ms, 1000, 1);
	now_ms = UINT64_MAX / 2;
	struct run after = run(&pace, &now_ms, now_ms + 1, 1);
	CU_ASSERT_EQUAL(after.sent, 100);
	CU_ASSERT(pace_allows(&pace, now_ms));
	CU_ASSERT_FALSE(pace_allows(&pace, 17) && pace.at_ms < now_ms); /* a clock that goes back gives nothing */
}

static const struct tap_test tests[] = {
	{"no limit", test_no_limit},
	{"messages", test_messages},
	{"bytes", test_bytes},
	{"a large message", test_a_large_message},
	{"both", test_both},
	{"a long pause", test_a_long_pause},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("pace", tests);
}
