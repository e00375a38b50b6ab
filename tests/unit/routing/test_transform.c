/* SPDX-License-Identifier: Apache-2.0
 *
 * jq at run time: values, variables, bounds, errors, and libjq 1.6's hazards on data.
 */
#include "routing/transform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "tests/unit/tap.h"

static const char *const names[] = {"line", "cell"};

struct run {
	int err;
	char text[600]; /* outputs joined by " ; ", or the reason */
};

static struct run run_message(
	const char *program, const struct message_view *view, size_t max_outputs, const struct slice *values)
{
	struct arena arena = {0};
	struct json_payload json = {.text = view->payload, .limit_bytes = 4096};
	struct jq_pool *pool = jq_pool_new();
	struct transform_input *input = transform_input_new();
	struct transform *transform;
	struct slice *outputs = NULL;
	size_t n = 0, len = 0;
	const char *reason = "(no reason)";
	struct run run = {0};
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, program, names, 2, &transform), 0);
	CU_ASSERT_EQUAL_FATAL(jq_pool_compile(pool), 0);
	transform_input_begin(input, view, &json);
	run.err = transform_run(transform, input, values, max_outputs, &arena, &outputs, &n, &reason);
	transform_input_end(input);
	if (run.err)
		snprintf(run.text, sizeof run.text, "%s", reason);
	for (size_t i = 0; i < n && len < sizeof run.text; i++)
		len += (size_t)snprintf(run.text + len, sizeof run.text - len, "%s%.*s", i ? " ; " : "",
			(int)outputs[i].len, (const char *)outputs[i].data);
	transform_free(transform);
	transform_input_free(input);
	jq_pool_free(pool);
	arena_free(&arena);
	return run;
}

static const struct slice values[2] = {{(const uint8_t *)"L1", 2}, {NULL, 0}};

static struct run run(const char *program, const char *payload)
{
	struct message_view view = {.topic = slice_str("plant/L1"), .payload = slice_str(payload)};
	return run_message(program, &view, 5, values);
}

static void assert_row(const char *program, const char *payload, int err, const char *expected)
{
	struct run got = run(program, payload);
	bool good =
		(got.err != 0) == (err != 0) && strstr(got.text, expected) && (err || strcmp(got.text, expected) == 0);
	CU_ASSERT_TRUE(good);
	if (!good)
		printf("# %s on %s: %d %s\n", program, payload, got.err, got.text);
}

static void test_outputs(void)
{
	assert_row(".", "{\"a\": [1, 2.5, \"x\", null, true]}", 0, "{\"a\":[1,2.5,\"x\",null,true]}");
	assert_row(".a", "{\"a\":\"text\"}", 0, "\"text\"");
	assert_row(".[]", "[1,2,3]", 0, "1 ; 2 ; 3");
	assert_row("empty", "1", 0, "");
	assert_row(".[] | select(. > 1)", "[1,2,3]", 0, "2 ; 3");
	assert_row(".a", "{}", 0, "null");
	assert_row("\"\\(.a)\"", "{\"a\":[1]}", 0, "\"[1]\"");
	assert_row(". # comment", "1", 0, "1");
	assert_row("def f(x): x + 1; f(.)", "1", 0, "2");
	assert_row(".a as $line | $line", "{\"a\":1}", 0, "1"); /* its own variable shadows the capture */
}

static void test_variables(void)
{
	static const struct message_field headers[] = {
		{{(const uint8_t *)"unit", 4}, {(const uint8_t *)"bar", 3}},
		{{(const uint8_t *)"unit", 4}, {(const uint8_t *)"psi", 3}},
		{{(const uint8_t *)"null", 4}, {NULL, 0}},
	};
	struct message_view view = {.topic = slice_str("a/b"),
		.payload = slice_str("{\"v\":1}"),
		.qos = 2,
		.retain = true,
		.headers = headers,
		.n_headers = 3};
	struct run got = run_message("[$line, $cell, $topic, $qos, $retain, $key, $headers, .v]", &view, 1, values);
	CU_ASSERT_EQUAL(got.err, 0);
	CU_ASSERT_STRING_EQUAL(got.text, "[\"L1\",null,\"a/b\",2,true,null,{\"null\":null,\"unit\":\"bar\"},1]");
	view.origin_ms = 1790000000123;
	got = run_message("$received", &view, 1, values);
	CU_ASSERT_STRING_EQUAL(got.text, "1790000000123");
	view.key = slice_str("k\xFF");
	got = run_message("{$key, l: \"\\($line)\"}", &view, 1, values);
	CU_ASSERT_STRING_EQUAL(got.text, "{\"key\":\"k\xEF\xBF\xBD\",\"l\":\"L1\"}");
}

