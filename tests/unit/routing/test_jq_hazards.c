/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused, and what it must not refuse.
 */
#include "routing/transform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/jq_program.h"
#include "tests/unit/tap.h"

static const char *const captures[] = {"line", "cell"};

/* Why it does not compile, NULL if it does. */
static const char *complaint(const char *program, const char *const *names, size_t n, int *ret_line)
{
	static char text[400];
	struct jq_pool *pool = jq_pool_new();
	struct transform *transform;
	CU_ASSERT_EQUAL_FATAL(transform_new(pool, program, names, n, &transform), 0);
	int err = jq_pool_compile(pool);
	const char *wrong = transform_complaint(transform, ret_line);
	CU_ASSERT_EQUAL(err, wrong ? -EINVAL : 0);
	snprintf(text, sizeof text, "%s", wrong ? wrong : "");
	transform_free(transform);
	jq_pool_free(pool);
	return wrong ? text : NULL;
}

static void test_refused(void)
{
	static const struct {
		const char *program, *wrong;
		int line;
	} rows[] = {
		{"env", "env is not allowed", 1},
		{".a,\n env.HOME", "env is not allowed", 2},
		{"$ENV", "$ENV is not allowed", 1},
		{"$ENV.HOME", "$ENV is not allowed", 1},
		{"$ ENV", "$ENV is not allowed", 1},
		{"$ # x\nENV", "$ENV is not allowed", 2},
		{"{$ENV}", "$ENV is not allowed", 1},
		{"\"\\(env)\"", "env is not allowed", 1},
		{"\"\\(\"\\($ENV)\")\"", "$ENV is not allowed", 1},
		{"\"a\" + env.X", "env is not allowed", 1},
		{"[env]", "env is not allowed", 1},
		{"{a: env}", "env is not allowed", 1},
		{"{(env|tostring): 1}", "env is not allowed", 1},
		{"{a: if . then 1, env, 2 else 3 end}", "env is not allowed", 1},
		{". as [$x] | env", "env is not allowed", 1},
		{"env#", "env is not allowed", 1},
		{"#\\\nenv", "env is not allowed", 2},
		{"# comment\renv", "env is not allowed", 1},
		{"input", "input is not allowed", 1},
		{"[inputs]", "inputs is not allowed", 1},
		{"_input", "_input is not allowed", 1},
		{"first(inputs)", "inputs is not allowed", 1},
		{"debug", "debug is not allowed", 1},
		{".a|debug|.b", "debug is not allowed", 1},
		{"stderr", "stderr is not allowed", 1},
		{"input_filename", "input_filename is not allowed", 1},
		{"input_line_number", "input_line_number is not allowed", 1},
		{"$__loc__", "$__loc__ is not allowed", 1},
		{"{$__loc__}", "$__loc__ is not allowed", 1},
		{"$__prog_args", "$__prog_args is not allowed", 1},
		{"halt", "halt is not allowed", 1},
		{"halt_error", "halt_error is not allowed", 1},
		{"halt_error(1)", "halt_error is not allowed", 1},
		{"import \"a\" as a; .", "import is not allowed", 1},
		{"import \"/etc/passwd\" as $a; $a", "import is not allowed", 1},
		{"include \"a\"; .", "include is not allowed", 1},
		{"module {}; .", "module is not allowed", 1},
		{"\"a\" | modulemeta", "modulemeta is not allowed", 1},
		{"get_search_list", "get_search_list is not allowed", 1},
		{"", "empty", 1},
		{"  # nothing\n", "empty", 2},
		{".) | (.", "this ) closes nothing", 1},
		{".]", "this ] closes nothing", 1},
		{"[.)", "this ) closes nothing", 1},
		{"(.", "ends before its ( is closed", 1},
		{"\"abc", "no closing quote", 1},
		{"\"a\\(1", "ends before its \\( is closed", 1},
		{".a |\n| .b", "syntax error", 2},
		{"nosuch", "nosuch/0 is not defined", 1},
		{".\n| .a\n| nosuch(1)", "nosuch/1 is not defined", 3},
		{"$nosuch", "$nosuch is not defined", 1},
		{"if . then 1", "something is missing at its end", 1},
		{"1 +", "something is missing at its end", 1},
		{"{a:1", "ends before its { is closed", 1},
		{"\x01", "syntax error", 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int line = 0;
		const char *wrong = complaint(rows[i].program, captures, 2, &line);
		bool good = wrong && strstr(wrong, rows[i].wrong) && line == rows[i].line && !strchr(wrong, '\n');
		CU_ASSERT_TRUE(good);
		if (!good)
			printf("# %s: line %d: %s\n", rows[i].program, line, wrong ? wrong : "(compiles)");
	}
}

static void test_accepted(void)
{
	static const char *const programs[] = {
		".",
		".quality == \"good\"",
		"{line: $line, cell: $cell, t: .ts, v: .value}",
		"{$line, $topic, $qos, $retain, $headers, $key}",
		".env",
		".env.input.debug",
		".[\"env\"]",
		".\"env\"",
		"\"env halt input $ENV\"",
		"\"\\\"\" + \"env\"",
		"{env: 1, input: 2, debug: .halt}",
		"{env}",
		"{env, b: 1}",
		"{\n  env : .a}",
		". as {env: $x} | $x",
		"# env\n.",
		". # env",
		".a // \"x\" # last\n",
		"@text \"a\\(.a)b\"",
		"@base64",
		"def f($x): $x + 1; f(1)",
		". as $x | $x",
		"reduce .[] as $i (0; . + $i)",
		"\"\\(.a | tostring | \"<\\(.)>\")\"",
		".. | numbers",
		"[.[] | select(.a > 1.5e3)]",
		".environment | .inputs",
		"def environment: 1; environment",
		".a | test(\"^x\")",
		"getpath([\"a\", \"b\"])",
		"try error(\"x\") catch .",
		"label $out | 1, break $out",
		"5 % 2 | . % 3",
		".a %= 2",
		".s | index(\"x\")",
		"if . then 1 else 2 end",
	};
	static const char *const names[] = {"line", "cell"};
	int line;
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		const char *wrong = complaint(programs[i], names, 2, &line);
		CU_ASSERT_PTR_NULL(wrong);
		if (wrong)
			printf("# %s: %s\n", programs[i], wrong);
	}
	CU_ASSERT_PTR_NOT_NULL(complaint("$line", NULL, 0, &line));
}

