/* SPDX-License-Identifier: Apache-2.0
 *
 * The order in which a connection's addresses are tried, and when a round of them is over.
 */
#include "connectors/mqtt/addresses.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/tap.h"

static char first[] = "mqtt://first", second[] = "mqtts://second:1", third[] = "mqtt://third";
static struct config_text texts[] = {{.value = first}, {.value = second}, {.value = third}};

static struct addresses list_of(size_t n)
{
	struct addresses list;
	struct mqtt_settings settings = {.urls = {texts, n}};
	const char *wrong;
	CU_ASSERT_FATAL(addresses_init(&list, &settings, &wrong) == 0 && wrong == NULL);
	return list;
}

static bool at(const struct addresses *list, const char *host)
{
	return strcmp(addresses_current(list)->host, host) == 0;
}

static void test_one(void)
{
	struct addresses list = list_of(1);
	bool slow = true;
	CU_ASSERT(at(&list, "first"));
	CU_ASSERT(addresses_failed(&list, false, false, &slow) && !slow);
	CU_ASSERT(addresses_failed(&list, false, true, &slow) && slow);
	CU_ASSERT(addresses_failed(&list, true, false, &slow) && !slow);
	CU_ASSERT(addresses_failed(&list, true, true, &slow) && slow);
	CU_ASSERT(at(&list, "first"));
	addresses_free(&list);
}

static void test_rounds(void)
{
	struct addresses list = list_of(3);
	bool slow = true;
	for (int round = 0; round < 3; round++) {
		CU_ASSERT(at(&list, "first"));
		CU_ASSERT(!addresses_failed(&list, false, false, &slow));
		CU_ASSERT(at(&list, "second") && addresses_current(&list)->tls);
		CU_ASSERT(!addresses_failed(&list, false, false, &slow));
		CU_ASSERT(at(&list, "third") && !addresses_current(&list)->tls);
		CU_ASSERT(addresses_failed(&list, false, false, &slow) && !slow);
	}
	addresses_free(&list);
}

/* A sound connection that breaks begins a round, wherever it was. */
static void test_sound(void)
{
	struct addresses list = list_of(3);
	bool slow = true;
	CU_ASSERT(!addresses_failed(&list, false, true, &slow));
	CU_ASSERT(addresses_failed(&list, true, false, &slow) && !slow);
	CU_ASSERT(at(&list, "first"));
	CU_ASSERT(!addresses_failed(&list, false, false, &slow));
	CU_ASSERT(!addresses_failed(&list, false, false, &slow));
	CU_ASSERT(addresses_failed(&list, true, true, &slow) && slow);
	CU_ASSERT(at(&list, "first"));
	addresses_free(&list);
}

/* The long wait comes only when none of them is worth an early try. */
static void test_slow(void)
{
	struct addresses list = list_of(2);
	bool slow = false;
	CU_ASSERT(!addresses_failed(&list, false, true, &slow));
	CU_ASSERT(addresses_failed(&list, false, true, &slow) && slow);
	CU_ASSERT(!addresses_failed(&list, false, true, &slow));
	CU_ASSERT(addresses_failed(&list, false, false, &slow) && !slow);
	CU_ASSERT(!addresses_failed(&list, false, false, &slow));
	CU_ASSERT(addresses_failed(&list, false, true, &slow) && !slow);
	addresses_free(&list);
}

static bool follows(struct addresses *list, const char *reference, bool moved)
{
	return addresses_follow(list, slice_str(reference), moved, false) == 0;
}

static bool leads_to(const char *reference, const char *host, uint16_t port)
{
	struct addresses list = list_of(1);
	bool good = follows(&list, reference, false) && at(&list, host) && addresses_current(&list)->port == port &&
		    !addresses_current(&list)->tls;
	addresses_free(&list);
	return good;
}

static void test_references(void)
{
	CU_ASSERT(leads_to("other", "other", 1883));
	CU_ASSERT(leads_to("other:99", "other", 99));
	CU_ASSERT(leads_to("10.0.0.1:99", "10.0.0.1", 99));
	CU_ASSERT(leads_to("[::1]:99", "::1", 99));
	CU_ASSERT(leads_to("[::1]", "::1", 1883));
	CU_ASSERT(leads_to("fe80::1", "fe80::1", 1883));
	CU_ASSERT(leads_to("  other  third:7", "other", 1883));
	CU_ASSERT(leads_to("b@d x:y third:7 fourth", "third", 7));
	CU_ASSERT(leads_to("mqtts://other:99/", "other", 99)); /* the scheme is the url's */
	struct addresses list = list_of(1);
	static const char *const bad[] = {"", " ", ":", "/", "://", ":1883", "a:0", "a:b", "a/b", "a@b", "[::1", "[]"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!follows(&list, bad[i], false));
	CU_ASSERT(addresses_follow(&list, slice_of("a\0b", 3), false, false) == -EINVAL);
	CU_ASSERT(addresses_follow(&list, (struct slice){NULL, 0}, false, false) == -EINVAL);
	static char large[400];
	memset(large, 'x', sizeof large - 1);
	CU_ASSERT(!follows(&list, large, false));
	CU_ASSERT(at(&list, "first"));
	addresses_free(&list);
}

