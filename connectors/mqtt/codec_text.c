/* SPDX-License-Identifier: Apache-2.0
 *
 * MQTT's text: UTF-8 strings (§1.5.4), topic names and topic filters (§4.7, §4.8.2). Runs over every topic of
 * every message, so plain ASCII goes eight bytes at a time.
 */
#include "connectors/mqtt/codec_internal.h"

#include <errno.h>

#define TEXT_MAX  65535u
#define EACH_BYTE 0x0101010101010101u
#define EACH_TOP  0x8080808080808080u

static bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The length of the well-formed character at `at` (Unicode table 3-7), 0 if it is none or U+0000. */
static size_t character_len(const uint8_t *at, size_t left)
{
	uint8_t lead = at[0];
	if (lead < 0x80)
		return lead != 0;
	if (lead < 0xc2 || lead > 0xf4) /* a stray tail, an overlong pair, beyond U+10FFFF */
		return 0;
	size_t len = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (left < len || !is_tail(at[1]))
		return 0;
	if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || /* overlong; surrogate */
		(lead == 0xf0 && at[1] < 0x90) || (lead == 0xf4 && at[1] > 0x8f)) /* overlong; beyond */
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_tail(at[i]))
			return 0;
	return len;
}

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
			run = character_len(text.data + i, text.len - i);
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
