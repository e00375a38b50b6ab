/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of keys: what they mean, what is wrong and in which line, and that no error shows a key.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/coap/psk_file.h"
#include "tests/unit/tap.h"

static struct psk_file *file;
static char error[PSK_ERROR_SIZE];

static int parse(const char *text)
{
	error[0] = '\0';
	return psk_file_parse("keys", slice_str(text), &file, error);
}

static bool has(const char *identity, const char *key)
{
	struct slice found = psk_file_find(file, slice_str(identity));
	return found.data && slice_equal(found, slice_str(key));
}

static void forget(void)
{
	psk_file_free(file);
	file = NULL;
}

static void reads_lines(void)
{
	CU_ASSERT_EQUAL(parse("# who: key\n"
			      "\n"
			      "sensor-17: \"correct horse\"\r\n"
			      "  b\t:\t\"x\"   # a comment\n"
			      "\"a: \\\"name\\\" \\\\\": hex:78797A  \n"
			      "with space : hex:00ff#x\n"
			      "#last: \"no\"\n"
			      "\xc3\xa4:\"\xc3\xa4 # \\\\\\\"\""),
		0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT(has("sensor-17", "correct horse"));
	CU_ASSERT(has("b", "x"));
	CU_ASSERT(has("a: \"name\" \\", "xyz"));
	CU_ASSERT(slice_equal(psk_file_find(file, slice_str("with space")), slice_of("\0\xff", 2)));
	CU_ASSERT(has("\xc3\xa4", "\xc3\xa4 # \\\""));
	CU_ASSERT_PTR_NULL(psk_file_find(file, slice_str("sensor-1")).data);
	CU_ASSERT_PTR_NULL(psk_file_find(file, slice_str("sensor-177")).data);
	CU_ASSERT_PTR_NULL(psk_file_find(file, slice_str("")).data);
	CU_ASSERT_PTR_NULL(psk_file_find(file, slice_of("b\0", 2)).data);
	CU_ASSERT_PTR_NULL(psk_file_find(file, slice_str("#last")).data);
	CU_ASSERT(!psk_file_is_exposed(file));
	forget();
}

#define SIXTY_FOUR "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void says_what_is_wrong(void)
{
	static const struct {
		const char *text, *where, *word;
	} bad[] = {
		{"", "keys:1:", "no key"},
		{"# nothing\n\n", "keys:1:", "no key"},
		{"a", "keys:1:", "colon"},
		{"a: \"secret\"\nb \"secret\"", "keys:2:", "colon"},
		{"a: \"secret\"\n\n\nb: secret", "keys:4:", "quotes"},
		{": \"secret\"", "keys:1:", "identity"},
		{"\"\": \"secret\"", "keys:1:", "identity"},
		{"\"a: \"secret\"", "keys:1:", "colon"},
		{"\"a\" b: \"secret\"", "keys:1:", "colon"},
		{"a: \"\"", "keys:1:", "1 to 64"},
		{"a: \"secret", "keys:1:", "1 to 64"},
		{"a: \"secret\\n\"", "keys:1:", "backslash"},
		{"a: \"secret\\", "keys:1:", "backslash"},
		{"a:", "keys:1:", "quotes"},
		{"a: hex:", "keys:1:", "hexadecimal"},
		{"a: hex:0", "keys:1:", "hexadecimal"},
		{"a: hex:0g", "keys:1:", "hexadecimal"},
		{"a: hex:00 11", "keys:1:", "behind the key"},
		{"a: \"secret\" secret", "keys:1:", "behind the key"},
		{"a: \"" SIXTY_FOUR "0\"", "keys:1:", "1 to 64"},
		{"a: hex:" SIXTY_FOUR SIXTY_FOUR "00", "keys:1:", "1 to 64"},
		{SIXTY_FOUR "x: \"secret\"", "keys:1:", "identity"},
		{"b: \"x\"\na: \"secret\"\nc: \"y\"\n \"a\" : \"secret2\"", "keys:4:", "line 2"},
	};
	CU_ASSERT_EQUAL(parse("a: \"kept\""), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CU_ASSERT_EQUAL(parse(bad[i].text), -EINVAL);
		CU_ASSERT_PTR_EQUAL(strstr(error, bad[i].where), error);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, bad[i].word));
		CU_ASSERT_PTR_NULL(strstr(error, "secret"));
		CU_ASSERT(has("a", "kept"));
	}
	CU_ASSERT_EQUAL(psk_file_parse("keys", slice_of("a: \"x\0\"", 7), &file, error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "NUL"));
	CU_ASSERT_EQUAL(parse("a: \"" SIXTY_FOUR "\"\n" SIXTY_FOUR ": hex:" SIXTY_FOUR SIXTY_FOUR), 0);
	CU_ASSERT(has("a", SIXTY_FOUR));
	CU_ASSERT_EQUAL(psk_file_find(file, slice_str(SIXTY_FOUR)).len, 64);
	CU_ASSERT(!has("a", "kept"));
	forget();
}

