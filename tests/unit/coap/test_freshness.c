/* SPDX-License-Identifier: Apache-2.0
 *
 * Which notification is newer, at every edge of RFC 7641 §3.4, and when it is time to register again.
 */
#include "connectors/coap/freshness.h"
#include "tests/unit/tap.h"

static struct freshness after(uint32_t sequence, uint64_t now_ms)
{
	struct freshness freshness = {.known = false};
	freshness_take(&freshness, sequence, 60, now_ms, 0, 0, 0);
	return freshness;
}

static bool newer(uint32_t first, uint32_t second)
{
	struct freshness freshness = after(first, 0);
	return freshness_is_newer(&freshness, second, 1000);
}

static void numbers_go_round(void)
{
	CU_ASSERT(newer(0, 1));
	CU_ASSERT(!newer(1, 0));
	CU_ASSERT(!newer(5, 5));
	CU_ASSERT(newer(0, 0x7fffff));
	CU_ASSERT(!newer(0, 0x800000));
	CU_ASSERT(!newer(0, 0xffffff));
	CU_ASSERT(newer(0xffffff, 0));
	CU_ASSERT(newer(0x800001, 0));
	CU_ASSERT(!newer(0x800000, 0));
	CU_ASSERT(newer(0xfffffe, 3));
	CU_ASSERT(!newer(3, 0xfffffe));
	CU_ASSERT(newer(2, 0x1000003)); /* what is beyond 24 bits does not count */
}

static void long_silence_makes_any_number_newer(void)
{
	struct freshness freshness = after(100, 5000);
	CU_ASSERT(!freshness_is_newer(&freshness, 7, 5000 + FRESHNESS_REORDER_MS));
	CU_ASSERT(freshness_is_newer(&freshness, 7, 5001 + FRESHNESS_REORDER_MS));
	CU_ASSERT(freshness_is_newer(&freshness, 100, 5001 + FRESHNESS_REORDER_MS));
}

static void a_registration_begins_anew(void)
{
	struct freshness freshness = {.known = false};
	CU_ASSERT(freshness_is_newer(&freshness, 0, 0));
	freshness = after(100, 0);
	freshness_reset(&freshness);
	CU_ASSERT(freshness_is_newer(&freshness, 7, 0));
	freshness_take(&freshness, 7, 60, 0, 0, 0, 0);
	CU_ASSERT(!freshness_is_newer(&freshness, 6, 0));
}

static void time_to_register_again(void)
{
	struct freshness freshness = {.known = false};
	freshness_take(&freshness, 1, 60, 1000, 0, 0, 0);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + 65000);
	freshness_take(&freshness, 1, 60, 1000, 10000, 0, 0);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + 75000);
	freshness_take(&freshness, 1, 60, 1000, 10001, 0, 0);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + 65000);
	freshness_take(&freshness, 1, 0, 1000, 0, 30000, 0);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + 30000);
	freshness_take(&freshness, 1, UINT32_MAX, 1000, UINT32_MAX, 0, 3600000);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + 3600000);
	freshness_take(&freshness, 1, UINT32_MAX, 1000, 0, 0, 0);
	CU_ASSERT_EQUAL(freshness.renew_ms, 1000 + UINT64_C(4294967295) * 1000 + 5000);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"numbers go round", numbers_go_round},
		{"after a long silence any number is newer", long_silence_makes_any_number_newer},
		{"a registration begins anew", a_registration_begins_anew},
		{"it is time to register again", time_to_register_again},
		{NULL, NULL},
	};
	return tap_main("coap freshness", tests);
}
