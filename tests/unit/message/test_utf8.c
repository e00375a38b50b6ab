/* SPDX-License-Identifier: Apache-2.0
 *
 * Every sequence of up to three bytes against the definition, and back.
 */
#include "message/utf8.h"
#include "tests/unit/tap.h"

/* The definition the other way round: what a code point is written as, if it is one that may be written. */
static size_t wanted_len(const uint8_t *bytes, size_t len)
{
	uint8_t put[4];
	uint32_t code = bytes[0];
	size_t n = bytes[0] < 0x80 ? 1 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
	if (n > len)
		return 0;
	if (n > 1)
		code = bytes[0] & (0x7FU >> n);
	for (size_t i = 1; i < n; i++)
		code = code << 6 | (bytes[i] & 0x3F);
	if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) || utf8_put(put, code) != n)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (put[i] != bytes[i])
			return 0;
	return n;
}

static void compare(const uint8_t *bytes, size_t len, unsigned *wrong)
{
	*wrong += utf8_char_len(slice_of(bytes, len)) != wanted_len(bytes, len);
}

static void test_all_short_sequences(void)
{
	unsigned wrong = 0;
	for (uint32_t n = 0; n < 1U << 24; n++) {
		uint8_t bytes[3] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)};
		compare(bytes, 3, &wrong);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* All leads and second bytes, with tails at and beyond their bounds, whole and cut. */
static void test_four_bytes(void)
{
	static const uint8_t tails[] = {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
	unsigned wrong = 0;
	for (uint32_t n = 0; n < 1U << 16; n++)
		for (size_t i = 0; i < sizeof tails; i++)
			for (size_t j = 0; j < sizeof tails; j++) {
				uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), tails[i], tails[j]};
				for (size_t len = 1; len <= 4; len++)
					compare(bytes, len, &wrong);
			}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(utf8_char_len(slice_of(tails, 0)), 0);
}

static void test_texts(void)
{
	CU_ASSERT(utf8_valid(slice_str("")));
	CU_ASSERT(utf8_valid(slice_str("Hall 3: 21 \xC2\xB0"
				       "C, \xF0\x9F\x8F\xAD")));
	CU_ASSERT(utf8_valid(slice_of("a\0b", 3)));
	CU_ASSERT(!utf8_valid(slice_str("caf\xE9")));
	CU_ASSERT(!utf8_valid(slice_str("cut \xE2\x82")));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"every sequence of three bytes", test_all_short_sequences},
		{"four bytes", test_four_bytes},
		{"texts", test_texts},
		{NULL, NULL},
	};
	return tap_main("utf8", tests);
}
