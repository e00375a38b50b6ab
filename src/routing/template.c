/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles a template to segments and fills them in. A template of one segment is not copied when it is
 * rendered: the text is borrowed from where it stands.
 */
#include "routing/template.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "routing/arena.h"
#include "routing/json.h"
#include "routing/topic_filter.h"

#define MAX_STEPS 32
#define MAX_INDEX 65535

enum segment_kind {
	SEGMENT_LITERAL,
	SEGMENT_CAPTURE,
	SEGMENT_TOPIC,
	SEGMENT_LEVEL,
	SEGMENT_REST, /* the topic from a level on */
	SEGMENT_KEY,
	SEGMENT_HEADER,
	SEGMENT_JSON,
	SEGMENT_MADE, /* a path into the payload that goes out */
};

struct segment {
	enum segment_kind kind;
	size_t index; /* of the capture, or of the topic level */
	struct slice text; /* the literal, or the header's name; into the bytes */
	struct json_step *steps;
	size_t n_steps;
};

/* One block: the struct, the segments, the steps, the bytes. With ten thousand mappings a rendering is a matter of how
 * many cache lines it touches. */
struct template
{
	size_t n_segments;
	struct segment segments[];
};

/* The same while it is parsed. */
struct draft {
	struct segment *segments;
	size_t n_segments;
	char *bytes; /* literal texts; never longer than the source */
	size_t n_bytes;
	size_t n_steps;
};

/* --- compiling --------------------------------------------------------------------------------------- */

struct parser {
	const char *text;
	const char *at;
	const char *const *captures;
	size_t n_captures;
	const struct template_received *received; /* NULL: not asked */
	struct draft draft;
	const char *wrong;
	const char *wrong_at;
	bool no_memory;
};

static __thread char sentence[400];

__attribute__((format(printf, 3, 4))) static bool parser_fail(
	struct parser *in, const char *where, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	in->wrong = sentence;
	in->wrong_at = where;
	return false;
}

static bool parser_no_memory(struct parser *in)
{
	in->no_memory = true;
	return parser_fail(in, in->at, "memory is out");
}

static struct slice keep_bytes(struct parser *in, const char *bytes, size_t len)
{
	char *copy = in->draft.bytes + in->draft.n_bytes;
	memcpy(copy, bytes, len);
	in->draft.n_bytes += len;
	return slice_of(copy, len);
}

static struct segment *add_segment(struct parser *in, enum segment_kind kind)
{
	struct draft *draft = &in->draft;
	struct segment *segments = realloc(draft->segments, (draft->n_segments + 1) * sizeof *segments);
	if (!segments) {
		parser_no_memory(in);
		return NULL;
	}
	draft->segments = segments;
	segments[draft->n_segments] = (struct segment){.kind = kind};
	return &segments[draft->n_segments++];
}

/* Literals lie one after the other in bytes, so a neighbour is extended. */
static bool add_literal(struct parser *in, const char *bytes, size_t len)
{
	struct draft *draft = &in->draft;
	struct segment *last = draft->n_segments ? &draft->segments[draft->n_segments - 1] : NULL;
	if (last && last->kind == SEGMENT_LITERAL) {
		keep_bytes(in, bytes, len);
		last->text.len += len;
		return true;
	}
	struct segment *added = add_segment(in, SEGMENT_LITERAL);
	if (!added)
		return false;
	added->text = keep_bytes(in, bytes, len);
	return true;
}

/* Digits up to `]`, which is passed. ret_rest: may there be a colon before it? NULL: no. */
static bool parse_index(struct parser *in, size_t *ret_index, bool *ret_rest)
{
	const char *start = in->at;
	size_t index = 0;
	for (; *in->at >= '0' && *in->at <= '9' && index <= MAX_INDEX; in->at++)
		index = index * 10 + (size_t)(*in->at - '0');
	if (ret_rest && in->at > start && *in->at == ':') {
		*ret_rest = true;
		in->at++;
	}
	if (in->at == start || *in->at != ']')
		return parser_fail(in, start, "an index is a number from 0 followed by ], as in {topic[0]}");
	if (index > MAX_INDEX)
		return parser_fail(in, start, "an index is at most %d", MAX_INDEX);
	in->at++;
	*ret_index = index;
	return true;
}

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       (unsigned char)c >= 0x80;
}

