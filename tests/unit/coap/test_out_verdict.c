/* SPDX-License-Identifier: Apache-2.0
 *
 * What response codes mean for a message.
 */
#include "connectors/coap/out_verdict.h"
#include "tests/unit/tap.h"

#define CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))

static void test_codes(void)
{
	static const uint8_t taken[] = {CODE(2, 1), CODE(2, 2), CODE(2, 3), CODE(2, 4), CODE(2, 5)};
	static const uint8_t refused[] = {CODE(4, 0), CODE(4, 2), CODE(4, 4), CODE(4, 5), CODE(4, 6), CODE(4, 9),
		CODE(4, 12), CODE(4, 13), CODE(4, 15), CODE(4, 22), CODE(4, 31), CODE(3, 0), CODE(6, 1), CODE(7, 5)};
	static const uint8_t again[] = {CODE(2, 31), CODE(4, 8), CODE(4, 29), CODE(5, 0), CODE(5, 1), CODE(5, 2),
		CODE(5, 3), CODE(5, 4), CODE(5, 5), CODE(5, 8), CODE(5, 31)};
	for (size_t i = 0; i < sizeof taken; i++)
		CU_ASSERT_EQUAL(coap_verdict_of(taken[i]), COAP_TAKEN);
	for (size_t i = 0; i < sizeof refused; i++)
		CU_ASSERT_EQUAL(coap_verdict_of(refused[i]), COAP_REFUSED);
	for (size_t i = 0; i < sizeof again; i++)
		CU_ASSERT_EQUAL(coap_verdict_of(again[i]), COAP_AGAIN);
	CU_ASSERT_EQUAL(coap_verdict_of(CODE(4, 1)), COAP_NO_ACCESS);
	CU_ASSERT_EQUAL(coap_verdict_of(CODE(4, 3)), COAP_NO_ACCESS);
}

static void test_waits(void)
{
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(5, 3), true, 7), 7000);
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(5, 3), false, 0), 60000);
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(5, 3), true, 0), 0);
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(4, 29), true, UINT32_MAX), UINT32_MAX * UINT64_C(1000));
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(4, 8), true, 7), 0);
	CU_ASSERT_EQUAL(coap_verdict_wait_ms(CODE(5, 0), true, 7), 0);
}

static void test_names(void)
{
	char text[COAP_CODE_SIZE];
	coap_code_print(CODE(4, 4), text);
	CU_ASSERT_STRING_EQUAL(text, "4.04");
	coap_code_print(255, text);
	CU_ASSERT_STRING_EQUAL(text, "7.31");
	CU_ASSERT_STRING_EQUAL(coap_code_name(CODE(4, 15)), "Unsupported Content-Format");
	CU_ASSERT_STRING_EQUAL(coap_code_name(CODE(6, 0)), "");
}

static const struct tap_test tests[] = {
	{"codes", test_codes},
	{"when to come again", test_waits},
	{"for people", test_names},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("coap out verdict", tests);
}
