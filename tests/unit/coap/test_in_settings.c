/* SPDX-License-Identifier: Apache-2.0
 *
 * What a listener's settings mean. What is complained of in them is in tests/unit/config/broken/96-coap-*.yaml.
 */
#include <string.h>

#include "connectors/coap/in_settings.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

static struct config_text items[3];

static struct coap_settings listening(const char *first, const char *second)
{
	struct coap_settings settings = {.listen = {.items = items, .n = second ? 2 : 1}};
	items[0].value = (char *)(uintptr_t)first;
	items[1].value = (char *)(uintptr_t)second;
	return settings;
}

static bool knows(const char *first, const char *second, int dedupe)
{
	struct coap_settings settings = listening(first, second);
	settings.in.dedupe = dedupe;
	return coap_in_knows_repetitions(&settings);
}

static void test_repetitions(void)
{
	CU_ASSERT(knows("coap://127.0.0.1", NULL, COAP_DEDUPE_DURABLE));
	CU_ASSERT(knows("coap://127.0.0.1", "coap://[::1]", COAP_DEDUPE_DURABLE));
	CU_ASSERT_FALSE(knows("coap://127.0.0.1", NULL, COAP_DEDUPE_MEMORY));
	CU_ASSERT_FALSE(knows("coaps://127.0.0.1", NULL, COAP_DEDUPE_DURABLE));
	CU_ASSERT_FALSE(knows("coap://127.0.0.1", "coap+tcp://127.0.0.1", COAP_DEDUPE_DURABLE));
	CU_ASSERT_FALSE(knows("coap://127.0.0.1", "coaps+tcp://127.0.0.1", COAP_DEDUPE_DURABLE));
}

/* The tests' scope says that all keys are given, so keys of a client are complained of as well. */
static bool complains(const struct coap_settings *settings, const char *key)
{
	struct config_scope scope = {.n = 0};
	coap_in_check(settings, &scope);
	for (unsigned i = 0; i < scope.n; i++)
		if (strcmp(scope.complaints[i].key, key) == 0)
			return true;
	return false;
}

static void test_open(void)
{
	struct coap_settings settings = listening("coap://127.0.0.1", NULL);
	CU_ASSERT_FALSE(complains(&settings, "listen"));
	settings = listening("coap://127.0.0.1", "coap+tcp://192.0.2.1");
	CU_ASSERT(complains(&settings, "listen"));
	settings.in.public = true;
	CU_ASSERT_FALSE(complains(&settings, "listen"));
}

static bool joins(const char *first, const char *second, char *group)
{
	struct config_text one = {.value = group};
	struct coap_settings settings = listening(first, second);
	settings.in.multicast = (struct config_list){.items = &one, .n = 1};
	return !complains(&settings, "multicast");
}

/* A socket that is bound to an address gets nothing that is sent to a group. */
static void test_groups(void)
{
	static char v4[] = "224.0.1.187", v6[] = "[ff02::fd%eth0]";
	CU_ASSERT(joins("coap://0.0.0.0", NULL, v4) && joins("coaps://127.0.0.1", "coap://0.0.0.0", v4));
	CU_ASSERT(joins("coap://[::]", NULL, v6) && joins("coap://127.0.0.1", "coap://[::]:7", v6));
	CU_ASSERT_FALSE(joins("coap://127.0.0.1", NULL, v4) || joins("coap://192.0.2.7", NULL, v4));
	CU_ASSERT_FALSE(joins("coaps://0.0.0.0", NULL, v4) || joins("coap+tcp://0.0.0.0", NULL, v4));
	CU_ASSERT_FALSE(joins("coap://[::]", NULL, v4) || joins("coap://0.0.0.0", NULL, v6));
	CU_ASSERT_FALSE(joins("coap://[::1]", NULL, v6));
}

static void test_targets(void)
{
	CU_ASSERT_PTR_NULL(coap_in_check_target(NULL, slice_str("/a")));
	CU_ASSERT_PTR_NOT_NULL(coap_in_check_target(NULL, slice_str("")));
	CU_ASSERT_PTR_NOT_NULL(coap_in_check_target(NULL, slice_str("/a/#")));
	CU_ASSERT_PTR_NULL(coap_in_check_param("rt"));
	CU_ASSERT_PTR_NULL(coap_in_check_param("title"));
	CU_ASSERT_PTR_NOT_NULL(coap_in_check_param("method"));
	CU_ASSERT_PTR_NOT_NULL(coap_in_check_param("url"));
	CU_ASSERT_PTR_NOT_NULL(coap_in_check_param("accept"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"where repetitions are known over a restart", test_repetitions},
		{"who can reach it", test_open},
		{"which groups it can hear", test_groups},
		{"what a mapping to it may say", test_targets},
		{NULL, NULL},
	};
	return tap_main("coap settings of a listener", tests);
}
