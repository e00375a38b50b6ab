/* SPDX-License-Identifier: Apache-2.0
 *
 * The wrapper is one line before the user's text, so that libjq's line numbers are off by one, and a closing
 * parenthesis on a line of its own after it, so that a last comment does not swallow it. Definitions that a
 * program does not use are dropped by libjq's compiler: they cost nothing per message.
 */
#include "routing/jq_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* jq_scan has refused these names already. Should a program reach one nevertheless, it gets nothing. Each definition costs
 * the compiler a walk over all that follows, so only those are there of which a program holds the word. */
static const struct {
	const char *word, *definitions;
} shadows[] = {
	{"env", "def env: {}; "},
	{"input", "def input: error(\"no input\"); def inputs: empty; def _input: error(\"no input\"); "
		  "def input_filename: null; def input_line_number: 0; "},
	{"debug", "def debug: .; "},
	{"stderr", "def stderr: .; "},
	{"halt", "def halt: error(\"no halt\"); def halt_error: error(\"no halt\"); "
		 "def halt_error($code): error(\"no halt\"); "},
	{"modulemeta", "def modulemeta: error(\"no modules\"); "},
	{"get_", "def get_search_list: []; def get_prog_origin: null; def get_jq_origin: null; "},
};

/* libjq 1.6 divides intmax_t: INTMAX_MIN % -1 is SIGFPE, and which numbers meet comes with the payload. */
static const char safe_modulo[] =
	"def _linkspan_mod(a; b): a % b; "
	"def _mod(a; b): b as $b | a as $a "
	"| if ($a | type) == \"number\" and ($b | type) == \"number\" and ($a != $a or $b != $b) then null "
	"elif ($a | type) == \"number\" and ($b | type) == \"number\" and $b > -2 and $b <= -1 then 0 "
	"else _linkspan_mod($a; $b) end; ";

/* libjq 1.6 looks for an empty string for ever. */
static const char safe_index[] = "def _linkspan_index($i): index($i); def _linkspan_rindex($i): rindex($i); "
				 "def _linkspan_indices($i): indices($i); "
				 "def index($i): if $i == \"\" then null else _linkspan_index($i) end; "
				 "def rindex($i): if $i == \"\" then null else _linkspan_rindex($i) end; "
				 "def indices($i): if $i == \"\" then [] else _linkspan_indices($i) end; ";

/* libjq 1.6 binds what $HOME/.jq defines around every program, and reads modules, by this function of its
 * own. Ours takes its place when the program is linked: no file, no definitions. (Unsetting HOME would race
 * with every getenv.) A test makes sure that it does. */
jv jv_load_file(const char *path, int raw)
{
	(void)path, (void)raw;
	return jv_invalid_with_msg(jv_string("programs read no files"));
}

/* libjq ends a run with the same value that error(null) raises: half of the outputs would pass for all. */
static const char safe_error[] = "def _linkspan_error($m): error($m); "
				 "def error($m): _linkspan_error(if $m == null then \"null\" else $m end); "
				 "def error: error(.); ";

struct text {
	char *bytes;
	size_t len, size;
	bool failed;
};

