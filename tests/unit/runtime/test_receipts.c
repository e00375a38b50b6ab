/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/receipts.h"

#include "tests/unit/tap.h"

static void test_order_and_durability(void)
{
	struct receipts queue = {0};
	struct receipt_slot slot;
	uint64_t next = 0, pushed = 0;
	/* Push and take at different paces, so that the ring wraps and grows in every position. */
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < round % 7; i++) {
			CU_ASSERT_EQUAL_FATAL(receipts_reserve(&queue), 0);
			receipts_push(&queue, pushed, pushed * 3, pushed * 5);
			pushed++;
		}
		CU_ASSERT(!next || !receipts_take(&queue, next - 1, &slot));
		for (unsigned i = 0; i < round % 6 && next < pushed; i++) {
			CU_ASSERT_FATAL(receipts_take(&queue, next, &slot));
			CU_ASSERT_EQUAL(slot.cookie, next * 3);
			CU_ASSERT_EQUAL(slot.at_us, next * 5);
			next++;
		}
	}
	CU_ASSERT_EQUAL(queue.count, pushed - next);
	receipts_clear(&queue);
	CU_ASSERT(!receipts_take(&queue, UINT64_MAX, &slot));
	receipts_free(&queue);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"in order, each only when durable", test_order_and_durability},
		{NULL, NULL},
	};
	return tap_main("receipts", tests);
}
