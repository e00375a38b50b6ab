/* SPDX-License-Identifier: Apache-2.0
 *
 * The waits between connections.
 */
#include "connectors/mqtt/reconnect.h"

#include <stddef.h>

#include "tests/unit/tap.h"

static uint32_t highest(uint32_t bound)
{
	return bound - 1;
}

static uint32_t lowest(uint32_t bound)
{
	(void)bound;
	return 0;
}

static void test_backoff(void)
{
	struct reconnect rec = {.min_ms = 100, .max_ms = 60000, .random = highest};
	static const uint64_t bounds[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000};
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		reconnect_ended(&rec, 0, false);
		CU_ASSERT(reconnect_delay_ms(&rec, false) == bounds[i]);
	}
	for (int i = 0; i < 1000; i++)
		reconnect_ended(&rec, 0, false);
	CU_ASSERT(reconnect_delay_ms(&rec, false) == 60000);
	rec.random = lowest;
	CU_ASSERT(reconnect_delay_ms(&rec, false) == 0); /* full jitter */
	CU_ASSERT(reconnect_delay_ms(&rec, true) == 30000); /* slow has a floor */
	rec.random = highest;
	CU_ASSERT(reconnect_delay_ms(&rec, true) == 60000);
	/* A link that was sound begins again; one that flaps at its work never waits long. */
	reconnect_ended(&rec, 5000, false);
	CU_ASSERT(reconnect_delay_ms(&rec, false) == 100);
	for (int i = 0; i < 10; i++)
		reconnect_ended(&rec, 200, true);
	CU_ASSERT(reconnect_delay_ms(&rec, false) == 400);
	for (int i = 0; i < 10; i++)
		reconnect_ended(&rec, 200, false);
	CU_ASSERT(reconnect_delay_ms(&rec, false) == 60000);
}

static const struct tap_test tests[] = {
	{"back-off with full jitter", test_backoff},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt reconnect", tests);
}
