/* SPDX-License-Identifier: Apache-2.0
 *
 * Templates: text in which {name} is a capture, {topic}, {topic[i]} (levels from 0), {topic[i:]} (from there on), {key}, {header.x} and
 * {.json.path} stand for parts of the received message; {{ and }} are literal braces. A JSON path is
 * {.a.b[0].c} or, for keys that are not letters, digits, _ and -, {.a["any key"]}; {.} is the whole payload.
 * {payload.path} is the same of the payload that goes out, as jq has made it.
 * It must lead to a string (its text is inserted), a number (its digits, unchanged) or true or false.
 *
 * Compiled once, rendered per message into an arena. A part that is missing (no such header, no key, not
 * JSON, null, a capture that the matching filter does not bind) makes the rendering fail: half a topic is
 * worse than a dead letter.
 *
 * Threads: a compiled template is immutable; any thread. Nothing blocks.
 */
#ifndef LINKSPAN_ROUTING_TEMPLATE_H
#define LINKSPAN_ROUTING_TEMPLATE_H

#include <stddef.h>

#include "message/message.h"

/* NULL if well formed, else one sentence of what is wrong; *ret_offset (may be NULL) is the byte where.
 * captures: the names that the mapping's filters bind, n of them. The sentence may lie in a thread-local
 * buffer: valid until the next call in this thread. */
const char *template_check(const char *text, const char *const *captures, size_t n_captures, size_t *ret_offset);

/* What the messages of a source have, whatever they are. */
struct template_received {
	/* NULL: a message may have a header of that name (absent: a key); else why none ever has. A NULL member: it may. */
	const char *(*check)(const void *check_with, struct slice header);
	const void *check_with;
	size_t n_levels; /* of every topic, at most; 0: any number */
};
/* Does every rendering fail for want of what such messages never have? NULL: no; else as template_check, of a text that that
 * accepts. */
const char *template_check_received(const char *text, const char *const *captures, size_t n_captures,
	const struct template_received *received, size_t *ret_offset);

struct template;
struct arena;
struct json_payload;

/* Is there a {payload.path} in it? NULL: no. */
bool template_speaks_of_made(const struct template *tpl);

/* Compiles text that template_check accepts. 0 with a template (the caller's), -EINVAL if it is not well
 * formed, -ENOMEM. */
int template_new(const char *text, const char *const *captures, size_t n_captures, struct template **ret_template)
	__attribute__((warn_unused_result));
void template_free(struct template *tpl); /* NULL is allowed */

/* What a template consists of: literal text; the whole topic; a level of it (index), or that and all behind it; a capture (index in the names given
 * to template_new); a header, a key or a part of the payload, of which nothing is known without a message. */
enum template_part { TEMPLATE_TEXT, TEMPLATE_TOPIC, TEMPLATE_LEVEL, TEMPLATE_REST, TEMPLATE_CAPTURE, TEMPLATE_OTHER };
void template_walk(const struct template *tpl,
	void (*fn)(enum template_part part, struct slice text, size_t index, void *arg), void *arg);

/* What a message offers to be filled in; all borrowed. */
struct template_source {
	const struct message_view *view;
	char separator; /* of the levels of its topic; 0: '/' */
	const struct slice *captures; /* values by the index in the names given to template_new; absent: not bound */
	struct json_payload *json; /* of the view's payload (json.h) */
	struct json_payload *made; /* of the payload that goes out; NULL: a template that speaks of it fails */
	/* What each part that is filled in goes in as: as struct connector, insert_in_target. NULL: unchanged. */
	int (*insert)(const void *insert_with, struct slice text, struct arena *arena, struct slice *ret_text);
	const void *insert_with;
};

/* 0 and the text, which lives as long as the template, the source's view and the arena; -EINVAL and one
 * sentence why (static or in the arena); -ENOMEM. */
int template_render(const struct template *tpl, const struct template_source *source, struct arena *arena,
	struct slice *ret_text, const char **ret_reason) __attribute__((warn_unused_result));

#endif
