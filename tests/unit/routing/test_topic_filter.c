/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic filters against every example of MQTT 5 §4.7 and §4.8.2, and captures.
 */
#include "routing/topic_filter.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/routing/random_topic.h"
#include "tests/unit/tap.h"

static void test_matches(void)
{
	static const struct {
		const char *filter, *topic;
		bool match;
	} rows[] = {
		/* §4.7.1.2 multi-level wildcard */
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player10", false},
		{"sport/#", "sport", true},
		{"sport/#", "sport/", true},
		{"sport/#", "sports", false},
		{"#", "sport", true},
		{"#", "/", true},
		{"sport/tennis/#", "sport/tennis/x/y", true},
		/* §4.7.1.3 single-level wildcard */
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player2", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+", "finance", true},
		{"+", "/finance", false},
		{"+/tennis/#", "sport/tennis", true},
		{"+/tennis/#", "sport/tennis/x", true},
		{"sport/+/player1", "sport/tennis/player1", true},
		{"sport/+/player1", "sport/tennis/player2", false},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		/* §4.7.2 topics that begin with $ */
		{"#", "$SYS/x", false},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false},
		{"$SYS/#", "$SYS/x/y", true},
		{"$SYS/#", "$SYS", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"+", "$SYS", false},
		{"+/#", "$SYS/x", false},
		{"a/+", "a/$x", true},
		{"a/#", "a/$x", true},
		/* §4.7.3 semantics */
		{"ACCOUNTS", "Accounts", false},
		{"Accounts payable", "Accounts payable", true},
		{"/finance", "finance", false},
		{"finance", "/finance", false},
		{"/", "/", true},
		{"/", "//", false},
		{"a//b", "a//b", true},
		{"a/+/b", "a//b", true},
		{"a", "a/", false},
		{"a/", "a", false},
		{"+", "", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CU_ASSERT_EQUAL(topic_filter_matches(rows[i].filter, slice_str(rows[i].topic)), rows[i].match);
		if (topic_filter_matches(rows[i].filter, slice_str(rows[i].topic)) != rows[i].match)
			printf("# %s %s\n", rows[i].filter, rows[i].topic);
	}
}

static void test_check(void)
{
	static const struct {
		const char *filter, *wrong; /* NULL: well formed, else a part of the sentence */
	} rows[] = {
		{"sport/tennis/#", NULL},
		{"#", NULL},
		{"+", NULL},
		{"/", NULL},
		{"sport/tennis#", "# must stand alone"},
		{"sport/tennis/#/ranking", "last level"},
		{"sport+", "+ must stand alone"},
		{"+/tennis/#", NULL},
		{"sport/+/player1", NULL},
		{"++", "+ must stand alone"},
		{"+#", "must stand alone"},
		{"", "empty"},
		{"a/\xC3\xA4", NULL},
		{"a/\xC3", "UTF-8"},
		{"a/\xED\xA0\x80", "UTF-8"}, /* a surrogate */
		{"a/\xC0\x80", "UTF-8"}, /* an overlong NUL */
		{"a/\xF4\x90\x80\x80", "UTF-8"}, /* past U+10FFFF */
		{"a/\xF0\x9F\x98\x80", NULL},
		{"$SYS/#", NULL},
		{"$share/consumer1/sport/tennis/+", NULL},
		{"$share/consumer2/sport/tennis/+", NULL},
		{"$share/consumer1//finance", NULL},
		{"$share/consumer1/+/finance", NULL},
		{"$share/g/$SYS/#", NULL},
		{"$share/g/{a}/b", NULL},
		{"$share//a", "no group name"},
		{"$share/g", "no topic filter"},
		{"$share/g/", "no topic filter"},
		{"$share/", "no group name"},
		{"$share/g+/a", "group name"},
		{"$share/#/a", "group name"},
		{"$share/{g}/a", "group name"},
		{"$share/g/a#", "# must stand alone"},
		{"plant/{line}/{cell}/telemetry/#", NULL},
		{"{a}", NULL},
		{"{_a9}/x", NULL},
		{"a{b}", "fill its whole level"},
		{"{9a}", "fill its whole level"},
		{"{}", "fill its whole level"},
		{"{a", "fill its whole level"},
		{"a}", "fill its whole level"},
		{"{a-b}", "fill its whole level"},
		{"{a}/{a}", "twice"},
		{"{a}/b/{a}", "twice"},
		{"{a}/{b}", NULL},
		{"{topic}/a", "already means something"},
		{"{key}", "already means something"},
		{"{received}", "already means something"},
		{"{ENV}", "already means something"},
		{"{a+}", "+ must stand alone"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *wrong = topic_filter_check(rows[i].filter);
		bool good = rows[i].wrong ? wrong && strstr(wrong, rows[i].wrong) : !wrong;
		CU_ASSERT_TRUE(good);
		if (!good)
			printf("# %s: %s\n", rows[i].filter, wrong ? wrong : "(well formed)");
	}
}

static void test_lengths(void)
{
	char *text = malloc(TOPIC_MAX_BYTES + 2);
	memset(text, 'a', TOPIC_MAX_BYTES + 1);
	text[TOPIC_MAX_BYTES + 1] = '\0';
	CU_ASSERT_PTR_NOT_NULL(topic_filter_check(text));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str(text)));
	text[TOPIC_MAX_BYTES] = '\0';
	CU_ASSERT_PTR_NULL(topic_filter_check(text));
	CU_ASSERT_PTR_NULL(topic_name_check(slice_str(text)));
	free(text);
}

