/* SPDX-License-Identifier: Apache-2.0
 *
 * Shapes level by level. A part of a template that may hold slashes ends a shape: what follows is "anything".
 */
#include "routing/topic_shape.h"

#include "routing/topic_filter.h"

const struct topic_shape_notation topic_shape_plain = {
	.separator = '/', .joint = {(const uint8_t *)"/", 1}, .insert = NULL};

static bool is_wildcard(struct slice level, char wildcard)
{
	return level.len == 1 && level.data[0] == (uint8_t)wildcard;
}

static bool begins_with_dollar(const struct topic_shape *shape)
{
	return shape->n > 0 && shape->levels[0].prefix.len > 0 && shape->levels[0].prefix.data[0] == '$';
}

static void shape_cut(struct topic_shape *shape)
{
	shape->deep = true;
	shape->loose = true;
}

void topic_shape_of_filter(const char *filter, struct topic_shape *ret_shape)
{
	struct slice rest = slice_str(filter), level;
	ret_shape->n = 0;
	ret_shape->deep = ret_shape->loose = false;
	while (topic_next_level(&rest, &level)) {
		if (is_wildcard(level, '#')) {
			ret_shape->deep = true;
			return;
		}
		if (ret_shape->n == TOPIC_SHAPE_MAX_LEVELS) {
			shape_cut(ret_shape);
			return;
		}
		bool wild = is_wildcard(level, '+') || topic_filter_capture(level).data;
		ret_shape->levels[ret_shape->n++] = (struct topic_shape_level){
			.prefix = wild ? slice_str("") : level, .suffix = slice_str(""), .wild = wild};
	}
}

/* --- meeting ------------------------------------------------------------------------------------------ */

static bool begins_with(struct slice text, struct slice prefix)
{
	return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.data, prefix.data, prefix.len) == 0);
}

static bool ends_with(struct slice text, struct slice suffix)
{
	return text.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(text.data + text.len - suffix.len, suffix.data, suffix.len) == 0);
}

static bool level_matches(const struct topic_shape_level *wild, struct slice text)
{
	return text.len >= wild->prefix.len + wild->suffix.len && begins_with(text, wild->prefix) &&
	       ends_with(text, wild->suffix);
}

static bool level_meet(
	const struct topic_shape_level *a, const struct topic_shape_level *b, struct topic_shape_level *ret_level)
{
	if (!a->wild || !b->wild) {
		const struct topic_shape_level *literal = a->wild ? b : a, *other = a->wild ? a : b;
		*ret_level = *literal;
		return other->wild ? level_matches(other, literal->prefix) : slice_equal(a->prefix, b->prefix);
	}
	const struct slice *prefix = a->prefix.len > b->prefix.len ? &a->prefix : &b->prefix;
	const struct slice *suffix = a->suffix.len > b->suffix.len ? &a->suffix : &b->suffix;
	*ret_level = (struct topic_shape_level){*prefix, *suffix, true};
	return begins_with(*prefix, a->prefix) && begins_with(*prefix, b->prefix) && ends_with(*suffix, a->suffix) &&
	       ends_with(*suffix, b->suffix);
}

bool topic_shape_meet(const struct topic_shape *shape, const char *filter, struct topic_shape *ret_shape)
{
	struct topic_shape other;
	topic_shape_of_filter(filter, &other);
	bool other_wild = other.n == 0 || other.levels[0].wild;
	if (begins_with_dollar(shape) && other_wild)
		return false; /* [MQTT-4.7.2-1] */
	size_t n = shape->n > other.n ? shape->n : other.n;
	for (size_t i = 0; i < n; i++) {
		if (i >= shape->n && !shape->deep)
			return false;
		if (i >= other.n && !other.deep)
			return false;
		if (i >= shape->n)
			ret_shape->levels[i] = other.levels[i];
		else if (i >= other.n)
			ret_shape->levels[i] = shape->levels[i];
		else if (!level_meet(&shape->levels[i], &other.levels[i], &ret_shape->levels[i]))
			return false;
	}
	ret_shape->n = n;
	ret_shape->deep = shape->deep && other.deep;
	ret_shape->loose = shape->loose || other.loose;
	return true;
}

/* --- rendering ---------------------------------------------------------------------------------------- */

struct rendering {
	const struct topic_shape *from;
	const char *filter;
	const char *const *captures;
	const struct topic_shape_notation *notation;
	struct arena *arena;
	struct topic_shape *to;
	struct topic_shape_level level; /* the last one of `to`, unfinished */
	bool closed; /* nothing can be added */
	bool impossible;
};

static struct slice join(struct arena *arena, struct slice a, struct slice b)
{
	if (a.len == 0 || b.len == 0)
		return a.len ? a : b;
	uint8_t *text = arena_alloc(arena, a.len + b.len);
	if (!text)
		return a; /* shorter: a larger set */
	memcpy(text, a.data, a.len);
	memcpy(text + a.len, b.data, b.len);
	return slice_of(text, a.len + b.len);
}

static void close_deep(struct rendering *rendering)
{
	rendering->to->deep = true;
	rendering->closed = true;
}

