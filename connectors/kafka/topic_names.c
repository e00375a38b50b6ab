/* SPDX-License-Identifier: Apache-2.0
 *
 * Escaping must not make an escape of what is none. One begins with _xHH, so an underscore that stands before xHH is
 * escaped itself, whatever follows; the x and the digits are literal and so stand for themselves.
 */
#include "connectors/kafka/topic_names.h"

#define ESCAPE_LEN 5 /* _xHH_ */

static bool is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* --- legal and allowed ------------------------------------------------------------------------------------------- */

const char *kafka_topic_check(struct slice topic)
{
	if (topic.len == 0)
		return "the Kafka topic is empty. Give it a name of letters, digits, dot, underscore and hyphen.";
	if (topic.len > KAFKA_MAX_TOPIC)
		return "the Kafka topic is longer than 249 characters. Shorten it.";
	if ((topic.len == 1 && topic.data[0] == '.') || (topic.len == 2 && memcmp(topic.data, "..", 2) == 0))
		return "\".\" and \"..\" are not Kafka topics. Give it another name.";
	for (size_t i = 0; i < topic.len; i++)
		if (!is_word(topic.data[i]) && topic.data[i] != '.')
			return "the Kafka topic has a character that Kafka does not allow. Use letters, digits, dot, "
			       "underscore and hyphen only; topic_characters: escape writes others, where a template "
			       "inserts them.";
	return NULL;
}

static bool is_wild(struct slice level)
{
	return level.len && (level.data[0] == '+' || level.data[0] == '#' || level.data[0] == '{');
}

const char *kafka_filter_check(const char *filter)
{
	struct slice text = slice_str(filter);
	size_t shortest = 0; /* that matches, and a dot */
	if (strcmp(filter, ".") == 0 || strcmp(filter, "..") == 0)
		return "\".\" and \"..\" are not Kafka topics, so nothing comes by this filter. Name a topic, or use + "
		       "and # for its levels.";
	for (size_t start = 0, end; start <= text.len; start = end + 1) {
		end = start + strcspn(filter + start, ".");
		struct slice level = slice_of(text.data + start, end - start);
		shortest += is_wild(level) ? level.data[0] != '#' : level.len + 1;
		if (is_wild(level))
			continue;
		for (size_t i = 0; i < level.len; i++)
			if (!is_word(level.data[i]))
				return "a Kafka topic has letters, digits, dot, underscore and hyphen only, so "
				       "nothing comes by this filter. Levels end with a dot, as in scada.+.state.";
	}
	if (shortest > KAFKA_MAX_TOPIC + 1)
		return "a Kafka topic has at most 249 characters, so nothing comes by this filter. Shorten it.";
	return NULL;
}

const char *kafka_pattern_check(const char *pattern)
{
	if (*pattern == '\0')
		return "the pattern is empty. Write a topic, with * for any characters, as in scada.*";
	for (; *pattern; pattern++)
		if (!is_word((uint8_t)*pattern) && *pattern != '.' && *pattern != '*')
			return "a Kafka topic has letters, digits, dot, underscore and hyphen only. Write a topic of "
			       "those, with * for any number of any characters, as in scada.*";
	return NULL;
}

/* Goes back to the last star alone: an earlier one could not do better. */
static bool matches(const char *pattern, struct slice topic)
{
	const char *star = NULL;
	size_t at = 0, star_at = 0;
	while (at < topic.len) {
		if (*pattern == '*') {
			star = pattern++;
			star_at = at;
		} else if ((uint8_t)*pattern == topic.data[at]) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star + 1;
			at = ++star_at;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

bool kafka_topic_allowed(const struct config_list *patterns, struct slice topic)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (matches(patterns->items[i].value, topic))
			return true;
	return false;
}

/* --- escaping ------------------------------------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool begins_escape(struct slice text, size_t at)
{
	return text.len - at >= 4 && text.data[at] == '_' && text.data[at + 1] == 'x' &&
	       hex_value(text.data[at + 2]) >= 0 && hex_value(text.data[at + 3]) >= 0;
}

size_t kafka_topic_escape(struct slice text, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c == '/') {
			out[n++] = '.';
		} else if (is_word(c) && !begins_escape(text, i)) {
			out[n++] = (char)c;
		} else {
			out[n++] = '_';
			out[n++] = 'x';
			out[n++] = digits[c >> 4];
			out[n++] = digits[c & 15];
			out[n++] = '_';
		}
	}
	return n;
}

/* Is there an escape that escaping writes? Then its byte. */
static bool read_escape(struct slice topic, size_t at, char *ret_byte)
{
	if (topic.len - at < ESCAPE_LEN || !begins_escape(topic, at) || topic.data[at + 4] != '_')
		return false;
	int byte = hex_value(topic.data[at + 2]) * 16 + hex_value(topic.data[at + 3]);
	if (byte == '/' || (byte != '_' && is_word((uint8_t)byte)))
		return false;
	*ret_byte = (char)byte;
	return true;
}

size_t kafka_topic_restore(struct slice topic, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < topic.len; n++) {
		if (read_escape(topic, i, &out[n])) {
			i += ESCAPE_LEN;
			continue;
		}
		out[n] = topic.data[i] == '.' ? '/' : (char)topic.data[i];
		i++;
	}
	return n;
}
