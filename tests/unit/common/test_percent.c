/* SPDX-License-Identifier: Apache-2.0
 *
 * Percent-encoding: all bytes there and back, and what is left as it is.
 */
#include "connectors/common/percent.h"
#include "routing/arena.h"
#include "tests/unit/tap.h"

static void all_bytes_come_back(void)
{
	struct arena arena = {0};
	unsigned n_plain = 0, n_wrong = 0;
	for (unsigned i = 0; i < 256; i++) {
		uint8_t byte = (uint8_t)i;
		struct slice text = {NULL, 0};
		CU_ASSERT_EQUAL(percent_encode(slice_of(&byte, 1), &arena, &text), 0);
		n_plain += text.len == 1;
		if (percent_is_unreserved(byte))
			n_wrong += text.len != 1 || text.data[0] != byte;
		else
			n_wrong += text.len != 3 || text.data[0] != '%' ||
				   (percent_digit(text.data[1]) << 4 | percent_digit(text.data[2])) != (int)i;
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	CU_ASSERT_EQUAL(n_plain, 66); /* RFC 3986 §2.3: letters, digits, - . _ ~ */
	arena_free(&arena);
}

static void what_is_plain_is_not_copied(void)
{
	struct arena arena = {0};
	struct slice plain = slice_str("aZ09-._~"), text;
	CU_ASSERT_EQUAL(percent_encode(plain, &arena, &text), 0);
	CU_ASSERT_PTR_EQUAL(text.data, plain.data);
	CU_ASSERT_EQUAL(percent_encode(slice_str("a/b c%"), &arena, &text), 0);
	CU_ASSERT(slice_equal(text, slice_str("a%2Fb%20c%25")));
	CU_ASSERT_EQUAL(percent_encode((struct slice){NULL, 0}, &arena, &text), 0);
	CU_ASSERT_EQUAL(text.len, 0);
	arena_free(&arena);
}

static void digits(void)
{
	CU_ASSERT_EQUAL(percent_digit('0'), 0);
	CU_ASSERT_EQUAL(percent_digit('a'), 10);
	CU_ASSERT_EQUAL(percent_digit('F'), 15);
	CU_ASSERT_EQUAL(percent_digit('g'), -1);
	CU_ASSERT_EQUAL(percent_digit('@'), -1);
	CU_ASSERT_EQUAL(percent_digit('/'), -1);
	CU_ASSERT_EQUAL(percent_digit(':'), -1);
	CU_ASSERT_EQUAL(percent_digit('`'), -1);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"all bytes come back", all_bytes_come_back},
		{"what is plain is not copied", what_is_plain_is_not_copied},
		{"digits", digits},
		{NULL, NULL},
	};
	return tap_main("percent-encoding", tests);
}
