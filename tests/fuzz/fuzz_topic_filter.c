/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic filters: two filters and a topic, one on each line (the topic to the end). The router's rules are compared with
 * the MQTT codec's and with a matcher written from the text of MQTT 5 §4.7 alone.
 */
#include <string.h>

#include "connectors/mqtt/codec.h"
#include "routing/topic_filter.h"
#include "tests/fuzz/fuzz.h"

#define MAX_LINE 512

/* §4.7.1, byte by byte: `filter` is well formed. */
static bool plain_match(const char *filter, const char *topic, const char *end)
{
	for (;;) {
		if (filter[0] == '#')
			return true;
		if (filter[0] == '+') {
			while (topic < end && *topic != '/')
				topic++;
			filter++;
			continue;
		}
		if (strcmp(filter, "/#") == 0 && topic == end) /* "sport/#" also matches "sport" */
			return true;
		if (filter[0] == '\0' || topic == end)
			return filter[0] == '\0' && topic == end;
		if (*filter++ != *topic++)
			return false;
	}
}

static bool expected_match(const char *filter, struct slice topic)
{
	const char *at = (const char *)topic.data;
	if (topic.len && at[0] == '$' && (filter[0] == '+' || filter[0] == '#')) /* [MQTT-4.7.2-1] */
		return false;
	return plain_match(filter, at, at + topic.len);
}

static void count_capture(struct slice name, void *arg)
{
	fuzz_require(name.data && name.len > 0);
	++*(int *)arg;
}

/* The wire form without $share, or NULL when the filter is not well formed; the caller frees. */
static char *check_filter(const char *filter)
{
	const char *wrong = topic_filter_check(filter);
	fuzz_require(!wrong || *wrong);
	if (!strpbrk(filter, "{}"))
		fuzz_require(!wrong == mqtt_topic_filter_valid(slice_str(filter)));
	if (wrong)
		return NULL;
	int captures = 0;
	topic_filter_captures(filter, count_capture, &captures);
	fuzz_require((captures > 0) == (strchr(filter, '{') != NULL));
	char *shared = topic_filter_wire(filter, false), *wire = topic_filter_wire(filter, true);
	fuzz_require(shared && wire);
	fuzz_require(mqtt_topic_filter_valid(slice_str(shared)));
	fuzz_require(topic_filter_check(shared) == NULL && !strpbrk(shared, "{}"));
	fuzz_require(strcmp(topic_filter_without_share(shared), wire) == 0);
	free(shared);
	return wire;
}

static void check_pair(const char *one, const char *other, struct slice topic)
{
	bool match = topic_filter_matches(one, topic);
	fuzz_require(match == expected_match(one, topic));
	fuzz_require(topic_filter_covers(one, one));
	if (topic_filter_covers(other, one))
		fuzz_require(!match || topic_filter_matches(other, topic));
}

static struct slice take_line(struct slice *rest, char line[MAX_LINE])
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	size_t len = end ? (size_t)(end - rest->data) : rest->len;
	struct slice whole = slice_of(rest->data, len);
	size_t copied = len < MAX_LINE ? len : MAX_LINE - 1;
	if (copied)
		memcpy(line, rest->data, copied);
	line[copied] = '\0';
	size_t used = end ? len + 1 : len;
	*rest = slice_of(rest->data + used, rest->len - used);
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char one[MAX_LINE], other[MAX_LINE];
	struct slice topic = slice_of(data, size);
	take_line(&topic, one);
	take_line(&topic, other);
	bool named = topic_name_check(topic) == NULL;
	fuzz_require(named == mqtt_topic_name_valid(topic));
	char *wire_one = check_filter(one), *wire_other = check_filter(other);
	if (wire_one && wire_other && named) {
		check_pair(wire_one, wire_other, topic);
		check_pair(wire_other, wire_one, topic);
	}
	free(wire_one);
	free(wire_other);
	return 0;
}
