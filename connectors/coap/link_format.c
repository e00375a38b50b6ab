/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes are written in one order, and compared from the same fields.
 */
#include "connectors/coap/link_format.h"

#include <errno.h>
#include <stdio.h>

#include "connectors/coap/path.h"
#include "message/utf8.h"
#include "routing/topic_filter.h"

/* --- checks -------------------------------------------------------------------------------------------------------- */

/* RFC 6690 §2: reg-rel-type, or a URI. What neither may hold would end the value or the list. */
static bool is_relation_character(uint8_t c)
{
	return c > ' ' && c < 0x7f && !strchr("\"\\<>^`{|}", c);
}

const char *link_format_check_rt(struct slice rt)
{
	for (size_t i = 0; i < rt.len; i++) {
		bool at_edge = i == 0 || i + 1 == rt.len || rt.data[i - 1] == ' ';
		if (rt.data[i] == ' ' ? at_edge : !is_relation_character(rt.data[i]))
			return "resource types are words of visible ASCII characters without quotes and < > \\, with "
			       "one "
			       "blank between two (RFC 6690 §2)";
	}
	return NULL;
}

const char *link_format_check_title(struct slice title)
{
	if (!utf8_valid(title))
		return "a title is UTF-8";
	for (size_t i = 0; i < title.len; i++)
		if (title.data[i] < ' ' || title.data[i] == 0x7f)
			return "a title has no control characters";
	return NULL;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static int append_text(struct buffer *out, const char *text)
{
	return buffer_append(out, slice_str(text));
}

static int append_target(struct buffer *out, struct slice path)
{
	/* The path begins with "/": the level before it is none. */
	struct slice rest = slice_of(path.data + 1, path.len - 1), level;
	int r = append_text(out, "<");
	while (r == 0 && topic_next_level(&rest, &level))
		r = coap_target_add_path(out, level);
	return r == 0 ? append_text(out, ">") : r;
}

static int append_quoted(struct buffer *out, const char *name, struct slice value)
{
	int r = append_text(out, name);
	if (r == 0)
		r = append_text(out, "=\"");
	for (size_t i = 0; r == 0 && i < value.len; i++) {
		if (value.data[i] == '"' || value.data[i] == '\\')
			r = append_text(out, "\\");
		if (r == 0)
			r = buffer_append(out, slice_of(value.data + i, 1));
	}
	return r == 0 ? append_text(out, "\"") : r;
}

static struct slice number_text(int number, char text[16])
{
	return slice_of(text, (size_t)snprintf(text, 16, "%d", number));
}

static int append_attributes(struct buffer *out, const struct link_format_link *link)
{
	char number[16];
	int r = 0;
	if (link->rt.len)
		r = append_quoted(out, ";rt", link->rt);
	if (r == 0 && link->content_format >= 0) {
		r = append_text(out, ";ct=");
		if (r == 0)
			r = buffer_append(out, number_text(link->content_format, number));
	}
	if (r == 0 && link->observable)
		r = append_text(out, ";obs");
	if (r == 0 && link->title.len)
		r = append_quoted(out, ";title", link->title);
	return r;
}

int link_format_append(struct buffer *out, const struct link_format_link *link)
{
	size_t before = out->len;
	if (!link->path.len || link->path.data[0] != '/' || link_format_check_rt(link->rt) ||
		link_format_check_title(link->title))
		return -EINVAL;
	int r = before ? append_text(out, ",") : 0;
	if (r == 0)
		r = append_target(out, link->path);
	if (r == 0)
		r = append_attributes(out, link);
	if (r < 0)
		out->len = before;
	return r;
}

/* --- looking for --------------------------------------------------------------------------------------------------- */

struct pattern {
	struct slice text;
	bool is_prefix;
};

static bool fits(const struct pattern *pattern, struct slice value)
{
	if (pattern->is_prefix && value.len > pattern->text.len)
		value.len = pattern->text.len;
	return slice_equal(value, pattern->text);
}

static bool fits_one_of(const struct pattern *pattern, struct slice values)
{
	struct slice value;
	while (topic_next_level_by(' ', &values, &value))
		if (value.len && fits(pattern, value))
			return true;
	return false;
}

/* §4.1: the URI of a link is compared as it stands in the list. */
static bool fits_target(const struct pattern *pattern, struct slice path)
{
	struct buffer target;
	buffer_init(&target, 4u * COAP_TOPIC_MAX);
	struct slice rest = slice_of(path.data + 1, path.len - 1), level;
	int r = 0;
	while (r == 0 && topic_next_level(&rest, &level))
		r = coap_target_add_path(&target, level);
	bool found = r == 0 && (fits(pattern, buffer_slice(&target)) || fits(pattern, path));
	buffer_free(&target);
	return found;
}

static bool has_attribute(const struct link_format_link *link, struct slice name)
{
	return slice_equal(name, slice_str("href")) || (link->observable && slice_equal(name, slice_str("obs"))) ||
	       (link->rt.len && slice_equal(name, slice_str("rt"))) ||
	       (link->title.len && slice_equal(name, slice_str("title"))) ||
	       (link->content_format >= 0 && slice_equal(name, slice_str("ct")));
}

bool link_format_matches(const struct link_format_link *link, struct slice query)
{
	char number[16];
	const uint8_t *equals = query.len ? memchr(query.data, '=', query.len) : NULL;
	if (!link->path.len || link->path.data[0] != '/')
		return false;
	if (!equals)
		return has_attribute(link, query);
	size_t name_len = (size_t)(equals - query.data);
	struct slice name = slice_of(query.data, name_len);
	struct pattern pattern = {.text = slice_of(equals + 1, query.len - name_len - 1)};
	if (pattern.text.len && pattern.text.data[pattern.text.len - 1] == '*') {
		pattern.is_prefix = true;
		pattern.text.len--;
	}
	if (slice_equal(name, slice_str("href")))
		return fits_target(&pattern, link->path);
	if (!has_attribute(link, name))
		return false;
	if (slice_equal(name, slice_str("rt")))
		return fits_one_of(&pattern, link->rt);
	if (slice_equal(name, slice_str("title")))
		return fits(&pattern, link->title);
	return slice_equal(name, slice_str("ct")) && fits(&pattern, number_text(link->content_format, number));
}
