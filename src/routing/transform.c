/* SPDX-License-Identifier: Apache-2.0
 *
 * A transform is a program of the pool and where its variables come from. libjq's values are freed before a call ends; what is kept is copied into the
 * arena.
 */
#include "routing/transform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jq.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "routing/rounding.h"

enum variable {
	VARIABLE_TOPIC,
	VARIABLE_QOS,
	VARIABLE_RETAIN,
	VARIABLE_HEADERS,
	VARIABLE_KEY,
	VARIABLE_RECEIVED,
	VARIABLE_CAPTURE
};

static const char *const variable_names[] = {
	[VARIABLE_TOPIC] = "topic",
	[VARIABLE_QOS] = "qos",
	[VARIABLE_RETAIN] = "retain",
	[VARIABLE_HEADERS] = "headers",
	[VARIABLE_KEY] = "key",
	[VARIABLE_RECEIVED] = "received",
};

/* Where one of the program's variables gets its value from. */
struct binding {
	struct slice name; /* into the program's text */
	size_t source; /* enum variable; VARIABLE_CAPTURE + i is capture i */
};

struct transform {
	const struct jq_entry *entry;
	size_t n_sources;
	size_t sources[]; /* as struct binding, by the program's variables */
};

struct transform_input {
	const struct message_view *view;
	struct json_payload *json;
	bool null; /* the programs see null */
	bool parsed;
	bool rounded; /* by a run since it was last asked */
	jv payload; /* valid when parsed */
	bool headers_made;
	jv headers;
};

/* --- compiling --------------------------------------------------------------------------------------- */

/* The variables that the program uses and that a message gives. Others are its own (`. as $x`), or a mistake
 * that libjq reports. */
static size_t find_bindings(
	const struct jq_scan *scan, const char *const *captures, size_t n_captures, struct binding *ret_bindings)
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

int transform_new(struct jq_pool *pool, const char *program, const char *const *captures, size_t n_captures,
	struct transform **ret_transform)
{
	struct jq_scan scan;
	struct binding bindings[JQ_SCAN_MAX_VARIABLES];
	struct slice names[JQ_SCAN_MAX_VARIABLES];
	struct jq_entry *entry;
	size_t n = jq_scan(program, &scan) == 0 ? find_bindings(&scan, captures, n_captures, bindings) : 0;
	for (size_t i = 0; i < n; i++)
		names[i] = bindings[i].name;
	struct transform *transform = calloc(1, sizeof *transform + n * sizeof transform->sources[0]);
	if (!transform)
		return -ENOMEM;
	if (jq_pool_add(pool, program, names, n, &entry) != 0) {
		free(transform);
		return -ENOMEM;
	}
	transform->entry = entry;
	transform->n_sources = n;
	for (size_t i = 0; i < n; i++)
		transform->sources[i] = bindings[i].source;
	*ret_transform = transform;
	return 0;
}

const char *transform_complaint(const struct transform *transform, int *ret_line)
{
	const struct jq_complaint *complaint = &transform->entry->complaint;
	if (!complaint->text[0])
		return NULL;
	*ret_line = complaint->line;
	return complaint->text;
}

void transform_free(struct transform *transform)
{
	free(transform);
}

/* --- running ----------------------------------------------------------------------------------------- */

struct transform_input *transform_input_new(void)
{
	return calloc(1, sizeof(struct transform_input));
}

void transform_input_begin(struct transform_input *input, const struct message_view *view, struct json_payload *json)
{
	input->view = view;
	input->json = json;
	input->null = false;
}

void transform_input_null(struct transform_input *input, bool is_null)
{
	input->null = is_null;
}

bool transform_input_rounded(struct transform_input *input)
{
	bool rounded = input->rounded;
	input->rounded = false;
	return rounded;
}

void transform_input_end(struct transform_input *input)
{
	input->rounded = false;
	if (input->parsed)
		jv_free(input->payload);
	if (input->headers_made)
		jv_free(input->headers);
	input->parsed = false;
	input->headers_made = false;
}

void transform_input_free(struct transform_input *input)
{
	if (input)
		transform_input_end(input);
	free(input);
}

/* Invalid UTF-8 (a Kafka key is any bytes) becomes U+FFFD. */
static jv string_or_null(struct slice text)
{
	return text.data ? jv_string_sized((const char *)text.data, (int)text.len) : jv_null();
}

static jv make_headers(const struct message_view *view)
{
	jv headers = jv_object();
	for (size_t i = view->n_headers; i > 0; i--) /* backwards, so that the first of equal names stays */
		headers = jv_object_set(
			headers, string_or_null(view->headers[i - 1].name), string_or_null(view->headers[i - 1].value));
	return headers;
}

static jv variable_value(struct transform_input *input, size_t source, const struct slice *captures)
{
	switch (source) {
	case VARIABLE_TOPIC:
		return string_or_null(input->view->topic);
	case VARIABLE_QOS:
		return jv_number(input->view->qos);
	case VARIABLE_RETAIN:
		return jv_bool(input->view->retain);
	case VARIABLE_KEY:
		return string_or_null(input->view->key);
	case VARIABLE_RECEIVED:
		return jv_number((double)input->view->origin_ms);
	case VARIABLE_HEADERS:
		if (!input->headers_made)
			input->headers = make_headers(input->view);
		input->headers_made = true;
		return jv_copy(input->headers);
	default:
		return string_or_null(captures[source - VARIABLE_CAPTURE]);
	}
}

static const char *error_text(jv error, struct arena *arena)
{
	const char *reason;
	jv message = jv_invalid_get_msg(error);
	if (jv_get_kind(message) != JV_KIND_STRING)
		message = jv_dump_string(message, 0);
	reason = arena_printf(arena, "jq: %s", jv_string_value(message));
	jv_free(message);
	return reason;
}

