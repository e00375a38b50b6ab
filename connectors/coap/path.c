/* SPDX-License-Identifier: Apache-2.0
 *
 * A target is walked once, whether to be checked or to be sent: each part is decoded into 255 bytes on the stack.
 */
#include "connectors/coap/path.h"

#include <errno.h>

#include "connectors/common/percent.h"
#include "message/utf8.h"
#include "routing/arena.h"
#include "routing/topic_filter.h"

#define CODE_BAD_REQUEST 0x80u /* 4.00 */
#define CODE_BAD_OPTION  0x82u /* 4.02 */
#define CODE_UNAVAILABLE 0xa3u /* 5.03 */

static bool is_dots(struct slice segment)
{
	return (segment.len == 1 && segment.data[0] == '.') ||
	       (segment.len == 2 && segment.data[0] == '.' && segment.data[1] == '.');
}

static bool is_wildcard(struct slice segment)
{
	return segment.len == 1 && (segment.data[0] == '+' || segment.data[0] == '#');
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

/* --- options to a topic --------------------------------------------------------------------------------------------- */

/* What makes the option as malformed as one that is not known (RFC 7252 §5.4.3, §5.10.1). */
static const char *option_mistake(struct slice segment)
{
	if (segment.len > COAP_SEGMENT_MAX)
		return "a segment of the path has more than 255 bytes";
	if (is_dots(segment))
		return "the path has a segment . or ..";
	return utf8_valid(segment) ? NULL : "the path is no UTF-8";
}

static const char *topic_mistake(struct slice segment)
{
	if (is_wildcard(segment))
		return "the path has a segment that is a wildcard";
	for (size_t i = 0; i < segment.len; i++) {
		if (segment.data[i] == '/' || segment.data[i] == '\\')
			return "the path has a slash within a segment";
		if (is_control(segment.data[i]))
			return "the path has a control character";
	}
	return NULL;
}

static const char *append_level(struct buffer *topic, struct slice segment, uint8_t *ret_code)
{
	int r = buffer_reserve(topic, segment.len + 1);
	if (r == 0 && topic->len + segment.len + 1 > COAP_TOPIC_MAX)
		r = -ENOBUFS;
	if (r < 0) {
		*ret_code = r == -ENOMEM ? CODE_UNAVAILABLE : CODE_BAD_REQUEST;
		return r == -ENOMEM ? "there is no memory" : "the path is too long";
	}
	topic->data[topic->len++] = '/';
	return buffer_append(topic, segment) == 0 ? NULL : "the path is too long";
}

const char *coap_path_add(struct buffer *topic, struct slice segment, uint8_t *ret_code)
{
	const char *wrong = option_mistake(segment);
	uint8_t code = CODE_BAD_OPTION;
	if (!wrong) {
		wrong = topic_mistake(segment);
		code = CODE_BAD_REQUEST;
	}
	if (!wrong)
		return append_level(topic, segment, ret_code);
	*ret_code = code;
	return wrong;
}

const char *coap_path_end(struct buffer *topic, uint8_t *ret_code)
{
	return topic->len ? NULL : append_level(topic, slice_of("", 0), ret_code);
}

const char *coap_path_check(struct slice path)
{
	struct slice rest = path, level;
	if (path.len == 0 || path.data[0] != '/')
		return "a path that can be asked for begins with /. Write one before it";
	if (path.len > COAP_TOPIC_MAX || !utf8_valid(path))
		return "a path is UTF-8 of at most 65535 bytes";
	while (topic_next_level(&rest, &level)) {
		if (level.len > COAP_SEGMENT_MAX)
			return "a segment of a path has at most 255 bytes (RFC 7252 §5.10)";
		if (is_dots(level) || is_wildcard(level))
			return "a path that can be asked for has no segments . .. + or #. Write out where it leads";
		if (topic_mistake(level))
			return "a path that can be asked for has no control characters and no backslash. Leave them "
			       "out";
	}
	return NULL;
}

/* --- options to a target -------------------------------------------------------------------------------------------- */

/* RFC 3986 §2.2, sub-delims, and what else may stand in a segment. */
static bool is_plain(uint8_t c, const char *others)
{
	return percent_is_unreserved(c) || (c && strchr(others, c));
}

static int add_encoded(struct buffer *target, char before, struct slice text, const char *plain)
{
	int r = buffer_reserve(target, 1 + 3 * text.len);
	if (r < 0)
		return r;
	target->data[target->len++] = (uint8_t)before;
	for (size_t i = 0; i < text.len; i++) {
		if (is_plain(text.data[i], plain)) {
			target->data[target->len++] = text.data[i];
			continue;
		}
		percent_put(target->data + target->len, text.data[i]);
		target->len += 3;
	}
	return 0;
}

int coap_target_add_path(struct buffer *target, struct slice segment)
{
	return add_encoded(target, '/', segment, "!$&'()*+,;=:@");
}

int coap_target_add_query(struct buffer *target, struct slice argument)
{
	bool is_first = !target->len || !memchr(target->data, '?', target->len);
	return add_encoded(target, is_first ? '?' : '&', argument, "!$'()*+,;=:@/?");
}

/* --- a target to options -------------------------------------------------------------------------------------------- */

struct walk {
	int (*fn)(enum coap_target_part part, struct slice value, void *arg); /* NULL: only look */
	void *arg;
	int result; /* of fn */
};

static const char *check_character(uint8_t c)
{
	if (c <= ' ' || c == 0x7f)
		return "a path has no blanks and no control characters. Write %20 for a blank.";
	if (c == '#')
		return "a fragment (#…) is never sent. Leave it out, or write %23.";
	if (c > 0x7f)
		return "a path is plain ASCII (RFC 3986). Write other characters percent-encoded, in UTF-8.";
	return NULL;
}

static const char *decode(struct slice text, uint8_t value[COAP_SEGMENT_MAX], size_t *ret_len)
{
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		const char *wrong = check_character(c);
		if (wrong)
			return wrong;
		if (len == COAP_SEGMENT_MAX)
			return "a segment or argument has at most 255 bytes (RFC 7252 §5.10).";
		if (c == '%') {
			int high = i + 2 < text.len ? percent_digit(text.data[i + 1]) : -1;
			int low = high >= 0 ? percent_digit(text.data[i + 2]) : -1;
			if (low < 0)
				return "a % stands before two hexadecimal digits. Write %25 for the character itself.";
			c = (uint8_t)(high << 4 | low);
			i += 2;
		}
		value[len++] = c;
	}
	*ret_len = len;
	return NULL;
}

