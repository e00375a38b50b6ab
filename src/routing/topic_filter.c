/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks, rewrites and compares topic filters level by level. The matching here is the plain definition, one
 * filter at a time; the router's index (topic_index.h) is tested against it.
 */
#include "routing/topic_filter.h"

#include <stdlib.h>

#include "message/utf8.h"

#define SHARE     "$share/"
#define SHARE_LEN (sizeof SHARE - 1)

static bool level_is(struct slice level, char wildcard)
{
	return level.len == 1 && level.data[0] == (uint8_t)wildcard;
}

static bool level_has_any(struct slice level, const char *bytes)
{
	for (size_t i = 0; i < level.len; i++)
		if (strchr(bytes, level.data[i]))
			return true;
	return false;
}

static bool begins_with_dollar(struct slice topic)
{
	return topic.len && topic.data[0] == '$';
}

static bool begins_with_wildcard(const char *filter)
{
	return filter[0] == '+' || filter[0] == '#';
}

static bool name_char(uint8_t c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static bool name_well_formed(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!name_char(name.data[i], i == 0))
			return false;
	return name.len > 0;
}

static bool name_taken(struct slice name)
{
	static const char *const taken[] = {
		"topic", "key", "header", "headers", "qos", "retain", "received", "ENV", "__loc__"};
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (slice_equal(name, slice_str(taken[i])))
			return true;
	return false;
}

struct slice topic_filter_capture(struct slice level)
{
	if (level.len < 3 || level.data[0] != '{' || level.data[level.len - 1] != '}')
		return (struct slice){NULL, 0};
	struct slice name = slice_of(level.data + 1, level.len - 2);
	return name_well_formed(name) ? name : (struct slice){NULL, 0};
}

const char *topic_filter_without_share(const char *filter)
{
	if (strncmp(filter, SHARE, SHARE_LEN) != 0)
		return filter;
	const char *slash = strchr(filter + SHARE_LEN, '/');
	return slash ? slash + 1 : filter;
}

/* MQTT 5 §4.8.2: $share/{ShareName}/{filter}, the name at least one character without / + #. */
static const char *check_share(const char *filter)
{
	if (strncmp(filter, SHARE, SHARE_LEN) != 0)
		return NULL;
	struct slice rest = slice_str(filter + SHARE_LEN), group = rest;
	topic_next_level(&rest, &group);
	if (group.len == 0)
		return "the shared subscription has no group name; write $share/<group>/<filter>";
	if (level_has_any(group, "+#"))
		return "the group name of a shared subscription must not hold + or #; write "
		       "$share/<group>/<filter>";
	if (level_has_any(group, "{}"))
		return "the group name of a shared subscription cannot be a capture; write "
		       "$share/<group>/<filter>";
	if (rest.len == 0)
		return "the shared subscription has no topic filter; write $share/<group>/<filter>";
	return NULL;
}

static bool captured_before(const char *filter, struct slice level)
{
	struct slice rest = slice_str(filter), other;
	while (topic_next_level(&rest, &other) && other.data != level.data)
		if (slice_equal(other, level))
			return true;
	return false;
}

static const char *check_level(const char *filter, struct slice level, bool last)
{
	if (level_is(level, '#') && !last)
		return "# matches everything below and so must be the last level; use + for a level in the "
		       "middle";
	if (level.len > 1 && level_has_any(level, "#"))
		return "# must stand alone in its level, as in a/#";
	if (level.len > 1 && level_has_any(level, "+"))
		return "+ must stand alone in its level, as in a/+/b";
	if (!level_has_any(level, "{}"))
		return NULL;
	struct slice name = topic_filter_capture(level);
	if (!name.data)
		return "a capture must fill its whole level and its name is letters, digits and _, as in "
		       "a/{name}/b";
	if (name_taken(name))
		return "this capture name already means something in templates or jq; choose another one";
	if (captured_before(filter, level))
		return "this capture name occurs twice in the filter; give each level its own name";
	return NULL;
}