/* ~/.jq of whoever runs the bridge is no part of its configuration. */
static void test_home_is_not_read(void)
{
	const char *dir = tap_tempdir();
	char path[300];
	snprintf(path, sizeof path, "%s/.jq", dir);
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("def from_home: 1;\n", file);
	fclose(file);
	const char *home = getenv("HOME");
	char *before = home ? strdup(home) : NULL;
	setenv("HOME", dir, 1);
	int line;
	CU_ASSERT_PTR_NOT_NULL(complaint("from_home", NULL, 0, &line));
	if (before)
		setenv("HOME", before, 1);
	free(before);
}

/* The first output as JSON text, or "error". The scan is left out. */
static void run_unscanned(const char *program, char *out, size_t size)
{
	jq_state *jq;
	struct jq_complaint complaint;
	if (jq_program_compile(&(struct jq_source){program, NULL, 0}, &jq, &complaint) != 0) {
		snprintf(out, size, "%s", complaint.text);
		return;
	}
	jq_start(jq, jv_parse("{\"a\":1}"), 0);
	jv first = jq_next(jq);
	if (jv_is_valid(first)) {
		jv text = jv_dump_string(first, 0);
		snprintf(out, size, "%s", jv_string_value(text));
		jv_free(text);
	} else {
		snprintf(out, size, "%s", jv_invalid_has_msg(jv_copy(first)) ? "error" : "nothing");
		jv_free(first);
	}
	CU_ASSERT_FALSE(jq_halted(jq));
	jq_teardown(&jq);
}

/* Should the scan ever miss one, the program still gets nothing. */
static void test_second_lock(void)
{
	static const struct {
		const char *program, *expected;
	} rows[] = {
		{"env", "{}"},
		{"env.HOME", "null"},
		{"$ENV", "{}"},
		{"$ENV.PATH", "null"},
		{"{$ENV}", "{\"ENV\":{}}"},
		{"input", "error"},
		{"inputs", "nothing"},
		{"_input", "error"},
		{"debug", "{\"a\":1}"},
		{"stderr", "{\"a\":1}"},
		{"input_filename", "null"},
		{"input_line_number", "0"},
		{"halt", "error"},
		{"halt_error", "error"},
		{"halt_error(1)", "error"},
		{"\"a\" | modulemeta", "error"},
		{"get_search_list", "[]"},
		{"get_prog_origin", "null"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char got[500];
		run_unscanned(rows[i].program, got, sizeof got);
		CU_ASSERT_STRING_EQUAL(got, rows[i].expected);
		if (strcmp(got, rows[i].expected) != 0)
			printf("# %s: %s\n", rows[i].program, got);
	}
	char got[500];
	run_unscanned("import \"a\" as a; .", got, sizeof got);
	CU_ASSERT_PTR_NOT_NULL(strstr(got, "syntax error"));
}

static const struct tap_test tests[] = {
	{"what has side effects or shows secrets is refused", test_refused},
	{"what looks like it is accepted", test_accepted},
	{"~/.jq is not read", test_home_is_not_read},
	{"a second lock behind the first", test_second_lock},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("jq hazards", tests);
}
