/* SPDX-License-Identifier: Apache-2.0
 *
 * Good files, damaged at random: the loader says yes or no and comes back, with nothing leaked and nothing read outside
 * (the sanitizers watch), and a refused file always has a message. The numbers come from a fixed seed, which
 * LINKSPAN_TEST_SEED replaces; LINKSPAN_TEST_ROUNDS asks for more.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/config/files.h"
#include "tests/unit/tap.h"

#define MAX_BYTES 16384

/* Few jq programs: each costs 15 ms to compile. */
static const char plain[] = "data_dir: d\n"
			    "journal: {linger: 20ms}\n"
			    "connections:\n"
			    "  plant: &plant\n"
			    "    type: mqtt\n"
			    "    url: mqtt://localhost\n"
			    "    password: ${env:LINKSPAN_TEST_SECRET}\n"
			    "    username: 'edge'\n"
			    "    outbox: {max_bytes: 4GiB, when_full: block, ttl: 1h 30m}\n"
			    "  other: *plant\n"
			    "  lake:\n"
			    "    type: kafka\n"
			    "    brokers: [\"k1:9092\", k2:9092]\n"
			    "    properties: {compression.type: zstd, linger.ms: 5}\n"
			    "mappings:\n"
			    "  - name: m\n"
			    "    from: {connection: plant, topic: [\"plant/{line}/#\", '$share/g/x/{line}'], qos: 1}\n"
			    "    on_error: drop\n"
			    "    delivery: at-most-once\n"
			    "    to:\n"
			    "      - {connection: lake, topic: \"t.{line}\", key: \"{.a[0].b}\", headers: {h: "
			    "\"{header.x}\"}, partition: '1'}\n"
			    "      - {connection: other, topic: a, retain: set}\n"
			    "tests:\n"
			    "  - {name: t, mapping: m, given: {topic: a}, expect: []}\n";

static const char *const tokens[] = {"${", "${env:", "${file:", "}", "{", "[", "]", "&a ", "*a", "*plant", "- ", ": ",
	"\t", "\n", "\n  ", "\r", "|\n", ">", "!!x ", "---\n", "...\n", "\"", "'", "#", "%", "@", "\\x00", "\xff",
	"\xc3", "\xe2\x80\xa8", "\xef\xbb\xbf", "null", "~", "99999999999999999999", "-1", "1e9", "yes", "<<: *plant",
	"{{", "}}", "include: x.yaml\n"};
#define N_TOKENS (sizeof tokens / sizeof tokens[0])

static uint64_t state = 42;

static size_t pick(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? (size_t)(state % n) : 0;
}

static size_t splice(char *text, size_t len, size_t at, size_t cut, const char *insert, size_t insert_len)
{
	if (len - cut + insert_len > MAX_BYTES)
		return len;
	memmove(text + at + insert_len, text + at + cut, len - at - cut);
	memcpy(text + at, insert, insert_len);
	return len - cut + insert_len;
}

static size_t mutate(char *text, size_t len)
{
	char copy[256];
	size_t at = pick(len), from = pick(len), n = pick(40);
	const char *token = tokens[pick(N_TOKENS)];
	if (len == 0)
		return 0;
	switch (pick(6)) {
	case 0: /* another byte */
		text[at] = (char)pick(256);
		return len;
	case 1: /* a stretch is gone */
		return splice(text, len, at, n < len - at ? n : len - at, "", 0);
	case 2: /* a stretch again elsewhere */
		n = n < len - from ? n : len - from;
		memcpy(copy, text + from, n);
		return splice(text, len, at, 0, copy, n);
	case 3: /* cut off */
		return pick(20) ? len : at;
	default: /* something that means something */
		return splice(text, len, at, pick(2), token, strlen(token));
	}
}

static unsigned rounds(unsigned usual)
{
	const char *asked = getenv("LINKSPAN_TEST_ROUNDS");
	return asked ? (unsigned)strtoul(asked, NULL, 10) : usual;
}

/* Loads and checks what holds for every file; returns whether it was good. */
static bool survives(const char *folder, const char *text, size_t len)
{
	struct loaded loaded = files_load_text(folder, "mutant.yaml", text, len);
	bool good = loaded.result == 0;
	CU_ASSERT(good == (loaded.config != NULL) && good == (loaded.mistakes == 0));
	CU_ASSERT(good || strlen(loaded.errors) > 0);
	CU_ASSERT_PTR_NULL(strstr(loaded.errors, "hunter2"));
	files_unload(&loaded);
	return good;
}

static void mutate_file(const char *text, size_t len, unsigned n)
{
	const char *folder = tap_tempdir();
	char *mutant = malloc(MAX_BYTES + 1);
	unsigned good = 0;
	for (unsigned i = 0; i < n; i++) {
		memcpy(mutant, text, len);
		size_t mutant_len = len;
		for (size_t j = 1 + pick(4); j > 0; j--)
			mutant_len = mutate(mutant, mutant_len);
		char *exact = malloc(mutant_len + !mutant_len); /* so that an overrun is seen */
		memcpy(exact, mutant, mutant_len);
		good += survives(folder, exact, mutant_len);
		free(exact);
	}
	printf("# %u of %u were still good\n", good, n);
	CU_ASSERT(good < n); /* else nothing was damaged */
	free(mutant);
}

static void test_original(void)
{
	CU_ASSERT(survives(tap_tempdir(), plain, strlen(plain)));
}

static void test_plain(void)
{
	mutate_file(plain, strlen(plain), rounds(3000));
}

static void test_with_programs(void)
{
	char *text = files_read("good/plant.yaml");
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	mutate_file(text, strlen(text), rounds(3000) / 100);
	free(text);
}

/* Every beginning of the file. */
static void test_prefixes(void)
{
	const char *folder = tap_tempdir();
	for (size_t len = 0; len < strlen(plain); len += 3)
		survives(folder, plain, len);
}

/* What needs much of something: refused, quickly, with one message that names the limit. */
static void refused(const char *text, size_t len, const char *word)
{
	struct loaded loaded = files_load_text(tap_tempdir(), "large.yaml", text, len);
	CU_ASSERT(loaded.result != 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(loaded.errors, word));
	CU_ASSERT(strlen(loaded.errors) < 100000);
	files_unload(&loaded);
}

static void test_limits(void)
{
	size_t len = 17u << 20;
	char *text = malloc(len);
	memset(text, '#', len);
	refused(text, len, "larger than 16 MiB");
	len = 3u << 20;
	for (size_t i = 0; i < len; i += 2)
		memcpy(text + i, i ? "1," : " [", 2);
	refused(text, len, "more than 1000000 values");
	memset(text, '[', 20000);
	refused(text, 20000, "nested more than 24 levels");
	for (size_t i = 0; i < 20000; i += 4)
		memcpy(text + i, "- - ", 4);
	refused(text, 20000, "nested more than 24 levels");
	len = 0;
	for (unsigned i = 0; i < 5000; i++)
		len += (size_t)sprintf(text + len, "k%u: 1\n", i);
	refused(text, len, "and 4");
	free(text);
}

int main(void)
{
	files_enter();
	const char *seed = getenv("LINKSPAN_TEST_SEED");
	if (seed)
		state = strtoull(seed, NULL, 10) | 1;
	static const struct tap_test tests[] = {
		{"the undamaged file is good", test_original},
		{"damaged files do no harm", test_plain},
		{"damaged files with programs do no harm", test_with_programs},
		{"every beginning of a file does no harm", test_prefixes},
		{"limits of size, number and depth hold", test_limits},
		{NULL, NULL},
	};
	return tap_main("damaged configuration", tests);
}
