/* SPDX-License-Identifier: Apache-2.0
 *
 * Arrays as several messages: the bytes of each element, and what is no array.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/http/in_split.h"
#include "tests/unit/tap.h"

#define MAX 5

static const struct {
	const char *body;
	const char *elements[MAX + 1]; /* until NULL */
} arrays[] = {
	{"[]", {NULL}},
	{" [ ] \r\n", {NULL}},
	{"[1]", {"1", NULL}},
	{"[1.10,-0,1e400]", {"1.10", "-0", "1e400", NULL}},
	{"[12345678901234567890123]", {"12345678901234567890123", NULL}},
	{"\t[ {\"a\" : [1 , 2]} ,\n\"]\" , null , [ ] ,true ]", {"{\"a\" : [1 , 2]}", "\"]\"", "null", "[ ]", "true"}},
	{"[\"\\\"],[\\\\\", \"\xc3\xa4\"]", {"\"\\\"],[\\\\\"", "\"\xc3\xa4\"", NULL}},
};

static const char *const others[] = {"", " ", "{}", "1", "\"[1]\"", "null", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
	"[1]]", "[1] [2]", "[NaN]", "[01]", "[1.]", "['a']", "[\"\xff\"]", "[\"\\ud800x\"", "{\"a\":[1]}", "[tru]"};

static struct message_view base(void)
{
	return (struct message_view){.topic = slice_str("/x"), .qos = 1, .origin_ms = 7, .key = slice_str("k")};
}

static void splits(void)
{
	struct arena arena = {0};
	for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
		struct message_view view = base(), *views = NULL;
		const char *wrong = NULL;
		size_t n = 0, wanted = 0;
		while (wanted < MAX && arrays[i].elements[wanted])
			wanted++;
		CU_ASSERT_EQUAL_FATAL(in_split(slice_str(arrays[i].body), &view, MAX, &arena, &views, &n, &wrong), 0);
		CU_ASSERT_EQUAL_FATAL(n, wanted);
		for (size_t k = 0; k < n; k++) {
			CU_ASSERT(slice_equal(views[k].payload, slice_str(arrays[i].elements[k])));
			CU_ASSERT(slice_equal(views[k].topic, view.topic));
			CU_ASSERT(slice_equal(views[k].content_type, slice_str("application/json")));
			CU_ASSERT_EQUAL(views[k].origin_ms, 7);
		}
		arena_reset(&arena);
	}
	arena_free(&arena);
}

static void refuses(void)
{
	struct arena arena = {0};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct message_view view = base(), *views = NULL;
		const char *wrong = NULL;
		size_t n = 0;
		CU_ASSERT_EQUAL(in_split(slice_str(others[i]), &view, MAX, &arena, &views, &n, &wrong), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(wrong);
		CU_ASSERT_PTR_NULL(views);
	}
	arena_free(&arena);
}

static void counts(void)
{
	struct arena arena = {0};
	struct message_view view = base(), *views = NULL;
	const char *wrong = NULL;
	size_t n = 0;
	CU_ASSERT_EQUAL(in_split(slice_str("[1,2,3,4,5,6]"), &view, MAX, &arena, &views, &n, &wrong), -E2BIG);
	CU_ASSERT_PTR_NULL(views);
	CU_ASSERT_EQUAL(in_split(slice_str("[1,2,3,4,5]"), &view, MAX, &arena, &views, &n, &wrong), 0);
	CU_ASSERT_EQUAL(n, MAX);
	arena_free(&arena);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"elements with their bytes", splits},
		{"what is no array", refuses},
		{"too many", counts},
		{NULL, NULL},
	};
	return tap_main("http split", tests);
}
