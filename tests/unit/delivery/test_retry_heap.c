/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap of what waits for its time: order, removal from the middle, many random steps.
 */
#include "delivery/retry_heap.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

#define N 512u

static void setup(struct window *window, struct retry_heap *heap)
{
	CU_ASSERT_EQUAL_FATAL(window_init(window, 1), 0);
	CU_ASSERT_EQUAL_FATAL(window_grow(window, 2 * N), 0);
	retry_heap_init(heap, window);
	CU_ASSERT_EQUAL_FATAL(retry_heap_reserve(heap, 2 * N), 0);
	struct message_view view = {.topic = slice_str("t")};
	struct message *msg = message_new(&view);
	for (uint64_t seq = 1; seq <= N; seq++)
		window_add(window, seq, seq, 1, message_ref(msg));
	message_unref(msg);
}

static void test_order(void)
{
	struct window window;
	struct retry_heap heap;
	setup(&window, &heap);
	CU_ASSERT_EQUAL(retry_heap_next_ms(&heap), UINT64_MAX);
	CU_ASSERT_EQUAL(retry_heap_pop(&heap, UINT64_MAX - 1), 0);
	retry_heap_push(&heap, 3, 50);
	retry_heap_push(&heap, 2, 50);
	retry_heap_push(&heap, 1, 70);
	CU_ASSERT_EQUAL(retry_heap_pop(&heap, 49), 0);
	CU_ASSERT_EQUAL(retry_heap_pop(&heap, 50), 2); /* due together: by seq */
	CU_ASSERT_EQUAL(retry_heap_pop(&heap, 50), 3);
	CU_ASSERT_EQUAL(retry_heap_next_ms(&heap), 70);
	retry_heap_remove(&heap, 1);
	retry_heap_remove(&heap, 1); /* not there: nothing happens */
	CU_ASSERT_EQUAL(heap.n, 0);
	retry_heap_fini(&heap);
	window_fini(&window);
}

static void test_random_steps(void)
{
	struct window window;
	struct retry_heap heap;
	setup(&window, &heap);
	srand(2);
	for (int round = 0; round < 50; round++) {
		for (uint64_t seq = 1; seq <= N; seq++)
			retry_heap_push(&heap, seq, (uint64_t)rand() % 100);
		size_t n = N;
		for (uint64_t seq = 1; seq <= N; seq++)
			if (rand() % 3 == 0) {
				retry_heap_remove(&heap, seq);
				n--;
			}
		uint64_t before_ms = 0;
		while (heap.n) {
			uint64_t due_ms = retry_heap_next_ms(&heap);
			CU_ASSERT(due_ms >= before_ms);
			before_ms = due_ms;
			uint64_t seq = retry_heap_pop(&heap, due_ms);
			CU_ASSERT_EQUAL(window_slot(&window, seq)->heap_place, 0);
			n--;
		}
		CU_ASSERT_EQUAL(n, 0);
	}
	retry_heap_fini(&heap);
	window_fini(&window);
}

static const struct tap_test tests[] = {
	{"order", test_order},
	{"random steps", test_random_steps},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("retry heap", tests);
}
