/* SPDX-License-Identifier: Apache-2.0
 *
 * Ids that must never change, and keys as clients write them.
 */
#include <ctype.h>
#include <string.h>

#include "connectors/http/idempotency.h"
#include "tests/unit/tap.h"

static void test_quotes(void)
{
	char quoted[IDEMPOTENCY_QUOTED_SIZE];
	CU_ASSERT_EQUAL(idempotency_quote("msg_a.1", quoted), strlen(quoted));
	CU_ASSERT_STRING_EQUAL(quoted, "\"msg_a.1\"");
}

static bool parses_as(const char *value, const char *key)
{
	uint8_t got[IDEMPOTENCY_KEY_MAX];
	size_t len = 0;
	return !idempotency_key_parse(slice_str(value), got, &len) && slice_equal(slice_of(got, len), slice_str(key));
}

static void test_keys(void)
{
	CU_ASSERT_TRUE(parses_as("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"));
	CU_ASSERT_TRUE(parses_as("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"));
	CU_ASSERT_TRUE(parses_as(" \"a b\"\t", "a b"));
	CU_ASSERT_TRUE(parses_as("\"a\\\"b\\\\\"", "a\"b\\"));
	CU_ASSERT_TRUE(parses_as("msg_p5jXN8AQM9LWM0D4loKWxJek", "msg_p5jXN8AQM9LWM0D4loKWxJek"));
	CU_ASSERT_TRUE(parses_as("a;b=c/+", "a;b=c/+"));
	static const char *const bad[] = {"", " ", "\"\"", "\"", "\"a", "a\"", "\"a\"b", "\"a\";x=1", "\"a\\n\"",
		"\"a\\", "a b", "a,b", "\"a\tb\"", "\"\xc3\xa4\"", "\xc3\xa4", "a\\b", "\x7f", "\"a\", \"b\""};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t key[IDEMPOTENCY_KEY_MAX];
		size_t len = 0;
		CU_ASSERT_PTR_NOT_NULL(idempotency_key_parse(slice_str(bad[i]), key, &len));
	}
	uint8_t key[IDEMPOTENCY_KEY_MAX];
	size_t len = 0;
	CU_ASSERT_PTR_NOT_NULL(idempotency_key_parse(slice_of("a\0b", 3), key, &len));
}

static void test_longest_key(void)
{
	char text[260];
	uint8_t key[IDEMPOTENCY_KEY_MAX];
	size_t len = 0;
	memset(text, 'k', sizeof text);
	CU_ASSERT_PTR_NULL(idempotency_key_parse(slice_of(text, 255), key, &len));
	CU_ASSERT_EQUAL(len, 255);
	CU_ASSERT_PTR_NOT_NULL(idempotency_key_parse(slice_of(text, 256), key, &len));
	text[0] = text[256] = '"';
	CU_ASSERT_PTR_NULL(idempotency_key_parse(slice_of(text, 257), key, &len));
	text[256] = 'k';
	text[257] = '"';
	CU_ASSERT_PTR_NOT_NULL(idempotency_key_parse(slice_of(text, 258), key, &len));
}

static void scope_of(const char *listener, const char *identity, const char *path, const char *key, uint8_t *scope)
{
	CU_ASSERT_EQUAL_FATAL(idempotency_scope(listener, identity, slice_str(path), slice_str(key), scope), 0);
}

static void test_scopes(void)
{
	static const char *const differ[][4] = {{"l", "i", "/p", "k"}, {"l", "i", "/p", "l"}, {"l", "i", "/", "pk"},
		{"l", "", "/p", "k"}, {"m", "i", "/p", "k"}, {"li", "", "/p", "k"}, {"l", "i/", "p", "k"}};
	uint8_t scopes[sizeof differ / sizeof differ[0]][LINK_KEY_LEN];
	for (size_t i = 0; i < sizeof differ / sizeof differ[0]; i++) {
		scope_of(differ[i][0], differ[i][1], differ[i][2], differ[i][3], scopes[i]);
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(memcmp(scopes[i], scopes[j], LINK_KEY_LEN), 0);
	}
	uint8_t nobody[LINK_KEY_LEN];
	scope_of("l", NULL, "/p", "k", nobody);
	CU_ASSERT_EQUAL(memcmp(nobody, scopes[3], LINK_KEY_LEN), 0);
	/* It lies on disk: the same in every version. */
	static const uint8_t known[LINK_KEY_LEN] = {
		0xc1, 0xce, 0xc0, 0xd3, 0x2f, 0x52, 0xa7, 0xa1, 0x94, 0x02, 0x5e, 0x22, 0x58, 0xaa, 0x73, 0x7c};
	CU_ASSERT_EQUAL(memcmp(scopes[0], known, LINK_KEY_LEN), 0);
}

static void test_answers(void)
{
	uint8_t one[LINK_KEY_LEN] = {1}, two[LINK_KEY_LEN] = {2};
	char id[IDEMPOTENCY_IN_SIZE], again[IDEMPOTENCY_IN_SIZE];
	idempotency_request_id(one, id);
	idempotency_request_id(one, again);
	CU_ASSERT_EQUAL(strlen(id), 32);
	CU_ASSERT_EQUAL(strspn(id, "0123456789abcdef"), 32);
	CU_ASSERT_STRING_EQUAL(id, again);
	idempotency_request_id(two, again);
	CU_ASSERT_STRING_NOT_EQUAL(id, again);
	CU_ASSERT_EQUAL(idempotency_random_id(id), 0);
	CU_ASSERT_EQUAL(idempotency_random_id(again), 0);
	CU_ASSERT_EQUAL(strlen(id), 32);
	CU_ASSERT_STRING_NOT_EQUAL(id, again);

	uint64_t hash = idempotency_body_hash(one, slice_str("body"));
	CU_ASSERT_EQUAL(hash, idempotency_body_hash(one, slice_str("body")));
	CU_ASSERT_NOT_EQUAL(hash, idempotency_body_hash(one, slice_str("bodz")));
	CU_ASSERT_NOT_EQUAL(hash, idempotency_body_hash(two, slice_str("body")));
	CU_ASSERT_NOT_EQUAL(idempotency_body_hash(one, (struct slice){NULL, 0}), 0);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"an id between quotes", test_quotes},
		{"keys", test_keys},
		{"the longest key", test_longest_key},
		{"what a key counts for", test_scopes},
		{"ids of requests", test_answers},
		{NULL, NULL},
	};
	return tap_main("http idempotency", tests);
}
