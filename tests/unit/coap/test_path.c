/* SPDX-License-Identifier: Apache-2.0
 *
 * Options to topics and targets to options: what comes through unchanged, and the many that are refused.
 */
#include <errno.h>
#include <string.h>

#include "connectors/coap/path.h"
#include "routing/arena.h"
#include "tests/unit/tap.h"

/* Options are written with '|' between them, since '/' may be in one. NULL: no option. */
static const char *topic_of(const char *options, struct buffer *topic, uint8_t *ret_code)
{
	buffer_clear(topic);
	for (const char *at = options; at;) {
		size_t len = strcspn(at, "|");
		const char *wrong = coap_path_add(topic, slice_of(at, len), ret_code);
		if (wrong)
			return wrong;
		at = at[len] ? at + len + 1 : NULL;
	}
	return coap_path_end(topic, ret_code);
}

static const struct {
	const char *options, *topic;
} taken[] = {
	{NULL, "/"},
	{"", "/"},
	{"a", "/a"},
	{"a|b", "/a/b"},
	{"a|", "/a/"},
	{"|", "//"},
	{"|a", "//a"},
	{"...", "/..."},
	{".well-known|core", "/.well-known/core"},
	{"a+b|c#", "/a+b/c#"},
	{"\xc3\xa4", "/\xc3\xa4"},
	{"a b", "/a b"},
	{"%2e", "/%2e"},
	{"a?b&c", "/a?b&c"},
	{"$SYS", "/$SYS"},
	{"a:b", "/a:b"},
};

static const struct {
	const char *options;
	uint8_t code;
	const char *word;
} refused[] = {
	{".", 0x82, "segment"},
	{"a|..", 0x82, "segment"},
	{"a|.|b", 0x82, "segment"},
	{"\xff", 0x82, "UTF-8"},
	{"\xc0\xae", 0x82, "UTF-8"},
	{"\xed\xa0\x80", 0x82, "UTF-8"},
	{"a/b", 0x80, "slash"},
	{"a|/", 0x80, "slash"},
	{"a\\b", 0x80, "slash"},
	{"+", 0x80, "wildcard"},
	{"a|#", 0x80, "wildcard"},
	{"a\tb", 0x80, "control"},
	{"\x7f", 0x80, "control"},
};

static void takes_options(void)
{
	struct buffer topic;
	buffer_init(&topic, COAP_TOPIC_MAX);
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
		uint8_t code = 0;
		CU_ASSERT_PTR_NULL(topic_of(taken[i].options, &topic, &code));
		CU_ASSERT(slice_equal(buffer_slice(&topic), slice_str(taken[i].topic)));
	}
	buffer_free(&topic);
}

static void refuses_options(void)
{
	struct buffer topic;
	uint8_t code = 0;
	buffer_init(&topic, COAP_TOPIC_MAX);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		code = 0;
		const char *wrong = topic_of(refused[i].options, &topic, &code);
		CU_ASSERT_PTR_NOT_NULL_FATAL(wrong);
		CU_ASSERT_PTR_NOT_NULL(strstr(wrong, refused[i].word));
		CU_ASSERT_EQUAL(code, refused[i].code);
	}
	buffer_clear(&topic);
	CU_ASSERT_PTR_NOT_NULL(coap_path_add(&topic, slice_of("a\0b", 3), &code));
	CU_ASSERT_EQUAL(code, 0x80);
	buffer_free(&topic);
}

static void bounds_options(void)
{
	struct buffer topic;
	char text[256];
	uint8_t code = 0;
	memset(text, 'x', sizeof text);
	buffer_init(&topic, COAP_TOPIC_MAX);
	for (int i = 0; i < 255; i++)
		CU_ASSERT_PTR_NULL(coap_path_add(&topic, slice_of(text, 255), &code));
	CU_ASSERT_EQUAL(topic.len, 65280);
	CU_ASSERT_PTR_NULL(coap_path_add(&topic, slice_of(text, 254), &code));
	CU_ASSERT_EQUAL(topic.len, COAP_TOPIC_MAX);
	CU_ASSERT_PTR_NOT_NULL(coap_path_add(&topic, slice_of(text, 0), &code));
	CU_ASSERT_EQUAL(code, 0x80);
	buffer_clear(&topic);
	CU_ASSERT_PTR_NOT_NULL(coap_path_add(&topic, slice_of(text, 256), &code));
	CU_ASSERT_EQUAL(code, 0x82);
	buffer_free(&topic);
}