static int parse_payload(struct transform_input *input, struct arena *arena, const char **ret_reason)
{
	if (input->parsed || input->null)
		return 0;
	if (!input->view->payload.data) {
		input->payload = jv_null();
		input->parsed = true;
		return 0;
	}
	const char *wrong = json_payload_check(input->json);
	if (wrong) {
		*ret_reason = wrong;
		return -EINVAL;
	}
	jv payload = jv_parse_sized((const char *)input->json->text.data, (int)input->json->text.len);
	if (!jv_is_valid(payload)) {
		*ret_reason = error_text(payload, arena);
		return -EINVAL;
	}
	input->payload = payload;
	input->parsed = true;
	return 0;
}

static jv program_input(struct transform *transform, struct transform_input *input, const struct slice *captures)
{
	jv payload = input->null ? jv_null() : jv_copy(input->payload);
	if (transform->n_sources == 0 && transform->entry->number < 0)
		return payload;
	jv array = jv_array_append(jv_array_sized((int)transform->n_sources + 2), payload);
	for (size_t i = 0; i < transform->n_sources; i++)
		array = jv_array_append(array, variable_value(input, transform->sources[i], captures));
	if (transform->entry->number >= 0)
		array = jv_array_append(array, jv_number(transform->entry->number));
	return array;
}

/* libjq ends with an invalid value: without a message all went well. */
static int finish(jq_state *jq, jv last, struct arena *arena, const char **ret_reason)
{
	if (!jv_invalid_has_msg(jv_copy(last)) && !jq_halted(jq)) {
		jv_free(last);
		return 0;
	}
	*ret_reason = error_text(last, arena);
	return -EINVAL;
}

int transform_test(struct transform *transform, struct transform_input *input, const struct slice *captures,
	struct arena *arena, bool *ret_pass, const char **ret_reason)
{
	int err = parse_payload(input, arena, ret_reason);
	if (err)
		return err;
	jq_state *jq = transform->entry->jq;
	bool pass = false;
	jq_start(jq, program_input(transform, input, captures), 0);
	for (;;) {
		jv output = jq_next(jq);
		jv_kind kind = jv_get_kind(output);
		if (kind == JV_KIND_INVALID) {
			err = finish(jq, output, arena, ret_reason);
			break;
		}
		jv_free(output);
		if (kind != JV_KIND_FALSE && kind != JV_KIND_NULL) {
			pass = true;
			break;
		}
	}
	jq_start(jq, jv_null(), 0); /* lets go of what the run held */
	if (err == 0)
		*ret_pass = pass;
	return err;
}

/* For what is nested past 256 levels libjq 1.6 puts a remark into the middle of the text, and each patched version its
 * own one: so the text is read again. */
static const char *check_output(struct slice text)
{
	if (text.len > MESSAGE_MAX_PAYLOAD)
		return "an output of the transform is larger than 32 MiB";
	return json_check(text, NULL) ? "an output of the transform is nested deeper than 256 levels" : NULL;
}

static int keep_output(jv output, struct arena *arena, struct slice *ret_text, const char **ret_reason)
{
	jv dumped = jv_dump_string(output, 0);
	struct slice text = slice_of(jv_string_value(dumped), (size_t)jv_string_length_bytes(jv_copy(dumped)));
	const char *wrong = check_output(text);
	int err = 0;
	if (wrong) {
		*ret_reason = wrong;
		err = -EINVAL;
	} else {
		*ret_text = arena_copy(arena, text);
		err = ret_text->data ? 0 : -ENOMEM;
	}
	jv_free(dumped);
	return err;
}

static int collect(jq_state *jq, size_t max_outputs, struct arena *arena, struct slice **ret_outputs, size_t *ret_n,
	const char **ret_reason)
{
	struct slice *outputs = NULL;
	size_t n = 0, size = 0;
	for (;;) {
		jv output = jq_next(jq);
		if (!jv_is_valid(output)) {
			*ret_outputs = outputs;
			*ret_n = n;
			return finish(jq, output, arena, ret_reason);
		}
		if (n == max_outputs) {
			jv_free(output);
			*ret_reason = arena_printf(arena, "the transform gives more than %zu output%s", max_outputs,
				max_outputs == 1 ? "" : "s");
			return -EINVAL;
		}
		if (n == size) {
			size = size ? 2 * size : 4;
			struct slice *grown = arena_alloc(arena, size * sizeof *grown);
			if (!grown) {
				jv_free(output);
				return -ENOMEM;
			}
			if (n)
				memcpy(grown, outputs, n * sizeof *grown);
			outputs = grown;
		}
		int err = keep_output(output, arena, &outputs[n++], ret_reason);
		if (err)
			return err;
	}
}

int transform_run(struct transform *transform, struct transform_input *input, const struct slice *captures,
	size_t max_outputs, struct arena *arena, struct slice **ret_outputs, size_t *ret_n, const char **ret_reason)
{
	struct slice *outputs;
	size_t n;
	int err = parse_payload(input, arena, ret_reason);
	if (err)
		return err;
	jq_state *jq = transform->entry->jq;
	jq_start(jq, program_input(transform, input, captures), 0);
	err = collect(jq, max_outputs, arena, &outputs, &n, ret_reason);
	jq_start(jq, jv_null(), 0);
	if (err)
		return err;
	if (input->parsed && !input->null && input->json->long_integer)
		input->rounded |= rounding_seen(input->json->text, outputs, n);
	*ret_outputs = outputs;
	*ret_n = n;
	return 0;
}
