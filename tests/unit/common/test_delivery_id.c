/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids that must never change.
 */
#include <string.h>

#include "connectors/common/delivery_id.h"
#include "tests/unit/tap.h"

static void test_ids(void)
{
	static const uint8_t zero[16] = {0};
	static const uint8_t uuid[16] = {
		0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0xff};
	static const uint8_t ones[16] = {
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
	char id[DELIVERY_ID_SIZE];

	CU_ASSERT_EQUAL(delivery_id(zero, 1, id), strlen(id));
	CU_ASSERT_STRING_EQUAL(id, "msg_aaaaaaaaaaaaaaaaaaaaaaaaaa.1");
	/* python: base64.b32encode(bytes.fromhex("123e4567e89b12d3a4564266141740ff")).lower() */
	CU_ASSERT_EQUAL(delivery_id(uuid, 42, id), strlen(id));
	CU_ASSERT_STRING_EQUAL(id, "msg_ci7ekz7itmjnhjcwijtbif2a74.42");
	CU_ASSERT_EQUAL(delivery_id_of_batch(ones, UINT64_MAX - 1, UINT64_MAX, id), strlen(id));
	CU_ASSERT_STRING_EQUAL(id, "msg_77777777777777777777777774.18446744073709551614-18446744073709551615");
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"ids of deliveries and batches", test_ids},
		{NULL, NULL},
	};
	return tap_main("common delivery_id", tests);
}
