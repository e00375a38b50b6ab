/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of filters against the plain definition, filter by filter, over random filters and topics.
 */
#include "routing/topic_index.h"

#include <stdio.h>
#include <stdlib.h>

#include "routing/topic_filter.h"
#include "tests/unit/routing/random_topic.h"
#include "tests/unit/tap.h"

#define N_FILTERS 300
#define MAX_TEXT  RANDOM_TOPIC_BYTES

static struct topic_index *index_of(char filters[][MAX_TEXT], unsigned n)
{
	struct topic_index *index = topic_index_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(index);
	for (unsigned i = 0; i < n; i++)
		CU_ASSERT_EQUAL_FATAL(topic_index_add(index, filters[i]), 0);
	return index;
}

static bool same_as_plain(const uint32_t *found, size_t n, char filters[][MAX_TEXT], const char *topic)
{
	size_t at = 0;
	for (unsigned i = 0; i < N_FILTERS; i++) {
		if (!topic_filter_matches(filters[i], slice_str(topic)))
			continue;
		if (at == n || found[at++] != i)
			return false;
	}
	return at == n;
}

static bool same_as_covers(const uint32_t *found, size_t n, char filters[][MAX_TEXT], const char *inner)
{
	size_t at = 0;
	for (unsigned i = 0; i < N_FILTERS; i++) {
		if (!topic_filter_covers(filters[i], inner))
			continue;
		if (at == n || found[at++] != i)
			return false;
	}
	return at == n;
}

static void test_equals_the_definition(void)
{
	static char filters[N_FILTERS][MAX_TEXT];
	const uint32_t *found;
	size_t matches = 0;
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < N_FILTERS; i++)
			random_filter(filters[i]);
		struct topic_index *index = index_of(filters, N_FILTERS);
		for (unsigned i = 0; i < 1000; i++) {
			char text[MAX_TEXT];
			random_topic(text);
			size_t n = topic_index_match(index, slice_str(text), &found);
			matches += n;
			if (!same_as_plain(found, n, filters, text))
				CU_FAIL("the index and the definition differ");
			random_filter(text);
			n = topic_index_covering(index, text, &found);
			if (!same_as_covers(found, n, filters, text))
				CU_FAIL("the index and topic_filter_covers differ");
		}
		topic_index_free(index);
	}
	CU_ASSERT_TRUE(matches > 100000);
}

static void test_empty(void)
{
	struct topic_index *index = topic_index_new();
	const uint32_t *found;
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str("a/b"), &found), 0);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str(""), &found), 0);
	topic_index_free(index);
	topic_index_free(NULL);
}

/* A topic name with a + or # in it, as a path or a Kafka topic may have, is text. */
static void test_wildcards_in_topics_are_text(void)
{
	static char filters[][MAX_TEXT] = {"a/b", "a/+", "#", "+"};
	struct topic_index *index = index_of(filters, 4);
	const uint32_t *found;
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str("a/+"), &found), 2);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str("#"), &found), 2);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_of("a/b\0", 4), &found), 2);
	topic_index_free(index);
}

static void test_many_levels(void)
{
	struct topic_index *index = topic_index_new();
	char *text = malloc(TOPIC_MAX_BYTES + 1);
	const uint32_t *found;
	memset(text, '/', TOPIC_MAX_BYTES);
	text[TOPIC_MAX_BYTES] = '\0';
	CU_ASSERT_EQUAL(topic_index_add(index, "#"), 0);
	CU_ASSERT_EQUAL(topic_index_add(index, text), 0);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str(text), &found), 2);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_of(text, 100), &found), 1);
	for (size_t i = 0; i + 1 < TOPIC_MAX_BYTES; i += 2)
		text[i] = '+';
	text[TOPIC_MAX_BYTES - 1] = '#';
	CU_ASSERT_EQUAL(topic_index_add(index, text), 0);
	CU_ASSERT_EQUAL(topic_index_match(index, slice_str(text), &found), 2);
	free(text);
	topic_index_free(index);
}

static const struct tap_test tests[] = {
	{"equals the plain definition", test_equals_the_definition},
	{"an empty index", test_empty},
	{"wildcards in topics are text", test_wildcards_in_topics_are_text},
	{"as many levels as fit", test_many_levels},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("topic index", tests);
}