static void test_name(void)
{
	CU_ASSERT_PTR_NULL(topic_name_check(slice_str("a/b")));
	CU_ASSERT_PTR_NULL(topic_name_check(slice_str("/")));
	CU_ASSERT_PTR_NULL(topic_name_check(slice_str("$SYS/x y")));
	CU_ASSERT_PTR_NULL(topic_name_check(slice_str("a/{b}")));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str("")));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str("a/+")));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str("a/#")));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str("a+b")));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_of("a\0b", 3)));
	CU_ASSERT_PTR_NOT_NULL(topic_name_check(slice_str("a/\xFF")));
}

static void assert_wire(const char *filter, bool strip, const char *expected)
{
	char *wire = topic_filter_wire(filter, strip);
	CU_ASSERT_PTR_NOT_NULL_FATAL(wire);
	CU_ASSERT_STRING_EQUAL(wire, expected);
	free(wire);
}

static void test_wire(void)
{
	assert_wire("plant/{line}/{cell}/#", true, "plant/+/+/#");
	assert_wire("{a}", true, "+");
	assert_wire("/a//", true, "/a//");
	assert_wire("$share/g/{a}/b", false, "$share/g/+/b");
	assert_wire("$share/g/{a}/b", true, "+/b");
	assert_wire("$share/g//a", true, "/a");
	assert_wire("$SYS/#", true, "$SYS/#");
}

/* A delivered topic never begins with $share/group/: the prefix must not take part in the comparison. */
static void test_share_prefix_is_not_compared(void)
{
	char *wire = topic_filter_wire("$share/workers/plant/+/alarm", true);
	CU_ASSERT_TRUE(topic_filter_matches(wire, slice_str("plant/7/alarm")));
	CU_ASSERT_FALSE(topic_filter_matches(wire, slice_str("$share/workers/plant/7/alarm")));
	free(wire);
	CU_ASSERT_STRING_EQUAL(topic_filter_without_share("$share/g/a/b"), "a/b");
	CU_ASSERT_STRING_EQUAL(topic_filter_without_share("a/$share/g/b"), "a/$share/g/b");
}

#define MAX_NAMES 100

static void join(struct slice name, void *arg)
{
	char *names = arg;
	size_t len = strlen(names);
	snprintf(names + len, MAX_NAMES - len, "%.*s,", (int)name.len, (const char *)name.data);
}