static void test_payloads(void)
{
	assert_row(".", "", -1, "the payload is not JSON");
	assert_row(".", "  ", -1, "the payload is not JSON");
	assert_row(".", "{\"a\":", -1, "the payload is not JSON");
	assert_row(".", "nan", -1, "the payload is not JSON");
	assert_row(".", "[NaN]", -1, "the payload is not JSON");
	assert_row(".", "1 2", -1, "the payload is not JSON");
	assert_row(".", "\"\xFF\"", -1, "the payload is not JSON");
	assert_row(".", "'a'", -1, "the payload is not JSON");
	assert_row("1", "\xFF\xFE", -1, "the payload is not JSON"); /* also when the program does not look */
	assert_row(".", "1e1000", 0, "1.7976931348623157e+308");
	assert_row("infinite, nan", "1", 0, "1.7976931348623157e+308 ; null");
	char large[5000];
	memset(large, ' ', sizeof large);
	large[0] = '1';
	large[sizeof large - 1] = '\0';
	assert_row(".", large, -1, "the payload is larger than max_transform_bytes");
	struct message_view tombstone = {.topic = slice_str("a")};
	struct run got = run_message("[., $topic]", &tombstone, 1, values);
	CU_ASSERT_STRING_EQUAL(got.text, "[null,\"a\"]");
}

static void test_depth(void)
{
	char text[600];
	memset(text, '[', 256);
	memset(text + 256, ']', 256);
	text[512] = '\0';
	CU_ASSERT_STRING_EQUAL(run(".", text).text, text);
	/* libjq would put "<skipped: too deep>" or the like here */
	assert_row("[[[.]]]", text, -1, "nested deeper than 256 levels");
	assert_row("\"<skipped: too deep>\"", "1", 0, "\"<skipped: too deep>\"");
	/* an object takes two of libjq's 256 places */
	size_t len = 0;
	for (int i = 0; i < 200 && len < sizeof text - 10; i++) {
		memcpy(text + len, "{\"\":", 4);
		len += 4;
	}
	size_t depth = len / 4;
	char *deep = malloc(len + depth + 2);
	memcpy(deep, text, len);
	deep[len] = '1';
	memset(deep + len + 1, '}', depth);
	deep[len + depth + 1] = '\0';
	assert_row(".", deep, -1, "jq: Exceeds depth limit for parsing");
	free(deep);
}

static void test_errors(void)
{
	assert_row(".a", "[1]", -1, "jq: Cannot index array with string \"a\"");
	assert_row("error(\"too hot\")", "1", -1, "jq: too hot");
	assert_row("error({a: 1})", "1", -1, "jq: {\"a\":1}");
	assert_row("error(null)", "1", -1, "jq: null"); /* jq itself takes this for the end */
	assert_row("1, 2, error(\"x\")", "1", -1, "jq: x"); /* nothing of it is emitted */
	assert_row("1, error(null)", "1", -1, "jq: null");
	assert_row("try error(\"x\") catch .", "1", 0, "\"x\"");
	assert_row(".[] | . / 0", "[1]", -1, "jq: ");
}

static void test_max_outputs(void)
{
	assert_row("range(5)", "1", 0, "0 ; 1 ; 2 ; 3 ; 4");
	assert_row("range(6)", "1", -1, "more than 5 outputs");
	assert_row("repeat(1)", "1", -1, "more than 5 outputs"); /* endless, but asked for no more than six */
}

