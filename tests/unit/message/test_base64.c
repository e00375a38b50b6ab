/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64: the vectors of RFC 4648 §10, every short run of bytes there and back, and what is not base64.
 */
#include "message/base64.h"

#include <stdlib.h>

#include "tests/unit/tap.h"

static void test_vectors(void)
{
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "+/8="}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[16];
		uint8_t bytes[16];
		struct slice plain = slice_str(rows[i][0]), encoded = slice_str(rows[i][1]);
		size_t len = base64_encode(plain, text);
		CU_ASSERT_TRUE(slice_equal(slice_of(text, len), encoded));
		CU_ASSERT_EQUAL(base64_encoded_len(plain.len), len);
		len = base64_decode(encoded, bytes);
		CU_ASSERT_TRUE(len != SIZE_MAX && slice_equal(slice_of(bytes, len), plain));
	}
}

static void test_url(void)
{
	char text[8];
	CU_ASSERT_TRUE(slice_equal(slice_of(text, base64url_encode(slice_str("\xfb\xff"), text)), slice_str("-_8")));
	CU_ASSERT_TRUE(slice_equal(slice_of(text, base64url_encode(slice_str("f"), text)), slice_str("Zg")));
	CU_ASSERT_EQUAL(base64url_encode(slice_str(""), text), 0);
}

static void test_there_and_back(void)
{
	for (uint32_t value = 0; value < 1u << 16; value++) {
		uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value}, again[4];
		char text[4];
		size_t len = base64_encode(slice_of(bytes, 2), text);
		CU_ASSERT_EQUAL(base64_decode(slice_of(text, len), again), 2);
		CU_ASSERT_TRUE(memcmp(bytes, again, 2) == 0);
	}
}

static void test_refused(void)
{
	static const char *const texts[] = {"Z", "Zg", "Zg=", "Zg===", "=g==", "Z===", "====", "Zg==Zg==", "Zm9v\n",
		"Zm9 ", "Zm-_", "Zh==", "Zm9=", "Zg=g", "Zm\xc3\xa4="};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		size_t len = strlen(texts[i]);
		char *copy = malloc(len); /* of exactly that size, so that a sanitizer sees a read past the end */
		uint8_t bytes[16];
		memcpy(copy, texts[i], len);
		CU_ASSERT_EQUAL(base64_decode(slice_of(copy, len), bytes), SIZE_MAX);
		free(copy);
	}
}

static const struct tap_test tests[] = {
	{"vectors", test_vectors},
	{"the alphabet of URLs", test_url},
	{"there and back", test_there_and_back},
	{"what is none", test_refused},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("base64", tests);
}