static bool parse_quoted_key(struct parser *in, struct slice *ret_key)
{
	const char *start = in->at++;
	const char *end = strchr(in->at, '"');
	if (!end || end[1] != ']')
		return parser_fail(in, start, "a quoted key ends with \"], as in {.a[\"any key\"]}");
	*ret_key = keep_bytes(in, in->at, (size_t)(end - in->at));
	in->at = end + 2;
	return true;
}

/* `.key`, `[index]`, `["key"]`; a dot before a bracket is allowed, as in jq. */
static bool parse_step(struct parser *in, struct json_step *ret_step)
{
	const char *start = in->at;
	*ret_step = (struct json_step){0};
	if (*in->at == '.')
		in->at++;
	if (*in->at == '[') {
		in->at++;
		return *in->at == '"' ? parse_quoted_key(in, &ret_step->key) : parse_index(in, &ret_step->index, NULL);
	}
	const char *key = in->at;
	while (key_char(*in->at))
		in->at++;
	if (key == start || in->at == key)
		return parser_fail(in, start, "a JSON path is keys and indexes, as in {.a.b[0]} or {.a[\"any key\"]}");
	ret_step->key = keep_bytes(in, key, (size_t)(in->at - key));
	return true;
}

static bool parse_json(struct parser *in, enum segment_kind kind)
{
	struct json_step steps[MAX_STEPS];
	size_t n = 0;
	const char *start = in->at;
	if (kind == SEGMENT_JSON && start[1] == '}')
		in->at++; /* {.}: the payload itself */
	while (*in->at != '}') {
		if (n == MAX_STEPS)
			return parser_fail(in, start, "a JSON path has at most %d steps", MAX_STEPS);
		if (!parse_step(in, &steps[n++]))
			return false;
	}
	struct segment *added = add_segment(in, kind);
	if (!added)
		return false;
	added->steps = calloc(n ? n : 1, sizeof *steps);
	if (!added->steps)
		return parser_no_memory(in);
	memcpy(added->steps, steps, n * sizeof *steps);
	added->n_steps = n;
	in->draft.n_steps += n;
	return true;
}

/* header absent: the key. */
static bool is_received(struct parser *in, const char *where, struct slice header)
{
	const struct template_received *received = in->received;
	const char *wrong = received && received->check ? received->check(received->check_with, header) : NULL;
	return !wrong || parser_fail(in, where, "%s", wrong);
}

static bool parse_header(struct parser *in)
{
	const char *name = in->at;
	in->at = strchr(name, '}');
	if (in->at == name)
		return parser_fail(in, name, "the name of the header is missing, as in {header.x}");
	if (!is_received(in, name, slice_of(name, (size_t)(in->at - name))))
		return false;
	struct segment *added = add_segment(in, SEGMENT_HEADER);
	if (!added)
		return false;
	added->text = keep_bytes(in, name, (size_t)(in->at - name));
	return true;
}