static void test_hazards_on_data(void)
{
	/* SIGFPE in libjq 1.6 */
	assert_row("[(.a % .b), (.a % 3)]", "{\"a\":-1e19,\"b\":-1}", 0, "[0,-2]");
	assert_row(".a % .b", "{\"a\":-9223372036854775808,\"b\":-1.9}", 0, "0");
	assert_row(".a % .b", "{\"a\":7,\"b\":0}", -1, "because the divisor is zero");
	assert_row(".a % .b", "{\"a\":7,\"b\":0.5}", -1, "because the divisor is zero");
	assert_row(".a % .b", "{\"a\":\"x\",\"b\":1}", -1, "cannot be divided");
	assert_row(".a %= 4", "{\"a\":7}", 0, "{\"a\":3}");
	assert_row("[(5, -5) % (3, -3)]", "1", 0, "[2,-2,2,-2]");
	assert_row("nan % 1, 1 % infinite", "1", 0, "null ; 1");
	/* an endless search in libjq 1.6 */
	assert_row("[(.s | index(\"\")), (.s | rindex(\"\")), (.s | indices(\"\"))]", "{\"s\":\"abc\"}", 0,
		"[null,null,[]]");
	assert_row("[(.s | index(\"b\", \"c\")), (.s | rindex(\"b\")), (.s | indices(\"b\"))]", "{\"s\":\"abcb\"}", 0,
		"[1,2,3,[1,3]]");
	assert_row("[.[] as $x | $x]", "[1]", 0, "[1]");
}

/* Integers above 2^53 are changed by jq 1.6, as documented. */
static void test_numbers_are_doubles(void)
{
	assert_row(".", "9007199254740993", 0, "9007199254740992");
	assert_row(".", "[0.1, 1.0, 1e3, 3.141592653589793]", 0, "[0.1,1,1000,3.141592653589793]");
}

static int truth(const char *program, const char *payload)
{
	struct arena arena = {0};
	struct message_view view = {.topic = slice_str("a"), .payload = slice_str(payload)};
	struct json_payload json = {.text = view.payload, .limit_bytes = 4096};
	struct jq_pool *pool = jq_pool_new();
	struct transform_input *input = transform_input_new();
	struct transform *transform;
	const char *reason;
	bool pass = false;
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, program, names, 2, &transform), 0);
	CU_ASSERT_EQUAL_FATAL(jq_pool_compile(pool), 0);
	transform_input_begin(input, &view, &json);
	int err = transform_test(transform, input, values, &arena, &pass, &reason);
	transform_input_end(input);
	transform_free(transform);
	transform_input_free(input);
	jq_pool_free(pool);
	arena_free(&arena);
	return err ? err : pass;
}

static void test_when(void)
{
	CU_ASSERT_EQUAL(truth(".q == \"good\"", "{\"q\":\"good\"}"), 1);
	CU_ASSERT_EQUAL(truth(".q == \"good\"", "{\"q\":\"bad\"}"), 0);
	CU_ASSERT_EQUAL(truth(".q", "{}"), 0);
	CU_ASSERT_EQUAL(truth("0", "{}"), 1);
	CU_ASSERT_EQUAL(truth("\"\"", "{}"), 1);
	CU_ASSERT_EQUAL(truth("empty", "{}"), 0);
	CU_ASSERT_EQUAL(truth(".[] > 2", "[1,2,3]"), 1);
	CU_ASSERT_EQUAL(truth(".[] > 5", "[1,2,3]"), 0);
	CU_ASSERT_EQUAL(truth("repeat(true)", "1"), 1);
	CU_ASSERT_TRUE(truth(".a.b", "[1]") < 0);
	CU_ASSERT_TRUE(truth("error(null)", "1") < 0);
	CU_ASSERT_TRUE(truth("false, error(\"x\")", "1") < 0);
	CU_ASSERT_TRUE(truth("true", "x") < 0);
}

/* Programs are shared by text and kept from message to message: a state must not remember the last one. */
static void test_reuse(void)
{
	struct jq_pool *pool = jq_pool_new();
	struct transform_input *input = transform_input_new();
	struct transform *one, *two;
	struct arena arena = {0};
	const char *reason, *const other_names[] = {"x", "line"};
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, "[$line, .v]", names, 2, &one), 0);
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, "[$line, .v]", other_names, 2, &two), 0);
	CU_ASSERT_EQUAL_FATAL(jq_pool_compile(pool), 0);
	struct message_view view = {.topic = slice_str("a"), .payload = slice_str("{\"v\":1}")};
	struct json_payload json = {.text = view.payload, .limit_bytes = 4096};
	struct slice captures[2] = {slice_str("first"), slice_str("second")}, *outputs;
	size_t n;
	transform_input_begin(input, &view, &json);
	CU_ASSERT_EQUAL(transform_run(one, input, captures, 1, &arena, &outputs, &n, &reason), 0);
	CU_ASSERT_TRUE(slice_equal(outputs[0], slice_str("[\"first\",1]")));
	CU_ASSERT_EQUAL(transform_run(two, input, captures, 1, &arena, &outputs, &n, &reason), 0);
	CU_ASSERT_TRUE(slice_equal(outputs[0], slice_str("[\"second\",1]")));
	transform_input_end(input);
	transform_free(one);
	transform_free(two);
	transform_input_free(input);
	jq_pool_free(pool);
	arena_free(&arena);
}

