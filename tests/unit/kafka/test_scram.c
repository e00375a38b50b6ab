/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM against the example of RFC 7677 §3, and against servers that are none.
 */
#include <string.h>

#include "connectors/kafka/scram.h"
#include "tests/unit/tap.h"

#define NONCE "rOprNGfwEbeRWgbNEkqO"
#define FIRST "r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"

static void test_example(void)
{
	struct scram *scram = scram_new(false, "user", "pencil", NONCE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(scram);
	CU_ASSERT_STRING_EQUAL(scram_first(scram), "n,,n=user,r=" NONCE);
	const char *final = scram_final(scram, slice_str(FIRST));
	CU_ASSERT_PTR_NOT_NULL_FATAL(final);
	CU_ASSERT_STRING_EQUAL(final, "c=biws,r=" NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	CU_ASSERT_TRUE(scram_verify(scram, slice_str("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	CU_ASSERT_FALSE(scram_verify(scram, slice_str("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	CU_ASSERT_FALSE(scram_verify(scram, slice_str("v=6rriTRBi23WpRR/wtup+mA==")));
	CU_ASSERT_FALSE(scram_verify(scram, slice_str("e=other-error")));
	CU_ASSERT_FALSE(scram_verify(scram, slice_str("")));
	scram_free(scram);
}

static void test_names_are_escaped(void)
{
	struct scram *scram = scram_new(true, "a=b,c", "p", "x");
	CU_ASSERT_PTR_NOT_NULL_FATAL(scram);
	CU_ASSERT_STRING_EQUAL(scram_first(scram), "n,,n=a=3Db=2Cc,r=x");
	scram_free(scram);
}

static void test_nonces_differ(void)
{
	struct scram *one = scram_new(true, "u", "p", NULL), *two = scram_new(true, "u", "p", NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT_PTR_NOT_NULL_FATAL(two);
	CU_ASSERT_STRING_NOT_EQUAL(scram_first(one), scram_first(two));
	CU_ASSERT_FALSE(scram_verify(one, slice_str("v=AAAA"))); /* before the final message */
	scram_free(one);
	scram_free(two);
}

static void test_bad_servers(void)
{
	static const char *const bad[] = {"", "r=", "r=" NONCE, "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=other%hv,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=" NONCE "x,s=,i=4096", "r=" NONCE "x,s=W22,i=4096",
		"r=" NONCE "x,i=4096", "r=" NONCE "x,s=W22ZaJ0SNY7soEsUEjb6gQ==", "m=x,r=" NONCE "x,s=W22Z,i=4096",
		"r=" NONCE "x,s=W22Z,i=4095", "r=" NONCE "x,s=W22Z,i=1000001", "r=" NONCE "x,s=W22Z,i=-1",
		"r=" NONCE "x,s=W22Z,i=99999999999999999999", "r=" NONCE "x,s=W!2Z,i=4096"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct scram *scram = scram_new(false, "user", "pencil", NONCE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(scram);
		CU_ASSERT_PTR_NULL(scram_final(scram, slice_str(bad[i])));
		scram_free(scram);
	}
	static char longest[70000];
	memset(longest, 'x', sizeof longest);
	memcpy(longest, "r=" NONCE, strlen("r=" NONCE));
	struct scram *scram = scram_new(false, "user", "pencil", NONCE);
	CU_ASSERT_PTR_NULL(scram_final(scram, (struct slice){(const uint8_t *)longest, sizeof longest}));
	scram_free(scram);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"the example of RFC 7677", test_example},
		{"names are escaped", test_names_are_escaped},
		{"nonces differ", test_nonces_differ},
		{"servers that are none", test_bad_servers},
		{NULL, NULL},
	};
	return tap_main("kafka scram", tests);
}