static void finds_among_many(void)
{
	static char text[200000];
	size_t len = 0;
	unsigned n_wrong = 0;
	for (unsigned i = 0; i < 5000; i++)
		len += (size_t)snprintf(
			text + len, sizeof text - len, "device-%u: \"key %u\"\n", i * 7919 % 5000, i * 7919 % 5000);
	CU_ASSERT_EQUAL_FATAL(parse(text), 0);
	for (unsigned i = 0; i < 5000; i++) {
		char identity[32], key[32];
		snprintf(identity, sizeof identity, "device-%u", i);
		snprintf(key, sizeof key, "key %u", i);
		n_wrong += !has(identity, key);
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	forget();
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *out = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT(fputs(text, out) >= 0);
	CU_ASSERT_EQUAL(fclose(out), 0);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
}

static void reads_files(void)
{
	char path[256];
	snprintf(path, sizeof path, "%s/keys", tap_tempdir());
	CU_ASSERT_EQUAL(psk_file_read(path, &file, error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, path));
	CU_ASSERT_EQUAL(psk_file_read(tap_tempdir(), &file, error), -ENODEV);
	CU_ASSERT_PTR_NULL(file);
	write_file(path, "a: \"one\"\n", 0640);
	CU_ASSERT_EQUAL_FATAL(psk_file_read(path, &file, error), 0);
	CU_ASSERT(has("a", "one"));
	CU_ASSERT(!psk_file_is_exposed(file));
	/* Another one takes its place; a broken one does not. */
	write_file(path, "a: \"two\"\n", 0644);
	CU_ASSERT_EQUAL(psk_file_read(path, &file, error), 0);
	CU_ASSERT(has("a", "two"));
	CU_ASSERT(psk_file_is_exposed(file));
	write_file(path, "a: three\n", 0600);
	CU_ASSERT_EQUAL(psk_file_read(path, &file, error), -EINVAL);
	CU_ASSERT(has("a", "two"));
	write_file(path, "", 0600);
	CU_ASSERT_EQUAL(psk_file_read(path, &file, error), -EINVAL);
	forget();
}

static void reads_single_keys(void)
{
	uint8_t key[PSK_MAX_KEY_BYTES];
	const char *wrong = NULL;
	CU_ASSERT_EQUAL(psk_key_parse(slice_str("some text"), key, &wrong), 9);
	CU_ASSERT_EQUAL(memcmp(key, "some text", 9), 0);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str("hex:00fF"), key, &wrong), 2);
	CU_ASSERT_EQUAL(memcmp(key, "\0\xff", 2), 0);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str("hex:00f"), key, &wrong), -EINVAL);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str("hex:"), key, &wrong), -EINVAL);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str("hex:00 "), key, &wrong), -EINVAL);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str(""), key, &wrong), -EINVAL);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str(SIXTY_FOUR), key, &wrong), 64);
	CU_ASSERT_EQUAL(psk_key_parse(slice_str(SIXTY_FOUR "0"), key, &wrong), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(wrong);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"lines are identities and keys", reads_lines},
		{"what is wrong is said with its line and without a key", says_what_is_wrong},
		{"an identity is found among many", finds_among_many},
		{"files are read, and read again", reads_files},
		{"a single key", reads_single_keys},
		{NULL, NULL},
	};
	return tap_main("coap psk file", tests);
}