static void end_level(struct rendering *rendering)
{
	struct topic_shape *to = rendering->to;
	if (to->n == TOPIC_SHAPE_MAX_LEVELS) {
		shape_cut(to);
		rendering->closed = true;
		return;
	}
	to->levels[to->n++] = rendering->level;
	rendering->level = (struct topic_shape_level){.prefix = slice_str(""), .suffix = slice_str("")};
}

static void add_level_text(struct rendering *rendering, struct slice text)
{
	struct slice *part = rendering->level.wild ? &rendering->level.suffix : &rendering->level.prefix;
	*part = join(rendering->arena, *part, text);
}

static void add_text(struct rendering *rendering, struct slice text)
{
	struct slice rest = text, level;
	while (!rendering->closed && topic_next_level_by(rendering->notation->separator, &rest, &level)) {
		add_level_text(rendering, level);
		if (rest.data)
			end_level(rendering);
	}
}

static void add_wild(struct rendering *rendering)
{
	rendering->level.wild = true;
	rendering->level.suffix = slice_str("");
}

static void add_inserted(struct rendering *rendering, struct slice text)
{
	const struct topic_shape_notation *notation = rendering->notation;
	if (text.len == 0)
		return;
	if (notation->insert && notation->insert(notation->insert_with, text, rendering->arena, &text) != 0)
		add_wild(rendering);
	else
		add_text(rendering, text);
}

static void add_level(struct rendering *rendering, const struct topic_shape_level *level)
{
	add_inserted(rendering, level->prefix);
	if (!level->wild || rendering->closed)
		return;
	add_wild(rendering);
	add_inserted(rendering, level->suffix);
}

/* Between two levels of the source. Where it ends none of the target, they become one. */
static void add_joint(struct rendering *rendering)
{
	if (!rendering->closed)
		add_text(rendering, rendering->notation->joint);
}

static bool joint_ends_level(const struct topic_shape_notation *notation)
{
	return notation->joint.len == 1 && notation->joint.data[0] == (uint8_t)notation->separator;
}

/* Its levels from `first` on. */
static void add_topic(struct rendering *rendering, size_t first)
{
	const struct topic_shape *from = rendering->from;
	if (first > 0 && first >= from->n && !from->deep) {
		rendering->impossible = true;
		return;
	}
	for (size_t i = first; i < from->n && !rendering->closed; i++) {
		if (i > first)
			add_joint(rendering);
		if (!rendering->closed)
			add_level(rendering, &from->levels[i]);
	}
	if (!from->deep || rendering->closed)
		return;
	if (first >= from->n || !joint_ends_level(rendering->notation))
		add_wild(rendering);
	if (!joint_ends_level(rendering->notation))
		return;
	end_level(rendering);
	close_deep(rendering);
}

static void add_topic_level(struct rendering *rendering, size_t index)
{
	const struct topic_shape *from = rendering->from;
	if (index < from->n) {
		add_level(rendering, &from->levels[index]);
	} else if (from->deep) {
		add_wild(rendering); /* of the topics that have so many */
	} else {
		rendering->impossible = true;
	}
}

static void add_capture(struct rendering *rendering, struct slice name)
{
	struct slice rest = slice_str(rendering->filter), level;
	for (size_t i = 0; topic_next_level(&rest, &level); i++) {
		struct slice bound = topic_filter_capture(level);
		if (bound.data && slice_equal(bound, name)) {
			add_topic_level(rendering, i);
			return;
		}
	}
	rendering->impossible = true; /* another filter of the mapping binds it */
}

static void on_part(enum template_part part, struct slice text, size_t index, void *arg)
{
	struct rendering *rendering = arg;
	if (rendering->closed) {
		rendering->to->loose = true; /* something follows what has no end */
		return;
	}
	switch (part) {
	case TEMPLATE_TEXT:
		add_text(rendering, text);
		break;
	case TEMPLATE_TOPIC:
		add_topic(rendering, 0);
		break;
	case TEMPLATE_REST:
		add_topic(rendering, index);
		break;
	case TEMPLATE_LEVEL:
		add_topic_level(rendering, index);
		break;
	case TEMPLATE_CAPTURE:
		add_capture(rendering, slice_str(rendering->captures[index]));
		break;
	case TEMPLATE_OTHER:
		add_wild(rendering);
		end_level(rendering);
		close_deep(rendering);
		rendering->to->loose = true;
		break;
	}
}

bool topic_shape_render(const struct topic_shape *shape, const char *filter, const struct template *tpl,
	const char *const *captures, const struct topic_shape_notation *notation, struct arena *arena,
	struct topic_shape *ret_shape)
{
	struct rendering rendering = {
		.from = shape,
		.filter = filter,
		.captures = captures,
		.notation = notation,
		.arena = arena,
		.to = ret_shape,
		.level = {.prefix = slice_str(""), .suffix = slice_str("")},
	};
	ret_shape->n = 0;
	ret_shape->deep = false;
	ret_shape->loose = shape->loose;
	if (tpl)
		template_walk(tpl, on_part, &rendering);
	else
		add_topic(&rendering, 0);
	if (!rendering.closed)
		end_level(&rendering);
	return !rendering.impossible;
}