static void list_captures(const struct parser *in, char *out, size_t size)
{
	size_t len = 0;
	out[0] = '\0';
	for (size_t i = 0; i < in->n_captures && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s{%s}", i ? ", " : "", in->captures[i]);
}

static bool parse_capture(struct parser *in)
{
	const char *name = in->at;
	in->at += strcspn(name, "}");
	struct slice wanted = slice_of(name, (size_t)(in->at - name));
	for (size_t i = 0; i < in->n_captures; i++) {
		if (!slice_equal(wanted, slice_str(in->captures[i])))
			continue;
		struct segment *added = add_segment(in, SEGMENT_CAPTURE);
		if (added)
			added->index = i;
		return added != NULL;
	}
	char known[160];
	list_captures(in, known, sizeof known);
	return parser_fail(in, name - 1,
		"{%.*s} is nothing that a message has; use %s%s{topic}, {topic[0]}, {key}, {header.name} or "
		"{.json.path}, and {{ for a brace",
		(int)(wanted.len < 60 ? wanted.len : 60), name, known, known[0] ? ", " : "");
}

static bool parse_level(struct parser *in)
{
	size_t index, n_levels = in->received ? in->received->n_levels : 0;
	const char *start = in->at;
	bool rest = false;
	if (!parse_index(in, &index, &rest))
		return false;
	if (n_levels && index >= n_levels)
		return parser_fail(in, start,
			"the topics that this mapping takes have no level %zu: levels count from 0, and here the last "
			"is %zu",
			index, n_levels - 1);
	struct segment *added = add_segment(in, rest ? SEGMENT_REST : SEGMENT_LEVEL);
	if (added)
		added->index = index;
	return added != NULL;
}

static bool starts(struct parser *in, const char *prefix)
{
	size_t len = strlen(prefix);
	if (strncmp(in->at, prefix, len) != 0)
		return false;
	in->at += len;
	return true;
}

/* What stands between { and }. */
static bool parse_part(struct parser *in)
{
	const char *start = in->at;
	if (!strchr(start, '}'))
		return parser_fail(in, start - 1, "{ has no }; write {{ for a brace");
	if (*start == '.')
		return parse_json(in, SEGMENT_JSON);
	if (starts(in, "payload.") || starts(in, "payload[")) {
		in->at--;
		return parse_json(in, SEGMENT_MADE);
	}
	if (starts(in, "header."))
		return parse_header(in);
	if (starts(in, "topic["))
		return parse_level(in);
	if (starts(in, "topic}") || starts(in, "key}")) {
		in->at--;
		if (*start == 'k' && !is_received(in, start, (struct slice){NULL, 0}))
			return false;
		return add_segment(in, *start == 't' ? SEGMENT_TOPIC : SEGMENT_KEY) != NULL;
	}
	return parse_capture(in);
}

static bool parse_braces(struct parser *in)
{
	const char *brace = in->at;
	if (brace[0] == brace[1]) {
		in->at += 2;
		return add_literal(in, brace, 1);
	}
	if (*brace == '}')
		return parser_fail(in, brace, "} stands alone; write }} for a brace");
	in->at++;
	if (!parse_part(in))
		return false;
	if (*in->at != '}')
		return parser_fail(in, in->at, "} was expected here");
	in->at++;
	return true;
}

static bool parse_template(struct parser *in)
{
	while (*in->at) {
		size_t len = strcspn(in->at, "{}");
		if (len && !add_literal(in, in->at, len))
			return false;
		in->at += len;
		if (*in->at && !parse_braces(in))
			return false;
	}
	return true;
}

/* Moves a text from the draft's bytes to the block's. */
static void move_text(struct slice *text, const struct draft *draft, const char *bytes)
{
	if (text->data)
		text->data = (const uint8_t *)bytes + (text->data - (const uint8_t *)draft->bytes);
}

static struct template *pack(const struct draft *draft)
{
	size_t segments = draft->n_segments * sizeof(struct segment), steps = draft->n_steps * sizeof(struct json_step);
	struct template *tpl = malloc(sizeof *tpl + segments + steps + draft->n_bytes + 1);
	if (!tpl)
		return NULL;
	struct json_step *next_step = (struct json_step *)(tpl->segments + draft->n_segments);
	char *bytes = (char *)(next_step + draft->n_steps);
	tpl->n_segments = draft->n_segments;
	memcpy(bytes, draft->bytes, draft->n_bytes);
	for (size_t i = 0; i < draft->n_segments; i++) {
		struct segment *segment = &tpl->segments[i];
		*segment = draft->segments[i];
		move_text(&segment->text, draft, bytes);
		segment->steps = next_step;
		for (size_t s = 0; s < segment->n_steps; s++, next_step++) {
			*next_step = draft->segments[i].steps[s];
			move_text(&next_step->key, draft, bytes);
		}
	}
	return tpl;
}

static void draft_free(struct draft *draft)
{
	for (size_t i = 0; i < draft->n_segments; i++)
		free(draft->segments[i].steps);
	free(draft->segments);
	free(draft->bytes);
}

static struct template *template_parse(struct parser *in)
{
	struct template *tpl = NULL;
	in->at = in->text;
	in->draft.bytes = malloc(strlen(in->text) + 1);
	if (!in->draft.bytes)
		parser_no_memory(in);
	else if (parse_template(in) && !(tpl = pack(&in->draft)))
		parser_no_memory(in);
	draft_free(&in->draft);
	return tpl;
}

const char *template_check(const char *text, const char *const *captures, size_t n_captures, size_t *ret_offset)
{
	struct parser in = {.text = text, .captures = captures, .n_captures = n_captures};
	template_free(template_parse(&in));
	if (in.wrong && ret_offset)
		*ret_offset = (size_t)(in.wrong_at - text);
	return in.wrong;
}

const char *template_check_received(const char *text, const char *const *captures, size_t n_captures,
	const struct template_received *received, size_t *ret_offset)
{
	struct parser in = {.text = text, .captures = captures, .n_captures = n_captures, .received = received};
	template_free(template_parse(&in));
	if (in.wrong)
		*ret_offset = (size_t)(in.wrong_at - text);
	return in.wrong;
}

int template_new(const char *text, const char *const *captures, size_t n_captures, struct template **ret_template)
{
	struct parser in = {.text = text, .captures = captures, .n_captures = n_captures};
	struct template *tpl = template_parse(&in);
	if (!tpl)
		return in.no_memory ? -ENOMEM : -EINVAL;
	*ret_template = tpl;
	return 0;
}

void template_free(struct template *tpl)
{
	free(tpl);
}

void template_walk(const struct template *tpl,
	void (*fn)(enum template_part part, struct slice text, size_t index, void *arg), void *arg)
{
	static const enum template_part parts[] = {
		[SEGMENT_LITERAL] = TEMPLATE_TEXT,
		[SEGMENT_CAPTURE] = TEMPLATE_CAPTURE,
		[SEGMENT_TOPIC] = TEMPLATE_TOPIC,
		[SEGMENT_LEVEL] = TEMPLATE_LEVEL,
		[SEGMENT_REST] = TEMPLATE_REST,
		[SEGMENT_KEY] = TEMPLATE_OTHER,
		[SEGMENT_HEADER] = TEMPLATE_OTHER,
		[SEGMENT_JSON] = TEMPLATE_OTHER,
		[SEGMENT_MADE] = TEMPLATE_OTHER,
	};
	for (size_t i = 0; i < tpl->n_segments; i++)
		fn(parts[tpl->segments[i].kind], tpl->segments[i].text, tpl->segments[i].index, arg);
}

bool template_speaks_of_made(const struct template *tpl)
{
	for (size_t i = 0; tpl && i < tpl->n_segments; i++)
		if (tpl->segments[i].kind == SEGMENT_MADE)
			return true;
	return false;
}

/* --- rendering --------------------------------------------------------------------------------------- */

struct renderer {
	const struct template_source *source;
	struct arena *arena;
	const char *reason;
};

static int missing(struct renderer *out, const char *reason)
{
	out->reason = reason;
	return -EINVAL;
}

static int render_level(struct renderer *out, const struct segment *segment, struct slice *ret_text)
{
	struct slice topic = out->source->view->topic, rest = topic, level;
	size_t index = segment->index;
	char separator = out->source->separator ? out->source->separator : '/';
	for (size_t i = 0; topic_next_level_by(separator, &rest, &level); i++) {
		if (i < index)
			continue;
		*ret_text = level;
		if (segment->kind == SEGMENT_REST)
			ret_text->len = (size_t)(topic.data + topic.len - level.data);
		return 0;
	}
	return missing(out, arena_printf(out->arena, "the topic has no level %zu", index));
}

static int render_string(struct renderer *out, struct slice raw, struct slice *ret_text)
{
	if (json_is_plain(raw)) {
		*ret_text = slice_of(raw.data + 1, raw.len - 2);
		return 0;
	}
	uint8_t *text = arena_alloc(out->arena, raw.len);
	if (!text)
		return -ENOMEM;
	size_t len = json_unescape(raw, text);
	if (len == SIZE_MAX)
		return missing(out, "a string of the payload holds half a surrogate pair");
	*ret_text = slice_of(text, len);
	return 0;
}

static const char *json_path_text(struct renderer *out, const struct segment *segment)
{
	const char *text = "";
	for (size_t i = 0; i < segment->n_steps; i++) {
		const struct json_step *step = &segment->steps[i];
		text = step->key.data ? arena_printf(out->arena, "%s.%.*s", text, (int)step->key.len,
						(const char *)step->key.data)
				      : arena_printf(out->arena, "%s[%zu]", text, step->index);
	}
	return *text ? text : ".";
}

static int render_json(
	struct renderer *out, struct json_payload *json, const struct segment *segment, struct slice *ret_text)
{
	const char *wrong = json ? json_payload_check(json) : "there is no payload yet that goes out";
	if (wrong)
		return missing(out, wrong);
	struct slice raw = json_find(json->text, segment->steps, segment->n_steps);
	if (!raw.data)
		return missing(out, arena_printf(out->arena, "the payload has no %s", json_path_text(out, segment)));
	switch (json_kind(raw)) {
	case JSON_STRING:
		return render_string(out, raw, ret_text);
	case JSON_NUMBER:
	case JSON_TRUE:
	case JSON_FALSE:
		*ret_text = raw;
		return 0;
	default:
		return missing(out, arena_printf(out->arena, "%s in the payload is null, an array or an object",
					    json_path_text(out, segment)));
	}
}

static int render_segment(struct renderer *out, const struct segment *segment, struct slice *ret_text)
{
	const struct template_source *source = out->source;
	struct slice text = {NULL, 0};
	switch (segment->kind) {
	case SEGMENT_LITERAL:
		text = segment->text;
		break;
	case SEGMENT_CAPTURE:
		text = source->captures[segment->index];
		if (!text.data)
			return missing(out, "the topic filter that matched does not bind the capture");
		break;
	case SEGMENT_TOPIC:
		text = source->view->topic;
		break;
	case SEGMENT_LEVEL:
	case SEGMENT_REST:
		return render_level(out, segment, ret_text);
	case SEGMENT_KEY:
		text = source->view->key;
		if (!text.data)
			return missing(out, "the message has no key");
		break;
	case SEGMENT_HEADER:
		for (size_t i = 0; i < source->view->n_headers && !text.data; i++)
			if (slice_equal(source->view->headers[i].name, segment->text))
				text = source->view->headers[i].value;
		if (!text.data)
			return missing(out, arena_printf(out->arena, "the message has no header %.*s",
						    (int)segment->text.len, (const char *)segment->text.data));
		break;
	case SEGMENT_JSON:
		return render_json(out, source->json, segment, ret_text);
	case SEGMENT_MADE:
		return render_json(out, source->made, segment, ret_text);
	}
	*ret_text = text;
	return 0;
}

static int render_part(struct renderer *out, const struct segment *segment, struct slice *ret_text)
{
	const struct template_source *source = out->source;
	struct slice text;
	int err = render_segment(out, segment, &text);
	if (!err && segment->kind != SEGMENT_LITERAL && source->insert)
		err = source->insert(source->insert_with, text, out->arena, &text);
	if (!err)
		*ret_text = text;
	return err;
}

static int render_joined(struct renderer *out, const struct template *tpl, struct slice *ret_text)
{
	struct slice *parts = arena_alloc(out->arena, tpl->n_segments * sizeof *parts);
	size_t len = 0;
	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < tpl->n_segments; i++) {
		int err = render_part(out, &tpl->segments[i], &parts[i]);
		if (err)
			return err;
		len += parts[i].len;
	}
	uint8_t *text = arena_alloc(out->arena, len);
	if (!text)
		return -ENOMEM;
	*ret_text = slice_of(text, len);
	for (size_t i = 0; i < tpl->n_segments; i++) {
		if (parts[i].len)
			memcpy(text, parts[i].data, parts[i].len);
		text += parts[i].len;
	}
	return 0;
}

int template_render(const struct template *tpl, const struct template_source *source, struct arena *arena,
	struct slice *ret_text, const char **ret_reason)
{
	struct renderer out = {.source = source, .arena = arena};
	struct slice text = slice_str("");
	int err = 0;
	if (tpl->n_segments == 1)
		err = render_part(&out, &tpl->segments[0], &text);
	else if (tpl->n_segments > 1)
		err = render_joined(&out, tpl, &text);
	if (err) {
		*ret_reason = out.reason;
		return err;
	}
	*ret_text = text;
	return 0;
}
