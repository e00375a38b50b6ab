/* SPDX-License-Identifier: Apache-2.0
 *
 * CBOR: the examples of RFC 8949 appendix A as JSON, JSON as CBOR, and what is neither.
 */
#include "routing/cbor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "tests/unit/tap.h"

static struct arena arena;

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	for (; hex[0] && hex[1]; hex += 2) {
		unsigned byte;
		sscanf(hex, "%2x", &byte);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

/* In a block of exactly that size, so that a sanitizer sees a read past the end. */
static int read_hex(const char *hex, size_t max_bytes, struct slice *ret_json, const char **ret_reason)
{
	uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
	size_t n = from_hex(hex, bytes);
	uint8_t *copy = malloc(n ? n : 1);
	memcpy(copy, bytes, n);
	arena_reset(&arena);
	int err = cbor_to_json(slice_of(copy, n), max_bytes, &arena, ret_json, ret_reason);
	free(copy);
	free(bytes);
	return err;
}

static void check_read(const char *hex, const char *json)
{
	struct slice got = {NULL, 0};
	const char *reason = "";
	int err = read_hex(hex, 4096, &got, &reason);
	bool same = err == 0 && slice_equal(got, slice_str(json));
	CU_ASSERT_TRUE(same);
	if (!same)
		printf("# %s: wanted %s, got %.*s (%d %s)\n", hex, json, (int)got.len, (const char *)got.data, err,
			reason);
	if (err == 0)
		CU_ASSERT_PTR_NULL(json_check(got, NULL));
}

static void test_appendix_a(void)
{
	static const char *const rows[][2] = {
		{"00", "0"},
		{"17", "23"},
		{"1818", "24"},
		{"1903e8", "1000"},
		{"1a000f4240", "1000000"},
		{"1b000000e8d4a51000", "1000000000000"},
		{"1bffffffffffffffff", "18446744073709551615"},
		{"c249010000000000000000", "\"AQAAAAAAAAAA\""},
		{"3bffffffffffffffff", "-18446744073709551616"},
		{"c349010000000000000000", "\"~AQAAAAAAAAAA\""},
		{"20", "-1"},
		{"3863", "-100"},
		{"3903e7", "-1000"},
		{"f90000", "0"},
		{"f98000", "-0"},
		{"f93c00", "1"},
		{"fb3ff199999999999a", "1.1"},
		{"f97bff", "65504"},
		{"fa47c35000", "100000"},
		{"fa7f7fffff", "3.4028234663852886e+38"},
		{"fb7e37e43c8800759c", "1e+300"},
		{"f90001", "5.9604644775390625e-08"},
		{"fbc010666666666666", "-4.1"},
		{"f97c00", "null"},
		{"f97e00", "null"},
		{"fbfff0000000000000", "null"},
		{"f4", "false"},
		{"f5", "true"},
		{"f6", "null"},
		{"f7", "null"},
		{"c074323031332d30332d32315432303a30343a30305a", "\"2013-03-21T20:04:00Z\""},
		{"c11a514b67b0", "1363896240"},
		{"d74401020304", "\"01020304\""},
		{"d818456449455446", "\"ZElFVEY\""},
		{"d6420102", "\"AQI=\""},
		{"40", "\"\""},
		{"4401020304", "\"AQIDBA\""},
		{"60", "\"\""},
		{"6449455446", "\"IETF\""},
		{"62225c", "\"\\\"\\\\\""},
		{"62c3bc", "\"\xc3\xbc\""},
		{"64f0908591", "\"\xf0\x90\x85\x91\""},
		{"620a1f", "\"\\u000a\\u001f\""},
		{"80", "[]"},
		{"83010203", "[1,2,3]"},
		{"8301820203820405", "[1,[2,3],[4,5]]"},
		{"a0", "{}"},
		{"a201020304", "{\"1\":2,\"3\":4}"},
		{"a120f5", "{\"-1\":true}"},
		{"a26161016162820203", "{\"a\":1,\"b\":[2,3]}"},
		{"826161a161626163", "[\"a\",{\"b\":\"c\"}]"},
		{"5f42010243030405ff", "\"AQIDBAU\""},
		{"d65f42010243030405ff", "\"AQIDBAU=\""},
		{"7f657374726561646d696e67ff", "\"streaming\""},
		{"9fff", "[]"},
		{"9f018202039f0405ffff", "[1,[2,3],[4,5]]"},
		{"83018202039f0405ff", "[1,[2,3],[4,5]]"},
		{"bf61610161629f0203ffff", "{\"a\":1,\"b\":[2,3]}"},
		{"bf6346756ef563416d7421ff", "{\"Fun\":true,\"Amt\":-2}"},
		{"a17f61616162ff01", "{\"ab\":1}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_read(rows[i][0], rows[i][1]);
}

static void check_refused(const char *hex, const char *why)
{
	struct slice got;
	const char *reason = NULL;
	int err = read_hex(hex, 4096, &got, &reason);
	bool as_wanted = err == -EINVAL && reason && strstr(reason, why);
	CU_ASSERT_TRUE(as_wanted);
	if (!as_wanted)
		printf("# %s: %d %s\n", hex, err, reason ? reason : "");
}

static void test_not_cbor(void)
{
	static const char *const ends[] = {"", "18", "19ff", "62c3", "8201", "a101", "9f01", "5f4101", "c1",
		"9b7fffffffffffffff01", "7b7fffffffffffffff61", "bb4000000000000000", "bbffffffffffffffff"};
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		check_refused(ends[i], "ends within an item");
	check_refused("1c", "no meaning");
	check_refused("0000", "follows");
	check_refused("ff", "break");
	check_refused("8201ff", "break");
	check_refused("bf01ff", "break");
	check_refused("9fc1ff", "break");
	check_refused("61ff", "UTF-8");
	check_refused("a1f501", "neither text nor an integer");
	check_refused("a1410101", "neither text nor an integer");
	check_refused("a1800101", "neither text nor an integer");
	check_refused("5f6161ff", "something else");
	check_refused("7f4161ff", "something else");
	check_refused("5f5f4101ffff", "something else");
	check_refused("5fc24101ff", "something else");
	check_refused("7f01ff", "something else");
}

static void test_deep(void)
{
	char hex[2 * 300 + 3];
	struct slice got;
	const char *reason = "";
	for (size_t depth = 255; depth <= 257; depth++) {
		for (size_t i = 0; i < depth; i++)
			memcpy(hex + 2 * i, "81", 2);
		strcpy(hex + 2 * depth, "01");
		CU_ASSERT_EQUAL(read_hex(hex, 4096, &got, &reason), depth <= JSON_MAX_DEPTH ? 0 : -EINVAL);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(reason, "256"));
	strcpy(hex + 2 * 256, "5f4101ff"); /* a string in chunks is no level of its own */
	CU_ASSERT_EQUAL(read_hex(hex, 4096, &got, &reason), 0);
}

/* Half a megabyte of one-byte chunks takes no more memory than it must. */
static void test_chunks(void)
{
	const size_t n = 500000;
	uint8_t *cbor = malloc(2 * n + 2);
	size_t at = 0;
	struct slice got;
	const char *reason;
	cbor[at++] = 0x7f;
	for (size_t i = 0; i < n; i++) {
		cbor[at++] = 0x61;
		cbor[at++] = 'x';
	}
	cbor[at++] = 0xff;
	arena_reset(&arena);
	CU_ASSERT_EQUAL(cbor_to_json(slice_of(cbor, at), 1 << 20, &arena, &got, &reason), 0);
	CU_ASSERT_EQUAL(got.len, n + 2);
	CU_ASSERT_TRUE(arena.total_bytes < 10 * n);
	CU_ASSERT_EQUAL(cbor_to_json(slice_of(cbor, at), n, &arena, &got, &reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason, "max_transform_bytes"));
	free(cbor);
}

static void check_write(const char *json, const char *hex)
{
	uint8_t wanted[512];
	size_t n = from_hex(hex, wanted);
	struct slice got = {NULL, 0};
	const char *reason = "";
	arena_reset(&arena);
	int err = cbor_from_json(slice_str(json), &arena, &got, &reason);
	bool same = err == 0 && slice_equal(got, slice_of(wanted, n));
	CU_ASSERT_TRUE(same);
	if (same)
		return;
	printf("# %s: wanted %s, got %d ", json, hex, err);
	for (size_t i = 0; i < got.len; i++)
		printf("%02x", got.data[i]);
	printf("\n");
}

static void test_write(void)
{
	static const char *const rows[][2] = {
		{"0", "00"},
		{"-0", "fa80000000"},
		{"23", "17"},
		{"24", "1818"},
		{"1000000000000", "1b000000e8d4a51000"},
		{"9007199254740993", "1b0020000000000001"},
		{"18446744073709551615", "1bffffffffffffffff"},
		{"18446744073709551616", "c249010000000000000000"},
		{"18446744073709551617", "c249010000000000000001"},
		{"1000000000000000000000000000", "c24c033b2e3c9fd0803ce8000000"},
		{"-1", "20"},
		{"-1000", "3903e7"},
		{"-18446744073709551615", "3bfffffffffffffffe"},
		{"-18446744073709551616", "3bffffffffffffffff"},
		{"-18446744073709551617", "c349010000000000000000"},
		{"-1000000000000000000000000000", "c34c033b2e3c9fd0803ce7ffffff"},
		{"1.5", "fa3fc00000"},
		{"1.1", "fb3ff199999999999a"},
		{"1e300", "fb7e37e43c8800759c"},
		{"1e99", "fb547d42aea2879f2e"},
		{"true", "f5"},
		{"false", "f4"},
		{"null", "f6"},
		{"\"\"", "60"},
		{"\"\\u00fc\\n\\\"\"", "64c3bc0a22"},
		{"[]", "80"},
		{"{}", "a0"},
		{" [ 1 , [ 2 , 3 ] , [ ] ] ", "830182020380"},
		{"{\"a\":{\"b,[\":[1.1,null]},\"c\":[[],{}]}", "a26161a163622c5b82fb3ff199999999999af661638280a0"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_write(rows[i][0], rows[i][1]);
}

static void test_write_lengths(void)
{
	char json[600], hex[1300];
	for (size_t len = 22; len <= 26;
		len++) { /* where the head of a string grows; escapes leave it shorter than its text */
		size_t at = 0, n = 0;
		json[at++] = '"';
		for (size_t i = 0; i < len; i++)
			at += (size_t)snprintf(json + at, 7, "\\u0061");
		strcpy(json + at, "\"");
		n += (size_t)snprintf(hex, 5, len < 24 ? "%02x" : "78%02x", (unsigned)(len < 24 ? 0x60 + len : len));
		for (size_t i = 0; i < len; i++)
			n += (size_t)snprintf(hex + n, 3, "61");
		check_write(json, hex);
	}
}

static void test_write_refused(void)
{
	struct slice got;
	const char *reason = "";
	CU_ASSERT_EQUAL(cbor_from_json(slice_str("[\"\\ud800\"]"), &arena, &got, &reason), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(reason, "surrogate"));
	/* Neither becomes an infinity. */
	static const char *const numbers[] = {"1e400", "[1,-1e309]", "1.5e9999"};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		reason = "";
		CU_ASSERT_EQUAL(cbor_from_json(slice_str(numbers[i]), &arena, &got, &reason), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(reason, "larger than CBOR's doubles"));
	}
	char digits[312];
	memset(digits, '9', sizeof digits);
	for (size_t n = 308; n <= 310; n++) {
		CU_ASSERT_EQUAL(cbor_from_json(slice_of(digits, n), &arena, &got, &reason), n <= 309 ? 0 : -EINVAL);
		if (n == 309) /* tag, length, bytes: 10^309 - 1 has 1027 bits */
			CU_ASSERT_TRUE(got.len == 3 + 129 && got.data[3] == 0x05);
	}
}

/* Fractions grow most: three characters become nine bytes. */
static void test_write_room(void)
{
	char json[40001];
	struct slice got, back;
	const char *reason = "";
	json[0] = '[';
	for (size_t i = 0; i < 9999; i++)
		memcpy(json + 1 + 4 * i, "1.1,", 4);
	strcpy(json + 1 + 4 * 9999 - 1, "]");
	arena_reset(&arena);
	CU_ASSERT_EQUAL_FATAL(cbor_from_json(slice_str(json), &arena, &got, &reason), 0);
	CU_ASSERT_EQUAL(got.len, 3 + 9 * 9999);
	CU_ASSERT_EQUAL_FATAL(cbor_to_json(got, 1 << 20, &arena, &back, &reason), 0);
	CU_ASSERT_TRUE(slice_equal(back, slice_str(json)));
}

static const struct tap_test tests[] = {
	{"the examples of the RFC as JSON", test_appendix_a},
	{"what is not CBOR, or has no form in JSON", test_not_cbor},
	{"nesting", test_deep},
	{"a string in very many chunks", test_chunks},
	{"JSON as CBOR", test_write},
	{"heads of strings", test_write_lengths},
	{"what CBOR cannot hold", test_write_refused},
	{"what grows most", test_write_room},
	{NULL, NULL},
};

int main(void)
{
	int failed = tap_main("cbor", tests);
	arena_free(&arena);
	return failed;
}
