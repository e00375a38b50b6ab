/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of the cursor: what was written is read, and nothing else.
 */
#include <string.h>

#include "connectors/kafka/cursor.h"
#include "tests/unit/tap.h"

static void test_cursor_round_trip(void)
{
	static const struct kafka_cursor cursors[] = {
		{0, 0, 0}, {1, 0xabc, 0}, {UINT64_MAX, UINT64_MAX, 0}, {1234567890123, 1, 0}};
	for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
		char value[KAFKA_CURSOR_VALUE_SIZE];
		size_t len = kafka_cursor_format(&cursors[i], value);
		struct kafka_cursor got = {0};
		CU_ASSERT_EQUAL(len, strlen(value));
		CU_ASSERT_TRUE(kafka_cursor_parse(value, len, &got));
		CU_ASSERT_EQUAL(got.seq, cursors[i].seq);
		CU_ASSERT_EQUAL(got.writer, cursors[i].writer);
		CU_ASSERT_FALSE(kafka_cursor_parse(value, len - 1, &got));
		CU_ASSERT_FALSE(kafka_cursor_parse(value, len + 1, &got)); /* the NUL */
	}
}

static void test_cursor_garbage(void)
{
	static const char *const garbage[] = {"", "v1", "v2 seq=1 writer=0000000000000001",
		"v1 seq= writer=0000000000000001", "v1 seq=-1 writer=0000000000000001",
		"v1 seq=+1 writer=0000000000000001", "v1 seq=01 writer=0000000000000001", "v1 seq=1 writer=1",
		"v1 seq=1 writer=000000000000000A", "v1 seq=1 writer=0000000000000001 ",
		"v1 seq=1  writer=0000000000000001", " v1 seq=1 writer=0000000000000001",
		"v1 seq=18446744073709551616 writer=0000000000000001", "v1 seq=1 writer=00000000000000011",
		"v1 seq=0x1 writer=0000000000000001",
		"v1 seq=1 writer=0000000000000001 and so much more that no buffer would hold it, ever, at all"};
	struct kafka_cursor cursor = {7, 8, 9};
	for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++)
		CU_ASSERT_FALSE(kafka_cursor_parse(garbage[i], strlen(garbage[i]), &cursor));
	CU_ASSERT_FALSE(kafka_cursor_parse(NULL, 0, &cursor));
	CU_ASSERT_EQUAL(cursor.seq, 7);
	CU_ASSERT_EQUAL(cursor.writer, 8);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"what is written is read", test_cursor_round_trip},
		{"anything else is refused", test_cursor_garbage},
		{NULL, NULL},
	};
	return tap_main("kafka cursor", tests);
}
