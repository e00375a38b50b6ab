/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of sets of topics.
 */
#include "routing/topic_shape.h"

#include <stdio.h>

#include "tests/unit/tap.h"

static struct arena arena;

/* Levels with * for what is wild, # when deep, ? when loose. */
static const char *show(const struct topic_shape *shape)
{
	static char text[500];
	size_t len = 0;
	text[0] = '\0';
	for (size_t i = 0; i < shape->n; i++) {
		const struct topic_shape_level *level = &shape->levels[i];
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s%s%.*s", i ? "/" : "",
			(int)level->prefix.len, (const char *)level->prefix.data, level->wild ? "*" : "",
			(int)level->suffix.len, (const char *)level->suffix.data);
	}
	snprintf(text + len, sizeof text - len, "%s%s", shape->deep ? "/#" : "", shape->loose ? "?" : "");
	return text;
}

static void meets(const char *filter, const char *other, const char *expected)
{
	struct topic_shape shape, both;
	topic_shape_of_filter(filter, &shape);
	bool meet = topic_shape_meet(&shape, other, &both);
	CU_ASSERT_EQUAL(meet, expected != NULL);
	if (meet && expected)
		CU_ASSERT_STRING_EQUAL(show(&both), expected);
}

static void test_meet(void)
{
	meets("a/{b}/c", "a/+/c", "a/*/c");
	meets("a/#", "+/b/+", "a/b/*");
	meets("+/b/+", "a/#", "a/b/*");
	meets("a/#", "a/b/#", "a/b/#");
	meets("a/#", "a", "a"); /* the parent level */
	meets("a", "a/#", "a");
	meets("#", "#", "/#");
	meets("a/+", "a", NULL);
	meets("a/b", "a/c", NULL);
	meets("a/+/c", "a/+", NULL);
	meets("$SYS/#", "#", NULL);
	meets("$SYS/#", "+/x", NULL);
	meets("$SYS/#", "$SYS/+", "$SYS/*");
	meets("a//b", "a/+/b", "a//b");
}

static void renders(const char *filter, const char *text, const char *expected)
{
	static const char *const captures[] = {"x", "y"};
	struct topic_shape shape, target;
	struct template *tpl = NULL;
	topic_shape_of_filter(filter, &shape);
	CU_ASSERT_FATAL(!text || template_new(text, captures, 2, &tpl) == 0);
	bool possible = topic_shape_render(&shape, filter, tpl, captures, &topic_shape_plain, &arena, &target);
	CU_ASSERT_EQUAL(possible, expected != NULL);
	if (possible && expected)
		CU_ASSERT_STRING_EQUAL(show(&target), expected);
	template_free(tpl);
	arena_reset(&arena);
}

static void test_render(void)
{
	renders("a/+/#", NULL, "a/*/#");
	renders("a/b", "c", "c");
	renders("a/b", "c/{topic}/d", "c/a/b/d");
	renders("a/+", "c-{topic}-d", "c-a/*-d");
	renders("#", "c/{topic}", "c/*/#");
	renders("a/#", "{topic}/d", "a/#?"); /* larger than it is */
	renders("a/{x}/{y}", "{y}/to/{x}", "*/to/*");
	renders("a/{x}", "line-{x}-end", "line-*-end");
	renders("a/{x}/{y}", "{x}-{y}", "*");
	renders("a/b/+", "{topic[1]}/{topic[2]}", "b/*");
	renders("a/b/+", "x/{topic[1:]}", "x/b/*");
	renders("a/b/+", "{topic[3:]}", NULL);
	renders("a/#", "x/{topic[0:]}", "x/a/#");
	renders("a/#", "x/{topic[1:]}", "x/*/#");
	renders("#", "x/{topic[2:]}", "x/*/#");
	renders("a/#", "{topic[3]}", "*");
	renders("a/+", "{topic[2]}", NULL);
	renders("a/+", "{x}", NULL); /* bound by another filter */
	renders("a", "t/{.b}/u", "t/*/#?");
	renders("a", "t-{header.b}", "t-*/#?");
	renders("a", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25",
		"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/#?");
	arena_free(&arena);
}

/* What has been rendered is met by a filter. */
static void test_render_and_meet(void)
{
	static const char *const captures[] = {"x"};
	struct topic_shape shape, target, both;
	struct template *tpl = NULL;
	topic_shape_of_filter("a/{x}", &shape);
	CU_ASSERT_FATAL(template_new("line-{x}-end/s", captures, 1, &tpl) == 0);
	CU_ASSERT(topic_shape_render(&shape, "a/{x}", tpl, captures, &topic_shape_plain, &arena, &target));
	CU_ASSERT(topic_shape_meet(&target, "+/s", &both));
	CU_ASSERT_STRING_EQUAL(show(&both), "line-*-end/s");
	CU_ASSERT(topic_shape_meet(&target, "line-5-end/#", &both));
	CU_ASSERT_STRING_EQUAL(show(&both), "line-5-end/s");
	CU_ASSERT(!topic_shape_meet(&target, "line-end/s", &both)); /* they may not share a dash */
	CU_ASSERT(!topic_shape_meet(&target, "row-5-end/s", &both));
	template_free(tpl);
	arena_free(&arena);
}

static const struct tap_test tests[] = {
	{"what two filters have in common", test_meet},
	{"what a template makes of it", test_render},
	{"what is constant in a level counts", test_render_and_meet},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("topic shape", tests);
}