static void test_captures(void)
{
	char names[MAX_NAMES] = "";
	topic_filter_captures("$share/g/{line}/x/{cell_2}/#", join, names);
	CU_ASSERT_STRING_EQUAL(names, "line,cell_2,");
	names[0] = '\0';
	topic_filter_captures("a/+/#", join, names);
	CU_ASSERT_STRING_EQUAL(names, "");
}

static void test_covers(void)
{
	static const struct {
		const char *outer, *inner;
		bool covers;
	} rows[] = {
		{"#", "a", true},
		{"#", "#", true},
		{"#", "+/a/#", true},
		{"#", "$SYS/#", false},
		{"#", "$SYS/a", false},
		{"+/a", "$SYS/a", false},
		{"+/#", "+/a", true},
		{"a/#", "a", true},
		{"a/#", "a/#", true},
		{"a/#", "a/+", true},
		{"a/#", "a/+/b", true},
		{"a/#", "#", false},
		{"a/#", "+", false},
		{"a/#", "ab", false},
		{"a/+", "a/b", true},
		{"a/+", "a/+", true},
		{"a/+", "a/#", false},
		{"a/+", "a", false},
		{"a/+/#", "a/#", false},
		{"a/+/#", "a/b", true},
		{"+/b", "a/b", true},
		{"a/b", "+/b", false},
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"+/+", "/", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CU_ASSERT_EQUAL(topic_filter_covers(rows[i].outer, rows[i].inner), rows[i].covers);
		if (topic_filter_covers(rows[i].outer, rows[i].inner) != rows[i].covers)
			printf("# %s %s\n", rows[i].outer, rows[i].inner);
	}
}

/* Whatever a covered filter matches, the covering one matches. */
static void test_covers_means_matches(void)
{
	unsigned seen = 0;
	for (unsigned i = 0; i < 200000; i++) {
		char outer[RANDOM_TOPIC_BYTES], inner[RANDOM_TOPIC_BYTES], topic[RANDOM_TOPIC_BYTES];
		random_filter(outer);
		random_filter(inner);
		random_topic(topic);
		if (!topic_filter_covers(outer, inner) || !topic_filter_matches(inner, slice_str(topic)))
			continue;
		seen++;
		if (!topic_filter_matches(outer, slice_str(topic))) {
			CU_FAIL("a covered filter matches more");
			printf("# %s %s %s\n", outer, inner, topic);
			return;
		}
	}
	CU_ASSERT_TRUE(seen > 1000);
}

static void overlaps(const char *a, const char *b, bool expected)
{
	CU_ASSERT_EQUAL(topic_filter_overlaps(a, b), expected);
	CU_ASSERT_EQUAL(topic_filter_overlaps(b, a), expected);
	if (topic_filter_overlaps(a, b) != expected)
		printf("# %s and %s\n", a, b);
}

static void test_overlaps(void)
{
	overlaps("a", "a", true);
	overlaps("a", "b", false);
	overlaps("a/+/c", "a/b/#", true);
	overlaps("a/+/c", "a/b/+", true);
	overlaps("a/+", "+/b/c", false);
	overlaps("a/+/c", "a/b/d", false);
	overlaps("a/#", "a", true); /* the parent level */
	overlaps("a/#", "a/b/c/+", true);
	overlaps("a/b/#", "a/c/#", false);
	overlaps("+/#", "x", true);
	overlaps("#", "$SYS/a", false); /* [MQTT-4.7.2-1] */
	overlaps("+/a", "$SYS/a", false);
	overlaps("$SYS/#", "$SYS/a", true);
	overlaps("a/", "a/+", true); /* an empty level is a level */
	overlaps("a", "a/+", false);
}

static const struct tap_test tests[] = {
	{"matches as MQTT 5 §4.7 says", test_matches},
	{"check finds every malformed filter", test_check},
	{"65535 bytes and no more", test_lengths},
	{"topic names", test_name},
	{"wire form", test_wire},
	{"the share prefix is not compared with topics", test_share_prefix_is_not_compared},
	{"captures in order", test_captures},
	{"covers", test_covers},
	{"covers means matches", test_covers_means_matches},
	{"filters that have a topic in common", test_overlaps},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("topic filter", tests);
}
