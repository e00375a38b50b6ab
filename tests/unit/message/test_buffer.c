/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounded buffer: whole or not at all, never past the limit, memory kept.
 */
#include "message/buffer.h"

#include <errno.h>

#include "tests/unit/tap.h"

static void test_append_and_consume(void)
{
	struct buffer buf;
	buffer_init(&buf, 1000);
	CU_ASSERT_PTR_NULL(buf.data);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("hello ")), 0);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("world")), 0);
	CU_ASSERT(slice_equal(buffer_slice(&buf), slice_str("hello world")));
	buffer_consume(&buf, 6);
	CU_ASSERT(slice_equal(buffer_slice(&buf), slice_str("world")));
	buffer_consume(&buf, 99);
	CU_ASSERT_EQUAL(buf.len, 0);
	CU_ASSERT_EQUAL(buffer_append(&buf, (struct slice){NULL, 0}), 0);
	buffer_free(&buf);
	CU_ASSERT_PTR_NULL(buf.data);
	CU_ASSERT_EQUAL(buf.limit, 1000);
}

static void test_limit(void)
{
	struct buffer buf;
	buffer_init(&buf, 10);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("12345678901")), -ENOBUFS);
	CU_ASSERT_EQUAL(buf.len, 0);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("1234567")), 0);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("1234")), -ENOBUFS);
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("890")), 0);
	CU_ASSERT_EQUAL(buffer_reserve(&buf, 0), 0);
	CU_ASSERT_EQUAL(buffer_reserve(&buf, SIZE_MAX), -ENOBUFS);
	CU_ASSERT(slice_equal(buffer_slice(&buf), slice_str("1234567890")));
	CU_ASSERT_EQUAL(buf.capacity, 10);
	buffer_free(&buf);
}

static void test_memory_is_kept(void)
{
	struct buffer buf;
	buffer_init(&buf, 1 << 20);
	CU_ASSERT_EQUAL(buffer_reserve(&buf, 5000), 0);
	const uint8_t *data = buf.data;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 500; i++)
			CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("0123456789")), 0);
		buffer_clear(&buf);
	}
	CU_ASSERT_PTR_EQUAL(buf.data, data);
	buffer_free(&buf);
}

static void test_growth(void)
{
	struct buffer buf;
	buffer_init(&buf, 100000);
	for (int i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(buffer_append(&buf, slice_of(&(uint8_t){(uint8_t)i}, 1)), 0);
	for (int i = 0; i < 100000; i++)
		if (buf.data[i] != (uint8_t)i)
			CU_FAIL("a byte changed while the buffer grew");
	CU_ASSERT_EQUAL(buffer_append(&buf, slice_str("x")), -ENOBUFS);
	buffer_free(&buf);
}

static const struct tap_test tests[] = {
	{"append and consume", test_append_and_consume},
	{"limit", test_limit},
	{"memory is kept", test_memory_is_kept},
	{"growth", test_growth},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("buffer", tests);
}
