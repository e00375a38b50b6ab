/* SPDX-License-Identifier: Apache-2.0 */
/* alignment: two words letter by letter, and that no fewer edits would do. */
#include "simulation/alignment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

struct words {
	const char *want, *got;
};

static bool same(void *arg, size_t want, size_t got)
{
	const struct words *words = arg;
	return words->want[want] == words->got[got];
}

/* "a b:x -c +d": equal, another one, missing, too much. */
static const char *align(const char *want, const char *got)
{
	static char text[4000];
	struct words words = {want, got};
	size_t n, len = 0;
	struct alignment_pair *pairs = alignment_new(strlen(want), strlen(got), same, &words, &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pairs);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const char *space = i ? " " : "";
		const struct alignment_pair *pair = &pairs[i];
		if (pair->got == ALIGNMENT_NONE)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s-%c", space, want[pair->want]);
		else if (pair->want == ALIGNMENT_NONE)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s+%c", space, got[pair->got]);
		else if (pair->same)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%c", space, want[pair->want]);
		else
			len += (size_t)snprintf(
				text + len, sizeof text - len, "%s%c:%c", space, want[pair->want], got[pair->got]);
	}
	free(pairs);
	return text;
}

static void test_words(void)
{
	CU_ASSERT_STRING_EQUAL(align("", ""), "");
	CU_ASSERT_STRING_EQUAL(align("abc", "abc"), "a b c");
	CU_ASSERT_STRING_EQUAL(align("abc", "axc"), "a b:x c");
	CU_ASSERT_STRING_EQUAL(align("abc", "ac"), "a -b c");
	CU_ASSERT_STRING_EQUAL(align("ac", "abc"), "a +b c");
	CU_ASSERT_STRING_EQUAL(align("abc", ""), "-a -b -c");
	CU_ASSERT_STRING_EQUAL(align("", "ab"), "+a +b");
	CU_ASSERT_STRING_EQUAL(align("aaa", "aa"), "a a -a");
	CU_ASSERT_STRING_EQUAL(align("abcdef", "bcdefa"), "-a b c d e f +a");
	CU_ASSERT_STRING_EQUAL(align("ab", "ba"), "a:b b:a");
}

static size_t count_edits(const struct alignment_pair *pairs, size_t n)
{
	size_t edits = 0;
	for (size_t i = 0; i < n; i++)
		edits += !pairs[i].same;
	return edits;
}

/* Plain recursion. */
static size_t fewest(const char *want, const char *got)
{
	if (!*want || !*got)
		return strlen(want) + strlen(got);
	size_t both = fewest(want + 1, got + 1) + (*want != *got), missing = fewest(want + 1, got) + 1,
	       extra = fewest(want, got + 1) + 1;
	size_t best = both < missing ? both : missing;
	return best < extra ? best : extra;
}

static void test_all_short_words(void)
{
	char words[400][6];
	size_t n_words = 0;
	for (unsigned len = 0; len <= 5; len++)
		for (unsigned i = 0; i < 1u << len; i++, n_words++) {
			for (unsigned k = 0; k < len; k++)
				words[n_words][k] = i >> k & 1 ? 'a' : 'b';
			words[n_words][len] = '\0';
		}
	size_t bad = 0;
	for (size_t i = 0; i < n_words; i++)
		for (size_t j = 0; j < n_words; j++) {
			struct words both = {words[i], words[j]};
			size_t n;
			struct alignment_pair *pairs =
				alignment_new(strlen(words[i]), strlen(words[j]), same, &both, &n);
			bad += !pairs || count_edits(pairs, n) != fewest(words[i], words[j]);
			free(pairs);
		}
	CU_ASSERT_EQUAL(bad, 0);
}

/* More than there is a table for. */
static void test_long(void)
{
	enum { N = 5000 };
	static char want[N + 1], got[N + 1];
	memset(want, 'a', N);
	memset(got, 'b', N);
	want[0] = got[0] = 'x';
	want[N - 1] = got[N - 1] = 'y';
	struct words words = {want, got};
	size_t n;
	struct alignment_pair *pairs = alignment_new(N, N, same, &words, &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pairs);
	CU_ASSERT_EQUAL(n, N);
	CU_ASSERT_EQUAL(count_edits(pairs, n), N - 2);
	free(pairs);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"words", test_words},
		{"no fewer edits would do", test_all_short_words},
		{"long", test_long},
		{NULL, NULL},
	};
	return tap_main("alignment", tests);
}
