/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages that overtake: found by seq, walked in order, beside a plain model; and how the window finds them.
 */
#include "delivery/lane.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

static struct message *message(void)
{
	struct message_view view = {.topic = slice_str("t"), .payload = slice_str("x")};
	return message_new(&view);
}

#define MODEL 100000u
static bool present[MODEL];

static void check_walk(const struct lane *lane)
{
	uint64_t wrong = 0, n = 0, seq = lane_first(lane);
	for (uint64_t i = 1; i < MODEL; i++) {
		if (!present[i])
			continue;
		wrong += seq != i;
		wrong += lane_find(lane, i) == NULL || lane_find(lane, i)->lsn != i;
		seq = lane_next(lane, i);
		n++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(seq, 0);
	CU_ASSERT_EQUAL(n, lane->n);
}

static void test_beside_a_model(void)
{
	struct lane *lane = lane_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(lane);
	uint64_t state = 7;
	memset(present, 0, sizeof present);
	for (unsigned i = 0; i < 100000; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		uint64_t seq = 1 + (state >> 33) % (MODEL - 1);
		if (present[seq]) {
			lane_remove(lane, seq);
			present[seq] = false;
		} else if (lane->n < LANE_MESSAGES) {
			lane_add(lane, seq, seq, 1, message());
			present[seq] = true;
		}
		if (i % 10000 == 0)
			check_walk(lane);
	}
	CU_ASSERT(lane->n > 100);
	for (uint64_t seq = lane_first(lane); seq; seq = lane_first(lane))
		lane_remove(lane, seq);
	CU_ASSERT(lane->n == 0 && lane->bytes == 0);
	for (uint64_t seq = 1; seq <= LANE_MESSAGES; seq++)
		lane_add(lane, seq * 61440, seq, 1, message()); /* full, and all in few buckets */
	CU_ASSERT_PTR_NULL(lane_find(lane, 1));
	lane_free(lane);
}

static void test_in_a_window(void)
{
	struct window window;
	CU_ASSERT_EQUAL(window_init(&window, 10), 0);
	window.lane = lane_new();
	window_add(&window, 10, 1, 1, message());
	window_add(&window, 11, 2, 1, message());
	lane_add(window.lane, 12, 3, 1, message());
	window_skip(&window, 13);
	window_add(&window, 13, 4, 1, message());
	CU_ASSERT_EQUAL(window_find(&window, 12)->lsn, 3);
	CU_ASSERT_EQUAL(window_head_slot(&window, 12)->state, HELD_GONE);
	CU_ASSERT_EQUAL(window.n_held, 3);
	window_release(&window, 10);
	window_release(&window, 11);
	CU_ASSERT_EQUAL(window.first, 13); /* past the one that is apart */
	CU_ASSERT_EQUAL(window_oldest(&window), 12);
	window_release(&window, 12);
	CU_ASSERT_PTR_NULL(window_find(&window, 12));
	CU_ASSERT_EQUAL(window_oldest(&window), 13);
	lane_add(window.lane, 5000000, 9, 1, message());
	CU_ASSERT_EQUAL(window_find(&window, 5000000)->lsn, 9);
	CU_ASSERT_EQUAL(window_slot(&window, 5000000)->lsn, 9);
	window_fini(&window);
}

/* What has not been looked at yet goes on with the next one when it goes. */
static void test_unsifted(void)
{
	struct lane *lane = lane_new();
	lane_add(lane, 5, 5, 1, message());
	lane_add(lane, 7, 7, 1, message());
	lane->unsifted = 5;
	lane_remove(lane, 5);
	CU_ASSERT_EQUAL(lane->unsifted, 7);
	lane_remove(lane, 7);
	CU_ASSERT_EQUAL(lane->unsifted, 0);
	lane_free(lane);
}

static const struct tap_test tests[] = {
	{"beside a model", test_beside_a_model},
	{"in a window", test_in_a_window},
	{"what is unsifted", test_unsifted},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("lane", tests);
}
