/* SPDX-License-Identifier: Apache-2.0
 *
 * Order per key: lists in seq order, the queue of ready keys, growing, and many random steps beside a plain model.
 */
#include "delivery/key_table.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

#define CAPACITY 256u

static struct window window;
static struct key_table table;

static void setup(void)
{
	CU_ASSERT_EQUAL_FATAL(window_init(&window, 1), 0);
	CU_ASSERT_EQUAL_FATAL(window_grow(&window, CAPACITY), 0);
	key_table_init(&table);
	CU_ASSERT_EQUAL_FATAL(key_table_reserve(&table, CAPACITY), 0);
	struct message_view view = {.topic = slice_str("t")};
	struct message *msg = message_new(&view);
	for (uint64_t seq = 1; seq < CAPACITY; seq++)
		window_add(&window, seq, seq, 1, message_ref(msg));
	message_unref(msg);
}

static void teardown(void)
{
	key_table_fini(&table);
	window_fini(&window);
}

static void test_list(void)
{
	setup();
	struct key *key = key_table_get(&table, 42);
	key_list_append(key, &window, 10);
	key_list_append(key, &window, 11);
	key_list_insert(key, &window, 2);
	key_list_insert(key, &window, 3);
	key_list_insert(key, &window, 1);
	key_list_insert(key, &window, 5);
	static const uint64_t wanted[] = {1, 2, 3, 5, 10, 11};
	uint64_t seq = key->head;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++, seq = window_slot(&window, seq)->next)
		CU_ASSERT_EQUAL(seq, wanted[i]);
	CU_ASSERT_EQUAL(seq, 0);
	CU_ASSERT_EQUAL(key->tail, 11);
	key_list_remove(key, &window, 5); /* the place where insert would go on */
	key_list_insert(key, &window, 4);
	CU_ASSERT_EQUAL(window_slot(&window, 4)->prev, 3);
	CU_ASSERT_EQUAL(window_slot(&window, 4)->next, 10);
	teardown();
}

static void test_ready(void)
{
	setup();
	struct key *a = key_table_get(&table, 1), *b = key_table_get(&table, 2);
	key_list_append(a, &window, 1);
	key_list_append(b, &window, 2);
	key_table_update(&table, a, &window);
	key_table_update(&table, b, &window);
	CU_ASSERT_PTR_EQUAL(key_table_first_of(&table, 0), a);
	a->busy = 1;
	key_table_update(&table, a, &window);
	CU_ASSERT_PTR_EQUAL(key_table_first_of(&table, 0), b);
	window_slot(&window, 2)->state = HELD_RETRY_WAIT;
	key_table_update(&table, b, &window);
	CU_ASSERT_PTR_NULL(key_table_first_of(&table, 0));
	a->busy = 0;
	key_list_remove(a, &window, 1);
	key_table_update(&table, a, &window); /* idle: gone */
	CU_ASSERT_PTR_NULL(key_table_find(&table, 1));
	CU_ASSERT_EQUAL(table.n_keys, 1);
	key_table_clear(&table);
	CU_ASSERT_PTR_NULL(key_table_find(&table, 2));
	teardown();
}

static void test_growing(void)
{
	setup();
	for (uint64_t hash = 1; hash <= CAPACITY; hash++) {
		struct key *key = key_table_get(&table, hash * 0x10001);
		key->busy = hash;
	}
	CU_ASSERT_EQUAL(key_table_reserve(&table, 4 * CAPACITY), 0);
	for (uint64_t hash = 1; hash <= CAPACITY; hash++) {
		const struct key *key = key_table_find(&table, hash * 0x10001);
		CU_ASSERT_PTR_NOT_NULL_FATAL(key);
		CU_ASSERT_EQUAL(key->busy, hash);
	}
	CU_ASSERT_EQUAL(table.n_keys, CAPACITY);
	teardown();
}

/* busy[] is the model; all hashes fall into four buckets. */
static void test_random_steps(void)
{
	setup();
	bool busy[64] = {false};
	srand(1);
	for (int i = 0; i < 20000; i++) {
		unsigned k = (unsigned)rand() % 64;
		uint64_t hash = ((uint64_t)(k / 4) << 32) | (k % 4);
		struct key *key = key_table_find(&table, hash);
		CU_ASSERT_EQUAL_FATAL(key != NULL, busy[k]);
		if (!key)
			key = key_table_get(&table, hash);
		busy[k] = !busy[k];
		key->busy = busy[k];
		key_table_update(&table, key, &window);
	}
	size_t n = 0;
	for (int k = 0; k < 64; k++)
		n += busy[k];
	CU_ASSERT_EQUAL(table.n_keys, n);
	CU_ASSERT(table.n_touched <= 64);
	teardown();
}

static void test_hash(void)
{
	CU_ASSERT_NOT_EQUAL(key_hash(slice_str("a"), 1), key_hash(slice_str("b"), 1));
	CU_ASSERT_NOT_EQUAL(key_hash(slice_str("a"), 1), key_hash(slice_str("a"), 2));
	CU_ASSERT_EQUAL(key_hash(slice_str("a"), 1), key_hash(slice_str("a"), 1));
	(void)key_hash((struct slice){NULL, 0}, 1);
}

static const struct tap_test tests[] = {
	{"a list keeps seq order", test_list},
	{"ready keys", test_ready},
	{"growing", test_growing},
	{"random steps", test_random_steps},
	{"hash", test_hash},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("key table", tests);
}
