/* SPDX-License-Identifier: Apache-2.0
 *
 * Decodes once, then looks at the segments of what came out.
 */
#include "connectors/http/in_path.h"

#include "connectors/common/percent.h"
#include "message/utf8.h"
#include "routing/topic_filter.h"

static const char *decode(struct slice raw, uint8_t *out, size_t *ret_len)
{
	size_t len = 0;
	for (size_t i = 0; i < raw.len; i++) {
		uint8_t c = raw.data[i];
		if (c == '%') {
			int high = i + 2 < raw.len ? percent_digit(raw.data[i + 1]) : -1;
			int low = high >= 0 ? percent_digit(raw.data[i + 2]) : -1;
			if (low < 0)
				return "the path has a % without two hexadecimal digits";
			c = (uint8_t)(high << 4 | low);
			i += 2;
			if (c == '/' || c == '\\')
				return "the path has an encoded slash";
		} else if (c == '\\' || c == '#') {
			return "the path has a character that must be percent-encoded";
		}
		if (c < 0x20 || c == 0x7f)
			return "the path has a control character";
		out[len++] = c;
	}
	*ret_len = len;
	return NULL;
}

static const char *check_segments(struct slice path)
{
	struct slice rest = path, level;
	while (topic_next_level(&rest, &level)) {
		if ((level.len == 1 && level.data[0] == '.') || (level.len == 2 && memcmp(level.data, "..", 2) == 0))
			return "the path has a segment . or ..";
		if (level.len == 1 && (level.data[0] == '+' || level.data[0] == '#'))
			return "the path has a segment that is a wildcard";
	}
	return NULL;
}

const char *in_path_parse(struct slice target, uint8_t *ret_path, size_t *ret_len, struct slice *ret_query)
{
	if (target.len == 0 || target.data[0] != '/')
		return "the request's target is no path that begins with /";
	const uint8_t *mark = memchr(target.data, '?', target.len);
	struct slice raw = slice_of(target.data, mark ? (size_t)(mark - target.data) : target.len);
	size_t len;
	const char *wrong = decode(raw, ret_path, &len);
	if (!wrong && !utf8_valid(slice_of(ret_path, len)))
		wrong = "the path is no UTF-8";
	if (!wrong && len > TOPIC_MAX_BYTES)
		wrong = "the path is too long";
	if (!wrong)
		wrong = check_segments(slice_of(ret_path, len));
	if (wrong)
		return wrong;
	*ret_len = len;
	*ret_query = mark ? slice_of(mark + 1, target.len - raw.len - 1) : (struct slice){NULL, 0};
	return NULL;
}

const char *in_path_check_target(struct slice path)
{
	if (path.len == 0 || path.data[0] != '/')
		return "a path begins with /";
	for (size_t i = 0; i < path.len; i++)
		if (path.data[i] < 0x20 || path.data[i] == 0x7f || path.data[i] == '\\')
			return "a path that can be asked for has no control characters and no backslash";
	if (check_segments(path))
		return "a path that can be asked for has no segments . .. + or #";
	return utf8_valid(path) && path.len <= TOPIC_MAX_BYTES ? NULL : "a path is UTF-8 of at most 65535 bytes";
}
