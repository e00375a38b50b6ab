/* SPDX-License-Identifier: Apache-2.0 */
#include "message/siphash.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

/* Key 00 01 … 0f, input 00 01 … n-1: vectors of the reference implementation, as OpenSSL gives them too. */
static void test_vectors(void)
{
	static const struct {
		size_t len;
		const char *hash;
	} vectors[] = {
		{0, "a3817f04ba25a8e66df67214c7550293"},
		{1, "da87c1d86b99af44347659119b22fc45"},
		{7, "a1f1ebbed8dbc153c0b84aa61ff08239"},
		{8, "3b62a9ba6258f5610f83e264f31497b4"},
		{15, "5493e99933b0a8117e08ec0f97cfc3d9"},
		{63, "5150d1772f50834a503e069a973fbd7c"},
	};
	uint8_t key[SIPHASH_KEY_LEN], hash[SIPHASH_LEN];
	for (uint8_t i = 0; i < SIPHASH_KEY_LEN; i++)
		key[i] = i;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		uint8_t *input = malloc(vectors[i].len + 1); /* of its size: ASan watches its end */
		char text[2 * SIPHASH_LEN + 1];
		for (size_t k = 0; k < vectors[i].len; k++)
			input[k] = (uint8_t)k;
		siphash(key, slice_of(input, vectors[i].len), hash);
		for (size_t k = 0; k < SIPHASH_LEN; k++)
			snprintf(text + 2 * k, 3, "%02x", hash[k]);
		CU_ASSERT_STRING_EQUAL(text, vectors[i].hash);
		free(input);
	}
	siphash(key, (struct slice){NULL, 0}, hash);
	CU_ASSERT_EQUAL(hash[0], 0xa3);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"known vectors", test_vectors},
		{NULL, NULL},
	};
	return tap_main("siphash", tests);
}
