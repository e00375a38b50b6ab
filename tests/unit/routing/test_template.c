/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates: what compiles, where it is wrong, what comes out, and what happens when a part is missing.
 */
#include "routing/template.h"

#include <stdio.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "tests/unit/tap.h"

static const char *const names[] = {"line", "cell"};

static void test_check(void)
{
	static const struct {
		const char *text, *wrong;
		size_t offset;
	} rows[] = {
		{"", NULL, 0},
		{"scada.{line}", NULL, 0},
		{"{line}{cell}", NULL, 0},
		{"{topic}/{topic[0]}/{topic[12]}", NULL, 0},
		{"x/{topic[1:]}/{topic[0:]}", NULL, 0},
		{"{topic[:1]}", "index is a number", 7},
		{"{topic[1:2]}", "index is a number", 7},
		{"{.a[1:]}", "index is a number", 4},
		{"{key}-{header.x-y z}", NULL, 0},
		{"{.a}{.a.b[0].c}{.a[\"x }y\"]}{.[0]}{.}{.a-b_c}", NULL, 0},
		{"{payload.a.b[0]}{payload.[\"x }\"]}{payload[1]}", NULL, 0},
		{"{payload}", "is nothing that a message has", 0},
		{"{payload.}", "JSON path", 8},
		{"{{line}}", NULL, 0},
		{"a{{b}}c", NULL, 0},
		{"ab{", "no }", 2},
		{"ab{line", "no }", 2},
		{"ab}c", "stands alone", 2},
		{"a{lin}", "use {line}, {cell}, {topic}", 1},
		{"a{}", "is nothing that a message has", 1},
		{"{ line}", "is nothing", 0},
		{"{headers.x}", "is nothing", 0},
		{"{header.}", "name of the header is missing", 8},
		{"{topic[1:]}", NULL, 0},
		{"{topic[:]}", "index is a number", 7},
		{"{topic[1:2]}", "index is a number", 7},
		{"{.a[1:]}", "index is a number", 4},
		{"{topic[]}", "index is a number", 7},
		{"{topic[-1]}", "index is a number", 7},
		{"{topic[1}", "index is a number", 7},
		{"{topic[99999]}", "at most", 7},
		{"{topic[1]x}", "} was expected", 9},
		{"{.a..b}", "JSON path", 3},
		{"{..a}", "JSON path", 1},
		{"{.a[x]}", "index is a number", 4},
		{"{.a[\"b}", "quoted key", 4},
		{"{.a b}", "JSON path", 3},
		{"{.a.}", "JSON path", 3},
		{"{.a[0]b}", "JSON path", 6},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t offset = 0;
		const char *wrong = template_check(rows[i].text, names, 2, &offset);
		bool good = rows[i].wrong ? wrong && strstr(wrong, rows[i].wrong) : !wrong;
		CU_ASSERT_TRUE(good && offset == rows[i].offset);
		if (!good || offset != rows[i].offset)
			printf("# %s: at %zu: %s\n", rows[i].text, offset, wrong ? wrong : "(well formed)");
	}
	struct template *tpl;
	CU_ASSERT_NOT_EQUAL(template_new("{", names, 2, &tpl), 0);
	CU_ASSERT_PTR_NOT_NULL(template_check("{line}", NULL, 0, NULL));
}

struct rendering {
	int err;
	char text[300];
};

static struct rendering render(const char *text, const struct message_view *view, const struct slice *values)
{
	struct arena arena = {0};
	struct json_payload json = {.text = view->payload, .limit_bytes = 1000};
	struct template_source source = {.view = view, .captures = values, .json = &json};
	struct template *tpl;
	struct rendering result;
	struct slice out = {NULL, 0};
	const char *reason = "(no reason)";
	CU_ASSERT_EQUAL_FATAL(template_new(text, names, 2, &tpl), 0);
	result.err = template_render(tpl, &source, &arena, &out, &reason);
	if (result.err == 0)
		snprintf(result.text, sizeof result.text, "%.*s", (int)out.len, (const char *)out.data);
	else
		snprintf(result.text, sizeof result.text, "%s", reason);
	template_free(tpl);
	arena_free(&arena);
	return result;
}