static const char *walk_part(struct walk *walk, enum coap_target_part part, struct slice text)
{
	uint8_t bytes[COAP_SEGMENT_MAX];
	size_t len = 0;
	const char *wrong = decode(text, bytes, &len);
	if (wrong)
		return wrong;
	struct slice value = slice_of(bytes, len);
	if (part == COAP_TARGET_PATH && is_dots(value))
		return "a path with the segment . or .. leads elsewhere. Write out where it leads.";
	if (!utf8_valid(value) || memchr(bytes, 0, len))
		return "what is percent-encoded in a path is UTF-8 without NUL (RFC 7252 §5.10.1).";
	if (walk->fn)
		walk->result = walk->fn(part, value, walk->arg);
	return NULL;
}

static const char *walk_parts(struct walk *walk, enum coap_target_part part, struct slice rest, char separator)
{
	const char *wrong = NULL;
	struct slice text;
	while (!wrong && walk->result == 0 && topic_next_level_by(separator, &rest, &text))
		wrong = walk_part(walk, part, text);
	return wrong;
}

static const char *walk_target(struct walk *walk, struct slice target)
{
	if (target.len == 0)
		return NULL;
	if (target.data[0] != '/' && target.data[0] != '?')
		return "a path begins with /. It is appended to the url of the connection.";
	const uint8_t *mark = memchr(target.data, '?', target.len);
	size_t path_len = mark ? (size_t)(mark - target.data) : target.len;
	const char *wrong = NULL;
	if (path_len > 1)
		wrong = walk_parts(walk, COAP_TARGET_PATH, slice_of(target.data + 1, path_len - 1), '/');
	if (wrong || walk->result || path_len + 1 >= target.len)
		return wrong;
	return walk_parts(walk, COAP_TARGET_QUERY, slice_of(mark + 1, target.len - path_len - 1), '&');
}

const char *coap_target_check(struct slice target)
{
	struct walk walk = {.fn = NULL};
	return walk_target(&walk, target);
}

int coap_target_walk(
	struct slice target, int (*fn)(enum coap_target_part part, struct slice value, void *arg), void *arg)
{
	struct walk walk = {.fn = fn, .arg = arg};
	if (coap_target_check(target) || walk_target(&walk, target))
		return -EINVAL;
	return walk.result;
}

int coap_target_insert(struct slice text, struct arena *arena, struct slice *ret_text)
{
	return percent_encode(text, arena, ret_text);
}