static void checks_paths_of_a_listener(void)
{
	static const char *const good[] = {"/", "/a", "/a/b/", "//", "/a b", "/\xc3\xa4", "/a?b"};
	static const char *const bad[] = {"", "a", "/.", "/a/../b", "/+", "/a/#", "/a\\b", "/a\nb", "/\xff", "?a"};
	char longest[258];
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT_PTR_NULL(coap_path_check(slice_str(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_PTR_NOT_NULL(coap_path_check(slice_str(bad[i])));
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	CU_ASSERT_PTR_NULL(coap_path_check(slice_of(longest, 256)));
	CU_ASSERT_PTR_NOT_NULL(coap_path_check(slice_of(longest, 257)));
	CU_ASSERT_PTR_NOT_NULL(coap_path_check((struct slice){NULL, 0}));
}

/* --- targets -------------------------------------------------------------------------------------------------------- */

/* Writes "p:a|p:b|q:x=1|". */
static int note_part(enum coap_target_part part, struct slice value, void *arg)
{
	struct buffer *out = arg;
	CU_ASSERT_EQUAL(buffer_append(out, slice_str(part == COAP_TARGET_PATH ? "p:" : "q:")), 0);
	CU_ASSERT_EQUAL(buffer_append(out, value), 0);
	return buffer_append(out, slice_str("|"));
}

static const struct {
	const char *target, *parts, *again; /* again: as the options are written; NULL: as the target */
} targets[] = {
	{"", "", NULL},
	{"/", "", ""},
	{"/a", "p:a|", NULL},
	{"/a/b", "p:a|p:b|", NULL},
	{"/a/", "p:a|p:|", NULL},
	{"//", "p:|p:|", NULL},
	{"/a?x=1&y=2", "p:a|q:x=1|q:y=2|", NULL},
	{"?x", "q:x|", NULL},
	{"/?x", "q:x|", "?x"},
	{"/a?", "p:a|", "/a"},
	{"/a?x&&y", "p:a|q:x|q:|q:y|", NULL},
	{"/a%20b", "p:a b|", NULL},
	{"/a%2Fb", "p:a/b|", NULL},
	{"/%c3%A4", "p:\xc3\xa4|", "/%C3%A4"},
	{"/a%7cb", "p:a|b|", "/a%7Cb"},
	{"/100%25", "p:100%|", NULL},
	{"/a?b?c/d", "p:a|q:b?c/d|", NULL},
	{"/a?x=%26", "p:a|q:x=&|", NULL},
	{"/a?x=1%2B1+1", "p:a|q:x=1+1+1|", "/a?x=1+1+1"},
	{"/...", "p:...|", NULL},
	{"/%2e%2e%2e", "p:...|", "/..."},
	{"/a:b@c;d=e", "p:a:b@c;d=e|", NULL},
	{"/a?..", "p:a|q:..|", NULL},
	{"/a?.", "p:a|q:.|", NULL},
};

static int write_part(enum coap_target_part part, struct slice value, void *arg)
{
	return part == COAP_TARGET_PATH ? coap_target_add_path(arg, value) : coap_target_add_query(arg, value);
}

static void walks_targets(void)
{
	struct buffer parts, again;
	buffer_init(&parts, 4096);
	buffer_init(&again, 4096);
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		struct slice target = slice_str(targets[i].target);
		buffer_clear(&parts);
		buffer_clear(&again);
		CU_ASSERT_PTR_NULL(coap_target_check(target));
		CU_ASSERT_EQUAL(coap_target_walk(target, note_part, &parts), 0);
		CU_ASSERT(slice_equal(buffer_slice(&parts), slice_str(targets[i].parts)));
		CU_ASSERT_EQUAL(coap_target_walk(target, write_part, &again), 0);
		CU_ASSERT(slice_equal(buffer_slice(&again), targets[i].again ? slice_str(targets[i].again) : target));
	}
	buffer_free(&parts);
	buffer_free(&again);
}

static void refuses_targets(void)
{
	static const struct {
		const char *target, *word;
	} bad[] = {
		{"a", "begins"},
		{"coap://h/a", "begins"},
		{"/a b", "%20"},
		{"/a\n", "%20"},
		{"/a#b", "fragment"},
		{"/\xc3\xa4", "ASCII"},
		{"/%", "hexadecimal"},
		{"/%4", "hexadecimal"},
		{"/%4g", "hexadecimal"},
		{"/a?%g4", "hexadecimal"},
		{"/.", "segment"},
		{"/a/..", "segment"},
		{"/%2e%2E/a", "segment"},
		{"/a/.%2e?x", "segment"},
		{"/%ff", "UTF-8"},
		{"/a?%c0%ae", "UTF-8"},
		{"/%00", "NUL"},
		{"/a?x#", "fragment"},
	};
	struct buffer parts;
	buffer_init(&parts, 4096);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const char *wrong = coap_target_check(slice_str(bad[i].target));
		CU_ASSERT_PTR_NOT_NULL_FATAL(wrong);
		CU_ASSERT_PTR_NOT_NULL(strstr(wrong, bad[i].word));
		CU_ASSERT_EQUAL(coap_target_walk(slice_str(bad[i].target), note_part, &parts), -EINVAL);
	}
	CU_ASSERT_EQUAL(parts.len, 0); /* nothing is said of a target that is wrong at its end */
	buffer_free(&parts);
}

static void bounds_targets(void)
{
	char text[800];
	size_t len = 0;
	text[len++] = '/';
	for (int i = 0; i < 255; i++, len += 3)
		memcpy(text + len, "%41", 3);
	CU_ASSERT_PTR_NULL(coap_target_check(slice_of(text, len)));
	text[len++] = 'A';
	CU_ASSERT_PTR_NOT_NULL(coap_target_check(slice_of(text, len)));
	text[0] = '?';
	CU_ASSERT_PTR_NULL(coap_target_check(slice_of(text, len - 1)));
	CU_ASSERT_PTR_NOT_NULL(coap_target_check(slice_of(text, len)));
}

static int stop_at_second(enum coap_target_part part, struct slice value, void *arg)
{
	int *n = arg;
	(void)part, (void)value;
	return ++*n == 2 ? -ENOBUFS : 0;
}

static void ends_a_walk(void)
{
	int n = 0;
	CU_ASSERT_EQUAL(coap_target_walk(slice_str("/a/b/c?d"), stop_at_second, &n), -ENOBUFS);
	CU_ASSERT_EQUAL(n, 2);
	n = 0;
	CU_ASSERT_EQUAL(coap_target_walk(slice_str("/a/?b"), stop_at_second, &n), -ENOBUFS);
	CU_ASSERT_EQUAL(n, 2);
}

static void inserts(void)
{
	struct arena arena = {0};
	struct slice text;
	CU_ASSERT_EQUAL(coap_target_insert(slice_str("a/../\xc3\xa4?b&c"), &arena, &text), 0);
	CU_ASSERT(slice_equal(text, slice_str("a%2F..%2F%C3%A4%3Fb%26c")));
	CU_ASSERT_EQUAL(coap_target_insert(slice_str("plain-1._~"), &arena, &text), 0);
	CU_ASSERT(slice_equal(text, slice_str("plain-1._~")));
	arena_free(&arena);
}

int main(void)
{
	static const struct tap_test tests[] = {
		{"options make a topic", takes_options},
		{"options that make no topic are refused with a code", refuses_options},
		{"topics and options have their limits", bounds_options},
		{"paths of a listener", checks_paths_of_a_listener},
		{"targets make options, and those the target again", walks_targets},
		{"targets that are none say why", refuses_targets},
		{"a segment has at most 255 bytes, decoded", bounds_targets},
		{"a walk ends where it is told to", ends_a_walk},
		{"what is inserted stays in its segment", inserts},
		{NULL, NULL},
	};
	return tap_main("coap paths", tests);
}