static const struct message_field headers[] = {
	{{(const uint8_t *)"unit", 4}, {(const uint8_t *)"bar", 3}},
	{{(const uint8_t *)"unit", 4}, {(const uint8_t *)"psi", 3}},
	{{(const uint8_t *)"empty", 5}, {(const uint8_t *)"", 0}},
	{{(const uint8_t *)"null", 4}, {NULL, 0}},
};

static struct message_view a_message(void)
{
	static const char payload[] = "{\"id\": 9007199254740993, \"s\": \"x\\ty\", \"l\": [1, {\"v\": -1.50}], "
				      "\"t\": true, \"n\": null, \"o\": {}, \"half\": \"\\ud800\", \"e\": \"\"}";
	return (struct message_view){.topic = slice_str("plant/a//7"),
		.payload = slice_str(payload),
		.key = slice_str("k"),
		.headers = headers,
		.n_headers = 4};
}

static void test_render(void)
{
	static const struct {
		const char *text, *expected;
		int err;
	} rows[] = {
		{"", "", 0},
		{"alarms", "alarms", 0},
		{"scada.{line}", "scada.a", 0},
		{"{line}", "a", 0},
		{"{{{line}}}", "{a}", 0},
		{"}}{{", "}{", 0},
		{"{topic}", "plant/a//7", 0},
		{"{topic[0]}|{topic[1]}|{topic[2]}|{topic[3]}", "plant|a||7", 0},
		{"{topic[4]}", "the topic has no level 4", -1},
		{"{topic[0:]}|{topic[1:]}|{topic[2:]}|{topic[3:]}", "plant/a//7|a//7|/7|7", 0},
		{"x/{topic[4:]}", "the topic has no level 4", -1},
		{"<{key}>", "<k>", 0},
		{"{header.unit}", "bar", 0},
		{"<{header.empty}>", "<>", 0},
		{"{header.null}", "the message has no header null", -1},
		{"x{header.no}", "the message has no header no", -1},
		{"{cell}", "the topic filter that matched does not bind the capture", -1},
		{"{.id}", "9007199254740993", 0},
		{"{.s}", "x\ty", 0},
		{"<{.e}>", "<>", 0},
		{"{.l[1].v}/{.t}", "-1.50/true", 0},
		{"{.l[\"1\"]}", "the payload has no .l.1", -1},
		{"{.l[2]}", "the payload has no .l[2]", -1},
		{"{.no.x}", "the payload has no .no.x", -1},
		{"{.n}", ".n in the payload is null, an array or an object", -1},
		{"{.o}", ".o in the payload is null, an array or an object", -1},
		{"{.}", ". in the payload is null, an array or an object", -1},
		{"{.half}", "half a surrogate pair", -1},
	};
	struct slice values[2] = {slice_str("a"), {NULL, 0}};
	struct message_view view = a_message();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct rendering got = render(rows[i].text, &view, values);
		bool good =
			(got.err == 0) == (rows[i].err == 0) && (got.err ? strstr(got.text, rows[i].expected) != NULL
									 : strcmp(got.text, rows[i].expected) == 0);
		CU_ASSERT_TRUE(good);
		if (!good)
			printf("# %s: %d %s\n", rows[i].text, got.err, got.text);
	}
}

static void test_no_json(void)
{
	struct message_view view = {.topic = slice_str("a"), .payload = slice_str("{\"a\":1")};
	CU_ASSERT_STRING_EQUAL(render("{.a}", &view, NULL).text, "the payload is not JSON");
	view.payload = slice_str("42");
	CU_ASSERT_STRING_EQUAL(render("{.}", &view, NULL).text, "42");
	view.payload = slice_str("");
	CU_ASSERT_STRING_EQUAL(render("{.a}", &view, NULL).text, "the payload is not JSON");
	view.payload = (struct slice){NULL, 0};
	CU_ASSERT_STRING_EQUAL(render("{.a}", &view, NULL).text, "the payload is not JSON");
	CU_ASSERT_STRING_EQUAL(render("{key}", &view, NULL).text, "the message has no key");
	char large[1100];
	memset(large, ' ', sizeof large);
	view.payload = slice_of(large, sizeof large);
	CU_ASSERT_STRING_EQUAL(render("{.a}", &view, NULL).text, "the payload is larger than max_transform_bytes");
}

