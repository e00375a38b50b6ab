/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of held messages: the head, its gaps, the tail, growing, and what is counted.
 */
#include "delivery/window.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

static struct message *message(void)
{
	struct message_view view = {.topic = slice_str("t"), .payload = slice_str("x")};
	return message_new(&view);
}

static void test_head(void)
{
	struct window window;
	CU_ASSERT_EQUAL(window_init(&window, 7), 0);
	CU_ASSERT_PTR_NULL(window_find(&window, 7));
	window_add(&window, 7, 70, 1, message());
	window_add(&window, 10, 100, 1, message()); /* 8 and 9 are done */
	CU_ASSERT_PTR_NOT_NULL(window_find(&window, 7));
	CU_ASSERT_PTR_NULL(window_find(&window, 8));
	CU_ASSERT_PTR_NULL(window_find(&window, 11));
	CU_ASSERT_EQUAL(window_find(&window, 10)->lsn, 100);
	CU_ASSERT_EQUAL(window.n_held, 2);
	window_release(&window, 7);
	CU_ASSERT_EQUAL(window.first, 10);
	window_release(&window, 10);
	CU_ASSERT_EQUAL(window.first, 11);
	CU_ASSERT_EQUAL(window.end, 11);
	CU_ASSERT_EQUAL(window.held_bytes, 0);
	window_fini(&window);
}

static void test_an_empty_head_jumps(void)
{
	struct window window;
	CU_ASSERT_EQUAL(window_init(&window, 1), 0);
	window_skip(&window, 1000000);
	CU_ASSERT_EQUAL(window.first, 1000000);
	window_skip(&window, 5); /* never back */
	CU_ASSERT_EQUAL(window.end, 1000000);
	window_fini(&window);
}

static void test_tail(void)
{
	struct window window;
	CU_ASSERT_EQUAL(window_init(&window, 1), 0);
	window_add(&window, 1, 1, 1, message());
	window_add_tail(&window, 4, 4, 1, message());
	window_add_tail(&window, 5, 5, 1, message());
	CU_ASSERT_PTR_NULL(window_find(&window, 4)); /* not before the gap is closed */
	window_join(&window);
	CU_ASSERT_EQUAL(window.end, 2);
	window_skip(&window, 4);
	window_join(&window);
	CU_ASSERT_EQUAL(window.end, 6);
	CU_ASSERT_FALSE(window_has_tail(&window));
	CU_ASSERT_PTR_NOT_NULL(window_find(&window, 5));
	window_add_tail(&window, 9, 9, 1, message());
	window_slot(&window, 9)->expires = true;
	window.n_expiring = 1;
	window_drop_tail(&window);
	CU_ASSERT_EQUAL(window.n_held, 3);
	CU_ASSERT_EQUAL(window.n_expiring, 0);
	CU_ASSERT_FALSE(window_has_tail(&window));
	window_fini(&window);
}

static void test_growing_keeps_both_runs(void)
{
	struct window window;
	CU_ASSERT_EQUAL(window_init(&window, 1000), 0);
	for (uint64_t seq = 1000; seq < 1040; seq++)
		window_add(&window, seq, seq, 1, message());
	for (uint64_t seq = 1050; seq < 1060; seq++)
		window_add_tail(&window, seq, seq, 1, message());
	window_release(&window, 1001);
	CU_ASSERT_EQUAL(window_grow(&window, 4096), 0);
	CU_ASSERT_PTR_NULL(window_find(&window, 1001));
	for (uint64_t seq = 1002; seq < 1040; seq++)
		CU_ASSERT_EQUAL(window_find(&window, seq)->lsn, seq);
	window_skip(&window, 1050);
	window_join(&window);
	for (uint64_t seq = 1050; seq < 1060; seq++)
		CU_ASSERT_EQUAL(window_find(&window, seq)->lsn, seq);
	CU_ASSERT_EQUAL(window.n_held, 49);
	window_fini(&window);
}

static const struct tap_test tests[] = {
	{"the head and its gaps", test_head},
	{"an empty head jumps", test_an_empty_head_jumps},
	{"the tail", test_tail},
	{"growing keeps both runs", test_growing_keeps_both_runs},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("window", tests);
}
