/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters against topics, the same as regular expressions.
 */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/from.h"
#include "connectors/kafka/settings.h"
#include "tests/unit/tap.h"

static const char *const topics[] = {"a", "b", "a.b", "a.b.c", "ab", "a-b", "a_b", "a.", ".a", "a..b", "_", "_a", "__a",
	"__", "_.a", "__a.b", "a.__b", "_a.b", "__consumer_offsets", "A", "a.b.c.d"};
static const char *const filters[] = {"a", "a.b", "+", "#", "a.#", "a.+", "+.b", "+.+", "a.+.c", "+.#", "a.b.#", "_a",
	"__a", "__a.#", "a.+.#", "a.."};

/* POSIX's, as librdkafka uses it. */
static bool regex_matches(const char *filter, const char *topic)
{
	char text[1024];
	CU_ASSERT_TRUE_FATAL(KAFKA_REGEX_SIZE(filter) <= sizeof text);
	kafka_filter_regex(filter, text, KAFKA_REGEX_SIZE(filter));
	regex_t regex;
	CU_ASSERT_EQUAL_FATAL(regcomp(&regex, text, REG_EXTENDED | REG_NOSUB), 0);
	bool matches = regexec(&regex, topic, 0, NULL, 0) == 0;
	regfree(&regex);
	return matches;
}

static void test_the_same_both_ways(void)
{
	for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++)
		for (size_t t = 0; t < sizeof topics / sizeof topics[0]; t++) {
			bool one = kafka_filter_matches(filters[f], topics[t]);
			bool other = regex_matches(filters[f], topics[t]);
			if (one != other)
				printf("# %s %s: filter %d, regex %d\n", filters[f], topics[t], one, other);
			CU_ASSERT_EQUAL(one, other);
		}
}

static void test_matches(void)
{
	CU_ASSERT_TRUE(kafka_filter_matches("a.#", "a"));
	CU_ASSERT_TRUE(kafka_filter_matches("a.#", "a.b.c"));
	CU_ASSERT_FALSE(kafka_filter_matches("a.#", "ab"));
	CU_ASSERT_TRUE(kafka_filter_matches("a.+.c", "a.b.c"));
	CU_ASSERT_FALSE(kafka_filter_matches("a.+", "a.b.c"));
	CU_ASSERT_FALSE(kafka_filter_matches("#", "__consumer_offsets"));
	CU_ASSERT_FALSE(kafka_filter_matches("+", "__transaction_state"));
	CU_ASSERT_TRUE(kafka_filter_matches("__transaction_state", "__transaction_state"));
	CU_ASSERT_FALSE(kafka_filter_matches("A", "a"));
	CU_ASSERT_TRUE(kafka_filter_is_topic("a.b") && !kafka_filter_is_topic("a.+") && !kafka_filter_is_topic("#"));
}

static void test_highest_qos(void)
{
	static const struct link_subscription subscriptions[] = {
		{.filter = "a.#", .qos = 1}, {.filter = "a.b", .qos = 2}, {.filter = "c", .qos = 0}};
	CU_ASSERT_EQUAL(kafka_subscriptions_match(subscriptions, 3, "a.b"), 2);
	CU_ASSERT_EQUAL(kafka_subscriptions_match(subscriptions, 3, "a.c"), 1);
	CU_ASSERT_EQUAL(kafka_subscriptions_match(subscriptions, 3, "c"), 0);
	CU_ASSERT_EQUAL(kafka_subscriptions_match(subscriptions, 3, "d"), -1);
}

static void test_guarantee(void)
{
	char why[300] = "?";
	struct kafka_settings settings = {0};
	CU_ASSERT_EQUAL(kafka_source_guarantee(&settings, 0), EXACTLY_ONCE);
	kafka_explain_source(&settings, EXACTLY_ONCE, why, sizeof why);
	CU_ASSERT_STRING_EQUAL(why, "");
	char group[] = "g";
	settings.group = group;
	CU_ASSERT_EQUAL(kafka_source_guarantee(&settings, 2), AT_LEAST_ONCE);
	kafka_explain_source(&settings, EXACTLY_ONCE, why, sizeof why);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "leave group out"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"a filter and its regular expression match the same", test_the_same_both_ways},
		{"levels end with dots, Kafka's own topics are left out", test_matches},
		{"the highest qos of those that match", test_highest_qos},
		{"guarantee with and without a group", test_guarantee},
		{NULL, NULL},
	};
	return tap_main("kafka from", tests);
}
