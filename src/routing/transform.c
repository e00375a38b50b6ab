/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs are shared by text: a thousand mappings with one `when` hold one jq_state. A transform adds where
 * its variables come from. libjq's values are freed before a call ends; what is kept is copied into the
 * arena.
 */
#include "routing/transform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/jq_program.h"
#include "routing/json.h"

enum variable {
	VARIABLE_TOPIC,
	VARIABLE_QOS,
	VARIABLE_RETAIN,
	VARIABLE_HEADERS,
	VARIABLE_KEY,
	VARIABLE_CAPTURE
};

static const char *const variable_names[] = {
	[VARIABLE_TOPIC] = "topic",
	[VARIABLE_QOS] = "qos",
	[VARIABLE_RETAIN] = "retain",
	[VARIABLE_HEADERS] = "headers",
	[VARIABLE_KEY] = "key",
};

/* Where one of the program's variables gets its value from. */
struct binding {
	struct slice name; /* into the program's text */
	size_t source;     /* enum variable; VARIABLE_CAPTURE + i is capture i */
};

struct program {
	struct program *next;
	char *text;
	size_t n_variables;
	char **variables; /* bound names in order; owned */
	jq_state *jq;
};

struct transform_pool {
	struct program *programs;
};

struct transform {
	struct program *program;
	size_t n_sources;
	size_t sources[]; /* as struct binding, by the program's variables */
};

struct transform_input {
	const struct message_view *view;
	struct json_payload *json;
	bool parsed;
	jv payload; /* valid when parsed */
	bool headers_made;
	jv headers;
};

/* --- compiling
 * ---------------------------------------------------------------------------------------------------- */

/* The variables that the program uses and that a message gives. Others are its own (`. as $x`), or a mistake
 * that libjq reports. */
static size_t find_bindings(const struct jq_scan *scan, const char *const *captures, size_t n_captures,
	struct binding *ret_bindings)
{
	size_t n = 0;
	for (size_t i = 0; i < scan->n_variables; i++) {
		struct slice name = scan->variables[i];
		size_t source = SIZE_MAX;
		for (size_t v = 0; v < VARIABLE_CAPTURE; v++)
			if (slice_equal(name, slice_str(variable_names[v])))
				source = v;
		for (size_t c = 0; c < n_captures; c++)
			if (slice_equal(name, slice_str(captures[c])))
				source = VARIABLE_CAPTURE + c;
		if (source != SIZE_MAX)
			ret_bindings[n++] = (struct binding){name, source};
	}
	return n;
}

static int compile(const char *text, const struct binding *bindings, size_t n, jq_state **ret_jq,
	struct jq_complaint *ret_complaint)
{
	struct slice names[JQ_SCAN_MAX_VARIABLES];
	for (size_t i = 0; i < n; i++)
		names[i] = bindings[i].name;
	return jq_program_compile(text, names, n, ret_jq, ret_complaint);
}

const char *transform_check(
	const char *program, const char *const *captures, size_t n_captures, int *ret_line)
{
	static __thread struct jq_complaint complaint;
	struct jq_scan scan;
	struct binding bindings[JQ_SCAN_MAX_VARIABLES];
	jq_state *jq;
	complaint = (struct jq_complaint){0};
	if (jq_scan(program, &scan) != 0) {
		snprintf(complaint.text, sizeof complaint.text, "%s", scan.wrong);
		complaint.line = scan.line;
	} else {
		size_t n = find_bindings(&scan, captures, n_captures, bindings);
		int err = compile(program, bindings, n, &jq, &complaint);
		if (err == 0) {
			jq_teardown(&jq);
			return NULL;
		}
		if (err == -ENOMEM)
			snprintf(complaint.text, sizeof complaint.text, "memory is out");
	}
	if (ret_line)
		*ret_line = complaint.line;
	return complaint.text;
}