/* What goes out is another JSON than what was received, or is not there yet. */
static void test_made(void)
{
	struct arena arena = {0};
	struct message_view view = a_message();
	struct json_payload json = {.text = view.payload, .limit_bytes = 1000};
	struct json_payload made = {.text = slice_str("{\"id\": [\"new\"], \"n\": null}"), .limit_bytes = 1000};
	struct template_source source = {.view = &view, .json = &json, .made = &made};
	struct template *tpl;
	struct slice out;
	const char *reason;
	CU_ASSERT_EQUAL_FATAL(template_new("{.id}/{payload.id[0]}", names, 2, &tpl), 0);
	CU_ASSERT_TRUE(template_speaks_of_made(tpl));
	CU_ASSERT_EQUAL(template_render(tpl, &source, &arena, &out, &reason), 0);
	CU_ASSERT_TRUE(slice_equal(out, slice_str("9007199254740993/new")));
	source.made = NULL;
	CU_ASSERT_NOT_EQUAL(template_render(tpl, &source, &arena, &out, &reason), 0);
	CU_ASSERT_STRING_EQUAL(reason, "there is no payload yet that goes out");
	template_free(tpl);
	CU_ASSERT_EQUAL_FATAL(template_new("{.id}/{topic}", names, 2, &tpl), 0);
	CU_ASSERT_FALSE(template_speaks_of_made(tpl));
	template_free(tpl);
	arena_free(&arena);
}

static void test_arena(void)
{
	struct arena arena = {0};
	for (int i = 0; i < 3; i++) {
		uint8_t *first = arena_alloc(&arena, 1), *second = arena_alloc(&arena, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(first);
		CU_ASSERT_TRUE(first != second && (uintptr_t)second % 16 == 0);
		memset(arena_alloc(&arena, 100000), 1, 100000);
		memset(arena_alloc(&arena, 10), 1, 10);
		arena_reset(&arena);
		CU_ASSERT_TRUE(arena.total_bytes <= ARENA_KEEP_BYTES);
	}
	size_t kept = arena.total_bytes;
	memset(arena_alloc(&arena, 100000), 1, 100000); /* fits now: nothing is taken from malloc */
	CU_ASSERT_EQUAL(arena.total_bytes, kept);
	memset(arena_alloc(&arena, 4000000), 1, 4000000);
	arena_reset(&arena);
	CU_ASSERT_EQUAL(arena.total_bytes, ARENA_KEEP_BYTES);
	CU_ASSERT_PTR_NULL(arena_alloc(&arena, SIZE_MAX));
	char *long_text = malloc(1000);
	memset(long_text, 'x', 999);
	memcpy(long_text + 499, "\xC3\xA4", 2);
	long_text[999] = '\0';
	CU_ASSERT_EQUAL(strlen(arena_printf(&arena, "%s", long_text)), 499);
	free(long_text);
	arena_free(&arena);
}

static const char *no_key(const void *with, struct slice header)
{
	if (!header.data)
		return with;
	return slice_equal(header, slice_str("never")) ? "not that header" : NULL;
}

static void test_received(void)
{
	static const struct {
		const char *text, *wrong;
		size_t offset;
	} rows[] = {
		{"{line}/{topic}/{.a}", NULL, 0},
		{"{topic[0]}{topic[2]}", NULL, 0},
		{"x{topic[3]}", "have no level 3: levels count from 0, and here the last is 2", 8},
		{"{header.some}", NULL, 0},
		{"ab{header.never}", "not that header", 10},
		{"{key}", "no keys here", 1},
		{"{{key}}", NULL, 0},
	};
	struct template_received received = {.check = no_key, .check_with = "no keys here", .n_levels = 3};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t offset = 0;
		const char *wrong = template_check_received(rows[i].text, names, 2, &received, &offset);
		bool good = rows[i].wrong ? wrong && strstr(wrong, rows[i].wrong) : !wrong;
		CU_ASSERT_TRUE(good && offset == rows[i].offset);
		if (!good || offset != rows[i].offset)
			printf("# %s: at %zu: %s\n", rows[i].text, offset, wrong ? wrong : "(fine)");
	}
	received = (struct template_received){0};
	size_t offset;
	CU_ASSERT_PTR_NULL(template_check_received("{key}{header.never}{topic[9]}", names, 2, &received, &offset));
}

static const struct tap_test tests[] = {
	{"check", test_check},
	{"what no message of the source has", test_received},
	{"render", test_render},
	{"payloads that are not JSON", test_no_json},
	{"the arena keeps what it needs and no more", test_arena},
	{"what goes out", test_made},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("template", tests);
}
