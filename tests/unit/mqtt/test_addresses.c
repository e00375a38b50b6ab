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
	{"a list that is wrong", test_wrong},
	{"the broker's name is the same in any order", test_broker},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("mqtt addresses", tests);
}