static void text_add(struct text *text, const char *bytes, size_t len)
{
	if (text->failed)
		return;
	if (text->len + len + 1 > text->size) {
		size_t size = 2 * (text->len + len + 1);
		char *grown = realloc(text->bytes, size);
		if (!grown) {
			text->failed = true;
			return;
		}
		text->bytes = grown;
		text->size = size;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static void text_str(struct text *text, const char *bytes)
{
	text_add(text, bytes, strlen(bytes));
}

static bool any_holds(const struct jq_source *sources, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(sources[i].text, word))
			return true;
	return false;
}

static void add_definitions(struct text *text, const struct jq_source *sources, size_t n)
{
	for (size_t i = 0; i < sizeof shadows / sizeof shadows[0]; i++)
		if (any_holds(sources, n, shadows[i].word))
			text_str(text, shadows[i].definitions);
	if (any_holds(sources, n, "%"))
		text_str(text, safe_modulo);
	if (any_holds(sources, n, "ind")) /* index, rindex, indices */
		text_str(text, safe_index);
	if (any_holds(sources, n, "error"))
		text_str(text, safe_error);
}

static void add_program(struct text *text, const struct jq_source *source, bool is_array)
{
	char number[32];
	if (strstr(source->text, "ENV"))
		text_str(text, "{} as $ENV | ");
	for (size_t i = 0; i < source->n_names; i++) {
		snprintf(number, sizeof number, ".[%zu] as $", i + 1);
		text_str(text, number);
		text_add(text, (const char *)source->names[i].data, source->names[i].len);
		text_str(text, " | ");
	}
	text_str(text, is_array ? ".[0] | (\n" : "(\n");
	text_str(text, source->text);
	text_str(text, "\n)");
}

/* Those from first to before end, chosen by halves: a few comparisons per message. */
static void add_choice(struct text *text, const struct jq_source *sources, size_t first, size_t end)
{
	char number[32];
	if (end - first == 1) {
		add_program(text, &sources[first], true);
		return;
	}
	size_t middle = first + (end - first) / 2;
	snprintf(number, sizeof number, "if .[-1] < %zu then ", middle);
	text_str(text, number);
	add_choice(text, sources, first, middle);
	text_str(text, " else ");
	add_choice(text, sources, middle, end);
	text_str(text, " end");
}

static char *wrap(const struct jq_source *sources, size_t n)
{
	struct text text = {0};
	add_definitions(&text, sources, n);
	if (n > 1)
		add_choice(&text, sources, 0, n);
	else
		add_program(&text, sources, sources->n_names > 0);
	if (text.failed) {
		free(text.bytes);
		return NULL;
	}
	return text.bytes;
}

/* libjq says "jq: error: WHAT at <top-level>, line N:\nthe line\n". Of several complaints the first one is
 * kept. */
static void jq_program_on_error(void *data, jv message)
{
	struct jq_complaint *complaint = data;
	static const char prefix[] = "jq: error: ", where[] = " at <top-level>, line ";
	if (complaint && !complaint->text[0] && jv_get_kind(message) == JV_KIND_STRING) {
		const char *text = jv_string_value(message);
		if (strncmp(text, prefix, sizeof prefix - 1) == 0)
			text += sizeof prefix - 1;
		const char *at = strstr(text, where);
		int len = (int)(at ? (size_t)(at - text) : strcspn(text, "\n"));
		static const char shell[] = " (Unix shell quoting issues?)";
		if (len > (int)sizeof shell && memcmp(text + len - (sizeof shell - 1), shell, sizeof shell - 1) == 0)
			len -= (int)sizeof shell - 1;
		snprintf(complaint->text, sizeof complaint->text, "%.*s", len, text);
		if (at)
			complaint->line = (int)strtol(at + sizeof where - 1, NULL, 10) - 1;
	}
	jv_free(message);
}

static int lines(const char *text)
{
	int n = 1;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int compile(const struct jq_source *sources, size_t n, jq_state **ret_state, struct jq_complaint *ret_complaint)
{
	char *wrapped = wrap(sources, n);
	jq_state *jq = wrapped ? jq_init() : NULL;
	if (!jq) {
		free(wrapped);
		return -ENOMEM;
	}
	jq_set_error_cb(jq, jq_program_on_error, ret_complaint);
	/* Without this attribute `import` is an assertion; with it there is nowhere to import from, ~/.jq
	 * included. */
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	bool compiled = jq_compile(jq, wrapped);
	free(wrapped);
	jq_set_error_cb(jq, jq_program_on_error, NULL);
	if (!compiled) {
		jq_teardown(&jq);
		return -EINVAL;
	}
	*ret_state = jq;
	return 0;
}

int jq_program_compile(const struct jq_source *source, jq_state **ret_state, struct jq_complaint *ret_complaint)
{
	*ret_complaint = (struct jq_complaint){.line = 1};
	int err = compile(source, 1, ret_state, ret_complaint);
	if (err != -EINVAL)
		return err;
	if (!ret_complaint->text[0])
		snprintf(ret_complaint->text, sizeof ret_complaint->text, "the program does not compile");
	if (ret_complaint->line < 1)
		ret_complaint->line = 1;
	if (ret_complaint->line > lines(source->text)) { /* at our parenthesis */
		ret_complaint->line = lines(source->text);
		if (strstr(ret_complaint->text, "unexpected ')'"))
			snprintf(ret_complaint->text, sizeof ret_complaint->text, "something is missing at its end");
	}
	return err;
}

int jq_program_compile_group(const struct jq_source *sources, size_t n, jq_state **ret_state)
{
	return compile(sources, n, ret_state, NULL);
}