/* --- many programs ------------------------------------------------------------------------------------ */

#define MANY 300

/* Among others a program gives what it gives alone: variables, definitions, comments, errors, several outputs, none. */
static void many_program(size_t number, char *out, size_t size)
{
	static const char *const forms[] = {
		"[$line, .v + N] # a comment",
		"def f: .v * N; f",
		".v | (., . % N)",
		"select(.v > 10) | N",
		"error(\"no N\")",
		". as {v: $x} | {a: $x, b: $topic, c: N}",
		"N",
	};
	const char *form = forms[number % (sizeof forms / sizeof forms[0])], *n = strchr(form, 'N');
	snprintf(out, size, "%.*s%zu%s", (int)(n - form), form, number + 2, n + 1);
}

static void test_many(void)
{
	struct jq_pool *pool = jq_pool_new();
	struct transform *transforms[MANY], *same;
	struct message_view view = {.topic = slice_str("plant/L1"), .payload = slice_str("{\"v\": 7}")};
	struct transform_input *input = transform_input_new();
	char program[200];
	for (size_t i = 0; i < MANY; i++) {
		many_program(i, program, sizeof program);
		CU_ASSERT_EQUAL_FATAL(transform_new(pool, program, names, 2, &transforms[i]), 0);
	}
	many_program(0, program, sizeof program);
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, program, names, 2, &same), 0);
	CU_ASSERT_EQUAL_FATAL(jq_pool_compile(pool), 0);
	for (size_t i = 0; i < MANY; i++) {
		struct json_payload json = {.text = view.payload, .limit_bytes = 4096};
		struct arena arena = {0};
		struct slice *outputs = NULL;
		const char *reason = "";
		size_t n = 0, len = 0;
		char text[600] = "";
		transform_input_begin(input, &view, &json);
		int err = transform_run(transforms[i], input, values, 5, &arena, &outputs, &n, &reason);
		transform_input_end(input);
		for (size_t k = 0; k < n && !err; k++)
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", k ? " ; " : "",
				(int)outputs[k].len, (const char *)outputs[k].data);
		many_program(i, program, sizeof program);
		struct run alone = run(program, "{\"v\": 7}");
		CU_ASSERT_EQUAL(err, alone.err);
		CU_ASSERT_STRING_EQUAL(err ? reason : text, alone.text);
		arena_free(&arena);
		transform_free(transforms[i]);
	}
	transform_free(same);
	transform_input_free(input);
	jq_pool_free(pool);
}

/* One bad program among many is the only one to be complained of, at its own line. */
static void test_one_bad_of_many(void)
{
	struct jq_pool *pool = jq_pool_new();
	struct transform *transforms[MANY];
	char program[200];
	int line = 0;
	for (size_t i = 0; i < MANY; i++) {
		many_program(i, program, sizeof program);
		CU_ASSERT_EQUAL_FATAL(
			transform_new(pool, i == 77 ? ".v\n| nosuch" : program, names, 2, &transforms[i]), 0);
	}
	CU_ASSERT_EQUAL(jq_pool_compile(pool), -EINVAL);
	for (size_t i = 0; i < MANY; i++) {
		const char *wrong = transform_complaint(transforms[i], &line);
		CU_ASSERT_EQUAL(wrong != NULL, i == 77);
		CU_ASSERT_TRUE(!wrong || (strstr(wrong, "nosuch/0 is not defined") && line == 2));
		transform_free(transforms[i]);
	}
	CU_ASSERT_EQUAL(jq_pool_compile(pool), -EINVAL); /* it stays so */
	jq_pool_free(pool);
}

static const struct tap_test tests[] = {
	{"outputs", test_outputs},
	{"variables", test_variables},
	{"payloads", test_payloads},
	{"depth", test_depth},
	{"errors", test_errors},
	{"max_outputs", test_max_outputs},
	{"what crashes or hangs libjq 1.6 on data", test_hazards_on_data},
	{"numbers are doubles", test_numbers_are_doubles},
	{"when", test_when},
	{"a shared program keeps nothing", test_reuse},
	{"a program among many gives what it gives alone", test_many},
	{"one bad program among many", test_one_bad_of_many},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("transform", tests);
}
