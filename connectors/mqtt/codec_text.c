/* SPDX-License-Identifier: Apache-2.0
 *
 * MQTT's text: UTF-8 strings (§1.5.4), topic names and topic filters (§4.7, §4.8.2). Runs over every topic of
 * every message, so plain ASCII goes eight bytes at a time.
 */
#include "connectors/mqtt/codec_internal.h"

#include <errno.h>

#include "message/utf8.h"

#define TEXT_MAX  65535u
#define EACH_BYTE 0x0101010101010101u
#define EACH_TOP  0x8080808080808080u

/* How many of the next bytes, in steps of eight, are ASCII without NUL. */
static size_t ascii_run(const uint8_t *at, size_t left)
{
	size_t run = 0;
	for (; left - run >= 8; run += 8) {
		uint64_t word;
		memcpy(&word, at + run, sizeof word);
		/* Without top bits, the subtraction sets one exactly when some byte is zero. */
		if ((word & EACH_TOP) || ((word - EACH_BYTE) & EACH_TOP))
			break;
	}
	return run;
}

bool mqtt_text_valid(struct slice text)
{
	if (text.len > TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.len;) {
		size_t run = ascii_run(text.data + i, text.len - i);
		if (run == 0)
			run = text.data[i] ? utf8_char_len(slice_of(text.data + i, text.len - i)) : 0;
		if (run == 0)
			return false;
		i += run;
	}
	return true;
}

static bool has_wildcard(struct slice text)
{
	return text.len && (memchr(text.data, '+', text.len) || memchr(text.data, '#', text.len));
}

bool mqtt_topic_name_valid(struct slice name)
{
	return name.len > 0 && mqtt_text_valid(name) && !has_wildcard(name);
}

/* Wildcards fill a level each, and # only the last one [MQTT-4.7.1-1] [MQTT-4.7.1-2]. */
static bool wildcards_placed(struct slice filter)
{
	for (size_t i = 0; i < filter.len; i++) {
		uint8_t byte = filter.data[i];
		if (byte != '+' && byte != '#')
			continue;
		if (i > 0 && filter.data[i - 1] != '/')
			return false;
		bool last = i + 1 == filter.len;
		if (!last && (byte == '#' || filter.data[i + 1] != '/'))
			return false;
	}
	return true;
}

bool mqtt_filter_is_shared(struct slice filter)
{
	return filter.len >= 7 && memcmp(filter.data, "$share/", 7) == 0;
}

bool mqtt_topic_filter_valid(struct slice filter)
{
	if (filter.len == 0 || !mqtt_text_valid(filter))
		return false;
	if (!mqtt_filter_is_shared(filter))
		return wildcards_placed(filter);
	struct slice group = slice_of(filter.data + 7, filter.len - 7);
	const uint8_t *slash = group.len ? memchr(group.data, '/', group.len) : NULL;
	if (!slash)
		return false;
	struct slice rest = slice_of(slash + 1, (size_t)(group.data + group.len - slash) - 1);
	group.len = (size_t)(slash - group.data);
	return group.len > 0 && !has_wildcard(group) && rest.len > 0 && wildcards_placed(rest);
}

int mqtt_text_check(struct slice text)
{
	if (text.len > TEXT_MAX)
		return -EMSGSIZE;
	return mqtt_text_valid(text) ? 0 : -EILSEQ;
}
