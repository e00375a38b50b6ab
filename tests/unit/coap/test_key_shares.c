/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of hosts: counted as long as they live, of either kind, however many there are.
 */
#include "connectors/coap/dedupe.h"
#include "connectors/coap/key_shares.h"
#include "connectors/coap/shares.h"
#include "tests/unit/tap.h"

static struct key_shares *made(void)
{
	struct key_shares *keys = NULL;
	CU_ASSERT_EQUAL_FATAL(key_shares_new(&keys), 0);
	return keys;
}

/* Has it exactly n? */
static bool has(struct key_shares *keys, const char *host, uint64_t n, uint64_t now_ms)
{
	return key_shares_may_take(keys, slice_str(host), n / SHARES_FACTOR + 1, now_ms) &&
	       (n < SHARES_FACTOR || !key_shares_may_take(keys, slice_str(host), n / SHARES_FACTOR, now_ms));
}

static void keys_count_as_long_as_they_live(void)
{
	struct key_shares *keys = made();
	for (int i = 0; i < 16; i++) {
		key_shares_take(keys, slice_str("a"), true, 1001);
		key_shares_take(keys, slice_str("a"), false, 1001);
	}
	for (int i = 0; i < 16; i++)
		key_shares_take(keys, slice_str("b"), false, 3000);
	CU_ASSERT(has(keys, "a", 32, 3000) && has(keys, "b", 16, 3000) && has(keys, "c", 0, 3000));
	CU_ASSERT(has(keys, "a", 32, 1001 + DEDUPE_NON_MS));
	CU_ASSERT(has(keys, "a", 16, 2000 + DEDUPE_NON_MS) && has(keys, "b", 16, 2000 + DEDUPE_NON_MS));
	CU_ASSERT(has(keys, "b", 0, 3000 + DEDUPE_NON_MS));
	CU_ASSERT(has(keys, "a", 16, 1001 + DEDUPE_CON_MS));
	CU_ASSERT(has(keys, "a", 0, 2000 + DEDUPE_CON_MS));
	key_shares_free(keys);
	key_shares_free(NULL);
}

/* More and more of them while old ones expire: the rings turn and grow. */
static void rings_turn_and_grow(void)
{
	struct key_shares *keys = made();
	unsigned n_wrong = 0;
	uint64_t now_ms = 0;
	for (uint64_t a_second = 8; a_second <= 64; a_second += 8)
		for (unsigned second = 0; second < 2 * DEDUPE_CON_MS / 1000; second++, now_ms += 1000) {
			for (uint64_t i = 0; i < a_second; i++)
				key_shares_take(keys, slice_str("a"), true, now_ms);
			if (second >= DEDUPE_CON_MS / 1000)
				n_wrong += !has(keys, "a", a_second * DEDUPE_CON_MS / 1000, now_ms);
		}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT(has(keys, "a", 0, now_ms + DEDUPE_CON_MS));
	key_shares_free(keys);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"keys count as long as they live", keys_count_as_long_as_they_live},
		{"the rings turn and grow", rings_turn_and_grow},
		{NULL, NULL},
	};
	return tap_main("coap key shares", tests);
}