static void test_use_another(void)
{
	struct addresses list = list_of(3);
	bool slow = true;
	CU_ASSERT(!addresses_failed(&list, false, false, &slow)); /* now at mqtts://second */
	CU_ASSERT(follows(&list, "other", false));
	CU_ASSERT(at(&list, "other") && addresses_current(&list)->tls && addresses_current(&list)->port == 8883);
	CU_ASSERT(addresses_failed(&list, false, false, &slow) && !slow); /* once, and then the list from its start */
	CU_ASSERT(at(&list, "first"));
	CU_ASSERT(follows(&list, "other", false));
	CU_ASSERT(addresses_failed(&list, true, false, &slow));
	CU_ASSERT(at(&list, "first"));
	addresses_free(&list);
}

static void test_moved(void)
{
	struct addresses list = list_of(2);
	bool slow = true;
	CU_ASSERT(follows(&list, "new", true) && at(&list, "new"));
	/* The old ones are better than none. */
	CU_ASSERT(!addresses_failed(&list, false, false, &slow) && at(&list, "first"));
	CU_ASSERT(!addresses_failed(&list, false, false, &slow) && at(&list, "second"));
	CU_ASSERT(addresses_failed(&list, false, false, &slow) && at(&list, "new"));
	CU_ASSERT(addresses_failed(&list, true, false, &slow) && at(&list, "new"));
	CU_ASSERT(follows(&list, "newer", true) && at(&list, "newer"));
	CU_ASSERT(follows(&list, "other", false) && at(&list, "other"));
	CU_ASSERT(addresses_failed(&list, true, false, &slow) && at(&list, "newer"));
	addresses_free(&list);
}

static void test_references_in_a_row(void)
{
	struct addresses list = list_of(1);
	bool slow;
	for (int i = 0; i < ADDRESSES_MOST_REFERENCES; i++)
		CU_ASSERT(follows(&list, i % 2 ? "a" : "b", i == 3));
	CU_ASSERT(addresses_follow(&list, slice_str("c"), false, false) == -ELOOP);
	CU_ASSERT(addresses_failed(&list, false, true, &slow) && slow);
	/* After the wait they count anew, and after a sound connection. */
	for (int i = 0; i < ADDRESSES_MOST_REFERENCES; i++)
		CU_ASSERT(follows(&list, "a", false));
	CU_ASSERT(addresses_follow(&list, slice_str("c"), false, true) == 0);
	CU_ASSERT(addresses_failed(&list, true, false, &slow));
	for (int i = 0; i < ADDRESSES_MOST_REFERENCES; i++)
		CU_ASSERT(follows(&list, "a", false));
	CU_ASSERT(addresses_follow(&list, slice_str("c"), false, false) == -ELOOP);
	addresses_free(&list);
}

static void test_wrong(void)
{
	static char bad[] = "http://x";
	struct config_text items[] = {{.value = first}, {.value = bad}};
	struct mqtt_settings settings = {.urls = {items, 2}};
	struct addresses list;
	const char *wrong;
	CU_ASSERT(addresses_init(&list, &settings, &wrong) == -EINVAL && wrong != NULL);
	settings.urls.n = 0;
	CU_ASSERT(addresses_init(&list, &settings, &wrong) == -EINVAL && wrong != NULL);
}

static char *broker(char *a, char *b, char *c)
{
	struct config_text items[] = {{.value = a}, {.value = b}, {.value = c}};
	struct mqtt_settings settings = {.urls = {items, c ? 3 : b ? 2 : 1}};
	return mqtt_settings_broker(&settings);
}

static void test_broker(void)
{
	char *one = broker(first, NULL, NULL), *all = broker(first, second, third),
	     *turned = broker(third, first, second);
	CU_ASSERT_STRING_EQUAL(one, "mqtt://first");
	CU_ASSERT_STRING_EQUAL(all, "mqtt://first mqtt://third mqtts://second:1");
	CU_ASSERT_STRING_EQUAL(turned, all);
	free(one);
	free(all);
	free(turned);
}

static const struct tap_test tests[] = {
	{"one address", test_one},
	{"rounds over three", test_rounds},
	{"after a sound connection", test_sound},
	{"what needs a person", test_slow},
	{"what a broker may refer to", test_references},
	{"a reference for one connection", test_use_another},
	{"a broker that has moved", test_moved},
	{"references in a row", test_references_in_a_row},
	{"a list that is wrong", test_wrong},
	{"the broker's name is the same in any order", test_broker},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt addresses", tests);
}
