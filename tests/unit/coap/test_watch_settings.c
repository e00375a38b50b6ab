/* SPDX-License-Identifier: Apache-2.0
 *
 * What a mapping that watches a device may say.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/coap/watch_settings.h"
#include "tests/unit/kafka/complaints.h"
#include "tests/unit/tap.h"

/* All keys are given, says the scope of these tests: so there are two complaints of keys of a listener. */
#define ALWAYS 2u

static struct config_scope scope;

static void check(const char *topic, const char *query, const char *accept)
{
	static char url[] = "coap://device";
	char path[64], asked[1200], wanted[64];
	struct config_text item = {.value = path};
	struct config_list filters = {.items = &item, .n = 1};
	struct coap_settings settings = {.url = url};
	struct coap_from_settings from = {.query = query ? asked : NULL, .accept = accept ? wanted : NULL};
	snprintf(path, sizeof path, "%s", topic);
	snprintf(asked, sizeof asked, "%s", query ? query : "");
	snprintf(wanted, sizeof wanted, "%s", accept ? accept : "");
	memset(&scope, 0, sizeof scope);
	coap_watch_check_from(&settings, &from, &filters, &scope);
}

static bool complains(const char *key, const char *word)
{
	return scope.n == ALWAYS + 1 && strcmp(scope.complaints[ALWAYS].key, key) == 0 &&
	       strstr(scope.complaints[ALWAYS].text, word);
}

static void refuses_keys_of_a_listener(void)
{
	check("/temp", NULL, NULL);
	CU_ASSERT_EQUAL(scope.n, ALWAYS);
	CU_ASSERT_STRING_EQUAL(scope.complaints[0].key, "success");
	CU_ASSERT_STRING_EQUAL(scope.complaints[1].key, "delete");
}

static void takes_what_is_one_resource(void)
{
	static const char *const topics[] = {"/", "/temp", "/a b/c", "/a/", "/\xc3\xa4", "/a+b"};
	for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
		check(topics[i], NULL, NULL);
		CU_ASSERT_EQUAL(scope.n, ALWAYS);
	}
	check("/temp", "unit=%C2%B0C&max", "application/senml+json");
	CU_ASSERT_EQUAL(scope.n, ALWAYS);
	check("/temp", "", "coap/12345");
	CU_ASSERT_EQUAL(scope.n, ALWAYS);
}

static void complains_of_the_rest(void)
{
	char long_query[1100];
	check("temp", NULL, NULL);
	CU_ASSERT(complains("topic", "slash"));
	CU_ASSERT_STRING_EQUAL(scope.complaints[ALWAYS].item, "0");
	check("/+/temp", NULL, NULL);
	CU_ASSERT(complains("topic", "wildcard"));
	check("/a/#", NULL, NULL);
	CU_ASSERT(complains("topic", "wildcard"));
	check("/{sensor}/temp", NULL, NULL);
	CU_ASSERT(complains("topic", "capture"));
	check("/a/../b", NULL, NULL);
	CU_ASSERT(complains("topic", ".."));
	check("/temp", "a b", NULL);
	CU_ASSERT(complains("query", "%20"));
	check("/temp", "?a", NULL);
	CU_ASSERT(complains("query", "not part"));
	memset(long_query, 'x', sizeof long_query - 1);
	long_query[sizeof long_query - 1] = '\0';
	check("/temp", long_query, NULL);
	CU_ASSERT(complains("query", "1000"));
	check("/temp", NULL, "text/unheard-of");
	CU_ASSERT(complains("accept", "number"));
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"keys of a listener are refused", refuses_keys_of_a_listener},
		{"one resource may be watched", takes_what_is_one_resource},
		{"what is no resource is complained of", complains_of_the_rest},
		{NULL, NULL},
	};
	return tap_main("coap watch settings", tests);
}