const char *topic_filter_check(const char *filter)
{
	struct slice text = slice_str(filter);
	if (text.len == 0)
		return "the topic filter is empty; use # for all topics";
	if (text.len > TOPIC_MAX_BYTES)
		return "the topic filter is longer than 65535 bytes, the most that MQTT can carry";
	if (!utf8_valid(text))
		return "the topic filter is not valid UTF-8";
	const char *wrong = check_share(filter);
	if (wrong)
		return wrong;
	const char *plain = topic_filter_without_share(filter);
	struct slice rest = slice_str(plain), level;
	while (!wrong && topic_next_level(&rest, &level))
		wrong = check_level(plain, level, !rest.data);
	return wrong;
}

const char *topic_name_check(struct slice topic)
{
	if (topic.len == 0)
		return "the topic is empty; a topic has at least one character";
	if (topic.len > TOPIC_MAX_BYTES)
		return "the topic is longer than 65535 bytes, the most that MQTT can carry";
	if (memchr(topic.data, 0, topic.len))
		return "the topic holds a NUL character, which MQTT forbids";
	if (memchr(topic.data, '+', topic.len) || memchr(topic.data, '#', topic.len))
		return "the topic holds + or #, which only a topic filter may";
	if (!utf8_valid(topic))
		return "the topic is not valid UTF-8";
	return NULL;
}

void topic_filter_captures(const char *filter, void (*fn)(struct slice name, void *arg), void *arg)
{
	struct slice rest = slice_str(topic_filter_without_share(filter)), level;
	while (topic_next_level(&rest, &level)) {
		struct slice name = topic_filter_capture(level);
		if (name.data)
			fn(name, arg);
	}
}

char *topic_filter_wire(const char *filter, bool strip_share)
{
	const char *plain = topic_filter_without_share(filter);
	size_t prefix = strip_share ? 0 : (size_t)(plain - filter);
	char *wire = malloc(prefix + strlen(plain) + 1), *out = wire;
	if (!wire)
		return NULL;
	memcpy(out, filter, prefix);
	out += prefix;
	struct slice rest = slice_str(plain), level;
	while (topic_next_level(&rest, &level)) {
		if (topic_filter_capture(level).data)
			level = slice_str("+");
		memcpy(out, level.data, level.len);
		out += level.len;
		if (rest.data)
			*out++ = '/';
	}
	*out = '\0';
	return wire;
}

void topic_separate(char *text, size_t len, char from, char to)
{
	for (size_t i = 0; i < len && from != to; i++)
		if (text[i] == from)
			text[i] = to;
}

bool topic_filter_matches(const char *filter, struct slice topic)
{
	struct slice filter_rest = slice_str(filter), topic_rest = topic, want, got;
	if (begins_with_dollar(topic) && begins_with_wildcard(filter))
		return false;
	while (topic_next_level(&filter_rest, &want)) {
		if (level_is(want, '#'))
			return true; /* also the parent level itself: §4.7.1.2 */
		if (!topic_next_level(&topic_rest, &got))
			return false;
		if (!level_is(want, '+') && !slice_equal(want, got))
			return false;
	}
	return !topic_rest.data;
}

/* `a/#` matches `a`, so outer's # covers an inner filter that has ended; inner's # is covered by nothing but
 * #. */
bool topic_filter_covers(const char *outer, const char *inner)
{
	struct slice outer_rest = slice_str(outer), inner_rest = slice_str(inner), wide, narrow;
	if (inner[0] == '$' && begins_with_wildcard(outer))
		return false;
	while (topic_next_level(&outer_rest, &wide)) {
		if (level_is(wide, '#'))
			return true;
		if (!topic_next_level(&inner_rest, &narrow) || level_is(narrow, '#'))
			return false;
		if (!level_is(wide, '+') && !slice_equal(wide, narrow))
			return false;
	}
	return !inner_rest.data;
}

bool topic_filter_overlaps(const char *a, const char *b)
{
	struct slice a_rest = slice_str(a), b_rest = slice_str(b), a_level, b_level;
	if ((a[0] == '$' && begins_with_wildcard(b)) || (b[0] == '$' && begins_with_wildcard(a)))
		return false;
	for (;;) {
		bool more_a = topic_next_level(&a_rest, &a_level), more_b = topic_next_level(&b_rest, &b_level);
		if ((more_a && level_is(a_level, '#')) || (more_b && level_is(b_level, '#')))
			return true; /* also the parent level itself */
		if (!more_a || !more_b)
			return more_a == more_b;
		if (!level_is(a_level, '+') && !level_is(b_level, '+') && !slice_equal(a_level, b_level))
			return false;
	}
}
